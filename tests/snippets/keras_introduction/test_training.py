"""What the lesson on training claims, each claim over a range.

Experiments with many seeds run in a laboratory of their own: `train` trains many networks of one hidden layer side
by side in NumPy, one on each index of axis 0. `test_the_logged_loss_is_measured_before_each_step` proves its kind of
step equal to Keras'.
"""

import math
import random as python_random
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from snippets.keras_introduction.training import ImageBatches, batches, build, run_epoch, softmax

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = (IMAGES / 16).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def one_core():
    """Small matrices are multiplied faster by one core than by several that wait for each other."""
    with threadpool_limits(1):
        yield


def split(seed, n, wrong):
    """Images and labels of `n` training examples, some labels wrong, and of 360 to validate."""
    x, x_val, y, y_val = train_test_split(IMAGES, LABELS, test_size=360, stratify=LABELS, random_state=seed)
    random = np.random.default_rng(seed)
    hit = random.random(n) < wrong
    return x[:n], np.where(hit, (y[:n] + random.integers(1, 10, n)) % 10, y[:n]), x_val, y_val


class Networks:
    """Networks of one hidden layer of ReLU, or of none; index 0 of every array is the network."""

    def __init__(self, seeds, units):
        sizes = (64, units, 10) if units else (64, 10)
        self.kernels, self.biases = [], []
        for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            limit, shape = np.sqrt(6 / (fan_in + fan_out)), (fan_in, fan_out)
            draws = [np.random.default_rng([seed, layer]).uniform(-limit, limit, shape) for seed in seeds]
            self.kernels.append(np.stack(draws).astype("float32"))
            self.biases.append(np.zeros((len(seeds), 1, fan_out), "float32"))

    def forward(self, x):
        inputs = [x]
        for kernel, bias in zip(self.kernels[:-1], self.biases):
            inputs.append(np.maximum(inputs[-1] @ kernel + bias, 0))
        logits = inputs[-1] @ self.kernels[-1] + self.biases[-1]
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True), inputs

    def gradients(self, x, y):
        error, inputs = self.forward(x)
        np.put_along_axis(error, y[..., None], np.take_along_axis(error, y[..., None], -1) - 1, -1)
        error /= y.shape[1]
        kernels, biases = [], []
        for layer in reversed(range(len(self.kernels))):
            kernels.insert(0, inputs[layer].transpose(0, 2, 1) @ error)
            biases.insert(0, error.sum(1, keepdims=True))
            if layer:
                error = error @ self.kernels[layer].transpose(0, 2, 1) * (inputs[layer] > 0)
        return kernels + biases

    def judge(self, x, y):
        probabilities, _ = self.forward(x)
        right = np.take_along_axis(probabilities, y[..., None], -1)[..., 0]
        return -np.log(np.maximum(right, 1e-7)).mean(1), (probabilities.argmax(-1) == y).mean(1)


def train(
    seeds, rates, updates, units=64, batch=32, adam=True, n=1077, wrong=0.0, every=34, one_split=False, reach=None
):
    """Train a network for each rate and seed; return (time, loss or accuracy, rate, seed) on validation images.

    Time goes in steps of `every` updates. With `reach`, training ends when each validation loss has been below it.
    """
    data = [split(0 if one_split else seed, n, wrong) for _ in rates for seed in seeds]
    x, y, x_val, y_val = (np.stack(parts) for parts in zip(*data))
    networks = Networks([seed for _ in rates for seed in seeds], units)
    rate = np.repeat(rates, len(seeds)).astype("float32")[:, None, None]
    variables = networks.kernels + networks.biases
    first, second = ([np.zeros_like(v) for v in variables] for _ in range(2))
    random, rows, step, curve = np.random.default_rng(0), np.arange(len(x))[:, None], 0, []
    while step < updates:
        order = random.permuted(np.tile(np.arange(n), (len(x), 1)), axis=1)
        for start in range(0, n, batch):
            chosen, step = order[:, start : start + batch], step + 1
            for i, gradient in enumerate(networks.gradients(x[rows, chosen], y[rows, chosen])):
                if adam:
                    first[i] += 0.1 * (gradient - first[i])
                    second[i] += 0.001 * (gradient**2 - second[i])
                    gradient = first[i] / (np.sqrt(second[i]) + 1e-7)
                    gradient *= np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                variables[i] -= rate * gradient
            if step % every == 0 and step <= updates:
                curve.append(np.reshape(networks.judge(x_val, y_val), (2, len(rates), len(seeds))))
        if reach and curve and np.all(np.min([losses for losses, _ in curve], axis=0) < reach):
            break
    return np.array(curve)


def updates_until(curve, every, target):
    """Updates until the validation loss is below the target, on average over seeds, for each rate."""
    below = curve[:, 0] < target
    needed = np.where(below.any(0), (below.argmax(0) + 1) * every, 10**6)
    return needed.mean(-1)


def line(rows=300, optimizer=None):
    """A model with one weight, which starts at 1, its examples 0, 1, 2 and so on, and targets of 0."""
    model = keras.Sequential([keras.Input(shape=(1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.0), loss="mean_absolute_error")
    return model, np.arange(rows, dtype="float32")[:, None], np.zeros((rows, 1), "float32")


def equal(one, other):
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_the_defaults_come_close_to_the_best_of_a_grid():
    """Adam at 0.001 with batches of 32 ends within two points of the best of a grid, the best being inside it."""
    rates, sizes = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1], [16, 32, 128, 512]
    best = []
    for size in sizes:
        steps = math.ceil(1077 / size)
        curve = train(range(2), rates, 30 * steps, batch=size, every=steps)
        stop = curve[:, 0].argmin(0)
        accuracy = np.take_along_axis(curve[:, 1], stop[None], 0)[0]
        best.append(accuracy.mean(-1))
    best = np.array(best)
    assert best[1, 1] > best.max() - 0.02
    assert best.max() > best[:, [0, -1]].max(), "the best rate lies inside the grid"


def test_only_training_examples_change_the_weights():
    """A model ends with the same weights with and without validation data, which keep their order; fit shuffles."""
    models = []
    for options in ({}, {"validation_data": (IMAGES[300:400], LABELS[300:400])}, {"shuffle": False}):
        model = build(units=8)
        model.fit(IMAGES[:100], LABELS[:100], epochs=2, verbose=0, **options)
        models.append(model)
    assert equal(models[0], models[1]) and not equal(models[0], models[2])


def test_choosing_wears_the_validation_set_out():
    """The best of many useless models looks better on the images it was chosen on than on others."""
    random = np.random.default_rng(0)
    for candidates in (10, 100):
        for size in (100, 360):
            flattered = []
            for _ in range(20):
                chosen, fresh = random.random((2, candidates, size)) < 0.1
                best = chosen.mean(1).argmax()
                flattered.append(chosen.mean(1)[best] - fresh.mean(1)[best])
            assert np.mean(flattered) > 0.01


def test_fit_updates_once_a_batch():
    """`fit` makes E times n/b updates, rounded up for each epoch; the default batch is 32."""
    for n, size, epochs in ((300, 32, 2), (64, 32, 1), (65, 32, 1), (10, 100, 3), (300, None, 1)):
        model, x, y = line(n)
        model.fit(x, y, batch_size=size, epochs=epochs, verbose=0)
        assert int(model.optimizer.iterations) == epochs * math.ceil(n / (size or 32))


def test_a_random_fifth_often_misses_a_rare_class():
    """Of 5 positives in 1,000 none is in a random fifth in about a third of the splits; stratified, always one."""
    labels = np.arange(1000) < 5
    empty = [not train_test_split(labels, test_size=200, random_state=seed)[1].any() for seed in range(600)]
    assert math.comb(995, 200) / math.comb(1000, 200) == pytest.approx(1 / 3, abs=0.01)
    assert np.mean(empty) == pytest.approx(1 / 3, abs=0.06)
    for seed in range(20):
        assert train_test_split(labels, test_size=200, stratify=labels, random_state=seed)[1].sum() == 1


def test_groups_on_both_sides_flatter():
    """With ten images of each patient and labels that mean nothing, only a split by patient shows it."""
    for spread in (0.1, 0.3):
        for seed in range(3):
            random = np.random.default_rng(seed)
            patient = np.repeat(np.arange(60), 10)
            x = random.normal(size=(60, 100))[patient] + random.normal(0, spread, (600, 100))
            y = random.permutation(np.arange(60) % 2)[patient]
            accuracies = []
            for test in (random.random(600) < 0.2, np.isin(patient, random.choice(60, 20, replace=False))):
                model = LogisticRegression().fit(x[~test], y[~test])
                accuracies.append(model.score(x[test], y[test]))
            assert accuracies[0] > 0.9 and accuracies[1] < 0.75


def test_luck_moves_the_accuracy_by_the_standard_error():
    """Test sets of n images drawn anew give accuracies whose deviation is the formula's."""
    random = np.random.default_rng(0)
    for p in (0.6, 0.97):
        right = random.random(100_000) < p
        for n in (100, 360):
            accuracies = right[random.integers(0, len(right), (2000, n))].mean(1)
            assert np.std(accuracies, ddof=1) == pytest.approx(math.sqrt(p * (1 - p) / n), rel=0.1)


def test_evaluate_predict_and_a_call_agree():
    """All three give the same numbers, whatever the batch size, with dropout off; a float where no metric is."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input(shape=(64,)), *layers])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    x, y = IMAGES[:70], LABELS[:70]
    called = keras.ops.convert_to_numpy(model(x))
    loss = -np.log(called[np.arange(70), y]).mean()
    for size in (7, 32, 100):
        assert np.allclose(model.predict(x, batch_size=size, verbose=0), called, atol=1e-5)
        score = model.evaluate(x, y, batch_size=size, verbose=0)
        assert isinstance(score, float) and score == pytest.approx(loss, rel=1e-4)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    assert isinstance(model.evaluate(x, y, verbose=0), list)
    assert isinstance(model.evaluate(x, y, verbose=0, return_dict=True), dict)
    inputs = keras.Input(shape=(64,))
    two = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(2)(inputs)])
    two.compile(optimizer="adam", loss=["mean_squared_error", "mean_absolute_error"], run_eagerly=True)
    targets = [y[:, None] * 1.0, np.ones((70, 2))]
    two.fit(x, targets, epochs=2, verbose=0)
    assert isinstance(two.evaluate(x, targets, verbose=0), list)
    assert not np.allclose(keras.ops.convert_to_numpy(model(x, training=True)), called, atol=1e-3)


@pytest.mark.parametrize("depth", [1, 200])
def test_predict_in_a_loop_is_slow(depth):
    """Against one `predict`; against calls, where the network is small; the one with 200 layers is slowest called.

    `predict_on_batch` is the fastest of the three loops for both.
    """
    layers = [keras.layers.Dense(8, "relu") for _ in range(depth)]
    model, rows = keras.Sequential([keras.Input(shape=(64,)), *layers, keras.layers.Dense(10)]), IMAGES[:6]

    def seconds(work):
        durations = []
        for _ in range(2):
            start = time.process_time()
            work()
            durations.append(time.process_time() - start)
        return min(durations)

    looped = seconds(lambda: [model.predict(row[None], verbose=0) for row in rows])
    called = seconds(lambda: [model(row[None]) for row in rows])
    assert looped > 3 * seconds(lambda: model.predict(rows, verbose=0))
    assert looped > 2 * called if depth == 1 else called > 1.1 * looped
    assert seconds(lambda: [model.predict_on_batch(row[None]) for row in rows]) < min(looped, called)


def test_the_logged_loss_is_measured_before_each_step():
    """`loss` is the mean over the epoch's examples, before each step; `val_loss` is measured after the last."""
    for n, size in ((300, 32), (65, 64), (100, 7)):
        x, y = IMAGES[:n], LABELS[:n]
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input(shape=(64,)), keras.layers.Dense(10, "softmax")])
        model.compile(optimizer=keras.optimizers.SGD(0.2), loss="sparse_categorical_crossentropy")
        weights, bias = (w.astype("float64") for w in model.get_weights())
        log = model.fit(x, y, batch_size=size, epochs=2, shuffle=False, validation_data=(x, y), verbose=0).history
        for epoch in range(2):
            assert log["loss"][epoch] == pytest.approx(run_epoch(x, y, weights, bias, 0.2, size), abs=1e-4)
            after = -np.log(softmax(x @ weights + bias)[np.arange(n), y]).mean()
            assert log["val_loss"][epoch] == pytest.approx(after, abs=1e-4)
    model, x, y = line(3, keras.optimizers.SGD(0.1))  # batches of 2 and 1: the mean is over examples
    logged = model.fit(x, y, batch_size=2, shuffle=False, verbose=0).history["loss"][0]
    assert logged == pytest.approx((0 + 1 + 2 * 0.95 - 0.05) / 3, abs=1e-3)
    model = keras.Sequential([keras.Input(shape=(64,)), keras.layers.Dropout(0.5), keras.layers.Dense(10, "softmax")])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    log = model.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS), verbose=0).history
    assert abs(log["loss"][0] - log["val_loss"][0]) > 0.01
    assert log["val_loss"][0] == pytest.approx(model.evaluate(IMAGES, LABELS, verbose=0), rel=1e-5)


def test_the_loss_rises_and_the_accuracy_stays():
    """Long past the turn of the validation loss, accuracy on clean digits is less than a point lower."""
    for units, rates in ((64, [0.005, 0.01, 0.02]), (128, [0.01])):
        curve = train(range(4), rates, 80 * 34, units)
        turn = curve[:, 0].argmin(0)
        at_turn = [np.take_along_axis(curve[:, i], turn[None], 0)[0] for i in (0, 1)]
        assert np.all(curve[-1, 0].mean(-1) > 1.05 * at_turn[0].mean(-1))
        assert np.all(curve[-1, 1].mean(-1) > at_turn[1].mean(-1) - 0.01)


def test_each_remedy_lowers_the_validation_loss():
    """More units, more epochs, stopping at the turn, more data and a tenth of the rate, each where it is called for.

    Those with too few units have learned something, and are flat; those at the loss of guessing are not among them.
    """
    seeds = range(4)

    def last(**options):
        return train(seeds, **options)[-1, 0]

    def lower(ill, cured, factor=0.9):
        assert np.all(cured < factor * ill)

    for rate, few in ((0.01, 2), (0.02, 1), (0.05, 1)):
        ill = train(seeds, [rate], 100 * 9, few, batch=128, every=9)[:, 0, 0]
        complaint = (ill[-1] < 2.2) & (np.abs(ill[-10:].mean(0) / ill[-20:-10].mean(0) - 1) < 0.02)
        assert ill[-1].min() > 0.5 and complaint.sum() >= 2, (ill[-1], complaint)
        cured = train(seeds, [rate], 100 * 9, 16 * few, batch=128, every=9)[-1, 0, 0]
        lower(ill[-1][complaint], cured[complaint])
    for units in (64, 256):
        ill, cured = (train(seeds, [rate], 10 * 34, units)[:, 0] for rate in (1.0, 0.1))
        assert np.all(np.abs(ill[-5:] - math.log(10)) < 0.3), ill
        lower(ill[-1], cured[-1])
    for rate in (0.0003, 0.001):
        lower(*(last(rates=[rate], updates=epochs * 34) for epochs in (5, 15)))
    for units in (64, 256):
        small, large = (
            train(seeds, [0.01], epochs * math.ceil(n / 32), units, n=n, wrong=0.3, every=math.ceil(n / 32))
            for n, epochs in ((100, 60), (400, 60))
        )
        lower(small[-1, 0], small[:, 0].min(0))
        lower(small[:, 0].min(0), large[:, 0].min(0))
    for adam, rate in ((True, 0.1), (True, 0.3), (False, 5.0), (False, 20.0)):
        with np.errstate(all="ignore"):
            ill, cured = (last(rates=[r], updates=10 * 34, adam=adam) for r in (rate, rate / 10))
        lower(np.where(np.isnan(ill), np.inf, ill), cured)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.RMSprop(0.001),
        lambda: keras.optimizers.Adam(0.001),
    ],
)
def test_a_keras_file_resumes_exactly(optimizer):
    """A loaded model goes on to the same weights as the one that never stopped; not if shuffled or with dropout."""
    x, y = IMAGES[:100], LABELS[:100]
    model = build(units=8)
    model.compile(optimizer=optimizer(), loss="sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "half.keras"))
        resumed = keras.models.load_model(Path(folder, "half.keras"))
    for shuffle in (False, True):
        for seed, copy in enumerate((model, resumed)):
            keras.utils.set_random_seed(seed)
            copy.fit(x, y, shuffle=shuffle, verbose=0)
        assert equal(model, resumed) != shuffle

    if model.optimizer.name != "adam":
        return
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input(shape=(64,)), *layers])
    model.compile(optimizer=optimizer(), loss="sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "half.keras"))
        resumed = keras.models.load_model(Path(folder, "half.keras"))
    assert equal(model, resumed)
    for copy in (model, resumed):
        keras.utils.set_random_seed(0)
        copy.fit(x, y, shuffle=False, verbose=0)
    assert not equal(model, resumed)


def test_a_keras_file_holds_what_the_optimizer_remembers():
    """Three numbers for each trainable parameter and two more with Adam, one and two more with plain SGD."""
    for optimizer, each in ((keras.optimizers.Adam, 3), (keras.optimizers.SGD, 1)):
        for frozen in (False, True):
            model = keras.Sequential([keras.Input(shape=(3,)), keras.layers.Dense(5), keras.layers.Dense(2)])
            model.layers[0].trainable = not frozen
            model.compile(optimizer=optimizer(), loss="mean_absolute_error")
            model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
            with tempfile.TemporaryDirectory() as folder:
                model.save(Path(folder, "my.keras"))
                zipfile.ZipFile(Path(folder, "my.keras")).extractall(folder)
                items = {}
                with h5py.File(Path(folder, "model.weights.h5")) as file:
                    file.visititems(items.__setitem__)
                    numbers = sum(item.size for item in items.values() if isinstance(item, h5py.Dataset))
            assert numbers == each * (12 if frozen else 32) + (20 if frozen else 0) + 2


def test_a_weights_file_brings_its_learning_rate():
    """Into a fresh model the optimizer's part is skipped, with a warning; into a trained one it brings its rate."""
    x, y = IMAGES[:100], LABELS[:100]
    for rate in (0.001, 0.02):
        model = build(units=8, learning_rate=rate)
        model.fit(x, y, verbose=0)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "my.weights.h5")
            model.save_weights(file)
            fresh, trained = (build(units=8, learning_rate=1e-5, seed=1) for _ in range(2))
            trained.fit(x, y, verbose=0)
            with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
                fresh.load_weights(file)
            trained.load_weights(file)
        assert equal(model, fresh) and equal(model, trained)
        assert float(fresh.optimizer.learning_rate) == pytest.approx(1e-5)
        assert float(trained.optimizer.learning_rate) == pytest.approx(rate)
        assert int(fresh.optimizer.iterations) == 0 and int(trained.optimizer.iterations) == 4


def test_an_h5_file_with_a_short_loss_cannot_be_loaded():
    """A loss "mse" or "mae" is saved in .h5 and not loaded, unless without compiling; the loss of the lesson is."""
    for loss, loads in (("mse", False), ("mae", False), ("sparse_categorical_crossentropy", True)):
        model = build(units=8)
        model.compile(optimizer="adam", loss=loss)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "old.h5")
            model.save(file)
            if loads:
                keras.models.load_model(file)
            else:
                with pytest.raises(ValueError, match=f"Could not deserialize 'keras.metrics.{loss}'"):
                    keras.models.load_model(file)
            loaded = keras.models.load_model(file, compile=False)
            loaded.compile(optimizer="adam", loss=loss)
            loaded.save(Path(folder, "new.keras"))
            assert equal(model, keras.models.load_model(Path(folder, "new.keras")))


def test_a_pydataset_brings_each_example_once_an_epoch():
    """Each example once an epoch, in other batches."""
    for size, n in ((32, 100), (7, 50)):
        x, y = IMAGES[:n], LABELS[:n]
        x = x + np.arange(n, dtype="float32")[:, None] / 1000  # no two alike
        epochs = [set()]  # of batches; the first is what fit looks at before it begins

        class Watched(ImageBatches):
            def __getitem__(self, index, epochs=epochs):
                images, labels = super().__getitem__(index)
                epochs[-1].add(frozenset(np.round(images[:, 0] * 1000).astype(int)))
                return images, labels

            def on_epoch_end(self, epochs=epochs):
                super().on_epoch_end()
                epochs.append(set())

        model = build(units=8)
        model.fit(Watched(x, y, size, shuffle=True), epochs=3, verbose=0)
        assert int(model.optimizer.iterations) == 3 * -(-n // size)
        whole = sorted(np.round(x[:, 0] * 1000).astype(int))
        assert all(sorted(one for batch in epoch for one in batch) == whole for epoch in epochs[-4:-1])
        assert len({frozenset(epoch) for epoch in epochs[-4:-1]}) == 3


def test_a_shuffling_pydataset_shuffles_predictions():
    """In order `evaluate` and `predict` give what they give for arrays; shuffled, the same rows in another order."""
    for size, n in ((32, 100), (7, 50)):
        x, y = IMAGES[:n], LABELS[:n]
        model = build(units=8)
        expected = model.predict(x, verbose=0)
        for shuffle in (False, True):
            data = ImageBatches(x, y, size, shuffle)
            assert model.evaluate(data, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-4)
            predicted = model.predict(data, verbose=0)
            assert np.allclose(predicted, expected, atol=1e-5) == (not shuffle)
            assert np.sort(predicted, axis=0) == pytest.approx(np.sort(expected, axis=0), abs=1e-5)


def test_only_set_random_seed_repeats_the_weights():
    """It repeats weights, `random` and `np.random`; `tf.random.set_seed` no weights; neither repeats `default_rng`."""

    def draws(seeded):
        result = []
        for _ in range(2):
            seeded(3)
            layer = keras.layers.Dense(4)
            layer.build((None, 3))
            numbers = python_random.random(), np.random.random(), np.random.default_rng().random()
            result.append((layer.get_weights()[0].tobytes(), *numbers))
        return [one == other for one, other in zip(*result)]

    assert draws(keras.utils.set_random_seed) == [True, True, True, False]
    assert draws(tf.random.set_seed)[0] is False


def test_on_tensorflow_a_seed_fixes_the_order_of_all_epochs():
    """After `set_random_seed`, arrays come in one order in every epoch; of a PyDataset only batches are shuffled."""

    class Order(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.seen = getattr(self, "seen", [])
            self.seen.append([])

        def on_train_batch_end(self, batch, logs=None):
            self.seen[-1].append(float(logs["loss"]) * (batch + 1))

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return x[index * 4 : index * 4 + 4], y[index * 4 : index * 4 + 4]

    for seed in (0, 1):
        orders = []
        for source in ("arrays", "dataset", "rows"):
            model, _, y = line(20)
            x = 2.0 ** np.arange(20, dtype="float32")[:, None]  # the sum of a batch says which examples are in it
            keras.utils.set_random_seed(seed)
            order, data = Order(), tf.data.Dataset.from_tensor_slices((x, y)).shuffle(20, seed=seed).batch(4)
            given = {"arrays": {"x": x, "y": y, "batch_size": 4}, "dataset": {"x": data, "shuffle": False}}
            model.fit(**given.get(source, {"x": Rows()}), epochs=3, callbacks=[order], verbose=0)
            orders.append([[round(4 * s) for s in np.diff(each, prepend=0)] for each in order.seen])
        arrays, dataset, rows = orders
        as_given = x.reshape(5, 4).sum(1).round().astype(int).tolist()
        assert arrays[0] == arrays[1] == arrays[2] and sorted(arrays[0]) != as_given
        assert dataset[0] != dataset[1] and dataset[1] != dataset[2] and sorted(dataset[0]) != sorted(dataset[1])
        assert rows[0] != rows[1] and rows[1] != rows[2]
        assert all(sorted(each) == as_given for each in rows), "neighbours never part"


def test_seeds_alone_differ_by_a_percentage_point():
    """On one split ten seeds end at validation accuracies a point apart or more, at two rates and two lengths."""
    curve = train(range(10), [0.001, 0.01], 20 * 34, one_split=True)[:, 1]
    for epochs in (10, 20):
        assert np.all(np.ptp(curve[epochs - 1], axis=-1) >= 0.01)


def test_updates_count_more_than_images():
    """At one rate the batch of 512 needs four times the epochs of that of 8 or more, and hardly more updates.

    With the best rate for each size, which lies inside the grid, it still needs more epochs and fewer updates.
    """
    seeds = range(2)
    for units, adam, rates, target in (
        (0, False, [0.2, 0.4], 0.6),
        (64, False, [0.1, 0.4], 0.4),
        (0, True, [0.01, 0.03], 0.5),
        (64, True, [0.001, 0.003, 0.01, 0.03], 0.4),
    ):
        small, large = (
            updates_until(train(seeds, rates, 1500, units, size, adam, every=4, reach=target), 4, target)
            for size in (8, 512)
        )
        assert np.all(large / math.ceil(1077 / 512) > 4 * small / math.ceil(1077 / 8)) and np.all(large < 1.15 * small)
    rates = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
    for target in (0.5, 0.3):
        needed = [
            updates_until(train(seeds, rates, 400, 64, size, every=2, reach=target), 2, target) for size in (8, 512)
        ]
        for each in needed:
            assert 0 < each.argmin() < len(rates) - 1
        small, large = (each.min() for each in needed)
        assert large < small and large / math.ceil(1077 / 512) > small / math.ceil(1077 / 8)


def test_selecting_before_the_split_makes_noise_learnable():
    """Of 500 to 5,000 columns of noise the best 10 or 20 give 0.65 and more if the test labels helped to choose."""
    for columns in (500, 2000, 5000):
        for kept in (10, 20):
            scores = []
            for first in (True, False):
                scores.append([])
                for seed in range(5):
                    random = np.random.default_rng(seed)
                    x, y = random.normal(size=(200, columns)), random.integers(0, 2, 200)
                    seen = slice(0, 200 if first else 100)
                    x = x[:, np.argsort(np.abs((2 * y[seen] - 1) @ x[seen]))[-kept:]]
                    scores[-1].append(LogisticRegression().fit(x[:100], y[:100]).score(x[100:], y[100:]))
            assert np.mean(scores[0]) > 0.65 and abs(np.mean(scores[1]) - 0.5) < 0.08


def test_validation_split_takes_the_last_and_no_dataset():
    """The last share as it stands, whatever `shuffle` says; a Dataset, PyDataset or generator is a ValueError."""
    for share in (0.2, 0.5):
        for shuffle in (True, False):
            model, x, y = line(100)
            log = model.fit(x, y, validation_split=share, shuffle=shuffle, verbose=0).history
            assert log["val_loss"][0] == pytest.approx(x[round(100 * (1 - share)) :].mean(), rel=1e-5)

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return x[:8], y[:8]

    for source in (tf.data.Dataset.from_tensor_slices((x, y)).batch(32), Rows(), batches(x, y)):
        with pytest.raises(ValueError, match="validation_split"):
            model.fit(source, validation_split=0.2, verbose=0)


def test_compiling_again_keeps_the_weights():
    """A second `fit` goes on, also for the optimizer; `compile` begins the optimizer anew and keeps the weights."""
    x, y = IMAGES[:100], LABELS[:100]
    model = build(units=8, learning_rate=0.01)
    first, second = (model.fit(x, y, epochs=3, verbose=0).history["loss"] for _ in range(2))
    assert max(second) < min(first) and int(model.optimizer.iterations) == 24
    before = model.get_weights()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    assert all(map(np.array_equal, before, model.get_weights())) and int(model.optimizer.iterations) == 0


def test_the_message_blames_x_when_y_is_a_list():
    """With an array for `x` and a list for `y`, or the other way round, "Unrecognized data type" begins with x."""
    model, x, y = line(4)
    for arrays in ((x.tolist(), y), (x, y.tolist())):
        with pytest.raises(ValueError, match="Unrecognized data type: x="):
            model.fit(*arrays, verbose=0)


def test_a_generator_runs_dry():
    """After the first epoch a generator gives four batches at most, and a warning; what can begin again gives all."""
    x, y = IMAGES[:640], LABELS[:640]
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(128)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return x[index * 128 : (index + 1) * 128], y[index * 128 : (index + 1) * 128]

    for epochs in (2, 6):
        model = build(units=8)
        with pytest.warns(UserWarning, match="ran out of data"):
            model.fit(batches(x, y), epochs=epochs, shuffle=False, verbose=0)
        assert 5 < int(model.optimizer.iterations) <= 5 + 4 * (epochs - 1) < 5 * epochs
        for source, steps in ((batches(x, y, forever=True), 5), (data, None), (Batches(), None)) if epochs > 2 else ():
            model = build(units=8)
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*ran out of data")
                model.fit(source, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
            assert int(model.optimizer.iterations) == 5 * epochs
    model = build(units=8)
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(data, epochs=4, steps_per_epoch=3, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) < 12


def test_an_epoch_without_data_is_logged_as_zero():
    """A Dataset of unknown length that ends with an epoch leaves the next one empty, its loss 0; a repeated one not."""
    for n, steps in ((8, 8), (8, 4)):
        for repeated in (False, True):
            model, x, y = line(n, keras.optimizers.SGD(0.01))
            data = tf.data.Dataset.from_tensor_slices((x + 1, y)).batch(1).filter(lambda x, y: True)
            stop = keras.callbacks.EarlyStopping("loss", patience=9)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data = data.repeat() if repeated else data
                log = model.fit(data, epochs=4, steps_per_epoch=steps, callbacks=[stop], verbose=0).history
            assert (min(log["loss"]) == 0 == stop.best) != repeated
