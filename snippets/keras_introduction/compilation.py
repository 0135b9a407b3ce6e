"""Choose an optimizer, a loss and metrics, and know what `compile` does.

The lesson trains a classifier of digits from logits, computes cross-entropy in NumPy until it equals Keras', trains
the same network with `from_logits` right and wrong, and runs what goes wrong around losses, metrics and compiling
again.
"""

# --8<-- [start:imports]
import textwrap

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:cross-entropy]
def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def from_logits(y, z):
    m = z.max(axis=-1)
    log_sum_exp = m + np.log(np.exp(z - m[:, None]).sum(axis=-1))
    return log_sum_exp - z[np.arange(len(y)), y]


def from_probabilities(y, p):
    p = p / p.sum(axis=-1, keepdims=True)
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return -np.log(p[np.arange(len(y)), y])
# --8<-- [end:cross-entropy]


# --8<-- [start:build]
def build(seed, activation=None, from_logits=True, reshape=False):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation=activation),
    ])
    if reshape:
        model.add(layers.Reshape((10,)))  # changes no number
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=from_logits),
        metrics=["accuracy"],
    )
    return model
# --8<-- [end:build]


# --8<-- [start:iterations]
def steps_of(model):
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))
# --8<-- [end:iterations]


# --8<-- [start:squared]
class Squared(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.square(y_true - y_pred)
# --8<-- [end:squared]


# --8<-- [start:solution-2]
def binary_from_logits(y, z):
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
# --8<-- [end:solution-2]


def main():
    # --8<-- [start:load]
    digits = load_digits()
    pixels = (digits.data / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        pixels, digits.target, test_size=0.25, random_state=0,
        stratify=digits.target)
    print(f"{len(pixels):,} images:", x_train.shape, y_train.shape, y_train[:5])
    #> 1,797 images: (1347, 64) (1347,) [7 3 6 6 7]
    # --8<-- [end:load]

    # --8<-- [start:model]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ])
    # --8<-- [end:model]

    # --8<-- [start:compile]
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # --8<-- [end:compile]

    # --8<-- [start:fit]
    print("before:", np.round(model.evaluate(x_test, y_test, verbose=0), 2))
    #~ before: [2.35 0.08]
    history = model.fit(x_train, y_train, epochs=10, verbose=0).history
    for epoch in (0, 1, 4, 9):
        print(f"Epoch {epoch + 1}/10 - "
              f"accuracy: {history['accuracy'][epoch]:.2f} - "
              f"loss: {history['loss'][epoch]:.2f}")
    #~ Epoch 1/10 - accuracy: 0.34 - loss: 2.09
    #~ Epoch 2/10 - accuracy: 0.77 - loss: 1.55
    #~ Epoch 5/10 - accuracy: 0.91 - loss: 0.58
    #~ Epoch 10/10 - accuracy: 0.94 - loss: 0.26
    print("after:", np.round(model.evaluate(x_test, y_test, verbose=0), 2))
    #~ after: [0.26 0.95]
    # --8<-- [end:fit]

    # --8<-- [start:probabilities]
    logits = model.predict(x_test[:3], verbose=0)
    print(logits.argmax(axis=1), "is right:", y_test[:3])
    #> [2 0 4] is right: [2 0 4]
    p = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    print(p.sum(axis=1).round(3))
    #> [1. 1. 1.]
    # --8<-- [end:probabilities]

    # --8<-- [start:strings]
    for name in ("sgd", "rmsprop", "adam", "adamw"):
        rate = keras.optimizers.get(name).get_config()["learning_rate"]
        print(f"{name:8} {rate:.4f}")
    #> sgd      0.0100
    #> rmsprop  0.0010
    #> adam     0.0010
    #> adamw    0.0010
    loss = keras.losses.SparseCategoricalCrossentropy()
    print("from_logits:", loss.get_config()["from_logits"])
    #> from_logits: False
    # --8<-- [end:strings]

    # --8<-- [start:targets]
    classes = np.array([2, 0])
    cases = [
        ("class", classes, (2, 4),
         keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        ("one-hot", np.eye(4)[classes], (2, 4),
         keras.losses.CategoricalCrossentropy(from_logits=True)),
        ("yes or no", np.array([1, 0]), (2, 1),
         keras.losses.BinaryCrossentropy(from_logits=True)),
        ("labels", np.array([[1, 0, 1], [0, 0, 1]]), (2, 3),
         keras.losses.BinaryCrossentropy(from_logits=True)),
        ("number", np.array([3.0, -1.0]), (2, 1),
         keras.losses.MeanSquaredError()),
        ("per step", np.array([[0, 3, 1], [2, 2, 0]]), (2, 3, 4),
         keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    ]
    # --8<-- [end:targets]

    # --8<-- [start:shapes]
    for name, y, shape, loss in cases:
        value = float(loss(y, np.zeros(shape, "float32")))
        print(f"{name:10} y {y.shape!s:7} output {shape!s:10} {value:.4f}")
    #> class      y (2,)    output (2, 4)     1.3863
    #> one-hot    y (2, 4)  output (2, 4)     1.3863
    #> yes or no  y (2,)    output (2, 1)     0.6931
    #> labels     y (2, 3)  output (2, 3)     0.6931
    #> number     y (2,)    output (2, 1)     5.0000
    #> per step   y (2, 3)  output (2, 3, 4)  1.3863
    print(np.log(4).round(4), np.log(2).round(4))
    #> 1.3863 0.6931
    # --8<-- [end:shapes]

    # --8<-- [start:compare]
    random = np.random.default_rng(0)
    y = random.integers(0, 10, 1000)
    z = random.normal(0, 5, (1000, 10)).astype("float32")
    theirs = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=None)(y, z)
    theirs = keras.ops.convert_to_numpy(theirs)
    print(np.allclose(from_logits(y, z), theirs, atol=1e-5))
    #> True

    theirs = keras.losses.CategoricalCrossentropy(reduction=None)
    for p in (softmax(z), random.uniform(-1, 3, (1000, 10))):
        each = keras.ops.convert_to_numpy(theirs(np.eye(10)[y], p))
        print(np.allclose(from_probabilities(y, p), each, atol=1e-5))
    #> True
    #> True
    # --8<-- [end:compare]

    # --8<-- [start:large-logits]
    sparse = keras.losses.sparse_categorical_crossentropy
    y = np.array([1])
    for wrong_by in (5, 15, 20, 1000):
        z = np.array([[wrong_by, 0.0, 0.0]], "float32")
        print(f"wrong by {wrong_by:4}:",
              f"{float(sparse(y, z, from_logits=True)[0]):8.2f}",
              f"{float(sparse(y, softmax(z))[0]):8.2f}")
    #~ wrong by    5:     5.01     5.01
    #~ wrong by   15:    15.00    15.00
    #~ wrong by   20:    20.00    16.12
    #~ wrong by 1000:  1000.00    16.12
    # --8<-- [end:large-logits]

    # --8<-- [start:measure]
    histories = {}
    for name, options in {
        "logits, True": dict(),
        "softmax, False": dict(activation="softmax", from_logits=False),
        "logits, False": dict(from_logits=False),
        "softmax, True": dict(activation="softmax"),
        "reshaped, True": dict(activation="softmax", reshape=True),
    }.items():
        network = build(seed=0, **options)
        first = network.evaluate(x_train, y_train, verbose=0)[0]
        histories[name] = network.fit(
            x_train, y_train, epochs=10, verbose=0).history["loss"]
        accuracy = network.evaluate(x_test, y_test, verbose=0)[1]
        print(f"{name:15} first loss {first:5.2f}, then test accuracy "
              f"{'above' if accuracy > 0.9 else 'below'} 0.9")
    #~ logits, True    first loss  2.35, then test accuracy above 0.9
    #~ softmax, False  first loss  2.35, then test accuracy above 0.9
    #~ logits, False   first loss 10.78, then test accuracy below 0.9
    #~ UserWarning: "`sparse_categorical_crossentropy` received `from_logits=True`, but the `output` argument was produced by a Softmax activation and thus does not represent logits. Was this intended?
    #~ softmax, True   first loss  2.35, then test accuracy above 0.9
    #~ reshaped, True  first loss  2.30, then test accuracy above 0.9
    # --8<-- [end:measure]

    # --8<-- [start:draw-measure]
    figure, axes = plt.subplots(num="from-logits", figsize=(5, 3))
    for name, style in (("logits, True", "-"), ("softmax, False", "--"),
                        ("softmax, True", ":"), ("reshaped, True", "-")):
        axes.plot(range(1, 11), histories[name], style, label=name)
    axes.axhline(np.log(np.e + 9) - 1, color="gray", linewidth=0.8)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    axes.legend()
    plt.show()
    # --8<-- [end:draw-measure]

    # --8<-- [start:rescue]
    y = np.array([0])
    z = keras.ops.convert_to_tensor([[2.0, -1.0, 0.5]])
    p = keras.ops.softmax(z)
    for name, outputs in (("z", z), ("p", p), ("p * 1", p * 1)):
        value = float(sparse(y, outputs, from_logits=True)[0])
        print(f"{name:6} {value:.3f}")
    #> z      0.241
    #> p      0.241
    #> p * 1  0.702
    print("floor for ten classes:", round(np.log(np.e + 9) - 1, 4))
    #> floor for ten classes: 1.4612
    # --8<-- [end:rescue]

    # --8<-- [start:threshold]
    y = np.array([[0], [0], [0], [0], [0], [0], [1], [1]])
    z = np.array([[-4], [-3], [-2], [-1], [-4], [-3], [0.3], [4]], "float32")
    p = 1 / (1 + np.exp(-z))
    for name, metric, outputs in (
        ("BinaryAccuracy, logits", keras.metrics.BinaryAccuracy(), z),
        ("the same, threshold=0",
         keras.metrics.BinaryAccuracy(threshold=0.0), z),
        ("F1Score, probabilities", keras.metrics.F1Score(), p),
        ("the same, threshold=0.5",
         keras.metrics.F1Score(threshold=0.5), p),
    ):
        print(f"{name:24}", round(float(np.ravel(metric(y, outputs))[0]), 3))
    #> BinaryAccuracy, logits   0.875
    #> the same, threshold=0    1.0
    #> F1Score, probabilities   0.4
    #> the same, threshold=0.5  1.0
    # --8<-- [end:threshold]

    # --8<-- [start:running]
    fresh = build(seed=0)
    reported = fresh.fit(x_train, y_train, verbose=0).history["accuracy"][0]
    after = fresh.evaluate(x_train, y_train, verbose=0)[1]
    print(f"reported by fit: {reported:.2f}, by evaluate: {after:.2f}")
    #~ reported by fit: 0.34, by evaluate: 0.69
    # --8<-- [end:running]

    # --8<-- [start:again]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    print(type(model.optimizer).__name__, steps_of(model))
    #> Adam 430
    model.compile(optimizer=model.optimizer, loss=loss)
    print(type(model.optimizer).__name__, steps_of(model))
    #> Adam 430
    model.compile(optimizer="adam", loss=loss)
    print(type(model.optimizer).__name__, steps_of(model))
    #> Adam 0
    model.compile(loss=loss)
    print(type(model.optimizer).__name__, steps_of(model))
    #> RMSprop 0
    scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print({name: round(score, 2) for name, score in scores.items()})
    #~ {'accuracy': 0.95, 'loss': 0.26}
    # --8<-- [end:again]

    # --8<-- [start:learning-rate]
    fresh.optimizer.learning_rate = 0.0001
    fresh.fit(x_train, y_train, verbose=0)
    print(steps_of(fresh), "steps, the last 43 at a tenth of the rate")
    #> 86 steps, the last 43 at a tenth of the rate

    schedule = keras.optimizers.schedules.CosineDecay(0.001, decay_steps=430)
    scheduled = keras.optimizers.Adam(learning_rate=schedule)
    try:
        scheduled.learning_rate = 0.0001
    except TypeError as error:
        print(textwrap.fill(str(error), 66))
    #> This optimizer was created with a `LearningRateSchedule` object as
    #> its `learning_rate` constructor argument, hence its learning rate
    #> is not settable. If you need the learning rate to be settable, you
    #> should instantiate the optimizer with a float `learning_rate`
    #> argument.
    # --8<-- [end:learning-rate]

    # --8<-- [start:wrong-shape]
    one_hot = keras.utils.to_categorical(y_train)
    for loss, y in (
        (keras.losses.CategoricalCrossentropy(from_logits=True), y_train),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True),
         one_hot),
    ):
        try:
            loss(y, model(x_train))
        except ValueError as error:
            print(loss.name)
            print(textwrap.indent(textwrap.fill(str(error), 62), "  "))
    #> categorical_crossentropy
    #>   Arguments `target` and `output` must have the same rank
    #>   (ndim). Received: target.shape=(1347,), output.shape=(1347,
    #>   10)
    #> sparse_categorical_crossentropy
    #>   Argument `output` must have rank (ndim) `target.ndim - 1`.
    #>   Received: target.shape=(1347, 10), output.shape=(1347, 10)
    # --8<-- [end:wrong-shape]

    # --8<-- [start:broadcast]
    flat = np.array([1.0, 2.0, 3.0, 4.0])
    column = flat.reshape(4, 1)
    mse = keras.losses.MeanSquaredError()
    for loss, y, outputs in (
        (mse, flat, column),               # Dense(1), all right
        (mse, column, np.zeros((4, 3))),   # Dense(3) by mistake
        (Squared(), flat, column),         # Dense(1), all right
        (Squared(), column, column),
    ):
        print(f"{loss.name:18} y {y.shape!s:6} output {outputs.shape}",
              float(loss(y, outputs)))
    #> mean_squared_error y (4,)   output (4, 1) 0.0
    #> mean_squared_error y (4, 1) output (4, 3) 7.5
    #> squared            y (4,)   output (4, 1) 2.5
    #> squared_1          y (4, 1) output (4, 1) 0.0
    # --8<-- [end:broadcast]

    # --8<-- [start:integer-metric]
    p = softmax(model.predict(x_test, verbose=0))
    f1 = keras.metrics.F1Score(average="macro")
    try:
        f1.update_state(y_test, p)
    except ValueError as error:
        print(textwrap.fill(str(error), 66))
    #> FBetaScore expects 2D inputs with shape (batch_size, output_dim).
    #> Received input shapes: y_pred.shape=(450, 10) and
    #> y_true.shape=(450,).
    f1.update_state(keras.utils.to_categorical(y_test), p)
    print(f"{float(f1.result()):.2f}")
    #~ 0.95
    # --8<-- [end:integer-metric]

    # --8<-- [start:positional]
    wrong = keras.Sequential([keras.Input(shape=(64,)), layers.Dense(10)])
    wrong.compile("adam", loss, ["accuracy"])
    try:
        wrong.fit(x_train, y_train, verbose=0)
    except (ValueError, TypeError) as error:
        print(error)
    #> dtype='string' is not a valid dtype for Keras type promotion.
    # --8<-- [end:positional]

    # --8<-- [start:old-arguments]
    optimizer = keras.optimizers.SGD(learning_rate=0.1, decay=0.01)
    #> UserWarning: Argument `decay` is no longer supported and will be ignored.
    try:
        keras.optimizers.SGD(lr=0.1)
    except ValueError as error:
        print(error)
    #> Argument(s) not recognized: {'lr': 0.1}
    # --8<-- [end:old-arguments]

    # --8<-- [start:shared-optimizer]
    optimizer = keras.optimizers.Adam()
    try:
        for units in (5, 7):
            small = keras.Sequential([
                keras.Input(shape=(64,)), layers.Dense(units),
                layers.Dense(10)])
            small.compile(optimizer=optimizer, loss="mse")
            small.fit(x_train[:32], one_hot[:32], verbose=0)
    except ValueError as error:
        print(textwrap.fill(str(error).split(">. ")[-1], 66))
    #> This optimizer can only be called for the variables it was
    #> originally built with. When working with a new set of variables,
    #> you should recreate a new optimizer instance.
    # --8<-- [end:shared-optimizer]

    # --8<-- [start:solution-1]
    for name, y, shape, loss in (
        ("stars", np.array([5, 1, 3]) - 1, (3, 5),
         keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        ("tags", np.array([[1, 1, 0, 0], [0, 0, 0, 0]]), (2, 4),
         keras.losses.BinaryCrossentropy(from_logits=True)),
        ("price", np.array([2.0, 3.0]), (2, 1),
         keras.losses.MeanSquaredError()),
        ("pixels", np.ones((2, 8, 8), int), (2, 8, 8, 3),
         keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    ):
        print(name, y.shape, shape,
              round(float(loss(y, np.zeros(shape, "float32"))), 3))
    #> stars (3,) (3, 5) 1.609
    #> tags (2, 4) (2, 4) 0.693
    #> price (2,) (2, 1) 6.5
    #> pixels (2, 8, 8) (2, 8, 8, 3) 1.099
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2-check]
    y = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    z = np.array([-100.0, -1.0, 0.0, 2.0, 100.0])
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    theirs = keras.ops.convert_to_numpy(loss(y[:, None], z[:, None]))
    print(binary_from_logits(y, z).round(3))
    #> [100.      0.313   0.693   0.127 100.   ]
    print(np.allclose(binary_from_logits(y, z), theirs))
    #> True
    # --8<-- [end:solution-2-check]

    # --8<-- [start:solution-3]
    z = np.random.default_rng(0).normal(0, 3, (1000, 2))
    by_softmax = softmax(z)[:, 1]
    by_sigmoid = 1 / (1 + np.exp(-(z[:, 1] - z[:, 0])))
    print(np.allclose(by_softmax, by_sigmoid))
    #> True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    p = np.array([[0.7, 0.2, 0.1]])
    y = np.array([[1.0, 0.0, 0.0]])
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    target = 0.9 * y + 0.1 / 3
    print(target.round(3),
          np.isclose(float(smooth(y, p)), -(target * np.log(p)).sum()))
    #> [[0.933 0.033 0.033]] True
    print("perfect:", round(float(smooth(y, y)), 3),
          "smallest:", round(float(smooth(y, target)), 3))
    #> perfect: 1.075 smallest: 0.291
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
