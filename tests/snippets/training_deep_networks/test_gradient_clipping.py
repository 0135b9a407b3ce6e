"""What the lesson on gradient clipping claims, each claim over a range.

Experiments with many seeds run in a laboratory of their own: `train` trains many small recurrent networks side
by side in NumPy, one on each index of axis 0. `test_clipping_lets_large_rates_learn` begins by proving it equal
to Keras.
"""

import functools
import inspect
import os
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.training_deep_networks.gradient_clipping import (
    HistoryClipped,
    LoggedAdam,
    LoggedSGD,
    NormLog,
    applied,
    clip_by_value,
    clip_each_norm,
    clip_global_norm,
    norm,
    regress,
    step_sizes,
    table_step,
)

KINDS = {"clipvalue": clip_by_value, "clipnorm": clip_each_norm, "global_clipnorm": clip_global_norm}
IDENTITY, DEFAULT = ("relu", "identity"), ("tanh", "orthogonal")


@functools.cache
def split(seed):
    digits = load_digits()
    images = (digits.images / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=1000, test_size=400, stratify=digits.target, random_state=seed
    )
    return x, y, x_test, y_test


def initial(seed, units, kind):
    """Glorot uniform kernels, and the recurrent kernel that `kind` names."""
    random = np.random.default_rng(seed)
    kernels = [
        random.uniform(-1, 1, shape) * np.sqrt(6 / sum(shape)) for shape in ((8, units), (units, 10), (units, units))
    ]
    recurrent = np.eye(units) if kind == "identity" else np.linalg.qr(random.normal(size=(units, units)))[0]
    return [v.astype("float32") for v in (kernels[0], recurrent, np.zeros(units), kernels[1], np.zeros(10))]


class Readers:
    """Recurrent networks that read rows; index 0 of every array is the network."""

    def __init__(self, runs, units, cell):
        self.relu = cell[0] == "relu"
        starts = [initial(run["seed"], units, cell[1]) for run in runs]
        self.variables = [np.stack(v) if v[0].ndim == 2 else np.stack(v)[:, None] for v in zip(*starts)]

    def forward(self, x):
        kernel, recurrent, bias, last, last_bias = self.variables
        states = [np.zeros((*x.shape[:2], recurrent.shape[-1]), "float32")]
        for step in range(x.shape[2]):
            a = x[:, :, step] @ kernel + states[-1] @ recurrent + bias
            states.append(np.maximum(a, 0) if self.relu else np.tanh(a))
        return states, states[-1] @ last + last_bias

    def gradients(self, x, y):
        states, logits = self.forward(x)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        error = powers / powers.sum(-1, keepdims=True)
        loss = -np.log(np.maximum(np.take_along_axis(error, y[..., None], -1), 1e-30)).mean((1, 2))
        np.put_along_axis(error, y[..., None], np.take_along_axis(error, y[..., None], -1) - 1, -1)
        error /= y.shape[1]
        recurrent, last = self.variables[1], self.variables[3]
        slopes = [np.zeros_like(v) for v in self.variables]
        slopes[3], slopes[4] = states[-1].transpose(0, 2, 1) @ error, error.sum(1, keepdims=True)
        back = error @ last.transpose(0, 2, 1)
        for step in reversed(range(x.shape[2])):
            back = back * ((states[step + 1] > 0) if self.relu else 1 - states[step + 1] ** 2)
            slopes[0] += x[:, :, step].transpose(0, 2, 1) @ back
            slopes[1] += states[step].transpose(0, 2, 1) @ back
            slopes[2] += back.sum(1, keepdims=True)
            back = back @ recurrent.transpose(0, 2, 1)
        return loss, slopes


def train(runs, units=32, cell=IDENTITY, epochs=6, adam=False, schedule="cosine", shuffle=True):
    """Train; return norms and losses of (step, run), and the test accuracy of each run."""
    readers = Readers(runs, units, cell)
    x, y, x_test, y_test = (np.stack(part) for part in zip(*(split(run["seed"]) for run in runs)))
    rates, c = (
        np.array([run.get(name, without) for run in runs], "float32")[:, None, None]
        for name, without in (("rate", 0.3), ("c", np.inf))
    )
    random = [np.random.default_rng([run["seed"], 1]) for run in runs]
    first, second = ([np.zeros_like(v) for v in readers.variables] for _ in range(2))
    norms, losses, step, last = [], [], 0, epochs * 32
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            order = np.stack([r.permutation(1000) if shuffle else np.arange(1000) for r in random])
            for start in range(0, 1000, 32):
                chosen = order[:, start : start + 32]
                loss, slopes = readers.gradients(*(part[np.arange(len(runs))[:, None], chosen] for part in (x, y)))
                length = np.sqrt(sum((g**2).sum((1, 2), keepdims=True) for g in slopes))
                norms.append(length[:, 0, 0])
                losses.append(loss)
                factor = np.where(np.isinf(c), 1, c / np.maximum(length, c)).astype("float32")
                rate = rates * np.float32((np.cos(np.pi * step / last) + 1) / 2 if schedule == "cosine" else 1)
                if schedule == "warm-up":
                    rate = rates * np.float32(min(1, (step + 1) / 40))
                step += 1
                for i, g in enumerate(slopes):
                    g = g * factor
                    if adam:
                        first[i] = 0.9 * first[i] + 0.1 * g
                        second[i] = 0.999 * second[i] + 0.001 * g**2
                        g = first[i] / (np.sqrt(second[i]) + 1e-7) * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                    readers.variables[i] = readers.variables[i] - rate * g.astype("float32")
        guesses = readers.forward(x_test)[1].argmax(-1)
    return np.array(norms), np.array(losses), (guesses == y_test).mean(1)


@functools.cache
def experiment(settings, seeds=4, **options):
    """Test accuracy and share of clipped steps, each (settings, seeds); a setting is (rate, threshold)."""
    runs = [{"seed": seed, "rate": rate, "c": c} for rate, c in settings for seed in range(seeds)]
    norms, _, accuracy = train(runs, **options)
    share = np.mean(norms > [run["c"] for run in runs], axis=0)
    return accuracy.reshape(-1, seeds), share.reshape(-1, seeds)


def error(differences):
    return np.std(differences, ddof=1) / np.sqrt(len(differences))


def keras_reader(optimizer, seed=0, cell=IDENTITY):
    model = keras.Sequential(
        [
            keras.Input(shape=(8, 8)),
            keras.layers.SimpleRNN(32, activation=cell[0], unroll=True),
            keras.layers.Dense(10),
        ]
    )
    model.set_weights(initial(seed, 32, cell[1]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    return model


INF = np.inf


def test_clipping_lets_large_rates_learn():
    """At rates where 32 and 64 units hardly learn, a threshold of 1 brings accuracy; the laboratory is Keras."""
    for cell, c in ((IDENTITY, 1.0), (DEFAULT, 0.5)):
        rate = keras.optimizers.schedules.CosineDecay(0.1, 32)
        model = keras_reader(keras.optimizers.SGD(rate, global_clipnorm=c), cell=cell)
        losses = model.fit(*split(0)[:2], epochs=1, shuffle=False, verbose=0).history["loss"]
        ours = train([{"seed": 0, "rate": 0.1, "c": c}], epochs=1, cell=cell, shuffle=False)[1][:, 0]
        sizes = np.array([32] * 31 + [8])
        assert np.average(ours, weights=sizes) == pytest.approx(losses[0], rel=1e-3)
    settings = tuple((rate, c) for rate in (0.25, 0.5) for c in (INF, 1.0))
    for options in (dict(), dict(schedule="constant"), dict(schedule="warm-up"), dict(units=64)):
        accuracy, _ = experiment(settings, seeds=2 if "units" in options else 3, **options)
        gain = accuracy[1::2] - accuracy[::2]
        assert accuracy[::2].mean() < 0.5
        assert (gain.mean(1) > 0.2).all()


def test_a_smaller_rate_does_nearly_as_well():
    """The best rate without clipping is a few points behind the best rate and threshold, with SGD and with Adam."""
    for adam, rates in ((False, (0.02, 0.05, 0.1, 0.5)), (True, (0.003, 0.01, 0.02))):
        settings = tuple((rate, c) for rate in rates for c in (INF, 5.0, 1.0))
        accuracy, _ = experiment(settings, adam=adam)
        free, clipped = accuracy[::3], np.concatenate([accuracy[1::3], accuracy[2::3]])
        assert 0 < free.mean(1).argmax() < len(rates) - 1
        gain = clipped[clipped.mean(1).argmax()] - free[free.mean(1).argmax()]
        assert -0.02 < gain.mean() < 0.1
        assert free.mean(1).max() > 0.7


def test_the_default_cell_gains_nothing_until_the_rate_is_far_too_high():
    """tanh and orthogonal: no gain up to 0.6, and better than the other cell; at 2 clipping rescues it too."""
    settings = ((0.2, INF), (0.2, 1.0), (0.6, INF), (0.6, 1.0), (2.0, INF), (2.0, 1.0))
    accuracy, _ = experiment(settings, cell=DEFAULT)
    for i in (0, 2):
        assert abs((accuracy[i + 1] - accuracy[i]).mean()) < 0.03
    other, _ = experiment(tuple((rate, c) for rate in (0.02, 0.05, 0.1, 0.5) for c in (INF, 5.0, 1.0)))
    assert accuracy[2].mean() > other.mean(1).max() + 0.02
    assert accuracy[4].mean() < 0.2 and accuracy[5].mean() > 0.8


def test_at_adams_default_rate_the_threshold_hardly_matters():
    """Adam(0.001) with 0.1, 1, 10 and none ends within three points; at 0.04 clipping helps."""
    for units, thresholds in ((32, (INF, 10.0, 1.0, 0.1)), (64, (INF, 0.3))):
        settings = tuple((0.001, c) for c in thresholds)
        accuracy, share = experiment(settings, seeds=3, adam=True, units=units, schedule="constant")
        assert abs((accuracy[1:] - accuracy[0]).mean(1)).max() < 0.03
        assert share[-1].min() > 0.95
    accuracy, _ = experiment(((0.04, INF), (0.04, 1.0)), adam=True, schedule="constant")
    gain = accuracy[1] - accuracy[0]
    assert gain.mean() > 2 * error(gain) and gain.mean() > 0.05


def test_keep_the_product_when_you_raise_the_rate():
    """The 90th percentile of a run at 0.1, lowered in proportion to the rate, holds up to 1; unchanged it does not."""
    for options in (dict(), dict(schedule="constant")):
        norms, _, calm = train([{"seed": seed, "rate": 0.1} for seed in range(3)], **options)
        high = np.percentile(norms, 90, axis=0)
        runs = [
            {"seed": seed, "rate": rate, "c": high[seed] * (0.1 / rate if kept else 1)}
            for kept in (True, False)
            for rate in (0.3, 0.5, 1.0)
            for seed in range(3)
        ]
        kept, unchanged = train(runs, **options)[2].reshape(2, 3, 3)
        assert ((kept - unchanged).mean(1) > 0.1).all()
        assert (kept.mean(1) > calm.mean() - 0.05).all()


def test_clipped_in_every_step_only_the_product_counts():
    """Rate times threshold fixed, and every step clipped: the same losses, in two cells and from rates 0.3 to 30."""
    for cell in (IDENTITY, DEFAULT):
        runs = [{"seed": 0, "rate": rate, "c": 0.03 / rate} for rate in (0.3, 3.0, 30.0)]
        norms, losses, _ = train(runs, epochs=2, cell=cell)
        assert (norms > 0.1).all()
        assert np.allclose(losses[:, 1:], losses[:, :1], rtol=1e-3)
        other = train([{"seed": 0, "rate": 0.3, "c": 0.3}], epochs=2, cell=cell)[1]
        assert not np.allclose(losses[:, :1], other, rtol=0.05)


def test_in_five_minutes_every_step_was_clipped():
    """With SGD at 0.3 and a threshold of 1, more than 95% of the steps are clipped, over seeds."""
    _, share = experiment(((0.3, 1.0),))
    assert share.min() > 0.95


def test_every_optimizer_takes_one_of_the_three():
    """All optimizers of Keras but the wrapper for loss scaling take them, one at a time."""
    wrapper = keras.optimizers.LossScaleOptimizer
    kinds = [
        kind
        for kind in vars(keras.optimizers).values()
        if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer)
    ]
    kinds = [kind for kind in kinds if kind not in (keras.optimizers.Optimizer, wrapper)]
    collections = [kind for kind in kinds if "clipvalue" not in inspect.signature(kind).parameters]
    assert {kind.__name__ for kind in collections} <= {"MultiOptimizer"}
    kinds = [kind for kind in kinds if kind not in collections]
    assert len(kinds) >= 10
    for kind in kinds:
        for name in KINDS:
            assert getattr(kind(**{name: 0.5}), name) == 0.5
        with pytest.raises(ValueError, match="Only one of"):
            kind(clipvalue=1.0, global_clipnorm=1.0)
    with pytest.raises(ValueError):
        wrapper(keras.optimizers.SGD(), global_clipnorm=1.0)
    assert wrapper(keras.optimizers.SGD(global_clipnorm=1.0)).inner_optimizer.global_clipnorm == 1


def test_each_bound_is_what_the_formula_says():
    """The norm of the whole is at most c times the root of N, of n, and c, and these bounds are reached."""
    for n, size in ((2, 3), (25, 4), (9, 7)):
        case = [np.full(size, -100.0) for _ in range(n)]
        for c in (0.3, 2.0):
            lengths = [norm(applied(case, **{kind: c})) for kind in KINDS]
            assert lengths == pytest.approx([c * np.sqrt(n * size), c * np.sqrt(n), c], rel=1e-4)
    for seed in range(5):
        random = np.random.default_rng(seed)
        case = [10 ** random.uniform(-2, 2) * random.normal(size=shape) for shape in ((4, 32), (32, 32), (32,))]
        for kind, bound in zip(KINDS, (np.sqrt(128 + 1024 + 32), np.sqrt(3), 1)):
            assert norm(applied(case, **{kind: 0.7})) <= 0.7 * bound * 1.0001


def test_only_the_global_norm_keeps_the_direction():
    """The cosine with the gradient stays 1 for the global norm; it falls below, and stays above 0, for the others."""
    for seed in range(5):
        random = np.random.default_rng(seed)
        case = [scale * random.normal(size=shape) for scale, shape in ((0.1, (4, 32)), (1, (32, 32)), (5, (32,)))]
        for c in (0.01, 0.5):
            for kind in KINDS:
                after = applied(case, **{kind: c})
                cosine = sum(np.sum(a * b) for a, b in zip(case, after)) / (norm(case) * norm(after))
                assert cosine == pytest.approx(1, abs=1e-5) if kind == "global_clipnorm" else 0 < cosine < 0.98


def test_a_threshold_that_is_not_positive_switches_clipping_off():
    for kind in KINDS:
        for threshold in (0.0, -1.0):
            assert applied([[3.0, 4.0]], **{kind: threshold})[0] == pytest.approx([3, 4])


def test_clipping_is_part_of_apply():
    """What `apply` is given is not changed, and the weight moves by the clipped gradient; `fit` does the same."""
    for kind, expected in (("clipvalue", [1, 1]), ("clipnorm", [0.6, 0.8]), ("global_clipnorm", [0.6, 0.8])):
        weight, gradient = keras.Variable([0.0, 0.0]), tf.constant([300.0, 400.0])
        keras.optimizers.SGD(1.0, **{kind: 1.0}).apply([gradient], [weight])
        assert -ops.convert_to_numpy(weight) == pytest.approx(expected)
        assert gradient.numpy().tolist() == [300, 400]
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((2,)), layer])
        model.compile(optimizer=keras.optimizers.SGD(1.0, **{kind: 1.0}), loss=lambda y, output: output)
        model.fit(np.array([[300.0, 400.0]]), np.zeros(1), verbose=0)
        assert -ops.convert_to_numpy(layer.kernel)[:, 0] == pytest.approx(expected)


def test_a_threshold_changed_after_the_first_fit_waits_for_compile():
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), layer])
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    loss = {"loss": lambda y, output: output}
    moved = []
    for change in (None, 5.0, "compile"):
        if change == "compile":
            model.compile(optimizer=optimizer, **loss)
        elif change:
            optimizer.global_clipnorm = change
        else:
            model.compile(optimizer=optimizer, **loss)
        before = float(layer.kernel[0, 0])
        model.fit(np.array([[300.0]]), np.zeros(1), verbose=0)
        moved.append(before - float(layer.kernel[0, 0]))
    assert moved == pytest.approx([1, 1, 5])


def test_the_kept_norm_is_that_before_clipping():
    """Under fit, with SGD and Adam, with every kind, the logged norm is that of the whole gradient by hand."""
    for kind, build in (("global_clipnorm", LoggedSGD), ("clipnorm", LoggedAdam)):
        log = NormLog()
        model = keras_reader(build(0.05, **{kind: 0.5}))
        history = model.fit(*split(0)[:2], epochs=1, shuffle=False, verbose=0, callbacks=[log]).history
        expected = Readers([{"seed": 0}], 32, IDENTITY).gradients(*(part[None, :32] for part in split(0)[:2]))[1]
        assert len(log.norms) == 32
        assert log.norms[0] == pytest.approx(norm(expected), rel=1e-4)
        assert history["norm_max"] == [max(log.norms)]
        assert history["clipped"][0] == (np.mean(np.array(log.norms) > 0.5) if kind == "global_clipnorm" else 0)


def test_keeping_the_norm_changes_no_step():
    """A logged optimizer leaves the same weights as the plain one; it sees a gradient that is None."""
    weights = []
    for build in (keras.optimizers.Adam, LoggedAdam):
        model = keras_reader(build(0.01, global_clipnorm=0.5))
        model.fit(*split(0)[:2], epochs=1, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(*weights))
    unused, used = keras.Variable([1.0]), keras.Variable([1.0])
    optimizer = LoggedSGD(1.0)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, tf.constant([2.0])], [unused, used])
    assert float(optimizer.gradient_norm) == 2


def test_a_callback_before_the_history_writes_into_the_log():
    """What the callback writes is in `history`, and other callbacks can monitor it."""
    model = keras_reader(LoggedSGD(0.05))
    stop = keras.callbacks.EarlyStopping(monitor="norm_max", mode="max", patience=1, baseline=1e9)
    history = model.fit(*split(0)[:2], epochs=3, verbose=0, callbacks=[NormLog(), stop]).history
    assert len(history["norm"]) == len(history["loss"]) == 2


def test_the_log_sees_one_step_in_several_executed_at_once():
    """With steps_per_execution of 4, one norm in four is seen."""
    model = keras_reader(LoggedSGD(0.05))
    model.compile(
        optimizer=model.optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=4,
    )
    log = NormLog()
    model.fit(*split(0)[:2], epochs=1, verbose=0, callbacks=[log])
    assert len(log.norms) == 8


def test_a_logged_optimizer_has_to_be_registered_or_named_to_load():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model = keras_reader(LoggedSGD(0.05, global_clipnorm=0.5))
        model.fit(*(part[:64] for part in split(0)[:2]), epochs=1, verbose=0)
        model.save(path)
        with pytest.raises(TypeError, match="Could not locate class"):
            keras.models.load_model(path)
        loaded = keras.models.load_model(path, custom_objects={"LoggedSGD": LoggedSGD})
    assert loaded.optimizer.global_clipnorm == 0.5
    assert float(loaded.optimizer.gradient_norm) == pytest.approx(float(model.optimizer.gradient_norm))


def test_rows_of_an_embedding_are_clipped_before_they_are_added():
    """On TensorFlow every kind lets more pass than it says; made dense first, each is exact."""
    for kind, passed, exact in (("clipvalue", 5.83, 2), ("clipnorm", 1.84, 1), ("global_clipnorm", 1.84, 1)):
        assert table_step(keras.optimizers.SGD(1.0, **{kind: 1.0})) == pytest.approx(passed, abs=0.01)
        assert table_step(LoggedSGD(1.0, **{kind: 1.0})) == pytest.approx(exact, abs=0.01)


def test_under_adam_a_spike_is_remembered():
    """After one gradient of 300 or 3000 Adam crawls; at a threshold above the ordinary ones it does not."""
    for size, seed in ((300, 1), (3000, 2)):
        gradients = np.random.default_rng(seed).normal(1.0, 1.0, size=90)
        plain = step_sizes(keras.optimizers.Adam(0.01), gradients)
        gradients[20] = size
        spiked = step_sizes(keras.optimizers.Adam(0.01), gradients)
        bounded = step_sizes(keras.optimizers.Adam(0.01, global_clipnorm=4.0), gradients)
        assert spiked[20] < 1.5 * plain.max()
        assert spiked[-40:].mean() < 0.2 * plain[-40:].mean()
        assert bounded[-40:].mean() > 0.7 * plain[-40:].mean()


def test_adam_does_not_feel_a_constant_factor():
    for factor in (0.01, 100.0):
        gradients = np.random.default_rng(0).normal(1.0, 1.0, size=40)
        plain = step_sizes(keras.optimizers.Adam(0.01), gradients)
        scaled = step_sizes(keras.optimizers.Adam(0.01), factor * gradients)
        assert scaled == pytest.approx(plain, rel=0.01, abs=1e-6)


def test_the_order_is_unscale_average_clip_decay():
    """Loss scale first, then the mean of the parts, clipped; decay is not clipped; L2 in the loss is."""
    for kind in KINDS:
        assert applied([[307.2, 0.0]], **{kind: 1.0}, loss_scale_factor=1024)[0] == pytest.approx([0.3, 0], rel=1e-5)
        for parts in (2, 3):
            weight = keras.Variable([100.0, 0.0])
            optimizer = keras.optimizers.SGD(1.0, weight_decay=0.5, gradient_accumulation_steps=parts, **{kind: 1.0})
            for gradient in (10.0, *[-4.0] * (parts - 1)):
                assert ops.convert_to_numpy(weight).tolist() == [100, 0]
                optimizer.apply([tf.constant([0.0, gradient])], [weight])
            mean = (10 - 4 * (parts - 1)) / parts
            assert ops.convert_to_numpy(weight) == pytest.approx([50, -min(mean, 1)])
    layer = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(100.0)
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(optimizer=keras.optimizers.SGD(1.0, global_clipnorm=0.25), loss="mse")
    model.fit(np.ones((1, 1)), np.ones(1), verbose=0)
    assert float(layer.kernel[0, 0]) == pytest.approx(0.75)


def test_targets_of_hundreds_end_in_nan():
    """Raw targets give NaN, clipped ones stay finite and far off, scaled ones do best, on three scales."""
    from sklearn.datasets import load_diabetes

    target = load_diabetes().target
    scaled = target.std() * regress((target - target.mean()) / target.std())
    assert np.isnan(regress(target * 2))
    clipped = regress(target, global_clipnorm=3.0)
    assert np.isfinite(clipped) and clipped > 1.1 * scaled


def test_the_median_and_the_mean_of_the_waits():
    """Clipped before averaging, the guess moves from the mean to the median; the smaller c, the further."""
    random, waits = np.random.default_rng(3), np.array([1.0] * 9 + [41.0])
    settled = []
    for c in (100.0, 10.0, 3.0, 0.3):
        guess = np.full(200, 20.0)
        for _ in range(4000):
            guess -= 0.02 * np.clip(guess - random.choice(waits, size=200), -c, c)
        settled.append(guess.mean())
    assert settled[0] == pytest.approx(5, abs=0.3)
    assert settled == sorted(settled, reverse=True)
    assert settled[-1] == pytest.approx(1, abs=0.2)


def test_averaged_noise_is_clipped_less():
    """With noisy gradients the mean of more parts is shorter, so a threshold clips fewer; without noise it is not."""
    random = np.random.default_rng(0)
    for deviation in (2.0, 6.0):
        noisy = 1.0 + random.normal(0, deviation, size=(500, 16, 40))
        lengths = [np.median(np.linalg.norm(noisy[:, :parts].mean(1), axis=1)) for parts in (1, 4, 16)]
        assert lengths[0] > 1.5 * lengths[1] > 1.5 * 1.1 * lengths[2]


def test_history_clips_outliers_and_leaves_the_rest():
    for seed in range(3):
        gradients = np.random.default_rng(seed).normal(3.0, 0.5, size=50)
        gradients[30] = 1e5
        steps = step_sizes(HistoryClipped(1.0), gradients)
        assert steps.max() < 10
        assert np.isclose(steps, gradients, rtol=1e-3).sum() >= 48
