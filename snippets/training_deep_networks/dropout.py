"""Dropout, and its relatives L1, L2, weight decay and early stopping.

The lesson trains a network that memorizes wrong labels, and the same network
with dropout; writes the layer in NumPy and proves it equal to Keras'; sets L2
beside weight decay; and measures what each of them buys.
"""

# --8<-- [start:imports]
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:data]
def noisy_digits(seed, wrong=0.3):
    """400 images to train and 200 to validate with wrong labels, 1197 to test."""
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=600,
        stratify=digits.target, random_state=seed)
    random = np.random.default_rng(seed)
    hit = random.random(600) < wrong
    y = np.where(hit, (y + random.integers(1, 10, 600)) % 10, y)
    return (x[:400], y[:400]), (x[400:], y[400:]), (x_test, y_test)
# --8<-- [end:data]


# --8<-- [start:build]
def build(rate, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dropout(rate),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dropout(rate),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:from-scratch]
def dropout(x, rate, keep):
    """Inverted dropout; `keep` is True where a number stays."""
    return np.where(keep, x / (1 - rate), 0.0)
# --8<-- [end:from-scratch]


# --8<-- [start:pulled]
signs = np.random.default_rng(0).choice([-1, 1], size=(100, 1))
gradients = (signs * [0.01, 1.0, 100.0]).astype("float32")


def trained(optimizer, l2=0.0):
    """Three weights, from 1, after 100 steps of those gradients."""
    w = keras.Variable([1.0, 1.0, 1.0])
    for gradient in gradients:
        optimizer.apply([gradient + 2 * l2 * w], [w])
    return keras.ops.convert_to_numpy(w)
# --8<-- [end:pulled]


# --8<-- [start:always]
@keras.saving.register_keras_serializable()
class AlwaysDropout(keras.layers.Dropout):
    """Dropout that stays on in `predict` and `evaluate`."""
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)
# --8<-- [end:always]


# --8<-- [start:solution-3-class]
@keras.saving.register_keras_serializable()
class ChannelDropout(keras.layers.Layer):
    """One mask for all steps of an example, another for each example."""
    def __init__(self, rate, **options):
        super().__init__(**options)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()
    def call(self, inputs, training=False):
        if not training:
            return inputs
        batch, _, channels = keras.ops.shape(inputs)
        noise = keras.random.uniform(
            (batch, 1, channels), seed=self.seed_generator)
        return keras.ops.where(
            noise >= self.rate, inputs / (1 - self.rate), 0.0)
# --8<-- [end:solution-3-class]


def main():
    # --8<-- [start:load]
    train, validation, test = noisy_digits(seed=0)
    right = noisy_digits(seed=0, wrong=0.0)[0][1]
    print("wrong training labels:", np.sum(train[1] != right), "of 400")
    #> wrong training labels: 105 of 400
    # --8<-- [end:load]

    # --8<-- [start:without]
    without = build(rate=0.0)
    log = without.fit(*train, epochs=25, validation_data=validation,
                      verbose=0).history
    for epoch in (1, 2, 6, 15, 25):
        print(f"Epoch {epoch}/25", *(
            f"- {name}: {values[epoch - 1]:.2f}"
            for name, values in log.items()))
    #~ Epoch 1/25 - accuracy: 0.27 - loss: 2.17 - val_accuracy: 0.50 - val_loss: 2.00
    #~ Epoch 2/25 - accuracy: 0.63 - loss: 1.79 - val_accuracy: 0.63 - val_loss: 1.68
    #~ Epoch 6/25 - accuracy: 0.70 - loss: 1.18 - val_accuracy: 0.69 - val_loss: 1.42
    #~ Epoch 15/25 - accuracy: 0.75 - loss: 0.83 - val_accuracy: 0.68 - val_loss: 1.54
    #~ Epoch 25/25 - accuracy: 0.85 - loss: 0.50 - val_accuracy: 0.63 - val_loss: 1.81
    # --8<-- [end:without]

    # --8<-- [start:with]
    model = build(rate=0.5)
    log_dropout = model.fit(*train, epochs=25, validation_data=validation,
                            verbose=0).history
    for name, trained_model in (("without", without), ("with", model)):
        accuracy = trained_model.evaluate(*test, verbose=0)[1]
        print(f"test accuracy {name} dropout: {accuracy:.2f}")
    #~ test accuracy without dropout: 0.82
    #~ test accuracy with dropout: 0.91
    # --8<-- [end:with]

    # --8<-- [start:curves]
    figure, panels = plt.subplots(
        1, 2, num="learning-curves", figsize=(5, 3), sharey=True)
    for panel, title, history in zip(
            panels, ("rate 0", "rate 0.5"), (log, log_dropout)):
        panel.plot(range(1, 26), history["accuracy"], label="training")
        panel.plot(range(1, 26), history["val_accuracy"], "--",
                   label="validation")
        panel.set(title=title, xlabel="epoch", ylim=(0, 1))

    panels[0].set_ylabel("accuracy")
    panels[0].legend(loc="lower right")
    plt.show()
    # --8<-- [end:curves]

    # --8<-- [start:layer]
    ones = np.ones((2, 8), "float32")
    layer = keras.layers.Dropout(0.25, seed=1)
    print(np.round(layer(ones, training=True), 3))
    #> [[1.333 1.333 1.333 1.333 1.333 1.333 1.333 1.333]
    #>  [0.    1.333 0.    1.333 1.333 0.    1.333 1.333]]
    print(np.array_equal(layer(ones), ones))
    #> True
    # --8<-- [end:layer]

    # --8<-- [start:same]
    random = np.random.default_rng(0)
    for shape in ((7, 5), (3, 4, 6), (2, 3, 3, 8)):
        x = random.normal(size=shape).astype("float32")
        mask = keras.layers.Dropout(0.3, seed=1)
        keep = keras.ops.convert_to_numpy(
            mask(np.ones(shape, "float32"), training=True)) > 0
        by_keras = keras.layers.Dropout(0.3, seed=1)(x, training=True)
        print(shape, np.allclose(by_keras, dropout(x, 0.3, keep)))
    #> (7, 5) True
    #> (3, 4, 6) True
    #> (2, 3, 3, 8) True
    # --8<-- [end:same]

    # --8<-- [start:statistics]
    x, p = 3.0, 0.25
    y = keras.ops.convert_to_numpy(keras.layers.Dropout(p, seed=3)(
        np.full(1_000_000, x, "float32"), training=True))
    print(f"mean {y.mean():.2f}, variance {y.var():.2f}")
    #~ mean 3.00, variance 3.00
    print("formula:", x, x ** 2 * p / (1 - p))
    #> formula: 3.0 3.0
    # --8<-- [end:statistics]

    # --8<-- [start:penalty]
    X, w = random.normal(size=(50, 4)), np.array([2, -1, 0.5, 0])
    t, p = X @ w + random.normal(size=50), 0.3
    keep = random.random((50_000, 50, 4)) >= p
    averaged = np.mean((dropout(X, p, keep) @ w - t) ** 2)
    penalty = p / (1 - p) * np.sum(w ** 2 * np.mean(X ** 2, axis=0))
    plain = np.mean((X @ w - t) ** 2)
    print(f"averaged over masks {averaged:.1f}, "
          f"plain {plain:.1f} + penalty {penalty:.1f}")
    #~ averaged over masks 3.7, plain 1.2 + penalty 2.5
    # --8<-- [end:penalty]

    # --8<-- [start:shapes]
    for layer in model.layers:
        print(layer.__class__.__name__, layer.output.shape,
              layer.count_params())
    #> Dense (None, 256) 16640
    #> Dropout (None, 256) 0
    #> Dense (None, 256) 65792
    #> Dropout (None, 256) 0
    #> Dense (None, 10) 2570
    # --8<-- [end:shapes]

    # --8<-- [start:modes]
    x_test, y_test = test
    predicted = model.predict(x_test, verbose=0)
    for training in (None, False, True):
        answer = keras.ops.convert_to_numpy(
            model(x_test, training=training))
        accuracy = np.mean(answer.argmax(axis=1) == y_test)
        print(training, np.allclose(answer, predicted, atol=1e-4),
              f"{accuracy:.2f}")
    #~ None True 0.91
    #~ False True 0.91
    #~ True False 0.83
    # --8<-- [end:modes]

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
        pooled = keras.ops.convert_to_numpy(
            keras.layers.GlobalAveragePooling2D()(
                layer(maps, training=True)))
        print(f"{layer.__class__.__name__}: {np.std(pooled):.2f}")
    #~ Dropout: 0.12
    #~ SpatialDropout2D: 1.00
    # --8<-- [end:pooled]

    # --8<-- [start:regularizers]
    w = np.array([[0.5, -2.0], [0.0, 1.0]], "float32")
    print("sum of squares", np.sum(w ** 2), "sum of sizes", np.sum(abs(w)))
    #> sum of squares 5.25 sum of sizes 3.5
    for penalty in (keras.regularizers.L2(0.1), keras.regularizers.L1(0.1)):
        print(penalty.__class__.__name__, f"{float(penalty(w)):.3f}")
    #> L2 0.525
    #> L1 0.350
    # --8<-- [end:regularizers]

    # --8<-- [start:reported]
    dense = keras.layers.Dense(
        10, activation="softmax", kernel_regularizer=keras.regularizers.L2(0.1))
    penalized = keras.Sequential([keras.Input(shape=(64,)), dense])
    penalized.compile(
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_crossentropy"])
    loss, cross_entropy = penalized.evaluate(*test, verbose=0)
    added = float(sum(penalized.losses))
    print("penalties:", len(penalized.losses))
    #> penalties: 1
    print(np.isclose(loss, cross_entropy + added))
    #> True
    # --8<-- [end:reported]

    # --8<-- [start:sgd-same]
    sgd = trained(keras.optimizers.SGD(0.01), l2=0.1)
    decayed = trained(keras.optimizers.SGD(0.01, weight_decay=0.2))
    print("the same for SGD:", np.allclose(sgd, decayed, rtol=1e-3))
    #> the same for SGD: True
    # --8<-- [end:sgd-same]

    # --8<-- [start:adam-differs]
    free = trained(keras.optimizers.Adam(0.02))
    adam = trained(keras.optimizers.Adam(0.02), l2=0.1)
    adamw = trained(keras.optimizers.AdamW(0.02, weight_decay=0.2))
    print("L2 took away   ", (free - adam).round(2))
    #~ L2 took away    [0.7  0.25 0.  ]
    print("decay took away", (free - adamw).round(2))
    #~ decay took away [0.27 0.27 0.27]
    # --8<-- [end:adam-differs]

    # --8<-- [start:measure]
    scores = np.zeros((2, 2, 3))  # end or best epoch, rate, split
    for seed in range(3):
        to_train, to_validate, to_test = noisy_digits(seed)
        for i, rate in enumerate((0.0, 0.5)):
            network = build(rate, seed)
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "best.weights.h5")
                keep_best = keras.callbacks.ModelCheckpoint(
                    file, save_best_only=True, save_weights_only=True)
                network.fit(*to_train, epochs=20, verbose=0,
                            validation_data=to_validate,
                            callbacks=[keep_best])
                scores[0, i, seed] = network.evaluate(*to_test, verbose=0)[1]
                network.load_weights(file)
            scores[1, i, seed] = network.evaluate(*to_test, verbose=0)[1]
    # --8<-- [end:measure]

    # --8<-- [start:table]
    print("            rate 0  rate 0.5    gain")
    #>             rate 0  rate 0.5    gain
    for name, (plain, dropped) in zip(("last epoch", "best epoch"), scores):
        gain = dropped - plain  # on the same split
        error = np.std(gain, ddof=1) / 3 ** 0.5
        print(f"{name:12}{plain.mean():.2f}    {dropped.mean():.2f}      "
              f"{gain.mean():.3f} ± {error:.3f}")
    #~ last epoch  0.85    0.91      0.063 ± 0.004
    #~ best epoch  0.89    0.90      0.011 ± 0.007
    # --8<-- [end:table]

    # --8<-- [start:batch-norm]
    x = random.normal(size=(2000, 4)).astype("float32")
    drop = keras.layers.Dropout(0.5, seed=1)
    norm = keras.layers.BatchNormalization(momentum=0.8)
    for _ in range(40):
        seen = norm(drop(x, training=True), training=True)

    spread = [keras.ops.convert_to_numpy(y).std()
              for y in (seen, norm(drop(x)))]
    print(f"standard deviation in training {spread[0]:.2f}, "
          f"in inference {spread[1]:.2f}")
    #~ standard deviation in training 1.00, in inference 0.71
    # --8<-- [end:batch-norm]

    # --8<-- [start:keep-prob]
    for rate in (0.1, 0.9):
        y = keras.ops.convert_to_numpy(keras.layers.Dropout(rate, seed=0)(
            np.ones(100_000, "float32"), training=True))
        print(f"rate {rate}: {np.mean(y > 0):.2f} kept, times {y.max():.1f}")
    #~ rate 0.1: 0.90 kept, times 1.1
    #~ rate 0.9: 0.10 kept, times 10.0

    try:
        keras.layers.Dropout(20)
    except ValueError as error:
        print(error)
    #> Invalid value received for argument `rate`. Expected a float value between 0 and 1. Received: rate=20
    # --8<-- [end:keep-prob]

    # --8<-- [start:graph]
    inputs = keras.Input(shape=(8,))
    outputs = keras.layers.Dropout(0.5, seed=1)(inputs, training=True)
    graph = keras.Model(inputs, outputs)
    print("called: ", np.array_equal(graph(ones), ones))
    #> called:  False
    print("predict:", np.array_equal(graph.predict(ones, verbose=0), ones))
    #> predict: True
    # --8<-- [end:graph]

    # --8<-- [start:always-on]
    outputs = AlwaysDropout(0.5, seed=1)(inputs)
    always = keras.Model(inputs, outputs)
    print("predict:", np.array_equal(always.predict(ones, verbose=0), ones))
    #> predict: False
    # --8<-- [end:always-on]

    # --8<-- [start:pretrained]
    inner = keras.Sequential(
        [keras.Input(shape=(8,)), keras.layers.Dropout(0.5, seed=1)])
    outer = keras.Model(inputs, inner(inputs, training=False))
    print(np.array_equal(outer(ones, training=True), ones))
    #> False
    for layer in inner.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0

    print(np.array_equal(outer(ones, training=True), ones))
    #> True
    # --8<-- [end:pretrained]

    # --8<-- [start:on-output]
    wrong_place = keras.Sequential(
        [*build(rate=0.0).layers, keras.layers.Dropout(0.5)])
    wrong_place.compile(optimizer="adam",
                        loss="sparse_categorical_crossentropy")
    loss = wrong_place.fit(*train, epochs=1, verbose=0).history["loss"][0]
    print(f"loss in the first epoch {loss:.0f}, before it was {log['loss'][0]:.0f}")
    #~ loss in the first epoch 9, before it was 2
    # --8<-- [end:on-output]

    # --8<-- [start:training-worse]
    print(f"epoch 3: training {log_dropout['accuracy'][2]:.2f}, "
          f"validation {log_dropout['val_accuracy'][2]:.2f}")
    #~ epoch 3: training 0.32, validation 0.56
    honest = model.evaluate(*train, verbose=0)[1]
    print(f"last epoch: fit says {log_dropout['accuracy'][-1]:.2f}, "
          f"evaluate says {honest:.2f}")
    #~ last epoch: fit says 0.69, evaluate says 0.73
    # --8<-- [end:training-worse]

    # --8<-- [start:solution-1]
    rate, n = 0.8, 100
    print("by formula:", round((n * rate / (1 - rate)) ** 0.5, 1))
    #> by formula: 20.0
    y = keras.ops.convert_to_numpy(keras.layers.Dropout(rate, seed=0)(
        np.ones((20_000, n), "float32"), training=True))
    sums = y.sum(axis=1)
    print(f"measured: mean {sums.mean():.0f}, deviation {sums.std():.0f}")
    #~ measured: mean 100, deviation 20
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    passes = np.stack([
        keras.ops.convert_to_numpy(model(test[0], training=True))
        for _ in range(50)])
    plain = model.predict(test[0], verbose=0)
    mean = passes.mean(axis=0)
    for name, answer in (("one pass", passes[0]), ("mean of 50", mean),
                         ("dropout off", plain)):
        correct = answer.argmax(axis=1) == test[1]
        surest = np.argsort(-answer.max(axis=1))[:900]
        print(f"{name:12} all {correct.mean():.2f}, "
              f"the surest 900 {correct[surest].mean():.2f}")
    #~ one pass     all 0.83, the surest 900 0.92
    #~ mean of 50   all 0.91, the surest 900 0.99
    #~ dropout off  all 0.91, the surest 900 0.99
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    x = np.ones((2, 3, 40), "float32")
    y = keras.ops.convert_to_numpy(ChannelDropout(0.5)(x, training=True))
    print("all steps alike:", np.all(y == y[:, :1]))
    #> all steps alike: True
    print("all examples alike:", np.all(y == y[:1]))
    #> all examples alike: False
    print("inference:", np.array_equal(ChannelDropout(0.5)(x), x))
    #> inference: True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    rate, lam = 0.1, 0.0005
    w = np.ones(3, "float32")
    for gradient in gradients:
        w = w - rate * (gradient + lam * w)

    by_l2 = trained(keras.optimizers.SGD(rate), l2=lam / 2)
    by_decay = trained(keras.optimizers.SGD(rate, weight_decay=lam))
    print(np.allclose(w, by_l2, rtol=1e-3), np.allclose(w, by_decay, rtol=1e-3))
    #> True True
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
