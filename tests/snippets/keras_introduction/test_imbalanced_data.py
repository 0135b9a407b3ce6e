"""What the lesson on imbalanced data claims, each claim over a range.

Experiments with many seeds run in a laboratory of their own: `train` trains many networks of the lesson's kind side
by side in NumPy, one on each index of axis 0. `test_weights_times_five_are_a_rate_times_five` begins by proving its
step equal to Keras'.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from snippets.keras_introduction.imbalanced_data import average_precision, balanced, judge, noisy_eights, undone

IMAGES, DIGITS = load_digits(return_X_y=True)
EIGHT = (DIGITS == 8).astype("int32")
SHARE = EIGHT.mean()


@pytest.fixture(scope="module", autouse=True)
def one_core():
    """Small matrices are multiplied faster by one core than by several that wait for each other."""
    with threadpool_limits(1):
        yield


def split(seed, noise, n=900):
    """Noisy images and whether they are eights: `n` to train on, half of the rest to validate, half to test."""
    x = (IMAGES / 16 + np.random.default_rng(seed).normal(0, noise, IMAGES.shape)).astype("float32")
    x, rest, y, y_rest = train_test_split(x, EIGHT, train_size=n, stratify=EIGHT, random_state=seed)
    parts = train_test_split(rest, y_rest, train_size=448, test_size=448, stratify=y_rest, random_state=seed)
    return (x, y), (parts[0], parts[2]), (parts[1], parts[3])


def weights_of(y, ratio):
    """Class weights of that ratio whose mean over the examples is 1; balanced ones without a ratio."""
    counts = np.bincount(y)
    ratio = counts[0] / counts[1] if ratio is None else ratio
    other = len(y) / (counts[0] + ratio * counts[1])
    return other, ratio * other


class Networks:
    """Networks of one hidden layer of ReLU and a sigmoid unit, trained by Adam or SGD; index 0 is the network."""

    def __init__(self, seeds, units=32):
        draws = []
        for layer, (fan_in, fan_out) in enumerate(((64, units), (units, 1))):
            limit, shape = np.sqrt(6 / (fan_in + fan_out)), (fan_in, fan_out)
            draws.append(np.stack([np.random.default_rng([s, layer]).uniform(-limit, limit, shape) for s in seeds]))
        biases = [np.zeros((len(seeds), 1, units)), np.zeros((len(seeds), 1, 1))]
        self.variables = [v.astype("float32") for v in (draws[0], biases[0], draws[1], biases[1])]
        self.first, self.second = ([np.zeros_like(v) for v in self.variables] for _ in range(2))
        self.step = 0

    def forward(self, x):
        kernel, bias, out, out_bias = self.variables
        hidden = np.maximum(x @ kernel + bias, 0)
        return hidden, 1 / (1 + np.exp(-np.clip(hidden @ out + out_bias, -30, 30)))

    def learn(self, x, y, weights, rate, adam=True):
        hidden, p = self.forward(x)
        error = (weights * (p[..., 0] - y) / y.shape[1])[..., None].astype("float32")
        back = error @ self.variables[2].transpose(0, 2, 1) * (hidden > 0)
        gradients = (x.transpose(0, 2, 1) @ back, back.sum(1, keepdims=True))
        gradients += (hidden.transpose(0, 2, 1) @ error, error.sum(1, keepdims=True))
        self.step += 1
        for i, gradient in enumerate(gradients):
            if adam:
                self.first[i] += 0.1 * (gradient - self.first[i])
                self.second[i] += 0.001 * (gradient**2 - self.second[i])
                gradient = self.first[i] / (np.sqrt(self.second[i]) + 1e-7)
                gradient *= np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
            self.variables[i] -= (rate * gradient).astype("float32")

    def epoch(self, x, y, weights, rate, random, batch=32):
        rows = np.arange(len(x))[:, None]
        order = random.permuted(np.tile(np.arange(x.shape[1]), (len(x), 1)), axis=1)
        for start in range(0, x.shape[1], batch):
            chosen = order[:, start : start + batch]
            self.learn(x[rows, chosen], y[rows, chosen], weights[rows, chosen], rate)


@functools.cache
def train(ratio, noise=0.3, rate=0.003, epochs=40, seeds=8, every=1, n=900, units=32, from_share=False):
    """Return the answers on validation and test images by (time, seed, image), and their classes by (seed, image)."""
    parts = [split(seed, noise, n) for seed in range(seeds)]
    (x, y), (x_val, y_val), (x_test, y_test) = (
        [np.stack([part[which][i] for part in parts]) for i in (0, 1)] for which in range(3)
    )
    weights = np.stack([np.where(row, *reversed(weights_of(row, ratio))) for row in y])
    networks, random = Networks(range(seeds), units), np.random.default_rng(0)
    networks.variables[3] += np.float32(np.log(SHARE / (1 - SHARE)) if from_share else 0)
    answers = [], []
    for epoch in range(1, epochs + 1):
        networks.epoch(x, y, weights, rate, random)
        if epoch % every == 0:
            for images, kept in zip((x_val, x_test), answers):
                kept.append(networks.forward(images)[1][..., 0])
    return np.array(answers[0]), np.array(answers[1]), y_val, y_test


def cross_entropy(p, y, ratio=1):
    """Mean loss by (time, seed), an eight counting `ratio` times."""
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.mean(np.where(y, -ratio * np.log(p), -np.log(1 - p)), axis=-1)


def stopped(ratio, judged_by=None, **options):
    """The answers of each seed at the epoch of its least validation loss, on validation and on test images."""
    p_val, p_test, y_val, y_test = train(ratio, **options)
    best = cross_entropy(p_val, y_val, judged_by or 1).argmin(0)
    seeds = np.arange(len(best))
    return p_val[best, seeds], p_test[best, seeds], y_val, y_test


def costs(p, y, threshold, miss):
    """Cost an image, by seed, where an alarm costs 1."""
    called = p > threshold
    return np.mean(miss * (~called & (y == 1)) + (called & (y == 0)), axis=-1)


def aps(p, y):
    return np.array([average_precision_score(classes, answers) for classes, answers in zip(y, p)])


def mean_and_error(values):
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))


SETTINGS = ({"noise": 0.3}, {"noise": 0.3, "rate": 0.01, "epochs": 25}, {"noise": 0.5}, {"noise": 0.15})


def test_the_threshold_costs_about_as_much_as_weights():
    """Each stopped at its least validation loss, weighted with weights: a tenth more or less, and in all the same."""
    differences = []
    for options in SETTINGS:
        for miss in (3, 10, 30):
            _, p, _, y = stopped(1, **options)
            by_threshold = costs(p, y, 1 / (1 + miss), miss)
            _, q, _, _ = stopped(miss, miss, **options)
            differences.append(np.mean(by_threshold / costs(q, y, 0.5, miss).mean() - 1))
            assert abs(differences[-1]) < 0.12
    assert abs(np.mean(differences)) < 0.03


def test_own_costs_have_own_thresholds():
    """Where each miss has a cost of its own, a threshold for each costs less than weights for the mean cost at 1/2."""
    saved = []
    for options in SETTINGS:
        _, p, _, y = stopped(1, **options)
        _, q, _, _ = stopped(8, 8, **options)
        miss = np.exp(np.random.default_rng(0).normal(np.log(5), 1, y.shape))
        own, weighted = (np.mean(np.where(yes, y == 0, miss * y), -1) for yes in (p > 1 / (1 + miss), q > 0.5))
        saved.append(weighted - own)
        assert saved[-1].mean() > 0
    mean, error = mean_and_error(np.mean(saved, axis=0))
    assert mean > 3 * error


def test_stopping_by_the_unweighted_loss_undoes_weights():
    """By the unweighted validation loss the epoch is later, q is lower, and the cost at 1/2 higher."""
    for options in SETTINGS:
        for miss in (10, 30):
            _, late, _, y = stopped(miss, 1, **options)
            _, right, _, _ = stopped(miss, miss, **options)
            mean, error = mean_and_error(costs(late, y, 0.5, miss) - costs(right, y, 0.5, miss))
            assert mean > 2 * error and late.mean() < 0.8 * right.mean()


def test_the_formula_is_as_good_as_a_search():
    """The threshold of least cost on validation images with 29 eights costs as much on test images, or more."""
    for options in SETTINGS:
        p_val, p, y_val, y = stopped(1, **options)
        for miss in (3, 10, 30):
            searched = []
            for seed in range(len(p)):
                eights = np.flatnonzero(y_val[seed] == 1)[:29]
                chosen = np.concatenate([eights, np.flatnonzero(y_val[seed] == 0)[:271]])
                grid = np.linspace(0.005, 0.995, 199)
                tried = [costs(p_val[seed, chosen], y_val[seed, chosen], t, miss) for t in grid]
                searched.append(costs(p[seed], y[seed], grid[np.argmin(tried)], miss))
            mean, error = mean_and_error(searched - costs(p, y, 1 / (1 + miss), miss))
            assert mean > -2 * error - 0.01


def test_the_loss_with_weights_is_least_at_q():
    """The expected weighted loss is least at the formula's q, which exceeds 1/2 where p exceeds w0 / (w0 + w1)."""
    grid = np.linspace(0.0005, 0.9995, 1999)
    for p in (0.02, 0.3, 0.9):
        for w0, w1 in ((1, 1), (0.55, 5.2), (4, 1)):
            loss = -w1 * p * np.log(grid) - w0 * (1 - p) * np.log(1 - grid)
            q = w1 * p / (w1 * p + w0 * (1 - p))
            assert grid[loss.argmin()] == pytest.approx(q, abs=0.002)
            assert (q > 0.5) == (p > w0 / (w0 + w1))
            assert undone(q, {0: w0, 1: w1}) == pytest.approx(p)


def test_luck_has_the_share_as_average_precision():
    """Scores by luck have the share of positives as their average precision, nearly; a perfect order has 1."""
    random = np.random.default_rng(0)
    for share in (0.05, 0.1, 0.5):
        y = (np.arange(2000) < 2000 * share).astype(int)
        assert np.mean([average_precision(y, random.random(2000)) for _ in range(20)]) == pytest.approx(share, abs=0.02)
        assert average_precision(y, y + 0.1 * random.random(2000)) == pytest.approx(1)


def test_keras_area_needs_scores_that_spread():
    """It is within 0.02 for scores that spread; with ties 0.02 away and more, with tiny ones 0.05 and more."""
    random = np.random.default_rng(0)
    for strength in (0.0, 0.3, 1.0):
        y = (random.random(2000) < 0.1).astype(int)
        scores = 1 / (1 + np.exp(-random.normal(size=2000) - strength * y + 1))
        metric = keras.metrics.AUC(curve="PR")
        assert metric.num_thresholds == 200
        metric.update_state(y, scores)
        assert average_precision(y, scores) == pytest.approx(average_precision_score(y, scores))
        assert float(metric.result()) == pytest.approx(average_precision(y, scores), abs=0.02)
    away = []
    for levels in (2, 3):
        tied = np.floor(scores * levels) / levels
        metric.reset_state()
        metric.update_state(y, tied)
        away.append(abs(float(metric.result()) - average_precision(y, tied)))
        assert average_precision(y, tied) == pytest.approx(average_precision_score(y, tied))
    assert max(away) > 0.02
    for share in (0.1, 0.01):
        y = (random.random(20_000) < share).astype(int)
        tiny = 1 / (1 + np.exp(8 - 2 * y - random.normal(size=len(y))))
        metric.reset_state()
        metric.update_state(y, tiny)
        assert abs(float(metric.result()) - average_precision_score(y, tiny)) > 0.05


def small(loss="sparse_categorical_crossentropy", outputs=3, optimizer=None, **options):
    keras.utils.set_random_seed(0)
    last = "sigmoid" if loss == "binary_crossentropy" else "softmax"
    model = keras.Sequential([keras.Input(shape=(4,)), keras.layers.Dense(outputs, last)])
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.1), loss=loss, **options)
    return model


X = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
Y = np.arange(50) % 3


def test_class_weight_is_sample_weight_looked_up():
    """The same weights to the last bit, over optimizers and classes; a class that is left out counts once."""
    for optimizer in (lambda: keras.optimizers.SGD(0.1), lambda: keras.optimizers.Adam(0.01)):
        for weights in ({2: 5.0}, {0: 0.5, 1: 2.0, 2: 3.0}):
            by_class, by_example, plain = (small(optimizer=optimizer()) for _ in range(3))
            by_class.fit(X, Y, class_weight=weights, verbose=0)
            by_example.fit(X, Y, sample_weight=np.array([weights.get(int(k), 1.0) for k in Y]), verbose=0)
            plain.fit(X, Y, verbose=0)
            assert all(map(np.array_equal, by_class.get_weights(), by_example.get_weights()))
            assert not np.array_equal(by_class.get_weights()[0], plain.get_weights()[0])
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    small().fit(data, class_weight={0: 1.0, 1: 5.0, 2: 2.0}, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError):
        small().fit(data, class_weight={0: 1.0, 1: 5.0}, verbose=0)
    with pytest.raises(TypeError):
        small().fit(data, class_weight={"0": 1.0, "1": 5.0, "2": 2.0}, verbose=0)


def test_validation_and_metrics_ignore_weights():
    """`class_weight` reaches `loss` and `weighted_metrics`, neither `val_loss` nor `metrics`; `evaluate` has none."""
    metric = "sparse_categorical_crossentropy"
    for heavy in (5.0, 20.0):
        weights = {0: 1.0, 1: 1.0, 2: heavy}
        by_example = np.where(Y == 2, heavy, 1.0)
        options = {"metrics": [metric], "weighted_metrics": ["accuracy"]}
        model = small(optimizer=keras.optimizers.SGD(0.0), **options)
        plain = model.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
        log = model.fit(X, Y, class_weight=weights, validation_data=(X, Y), verbose=0).history
        losses = -np.log(model.predict(X, verbose=0)[np.arange(50), Y])
        assert log["val_loss"][0] == pytest.approx(plain, rel=1e-4)
        assert log[metric][0] == pytest.approx(plain, rel=1e-4)
        assert log["loss"][0] == pytest.approx(np.mean(by_example * losses), rel=1e-4)
        right = model.predict(X, verbose=0).argmax(1) == Y
        assert log["accuracy"][0] == pytest.approx(np.sum(by_example * right) / by_example.sum(), rel=1e-4)
        model = small(optimizer=keras.optimizers.SGD(0.0), **options)
        log = model.fit(X, Y, validation_data=(X, Y, by_example), verbose=0).history
        assert log["val_loss"][0] == pytest.approx(np.mean(by_example * losses), rel=1e-4)
        with pytest.raises((TypeError, ValueError), match="class_weight"):
            model.evaluate(X, Y, class_weight=weights, verbose=0)
        before = float(small().train_on_batch(X, Y))
        assert float(small().train_on_batch(X, Y, class_weight=weights)) > 1.5 * before


def test_weights_times_five_are_a_rate_times_five():
    """With SGD all weights times 5 are the rate times 5; with Adam next to nothing. The laboratory steps as Keras."""
    x, y = noisy_eights(0)[0]
    x, y, w = x[:96], y[:96], np.where(y[:96], 3.0, 0.8)
    for adam in (False, True):
        networks = Networks([0])
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1, "sigmoid")])
        model.set_weights([v[0] if i % 2 == 0 else v[0, 0] for i, v in enumerate(networks.variables)])
        rate = 0.003 if adam else 0.1
        optimizer = keras.optimizers.Adam(rate) if adam else keras.optimizers.SGD(rate)
        model.compile(optimizer=optimizer, loss="binary_crossentropy")
        model.fit(x, y, sample_weight=w, shuffle=False, verbose=0)
        for start in range(0, 96, 32):
            networks.learn(*(part[None, start : start + 32] for part in (x, y, w)), rate, adam)
        for i, (mine, keras_own) in enumerate(zip(networks.variables, model.get_weights())):
            assert np.allclose(mine[0] if i % 2 == 0 else mine[0, 0], keras_own, atol=1e-4)
    for times, make, same in ((5.0, keras.optimizers.SGD, False), (20.0, keras.optimizers.Adam, True)):
        plain, heavy, fast = (small(optimizer=make(rate)) for rate in (0.01, 0.01, 0.01 * times))
        plain.fit(X, Y, epochs=3, verbose=0)
        heavy.fit(X, Y, epochs=3, class_weight=dict.fromkeys(range(3), times), verbose=0)
        fast.fit(X, Y, epochs=3, verbose=0)
        kernels = [model.get_weights()[0] for model in (plain, heavy, fast)]
        assert np.allclose(kernels[0], kernels[1], atol=1e-3) == same
        assert np.allclose(kernels[2], kernels[1], atol=1e-4) != same


def test_balanced_weights_trade_precision_for_recall():
    """At 1/2 balanced weights raise recall, lower precision, and lower the cost of ten for a miss."""
    for options in SETTINGS:
        _, plain, _, y = train(1, **options)
        _, heavy, _, _ = train(None, **options)
        for epoch in (9, 19):
            results = np.array([[judge(y[s], p[epoch, s], 0.5) for s in range(len(y))] for p in (plain, heavy)]).mean(1)
            (precision, recall, cost), (precision_heavy, recall_heavy, cost_heavy) = results
            assert precision_heavy < precision and recall_heavy > recall + 0.05 and cost_heavy < cost


def test_weights_did_not_improve_the_ranking():
    """Each stopped at its least validation loss, weighted with weights: not higher, and at most 0.06 lower."""
    for options in (*SETTINGS, {"units": 128, "epochs": 25}):
        _, p, _, y = stopped(1, **options)
        _, q, _, _ = stopped(None, 1 / SHARE - 1, **options)
        mean, error = mean_and_error(aps(q, y) - aps(p, y))
        assert -0.06 < mean < 2 * error, (options, mean, error)


def test_weights_help_the_ranking_in_short_training():
    """After the first epochs it is higher with weights, or at three times the rate; after many the gain is gone."""
    largest = 0
    for options, early in (
        ({"noise": 0.0, "rate": 0.001, "epochs": 60}, 2),
        ({"noise": 0.3}, 2),
        ({"noise": 0.5}, 2),
    ):
        _, p, _, y = train(1, **options)
        _, q, _, _ = train(None, **options)
        mean, error = mean_and_error(aps(q[early], y) - aps(p[early], y))
        assert mean > 3 * error
        largest = max(largest, mean)
        assert np.mean(aps(q[-1], y) - aps(p[-1], y)) < 0.03 < mean
        fast = train(1, **{**options, "rate": 3 * options.get("rate", 0.003)})[1]
        assert np.mean(aps(fast[early], y) - aps(p[early], y)) > 0.03
    assert largest > 0.25


def test_a_bias_that_knows_the_share_helps_as_much():
    """In the first epochs a plain network that begins at the share gains what balanced weights gain, or more."""
    for options in ({"noise": 0.0, "rate": 0.001}, {"noise": 0.3}, {"noise": 0.5}):
        for epochs in (3, 5):
            plain, weighted, begun = (
                train(ratio, epochs=5, from_share=share, **options)[1][epochs - 1]
                for ratio, share in ((1, False), (None, False), (1, True))
            )
            y = train(1, epochs=5, **options)[3]
            assert np.mean(aps(begun, y) - aps(weighted, y)) > -0.01 and np.mean(aps(begun, y) - aps(plain, y)) > 0.03


def test_undone_answers_are_as_good_as_plain_ones():
    """Stopped at the least weighted validation loss and undone: within 0.02 of a plain network's log loss."""
    for options in SETTINGS:
        _, p, _, y = stopped(1, **options)
        _, q, _, _ = stopped(None, 1 / SHARE - 1, **options)
        low, high = weights_of(split(0, options["noise"])[0][1], None)
        repaired = undone(np.clip(q, 1e-6, 1 - 1e-6), {0: low, 1: high})
        assert abs(np.mean(cross_entropy(repaired, y) - cross_entropy(p, y))) < 0.02
        assert np.mean(cross_entropy(q, y) - cross_entropy(p, y)) > 0.03, "as they are they are worse"


def test_the_effect_of_weights_fades():
    """With more training the mean answer falls from three times the share and more to less than half above it."""
    for noise, rate, epochs in ((0.3, 0.003, 80), (0.5, 0.003, 80), (0.3, 0.01, 40)):
        _, q, _, _ = train(None, noise=noise, rate=rate, epochs=epochs)
        means = q.mean((1, 2))
        assert means[0] > 3 * SHARE and means[-1] < 1.5 * SHARE
        assert means[0] > means[9] > means[19] > means[-1]


def test_undone_answers_are_too_low():
    """Undoing the weights by the formula gives a mean below the share, after few epochs and after many."""
    for options in SETTINGS:
        _, q, _, _ = train(None, **options)
        low, high = weights_of(split(0, options["noise"])[0][1], None)
        for epoch in (2, 9, -1):
            assert undone(np.clip(q[epoch], 0, 1 - 1e-6), {0: low, 1: high}).mean() < 0.95 * SHARE


def test_balanced_answers_are_too_high():
    """Up to the twentieth epoch balanced answers are a third too high; plain ones are within 0.03 of the share."""
    for options in SETTINGS:
        if options.get("rate", 0.003) == 0.003:
            _, p, _, y = train(1, **options)
            _, q, _, _ = train(None, **options)
            for epoch in (4, 9, 19):
                assert abs(p[epoch].mean() - SHARE) < 0.03
                assert q[epoch].mean() > 4 / 3 * SHARE


def test_class_weight_looks_at_one_label_an_example():
    """Several labels are weighed by the position of the largest; a class in every pixel is an error."""
    weights = {0: 1.0, 1: 10.0, 2: 100.0}
    for row, weight in (([0, 1, 1], 10.0), ([1, 0, 1], 1.0), ([0, 0, 1], 100.0)):
        labels = np.tile(np.array(row, "float32"), (8, 1))
        models = [small("binary_crossentropy") for _ in range(2)]
        losses = [
            models[0].fit(X[:8], labels, class_weight=weights, verbose=0).history["loss"][0],
            models[1].fit(X[:8], labels, sample_weight=np.full(8, weight), verbose=0).history["loss"][0],
        ]
        assert losses[0] == pytest.approx(losses[1])
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(3, 1, activation="softmax")])
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    pixels = np.zeros((8, 4, 4, 1), "float32"), np.zeros((8, 4, 4), "int32")
    with pytest.raises(Exception) as error:
        model.fit(*pixels, class_weight=weights, verbose=0)
    assert isinstance(error.value, (TypeError, ValueError))
    model.fit(*pixels, sample_weight=np.ones((8, 4, 4)), verbose=0)


def test_copies_before_the_split_flatter():
    """With copies of eights on both sides recall is above 0.9 on the held-out part, and below 0.85 on new images."""
    for copies in (5, 9):
        held_out, new = [], []
        for seed in range(4):
            (x, y), (x_new, y_new), _ = split(seed, 0.3)
            copied = np.repeat(np.arange(len(y)), np.where(y == 1, copies, 1))
            x_a, x_b, y_a, y_b = train_test_split(x[copied], y[copied], test_size=0.25, random_state=seed)
            networks, random = Networks([seed]), np.random.default_rng(seed)
            for _ in range(30):
                networks.epoch(x_a[None], y_a[None], np.ones((1, len(y_a))), 0.003, random)
            for kept, images, classes in ((held_out, x_b, y_b), (new, x_new, y_new)):
                kept.append(judge(classes, networks.forward(images[None])[1][0, :, 0], 0.5)[1])
        assert min(held_out) > 0.9 and max(new) < 0.85


def test_balanced_weights_have_a_mean_of_one():
    """Each class has the same total weight, and the mean over the examples is 1, for two classes or three."""
    for counts in ((90, 10), (50, 30, 20)):
        y = np.repeat(np.arange(len(counts)), counts)
        weights = balanced(y)
        assert np.mean([weights[k] for k in y]) == pytest.approx(1)
        assert len({round(weights[k] * n, 9) for k, n in enumerate(counts)}) == 1
