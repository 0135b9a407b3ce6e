"""Train, judge and keep a model: what `fit`, `evaluate` and `predict` do.

The lesson splits a data set in three, trains on the first part, chooses on
the second and reports on the third. It shows that `fit` is mini-batch
gradient descent and nothing else, by computing the same weights in NumPy;
reads learning curves; weighs rare classes; saves a model and resumes it
exactly; and makes a run repeat itself.
"""

# --8<-- [start:imports]
import math
import textwrap
import time
import warnings
import zipfile

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:build]
def build_classifier(units=64, learning_rate=0.01):
    """A compiled network for 8x8 digits, with fresh random weights."""
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
# --8<-- [end:build]


# --8<-- [start:draw]
def draw_losses(axes, curves, title):
    """Training and validation loss, one point an epoch."""
    epochs = range(1, len(curves["loss"]) + 1)
    axes.plot(epochs, curves["loss"], label="training")
    axes.plot(epochs, curves["val_loss"], "--", label="validation")
    axes.set_title(title)
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
# --8<-- [end:draw]


# --8<-- [start:start-over]
def start_over(model, seed):
    """New random weights for a compiled model, and an optimizer at zero."""
    keras.utils.set_random_seed(seed)
    model.set_weights(keras.models.clone_model(model).get_weights())
    rate = float(model.optimizer.learning_rate)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
# --8<-- [end:start-over]


# --8<-- [start:precision-recall]
def precision_and_recall(targets, scores, threshold=0.5):
    """Of what was called positive, how much is; and how much was found."""
    called = scores > threshold
    hits = np.sum(called & (targets == 1))
    return hits / max(called.sum(), 1), hits / np.sum(targets == 1)
# --8<-- [end:precision-recall]


# --8<-- [start:detector]
def build_detector():
    """A compiled network that gives the probability of an eight."""
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(
        optimizer=keras.optimizers.Adam(0.03), loss="binary_crossentropy"
    )
    return model
# --8<-- [end:detector]


# --8<-- [start:scores]
def eight_scores(model, train, test_images, class_weight, seed, epochs=4):
    """Train the detector from the start; return its scores on the test."""
    start_over(model, seed)
    model.fit(
        *train, batch_size=64, epochs=epochs, class_weight=class_weight,
        verbose=0,
    )
    return keras.ops.convert_to_numpy(model(test_images))[:, 0]
# --8<-- [end:scores]


# --8<-- [start:softmax]
def softmax(logits):
    """Probabilities from logits, row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(x, y, weights, bias):
    """Minus the log of the true class's probability, image by image."""
    probabilities = softmax(x @ weights + bias)
    return -np.log(probabilities[np.arange(len(y)), y])
# --8<-- [end:softmax]


# --8<-- [start:epoch]
def run_epoch(x, y, weights, bias, learning_rate, batch_size, order=None):
    """One epoch of SGD on softmax regression; changes weights and bias."""
    order = np.arange(len(x)) if order is None else order
    total = 0.0
    for start in range(0, len(x), batch_size):
        rows = order[start:start + batch_size]
        true = np.arange(len(rows)), y[rows]
        error = softmax(x[rows] @ weights + bias)  # P
        total -= np.log(error[true]).sum()
        error[true] -= 1.0                         # P - Y
        weights -= learning_rate * x[rows].T @ error / len(rows)
        bias -= learning_rate * error.sum(axis=0) / len(rows)
    return total / len(x)
# --8<-- [end:epoch]


# --8<-- [start:epochs-until]
def epochs_until(target, batch_size, learning_rate, seed, train, validation):
    """Epochs of softmax regression until the validation loss < target."""
    rng = np.random.default_rng(seed)
    weights, bias = np.zeros((64, 10)), np.zeros(10)
    losses = []
    while not losses or losses[-1] >= target:
        order = rng.permutation(len(train[0]))
        run_epoch(*train, weights, bias, learning_rate, batch_size, order)
        losses.append(cross_entropy(*validation, weights, bias).mean())
    return losses
# --8<-- [end:epochs-until]


# --8<-- [start:scaled]
def accuracy_when_scaled(seed, on_all_rows):
    """Standardise with the mean and deviation of all, or of training rows."""
    x, y = load_breast_cancer(return_X_y=True)
    train, test, y_train, y_test = train_test_split(
        x, y, test_size=0.4, stratify=y, random_state=seed
    )
    seen = x if on_all_rows else train
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    weights, bias = np.zeros((30, 2)), np.zeros(2)
    for _ in range(20):
        run_epoch((train - mean) / deviation, y_train, weights, bias, 0.1, 32)
    logits = (test - mean) / deviation @ weights + bias
    return np.mean(logits.argmax(axis=1) == y_test)
# --8<-- [end:scaled]


# --8<-- [start:noise]
def accuracy_on_noise(seed, on_all_rows):
    """Keep the 20 of 2,000 noise features that best match random labels."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(200, 2000)), rng.integers(0, 2, 200)
    train, test = slice(0, 100), slice(100, 200)
    seen = slice(None) if on_all_rows else train
    match = np.abs((2 * y[seen] - 1) @ x[seen])
    x = x[:, np.argsort(match)[-20:]]
    weights, bias = np.zeros((20, 2)), np.zeros(2)
    for _ in range(20):
        run_epoch(x[train], y[train], weights, bias, 0.1, 20)
    return np.mean((x[test] @ weights + bias).argmax(axis=1) == y[test])
# --8<-- [end:noise]


def main():
    # --8<-- [start:load]
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    print(images.shape, images.min(), images.max())
    #> (1797, 64) 0.0 1.0
    print(np.bincount(labels))
    #> [178 182 177 183 181 182 181 179 174 180]
    # --8<-- [end:load]

    # --8<-- [start:split]
    x_rest, x_test, y_rest, y_test = train_test_split(
        images, labels, test_size=360, stratify=labels, random_state=0
    )
    x_train, x_val, y_train, y_val = train_test_split(
        x_rest, y_rest, test_size=360, stratify=y_rest, random_state=0
    )
    print(len(x_train), len(x_val), len(x_test))
    #> 1077 360 360
    # --8<-- [end:split]

    # --8<-- [start:stratify]
    print("stratified:    ", np.bincount(y_test))
    #> stratified:     [36 36 35 37 36 37 36 36 35 36]
    for seed in range(3):
        _, plain = train_test_split(labels, test_size=360, random_state=seed)
        print("not stratified:", np.bincount(plain))
    #> not stratified: [27 35 36 29 30 40 44 39 39 41]
    #> not stratified: [43 35 36 41 38 30 37 37 29 34]
    #> not stratified: [32 44 31 36 35 43 35 40 36 28]
    # --8<-- [end:stratify]

    # --8<-- [start:fit]
    keras.utils.set_random_seed(0)
    model = build_classifier()
    history = model.fit(
        x_train,
        y_train,
        batch_size=32,
        epochs=10,
        validation_data=(x_val, y_val),
        validation_batch_size=360,
        verbose=0,
    )
    for name, values in history.history.items():
        print(f"{name:12} first {values[0]:.3f}  last {values[-1]:.3f}")
    #~ accuracy     first 0.705  last 0.992
    #~ loss         first 1.152  last 0.041
    #~ val_accuracy first 0.900  last 0.969
    #~ val_loss     first 0.427  last 0.123
    # --8<-- [end:fit]

    # --8<-- [start:steps]
    steps = math.ceil(len(x_train) / 32)
    print("steps an epoch:", steps)
    #> steps an epoch: 34
    print("rows in the last batch:", len(x_train) - 32 * (steps - 1))
    #> rows in the last batch: 21
    print("updates so far:", int(model.optimizer.iterations))
    #> updates so far: 340
    print("expected:      ", 10 * steps)
    #> expected:       340
    # --8<-- [end:steps]

    # --8<-- [start:evaluate]
    scores = model.evaluate(x_val, y_val, verbose=0, return_dict=True)
    print({name: round(value, 3) for name, value in scores.items()})
    #~ {'accuracy': 0.969, 'loss': 0.123}
    last = history.history["val_loss"][-1]
    print("same as the last val_loss:", abs(scores["loss"] - last) < 1e-5)
    #> same as the last val_loss: True
    # --8<-- [end:evaluate]

    # --8<-- [start:predict]
    probabilities = model.predict(x_test, verbose=0)
    print(probabilities.shape, probabilities.dtype)
    #> (360, 10) float32
    print("rows sum to 1:", np.allclose(probabilities.sum(axis=1), 1))
    #> rows sum to 1: True
    print("predicted:", probabilities[:12].argmax(axis=1))
    #> predicted: [7 6 3 7 7 3 2 8 9 3 2 6]
    print("true:     ", y_test[:12])
    #> true:      [7 6 3 7 7 3 2 8 9 3 2 6]
    # --8<-- [end:predict]

    # --8<-- [start:call]
    called = model(x_test)
    print(type(probabilities).__name__, "|", type(called).__name__)
    #> ndarray | EagerTensor
    gap = np.abs(probabilities - keras.ops.convert_to_numpy(called)).max()
    print("same numbers:", gap < 1e-6)
    #> same numbers: True
    # --8<-- [end:call]

    # --8<-- [start:curves]
    curves = history.history
    figure, (top, bottom) = plt.subplots(
        2, 1, num="learning-curves", figsize=(5, 5), sharex=True
    )
    draw_losses(top, curves, "")
    top.legend()
    epochs = range(1, 11)
    bottom.plot(epochs, curves["accuracy"])
    bottom.plot(epochs, curves["val_accuracy"], "--")
    bottom.set_xlabel("epoch")
    bottom.set_ylabel("accuracy")
    plt.show()
    # --8<-- [end:curves]

    # --8<-- [start:lag]
    keras.utils.set_random_seed(0)
    twin = build_classifier()
    logged = twin.fit(x_train, y_train, verbose=0).history["loss"][0]
    after, _ = twin.evaluate(x_train, y_train, verbose=0)
    print(f"logged by fit {logged:.2f}, after the epoch {after:.2f}")
    #~ logged by fit 1.15, after the epoch 0.41
    # --8<-- [end:lag]

    # --8<-- [start:under]
    keras.utils.set_random_seed(0)
    small = build_classifier(units=1, learning_rate=0.04)
    too_small = small.fit(
        x_train,
        y_train,
        batch_size=64,
        epochs=10,
        validation_data=(x_val, y_val),
        validation_batch_size=360,
        verbose=0,
    ).history
    # --8<-- [end:under]

    # --8<-- [start:over]
    rng = np.random.default_rng(0)
    few_labels = y_train[:100].copy()
    wrong = rng.random(100) < 0.3
    few_labels[wrong] = rng.integers(0, 10, wrong.sum())

    keras.utils.set_random_seed(0)
    large = build_classifier(units=256, learning_rate=0.02)
    memorised = large.fit(
        x_train[:100],
        few_labels,
        batch_size=20,
        epochs=10,
        validation_data=(x_val, y_val),
        validation_batch_size=360,
        verbose=0,
    ).history
    # --8<-- [end:over]

    # --8<-- [start:regimes]
    figure, axes = plt.subplots(
        3, 1, num="regimes", figsize=(5, 7.5), layout="constrained"
    )
    draw_losses(axes[0], too_small, "under-fitting: 1 hidden unit")
    draw_losses(axes[1], curves, "good: 64 hidden units")
    draw_losses(axes[2], memorised, "over-fitting: 256 units, 100 images")
    best = int(np.argmin(memorised["val_loss"]))
    axes[2].plot(best + 1, memorised["val_loss"][best], "o", color="C3")
    axes[2].set_xlabel("epoch")
    axes[0].legend()
    plt.show()
    # --8<-- [end:regimes]

    # --8<-- [start:regime-numbers]
    print("units  train    val  lowest  accuracy")
    #> units  train    val  lowest  accuracy
    for units, run in [(1, too_small), (64, curves), (256, memorised)]:
        print(
            f"{units:5}  {run['loss'][-1]:5.2f}  {run['val_loss'][-1]:5.2f}"
            f"  {min(run['val_loss']):6.2f}  {run['val_accuracy'][-1]:8.2f}"
        )
    #~     1   1.69   1.76    1.76      0.31
    #~    64   0.04   0.12    0.12      0.97
    #~   256   0.24   0.90    0.68      0.73
    # --8<-- [end:regime-numbers]

    # --8<-- [start:test-once]
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    error_bar = math.sqrt(accuracy * (1 - accuracy) / len(x_test))
    print(f"test accuracy {accuracy:.3f}, standard error {error_bar:.3f}")
    #~ test accuracy 0.967, standard error 0.009
    # --8<-- [end:test-once]

    # --8<-- [start:weighted-loss]
    sample_weight = np.where(y_val == 8, 5.0, 1.0)
    outputs = keras.ops.convert_to_numpy(model(x_val))
    losses = -np.log(outputs[np.arange(360), y_val])

    weighted, _ = model.evaluate(
        x_val, y_val, sample_weight=sample_weight, verbose=0
    )
    over_rows = np.sum(sample_weight * losses) / len(losses)
    over_weights = np.sum(sample_weight * losses) / sample_weight.sum()
    print("divides by the rows:   ", abs(weighted - over_rows) < 1e-5)
    #> divides by the rows:    True
    print("divides by the weights:", abs(weighted - over_weights) < 1e-5)
    #> divides by the weights: False
    # --8<-- [end:weighted-loss]

    # --8<-- [start:class-is-sample]
    runs = []
    for weighting in (
        {"class_weight": {8: 5.0}},
        {"sample_weight": np.where(y_train == 8, 5.0, 1.0)},
    ):
        start_over(twin, seed=0)
        twin.fit(x_train, y_train, verbose=0, **weighting)
        runs.append(twin.get_weights())
    print([bool(np.array_equal(a, b)) for a, b in zip(*runs)])
    #> [True, True, True, True]
    # --8<-- [end:class-is-sample]

    # --8<-- [start:balanced]
    is_eight = (labels == 8).astype("int32")
    counts = np.bincount(is_eight)
    balanced = len(is_eight) / (2 * counts)
    print(counts, balanced.round(2))
    #> [1623  174] [0.55 5.16]
    print("weight of each class:", (counts * balanced).round(2))
    #> weight of each class: [898.5 898.5]
    # --8<-- [end:balanced]

    # --8<-- [start:imbalance]
    share = is_eight.mean()
    even, heavy = {0: 1.0, 1: 1.0}, dict(enumerate(balanced))
    detector = build_detector()
    for seed in range(3):
        a, b, eight_a, eight_b = train_test_split(
            images, is_eight, test_size=0.4, stratify=is_eight,
            random_state=seed,
        )
        plain = eight_scores(detector, (a, eight_a), b, even, seed)
        weighed = eight_scores(detector, (a, eight_a), b, heavy, seed)
        for name, result, threshold in [
            ("no weights     ", plain, 0.5),
            ("balanced       ", weighed, 0.5),
            ("lower threshold", plain, share),
        ]:
            precision, recall = precision_and_recall(
                eight_b, result, threshold
            )
            print(seed, name, f"precision {precision:.2f}"
                  f" recall {recall:.2f}")
    #~ 0 no weights      precision 0.92 recall 0.70
    #~ 0 balanced        precision 0.51 recall 0.99
    #~ 0 lower threshold precision 0.48 recall 1.00
    #~ 1 no weights      precision 0.90 recall 0.79
    #~ 1 balanced        precision 0.48 recall 0.96
    #~ 1 lower threshold precision 0.46 recall 0.97
    #~ 2 no weights      precision 0.93 recall 0.56
    #~ 2 balanced        precision 0.66 recall 0.84
    #~ 2 lower threshold precision 0.65 recall 0.91
    # --8<-- [end:imbalance]

    # --8<-- [start:save]
    model.save("digits.keras")
    print(zipfile.ZipFile("digits.keras").namelist())
    #> ['metadata.json', 'config.json', 'model.weights.h5']
    restored = keras.models.load_model("digits.keras")
    again = restored.predict(x_test, verbose=0)
    print("same predictions:", np.array_equal(again, probabilities))
    #> same predictions: True
    print("updates remembered:", int(restored.optimizer.iterations))
    #> updates remembered: 340
    # --8<-- [end:save]

    # --8<-- [start:resume]
    start_over(twin, seed=0)
    twin.fit(x_train, y_train, shuffle=False, verbose=0)
    twin.save("halfway.keras")
    twin.fit(x_train, y_train, shuffle=False, verbose=0)

    resumed = keras.models.load_model("halfway.keras")
    resumed.fit(x_train, y_train, shuffle=False, verbose=0)

    pairs = zip(twin.get_weights(), resumed.get_weights())
    print([bool(np.array_equal(a, b)) for a, b in pairs])
    #> [True, True, True, True]
    # --8<-- [end:resume]

    # --8<-- [start:weights-only]
    resumed.save_weights("digits.weights.h5")
    bare = build_classifier()
    with warnings.catch_warnings(record=True) as caught:
        bare.load_weights("digits.weights.h5")
    print(textwrap.fill(str(caught[0].message), 60))
    #> Skipping variable loading for optimizer 'adam_5', because it
    #> has 2 variables whereas the saved optimizer has 10
    #> variables.
    print("weights:", np.array_equal(bare.get_weights()[0],
                                     resumed.get_weights()[0]))
    #> weights: True
    print("updates remembered:", int(bare.optimizer.iterations))
    #> updates remembered: 0
    # --8<-- [end:weights-only]

    # --8<-- [start:weights-resume]
    bare.optimizer.build(bare.trainable_variables)
    bare.load_weights("digits.weights.h5")
    print("updates remembered:", int(bare.optimizer.iterations))
    #> updates remembered: 68
    equal = [
        np.array_equal(a.numpy(), b.numpy()) for a, b in
        zip(resumed.optimizer.variables, bare.optimizer.variables)
    ]
    print(len(equal), "optimizer variables equal:", all(equal))
    #> 10 optimizer variables equal: True
    # --8<-- [end:weights-resume]

    # --8<-- [start:seed]
    for seed in (0, 1):
        start_over(twin, seed)
        run = twin.fit(x_train, y_train, verbose=0).history
        print("seed", seed, "repeats the first run of this page:",
              run["loss"][0] == history.history["loss"][0])
    #> seed 0 repeats the first run of this page: True
    #> seed 1 repeats the first run of this page: False
    # --8<-- [end:seed]

    # --8<-- [start:seed-limits]
    keras.utils.set_random_seed(1)
    first, second = build_classifier(), build_classifier()
    print("two models after one seed are equal:", np.array_equal(
        first.get_weights()[0], second.get_weights()[0]))
    #> two models after one seed are equal: False
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        draws.append((np.random.random(), np.random.default_rng().random()))
    print("np.random.random() repeats:", draws[0][0] == draws[1][0])
    #> np.random.random() repeats: True
    print("default_rng() repeats:", draws[0][1] == draws[1][1])
    #> default_rng() repeats: False
    # --8<-- [end:seed-limits]

    # --8<-- [start:shapes]
    model.summary(line_length=72)
    #> Model: "sequential"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ dense (Dense)                 │ (None, 64)            │        4,160 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ dense_1 (Dense)               │ (None, 10)            │          650 │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 14,432 (56.38 KB)
    #>  Trainable params: 4,810 (18.79 KB)
    #>  Non-trainable params: 0 (0.00 B)
    #>  Optimizer params: 9,622 (37.59 KB)
    # --8<-- [end:shapes]

    # --8<-- [start:same-as-keras]
    keras.utils.set_random_seed(0)
    linear = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(10, activation="softmax"),
    ])
    linear.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.1),
        loss="sparse_categorical_crossentropy",
    )
    weights, bias = [start.astype("float64") for start in linear.get_weights()]
    logged = linear.fit(
        x_train, y_train, batch_size=32, epochs=3, shuffle=False, verbose=0
    ).history["loss"]
    # --8<-- [end:same-as-keras]

    # --8<-- [start:same-as-numpy]
    losses = [
        run_epoch(x_train, y_train, weights, bias, 0.1, 32) for _ in range(3)
    ]
    keras_weights, keras_bias = linear.get_weights()
    print("weights equal:", np.abs(keras_weights - weights).max() < 1e-5)
    #> weights equal: True
    print("biases equal: ", np.abs(keras_bias - bias).max() < 1e-5)
    #> biases equal:  True
    print("losses equal: ", np.allclose(losses, logged, atol=1e-5))
    #> losses equal:  True
    print(np.round(losses, 3))
    #~ [2.116 1.615 1.277]
    # --8<-- [end:same-as-numpy]

    # --8<-- [start:batch-sizes]
    train, validation = (x_train, y_train), (x_val, y_val)
    same_rate = [(8, 0.1), (32, 0.1), (128, 0.1), (512, 0.1)]
    scaled_rate = [(8, 0.025), (128, 0.4), (512, 1.6)]
    runs = {}
    print("batch   rate      epochs  updates")
    #> batch   rate      epochs  updates
    for size, rate in same_rate + scaled_rate:
        runs[size, rate] = [
            epochs_until(0.5, size, rate, seed, train, validation)
            for seed in range(3)
        ]
        epochs = [len(run) for run in runs[size, rate]]
        updates = max(epochs) * math.ceil(len(x_train) / size)
        print(f"{size:5}  {rate:5.3f}  {min(epochs):3} to {max(epochs):3}"
              f"  {updates:7}")
    #~     8  0.100    3 to   3      405
    #~    32  0.100   11 to  11      374
    #~   128  0.100   42 to  42      378
    #~   512  0.100  124 to 125      375
    #~     8  0.025   11 to  11     1485
    #~   128  0.400   11 to  11       99
    #~   512  1.600    8 to  11       33
    # --8<-- [end:batch-sizes]

    # --8<-- [start:batch-figure]
    figure, (top, bottom) = plt.subplots(
        2, 1, num="batch-sizes", figsize=(5, 6), layout="constrained"
    )
    for index, size in enumerate((8, 32, 128, 512)):
        steps = math.ceil(len(x_train) / size)
        for seed, run in enumerate(runs[size, 0.1]):
            epochs = np.arange(1, len(run) + 1)
            name = f"batch size {size}" if seed == 0 else None
            style = dict(color=f"C{index}", marker=".")
            top.plot(epochs, run, **style, label=name)
            bottom.plot(epochs * steps, run, **style)
    top.set_xscale("log")
    top.set_xticks([1, 10, 100], ["1", "10", "100"])
    top.set(xlabel="epochs", ylabel="validation loss")
    bottom.set(xlabel="updates", ylabel="validation loss")
    top.legend()
    plt.show()
    # --8<-- [end:batch-figure]

    # --8<-- [start:leak]
    for step, measure in [
        ("scaling", accuracy_when_scaled), ("selection", accuracy_on_noise)
    ]:
        for name, on_all_rows in [("all rows", True), ("training", False)]:
            scores = [measure(seed, on_all_rows) for seed in range(5)]
            print(f"{step:9} {name:8} {np.mean(scores):.3f}"
                  f" ({min(scores):.2f} to {max(scores):.2f})")
    #~ scaling   all rows 0.970 (0.96 to 0.97)
    #~ scaling   training 0.968 (0.96 to 0.97)
    #~ selection all rows 0.760 (0.72 to 0.80)
    #~ selection training 0.482 (0.43 to 0.52)
    # --8<-- [end:leak]

    # --8<-- [start:sorted]
    by_class = np.argsort(labels, kind="stable")
    mixed = np.random.default_rng(0).permutation(len(labels))
    print("last fifth, sorted:  ", np.unique(labels[by_class][1437:]))
    #> last fifth, sorted:   [7 8 9]
    print("last fifth, shuffled:", np.unique(labels[mixed][1437:]))
    #> last fifth, shuffled: [0 1 2 3 4 5 6 7 8 9]
    start_over(twin, seed=0)
    run = twin.fit(
        images[by_class], labels[by_class], epochs=2, validation_split=0.2,
        verbose=0,
    ).history
    print(f"sorted: accuracy {run['accuracy'][-1]:.2f},"
          f" val_accuracy {run['val_accuracy'][-1]:.2f}")
    #~ sorted: accuracy 0.97, val_accuracy 0.02
    # --8<-- [end:sorted]

    # --8<-- [start:twice]
    start_over(twin, seed=0)
    for call in ("first", "second"):
        run = twin.fit(x_train, y_train, verbose=0).history
        print(call, "fit: loss of the epoch", round(run["loss"][0], 2))
    #~ first fit: loss of the epoch 1.15
    #~ second fit: loss of the epoch 0.3
    start_over(twin, seed=0)
    run = twin.fit(x_train, y_train, verbose=0).history
    print("started over: loss of the epoch", round(run["loss"][0], 2))
    #~ started over: loss of the epoch 1.15
    # --8<-- [end:twice]

    # --8<-- [start:on-training]
    _, seen = large.evaluate(x_train[:100], few_labels, verbose=0)
    _, unseen = large.evaluate(x_test, y_test, verbose=0)
    print(f"on the rows it learned {seen:.2f}, on new rows {unseen:.2f}")
    #~ on the rows it learned 0.96, on new rows 0.70
    # --8<-- [end:on-training]

    # --8<-- [start:slow]
    def seconds(work):
        """Processor seconds of the faster of two runs."""
        durations = []
        for _ in range(2):
            start = time.process_time()
            work()
            durations.append(time.process_time() - start)
        return min(durations)


    rows = x_test[:6]
    one_by_one = seconds(
        lambda: [model.predict(row[None], verbose=0) for row in rows]
    )
    called = seconds(lambda: [model(row[None]) for row in rows])
    at_once = seconds(lambda: model.predict(rows, verbose=0))
    print("a loop is 3 times slower:", one_by_one > 3 * at_once)
    #> a loop is 3 times slower: True
    print("a loop of model(x) is twice as fast:", one_by_one > 2 * called)
    #> a loop of model(x) is twice as fast: True
    # --8<-- [end:slow]

    # --8<-- [start:messages]
    one_hot = keras.utils.to_categorical(y_train, 10)
    for targets in (one_hot, y_val):
        try:
            model.fit(x_train, targets, verbose=0)
        except ValueError as error:
            print(textwrap.fill(str(error), 60))
    #> Argument `output` must have rank (ndim) `target.ndim - 1`.
    #> Received: target.shape=(None, 10), output.shape=(None, 10)
    #> Data cardinality is ambiguous. Make sure all arrays contain
    #> the same number of samples.'x' sizes: 1077 'y' sizes: 360
    # --8<-- [end:messages]

    # --8<-- [start:solution-1]
    rows, size, epochs = 1000, 128, 5
    steps = math.ceil(rows / size)
    print("updates:", steps * epochs, "last batch:", rows - size * (steps - 1))
    #> updates: 40 last batch: 104

    start_over(twin, seed=0)
    twin.fit(
        x_train[:rows], y_train[:rows],
        batch_size=size, epochs=epochs, verbose=0,
    )
    print("counted by the optimizer:", int(twin.optimizer.iterations))
    #> counted by the optimizer: 40
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    times = np.where(y_val == 8, 3, 1)
    weighed, _ = model.evaluate(
        x_val, y_val, sample_weight=times.astype("float32"), verbose=0
    )
    copied, _ = model.evaluate(
        np.repeat(x_val, times, axis=0), np.repeat(y_val, times), verbose=0
    )
    print("equal means:", np.isclose(weighed, copied, rtol=1e-4))
    #> equal means: False
    print("equal sums: ", np.isclose(
        weighed * len(y_val), copied * times.sum(), rtol=1e-4))
    #> equal sums:  True
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    weights, bias = np.zeros((64, 10)), np.zeros(10)
    for _ in range(5):
        run_epoch(x_train, y_train, weights, bias, 0.1, 32)
    error = softmax(x_train @ weights + bias) - np.eye(10)[y_train]
    full = x_train.T @ error / len(x_train)

    rng = np.random.default_rng(0)
    for size in (8, 32, 128):
        distances = []
        for _ in range(500):
            rows = rng.integers(0, len(x_train), size)
            batch = x_train[rows].T @ error[rows] / size
            distances.append(np.linalg.norm(batch - full))
        distance = np.sqrt(np.mean(np.square(distances)))
        print(f"{size:4}: {distance:.3f}, times sqrt(b):"
              f" {distance * size ** 0.5:.2f}")
    #~    8: 0.790, times sqrt(b): 2.23
    #~   32: 0.407, times sqrt(b): 2.30
    #~  128: 0.202, times sqrt(b): 2.29
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    scores = []
    folds = np.array_split(np.random.default_rng(0).permutation(1437), 5)
    for fold in folds:
        rest = np.setdiff1d(np.arange(1437), fold)
        weights, bias = np.zeros((64, 10)), np.zeros(10)
        for _ in range(30):
            run_epoch(x_rest[rest], y_rest[rest], weights, bias, 0.4, 32)
        guesses = (x_rest[fold] @ weights + bias).argmax(axis=1)
        scores.append(np.mean(guesses == y_rest[fold]))
    print(np.round(scores, 3))
    #~ [0.972 0.972 0.948 0.948 0.955]
    print(f"mean {np.mean(scores):.3f}, deviation {np.std(scores, ddof=1):.3f}")
    #~ mean 0.959, deviation 0.012
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    a, b, eight_a, eight_b = train_test_split(
        images, is_eight, test_size=0.4, stratify=is_eight, random_state=0
    )
    longer = eight_scores(detector, (a, eight_a), b, even, seed=0, epochs=16)
    for threshold in (0.5, share):
        print(f"threshold {threshold:.2f}",
              "precision {:.2f} recall {:.2f}".format(
                  *precision_and_recall(eight_b, longer, threshold)))
    #~ threshold 0.50 precision 0.97 recall 0.91
    #~ threshold 0.10 precision 0.83 recall 1.00
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
