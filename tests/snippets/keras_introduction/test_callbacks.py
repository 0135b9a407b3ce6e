"""What the lesson on callbacks claims, each claim over a range.

Rules on curves are tried on curves: `train` trains many small networks side by side in NumPy and keeps what they
did after each epoch. `test_the_rule_is_that_of_keras` proves the rule that reads them equal to Keras'.
"""

import csv
import functools
import warnings

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import matthews_corrcoef
from sklearn.model_selection import train_test_split

from snippets.keras_introduction.callbacks import (
    KeepLast,
    PowerCut,
    RangeTest,
    Recorder,
    Score,
    StopAfter,
    accuracy,
    mcc,
    patience_rule,
    replay,
)

callbacks = keras.callbacks
random = np.random.default_rng(0)
X = random.normal(size=(24, 4)).astype("float32")
Y = (X @ [1.0, -1.0, 0.5, 0.0] > 0).astype("float32")
OTHER = random.normal(size=(12, 4)).astype("float32"), random.integers(0, 2, 12).astype("float32")


def build(optimizer=None, seed=0, metrics=("accuracy",)):
    """Return a small compiled model, 3 steps an epoch with batches of 8."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape=(4,)), keras.layers.Dense(1, "sigmoid")])
    model.compile(
        optimizer=keras.optimizers.SGD(0.1) if optimizer is None else optimizer,
        loss="binary_crossentropy",
        metrics=list(metrics),
        run_eagerly=True,
    )
    return model


def fit(model, *used, epochs=3, validate=True, **options):
    options = {"batch_size": 8, "verbose": 0, "shuffle": False, **options}
    if validate:
        options["validation_data"] = OTHER
    return model.fit(X, Y, epochs=epochs, callbacks=list(used), **options)


def drive(callback, values, monitor="val_loss", model=None):
    """Give a callback one value after each epoch, without training; return the model and the epochs run."""
    model = build() if model is None else model
    callback.set_model(model)
    model.stop_training = False
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {} if value is None else {monitor: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return model, epoch + 1


def same_weights(first, second):
    return all(np.allclose(a, b, atol=1e-6) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def split(seed, wrong, n, n_val):
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=n + n_val, test_size=600, stratify=digits.target, random_state=seed
    )
    draw = np.random.default_rng(seed)
    y = np.where(draw.random(n + n_val) < wrong, (y + draw.integers(1, 10, n + n_val)) % 10, y)
    return (x[:n], y[:n]), (x[n:], y[n:]), (x_test, y_test)


class PlateauRule:
    """ReduceLROnPlateau for one run."""

    def __init__(self, factor, patience):
        self.factor, self.patience = factor, patience
        self.best, self.wait = np.inf, 0

    def __call__(self, value, rate):
        self.wait += 1
        if value < self.best - 1e-4:
            self.best, self.wait = value, 0
        elif self.wait >= self.patience:
            self.wait, rate = 0, rate * self.factor
        return rate


@functools.cache
def train(rates, factors=(None,), seeds=8, wrong=0.3, n=300, units=64, epochs=40, adam=True):
    """Return validation loss, validation accuracy and test accuracy: each (rate, factor, seed, epoch).

    A factor is that of a ReduceLROnPlateau with a patience of 5; None is none.
    """
    runs = [(rate, factor, seed) for rate in rates for factor in factors for seed in range(seeds)]
    split_of = [split(seed, wrong, n, 150) for seed in range(seeds)]
    data = [[np.stack([split_of[seed][part][i] for *_, seed in runs]) for i in (0, 1)] for part in range(3)]
    weights = []
    for layer, (fan_in, fan_out) in enumerate(((64, units), (units, 10))):
        limit = np.sqrt(6 / (fan_in + fan_out))
        draws = [np.random.default_rng([seed, layer]).uniform(-limit, limit, (fan_in, fan_out)) for *_, seed in runs]
        weights += [np.stack(draws).astype("float32"), np.zeros((len(runs), 1, fan_out), "float32")]
    moments = [[np.zeros_like(w) for w in weights] for _ in range(2)]
    rate = np.array([run[0] for run in runs], "float32")
    rules = [factor and PlateauRule(factor, 5) for _, factor, _ in runs]
    shuffled = [np.random.default_rng([seed, 99]) for seed in range(seeds)]

    def forward(x):
        hidden = np.maximum(x @ weights[0] + weights[1], 0)
        logits = hidden @ weights[2] + weights[3]
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return hidden, powers / powers.sum(-1, keepdims=True)

    curves, step = [], 0
    for _ in range(epochs):
        orders = [generator.permutation(n) for generator in shuffled]
        order = np.stack([orders[seed] for *_, seed in runs])
        for start in range(0, n, 32):
            step += 1
            x, y = (part[np.arange(len(runs))[:, None], order[:, start : start + 32]] for part in data[0])
            hidden, error = forward(x)
            np.put_along_axis(error, y[..., None], np.take_along_axis(error, y[..., None], -1) - 1, -1)
            error /= y.shape[1]
            back = error @ weights[2].transpose(0, 2, 1) * (hidden > 0)
            gradients = (
                x.transpose(0, 2, 1) @ back,
                back.sum(1, keepdims=True),
                hidden.transpose(0, 2, 1) @ error,
                error.sum(1, keepdims=True),
            )
            bias = float(np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
            for w, g, first, second in zip(weights, gradients, *moments):
                if adam:
                    first += np.float32(0.1) * (g - first)
                    second += np.float32(0.001) * (g * g - second)
                    g = bias * first / (np.sqrt(second) + np.float32(1e-7))
                w -= rate[:, None, None] * g
        judged = []
        for x, y in data[1:]:
            probabilities = forward(x)[1]
            right = np.take_along_axis(probabilities, y[..., None], -1)[..., 0]
            judged += [-np.log(np.maximum(right, 1e-7)).mean(1), (probabilities.argmax(-1) == y).mean(1)]
        curves.append([judged[0], judged[1], judged[3]])
        rate = np.array([r(v, old) if r else old for r, v, old in zip(rules, judged[0], rate)], "float32")
    return np.moveaxis(np.array(curves), 0, -1).reshape(3, len(rates), len(factors), seeds, epochs)


def stopped(curves, patience, column=0):
    """Return test accuracy of the best and of the last epoch, and the epochs run; each of the shape of the runs."""
    shape = curves.shape[1:-1]
    values = curves[column].reshape(-1, curves.shape[-1]) * (1 if column == 0 else -1)
    test = curves[2].reshape(values.shape)
    ends = np.array([patience_rule(run, patience) for run in values]).T
    best, last = (test[range(len(test)), end].reshape(shape) for end in ends)
    return best, last, ends[1].reshape(shape) + 1


def error(differences):
    return np.std(differences, ddof=1) / np.sqrt(len(differences))


WRONG = {
    "adam": dict(rates=(0.003, 0.01), epochs=50),
    "fewer wrong": dict(rates=(0.003,), wrong=0.15, epochs=50),
    "sgd": dict(rates=(0.3,), adam=False, epochs=80),
}


def wrong_labels():
    """Yield curves of one rate each, (3, seed, epoch), on wrong labels."""
    for options in WRONG.values():
        curves = train(**options)
        yield from (curves[:, rate, 0] for rate in range(curves.shape[1]))


def test_stopping_keeps_what_memorizing_destroys():
    """With wrong labels, the restored epoch has more test images right than the last of a long run."""
    for curves in wrong_labels():
        for patience in (3, 10, 20):
            gain = stopped(curves, patience)[0] - curves[2, :, -1]
            assert gain.mean() > 0.02 and gain.mean() > 2 * error(gain)


def test_on_clean_labels_it_saves_epochs():
    """With right labels, a patience of 10 is within a percentage point of the whole run, and shorter."""
    for options in (dict(rates=(0.01, 0.03)), dict(rates=(0.3,), adam=False, epochs=80)):
        curves = train(wrong=0.0, **options)
        best, _, epochs = stopped(curves, 10)
        difference = (best - curves[2, ..., -1]).mean(-1)
        assert np.all(np.abs(difference) < 0.01)
        assert np.all(epochs.mean(-1) < curves.shape[-1] - 5)


def test_a_patience_of_one_stops_too_soon():
    """With a patience of 1 the restored epoch was worse than with 10, on average over seeds and set-ups."""
    losses = [stopped(curves, 10)[0] - stopped(curves, 1)[0] for curves in wrong_labels()]
    clean = train(wrong=0.0, rates=(0.01, 0.03))
    losses += list(stopped(clean, 10)[0][:, 0] - stopped(clean, 1)[0][:, 0])
    assert all(loss.mean() > -0.005 for loss in losses)
    total = np.mean(losses, axis=0)
    assert total.mean() > 0.005 and total.mean() > 2 * error(total)


def test_restoring_makes_a_long_patience_harmless():
    """From 5 to 20 the restored accuracy stays; the last weights of Adam get worse, by more the faster it is."""
    fell = []
    for curves in wrong_labels():
        best = [stopped(curves, patience)[0].mean() for patience in (5, 10, 20)]
        assert np.ptp(best) < 0.01
        fell.append((stopped(curves, 20)[0] - stopped(curves, 20)[1]).mean())
    assert fell[1] > 0.02 and fell[1] > fell[0] > 0


def test_val_accuracy_needs_more_patience():
    """With Adam at 0.003 and a patience of 1 or 2, val_accuracy stops sooner and worse than val_loss; not at 15."""
    for name in ("adam", "fewer wrong"):
        curves = train(**WRONG[name])[:, 0, 0]
        for patience in (1, 2):
            by_loss, by_accuracy = (stopped(curves, patience, column) for column in (0, 1))
            assert by_accuracy[2].mean() < by_loss[2].mean()
            assert by_accuracy[0].mean() < by_loss[0].mean() - 0.01
        by_loss, by_accuracy = (stopped(curves, 15, column)[0].mean() for column in (0, 1))
        assert abs(by_loss - by_accuracy) < 0.015


REDUCED = dict(rates=(0.003, 0.03), factors=(None, 0.2), seeds=7, epochs=32)


@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_reducing_mends_the_last_epoch(wrong):
    """At a rate of 0.03 the last val_loss is lower with ReduceLROnPlateau."""
    loss = train(wrong=wrong, **REDUCED)[0, 1, :, :, -1]
    gain = loss[0] - loss[1]
    assert gain.mean() > 2 * error(gain)


@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_beside_early_stopping_reducing_adds_little(wrong):
    """With restored weights, test accuracy with and without reducing is within a point and a half."""
    best = stopped(train(wrong=wrong, **REDUCED), 15)[0].mean(-1)
    assert np.all(np.abs(best[:, 1:] - best[:, :1]) < 0.015)


def test_a_good_rate_is_better_than_a_reduced_one():
    """On wrong labels 0.003 with early stopping is better than 0.03 with both callbacks."""
    best = stopped(train(wrong=0.3, **REDUCED), 15)[0]
    gain = best[0, 0] - best[1, 1]
    assert gain.mean() > 0.01 and gain.mean() > 2 * error(gain)


def test_the_rule_is_that_of_keras():
    """The ten lines find Keras' two epochs for each setting; PlateauRule finds its rates."""
    for patience in (0, 1, 2, 5):
        for options in ({}, {"min_delta": 0.3}, {"start_from_epoch": 4}, {"min_delta": 0.3, "start_from_epoch": 2}):
            for _ in range(5):
                curve = np.cumsum(random.normal(-0.05, 1.0, size=30)).tolist()
                assert patience_rule(curve, patience, **options) == replay(curve, patience=patience, **options)
                rising = callbacks.EarlyStopping("val_loss", mode="max", patience=patience, **options)
                drive(rising, [-value for value in curve], model=keras.Sequential())
                assert rising.best_epoch == patience_rule(curve, patience, **options)[0]
    model, rule, rate = build(), PlateauRule(0.3, 3), 0.1
    plateau = callbacks.ReduceLROnPlateau(factor=0.3, patience=3)
    for _ in range(3):
        curve = np.cumsum(random.normal(-0.05, 1.0, size=30)).tolist()
        model.optimizer.learning_rate = rate = 0.1
        rule = PlateauRule(0.3, 3)
        for value in curve:
            rate = rule(value, rate)
        drive(plateau, curve, model=model)
        assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(rate, rel=1e-5)


def test_a_stopped_run_has_trained_past_its_best_epoch():
    """A run that stops has `max(patience, 1)` epochs behind its best; 0 and 1 are the same."""
    for patience in range(6):
        for _ in range(10):
            curve = np.cumsum(random.normal(0, 1.0, size=40)).tolist()
            best, last = replay(curve, patience=patience)
            if last < 39:
                assert last - best == max(patience, 1)
            assert patience or (best, last) == replay(curve, patience=1)


def test_a_baseline_is_a_deadline():
    """Until the value beats the baseline, improving does not restart the patience."""
    for patience in (2, 4):
        bumpy = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.6, 1.4, 1.3, 1.2]
        for baseline, epochs in ((None, 10), (1.95, 10), (0.5, 7)):
            stopper = callbacks.EarlyStopping(patience=patience, baseline=baseline)
            assert drive(stopper, bumpy, model=keras.Sequential())[1] == epochs


def test_the_best_weights_come_back_only_when_asked_for():
    for patience, restore in ((1, False), (1, True), (2, True)):
        model = build(keras.optimizers.SGD(3.0))
        stopper = callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=restore)
        losses = fit(model, stopper, epochs=9, batch_size=12).history["val_loss"]
        assert len(losses) < 9
        assert model.evaluate(*OTHER, verbose=0)[0] == pytest.approx(
            losses[stopper.best_epoch if restore else -1], rel=1e-4
        )


@pytest.mark.parametrize("wrong", [RuntimeError, KeyboardInterrupt])
def test_an_exception_restores_nothing(wrong):
    """When `fit` ends by an exception, the weights are those of the moment."""

    class Interrupt(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                self.now = self.model.get_weights()
                raise wrong

    model, interrupt = build(keras.optimizers.SGD(3.0)), Interrupt()
    stopper = callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    with pytest.raises(wrong):
        fit(model, stopper, interrupt, epochs=9)
    assert stopper.best_epoch < 3
    assert all(np.array_equal(a, b) for a, b in zip(interrupt.now, model.get_weights()))


def test_the_hooks_are_called_in_this_order(capsys):
    """`fit` calls them as in the picture; `evaluate` and `predict` call only their own."""
    model = build()
    fit(model, Recorder(), epochs=1, batch_size=24)
    assert [line.strip().split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "train begin {'verbose'",
        "epoch 0 begin",
        "batch 0 end",
        "validation end",
        "epoch 0 end",
        "train end",
    ]
    called = []

    class All(callbacks.Callback):
        def on_test_begin(self, logs=None):
            called.append("test")

        def on_predict_batch_end(self, batch, logs=None):
            called.append(sorted(logs))

        def on_epoch_end(self, epoch, logs=None):
            called.append("epoch")

    model.evaluate(X, Y, callbacks=[All()], verbose=0)
    model.predict(X, callbacks=[All()], verbose=0)
    assert called == ["test", ["outputs"]]


def test_a_checkpoint_goes_on_where_it_was(tmp_path):
    """A `.keras` file of ModelCheckpoint, trained on, ends as the run that was not interrupted."""
    for optimizer in (keras.optimizers.Adam, functools.partial(keras.optimizers.SGD, momentum=0.9)):
        model = build(optimizer(0.05))
        fit(model, callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"), epochs=3)
        loaded = keras.models.load_model(tmp_path / "2.keras")
        fit(loaded, epochs=1)
        assert same_weights(model, loaded)


def test_a_file_of_weights_needs_its_ending():
    for wrong, options in (("a.keras", {"save_weights_only": True}), ("a.h5", {"save_weights_only": True}), ("a", {})):
        with pytest.raises(ValueError, match="must end in"):
            callbacks.ModelCheckpoint(wrong, **options)
    callbacks.ModelCheckpoint("a.weights.h5", save_weights_only=True)


def test_saving_by_batches_cannot_choose_the_best(tmp_path):
    """With an integer `save_freq` and val_loss, it warns and saves each time."""
    for every in (2, 3):
        checkpoint = callbacks.ModelCheckpoint(
            tmp_path / (str(every) + "-{epoch}-{batch}.keras"), save_best_only=True, save_freq=every
        )
        with pytest.warns(UserWarning, match="Can save best model only with val_loss available"):
            fit(build(keras.optimizers.SGD(50.0)), checkpoint, epochs=4)
        assert len(list(tmp_path.glob(f"{every}-*"))) == 12 // every


def test_nan_is_stopped_and_not_restored():
    """EarlyStopping restores finite weights beside TerminateOnNaN, unless the first epoch is NaN already."""

    class Spoil(callbacks.Callback):
        def __init__(self, epoch):
            super().__init__()
            self.spoil = epoch

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == self.spoil:
                self.model.layers[0].kernel.assign(np.full((4, 1), np.nan))

    for epoch in (0, 2):
        model = build()
        stopper = callbacks.EarlyStopping(patience=9, restore_best_weights=True)
        log = fit(model, Spoil(epoch), callbacks.TerminateOnNaN(), stopper, epochs=6)
        assert len(log.epoch) == epoch + 1
        assert np.all(np.isfinite(model.get_weights()[0])) == (epoch > 0)


def test_nan_in_the_first_epoch_stays_the_best(tmp_path):
    """Nothing is less than NaN: a checkpoint whose first value is NaN is not replaced."""
    for later in (0.5, 0.1):
        checkpoint = callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
        model = build()
        drive(checkpoint, [np.nan], model=model)
        before = (tmp_path / "best.keras").read_bytes()
        drive(checkpoint, [later], model=model)
        assert (tmp_path / "best.keras").read_bytes() == before and np.isnan(checkpoint.best)


class Feed(callbacks.Callback):
    """Put a value that falls for three epochs into the logs, and keep the rate each epoch was trained with."""

    def __init__(self):
        super().__init__()
        self.used = []

    def on_epoch_end(self, epoch, logs=None):
        self.used.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))
        logs["val_loss"] = 1.0 - 0.1 * epoch if epoch < 3 else 2.0


def test_stopping_first_means_never_reducing():
    """With a patience not above that of the plateau, training ends before a lower rate is used."""
    for patience, more, reduced in ((2, 0, False), (4, -1, False), (2, 2, True)):
        feed = Feed()
        plateau = callbacks.ReduceLROnPlateau(patience=patience)
        stopper = callbacks.EarlyStopping(patience=patience + more)
        fit(build(), feed, plateau, stopper, epochs=15, validate=False, batch_size=24)
        assert len(feed.used) < 15
        assert (feed.used[-1] < 0.09) == reduced


def test_what_a_callback_adds_is_seen_after_it(tmp_path):
    """Later callbacks, the history, CSV files and file names have what a callback added; earlier ones have not."""
    for place in (0, 1):
        used = [callbacks.CSVLogger(tmp_path / "log.csv")]
        used.insert(place, Score("val_mcc", lambda y, p: 0.25, *OTHER))
        model = build()
        log = fit(model, *used, callbacks.ModelCheckpoint(tmp_path / "{val_mcc:.2f}.keras"), epochs=1)
        header = next(csv.reader((tmp_path / "log.csv").open()))
        assert ("val_mcc" in header) == (place == 0)
        assert log.history["val_mcc"] == [0.25] and (tmp_path / "0.25.keras").exists()


def test_a_csv_file_begins_anew_unless_told_otherwise(tmp_path):
    for append, lines in ((False, 3), (True, 5)):
        for _ in range(2):
            fit(build(), callbacks.CSVLogger(tmp_path / f"{append}.csv", append=append), epochs=2)
        assert len((tmp_path / f"{append}.csv").read_text().splitlines()) == lines


@pytest.mark.parametrize(("optimizer", "fail_at"), [(keras.optimizers.Adam, 1), (keras.optimizers.RMSprop, 3)])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, optimizer, fail_at):
    """Weights, steps and rate come back; the backup is deleted at the end."""
    folder = tmp_path / "backup"
    with pytest.raises(RuntimeError):
        fit(build(optimizer(0.05)), callbacks.BackupAndRestore(folder), PowerCut(fail_at), epochs=5)
    assert (folder / "latest.weights.h5").exists()
    resumed, whole = (build(optimizer(0.05), seed) for seed in (5, 0))
    assert fit(resumed, callbacks.BackupAndRestore(folder), epochs=5).epoch == list(range(fail_at, 5))
    fit(whole, epochs=5)
    assert same_weights(resumed, whole) and int(keras.ops.convert_to_numpy(resumed.optimizer.iterations)) == 15
    assert not folder.exists()


def test_a_resume_forgets_the_other_callbacks(tmp_path):
    """A checkpoint made anew overwrites a better file; `initial_value_threshold` prevents it. The history is short."""
    for threshold in (None, 0.4):
        file = tmp_path / "best.keras"
        drive(callbacks.ModelCheckpoint(file, save_best_only=True), [0.4, 0.9])
        before = file.read_bytes()
        again = callbacks.ModelCheckpoint(file, save_best_only=True, initial_value_threshold=threshold)
        drive(again, [0.8, 0.7], model=build(seed=3))
        assert (file.read_bytes() != before) == (threshold is None)
    assert replay([0.9, 0.95], patience=5)[0] == 0, "a new EarlyStopping takes its first value for the best"


def test_a_backup_needs_a_built_model(tmp_path):
    for built in (False, True):
        layers = [keras.Input(shape=(4,))] * built + [keras.layers.Dense(1, "sigmoid")]
        model = keras.Sequential(layers)
        model.compile(loss="binary_crossentropy", jit_compile=False)
        if built:
            fit(model, callbacks.BackupAndRestore(tmp_path), epochs=1, validate=False)
        else:
            with pytest.raises(ValueError, match="must be built"):
                fit(model, callbacks.BackupAndRestore(tmp_path), epochs=1, validate=False)


def test_a_resumed_model_skips_epochs(tmp_path):
    """Each later `fit` of a resumed model begins at the epoch of the resume, unless it is saved and loaded."""
    with pytest.raises(RuntimeError):
        fit(build(), callbacks.BackupAndRestore(tmp_path / "b"), PowerCut(2), epochs=4)
    model = build()
    fit(model, callbacks.BackupAndRestore(tmp_path / "b"), epochs=4)
    assert fit(model, epochs=2).epoch == [] and fit(model, epochs=3).epoch == [2]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert same_weights(model, loaded)
    assert fit(loaded, epochs=2).epoch == [0, 1]


@pytest.mark.parametrize("function", [lambda y, p: np.mean(np.abs(y - p[:, 0])), lambda y, p: np.max(p)])
def test_a_score_is_the_function_of_the_predictions(function):
    """At each epoch the log has the function of what the model predicts then."""
    wanted = []

    class Check(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            wanted.append(function(OTHER[1], self.model.predict(OTHER[0], verbose=0)))

    log = fit(build(), Score("s", function, *OTHER), Check(), epochs=2).history
    assert log["s"] == pytest.approx(wanted, abs=1e-6)
    probabilities = random.random((40, 3))
    labels = random.integers(0, 3, 40)
    assert mcc(labels, probabilities) == matthews_corrcoef(labels, probabilities.argmax(1))
    assert accuracy(labels, probabilities) == np.mean(labels == probabilities.argmax(1))


def test_keras_knows_the_direction_of_its_own_metrics():
    """By their names in `compile`; a function of one's own, an added value and a wrong name need a mode."""

    def own(y, p):
        return keras.ops.mean(p)

    model = build(metrics=["accuracy", keras.metrics.AUC(name="auc"), own])
    fit(model, epochs=1)
    for monitor in ("loss", "val_accuracy"):
        fit(model, callbacks.EarlyStopping(monitor), epochs=1)
    for monitor in ("val_own", "val_mcc", "val_acc"):
        for watcher in (callbacks.EarlyStopping, callbacks.ReduceLROnPlateau):
            with pytest.raises(ValueError, match="Pass `mode='max'`"):
                drive(watcher(monitor), [1.0], monitor, model)
    stopper = callbacks.EarlyStopping("val_auc", patience=9)
    fit(model, stopper, epochs=1)
    assert bool(stopper.monitor_op(2.0, 1.0)), "up is better"


def test_a_wrong_mode_keeps_the_worst():
    """Accuracy with mode="min": the worst epoch counts as the best, and nothing is said."""
    for values in ([0.2, 0.5, 0.6, 0.7], [0.4, 0.3, 0.6, 0.8, 0.9]):
        stopper = callbacks.EarlyStopping("val_accuracy", mode="min", patience=2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, epochs = drive(stopper, values, "val_accuracy")
        assert stopper.best == min(values) and epochs < len(values) + 1


def test_without_the_metric_nothing_acts(tmp_path):
    """Without the monitored value all three only warn: they never stop, save always, never reduce."""
    with pytest.warns(UserWarning, match="not available"):
        assert drive(callbacks.EarlyStopping(patience=1), [None] * 6)[1] == 6
    with pytest.warns(UserWarning, match="Can save best model only"):
        drive(callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", save_best_only=True), [None] * 3)
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.warns(UserWarning, match="not available"):
        model, _ = drive(callbacks.ReduceLROnPlateau(patience=1), [None] * 5)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.1)
    with warnings.catch_warnings(), pytest.raises(UserWarning):
        warnings.simplefilter("error", UserWarning)
        drive(callbacks.EarlyStopping(), [None])


def test_a_missing_name_is_a_key_error(tmp_path):
    """A file name that asks for a missing value raises; epochs without validation have none either."""
    with pytest.raises(KeyError, match="Failed to format"):
        fit(build(), callbacks.ModelCheckpoint(tmp_path / "{val_loss:.2f}.keras"), epochs=1, validate=False)
    with pytest.raises(KeyError, match="Failed to format"):
        fit(build(), callbacks.ModelCheckpoint(tmp_path / "{val_loss:.2f}.keras"), epochs=2, validation_freq=2)
    for old in ({"period": 2}, {"options": None}):
        with pytest.raises(TypeError):
            callbacks.ModelCheckpoint(tmp_path / "a.keras", **old)


def test_the_logged_loss_is_not_that_of_the_weights():
    """The loss that is logged is measured during the epoch; the restored weights have another."""
    for rate in (0.05, 2.0):
        model = build(keras.optimizers.SGD(rate))
        stopper = callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True)
        log = fit(model, stopper, epochs=4, validate=False).history["loss"]
        assert abs(model.evaluate(X, Y, verbose=0)[0] - min(log)) > 1e-3


def test_a_checkpoint_remembers_the_fit_before(tmp_path):
    """ModelCheckpoint keeps its best value from one fit to the next; the other two begin anew."""
    for first, second in ((0.5, 0.8), (0.2, 0.3)):
        for new, kept in ((False, True), (True, False)):
            file = tmp_path / "best.keras"
            checkpoint = callbacks.ModelCheckpoint(file, save_best_only=True)
            drive(checkpoint, [first])
            before = file.read_bytes()
            if new:
                checkpoint = callbacks.ModelCheckpoint(file, save_best_only=True)
            drive(checkpoint, [second], model=build(seed=1))
            assert (file.read_bytes() == before) == kept
    stopper = callbacks.EarlyStopping(patience=1)
    assert [drive(stopper, [value, value + 1, value])[1] for value in (0.1, 0.9)] == [2, 2]
    assert stopper.best == 0.9
    plateau = callbacks.ReduceLROnPlateau(patience=5)
    for value in (0.1, 0.9):
        drive(plateau, [value])
        assert plateau.best == value and plateau.wait == 0


def test_a_schedule_object_owns_the_rate():
    """ReduceLROnPlateau and LearningRateScheduler raise with a schedule; the first only when it reduces."""
    for schedule in (
        keras.optimizers.schedules.CosineDecay(0.1, 10),
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
    ):
        model = build(keras.optimizers.SGD(schedule))
        drive(callbacks.ReduceLROnPlateau(patience=2), [3, 2, 1], model=model)
        with pytest.raises(TypeError, match="not settable"):
            drive(callbacks.ReduceLROnPlateau(patience=2), [1, 2, 3], model=model)
        with pytest.raises(TypeError, match="not settable"):
            fit(model, callbacks.LearningRateScheduler(lambda epoch, rate: 0.1), epochs=1)


@pytest.mark.parametrize("seconds", [2, 4])
def test_the_time_limit_ends_training(seconds):
    """StopAfter ends after the batch in which the time is up, and the last epoch ends properly."""
    ticks, ended = iter(range(100)), []
    model = build()
    stop = StopAfter(seconds, clock=lambda: next(ticks))
    last = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append("val_loss" in logs))
    fit(model, stop, last, epochs=30)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == seconds
    assert ended == [True] * (1 + (seconds - 1) // 3)


def test_only_files_of_this_object_are_deleted(tmp_path):
    """KeepLast keeps the newest of its own files, and deletes no other."""
    for keep in (1, 3):
        folder = tmp_path / str(keep)
        folder.mkdir()
        (folder / "best.keras").write_text("precious")
        (folder / "epoch-100.keras").write_text("of an older run")
        for _ in range(2):
            drive(KeepLast(folder, keep), [None] * 4)
        own = [f"epoch-{epoch:03d}.keras" for epoch in range(5 - keep, 5)]
        assert sorted(file.name for file in folder.iterdir()) == sorted(["best.keras", *own, "epoch-100.keras"])


def test_the_range_test_measures_single_batches():
    """Its losses are those of the batches, and it ends where the loss explodes."""
    model = build(keras.optimizers.SGD(0.0))
    finder = RangeTest(np.zeros(3))
    fit(model, finder, epochs=1, validate=False)
    wanted = [model.evaluate(X[i : i + 8], Y[i : i + 8], verbose=0)[0] for i in (0, 8, 16)]
    assert finder.losses == pytest.approx(wanted, rel=1e-4)
    x, y = np.tile(X, (8, 1)), np.tile(Y, 8)
    finder = RangeTest(np.geomspace(1, 1e4, 24))
    build().fit(x, y, batch_size=8, verbose=0, callbacks=[finder], shuffle=False)
    assert len(finder.losses) < 24 and finder.losses[-1] > 4 * min(finder.losses)
