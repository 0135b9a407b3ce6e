"""Batch normalization: one layer that computes in two ways.

The lesson trains a small convolutional network with it, builds the layer in
NumPy, equal to Keras', follows its moving statistics until inference works,
freezes it, sets layer normalization beside it, and measures on digits what
both do for deep networks.
"""

# --8<-- [start:imports]
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

numpy = keras.ops.convert_to_numpy
# --8<-- [end:imports]


# --8<-- [start:build]
def build(normalize=True, momentum=0.9, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape=(8, 8, 1))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, padding="same",
                                use_bias=not normalize))
        if normalize:
            model.add(layers.BatchNormalization(momentum=momentum))
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    model.compile(
        optimizer=keras.optimizers.Adam(0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:numpy]
def bn_training(x, gamma, beta, epsilon=1e-3):
    """Normalize each column of x with the statistics of this batch."""
    mean, variance = x.mean(axis=0), x.var(axis=0)  # divided by m
    x_hat = (x - mean) / np.sqrt(variance + epsilon)
    return gamma * x_hat + beta, mean, variance


def bn_move(moving, batch, momentum=0.99):
    return momentum * moving + (1 - momentum) * batch


def bn_inference(x, gamma, beta, mean, variance, epsilon=1e-3):
    """Normalize with stored statistics: each row by itself."""
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
# --8<-- [end:numpy]


# --8<-- [start:recalibrate]
def norms_of(model):
    """All batch normalizations, those of nested models too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from norms_of(layer)
        elif isinstance(layer, layers.BatchNormalization):
            yield layer


def recalibrate(model, x):
    """Set the moving statistics to those of x, in one forward pass."""
    momenta = {norm: norm.momentum for norm in norms_of(model)}
    for norm in momenta:
        norm.momentum = 0.0                # keep nothing of the old value
    model(x, training=True)
    for norm, momentum in momenta.items():
        norm.momentum = momentum
# --8<-- [end:recalibrate]


# --8<-- [start:layer-norm]
def layer_norm(x, gamma, beta, epsilon=1e-3):
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
# --8<-- [end:layer-norm]


# --8<-- [start:deep]
def deep(activation, normalization=None, learning_rate=0.001, seed=0):
    """Six hidden layers of 32 units on rows of 64 pixels."""
    keras.utils.set_random_seed(seed)
    initializer = "he_normal" if activation == "relu" else "glorot_uniform"
    model = keras.Sequential([keras.Input(shape=(8, 8, 1)),
                              layers.Flatten()])
    for _ in range(6):
        model.add(layers.Dense(32, kernel_initializer=initializer))
        if normalization == "batch":
            model.add(layers.BatchNormalization(momentum=0.9))
        elif normalization == "layer":
            model.add(layers.LayerNormalization())
        model.add(layers.Activation(activation))
    model.add(layers.Dense(10))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:deep]


def main():
    # --8<-- [start:load]
    digits = load_digits()
    images = (digits.images / 16).astype("float32")[..., None]
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=360, stratify=digits.target,
        random_state=0)
    print(len(images), "images:", x_train.shape, x_test.shape)
    #> 1797 images: (1437, 8, 8, 1) (360, 8, 8, 1)
    # --8<-- [end:load]

    # --8<-- [start:fit]
    model = build()
    before = model.evaluate(x_test, y_test, verbose=0)[1]
    log = model.fit(x_train, y_train, epochs=5, verbose=0,
                    validation_data=(x_test, y_test)).history
    for epoch in range(5):
        print(f"Epoch {epoch + 1}/5",
              *(f"- {name}: {log[name][epoch]:.2f}"
                for name in ("accuracy", "loss", "val_accuracy", "val_loss")))
    #~ Epoch 1/5 - accuracy: 0.65 - loss: 1.27 - val_accuracy: 0.86 - val_loss: 0.81
    #~ Epoch 2/5 - accuracy: 0.94 - loss: 0.37 - val_accuracy: 0.95 - val_loss: 0.29
    #~ Epoch 3/5 - accuracy: 0.97 - loss: 0.20 - val_accuracy: 0.96 - val_loss: 0.20
    #~ Epoch 4/5 - accuracy: 0.99 - loss: 0.13 - val_accuracy: 0.98 - val_loss: 0.16
    #~ Epoch 5/5 - accuracy: 0.99 - loss: 0.10 - val_accuracy: 0.98 - val_loss: 0.13
    print(f"before {before:.2f}, after {log['val_accuracy'][-1]:.2f}")
    #~ before 0.08, after 0.98
    # --8<-- [end:fit]

    # --8<-- [start:without]
    plain = build(normalize=False).fit(
        x_train, y_train, epochs=5, verbose=0,
        validation_data=(x_test, y_test)).history["val_accuracy"]
    for name, run in (("with", log["val_accuracy"]), ("without", plain)):
        print(f"{name:8}", *(f"{accuracy:.2f}" for accuracy in run))
    #~ with     0.86 0.95 0.96 0.98 0.98
    #~ without  0.80 0.84 0.90 0.92 0.93
    # --8<-- [end:without]

    # --8<-- [start:layer]
    norm = layers.BatchNormalization()
    norm.build((None, 3))
    for weight in norm.weights:
        print(weight.name, weight.shape, numpy(weight),
              "trainable" if weight.trainable else "not trainable")
    #> gamma (3,) [1. 1. 1.] trainable
    #> beta (3,) [0. 0. 0.] trainable
    #> moving_mean (3,) [0. 0. 0.] not trainable
    #> moving_variance (3,) [1. 1. 1.] not trainable
    # --8<-- [end:layer]

    # --8<-- [start:two-modes]
    random = np.random.default_rng(0)
    x = random.normal([5, -2, 0], [1, 10, 0.01], size=(64, 3))
    x = x.astype("float32")
    print("variance of the input", x.var(axis=0).round(2))
    #~ variance of the input [ 1.13 74.23  0.  ]
    for name, y in (("input", x),
                    ("training", numpy(norm(x, training=True))),
                    ("inference", numpy(norm(x, training=False)))):
        print(f"{name:10} mean {y.mean(axis=0).round(2) + 0}",
              f"std {y.std(axis=0).round(2)}")
    #~ input      mean [ 4.82 -1.61  0.  ] std [1.06 8.62 0.01]
    #~ training   mean [0. 0. 0.] std [1.   1.   0.28]
    #~ inference  mean [ 4.77 -1.21  0.  ] std [1.06 6.54 0.01]
    print("moving mean    ", numpy(norm.moving_mean).round(2))
    #~ moving mean     [ 0.05 -0.02  0.  ]
    print("moving variance", numpy(norm.moving_variance).round(2))
    #~ moving variance [1.   1.73 0.99]
    # --8<-- [end:two-modes]

    # --8<-- [start:compare]
    norm = layers.BatchNormalization()
    norm.build((None, 3))
    gamma, beta = np.array([1.0, 2.0, 0.5]), np.array([0.0, -1.0, 3.0])
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    mean, variance, apart = np.zeros(3), np.ones(3), 0.0
    for _ in range(50):
        x = random.normal([5, -2, 0], [1, 10, 0.1], size=(16, 3))
        ours, batch_mean, batch_variance = bn_training(x, gamma, beta)
        mean = bn_move(mean, batch_mean)
        variance = bn_move(variance, batch_variance)
        theirs = numpy(norm(x.astype("float32"), training=True))
        apart = max(apart, np.abs(ours - theirs).max())
    print("training agrees:", apart < 1e-4)
    #> training agrees: True
    ours = bn_inference(x, gamma, beta, mean, variance)
    theirs = numpy(norm(x.astype("float32"), training=False))
    print("inference agrees:", np.allclose(ours, theirs, atol=1e-4))
    #> inference agrees: True
    print("moving mean", numpy(norm.moving_mean).round(2) + 0)
    #~ moving mean [ 1.94 -0.61  0.  ]
    # --8<-- [end:compare]

    # --8<-- [start:invariant]
    norm = layers.BatchNormalization()
    z = random.normal(size=(64, 3)).astype("float32")
    plain = numpy(norm(z, training=True))
    for name, changed in (("z + 5", z + 5), ("10 z", 10 * z)):
        apart = np.abs(numpy(norm(changed, training=True)) - plain).max()
        print(f"{name:6} changes the output by at most {apart:.4f}")
    #~ z + 5  changes the output by at most 0.0000
    #~ 10 z   changes the output by at most 0.0016
    # --8<-- [end:invariant]

    # --8<-- [start:few-steps]
    slow, fast = build(momentum=0.99), build(momentum=0.9)
    for name, model in (("0.99", slow), ("0.9", fast)):
        log = model.fit(x_train, y_train, batch_size=64, epochs=5, verbose=0,
                        validation_data=(x_test, y_test)).history
        for value in ("accuracy", "val_accuracy"):
            print(f"momentum {name:4} {value:12}",
                  *(f"{number:.2f}" for number in log[value]))
    #~ momentum 0.99 accuracy     0.51 0.89 0.95 0.97 0.98
    #~ momentum 0.99 val_accuracy 0.19 0.28 0.34 0.34 0.33
    #~ momentum 0.9  accuracy     0.51 0.89 0.95 0.97 0.98
    #~ momentum 0.9  val_accuracy 0.36 0.88 0.95 0.96 0.97
    # --8<-- [end:few-steps]

    # --8<-- [start:same-weights]
    same = [np.array_equal(numpy(a), numpy(b)) for a, b in
            zip(slow.trainable_variables, fast.trainable_variables)]
    print("the same trained weights:", all(same))
    #> the same trained weights: True
    # --8<-- [end:same-weights]

    # --8<-- [start:cure]
    recalibrate(slow, x_train)
    print(f"{slow.evaluate(x_test, y_test, verbose=0)[1]:.2f}")
    #~ 0.97
    # --8<-- [end:cure]

    # --8<-- [start:momentum]
    for momentum in (0.9, 0.99, 0.999):
        left = [f"{momentum ** steps:.2f}" for steps in (10, 100, 500)]
        print(f"momentum {momentum:<5}: after 10, 100, 500 steps", *left)
    #> momentum 0.9  : after 10, 100, 500 steps 0.35 0.00 0.00
    #> momentum 0.99 : after 10, 100, 500 steps 0.90 0.37 0.01
    #> momentum 0.999: after 10, 100, 500 steps 0.99 0.90 0.61
    # --8<-- [end:momentum]

    # --8<-- [start:convolution]
    maps = random.normal(size=(32, 8, 8, 16)).astype("float32")
    norm = layers.BatchNormalization()
    y = numpy(norm(maps, training=True))
    ours = (maps - maps.mean(axis=(0, 1, 2))) / np.sqrt(
        maps.var(axis=(0, 1, 2)) + 1e-3)
    print(norm.gamma.shape, np.allclose(y, ours, atol=1e-4))
    #> (16,) True
    # --8<-- [end:convolution]

    # --8<-- [start:layer-norm-compare]
    x = random.normal(3, 2, size=(4, 10, 6)).astype("float32")
    norm = layers.LayerNormalization()
    y = numpy(norm(x))
    print("same as Keras:",
          np.allclose(layer_norm(x, np.ones(6), np.zeros(6)), y, atol=1e-4))
    #> same as Keras: True
    print("one example, alone or in a batch:",
          np.allclose(numpy(norm(x[:1])), y[:1], atol=1e-5))
    #> one example, alone or in a batch: True
    # --8<-- [end:layer-norm-compare]

    # --8<-- [start:freeze]
    norm = layers.BatchNormalization()
    norm.trainable = False
    x = random.normal(5, 2, size=(64, 3)).astype("float32")
    y = numpy(norm(x, training=True))
    print("mean of the output:", y.mean().round(1))
    #~ mean of the output: 4.9
    print("moving mean:", numpy(norm.moving_mean))
    #> moving mean: [0. 0. 0.]
    # --8<-- [end:freeze]

    # --8<-- [start:fine-tune]
    inputs = keras.Input(shape=(8, 8, 1))
    outputs = layers.Dense(10)(fast(inputs, training=False))
    tuned = keras.Model(inputs, outputs)
    for frozen in (False, True):
        for norm in norms_of(tuned):
            norm.trainable = not frozen
        tuned.compile(optimizer="adam", loss="mse")
        before = [numpy(norm.moving_mean) for norm in norms_of(tuned)]
        tuned.fit(x_train[:64], np.zeros((64, 10)), verbose=0)
        after = [numpy(norm.moving_mean) for norm in norms_of(tuned)]
        print("frozen:", frozen, "- moved:",
              not all(map(np.array_equal, before, after)))
    #> frozen: False - moved: True
    #> frozen: True - moved: False
    # --8<-- [end:fine-tune]

    # --8<-- [start:measure]
    networks, curves = {}, {}
    for activation, normalization in (
            ("sigmoid", None), ("sigmoid", "layer"), ("sigmoid", "batch"),
            ("relu", None), ("relu", "batch")):
        name = f"{activation}, {normalization or 'no'} norm"
        networks[name] = deep(activation, normalization)
        curves[name] = networks[name].fit(
            x_train, y_train, epochs=10, verbose=0,
            validation_data=(x_test, y_test)).history["val_accuracy"]
        print(f"{name:20} after 3 epochs {curves[name][2]:.2f},"
              f" after 10 {curves[name][-1]:.2f}")
    #~ sigmoid, no norm     after 3 epochs 0.10, after 10 0.21
    #~ sigmoid, layer norm  after 3 epochs 0.66, after 10 0.95
    #~ sigmoid, batch norm  after 3 epochs 0.89, after 10 0.97
    #~ relu, no norm        after 3 epochs 0.84, after 10 0.95
    #~ relu, batch norm     after 3 epochs 0.77, after 10 0.92
    # --8<-- [end:measure]

    # --8<-- [start:draw-measure]
    figure, axes = plt.subplots(num="measured", figsize=(5, 3),
                                layout="constrained")
    for (name, accuracies), style in zip(
            curves.items(), (":", "-.", "-", "--", "-")):
        axes.plot(range(1, 11), accuracies, style, label=name)
    axes.set(xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
    axes.legend(fontsize="small")
    plt.show()
    # --8<-- [end:draw-measure]

    # --8<-- [start:training-true]
    model = networks["sigmoid, batch norm"]
    before = numpy(model.layers[2].moving_mean)
    for size in (32, 4, 2, 1):
        answers = np.concatenate([
            numpy(model(x_test[i:i + size], training=True)).argmax(axis=1)
            for i in range(0, 32, size)])
        print(f"batches of {size:2}: right",
              f"{np.mean(answers == y_test[:32]):.2f},",
              "different answers", len(set(answers)))
    #~ batches of 32: right 0.97, different answers 10
    #~ batches of  4: right 0.78, different answers 10
    #~ batches of  2: right 0.47, different answers 8
    #~ batches of  1: right 0.19, different answers 1
    print("the model has changed:",
          not np.array_equal(before, numpy(model.layers[2].moving_mean)))
    #> the model has changed: True
    # --8<-- [end:training-true]

    # --8<-- [start:small-batches]
    norm = layers.BatchNormalization()
    norm.build((None, 4))
    norm.beta.assign([1.0, 2.0, 3.0, 4.0])
    x = np.array([[310, -20, 7, 5.5], [-90, 44, 3, 9.5]], "float32")
    print("one:", numpy(norm(x[:1], training=True)))
    #> one: [[1. 2. 3. 4.]]
    print("two, without beta:")
    #> two, without beta:
    print(numpy(norm(x, training=True) - norm.beta).round(2))
    #> [[ 1. -1.  1. -1.]
    #>  [-1.  1. -1.  1.]]
    print("left for the last batch of 4:", len(x_train) % 4)
    #> left for the last batch of 4: 1
    # --8<-- [end:small-batches]

    # --8<-- [start:own-loop]
    for arguments in ({}, {"training": True}):
        norm = layers.BatchNormalization()
        y = numpy(norm(x, **arguments))
        print(arguments, "moved:", bool(numpy(norm.moving_mean).any()),
              "first row:", y[0].round(1))
    #> {} moved: False first row: [309.8 -20.    7.    5.5]
    #> {'training': True} moved: True first row: [ 1. -1.  1. -1.]
    # --8<-- [end:own-loop]

    # --8<-- [start:wrong-axis]
    loud = maps * np.geomspace(0.1, 10, 16, dtype="float32")
    first = np.moveaxis(loud, -1, 1)       # (32, 16, 8, 8)
    for axis in (-1, 1):
        norm = layers.BatchNormalization(axis=axis)
        std = numpy(norm(first, training=True)).std(axis=(0, 2, 3))
        print(f"axis {axis:2}, gamma {norm.gamma.shape}: std of a channel",
              f"{std.min():.2f} to {std.max():.2f}")
    #~ axis -1, gamma (8,): std of a channel 0.03 to 2.71
    #~ axis  1, gamma (16,): std of a channel 0.95 to 1.00
    # --8<-- [end:wrong-axis]

    # --8<-- [start:solution-1]
    for momentum in (0.9, 0.99, 0.999):
        print(momentum, int(np.ceil(np.log(0.01) / np.log(momentum))))
    #> 0.9 44
    #> 0.99 459
    #> 0.999 4603
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    dense, norm = networks["relu, batch norm"].layers[1:3]
    scale = norm.gamma / keras.ops.sqrt(norm.moving_variance + norm.epsilon)
    folded = layers.Dense(32)
    folded.build((None, 64))
    folded.kernel.assign(dense.kernel * scale)
    folded.bias.assign(norm.beta + (dense.bias - norm.moving_mean) * scale)
    rows = x_test.reshape(-1, 64)
    print("one layer does the work of two:", np.allclose(
        numpy(folded(rows)), numpy(norm(dense(rows))), atol=1e-4))
    #> one layer does the work of two: True
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    for size in (2, 4, 64):
        norm = layers.BatchNormalization(momentum=0.9)
        for _ in range(60):
            x = random.normal(size=(size, 500)).astype("float32")
            norm(x, training=True)
        print(f"batches of {size:2}: moving variance",
              f"{numpy(norm.moving_variance).mean():.2f}")
    #~ batches of  2: moving variance 0.50
    #~ batches of  4: moving variance 0.75
    #~ batches of 64: moving variance 0.98
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    one = maps[:1]
    y = numpy(layers.GroupNormalization(groups=1)(one))
    ours = (one - one.mean()) / np.sqrt(one.var() + 1e-3)
    print("one group, one mean for the whole image:",
          np.allclose(ours, y, atol=1e-4))
    #> one group, one mean for the whole image: True
    y = numpy(layers.GroupNormalization(groups=16)(one))
    ours = numpy(layers.BatchNormalization()(one, training=True))
    print("16 groups, batch norm of a batch of one:",
          np.allclose(ours, y, atol=1e-4))
    #> 16 groups, batch norm of a batch of one: True
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
