"""Choose an optimizer, a loss and metrics, and know what `compile` does.

The lesson builds cross-entropy from scratch until it equals Keras', measures
`from_logits` right and wrong, shows what a metric really averages, and what
changing things after `compile` does and does not do.
"""

# --8<-- [start:imports]
import os
import textwrap
import time
import warnings
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # no log of TensorFlow's C++

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:build-classifier]
def build_classifier(activation=None):
    return keras.Sequential(
        [
            keras.Input(shape=(64,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation=activation),
        ]
    )
# --8<-- [end:build-classifier]


# --8<-- [start:cross-entropy]
def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy_of_probabilities(labels, probabilities):
    clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return -np.log(clipped[np.arange(len(labels)), labels])


def cross_entropy_of_logits(labels, logits):
    top = logits.max(axis=-1)
    powers = np.exp(logits - top[:, None])
    log_sum_exp = top + np.log(powers.sum(axis=-1))
    return log_sum_exp - logits[np.arange(len(labels)), labels]
# --8<-- [end:cross-entropy]


# --8<-- [start:gradient]
def gradient(loss_of, outputs):
    outputs = tf.constant(outputs, dtype="float32")
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = loss_of(outputs)
    return tape.gradient(loss, outputs).numpy()
# --8<-- [end:gradient]


# --8<-- [start:build-setup]
def build_setup(activation, reshape):
    model = build_classifier(activation)
    if reshape:
        model.add(layers.Reshape((10,)))
    return model
# --8<-- [end:build-setup]


# --8<-- [start:train]
def train(data, seeds, activation, from_logits, reshape=False):
    x_train, x_test, y_train, y_test = data
    model = build_setup(activation, reshape)
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits),
    )
    accuracies = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        fresh = build_setup(activation, reshape)
        model.set_weights(fresh.get_weights())
        fit = model.fit(x_train, y_train, batch_size=48, epochs=2, verbose=0)
        accuracies.append(accuracy_of(model, x_test, y_test))
    return model, accuracies, fit.history["loss"][-1]
# --8<-- [end:train]


# --8<-- [start:accuracy-of]
def accuracy_of(model, x, y):
    return np.mean(np.argmax(model(x), axis=-1) == y)
# --8<-- [end:accuracy-of]


# --8<-- [start:running-accuracy]
class RunningAccuracy(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(logs["accuracy"])
# --8<-- [end:running-accuracy]


# --8<-- [start:epoch-seconds]
def epoch_seconds(x, y, **options):
    model = build_classifier("softmax")
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, **options)
    seconds = []
    for _ in range(2):
        start = time.process_time()
        model.fit(x, y, batch_size=8, verbose=0)
        seconds.append(time.process_time() - start)
    return seconds
# --8<-- [end:epoch-seconds]


# --8<-- [start:solution-2]
def binary_cross_entropy_of_logits(targets, logits):
    size = np.abs(logits)
    return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-size))
# --8<-- [end:solution-2]


def main():
    # --8<-- [start:loss-of-p]
    p = np.linspace(0.002, 0.998, 200)
    figure, (top, bottom) = plt.subplots(
        2, num="loss-of-p", figsize=(5, 5), sharex=True
    )
    top.plot(p, -np.log(p), label="cross-entropy")
    top.plot(p, (1 - p) ** 2, "--", label="squared error")
    top.set_ylabel("loss")
    top.legend()
    bottom.plot(p, 1 - p, label="cross-entropy")
    bottom.plot(p, 2 * p * (1 - p) ** 2, "--", label="squared error")
    bottom.set_xlabel("p, probability given to the true class")
    bottom.set_ylabel("|d loss / d logit|")
    plt.show()
    # --8<-- [end:loss-of-p]

    # --8<-- [start:load]
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=357, stratify=labels, random_state=0
    )
    print(x_train.shape, y_train.shape, y_train.dtype)
    #> (1440, 64) (1440,) int64
    # --8<-- [end:load]

    # --8<-- [start:compile]
    keras.utils.set_random_seed(0)
    model = build_classifier()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # --8<-- [end:compile]

    # --8<-- [start:fit]
    model.fit(x_train, y_train, epochs=3, verbose=0)
    for name, value in model.evaluate(
        x_test, y_test, verbose=0, return_dict=True
    ).items():
        print(name, round(value, 3))
    #~ accuracy 0.852
    #~ loss 0.9
    # --8<-- [end:fit]

    # --8<-- [start:probabilities]
    logits = model.predict(x_test[:3], verbose=0)
    probabilities = keras.ops.softmax(logits)
    print(np.argmax(logits, axis=-1), y_test[:3])
    #> [5 0 4] [5 0 4]
    print("logits sum to 1:", np.allclose(logits.sum(axis=-1), 1))
    #> logits sum to 1: False
    print("softmax sums to 1:", np.allclose(np.sum(probabilities, axis=-1), 1))
    #> softmax sums to 1: True
    # --8<-- [end:probabilities]

    # --8<-- [start:strings]
    for name in ["sgd", "rmsprop", "adam", "adamw"]:
        optimizer = keras.optimizers.get(name)
        print(f"{name:8}", round(float(optimizer.learning_rate), 4))
    #> sgd      0.01
    #> rmsprop  0.001
    #> adam     0.001
    #> adamw    0.001
    loss = keras.losses.SparseCategoricalCrossentropy()
    print(loss.get_config()["from_logits"])
    #> False
    # --8<-- [end:strings]

    # --8<-- [start:targets]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype("float32")
    category = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    one_hot = keras.utils.to_categorical(category, num_classes=4)
    soft = 0.9 * one_hot + 0.025
    yes_no = (x[:, 0] > 0).astype("int64")
    several = (x[:, :3] > 0).astype("int64")
    number = x @ rng.normal(size=8)
    count = rng.poisson(np.exp(x[:, 0]))
    steps = rng.normal(size=(64, 5, 8)).astype("float32")
    category_per_step = (steps[:, :, 0] > 0) + 2 * (steps[:, :, 1] > 0)
    # --8<-- [end:targets]

    # --8<-- [start:which-loss]
    dense, sparse = layers.Dense, keras.losses.SparseCategoricalCrossentropy
    rows = [
        ("class number", x, category, dense(4), sparse(True)),
        ("  + softmax", x, category, dense(4, "softmax"), sparse()),
        ("one-hot", x, one_hot, dense(4),
         keras.losses.CategoricalCrossentropy(True)),
        ("distribution", x, soft, dense(4, "softmax"),
         keras.losses.CategoricalCrossentropy()),
        ("yes or no", x, yes_no, dense(1),
         keras.losses.BinaryCrossentropy(True)),
        ("several labels", x, several, dense(3),
         keras.losses.BinaryCrossentropy(True)),
        ("number", x, number, dense(1), keras.losses.MeanSquaredError()),
        ("count", x, count, dense(1, "exponential"),
         keras.losses.Poisson()),
        ("class per step", steps, category_per_step, dense(4), sparse(True)),
    ]
    # --8<-- [end:which-loss]

    # --8<-- [start:run-rows]
    keras.utils.set_random_seed(0)
    for name, inputs, target, last, loss in rows:
        toy = keras.Sequential([keras.Input(shape=inputs.shape[1:]), last])
        toy.compile(keras.optimizers.Adam(0.05), loss, run_eagerly=True)
        before = loss(target, toy(inputs))
        for _ in range(3):
            toy.train_on_batch(inputs, target)
        falls = bool(loss(target, toy(inputs)) < before)
        print(f"{name:15}{target.shape!s:9}{toy.output_shape!s:14}", falls)
    #> class number   (64,)    (None, 4)      True
    #>   + softmax    (64,)    (None, 4)      True
    #> one-hot        (64, 4)  (None, 4)      True
    #> distribution   (64, 4)  (None, 4)      True
    #> yes or no      (64,)    (None, 1)      True
    #> several labels (64, 3)  (None, 3)      True
    #> number         (64,)    (None, 1)      True
    #> count          (64,)    (None, 1)      True
    #> class per step (64, 5)  (None, 5, 4)   True
    # --8<-- [end:run-rows]

    # --8<-- [start:compare]
    rng = np.random.default_rng(0)
    some_logits = rng.normal(0, 3, size=(1000, 10)).astype("float32")
    some_labels = rng.integers(0, 10, size=1000)
    keras_loss = keras.losses.sparse_categorical_crossentropy
    from_logits = keras_loss(some_labels, some_logits, from_logits=True)
    mine = cross_entropy_of_logits(some_labels, some_logits)
    print("logits, within 1e-5:", np.abs(mine - from_logits).max() < 1e-5)
    #> logits, within 1e-5: True
    some_p = softmax(some_logits)
    from_p = keras_loss(some_labels, some_p)
    mine = cross_entropy_of_probabilities(some_labels, some_p)
    print("probabilities, within 1e-5:", np.abs(mine - from_p).max() < 1e-5)
    #> probabilities, within 1e-5: True
    # --8<-- [end:compare]

    # --8<-- [start:large-logits]
    label, large = np.array([1]), np.array([[1000.0, 0.0, -1000.0]])
    with np.errstate(all="ignore"):
        naive = np.exp(large) / np.exp(large).sum()
        print("naive softmax:", naive[0], "loss:", -np.log(naive[0, 1]))
    #> naive softmax: [nan  0.  0.] loss: inf
    print("of logits, mine:", cross_entropy_of_logits(label, large)[0])
    #> of logits, mine: 1000.0
    loss = keras_loss(label, large, from_logits=True)
    print("of logits, Keras:", float(loss[0]))
    #> of logits, Keras: 1000.0
    loss = keras_loss(label, softmax(large))
    print("of probabilities, Keras:", round(float(loss[0]), 4))
    #> of probabilities, Keras: 16.1181
    print("-log(1e-7):", round(-np.log(1e-7), 4))
    #> -log(1e-7): 16.1181
    # --8<-- [end:large-logits]

    # --8<-- [start:gradient-rule]
    z, label = np.array([[2.0, -1.0, 0.5]], dtype="float32"), np.array([1])
    by_tape = gradient(lambda z: keras_loss(label, z, from_logits=True), z)
    by_hand = softmax(z) - np.eye(3)[label]
    print(by_tape.round(3), by_hand.round(3))
    #~ [[ 0.786 -0.961  0.175]] [[ 0.786 -0.961  0.175]]
    # --8<-- [end:gradient-rule]

    # --8<-- [start:gradient-lost]
    large = np.array([[50.0, 0.0, -50.0]])
    kept = gradient(lambda z: keras_loss(label, z, from_logits=True), large)
    lost = gradient(lambda z: keras_loss(label, tf.nn.softmax(z)), large)
    print("from logits:", kept[0].round(3), "from probabilities:", lost[0])
    #~ from logits: [ 1. -1.  0.] from probabilities: [0. 0. 0.]
    # --8<-- [end:gradient-lost]

    # --8<-- [start:measure]
    setups = {
        "logits, True": dict(activation=None, from_logits=True),
        "logits, False": dict(activation=None, from_logits=False),
        "softmax, True": dict(activation="softmax", from_logits=True),
        "softmax, reshape, True": dict(
            activation="softmax", from_logits=True, reshape=True
        ),
    }
    data = (x_train, x_test, y_train, y_test)
    models, accuracies, losses = {}, {}, {}
    for name, setup in setups.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = train(data, range(3), **setup)
        models[name], accuracies[name], losses[name] = results
        print(f"{name:23}", np.round(accuracies[name], 3))
    #~ logits, True            [0.913 0.927 0.933]
    #~ logits, False           [0.098 0.098 0.098]
    #~ softmax, True           [0.913 0.927 0.933]
    #~ softmax, reshape, True  [0.521 0.437 0.546]
    # --8<-- [end:measure]

    # --8<-- [start:draw-measure]
    figure, axes = plt.subplots(num="from-logits", figsize=(5, 2.6))
    for row, values in enumerate(accuracies.values()):
        axes.plot(values, [row] * 3, "o", alpha=0.7, markersize=9)
    axes.set_yticks(range(4), list(accuracies))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("test accuracy, one dot a seed")
    plt.show()
    # --8<-- [end:draw-measure]

    # --8<-- [start:why-forgotten]
    outputs = np.array([[-2.0, 0.3, 3.0]])
    for label in range(3):
        target = np.array([label])
        slope = gradient(lambda z: keras_loss(target, z), outputs)
        print(f"true class {label}, gradient {slope[0].round(2)}")
    #~ true class 0, gradient [0.   0.77 0.  ]
    #~ true class 1, gradient [ 0.   -2.56  0.  ]
    #~ true class 2, gradient [0.   0.77 0.  ]
    # --8<-- [end:why-forgotten]

    # --8<-- [start:identical]
    usual, _, _ = train(data, [2], "softmax", False)
    right = models["logits, True"].get_weights()
    rescued = models["softmax, True"].get_weights()
    print(all(map(np.array_equal, right, usual.get_weights())))
    #> True
    print(all(map(np.array_equal, right, rescued)))
    #> True
    # --8<-- [end:identical]

    # --8<-- [start:rescue]
    z, label = tf.constant([[2.0, -1.0, 0.5]]), np.array([0])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    p = keras.ops.softmax(z)
    print(hasattr(p, "_keras_logits"), p._keras_logits is z)
    #> True True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        print("rescued:", float(loss(label, p)) == float(loss(label, z)))
    #> rescued: True
    print(textwrap.fill(str(caught[0].message), 60))
    #> "`sparse_categorical_crossentropy` received
    #> `from_logits=True`, but the `output` argument was produced
    #> by a Softmax activation and thus does not represent logits.
    #> Was this intended?
    # --8<-- [end:rescue]

    # --8<-- [start:rescue-stops]
    in_graph = tf.function(lambda z: loss(label, tf.nn.softmax(z)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = {
            "logits": loss(label, z),
            "keras.ops.softmax": loss(label, p),
            "tf.nn.softmax in a graph": in_graph(z),
            "tf.nn.softmax, eager": loss(label, tf.nn.softmax(z)),
            "keras.ops.softmax * 1": loss(label, p * 1),
            "as NumPy": loss(label, np.asarray(p)),
        }
    for name, value in cases.items():
        print(f"{name:25}", round(float(value), 3))
    #> logits                    0.241
    #> keras.ops.softmax         0.241
    #> tf.nn.softmax in a graph  0.241
    #> tf.nn.softmax, eager      0.702
    #> keras.ops.softmax * 1     0.702
    #> as NumPy                  0.702
    twice = cross_entropy_of_logits(label, np.asarray(p))
    print("softmax applied twice:   ", twice.round(3)[0])
    #> softmax applied twice:    0.702
    # --8<-- [end:rescue-stops]

    # --8<-- [start:backends]
    folder = Path(keras.__file__).parent / "src" / "backend"
    for name in ["tensorflow", "jax", "torch", "numpy"]:
        source = (folder / name / "nn.py").read_text(encoding="utf-8")
        print(name, source.count("_keras_logits"))
    #> tensorflow 8
    #> jax 0
    #> torch 0
    #> numpy 0
    # --8<-- [end:backends]

    # --8<-- [start:floor]
    print("floor:", round(np.log(np.e + 9) - 1, 4))
    #> floor: 1.4612
    keras.config.set_dtype_policy("mixed_bfloat16")
    _, _, mixed_loss = train(data, [2], "softmax", True)
    keras.config.set_dtype_policy("float32")
    print("float32:", round(losses["softmax, True"], 2))
    #~ float32: 0.44
    print("mixed_bfloat16:", round(mixed_loss, 2))
    #~ mixed_bfloat16: 2.14
    print("reshape:", round(losses["softmax, reshape, True"], 2))
    #~ reshape: 2.14
    # --8<-- [end:floor]

    # --8<-- [start:accuracy-resolves]
    for target, units in [(yes_no, 1), (category, 4), (one_hot, 4)]:
        toy = keras.Sequential([keras.Input(shape=(8,)), layers.Dense(units)])
        toy.compile(loss="mse", metrics=["accuracy"], run_eagerly=True)
        toy.compute_metrics(x, target, toy(x))
        chosen = toy.metrics[-1].metrics[0]
        print(target.shape, toy.output_shape, type(chosen).__name__)
    #> (64,) (None, 1) BinaryAccuracy
    #> (64,) (None, 4) SparseCategoricalAccuracy
    #> (64, 4) (None, 4) CategoricalAccuracy
    # --8<-- [end:accuracy-resolves]

    # --8<-- [start:wrong-metric]
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.CategoricalAccuracy()],
    )
    scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print({name: round(value, 3) for name, value in scores.items()})
    #~ {'accuracy': 0.852, 'categorical_accuracy': 0.042, 'loss': 0.9}
    # --8<-- [end:wrong-metric]

    # --8<-- [start:cancer]
    x_cancer, y_cancer = load_breast_cancer(return_X_y=True)
    x_cancer = (x_cancer - x_cancer.mean(0)) / x_cancer.std(0)
    keras.utils.set_random_seed(0)
    cancer = keras.Sequential([keras.Input(shape=(30,)), layers.Dense(1)])
    cancer.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[
            "accuracy",
            keras.metrics.BinaryAccuracy(threshold=0.0, name="at_zero"),
            keras.metrics.AUC(name="auc"),
            keras.metrics.AUC(from_logits=True, name="auc_logits"),
        ],
    )
    # --8<-- [end:cancer]

    # --8<-- [start:threshold]
    cancer.fit(x_cancer, y_cancer, epochs=2, verbose=0)
    scores = cancer.evaluate(
        x_cancer, y_cancer, batch_size=569, verbose=0, return_dict=True
    )
    for name in ["accuracy", "at_zero", "auc", "auc_logits"]:
        print(f"{name:11}", round(scores[name], 3))
    #~ accuracy    0.671
    #~ at_zero     0.821
    #~ auc         0.858
    #~ auc_logits  0.877
    # --8<-- [end:threshold]

    # --8<-- [start:running]
    keras.utils.set_random_seed(0)
    fresh = build_classifier()
    fresh.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    recorder = RunningAccuracy()
    fit = fresh.fit(x_train, y_train, callbacks=[recorder], verbose=0)
    running = np.array(recorder.values)
    reported = fit.history["accuracy"][0]
    after = accuracy_of(fresh, x_train, y_train)
    print("reported for the epoch:", round(reported, 3))
    #~ reported for the epoch: 0.356
    print("same data, weights after the epoch:", round(after, 3))
    #~ same data, weights after the epoch: 0.646
    # --8<-- [end:running]

    # --8<-- [start:draw-running]
    step = np.arange(1, 46)
    of_batch = np.diff(running * step, prepend=0)
    print("reported is the mean:", np.isclose(of_batch.mean(), reported))
    #> reported is the mean: True
    figure, axes = plt.subplots(num="running-mean", figsize=(5, 3))
    axes.plot(step, of_batch, ".", label="one batch")
    axes.plot(step, running, label="running mean")
    axes.axhline(after, color="gray", linestyle="--", label="after the epoch")
    axes.set_xlabel("step in the first epoch")
    axes.set_ylabel("training accuracy")
    axes.legend()
    plt.show()
    # --8<-- [end:draw-running]

    # --8<-- [start:weighted]
    weight = np.where(y_test == 8, 10.0, 1.0)
    fresh.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        weighted_metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="weighted")
        ],
    )
    scores = fresh.evaluate(
        x_test, y_test, sample_weight=weight, verbose=0, return_dict=True
    )
    right = np.argmax(fresh(x_test), axis=-1) == y_test
    print("accuracy is the mean:", np.isclose(scores["accuracy"], right.mean()))
    #> accuracy is the mean: True
    by_hand = (weight * right).sum() / weight.sum()
    print("weighted divides by weights:", np.isclose(scores["weighted"], by_hand))
    #> weighted divides by weights: True
    each = cross_entropy_of_logits(y_test, np.asarray(fresh(x_test)))
    by_hand = (weight * each).sum() / len(weight)
    print("loss divides by samples:", np.isclose(scores["loss"], by_hand))
    #> loss divides by samples: True
    # --8<-- [end:weighted]

    # --8<-- [start:timing]
    first, later = epoch_seconds(x_train, y_train)
    _, eager = epoch_seconds(x_train[:80], y_train[:80], run_eagerly=True)
    _, many = epoch_seconds(x_train, y_train, steps_per_execution=180)
    first_xla, later_xla = epoch_seconds(x_train, y_train, jit_compile=True)
    print("eager, per step, 5 times slower:", 18 * eager > 5 * later)
    #> eager, per step, 5 times slower: True
    print("180 steps per call, faster:", many < later)
    #> 180 steps per call, faster: True
    print("XLA, first epoch slower:", first_xla > first)
    #> XLA, first epoch slower: True
    print("XLA, later epochs twice as fast:", 2 * later_xla < later)
    #> XLA, later epochs twice as fast: False
    # --8<-- [end:timing]

    # --8<-- [start:learning-rate]
    fresh.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    fresh.fit(x_train[:320], y_train[:320], verbose=0)
    fresh.optimizer.learning_rate = 0.0
    before = fresh.get_weights()
    fresh.fit(x_train[:320], y_train[:320], verbose=0)
    print("moved:", not np.array_equal(before[0], fresh.get_weights()[0]))
    #> moved: False
    fresh.optimizer.learning_rate = 0.001
    # --8<-- [end:learning-rate]

    # --8<-- [start:compile-again]
    optimizer = fresh.optimizer
    print(int(optimizer.iterations), len(optimizer.variables))
    #> 20 10
    before = fresh.get_weights()
    fresh.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    print(int(fresh.optimizer.iterations), len(fresh.optimizer.variables))
    #> 0 2
    print("weights kept:", np.array_equal(before[0], fresh.get_weights()[0]))
    #> weights kept: True
    print(list(fresh.evaluate(x_test, y_test, verbose=0, return_dict=True)))
    #> ['accuracy', 'loss', 'weighted']
    # --8<-- [end:compile-again]

    # --8<-- [start:wrong-shape]
    targets = {"integers": y_train, "one-hot": keras.utils.to_categorical(y_train)}
    for name, loss in [
        ("integers", "categorical_crossentropy"),
        ("one-hot", "sparse_categorical_crossentropy"),
        ("integers", "binary_crossentropy"),
    ]:
        wrong = build_classifier("softmax")
        wrong.compile("adam", loss, run_eagerly=True)
        try:
            wrong.fit(x_train, targets[name], verbose=0)
        except ValueError as error:
            print(name, "with", loss)
            print(textwrap.indent(textwrap.fill(str(error), 60), "  "))
    #> integers with categorical_crossentropy
    #>   Arguments `target` and `output` must have the same rank
    #>   (ndim). Received: target.shape=(32,), output.shape=(32, 10)
    #> one-hot with sparse_categorical_crossentropy
    #>   Argument `output` must have rank (ndim) `target.ndim - 1`.
    #>   Received: target.shape=(32, 10), output.shape=(32, 10)
    #> integers with binary_crossentropy
    #>   Arguments `target` and `output` must have the same rank
    #>   (ndim). Received: target.shape=(32,), output.shape=(32, 10)
    # --8<-- [end:wrong-shape]

    # --8<-- [start:label-range]
    wrong = build_classifier("softmax")
    wrong.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    try:
        wrong.fit(x_train, y_train + 1, verbose=0)
    except tf.errors.InvalidArgumentError as error:
        print(error.message.split("}} ")[1].split("  Label")[0])
    #> Received a label value of 10 which is outside the valid range of [0, 10).
    # --8<-- [end:label-range]

    # --8<-- [start:one-softmax]
    big_digit = (y_train > 4).astype("int64")
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stuck = keras.Sequential(
            [keras.Input(shape=(64,)), layers.Dense(1, activation="softmax")]
        )
        stuck.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        history = stuck.fit(x_train, big_digit, epochs=3, verbose=0).history
        outputs = np.asarray(stuck(x_test))
    print("loss falls:", history["loss"][-1] < history["loss"][0])
    #> loss falls: True
    print("accuracy:", np.round(history["accuracy"], 3))
    #~ accuracy: [0.498 0.498 0.498]
    print("outputs:", np.unique(outputs.round(3)))
    #> outputs: [1.]
    print(textwrap.fill(str(caught[0].message), 60))
    #> You are using a softmax over axis -1 of a tensor of shape
    #> (32, 1). This axis has size 1. The softmax operation will
    #> always return the value 1, which is likely not what you
    #> intended. Did you mean to use a sigmoid instead?
    # --8<-- [end:one-softmax]

    # --8<-- [start:trainable]
    def moves(model):
        before = model.layers[0].kernel.numpy()
        model.fit(x_train[:320], y_train[:320], verbose=0)
        return not np.array_equal(before, model.layers[0].kernel.numpy())

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    frozen = build_classifier()
    frozen.compile("sgd", loss)
    print("trains:", moves(frozen))
    #> trains: True
    frozen.layers[0].trainable = False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        print("frozen, still trains:", moves(frozen), "warnings:", len(caught))
    #> frozen, still trains: True warnings: 0
    frozen.compile("sgd", loss)
    print("compiled again, trains:", moves(frozen))
    #> compiled again, trains: False
    # --8<-- [end:trainable]

    # --8<-- [start:positional]
    wrong = build_classifier("softmax")
    wrong.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    try:
        wrong.fit(x_train, y_train, verbose=0)
    except ValueError as error:
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

    # --8<-- [start:decay]
    schedule = keras.optimizers.schedules.InverseTimeDecay(
        initial_learning_rate=0.1, decay_steps=1, decay_rate=0.01
    )
    optimizer = keras.optimizers.SGD(learning_rate=schedule)
    print([round(float(schedule(step)), 4) for step in [0, 100, 900]])
    #> [0.1, 0.05, 0.01]
    # --8<-- [end:decay]

    # --8<-- [start:shared-optimizer]
    shared = keras.optimizers.Adam()
    try:
        for _ in range(2):
            small = build_classifier("softmax")
            small.compile(
                shared, "sparse_categorical_crossentropy", run_eagerly=True
            )
            small.fit(x_train[:32], y_train[:32], verbose=0)
    except ValueError as error:
        print(textwrap.fill(str(error).split(">. ")[1], 60))
    #> This optimizer can only be called for the variables it was
    #> originally built with. When working with a new set of
    #> variables, you should recreate a new optimizer instance.
    # --8<-- [end:shared-optimizer]

    # --8<-- [start:solution-1]
    untrained = build_classifier("softmax")
    untrained.layers[-1].kernel.assign(np.zeros((64, 10)))
    untrained.compile(loss="sparse_categorical_crossentropy")
    loss = untrained.evaluate(x_train, y_train, verbose=0)
    print(round(loss, 4), round(np.log(10), 4))
    #> 2.3026 2.3026
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2-check]
    z = np.array([-100.0, -1.0, 0.0, 2.0, 100.0])
    y = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    theirs = loss(y[:, None], z[:, None])
    mine = binary_cross_entropy_of_logits(y, z)
    print(mine.round(3), np.allclose(mine, theirs))
    #> [100.      0.313   0.693   0.127 100.   ] True
    # --8<-- [end:solution-2-check]

    # --8<-- [start:solution-3]
    pairs = np.random.default_rng(0).normal(0, 3, size=(5, 2))
    by_softmax = softmax(pairs)[:, 1]
    by_sigmoid = 1 / (1 + np.exp(-(pairs[:, 1] - pairs[:, 0])))
    print(np.allclose(by_softmax, by_sigmoid))
    #> True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    p = np.array([[0.7, 0.2, 0.1]])
    y = np.array([[1.0, 0.0, 0.0]])
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    target = 0.9 * y + 0.1 / 3
    by_hand = -(target * np.log(p)).sum()
    print(np.isclose(float(smooth(y, p)), by_hand))
    #> True
    lowest = -(target * np.log(target)).sum()
    print("lowest:", round(lowest, 4), round(float(smooth(y, target)), 4))
    #> lowest: 0.2911 0.2911
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    inputs = keras.Input(shape=(64,))
    floor = np.log(np.e + 9) - 1
    for flag in [False, True]:
        keras.utils.set_random_seed(0)
        heads = [layers.Dense(10, "softmax")(inputs) for _ in range(2)]
        ensemble = keras.Model(inputs, layers.Average()(heads))
        loss = keras.losses.SparseCategoricalCrossentropy(flag)
        ensemble.compile(keras.optimizers.SGD(learning_rate=1.0), loss)
        for _ in range(30):
            ensemble.train_on_batch(x_train, y_train)
        print(flag, bool(loss(y_train, ensemble(x_train)) > floor))
    #> False False
    #> True True
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
