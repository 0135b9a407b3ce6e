"""Dropout, L1, L2 and weight decay: four ways against learning by heart.

The lesson writes inverted dropout by hand and proves it equal to Keras', shows
what the layer does in training and in inference, proves that L2 is not weight
decay under Adam, and measures all of them, and early stopping, on clean and on
wrong labels over several seeds.
"""

# --8<-- [start:imports]
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:data]
def noisy_digits(seed, wrong=0.3):
    """300 images to train, 300 to validate, both noisy; 1000 clean to test."""
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=600, test_size=1000,
        stratify=digits.target, random_state=seed)
    random = np.random.default_rng(seed)
    flip = random.permutation(600) < wrong * 600
    y = np.where(flip, (y + random.integers(1, 10, 600)) % 10, y)
    parts = (x[:300], y[:300]), (x[300:], y[300:]), (x_test, y_test)
    return [(ops.convert_to_tensor(images), ops.cast(labels, "int32"))
            for images, labels in parts]
# --8<-- [end:data]


# --8<-- [start:inverted-dropout]
def inverted_dropout(x, rate, seed):
    """Drop each number with probability `rate`, scale up the others."""
    keep = keras.random.uniform(ops.shape(x), seed=seed) >= rate
    return ops.where(keep, x / (1 - rate), 0.0)
# --8<-- [end:inverted-dropout]


# --8<-- [start:lab]
class Lab:
    """A small network that is trained again and again."""

    def __init__(self, units=64):
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.output = keras.layers.Dense(10)
        self.model = keras.Sequential(
            [keras.Input(shape=(64,)), self.hidden, self.output])
        self.kernels = [self.hidden.kernel, self.output.kernel]
        self.optimizer = keras.optimizers.Adam(0.02)
        self.optimizer.build(self.model.trainable_variables)
        self.seed = keras.random.SeedGenerator(0)
# --8<-- [end:lab]


# --8<-- [start:ten-steps]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function(autograph=False)
def ten_steps(lab, images, labels, rate, l1, l2, decay):
    def step(_, loss):
        with tf.GradientTape() as tape:
            features = lab.hidden(images)
            if rate is not None:
                features = inverted_dropout(features, rate, lab.seed)
            loss = cross_entropy(labels, lab.output(features))
            for w in lab.kernels:
                loss += l1 * ops.sum(ops.abs(w)) + l2 * ops.sum(w * w)
        gradients = tape.gradient(loss, lab.model.trainable_variables)
        for w in lab.kernels:
            w.assign(w - 0.02 * decay * w)
        lab.optimizer.apply(gradients)
        return loss
    return ops.fori_loop(0, 10, step, 0.0)
# --8<-- [end:ten-steps]


# --8<-- [start:judge]
@tf.function(autograph=False)
def judge(lab, data):
    """Loss and accuracy on each part of the data, without dropout."""
    rows = []
    for images, labels in data:
        logits = lab.model(images)
        right = ops.cast(ops.argmax(logits, axis=1), "int32") == labels
        rows.append([cross_entropy(labels, logits),
                     ops.mean(ops.cast(right, "float32"))])
    return ops.convert_to_tensor(rows)
# --8<-- [end:judge]


# --8<-- [start:run]
def run(lab, data, seed, rate=None, l1=0.0, l2=0.0, decay=0.0):
    """Train 100 epochs; judge at the start and after every ten."""
    for layer in (lab.hidden, lab.output):
        initializer = keras.initializers.GlorotUniform(seed)
        layer.kernel.assign(initializer(layer.kernel.shape))
        layer.bias.assign(ops.zeros_like(layer.bias))
    for variable in lab.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(ops.zeros_like(variable))
    lab.seed.state.assign(ops.full_like(lab.seed.state, seed))
    knobs = [None if value is None else tf.constant(value)
             for value in (rate, l1, l2, decay)]
    curve = [judge(lab, data)]
    for _ in range(10):
        ten_steps(lab, *data[0], *knobs)
        curve.append(judge(lab, data))
    return np.array(curve)
# --8<-- [end:run]


# --8<-- [start:adam-steps]
def adam_steps(w, gradients, l2=0.0, decay=0.0, rate=0.01):
    """Adam with a penalty in the gradient, or a decay beside it."""
    m = v = np.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        gradient = gradient + 2 * l2 * w
        w = w - rate * decay * w
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient ** 2
        step = rate * np.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t)
        w = w - step * m / (np.sqrt(v) + 1e-7)
    return w
# --8<-- [end:adam-steps]


# --8<-- [start:keras-steps]
def keras_steps(optimizer, w, gradients, l2=0.0):
    """The same gradients, applied by a Keras optimizer."""
    variable = keras.Variable(w)
    for gradient in gradients:
        optimizer.apply([gradient + 2 * l2 * variable], [variable])
    return variable.numpy()
# --8<-- [end:keras-steps]


# --8<-- [start:build]
def build_classifier(rate=0.5, l2=0.001, seed=0):
    keras.utils.set_random_seed(seed)
    penalty = keras.regularizers.L2(l2)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(64, "relu", kernel_regularizer=penalty),
        keras.layers.Dropout(rate),
        keras.layers.Dense(10, kernel_regularizer=penalty),
    ], name="digits")
    model.compile(keras.optimizers.Adam(0.01), loss=cross_entropy,
                  metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:solution-3-class]
class MaskPerSample(keras.layers.Layer):
    """One mask for all steps of a sample, another for each sample."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.rate = rate
        self.seed = keras.random.SeedGenerator()

    def call(self, x, training=False):
        if not training:
            return x
        batch, _, features = ops.shape(x)
        mask = inverted_dropout(
            ops.ones((batch, 1, features)), self.rate, self.seed)
        return x * mask
# --8<-- [end:solution-3-class]


# --8<-- [start:mean-and-error]
def mean_and_error(values):
    """Mean and standard error, as text."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f}±{error:.3f}"
# --8<-- [end:mean-and-error]


def main():
    # --8<-- [start:memorise]
    lab = Lab()
    noisy = [noisy_digits(seed, wrong=0.3) for seed in range(4)]
    curve = run(lab, noisy[0], seed=0)
    for epoch in (0, 10, 30, 100):
        (loss, train), (val_loss, val), (_, test) = curve[epoch // 10]
        print(f"{epoch:3}: train {loss:.2f} {train:.2f}, "
              f"val {val_loss:.2f} {val:.2f}, test {test:.2f}")
    #~   0: train 2.35 0.12, val 2.36 0.09, test 0.12
    #~  10: train 1.22 0.68, val 1.72 0.61, test 0.88
    #~  30: train 0.73 0.78, val 2.12 0.54, test 0.78
    #~ 100: train 0.06 1.00, val 4.61 0.47, test 0.68
    # --8<-- [end:memorise]

    # --8<-- [start:memorise-figure]
    figure, (top, bottom) = plt.subplots(
        2, 1, num="overfitting", figsize=(5, 5), sharex=True)
    epochs = range(0, 101, 10)
    names = "training", "validation", "clean test"
    for part, style in enumerate(("-", "--", ":")):
        if part < 2:
            top.plot(epochs, curve[:, part, 0], style, label=names[part])
        bottom.plot(epochs, curve[:, part, 1], style, label=names[part])
    top.set(ylabel="loss", ylim=(0, 5.5))
    bottom.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.05))
    top.legend()
    bottom.legend(loc="lower right")
    plt.show()
    # --8<-- [end:memorise-figure]

    # --8<-- [start:layer]
    ones = np.ones((2, 8), "float32")
    layer = keras.layers.Dropout(0.25, seed=1)
    print(np.round(layer(ones, training=True), 3))
    #> [[1.333 1.333 1.333 1.333 1.333 1.333 1.333 1.333]
    #>  [0.    1.333 0.    1.333 1.333 0.    1.333 1.333]]
    print(np.array(layer(ones)))
    #> [[1. 1. 1. 1. 1. 1. 1. 1.]
    #>  [1. 1. 1. 1. 1. 1. 1. 1.]]
    # --8<-- [end:layer]

    # --8<-- [start:statistics]
    x = 3.0
    many = np.full(200_000, x, "float32")
    hand = np.array(inverted_dropout(many, 0.25, seed=2))
    layer = np.array(keras.layers.Dropout(0.25, seed=3)(
        many, training=True))
    for y in (hand, layer):
        print(f"zeros {np.mean(y == 0):.3f}, others {y.max():.3f}, "
              f"mean {y.mean():.3f}, variance {y.var():.3f}")
    #~ zeros 0.251, others 4.000, mean 2.994, variance 3.012
    #~ zeros 0.249, others 4.000, mean 3.004, variance 2.992
    print("formula:", x ** 2 * 0.25 / (1 - 0.25))
    #> formula: 3.0
    # --8<-- [end:statistics]

    # --8<-- [start:gradient-mask]
    x = tf.constant([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    layer = keras.layers.Dropout(0.5, seed=4)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        total = ops.sum(y)
    print(y.numpy())
    #> [[ 2.  4.  0.  8. 10.  0.]]
    print(tape.gradient(total, x).numpy())
    #> [[2. 2. 0. 2. 2. 0.]]
    # --8<-- [end:gradient-mask]

    # --8<-- [start:penalty]
    random = np.random.default_rng(0)
    X, w, p = random.normal(size=(50, 4)), np.array([2, -1, 0.5, 0]), 0.3
    y = X @ w + random.normal(size=50)
    masks = random.random((20_000, 50, 4)) >= p
    dropped = np.mean((masks * X / (1 - p) @ w - y) ** 2)
    plain = np.mean((X @ w - y) ** 2)
    ridge = p / (1 - p) * np.sum(w ** 2 * np.mean(X ** 2, axis=0))
    print(f"with dropout {dropped:.2f}, formula {plain + ridge:.2f}")
    #~ with dropout 3.36, formula 3.37
    # --8<-- [end:penalty]

    # --8<-- [start:clean]
    clean = [noisy_digits(seed, wrong=0.0) for seed in range(4)]
    (x, y), validation, (x_test, y_test) = clean[0]
    model = build_classifier(rate=0.5, l2=0.001)
    history = model.fit(x, y, batch_size=50, epochs=15, verbose=0,
                        validation_data=validation).history
    once, twice = model(x_test), model(x_test)
    print("without training=True, equal:", np.array_equal(once, twice))
    #> without training=True, equal: True
    predicted = model.predict(x_test, verbose=0)
    print("as predict:", np.allclose(predicted, once, atol=1e-5))
    #> as predict: True
    # --8<-- [end:clean]

    # --8<-- [start:left-on]
    def accuracy(logits):
        return np.mean(np.argmax(logits, axis=1) == y_test)

    noisy_once = model(x_test, training=True)
    noisy_twice = model(x_test, training=True)
    differ = np.argmax(noisy_once, axis=1) != np.argmax(noisy_twice, axis=1)
    print("images whose class changes:", differ.mean() > 0.05)
    #> images whose class changes: True
    print(f"accuracy {accuracy(once):.3f} off, {accuracy(noisy_once):.3f} on")
    #~ accuracy 0.920 off, 0.826 on
    # --8<-- [end:left-on]

    # --8<-- [start:frozen]
    layer = keras.layers.Dropout(0.25, seed=1)
    layer.trainable = False
    print(np.round(layer(ones, training=True)[0], 3))
    #> [1.333 1.333 1.333 1.333 1.333 1.333 1.333 1.333]
    print("weights:", layer.count_params())
    #> weights: 0
    # --8<-- [end:frozen]

    # --8<-- [start:frozen-base]
    pretrained = keras.Sequential(
        [keras.Input(shape=(8,)), keras.layers.Dropout(0.5, seed=1)])
    entrance = keras.Input(shape=(8,))
    tuned = keras.Model(entrance, pretrained(entrance, training=False))
    print("written False, called True:", np.any(tuned(ones, training=True) == 0))
    #> written False, called True: True
    pretrained.layers[0].rate = 0.0
    print("with rate 0:", np.any(tuned(ones, training=True) == 0))
    #> with rate 0: False
    # --8<-- [end:frozen-base]

    # --8<-- [start:noise-shapes]
    sequence = np.ones((1, 4, 6), "float32")
    for layer in (keras.layers.Dropout(0.5, seed=1),
                  keras.layers.SpatialDropout1D(0.5, seed=1),
                  keras.layers.Dropout(
                      0.5, noise_shape=(None, 4, 1), seed=1)):
        print(np.array(layer(sequence, training=True)[0], int))
    #> [[2 0 2 0 0 0]
    #>  [0 2 0 2 0 0]
    #>  [0 0 2 0 0 0]
    #>  [0 0 0 0 2 0]]
    #> [[2 0 2 0 0 0]
    #>  [2 0 2 0 0 0]
    #>  [2 0 2 0 0 0]
    #>  [2 0 2 0 0 0]]
    #> [[2 2 2 2 2 2]
    #>  [0 0 0 0 0 0]
    #>  [2 2 2 2 2 2]
    #>  [0 0 0 0 0 0]]
    # --8<-- [end:noise-shapes]

    # --8<-- [start:pooled]
    maps = np.ones((50, 8, 8, 32), "float32")
    for layer in (keras.layers.Dropout(0.5, seed=1),
                  keras.layers.SpatialDropout2D(0.5, seed=1)):
        pooled = np.mean(layer(maps, training=True), axis=(1, 2))
        print(f"{layer.__class__.__name__}: noise {pooled.std():.2f}")
    #~ Dropout: noise 0.12
    #~ SpatialDropout2D: noise 1.00
    # --8<-- [end:pooled]

    # --8<-- [start:regularizers]
    w = keras.Variable([[0.5, -2.0], [0.0, 1.0]])
    for penalty in (keras.regularizers.L2(0.1), keras.regularizers.L1(0.1)):
        with tf.GradientTape() as tape:
            value = penalty(w)
        gradient = tape.gradient(value, w.value).numpy()
        print(f"{penalty.__class__.__name__}: {float(value):.3f},",
              "gradient", gradient.flatten())
    #> L2: 0.525, gradient [ 0.1 -0.4  0.   0.2]
    #> L1: 0.350, gradient [ 0.1 -0.1  0.   0.1]
    # --8<-- [end:regularizers]

    # --8<-- [start:model-losses]
    hidden, _, output = model.layers
    print("penalties:", len(model.losses))
    #> penalties: 2
    by_hand = [0.001 * np.sum(np.square(layer.kernel))
               for layer in (hidden, output)]
    print(np.allclose(by_hand, [float(loss) for loss in model.losses]))
    #> True
    # --8<-- [end:model-losses]

    # --8<-- [start:reported]
    penalty = float(sum(model.losses))
    x_val, y_val = validation
    print(f"val_loss {history['val_loss'][-1]:.3f} = "
          f"{float(cross_entropy(y_val, model(x_val))):.3f} cross-entropy "
          f"+ {penalty:.3f} penalty")
    #~ val_loss 0.361 = 0.226 cross-entropy + 0.136 penalty
    # --8<-- [end:reported]

    # --8<-- [start:sgd-same]
    w = random.normal(size=5).astype("float32")
    gradients = random.normal(size=(20, 5)).astype("float32")
    SGD = keras.optimizers.SGD
    for momentum in (0.0, 0.9):
        penalty = keras_steps(SGD(0.1, momentum), w, gradients, l2=0.01)
        decay = keras_steps(
            SGD(0.1, momentum, weight_decay=0.02), w, gradients)
        print(momentum, "the same:", np.allclose(penalty, decay, atol=1e-5))
    #> 0.0 the same: True
    #> 0.9 the same: False
    # --8<-- [end:sgd-same]

    # --8<-- [start:adam-same]
    adam = keras.optimizers.Adam(0.01)
    adamw = keras.optimizers.AdamW(0.01, weight_decay=0.5)
    penalty = keras_steps(adam, w, gradients, l2=0.25)
    decay = keras_steps(adamw, w, gradients)
    print(np.allclose(penalty, adam_steps(w, gradients, l2=0.25), atol=1e-5))
    #> True
    print(np.allclose(decay, adam_steps(w, gradients, decay=0.5), atol=1e-5))
    #> True
    print("penalty and decay the same:", np.allclose(penalty, decay, 0.01))
    #> penalty and decay the same: False
    # --8<-- [end:adam-same]

    # --8<-- [start:scales]
    scales = np.array([0.01, 1.0, 100.0])
    noise = np.random.default_rng(0).choice([-1, 1], (500, 1)) * scales
    start = np.ones(3)
    free = adam_steps(start, noise)
    for knobs in ({"l2": 0.1}, {"decay": 0.2}):
        moved = adam_steps(start, noise, **knobs)
        print(knobs, "took away", (free - moved).round(3))
    #~ {'l2': 0.1} took away [0.51  0.444 0.007]
    #~ {'decay': 0.2} took away [0.453 0.453 0.453]
    # --8<-- [end:scales]

    # --8<-- [start:default-decay]
    for rate, steps in ((0.001, 1000), (0.001, 100_000), (0.02, 100)):
        print(rate, steps, f"{(1 - rate * 0.004) ** steps:.3f}")
    #> 0.001 1000 0.996
    #> 0.001 100000 0.670
    #> 0.02 100 0.992
    # --8<-- [end:default-decay]

    # --8<-- [start:decays-bias]
    for names in (None, ["bias"]):
        dense = keras.layers.Dense(2, bias_initializer="ones")
        dense.build((None, 3))
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=1.0)
        optimizer.exclude_from_weight_decay(var_names=names)
        no_gradient = [ops.zeros_like(v) for v in dense.variables]
        optimizer.apply(no_gradient, dense.variables)
        print("bias after a step without gradient:", dense.bias.numpy())
    #> bias after a step without gradient: [0.9 0.9]
    #> bias after a step without gradient: [1. 1.]
    # --8<-- [end:decays-bias]

    # --8<-- [start:batch-norm]
    x = np.random.default_rng(0).normal(size=(2000, 4)).astype("float32")
    dropout = keras.layers.Dropout(0.5, seed=1)
    norm = keras.layers.BatchNormalization(momentum=0.8)
    for _ in range(40):
        seen = norm(dropout(x, training=True), training=True)
    print(f"standard deviation in training {np.std(seen):.2f}, "
          f"in inference {np.std(norm(dropout(x))):.2f}")
    #~ standard deviation in training 1.00, in inference 0.71
    # --8<-- [end:batch-norm]

    # --8<-- [start:settings]
    methods = {
        "none": [{}],
        "dropout": [{"rate": rate} for rate in (0.25, 0.5, 0.75)],
        "L2": [{"l2": l2} for l2 in (0.001, 0.004, 0.016)],
        "L1": [{"l1": l1} for l1 in (0.001, 0.003, 0.009)],
        "AdamW": [{"decay": decay} for decay in (1.0, 3.0, 9.0)],
    }
    # --8<-- [end:settings]

    # --8<-- [start:experiment]
    results, kernels = {}, {}
    for labels, splits in (("clean", clean), ("noisy", noisy)):
        for name, settings in methods.items():
            curves = []
            for setting in settings:
                curves.append([run(lab, data, seed, **setting)
                               for seed, data in enumerate(splits)])
                kernels[labels, name] = lab.hidden.kernel.numpy()
            results[labels, name] = np.array(curves)
    print(results["noisy", "L2"].shape)
    #> (3, 4, 11, 3, 2)
    # --8<-- [end:experiment]

    # --8<-- [start:strengths]
    print("              clean       noisy")
    #>               clean       noisy
    print("     strength val   test  val   test")
    #>      strength val   test  val   test
    for name, settings in methods.items():
        for k, setting in enumerate(settings):
            end = [results[labels, name][k, :, -1, part, 1].mean()
                   for labels in ("clean", "noisy") for part in (1, 2)]
            print(f"{name:8}{sum(setting.values()):5.3f}",
                  *(f"{value:5.3f}" for value in end))
    #~ none    0.000 0.939 0.938 0.456 0.658
    #~ dropout 0.250 0.948 0.948 0.532 0.753
    #~ dropout 0.500 0.944 0.946 0.569 0.808
    #~ dropout 0.750 0.938 0.935 0.591 0.841
    #~ L2      0.001 0.944 0.948 0.492 0.706
    #~ L2      0.004 0.939 0.945 0.573 0.814
    #~ L2      0.016 0.928 0.924 0.608 0.870
    #~ L1      0.001 0.942 0.939 0.511 0.710
    #~ L1      0.003 0.932 0.930 0.572 0.810
    #~ L1      0.009 0.913 0.908 0.592 0.838
    #~ AdamW   1.000 0.946 0.945 0.523 0.742
    #~ AdamW   3.000 0.933 0.939 0.587 0.829
    #~ AdamW   9.000 0.880 0.880 0.606 0.857
    # --8<-- [end:strengths]

    # --8<-- [start:choose]
    def chosen(labels, name):
        """Of each seed, the curve that is best on its validation set."""
        curves = results[labels, name]
        best = curves[:, :, -1, 1, 1].argmax(axis=0)
        return curves[best, range(4)]

    def stopped(curves):
        """Test accuracy where the validation loss is smallest."""
        best = curves[:, :, 1, 0].argmin(axis=1)
        return curves[range(4), best, 2, 1]
    # --8<-- [end:choose]

    # --8<-- [start:table]
    for labels in ("clean", "noisy"):
        base = chosen(labels, "none")[:, -1, 2, 1]
        print(f"{labels:7} epoch 100   gain        stopped early")
        for name in methods:
            curves = chosen(labels, name)
            last = curves[:, -1, 2, 1]
            print(f"{name:7}", mean_and_error(last),
                  mean_and_error(last - base),
                  mean_and_error(stopped(curves)))
    #~ clean   epoch 100   gain        stopped early
    #~ none    0.938±0.003 0.000±0.000 0.938±0.003
    #~ dropout 0.947±0.003 0.009±0.001 0.946±0.002
    #~ L2      0.949±0.002 0.011±0.001 0.947±0.001
    #~ L1      0.939±0.001 0.001±0.002 0.939±0.004
    #~ AdamW   0.945±0.003 0.007±0.001 0.945±0.003
    #~ noisy   epoch 100   gain        stopped early
    #~ none    0.658±0.015 0.000±0.000 0.861±0.013
    #~ dropout 0.841±0.008 0.183±0.016 0.853±0.005
    #~ L2      0.870±0.011 0.212±0.018 0.871±0.010
    #~ L1      0.837±0.013 0.179±0.018 0.840±0.007
    #~ AdamW   0.855±0.010 0.197±0.014 0.862±0.014
    # --8<-- [end:table]

    # --8<-- [start:curves-figure]
    figure, panels = plt.subplots(
        2, 1, num="methods", figsize=(5, 6), sharex=True)
    for panel, labels in zip(panels, ("clean", "noisy")):
        for name, style in zip(methods, ("k-", "-", "--", "-.", ":")):
            test = chosen(labels, name)[:, :, 2, 1].mean(axis=0)
            panel.plot(epochs, test, style, label=name)
        panel.set(title=f"{labels} labels", ylabel="test accuracy")
    panels[0].set(ylim=(0.85, 0.97))
    panels[0].legend(ncols=2, loc="lower right")
    panels[1].set(xlabel="epoch", ylim=(0.6, 0.92))
    plt.show()
    # --8<-- [end:curves-figure]

    # --8<-- [start:sparse]
    images, _ = noisy[3][0]
    blank = np.all(np.array(images) == 0, axis=0)
    print("pixels that are always blank:", blank.sum())
    #> pixels that are always blank: 4
    for name in methods:
        kernel = kernels["noisy", name]
        size = np.abs(kernel)
        print(f"{name:8}{np.mean(size < 0.001):.2f} {np.mean(size < 0.01):.2f}"
              f" {np.sum(size == 0):2} {np.sum(kernel ** 2):7.1f}"
              f" {np.sum(kernel[blank] ** 2):4.1f}")
    #~ none    0.00 0.02  0  1067.6  4.2
    #~ dropout 0.00 0.04  0   304.4  4.2
    #~ L2      0.22 0.44  0    13.7  0.0
    #~ L1      0.27 0.96  0    21.1  0.0
    #~ AdamW   0.24 0.27  0    28.4  0.0
    gone = np.sum(size.max(axis=0) < 0.001)
    print("AdamW switched off more than 5 whole units:", gone > 5)
    #> AdamW switched off more than 5 whole units: True
    # --8<-- [end:sparse]

    # --8<-- [start:keep-prob]
    for rate in (0.1, 0.9):
        y = np.array(keras.layers.Dropout(rate, seed=0)(
            np.ones(10_000, "float32"), training=True))
        print(f"rate {rate}: {np.mean(y > 0):.2f} kept, times {y.max():.1f}")
    #~ rate 0.1: 0.90 kept, times 1.1
    #~ rate 0.9: 0.10 kept, times 10.0
    # --8<-- [end:keep-prob]

    # --8<-- [start:on-output]
    probabilities = ops.softmax(model(x_test))
    plain = keras.losses.SparseCategoricalCrossentropy()
    dropped = keras.layers.Dropout(0.5, seed=0)(probabilities, training=True)
    print(f"loss {float(plain(y_test, probabilities)):.2f}, "
          f"with dropout on the output {float(plain(y_test, dropped)):.2f}")
    #~ loss 0.27, with dropout on the output 6.80
    # --8<-- [end:on-output]

    # --8<-- [start:own-loop]
    x, y = clean[0][0]

    def gradient_of(training, penalties):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=training))
            if penalties:
                loss += sum(model.losses)
        return tape.gradient(loss, hidden.kernel.value).numpy()

    with tf.GradientTape() as tape:
        loss = cross_entropy(y, model(x))
    forgotten = tape.gradient(loss, hidden.kernel.value).numpy()
    print("as without dropout and L2:",
          np.allclose(forgotten, gradient_of(False, False)))
    #> as without dropout and L2: True
    print("as fit computes it:",
          np.allclose(forgotten, gradient_of(True, True)))
    #> as fit computes it: False
    missing = gradient_of(False, True) - forgotten
    print("missing:", np.allclose(missing, 0.002 * hidden.kernel, atol=1e-6))
    #> missing: True
    # --8<-- [end:own-loop]

    # --8<-- [start:training-worse]
    worse = np.array(history["accuracy"]) < history["val_accuracy"]
    print("training looks worse in most epochs:", worse.sum() > 10)
    #> training looks worse in most epochs: True
    honest = model.evaluate(x, y, verbose=0)
    print(f"fit: {history['loss'][-1]:.2f} {history['accuracy'][-1]:.2f}, "
          f"evaluate: {honest[0]:.2f} {honest[1]:.2f}")
    #~ fit: 0.47 0.90, evaluate: 0.29 0.97
    # --8<-- [end:training-worse]

    # --8<-- [start:underfit]
    narrow = Lab(units=8)
    for rate in (0.0, 0.5):
        end = [run(narrow, clean[seed], seed, rate)[-1, :, 1]
               for seed in range(4)]
        train, _, test = np.transpose(end)
        print(f"{rate:.2f}  training {mean_and_error(train)}"
              f"  test {mean_and_error(test)}")
    #~ 0.00  training 0.993±0.004  test 0.895±0.012
    #~ 0.50  training 0.871±0.049  test 0.772±0.045
    # --8<-- [end:underfit]

    # --8<-- [start:solution-1]
    rate, n, x = 0.8, 100, 1.0
    variance = n * x ** 2 * rate / (1 - rate)
    print("by formula:", round(variance ** 0.5, 1))
    #> by formula: 20.0
    layer = keras.layers.Dropout(rate, seed=0)
    sums = np.sum(layer(np.ones((5000, n), "float32"), training=True), axis=1)
    print(f"measured: mean {sums.mean():.1f}, deviation {sums.std():.1f}")
    #~ measured: mean 100.0, deviation 19.9
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    keras.utils.set_random_seed(1)
    passes = np.array([ops.softmax(model(x_test, training=True))
                       for _ in range(50)])
    mean = passes.mean(axis=0)
    right = mean.argmax(axis=1) == np.array(y_test)
    spread = passes.std(axis=0)[range(1000), mean.argmax(axis=1)]
    single = [accuracy(one) for one in passes]
    print(f"one pass {np.mean(single):.3f}, mean of 50 {accuracy(mean):.3f}, "
          f"dropout off {accuracy(once):.3f}")
    #~ one pass 0.840, mean of 50 0.912, dropout off 0.920
    print(f"spread where right {spread[right].mean():.2f}, "
          f"where wrong {spread[~right].mean():.2f}")
    #~ spread where right 0.18, where wrong 0.24
    probability = np.max(ops.softmax(once), axis=1)
    for name, order in (("spread", np.argsort(spread)),
                        ("probability", np.argsort(-probability))):
        half, most = right[order[:500]], right[order[:800]]
        print(f"surest by {name}: 50% {half.mean():.3f},"
              f" 80% {most.mean():.3f}")
    #~ surest by spread: 50% 0.990, 80% 0.939
    #~ surest by probability: 50% 1.000, 80% 0.985
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    x = np.ones((2, 3, 8), "float32")
    print(np.array(MaskPerSample(0.5)(x, training=True)).std(axis=1).max())
    #> 0.0
    print(np.array_equal(MaskPerSample(0.5)(x), x))
    #> True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    rate, lam = 0.1, 0.0005
    paper = w - rate * (gradients[0] + lam * w)
    penalty = keras_steps(SGD(rate), w, gradients[:1], l2=lam / 2)
    decoupled = keras_steps(
        SGD(rate, weight_decay=lam), w, gradients[:1])
    print(np.allclose(paper, penalty), np.allclose(paper, decoupled))
    #> True True
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    x_test, y_test = noisy[3][2]
    for name, knobs in {"L1": {"l1": 0.009}, "L2": {"l2": 0.016}}.items():
        run(lab, noisy[3], 3, **knobs)
        before = judge(lab, noisy[3])[2, 1]
        cut = np.quantile(np.abs(lab.hidden.kernel), 0.8)
        small = np.abs(lab.hidden.kernel) < cut
        lab.hidden.kernel.assign(
            ops.where(small, 0.0, lab.hidden.kernel))
        after = judge(lab, noisy[3])[2, 1]
        print(f"{name}: {before:.3f}, with 80% of the weights zero "
              f"{after:.3f}")
    #~ L1: 0.856, with 80% of the weights zero 0.854
    #~ L2: 0.893, with 80% of the weights zero 0.872
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
