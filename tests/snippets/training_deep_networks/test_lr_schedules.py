"""What the lesson on learning-rate schedules claims, each claim over a range.

Experiments with many seeds run in a laboratory: `train` trains many small networks side by side in NumPy, one on
each index of axis 0, by Adam or by SGD with momentum, which `test_the_laboratory_is_keras` proves equal to Keras'.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.optimizers import schedules
from sklearn.datasets import load_digits

from snippets.training_deep_networks.lr_schedules import (
    InverseSquareRoot,
    WarmUpStableDecay,
    build,
    cosine,
    valley,
    values,
    warm_up_cosine,
)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def shape_of(name, steps):
    """The rate of each step as a share of the peak."""
    if name == "constant":
        return np.ones(steps)
    warm_up = steps // 10 if name == "warm-up, cosine" else 0
    return np.array([cosine(step, 1.0, warm_up, steps) for step in range(steps)])


@functools.cache
def train(name, rates, epochs=8, width=64, rule="Adam", batch_size=32, seeds=6):
    """Return (epoch, validation loss or test accuracy, rate, seed) of networks trained on 1,000 digits."""
    data = load_digits()
    images = (data.data / 16).astype("float32")
    runs = [(seed, rate) for rate in rates for seed in range(seeds)]
    orders = np.stack([np.random.default_rng(seed).permutation(1797) for seed, _ in runs])
    parts = orders[:, 1000:1400], orders[:, 1400:]
    rate = np.float32([rate for _, rate in runs])[:, None, None]
    w = []
    for fan_in, fan_out in ((64, width), (width, 10)):
        limit = np.sqrt(6 / (fan_in + fan_out))
        draws = [np.random.default_rng([seed, fan_in]).uniform(-limit, limit, (fan_in, fan_out)) for seed, _ in runs]
        w += [np.stack(draws).astype("float32"), np.zeros((len(runs), 1, fan_out), "float32")]
    first, second = ([np.zeros_like(v) for v in w] for _ in range(2))
    shape, t, curve = shape_of(name, epochs * -(-1000 // batch_size)), 0, []

    def judge(part):
        answer = softmax(np.maximum(images[part] @ w[0] + w[1], 0) @ w[2] + w[3])
        right = np.take_along_axis(answer, data.target[part][..., None], -1)[..., 0]
        loss = -np.log(np.maximum(right, 1e-7)).mean(1)
        return np.where(np.isfinite(loss), loss, 99), (answer.argmax(-1) == data.target[part]).mean(1)

    with np.errstate(all="ignore"):
        for epoch in range(epochs):
            shuffled = np.stack([np.random.default_rng([seed, epoch]).permutation(1000) for seed, _ in runs])
            order = np.take_along_axis(orders, shuffled, 1)
            for start in range(0, 1000, batch_size):
                chosen = order[:, start : start + batch_size]
                x, y = images[chosen], data.target[chosen]
                hidden = np.maximum(x @ w[0] + w[1], 0)
                back = softmax(hidden @ w[2] + w[3]) - np.eye(10, dtype="float32")[y]
                back /= np.float32(x.shape[1])
                into = (back @ w[2].transpose(0, 2, 1)) * (hidden > 0)
                gradients = [x.transpose(0, 2, 1) @ into, into.sum(1, keepdims=True)]
                gradients += [hidden.transpose(0, 2, 1) @ back, back.sum(1, keepdims=True)]
                eta, t = rate * np.float32(shape[t]), t + 1
                for i, gradient in enumerate(gradients):
                    move(rule, w, first, second, i, gradient, eta, t)
            curve.append((judge(parts[0])[0], judge(parts[1])[1]))
    return np.array(curve).reshape(epochs, 2, len(rates), seeds)


def move(rule, w, first, second, i, gradient, eta, t):
    """One step of weight number `i`."""
    if rule == "SGD":
        first[i] = np.float32(0.9) * first[i] - eta * gradient
        w[i] = w[i] + first[i]
        return
    first[i] = np.float32(0.9) * first[i] + np.float32(0.1) * gradient
    second[i] = np.float32(0.999) * second[i] + np.float32(0.001) * gradient**2
    scale = np.float32(np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
    w[i] = w[i] - eta * scale * first[i] / (np.sqrt(second[i]) + np.float32(1e-7))


def error(differences):
    return np.std(differences, ddof=1) / np.sqrt(len(differences))


@pytest.mark.parametrize("rule", ["Adam", "SGD"])
def test_the_laboratory_is_keras(rule):
    random = np.random.default_rng(0)
    schedule = warm_up_cosine(0.1, 20)
    optimizer = keras.optimizers.Adam(schedule) if rule == "Adam" else keras.optimizers.SGD(schedule, momentum=0.9)
    start = random.normal(size=(1, 3, 2)).astype("float32")
    variable, w, first, second = keras.Variable(start), [start], [np.zeros_like(start)], [np.zeros_like(start)]
    shape = shape_of("warm-up, cosine", 20)
    for t in range(20):
        gradient = random.normal(size=start.shape).astype("float32")
        optimizer.apply([gradient], [variable])
        move(rule, w, first, second, 0, gradient, np.float32(0.1 * shape[t]), t + 1)
    assert np.array(variable) == pytest.approx(w[0], abs=1e-5) and np.abs(w[0] - start).max() > 0.1


RATES = (0.003, 0.01, 0.02, 0.03, 0.05, 0.1)


def tuned(name, epochs, width, seeds=20):
    """Return the rate of the least mean validation loss, which lies inside the grid, and the test accuracies there."""
    curve = train(name, RATES, epochs, width, seeds=seeds)
    best = curve[-1, 0].mean(-1).argmin()
    assert 0 < best < len(RATES) - 1
    return RATES[best], curve[-1, 1, best]


def test_warm_up_and_cosine_gain_a_point_in_short_runs():
    """Adam, both sides tuned, paired over 20 seeds: about a point after 5 and 8 epochs, less than half after 20."""
    for width in (32, 64):
        for epochs in (5, 8, 20):
            (peak, ours), (rate, theirs) = (tuned(name, epochs, width) for name in ("warm-up, cosine", "constant"))
            gain = ours - theirs
            assert 2 <= peak / rate <= 5, (width, epochs, peak, rate)
            if epochs == 20:
                assert -0.001 < gain.mean() < 0.005, (width, gain.mean())
            else:
                assert 0.005 < gain.mean() < 0.015 and gain.mean() > 2 * error(gain), (width, epochs, gain.mean())


def test_a_falling_rate_ends_calmly():
    """How much the validation loss changes from epoch to epoch at the end: less than half, and a fifth after 20."""
    for width in (32, 64):
        for epochs, factor in ((8, 0.5), (20, 0.2)):
            restless, calm = (
                np.abs(np.diff(train(name, RATES, epochs, width, seeds=20)[-4:, 0], axis=0)).mean((0, 2))
                for name in ("constant", "warm-up, cosine")
            )
            assert (calm < factor * restless)[1:].all(), (width, epochs)


def test_schedules_stand_higher_rates_than_their_mean():
    """Adam: warm-up and cosine, whose mean rate is about half of the peak, against constants of half and whole."""
    for width in (16, 64):
        peaks = (0.1, 0.2)
        ours, half, whole = (
            train(name, rates, width=width)[-1, 0].mean(-1)
            for name, rates in (("warm-up, cosine", peaks), ("constant", (0.05, 0.1)), ("constant", peaks))
        )
        assert (ours < half).all() and (half < whole).all(), width


def test_warm_up_matters_at_high_peaks():
    """Adam at 0.2: cosine alone ends at more than twice the loss; at 0.025 the two are the same."""
    for width in (16, 64):
        (low, high), (low_alone, high_alone) = (
            train(name, (0.025, 0.2), width=width)[-1, 0].mean(-1) for name in ("warm-up, cosine", "cosine")
        )
        assert high_alone > 2 * high and abs(low - low_alone) < 0.03


def test_linear_scaling_holds_below_the_best_rate():
    """SGD with momentum, from batches of 8: at an eighth of the best rate the linear rule keeps the loss, at the best
    rate it raises it by two fifths or more, and by more than the rule of the root."""
    for width in (16, 64):
        low, best, root = (
            [
                train("constant", (base * (size / 8) ** power,), width=width, rule="SGD", batch_size=size)[-1, 0].mean()
                for size in (8, 32, 128)
            ]
            for base, power in ((0.005, 1), (0.04, 1), (0.04, 0.5))
        )
        assert max(low) < 1.15 * min(low), (width, low)
        assert best[2] > 1.4 * best[0] and best[2] > 1.15 * root[2], (width, best, root)


def test_the_best_rate_grows_less_than_the_batch():
    """From batches of 8 to 128: about four times with Adam, up to eight times with SGD, and never sixteen."""
    for rule, rates in (("Adam", [0.00125 * 2**k for k in range(8)]), ("SGD", [0.01 * 2**k for k in range(7)])):
        for epochs in (8, 20):
            small, large = (
                rates[
                    train("constant", tuple(rates), epochs, rule=rule, batch_size=size, seeds=4)[-1, 0]
                    .mean(-1)
                    .argmin()
                ]
                for size in (8, 128)
            )
            assert 2 <= large / small <= 8, (rule, epochs, small, large)
            assert rates[0] < small and large < rates[-1]
            assert rule == "SGD" or large / small == pytest.approx(4, rel=1.01)


def test_the_formulas_are_those_of_keras():
    steps = np.arange(0, 500, 7)
    for rate, s, gamma in ((0.1, 100, 0.5), (0.02, 30, 0.96)):
        for schedule, formula in (
            (schedules.ExponentialDecay(rate, s, gamma), lambda t, r=rate, s=s, g=gamma: r * g ** (t / s)),
            (
                schedules.ExponentialDecay(rate, s, gamma, staircase=True),
                lambda t, r=rate, s=s, g=gamma: r * g ** (t // s),
            ),
            (schedules.InverseTimeDecay(rate, s, gamma), lambda t, r=rate, s=s, g=gamma: r / (1 + g * t / s)),
            (
                schedules.PolynomialDecay(rate, s, 0.001, power=2.0),
                lambda t, r=rate, s=s: 0.001 + (r - 0.001) * (1 - np.minimum(t, s) / s) ** 2,
            ),
            (
                schedules.CosineDecay(rate, s, alpha=0.1),
                lambda t, r=rate, s=s: r * (0.1 + 0.45 * (1 + np.cos(np.pi * np.minimum(t, s) / s))),
            ),
        ):
            assert [float(schedule(int(t))) for t in steps] == pytest.approx(formula(steps), rel=1e-4, abs=1e-7)
    piecewise = schedules.PiecewiseConstantDecay([10, 20], [3.0, 2.0, 1.0])
    assert [float(piecewise(t)) for t in (0, 10, 11, 20, 21)] == [3, 3, 2, 2, 1]
    restarts = schedules.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5)
    assert [float(restarts(t)) for t in (0, 5, 10, 20, 30)] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25], abs=1e-6)


def test_from_scratch_it_is_keras_cosine():
    for peak, steps in ((0.05, 256), (1e-3, 95)):
        ours = [cosine(step, peak, steps // 10, steps) for step in range(steps + 20)]
        assert ours == pytest.approx(values(warm_up_cosine(peak, steps), steps + 20), abs=1e-6 * peak + 1e-9)


def test_the_floor_is_the_formula():
    for rate in (0.05, 0.3, 1.0):
        assert valley([rate] * 500, walkers=20_000) == pytest.approx(rate / (2 * (2 - rate)), rel=0.05)
    assert valley([2.1] * 200) > 1e6


def test_the_schedule_is_asked_for_each_step():
    """`learning_rate` is that of the step to come; a run of 40 steps asks for the first 40 values."""
    model = build(keras.optimizers.SGD(schedules.PolynomialDecay(1.0, 100, 0.0)))
    x, y = np.zeros((40, 64), "float32"), np.zeros(40)
    assert float(model.optimizer.learning_rate) == 1.0
    model.fit(x, y, batch_size=4, epochs=4, verbose=0)
    assert int(model.optimizer.iterations) == 40
    assert float(model.optimizer.learning_rate) == pytest.approx(0.6)


def test_a_schedule_of_ones_own_is_saved_if_registered(tmp_path):
    x, y = np.zeros((40, 64), "float32"), np.zeros(40)
    for schedule in (InverseSquareRoot(0.1, 7), WarmUpStableDecay(0.1, 50), warm_up_cosine(0.1, 30)):
        model = build(keras.optimizers.Adam(schedule))
        model.fit(x, y, batch_size=4, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
        assert int(loaded.iterations) == 10
        assert float(loaded.learning_rate) == pytest.approx(float(model.optimizer.learning_rate)) != 0

    class Unnamed(InverseSquareRoot):
        """The same, not registered."""

    model = build(keras.optimizers.Adam(Unnamed(0.1, 7)))
    model.save(tmp_path / "model.keras")
    with pytest.raises(TypeError, match="Could not locate class 'Unnamed'"):
        keras.models.load_model(tmp_path / "model.keras")


def test_a_rate_has_one_owner():
    """Assignment and both callbacks are refused by an optimizer with a schedule."""
    x, y = np.zeros((8, 64), "float32"), np.zeros(8)
    for schedule in (warm_up_cosine(0.1, 30), schedules.ExponentialDecay(0.1, 10, 0.9)):
        model = build(keras.optimizers.Adam(schedule))
        plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10)
        by_epoch = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        for use in (
            lambda m=model: setattr(m.optimizer, "learning_rate", 0.1),
            lambda m=model, c=plateau: m.fit(x, y, epochs=3, callbacks=[c], verbose=0),
            lambda m=model, c=by_epoch: m.fit(x, y, callbacks=[c], verbose=0),
        ):
            with pytest.raises(TypeError, match="hence its learning rate is not settable"):
                use()


def test_after_its_end_nothing_moves():
    """SGD and Adam; and a schedule counted in epochs ends within the first of them."""
    x, y = np.random.default_rng(0).normal(size=(64, 64)).astype("float32"), np.arange(64) % 10
    for optimizer in (keras.optimizers.Adam, keras.optimizers.SGD):
        model = build(optimizer(schedules.CosineDecay(0.1, 8)))
        model.fit(x, y, batch_size=4, verbose=0)
        before = model.get_weights()
        model.fit(x, y, batch_size=4, epochs=3, verbose=0)
        assert all(map(np.array_equal, before, model.get_weights()))


def test_compiling_again_starts_the_schedule_anew():
    x, y = np.zeros((8, 64), "float32"), np.zeros(8)
    model = build(keras.optimizers.Adam(warm_up_cosine(0.1, 30)))
    model.fit(x, y, batch_size=1, verbose=0)
    before = float(model.optimizer.learning_rate)
    for optimizer, same in ((model.optimizer, True), (keras.optimizers.Adam(warm_up_cosine(0.1, 30)), False)):
        model.compile(optimizer, loss="sparse_categorical_crossentropy")
        assert (float(model.optimizer.learning_rate) == before) == same


def test_lr_is_an_attribute_that_nobody_reads():
    for make in (keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.RMSprop):
        optimizer = make(0.1)
        optimizer.lr = 0.5
        variable = keras.Variable([1.0])
        optimizer.apply([np.ones(1, "float32")], [variable])
        assert float(optimizer.learning_rate) == pytest.approx(0.1) and float(variable[0]) > 0.6
        with pytest.raises(ValueError, match="Argument\\(s\\) not recognized: {'lr'"):
            make(lr=0.1)


def test_set_value_sets_no_rate():
    assert not hasattr(keras.backend, "set_value")
    for make in (keras.optimizers.Adam, keras.optimizers.SGD):
        optimizer = make(0.1)
        with pytest.raises(AttributeError, match="'str' object has no attribute 'name'"):
            tf.keras.backend.set_value(optimizer.learning_rate, 0.5)
        assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_without_a_target_there_is_no_warm_up():
    for peak, steps in ((0.1, 100), (1e-3, 40)):
        plain, ignored = schedules.CosineDecay(peak, steps), schedules.CosineDecay(peak, steps, warmup_steps=10)
        assert values(plain, steps + 20) == values(ignored, steps + 20)


def test_a_dataset_may_not_know_its_length():
    data = tf.data.Dataset.range(10).batch(3)
    assert len(data) == 4
    unknown = tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=tf.TensorSpec((), tf.int64))
    for other in (data.filter(lambda x: True), data.repeat(), unknown):
        with pytest.raises(TypeError, match="The dataset (length is unknown|is infinite)"):
            len(other)


def test_the_step_is_an_integer():
    class TooSimple(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.01 / (step + 1)

    assert TooSimple()(3) == pytest.approx(0.0025), "asked by hand it answers"
    for optimizer in (keras.optimizers.Adam, keras.optimizers.SGD):
        with pytest.raises(TypeError, match="Expected int64, but got 0.01 of type 'float'"):
            build(optimizer(TooSimple())).fit(np.zeros((8, 64), "float32"), np.zeros(8), verbose=0)
    with pytest.raises(NotImplementedError, match="must override `get_config\\(\\)`"):
        build(keras.optimizers.Adam(TooSimple())).save("never.keras")


def test_momentum_takes_a_number():
    with pytest.raises((TypeError, ValueError)):
        model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1, momentum=warm_up_cosine(0.9, 10)), loss="mse")
        model.fit(np.zeros((4, 2)), np.zeros(4), verbose=0)
