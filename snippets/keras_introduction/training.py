"""Train, judge and keep a model: what `fit`, `evaluate` and `predict` do.

The lesson splits images of digits in three, trains on the first part,
chooses on the second and reports on the third. It shows that `fit` is
mini-batch gradient descent, by computing the same weights in NumPy; reads
learning curves; saves a model and goes on training it; repeats a run; and
measures what the batch size does.
"""

# --8<-- [start:imports]
import math
import os
import tempfile
import textwrap
import zipfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"  # no log of TensorFlow's C++

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
# --8<-- [end:imports]


# --8<-- [start:build]
def build(units=64, learning_rate=0.001, seed=0, activation="relu"):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(units, activation=activation),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
# --8<-- [end:build]


# --8<-- [start:softmax]
def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def run_epoch(x, y, weights, bias, learning_rate, batch_size):
    """One epoch of SGD in the given order; return the loss that fit logs."""
    total = 0.0
    for start in range(0, len(x), batch_size):
        batch, classes = (part[start:start + batch_size] for part in (x, y))
        error = softmax(batch @ weights + bias)  # P
        true = np.arange(len(batch)), classes
        total -= np.log(error[true]).sum()
        error[true] -= 1                         # P - Y
        weights -= learning_rate * batch.T @ error / len(batch)
        bias -= learning_rate * error.mean(axis=0)
    return total / len(x)
# --8<-- [end:softmax]


# --8<-- [start:noise]
def accuracy_on_noise(select_first, seed=0):
    """Keep the 20 of 2,000 random columns that match random labels best."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(200, 2000)), random.integers(0, 2, 200)
    seen = slice(0, 200) if select_first else slice(0, 100)
    match = np.abs((2 * y[seen] - 1) @ x[seen])
    x = x[:, np.argsort(match)[-20:]].astype("float32")
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(20,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.01),
                  loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(x[:100], y[:100], epochs=30, verbose=0)
    return model.evaluate(x[100:], y[100:], verbose=0)[1]
# --8<-- [end:noise]


# --8<-- [start:batches]
def batches(x, y, forever=False):
    """Batches of 128, once or again and again."""
    while True:
        for start in range(0, len(x), 128):
            yield x[start:start + 128], y[start:start + 128]
        if not forever:
            return
# --8<-- [end:batches]


# --8<-- [start:image-batches]
class ImageBatches(keras.utils.PyDataset):
    def __init__(self, images, labels, batch_size=32, shuffle=False,
                 **options):
        super().__init__(**options)
        self.images, self.labels = images, labels
        self.batch_size, self.shuffle = batch_size, shuffle
        self.random = np.random.default_rng(0)
        self.order = np.arange(len(images))

    def __len__(self):
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        chosen = self.order[start:start + self.batch_size]
        return self.images[chosen], self.labels[chosen]  # or read files

    def on_epoch_end(self):
        if self.shuffle:
            self.random.shuffle(self.order)
# --8<-- [end:image-batches]


# --8<-- [start:solution-3-tail]
def coin_tail(heads, tosses):
    """Probability that a fair coin is at least as one-sided as this."""
    least = min(heads, tosses - heads)
    ways = sum(math.comb(tosses, k) for k in range(least + 1))
    return min(1.0, 2 * ways / 2 ** tosses)
# --8<-- [end:solution-3-tail]


def main():
    # --8<-- [start:split]
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    print(images.shape)
    #> (1797, 64)
    x_rest, x_test, y_rest, y_test = train_test_split(
        images, labels, test_size=360, stratify=labels, random_state=0)
    x_train, x_val, y_train, y_val = train_test_split(
        x_rest, y_rest, test_size=360, stratify=y_rest, random_state=0)
    print(x_train.shape, x_val.shape, x_test.shape)
    #> (1077, 64) (360, 64) (360, 64)
    # --8<-- [end:split]

    # --8<-- [start:fit]
    model = build()
    before = model.evaluate(x_val, y_val, verbose=0)[1]
    log = model.fit(x_train, y_train, batch_size=32, epochs=15,
                    validation_data=(x_val, y_val), verbose=0).history
    for epoch in (1, 2, 5, 10, 15):
        print(f"Epoch {epoch}/15", *(
            f"- {name}: {values[epoch - 1]:.2f}"
            for name, values in log.items()))
    #~ Epoch 1/15 - accuracy: 0.27 - loss: 2.15 - val_accuracy: 0.59 - val_loss: 1.92
    #~ Epoch 2/15 - accuracy: 0.70 - loss: 1.72 - val_accuracy: 0.79 - val_loss: 1.48
    #~ Epoch 5/15 - accuracy: 0.89 - loss: 0.73 - val_accuracy: 0.92 - val_loss: 0.65
    #~ Epoch 10/15 - accuracy: 0.94 - loss: 0.32 - val_accuracy: 0.94 - val_loss: 0.31
    #~ Epoch 15/15 - accuracy: 0.96 - loss: 0.20 - val_accuracy: 0.96 - val_loss: 0.22
    print(f"validation accuracy: {before:.2f} before, "
          f"{log['val_accuracy'][-1]:.2f} after")
    #~ validation accuracy: 0.08 before, 0.96 after
    # --8<-- [end:fit]

    # --8<-- [start:use]
    probabilities = model.predict(x_val[:8], verbose=0)
    print("predicted", probabilities.argmax(axis=1), "true", y_val[:8])
    #> predicted [5 0 5 9 7 1 1 1] true [5 0 5 9 7 1 8 1]
    # --8<-- [end:use]

    # --8<-- [start:steps]
    steps = math.ceil(len(x_train) / 32)
    print("batches in an epoch:", steps)
    #> batches in an epoch: 34
    print("examples in the last:", len(x_train) - 32 * (steps - 1))
    #> examples in the last: 21
    print("updates:", int(model.optimizer.iterations), "=", 15 * steps)
    #> updates: 510 = 510
    # --8<-- [end:steps]

    # --8<-- [start:stratify]
    print("stratified:    ", np.bincount(y_test))
    #> stratified:     [36 36 35 37 36 37 36 36 35 36]
    for seed in (0, 1):
        _, part = train_test_split(labels, test_size=360, random_state=seed)
        print("not stratified:", np.bincount(part))
    #> not stratified: [27 35 36 29 30 40 44 39 39 41]
    #> not stratified: [43 35 36 41 38 30 37 37 29 34]
    # --8<-- [end:stratify]

    # --8<-- [start:choose]
    for rate in (0.0001, 0.001, 0.01, 0.1):
        candidate = build(learning_rate=rate)
        val_loss = candidate.fit(
            x_train, y_train, epochs=5, validation_data=(x_val, y_val),
            verbose=0).history["val_loss"][-1]
        print(f"learning rate {rate:6}: val_loss {val_loss:.2f}")
    #~ learning rate 0.0001: val_loss 2.11
    #~ learning rate  0.001: val_loss 0.65
    #~ learning rate   0.01: val_loss 0.15
    #~ learning rate    0.1: val_loss 0.22
    # --8<-- [end:choose]

    # --8<-- [start:test-once]
    final = build(learning_rate=0.01)
    final.fit(x_rest, y_rest, epochs=5, verbose=0)
    p = final.evaluate(x_test, y_test, verbose=0)[1]
    error = math.sqrt(p * (1 - p) / len(y_test))
    print(f"test accuracy {p:.3f}, standard error {error:.3f}")
    #~ test accuracy 0.964, standard error 0.010
    # --8<-- [end:test-once]

    # --8<-- [start:evaluate]
    scores = model.evaluate(x_val, y_val, verbose=0, return_dict=True)
    print({name: round(value, 2) for name, value in scores.items()})
    #~ {'accuracy': 0.96, 'loss': 0.22}
    print("as in the log:", np.isclose(scores["loss"], log["val_loss"][-1]))
    #> as in the log: True
    predicted, called = model.predict(x_val, verbose=0), model(x_val)
    print(predicted.shape, np.allclose(predicted.sum(axis=1), 1))
    #> (360, 10) True
    print("same numbers:", np.allclose(
        predicted, keras.ops.convert_to_numpy(called), atol=1e-5))
    #> same numbers: True
    print("NumPy arrays:", isinstance(predicted, np.ndarray),
          isinstance(called, np.ndarray))
    #> NumPy arrays: True False
    # --8<-- [end:evaluate]

    # --8<-- [start:pieces]
    streamed = build()
    streamed.fit(ImageBatches(x_train, y_train, shuffle=True), epochs=15,
                 verbose=0)
    loss, accuracy = streamed.evaluate(ImageBatches(x_val, y_val), verbose=0)
    print(f"loss {loss:.2f}, accuracy {accuracy:.2f}")
    #~ loss 0.21, accuracy 0.96
    # --8<-- [end:pieces]

    # --8<-- [start:lag]
    young = build()
    logged = young.fit(x_train, y_train, verbose=0).history["loss"][0]
    after = young.evaluate(x_train, y_train, verbose=0)[0]
    print(f"logged by fit {logged:.2f}, after the epoch {after:.2f}")
    #~ logged by fit 2.15, after the epoch 1.92
    # --8<-- [end:lag]

    # --8<-- [start:runs]
    random = np.random.default_rng(0)
    few, noisy = x_train[:100], y_train[:100].copy()
    wrong = random.random(100) < 0.3
    noisy[wrong] = random.integers(0, 10, wrong.sum())

    validation, logs = (x_val, y_val), {}
    narrow = build(units=1, learning_rate=0.02, activation="tanh")
    logs["1 unit"] = narrow.fit(
        x_train, y_train, batch_size=128, epochs=40,
        validation_data=validation, verbose=0).history
    logs["64 units"] = build(learning_rate=0.01).fit(
        x_train, y_train, epochs=30, validation_data=validation,
        verbose=0).history
    logs["256 units, wrong labels"] = build(units=256, learning_rate=0.01).fit(
        few, noisy, epochs=30, validation_data=validation, verbose=0).history
    # --8<-- [end:runs]

    # --8<-- [start:curves]
    figure, panels = plt.subplots(
        3, 1, num="curves", figsize=(5, 7), layout="constrained")
    for panel, (name, run) in zip(panels, logs.items()):
        epochs = range(1, len(run["loss"]) + 1)
        panel.plot(epochs, run["loss"], label="training")
        panel.plot(epochs, run["val_loss"], "--", label="validation")
        panel.set(title=name, ylabel="loss")
        panel.set_ylim(bottom=0)

    panels[0].legend()
    panels[2].set_xlabel("epoch")
    plt.show()
    # --8<-- [end:curves]

    # --8<-- [start:turns]
    for name, run in logs.items():
        best = int(np.argmin(run["val_loss"]))
        print(name)
        for word, epoch in (("best", best), ("last", -1)):
            print(f"  {word}: loss {run['loss'][epoch]:.2f}, "
                  f"val_loss {run['val_loss'][epoch]:.2f}, "
                  f"val_accuracy {run['val_accuracy'][epoch]:.2f}")
    #~ 1 unit
    #~   best: loss 1.66, val_loss 1.74, val_accuracy 0.26
    #~   last: loss 1.66, val_loss 1.74, val_accuracy 0.26
    #~ 64 units
    #~   best: loss 0.04, val_loss 0.12, val_accuracy 0.97
    #~   last: loss 0.00, val_loss 0.14, val_accuracy 0.97
    #~ 256 units, wrong labels
    #~   best: loss 0.96, val_loss 0.68, val_accuracy 0.82
    #~   last: loss 0.03, val_loss 1.13, val_accuracy 0.68
    # --8<-- [end:turns]

    # --8<-- [start:save]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "digits.keras")
        model.save(file)
        print(zipfile.ZipFile(file).namelist())
        restored = keras.models.load_model(file)
    #> ['metadata.json', 'config.json', 'model.weights.h5']
    print("same predictions:", np.array_equal(
        restored.predict(x_val, verbose=0), predicted))
    #> same predictions: True
    print("updates remembered:", int(restored.optimizer.iterations))
    #> updates remembered: 510
    # --8<-- [end:save]

    # --8<-- [start:resume]
    for copy in (model, restored):
        copy.fit(x_train, y_train, shuffle=False, verbose=0)

    print([np.array_equal(*pair) for pair in zip(
        model.get_weights(), restored.get_weights())])
    #> [True, True, True, True]
    # --8<-- [end:resume]

    # --8<-- [start:seed]
    losses = [build(seed=seed).fit(x_train, y_train, verbose=0)
              .history["loss"][0] for seed in (0, 0, 1)]
    print("seed 0 again:", losses[0] == losses[1])
    #> seed 0 again: True
    print("seed 1:      ", losses[0] == losses[2])
    #> seed 1:       False
    keras.utils.set_random_seed(0)
    first, second = (keras.layers.Dense(2) for _ in range(2))
    for layer in (first, second):
        layer.build((None, 3))

    print("two layers after one seed:", np.array_equal(
        first.get_weights()[0], second.get_weights()[0]))
    #> two layers after one seed: False
    # --8<-- [end:seed]

    # --8<-- [start:shapes]
    print("parameters:", model.count_params())
    #> parameters: 4810
    numbers = sum(math.prod(v.shape) for v in model.optimizer.variables)
    print("numbers in the optimizer:", numbers)
    #> numbers in the optimizer: 9622
    # --8<-- [end:shapes]

    # --8<-- [start:same]
    linear = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(10, activation="softmax"),
    ])
    linear.compile(optimizer=keras.optimizers.SGD(0.1),
                   loss="sparse_categorical_crossentropy")
    weights, bias = (w.astype("float64") for w in linear.get_weights())
    by_numpy = [run_epoch(x_train, y_train, weights, bias, 0.1, 32)
                for _ in range(3)]
    by_keras = linear.fit(x_train, y_train, epochs=3, shuffle=False,
                          verbose=0).history["loss"]
    for mine, keras_own in zip((weights, bias), linear.get_weights()):
        print(np.allclose(mine, keras_own, atol=1e-5))
    #> True
    #> True
    print("logged losses:", np.allclose(by_numpy, by_keras, atol=1e-5))
    #> logged losses: True
    # --8<-- [end:same]

    # --8<-- [start:batch-sizes]
    print("batch  epochs  updates  val_loss")
    #> batch  epochs  updates  val_loss
    for size, epochs in ((16, 3), (64, 3), (256, 3), (256, 41)):
        network = build()
        network.fit(x_train, y_train, batch_size=size, epochs=epochs,
                    verbose=0)
        loss = network.evaluate(x_val, y_val, verbose=0)[0]
        updates = int(network.optimizer.iterations)
        print(f"{size:5}  {epochs:6}  {updates:7}  {loss:8.2f}")
    #~    16       3      204      0.70
    #~    64       3       51      1.59
    #~   256       3       15      2.08
    #~   256      41      205      0.34
    # --8<-- [end:batch-sizes]

    # --8<-- [start:leak]
    for name, select_first in (("first select", True), ("first split", False)):
        print(f"{name}: accuracy {accuracy_on_noise(select_first):.2f}")
    #~ first select: accuracy 0.72
    #~ first split: accuracy 0.48
    # --8<-- [end:leak]

    # --8<-- [start:sorted]
    by_class = np.argsort(labels, kind="stable")
    run = build().fit(images[by_class], labels[by_class], epochs=5,
                      validation_split=0.2, verbose=0).history
    print("validated on:", np.unique(labels[by_class][-360:]))
    #> validated on: [7 8 9]
    print(f"accuracy {run['accuracy'][-1]:.2f}, "
          f"val_accuracy {run['val_accuracy'][-1]:.2f}")
    #~ accuracy 0.96, val_accuracy 0.01
    # --8<-- [end:sorted]

    # --8<-- [start:twice]
    same = build()
    for call in ("first", "second"):
        run = same.fit(x_train, y_train, epochs=3, verbose=0).history
        print(call, "fit:", [round(loss, 1) for loss in run["loss"]])
    #~ first fit: [2.2, 1.7, 1.3]
    #~ second fit: [1.0, 0.7, 0.6]
    # --8<-- [end:twice]

    # --8<-- [start:messages]
    names = np.where(y_train == 8, "eight", "other")
    for x, y in ((x_train, y_val), (x_train, names), ([[0.5] * 64], [8])):
        try:
            model.fit(x, y, verbose=0)
        except ValueError as problem:
            print(textwrap.shorten(str(problem), 70))
    #> Data cardinality is ambiguous. Make sure all arrays contain the [...]
    #> Invalid dtype: str160
    #> Unrecognized data type: x=[[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, [...]
    # --8<-- [end:messages]

    # --8<-- [start:dry]
    once = build()
    once.fit(batches(x_train, y_train), epochs=3, shuffle=False, verbose=0)
    #> UserWarning: Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at least `steps_per_epoch * epochs` batches. You may need to use the `.repeat()` function when building your dataset.
    print("updates:", int(once.optimizer.iterations))
    #> updates: 16
    again = build()
    again.fit(batches(x_train, y_train, forever=True), epochs=3,
              steps_per_epoch=9, shuffle=False, verbose=0)
    print("updates:", int(again.optimizer.iterations))
    #> updates: 27
    # --8<-- [end:dry]

    # --8<-- [start:solution-1]
    counted = build()
    counted.fit(x_train[:1000], y_train[:1000], batch_size=128, epochs=5,
                verbose=0)
    print("updates:", int(counted.optimizer.iterations))
    #> updates: 40
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    error = softmax(x_train @ weights + bias) - np.eye(10)[y_train]
    full = x_train.T @ error / len(x_train)
    print(f"length of the gradient {np.linalg.norm(full):.2f}")
    #~ length of the gradient 0.28
    for size in (8, 32, 128):
        distances = []
        for _ in range(500):
            drawn = random.integers(0, len(x_train), size)
            batch = x_train[drawn].T @ error[drawn] / size
            distances.append(np.sum((batch - full) ** 2))
        distance = np.sqrt(np.mean(distances))
        print(f"batch {size:3}: distance {distance:.2f}, "
              f"times the root of b {distance * size ** 0.5:.1f}")
    #~ batch   8: distance 0.97, times the root of b 2.7
    #~ batch  32: distance 0.49, times the root of b 2.8
    #~ batch 128: distance 0.24, times the root of b 2.7
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    small = build(units=8, learning_rate=0.01)
    small.fit(x_rest, y_rest, epochs=5, verbose=0)
    right = [m.predict(x_test, verbose=0).argmax(axis=1) == y_test
             for m in (final, small)]
    only_final = int(np.sum(right[0] & ~right[1]))
    only_small = int(np.sum(right[1] & ~right[0]))
    print(f"accuracies {right[0].mean():.3f} and {right[1].mean():.3f}")
    #~ accuracies 0.964 and 0.906
    p_value = coin_tail(only_small, only_final + only_small)
    print("surprising for a fair coin:", p_value < 0.05)
    #> surprising for a fair coin: True
    print("6 of 6:", coin_tail(0, 6), " 5 of 6:", coin_tail(1, 6))
    #> 6 of 6: 0.03125  5 of 6: 0.21875
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    accuracies = []
    for others, part in folds.split(x_rest, y_rest):
        fold = build(learning_rate=0.01)
        fold.fit(x_rest[others], y_rest[others], epochs=5, verbose=0)
        accuracies.append(
            fold.evaluate(x_rest[part], y_rest[part], verbose=0)[1])

    mean, deviation = np.mean(accuracies), np.std(accuracies, ddof=1)
    print(f"mean {mean:.3f}, deviation {deviation:.3f}, "
          f"formula {math.sqrt(mean * (1 - mean) / 287):.3f}")
    #~ mean 0.958, deviation 0.009, formula 0.012
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
