"""What the lesson on optimizers claims, each claim over a range.

Experiments with many seeds run in a laboratory of their own: `train` trains many small networks side by side in
NumPy, one on each index of axis 0, by the rules of the lesson, which `test_the_rules_are_those_of_keras` proves
equal to Keras'.
"""

import functools

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from snippets.training_deep_networks.optimizers import (
    RULES,
    SignMomentum,
    adam,
    bowl_gradient,
    build,
    descend,
    digits,
    keras_descend,
    momentum,
    nesterov,
    ravine,
    sgd,
    steps_to_settle,
    textbook_nesterov,
)

START = np.float32([3, -2, 1, 0])


def bowl(w):
    """The gradient of a function that is neither quadratic nor round."""
    return (np.float32([1, 0.1, 5, 1e-6]) * (w + 1) + 0.1 * w**3).astype("float32")


def numbers(variables):
    return [keras.ops.convert_to_numpy(v) for v in variables]


def one_step(optimizer, gradient, start):
    """The change that the first step makes."""
    start = np.asarray(start, "float32")
    return keras_descend(optimizer, lambda w: np.asarray(gradient, "float32"), start, 1)[1] - start


def replay(rule, gradients, rate=0.01, **options):
    """The steps that a rule makes of recorded gradients."""
    left = iter(gradients)
    path = descend(rule, lambda w: next(left), np.zeros_like(gradients[0]), rate, len(gradients), **options)
    return np.diff(path, axis=0)


def slope_of(hessian):
    """The gradient of half of w.H.w."""
    return lambda w: w @ hessian


def error(differences):
    return np.std(differences, ddof=1) / np.sqrt(len(differences))


# The laboratory


@functools.cache
def split(seed):
    """Order of the images: 1,000 to train, 400 to validate, the rest to test."""
    return np.random.default_rng(seed).permutation(1797)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@functools.cache
def train(name, rates, epochs=8, width=16, scales="same", seeds=10, **options):
    """Return (time, validation or test, loss or accuracy, rate, seed); every epoch, or every second of a long run."""
    data, n = load_digits(), 1000
    images = (data.data / 16).astype("float32")
    if scales != "same":
        images = images * np.random.default_rng(0).permutation(np.logspace(0, -2, 64)).astype("float32")
    if scales == "standardized":
        images = (images - images.mean(0)) / (images.std(0) + 1e-4)
    runs = [(seed, rate) for rate in rates for seed in range(seeds)]
    parts = [
        np.stack([split(seed)[part] for seed, _ in runs]) for part in (slice(n), slice(n, 1400), slice(1400, None))
    ]
    rate = np.float32([rate for _, rate in runs])[:, None, None]
    w = []
    for fan_in, fan_out in ((64, width), (width, 10)):
        limit = np.sqrt(6 / (fan_in + fan_out))
        draws = [np.random.default_rng([seed, fan_in]).uniform(-limit, limit, (fan_in, fan_out)) for seed, _ in runs]
        w += [np.stack(draws).astype("float32"), np.zeros((len(runs), 1, fan_out), "float32")]
    slots = [[np.zeros_like(v), np.zeros_like(v)] for v in w]

    def forward(x):
        hidden = np.maximum(x @ w[0] + w[1], 0)
        return hidden, softmax(hidden @ w[2] + w[3])

    def judge(part):
        y = data.target[part]
        answer = forward(images[part])[1]
        right = np.take_along_axis(answer, y[..., None], -1)[..., 0]
        loss = -np.log(np.maximum(right, 1e-7)).mean(1)
        return np.where(np.isfinite(loss), loss, 99), (answer.argmax(-1) == y).mean(1)

    curve, t = [], 0
    with np.errstate(all="ignore"):
        for epoch in range(1, epochs + 1):
            shuffled = [np.random.default_rng([seed, epoch]).permutation(n) for seed, _ in runs]
            order = np.take_along_axis(parts[0], np.stack(shuffled), 1)
            for first in range(0, n, 32):
                chosen = order[:, first : first + 32]
                x, y = images[chosen], data.target[chosen]
                hidden, answer = forward(x)
                back = (answer - np.eye(10, dtype="float32")[y]) / np.float32(x.shape[1])
                into = (back @ w[2].transpose(0, 2, 1)) * (hidden > 0)
                gradients = [x.transpose(0, 2, 1) @ into, into.sum(1, keepdims=True)]
                gradients += [hidden.transpose(0, 2, 1) @ back, back.sum(1, keepdims=True)]
                t += 1
                for i, gradient in enumerate(gradients):
                    w[i], slots[i] = RULES[name][0](w[i], gradient, slots[i], np.float32(t), rate, **options)
                    w[i] = w[i].astype("float32")
            if epochs < 10 or epoch % 4 == 0:
                curve.append([judge(part) for part in parts[1:]])
    return np.array(curve).reshape(-1, 2, 2, len(rates), seeds)


GRID = {
    "SGD": (0.03, 0.1, 0.3, 1.0),
    "momentum": (0.003, 0.01, 0.03, 0.1, 0.3),
    "Adam": (0.001, 0.003, 0.01, 0.03, 0.1),
}


def tuned(name, **options):
    """The best rate, and the test accuracy of each seed at its last and at its best epoch."""
    curve = train(name, GRID[name], **options)
    best = curve[-1, 0, 0].mean(-1).argmin()
    assert 0 < best < len(GRID[name]) - 1, f"the best rate of {name} lies at the end of the grid"
    early = curve[:, 0, 0].argmin(0)
    stopped = np.take_along_axis(curve[:, 1, 1], early[None], 0)[0]
    validation = np.take_along_axis(curve[:, 0, 0], early[None], 0)[0]
    return GRID[name][best], curve[-1, 1, 1, best], stopped[validation.mean(-1).argmin()]


def at(name, rate, **options):
    """The test accuracy of each seed at the last epoch with one rate."""
    rates = GRID[name] if rate in GRID[name] else (rate,)
    return train(name, rates, **options)[-1, 1, 1, rates.index(rate)]


def test_adams_default_rate_is_too_low_for_a_short_run():
    """After 8 epochs the best rate is three times the default or more; after 40 the default costs little."""
    for width in (16, 64):
        rate, best, _ = tuned("Adam", width=width)
        cost = best - at("Adam", 0.001, width=width)
        assert rate >= 0.003 and cost.mean() - 2 * error(cost) > 0.03
    _, best, _ = tuned("Adam", epochs=40)
    cost = best - at("Adam", 0.001, epochs=40)
    assert cost.mean() > 0 and cost.mean() + 2 * error(cost) < 0.03


def test_each_rule_needs_its_own_rate():
    for width in (16, 64):
        (slow, _, _), (fast, best, _) = tuned("SGD", width=width), tuned("Adam", width=width)
        assert slow >= 10 * fast
        lost = best - at("Adam", slow, width=width)
        assert lost.mean() - 2 * error(lost) > 0.3
        lost = tuned("SGD", width=width)[1] - at("SGD", 0.001, width=width)
        assert lost.mean() - 2 * error(lost) > 0.3, "Adam's default is no rate for SGD"
        lost = tuned("momentum", width=width)[1] - at("momentum", 0.001, width=width)
        assert lost.mean() - 2 * error(lost) > 0.15, "nor for momentum"


def test_defaults_measure_the_defaults():
    for width in (16, 64):
        behind = at("Adam", 0.001, width=width) - at("SGD", 0.01, width=width)
        assert behind.mean() - 2 * error(behind) > 0.2
        left = tuned("Adam", width=width)[1] - tuned("SGD", width=width)[1]
        less = behind / 2 - left
        assert less.mean() > 2 * error(less)


def test_tuned_momentum_and_adam_are_close():
    for options, points in (({"width": 16}, 0.03), ({"width": 64}, 0.03), ({"epochs": 40}, 0.01)):
        ours, theirs = tuned("momentum", **options), tuned("Adam", **options)
        for kind in (1, 2):
            difference = ours[kind] - theirs[kind]
            assert abs(difference.mean()) + 2 * error(difference) < points, (options, kind, difference.mean())


def test_adam_wins_when_the_scales_differ():
    for epochs, points in ((8, 0.05), (40, 0.01)):
        _, end, stopped = tuned("Adam", epochs=epochs, scales="differ")
        for mu in (0.9, 0.97):
            other = tuned("momentum", epochs=epochs, scales="differ", mu=mu)
            for kind, ours in ((1, end), (2, stopped)):
                lead = ours - other[kind]
                assert lead.mean() - 2 * error(lead) > points, (epochs, mu, kind, lead.mean())
    lead = tuned("Adam", scales="standardized")[1] - tuned("momentum", scales="standardized")[1]
    assert lead.mean() + 2 * error(lead) < 0.02, lead.mean()


# The rules


@pytest.mark.parametrize("name", RULES)
def test_the_rules_are_those_of_keras(name):
    rule, optimizer, options = RULES[name]
    for rate in (0.01, 1 / 32):
        ours = descend(rule, bowl, START, rate, 60)
        theirs = keras_descend(optimizer(rate, **options), bowl, START, 60)
        assert np.abs(ours - theirs).max() < 1e-4
        assert np.abs(ours - ours[0]).max() > 0.1
    gradients = np.float32([1e-9, 1e-8, 1e-7, 1e-4, 10])
    theirs = one_step(optimizer(0.01, **options), gradients, np.zeros(5))
    assert theirs == pytest.approx(replay(rule, [gradients])[0], rel=1e-3)


def test_sgd_needs_a_rate_below_two_over_the_curvature():
    for steep in (10.0, 50.0, 200.0):
        hessian, start = ravine(0, steep)
        below, above = (descend(sgd, slope_of(hessian), start, f * 2 / steep, 400) for f in (0.98, 1.02))
        assert abs(below[-1, 1]) < 0.1 and abs(above[-1, 1]) > 10
        assert abs(below[20, 0]) > 0.01


RATES = np.logspace(-2.5, 0.5, 31)
BETA = np.linspace(0, 0.9, 10)


@functools.cache
def fewest_steps(name, degrees, steep, *values):
    rule, option = {"momentum": (momentum, "mu"), "Nesterov": (nesterov, "mu"), "Adam": (adam, "beta_1")}[name]
    valley = ravine(degrees, steep)
    return min(steps_to_settle(rule, valley, RATES, **{option: value}).min() for value in values)


@pytest.mark.parametrize("steep", [10.0, 50.0, 200.0])
def test_tuning_turns_the_ranking_on_the_ravine(steep):
    hessian, start = ravine(0, steep)
    rates = np.logspace(-2.5, 0.5, 61)

    def fewest(rule, start, values):
        return min(steps_to_settle(rule, (hessian, start), rates, mu=mu).min() for mu in values)

    near = np.array([-1.0, 1.0])
    for begin in (start, near):
        assert fewest(nesterov, begin, [0.9]) < fewest(momentum, begin, [0.9])
    for values in (BETA, np.linspace(0, 0.9, 46)):
        assert fewest(momentum, start, values) <= fewest(nesterov, start, values)
        assert fewest(nesterov, near, values) < fewest(momentum, near, values)


def test_turning_the_valley_costs_adam():
    for steep in (50.0, 70.0, 100.0):
        for name, rule in (("momentum", momentum), ("Nesterov", nesterov), ("SGD", sgd)):
            counts = [steps_to_settle(rule, ravine(degrees, steep), RATES) for degrees in (0, 30, 45)]
            assert np.array_equal(counts[0], counts[1]) and np.array_equal(counts[0], counts[2]), name
        assert fewest_steps("Adam", 45, steep, *BETA) > 1.2 * fewest_steps("Adam", 0, steep, *BETA)


def test_momentum_is_ten_times_the_rate():
    for mu in (0.5, 0.9, 0.95):
        agree, alternate = (replay(momentum, np.float64([[s**t] for t in range(400)]), mu=mu)[-1] for s in (1, -1))
        assert abs(agree) == pytest.approx(0.01 / (1 - mu), rel=1e-3)
        assert abs(alternate) == pytest.approx(0.01 / (1 + mu), rel=1e-3)
    hessian, start = np.diag([0.01, 0.03]), np.ones(2)
    plain = descend(sgd, slope_of(hessian), start, 1.0, 300)
    for rate, close in ((0.1, True), (1.0, False)):
        path = descend(momentum, slope_of(hessian), start, rate, 300)
        assert (np.abs(path[-1] - plain[-1]).max() < 0.3 * plain[-1].max()) == close


def test_momentum_takes_the_root_of_the_condition_number():
    counts = {}
    for kappa in (25, 100, 400, 1600):
        root = np.sqrt(kappa)
        for kind, rate, mu in (
            ("sgd", 2 / (1 + kappa), 0.0),
            ("momentum", (2 / (1 + root)) ** 2, ((root - 1) / (root + 1)) ** 2),
        ):
            path = descend(momentum, slope_of(np.diag([1.0, kappa])), np.ones(2), rate, 6000, mu=mu)
            counts[kind, kappa] = np.nonzero(np.abs(path).max(axis=1) > 1e-3)[0][-1] + 1
    for kappa in (25, 100, 400):
        assert counts["sgd", 4 * kappa] / counts["sgd", kappa] == pytest.approx(4, rel=0.05)
        assert counts["momentum", 4 * kappa] / counts["momentum", kappa] == pytest.approx(2, rel=0.25)


def test_adams_first_step_is_the_rate():
    for rate in (0.001, 0.1):
        steps = one_step(keras.optimizers.Adam(rate), [1e6, -3.0, 1e-3, 3e-4, 3.2e-6, 1e-8], np.zeros(6)) / rate
        assert steps[:4] == pytest.approx([-1, 1, -1, -1], rel=0.02)
        assert abs(steps[4]) == pytest.approx(0.5, abs=0.02), "the threshold"
        assert abs(steps[5]) < 0.01
        first = one_step(keras.optimizers.RMSprop(rate), [1.0, 10.0, 1e-4], np.zeros(3)) / rate
        assert first[:2] == pytest.approx([-(0.1**-0.5)] * 2, rel=1e-3) and abs(first[2]) < 0.4
        assert abs(one_step(keras.optimizers.SGD(rate), [7.0], [0.0])[0]) == pytest.approx(7 * rate)


def test_a_louder_loss_is_a_higher_rate_for_sgd_only():
    gradients = np.random.default_rng(0).normal(size=(100, 5)) + 0.3
    assert replay(sgd, 100 * gradients) == pytest.approx(replay(sgd, gradients, rate=1.0))
    assert replay(adam, 100 * gradients) == pytest.approx(replay(adam, gradients), rel=1e-3, abs=1e-6)


def test_uncorrected_adam_starts_too_fast():
    random = np.random.default_rng(0)

    def ratio(beta_1, beta_2, t):
        gradients = random.normal(size=(t, 6)) + 1
        corrected = replay(adam, gradients, beta_1=beta_1, beta_2=beta_2, epsilon=0)[-1]
        m = sum((1 - beta_1) * beta_1 ** (t - 1 - k) * g for k, g in enumerate(gradients))
        s = sum((1 - beta_2) * beta_2 ** (t - 1 - k) * g**2 for k, g in enumerate(gradients))
        return (-0.01 * m / np.sqrt(s) / corrected).mean()

    for t in (1, 2, 10, 100, 500):
        assert ratio(0.9, 0.999, t) > 1.4
        assert ratio(0.9, 0.999, t) == pytest.approx((1 - 0.9**t) / np.sqrt(1 - 0.999**t), rel=1e-3)
    for t in range(1, 9):
        assert ratio(0.9, 0.95, t) < 0.99, "too small"
    assert ratio(0.9, 0.95, 9) > 1


def test_a_large_epsilon_turns_adam_into_momentum():
    for seed in range(3):
        scales = np.logspace(-3, 0, 20)
        gradients = scales * (1 + 0.3 * np.random.default_rng(seed).normal(size=(200, 20)))
        last = replay(momentum, gradients)[-1]
        steps = [replay(adam, gradients, epsilon=e)[-1] for e in (1e-7, 0.1, 10.0)]
        likeness = [step @ last / np.linalg.norm(step) / np.linalg.norm(last) for step in steps]
        assert likeness[0] < 0.8 < likeness[1] < 0.999 < likeness[2]
    half = {}
    for name in ("RMSprop", "Adam"):
        sizes = np.float32(np.logspace(-9, 0, 400))
        steps = abs(one_step(RULES[name][1](1.0), sizes, np.zeros(400)))
        half[name] = sizes[np.argmin(abs(steps - steps[-1] / 2))]
    at_the_threshold = one_step(keras.optimizers.RMSprop(1.0), [1e-3, 10.0], np.zeros(2))
    assert at_the_threshold[0] / at_the_threshold[1] == pytest.approx(0.5**0.5, rel=1e-3)
    assert 5e-4 < half["RMSprop"] < 1e-3 and 2e-6 < half["Adam"] < 5e-6
    late = replay(adam, np.tile([1e-8, 1e-7, 1e-6], (8000, 1)))[-1] / -0.01
    assert late[0] < 0.2 and late[1] == pytest.approx(0.5, abs=0.01) and late[2] > 0.8
    late = replay(RULES["RMSprop"][0], np.tile([3e-5, 1e-7**0.5, 3e-3], (300, 1)))[-1] / -0.01
    assert late[0] < 0.2 and late[1] == pytest.approx(0.5**0.5, abs=0.01) and late[2] > 0.95


# Weight decay


def test_decay_stands_outside_the_gradient_in_keras():
    for make in (keras.optimizers.AdamW, keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.RMSprop):
        for gradient in (0.0, 0.5):
            plain = one_step(make(0.1, weight_decay=0.0), [gradient] * 2, [1.0, -2.0])
            decayed = one_step(make(0.1, weight_decay=0.5), [gradient] * 2, [1.0, -2.0])
            assert decayed - plain == pytest.approx([-0.05, 0.1], rel=1e-4)
    pair = [
        keras_descend(make(0.03, weight_decay=0.4), bowl, START, 30)
        for make in (keras.optimizers.AdamW, keras.optimizers.Adam)
    ]
    assert np.array_equal(*pair)


def test_decay_counts_by_rate_times_steps():
    for rate, decay, steps in ((0.01, 0.5, 100), (0.05, 0.1, 100), (0.01, 1.0, 50)):
        optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
        left = keras_descend(optimizer, np.zeros_like, np.float32([1.0, -3.0]), steps)[-1]
        assert left == pytest.approx(np.exp(-rate * decay * steps) * np.float32([1, -3]), rel=0.02)


def test_a_schedule_is_no_weight_decay():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.0)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        one_step(keras.optimizers.AdamW(0.1, weight_decay=schedule), [0.0], [1.0])
    path = keras_descend(keras.optimizers.AdamW(schedule, weight_decay=0.5), np.zeros_like, np.ones(1, "float32"), 12)
    shares = 1 - path[1:, 0] / path[:-1, 0]
    assert shares[0] == pytest.approx(0.05, rel=0.01) and shares[5] == pytest.approx(0.025, rel=0.01)
    assert shares[-1] == pytest.approx(0, abs=1e-6)


def decay_only(optimizer, weights):
    for w in weights:
        w.assign(keras.ops.ones_like(w))
    optimizer.apply([keras.ops.zeros_like(w) for w in weights], weights)
    return [round(float(keras.ops.max(w)), 3) for w in weights]


def test_gamma_and_beta_are_names_of_normalization():
    layers = [
        keras.layers.BatchNormalization(),
        keras.layers.LayerNormalization(),
        keras.layers.GroupNormalization(groups=3),
        keras.layers.RMSNormalization(),
    ]
    for layer in layers:
        weights = keras.Sequential([keras.Input(shape=(4,)), keras.layers.Dense(3), layer]).trainable_variables
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale"])
        assert decay_only(optimizer, weights) == [0.95] + [1] * (len(weights) - 1), layer.name
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
        assert decay_only(optimizer, weights) == [0.95] * len(weights), "unless you exclude them"


def test_an_exclusion_counts_before_the_step_is_compiled(tmp_path):
    x, y = np.zeros((4, 64), "float32"), np.zeros(4)
    for late in (False, True):
        model = build(keras.optimizers.AdamW(0.1, weight_decay=0.5))
        if late:
            model.train_on_batch(x, y)
        model.optimizer.exclude_from_weight_decay(var_names=["kernel"])
        before = numbers(model.trainable_variables)[0]
        model.train_on_batch(x, y)
        assert np.allclose(numbers(model.trainable_variables)[0], before) != late
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert decay_only(loaded.optimizer, loaded.trainable_variables)[0] == 0.95, "Keras saves the exclusion now"


# State


@pytest.mark.parametrize(
    ("make", "slots"),
    [
        (lambda: keras.optimizers.SGD(), 0),
        (lambda: keras.optimizers.SGD(momentum=0.9), 1),
        (lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True), 1),
        (lambda: keras.optimizers.RMSprop(), 1),
        (lambda: keras.optimizers.RMSprop(momentum=0.9), 2),
        (lambda: keras.optimizers.RMSprop(centered=True), 2),
        (lambda: keras.optimizers.RMSprop(centered=True, momentum=0.9), 3),
        (lambda: keras.optimizers.Lion(), 1),
        (lambda: keras.optimizers.Adam(), 2),
        (lambda: keras.optimizers.AdamW(), 2),
        (lambda: keras.optimizers.Adam(amsgrad=True), 3),
    ],
)
def test_slots_are_counted_for_each_weight(make, slots):
    weights, optimizer = [keras.Variable(np.ones((5, 3))), keras.Variable(np.ones(7))], make()
    assert len(optimizer.variables) == 2, "made in the first step"
    optimizer.apply([keras.ops.ones_like(w) for w in weights], weights)
    assert sum(int(np.prod(v.shape)) for v in optimizer.variables[2:]) == slots * 22


def test_a_schedule_leaves_only_the_step():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    for make in (keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.RMSprop):
        assert [v.name for v in make(schedule).variables] == ["iteration"]
        assert [v.name for v in make(0.1).variables] == ["iteration", "learning_rate"]


def test_a_saved_model_keeps_its_slots(tmp_path):
    train, _, _ = digits()
    for optimizer in (keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.01, momentum=0.9)):
        model = build(optimizer)
        model.train_on_batch(*train)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        for one in (model, loaded):
            one.train_on_batch(*train)
        for ours, theirs in zip(numbers(model.optimizer.variables), numbers(loaded.optimizer.variables), strict=True):
            assert np.allclose(ours, theirs, atol=1e-6)
        for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
            assert np.allclose(ours, theirs, atol=1e-6)


def test_compiling_again_restarts_the_schedule():
    train, _, _ = digits()
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 4, end_learning_rate=0.0)
    model = build(keras.optimizers.Adam(schedule))
    for _ in range(3):
        model.train_on_batch(*train)
    slots = numbers(model.optimizer.variables)
    model.compile(optimizer=model.optimizer, loss="sparse_categorical_crossentropy")
    assert all(np.array_equal(a, b) for a, b in zip(slots, numbers(model.optimizer.variables), strict=True))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.025)
    model.compile(optimizer=keras.optimizers.Adam(schedule), loss="sparse_categorical_crossentropy")
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert len(model.optimizer.variables) == 1
    model.compile(loss="sparse_categorical_crossentropy")
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)


def test_unfrozen_layers_are_unknown_to_the_old_optimizer():
    train, _, _ = digits()
    model = build("adam")
    model.get_layer("hidden").trainable = False
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.train_on_batch(*train)
    model.get_layer("hidden").trainable = True
    model.compile(optimizer=model.optimizer, loss="sparse_categorical_crossentropy")
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match="Unknown variable"):
            model.train_on_batch(*train)
    shared = keras.optimizers.Adam()
    build(shared).train_on_batch(*train)
    if keras.backend.backend() == "jax":
        build(shared).train_on_batch(*train)
        assert int(shared.iterations) == 2
        return
    with pytest.raises(ValueError, match="Unknown variable"):
        build(shared).train_on_batch(*train)


# Other libraries, other optimizers


def test_the_defaults_are_those_of_the_table():
    sgd_, rmsprop_, adam_, adamw_ = (keras.optimizers.get(n).get_config() for n in ("sgd", "rmsprop", "adam", "adamw"))
    assert (sgd_["learning_rate"], sgd_["momentum"]) == (pytest.approx(0.01), 0.0)
    assert (rmsprop_["learning_rate"], rmsprop_["rho"]) == (pytest.approx(0.001), 0.9)
    assert rmsprop_["epsilon"] == adam_["epsilon"] == 1e-7
    assert adam_["learning_rate"] == adamw_["learning_rate"] == pytest.approx(0.001)
    assert adamw_["weight_decay"] == 0.004
    assert one_step(keras.optimizers.RMSprop(1.0, epsilon=0.25), [1e-4], [0.0]) == pytest.approx([-2e-4], rel=1e-3)


def test_the_velocity_holds_the_old_rate():
    for mu in (0.8, 0.9):
        optimizer = keras.optimizers.SGD(0.1, momentum=mu)
        ones, w = np.ones(1, "float32"), keras.Variable(np.zeros(1, "float32"))
        steps, theirs, velocity = [], [], 0.0
        for t in range(150):
            rate = 0.1 if t < 100 else 0.01
            optimizer.learning_rate = rate
            before = float(w[0])
            optimizer.apply([ones], [w])
            velocity = mu * velocity + 1
            steps.append(before - float(w[0]))
            theirs.append(rate * velocity)
        assert steps[:100] == pytest.approx(theirs[:100], rel=1e-3)
        assert theirs[100] == pytest.approx(0.1 * theirs[99], rel=0.01)
        excess = (np.array(steps[100:]) - steps[-1]) / (steps[99] - steps[-1])
        assert excess[0] == pytest.approx(mu, rel=0.01)
        forgotten = round(1 / (1 - mu))
        assert 0.25 < excess[forgotten - 1] < 0.4 and excess[3 * forgotten] < 0.06


def test_decay_is_ignored_and_inverse_time_decay_meant():
    with pytest.warns(UserWarning, match="Argument `decay` is no longer supported and will be ignored."):
        old = keras.optimizers.SGD(0.1, decay=0.5)
    plain = keras_descend(keras.optimizers.SGD(0.1), bowl, START, 10)
    assert np.array_equal(keras_descend(old, bowl, START, 10), plain)
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 0.01)
    assert [float(schedule(t)) for t in (0, 1, 50)] == pytest.approx([0.1, 0.1 / 1.01, 0.1 / 1.5])


@pytest.mark.skipif(not hasattr(keras.optimizers, "Muon"), reason="this Keras has no Muon")
def test_muon_takes_what_has_two_axes():
    inputs = keras.Input(shape=(6, 16))
    hidden = keras.layers.MultiHeadAttention(2, 8, name="attention")(inputs, inputs)
    hidden = keras.layers.Conv1D(8, 3, name="conv1d")(hidden)
    hidden = keras.layers.Reshape((4, 8, 1))(hidden)
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, name="conv2d")(hidden))
    outputs = keras.layers.Dense(3, name="classes")(keras.layers.Dense(5, name="dense")(hidden))
    words = keras.layers.Embedding(7, 5)
    words.build((None,))
    weights = [*keras.Model(inputs, outputs).trainable_variables, *words.trainable_variables]

    def taken(weights, exclude):
        muon = keras.optimizers.Muon(exclude_layers=exclude)
        muon.apply([keras.ops.ones_like(w) for w in weights], weights)
        adams = [v.name for v in muon.variables if v.name.endswith("_velocity")]
        mine = [w.path for w in weights if w.path.replace("/", "_") + "_velocity" not in adams]
        assert len(mine) + len(adams) == len(weights)
        return mine

    mine = taken(weights, [])
    assert mine == [w.path for w in weights if len(w.shape) == 2 and "embedding" not in w.path]
    assert {"attention/query/bias", "dense/kernel", "classes/kernel"} <= set(mine)
    assert taken(weights, ["bias", "classes"]) == ["dense/kernel"]
    inputs = keras.Input(shape=(4, 16))
    hidden = keras.layers.MultiHeadAttention(num_heads=2, key_dim=8, name="attention")(inputs, inputs)
    block = keras.Model(inputs, keras.layers.Dense(16, name="dense")(hidden))
    assert taken(block.trainable_variables, ["bias", "classes"]) == ["dense/kernel"], "the model of the page"
    for layer in (keras.layers.LSTM(5), keras.layers.GRU(5)):
        model = keras.Sequential([keras.Input(shape=(4, 3)), layer, keras.layers.Dense(3, name="classes")])
        names = [path.split("/")[-1] for path in taken(model.trainable_variables, ["bias", "classes"])]
        assert names == ["kernel", "recurrent_kernel"], layer.name


def test_an_optimizer_of_ones_own_has_to_be_registered(tmp_path):
    class Unknown(SignMomentum):
        pass

    train, _, _ = digits()
    for optimizer, found in ((SignMomentum(0.003), True), (Unknown(0.003), False)):
        model = build(optimizer)
        model.train_on_batch(*train)
        model.save(tmp_path / "model.keras")
        if found:
            assert keras.saving.load_model(tmp_path / "model.keras").optimizer.beta_2 == 0.99
        else:
            with pytest.raises(TypeError, match="Could not locate class"):
                keras.saving.load_model(tmp_path / "model.keras")


def test_lion_mixes_with_the_old_momentum():
    class Wrong(SignMomentum):
        def update_step(self, gradient, variable, learning_rate):
            m = self.m[self._get_variable_index(variable)]
            self.assign(m, self.beta_2 * m + (1 - self.beta_2) * gradient)
            mix = self.beta_1 * m + (1 - self.beta_1) * gradient
            rate = keras.ops.cast(learning_rate, variable.dtype)
            self.assign_sub(variable, rate * keras.ops.sign(mix))

    for rate in (0.01, 0.03):
        for gradient, start in ((bowl_gradient, np.zeros(5, "float32")), (bowl, START)):
            lion, right, wrong = (
                keras_descend(make(rate), gradient, start, 60) for make in (keras.optimizers.Lion, SignMomentum, Wrong)
            )
            assert np.allclose(right, lion, atol=1e-6)
            if gradient is bowl_gradient:
                assert np.allclose(wrong, lion, atol=1e-6) == (rate == 0.01), "the check of the page"


def test_keras_stores_the_point_ahead_of_the_textbooks_nesterov():
    for degrees in (0, 30):
        hessian, start = ravine(degrees)
        here, ahead = textbook_nesterov(slope_of(hessian), start, 0.015, 60)
        ours = descend(nesterov, slope_of(hessian), start, 0.015, 60)
        assert np.allclose(ours, ahead) and not np.allclose(ours, here)
