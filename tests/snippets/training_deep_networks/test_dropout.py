"""What the lesson on dropout claims, each claim over a range.

Experiments with many seeds run in a laboratory of their own: `train` trains many small networks side by
side in NumPy, one on each index of axis 0. `test_on_wrong_labels_dropout_keeps_what_memorizing_destroys`
begins by proving it equal to Keras.
"""

import functools
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.training_deep_networks.dropout import AlwaysDropout, ChannelDropout, dropout, gradients, trained

ONES = np.ones((4, 50), "float32")


def drops(answer):
    """Whether something was set to zero in what was all ones."""
    return bool(np.any(ops.convert_to_numpy(answer) == 0))


def split(seed, wrong, n, noise=0.0):
    """Images and labels to train on and to validate on, `n` each, some labels wrong; and 600 right ones.

    `noise` is the standard deviation of what is added to each pixel of every image.
    """
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=2 * n, test_size=600, stratify=digits.target, random_state=seed
    )
    random = np.random.default_rng(seed)
    x, x_test = ((part + random.normal(0, noise, part.shape)).astype("float32") for part in (x, x_test))
    hit = random.random(2 * n) < wrong
    y = np.where(hit, (y + random.integers(1, 10, 2 * n)) % 10, y)
    return (x[:n], y[:n]), (x[n:], y[n:]), (x_test, y_test)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class Networks:
    """Networks of ReLU layers, dropout after each hidden one; index 0 of every array is the network."""

    def __init__(self, runs, units):
        self.runs = runs
        sizes = (64, *units, 10)
        self.kernels, self.biases = [], []
        for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            limit = np.sqrt(6 / (fan_in + fan_out))
            shape = (fan_in, fan_out)
            draws = [np.random.default_rng([run["seed"], layer]).uniform(-limit, limit, shape) for run in runs]
            self.kernels.append(np.stack(draws).astype("float32"))
            self.biases.append(np.zeros((len(runs), 1, fan_out), "float32"))
        self.random = np.random.default_rng(1)

    def knob(self, name):
        return np.array([run.get(name, 0) for run in self.runs], "float32")[:, None, None]

    def forward(self, x, drop=False):
        """Return probabilities, and for each layer what went in and by what its input was multiplied."""
        inputs, factors, rate = [x], [], self.knob("rate")
        for kernel, bias in zip(self.kernels[:-1], self.biases):
            x = np.maximum(x @ kernel + bias, 0)
            factor = (x > 0).astype("float32")
            if drop:
                mask = self.random.integers(0, 256, x.shape, dtype=np.uint8) >= rate * 256
                factor *= mask / (1 - rate)
                x = x * mask / (1 - rate)
            inputs.append(x)
            factors.append(factor)
        return softmax(x @ self.kernels[-1] + self.biases[-1]), inputs, factors

    def gradients(self, x, y):
        probabilities, inputs, factors = self.forward(x, drop=bool(self.knob("rate").any()))
        picked = np.take_along_axis(probabilities, y[..., None], -1)
        np.put_along_axis(probabilities, y[..., None], picked - 1, -1)
        error = probabilities / y.shape[1]
        kernels, biases = [], []
        for layer in reversed(range(len(self.kernels))):
            kernels.insert(0, inputs[layer].transpose(0, 2, 1) @ error)
            if self.knob("l2").any():
                kernels[0] += 2 * self.knob("l2") * self.kernels[layer]
            biases.insert(0, error.sum(1, keepdims=True))
            if layer:
                error = error @ self.kernels[layer].transpose(0, 2, 1) * factors[layer - 1]
        return kernels + biases


def train(runs, wrong=0.3, n=300, noise=0.0, units=(128,), epochs=100, rate=0.001, adam=True, every=5, shuffle=True):
    """Train; return the networks, their data, and (time, run, part, loss or accuracy)."""
    networks = Networks(runs, units)
    by_seed = {seed: split(seed, wrong, n, noise) for seed in {run["seed"] for run in runs}}
    data = [[np.stack([by_seed[run["seed"]][part][i] for run in runs]) for i in (0, 1)] for part in range(3)]
    decay = networks.knob("decay")
    variables = networks.kernels + networks.biases
    first, second = ([np.zeros_like(v) for v in variables] for _ in range(2))
    random, step, curve = np.random.default_rng(0), 0, []
    for epoch in range(epochs + 1):
        if epoch % every == 0:
            curve.append([judge(networks, *part) for part in data])
        order = np.tile(np.arange(n), (len(runs), 1))
        order = random.permuted(order, axis=1) if shuffle else order
        for start in range(0, n if epoch < epochs else 0, 32):
            chosen, step = order[:, start : start + 32], step + 1
            x, y = (part[np.arange(len(runs))[:, None], chosen] for part in data[0])
            for i, gradient in enumerate(networks.gradients(x, y)):
                if i < len(networks.kernels) and decay.any():
                    variables[i] -= rate * decay * variables[i]
                if adam:
                    first[i] *= 0.9
                    first[i] += 0.1 * gradient
                    second[i] *= 0.999
                    second[i] += 0.001 * gradient**2
                    update = first[i] / (np.sqrt(second[i]) + 1e-7)
                    update *= rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                    variables[i] -= update
                else:
                    variables[i] -= rate * gradient
    return networks, data, np.moveaxis(np.array(curve), 3, 1)


def judge(networks, x, y):
    probabilities = networks.forward(x)[0]
    right = np.take_along_axis(probabilities, y[..., None], -1)[..., 0]
    return -np.log(np.maximum(right, 1e-7)).mean(1), (probabilities.argmax(-1) == y).mean(1)


@functools.cache
def experiment(settings, seeds=6, **options):
    """Return training and test accuracy at the end, and test accuracy where the validation loss was least.

    A fourth result is test accuracy at the epoch that early stopping with a patience of 3 puts back; `every` is 1 then.

    Each has the shape (settings, seeds).
    """
    runs = [{"seed": seed, **dict(setting)} for setting in settings for seed in range(seeds)]
    curve = train(runs, **options)[2]
    best = curve[:, :, 1, 0].argmin(0)
    stopped = [stopping_epoch(losses) for losses in curve[1:, :, 1, 0].T]
    results = [curve[-1, :, 0, 1], *(curve[at, range(len(runs)), 2, 1] for at in (-1, best, stopped))]
    return [result.reshape(len(settings), seeds) for result in results]


def stopping_epoch(losses, patience=3):
    """Return the epoch whose weights early stopping puts back, counted from 1."""
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best + 1


def settings(name, *values):
    return tuple(((name, value),) for value in values)


RATES = settings("rate", 0.0, 0.25, 0.5, 0.75)
WRONG = {
    "adam": dict(every=1, wrong=0.3, units=(100,), epochs=40, rate=0.002),
    "fewer wrong, faster": dict(every=1, wrong=0.15, units=(64,), epochs=60, rate=0.004),
    "sgd": dict(every=1, wrong=0.3, units=(64,), epochs=120, rate=0.15, adam=False),
    "two layers": dict(every=1, wrong=0.3, units=(128, 128), epochs=40, rate=0.002),
}


def error(differences):
    return np.std(differences, ddof=1) / np.sqrt(len(differences))


def test_on_wrong_labels_dropout_keeps_what_memorizing_destroys():
    """Rates of 0.25 and 0.5 end with more test images right, 0.75 except in two layers of 64 units."""
    networks, data, curve = train([{"seed": 0, "l2": 0.001}], n=100, units=(32, 16), epochs=3, every=1, shuffle=False)
    start = Networks([{"seed": 0}], (32, 16))
    penalty = keras.regularizers.L2(0.001)
    dense = [keras.layers.Dense(size, "relu", kernel_regularizer=penalty) for size in (32, 16)]
    dense.append(keras.layers.Dense(10, "softmax", kernel_regularizer=penalty))
    model = keras.Sequential([keras.Input(shape=(64,)), *dense])
    for layer, kernel in zip(dense, start.kernels):
        layer.kernel.assign(kernel[0])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(*(part[0] for part in data[0]), epochs=3, shuffle=False, verbose=0)
    for layer, kernel in zip(dense, networks.kernels):
        assert ops.convert_to_numpy(layer.kernel) == pytest.approx(kernel[0], abs=1e-4)
    for options in WRONG.values():
        reproduced, test, *_ = experiment(RATES, **options)
        for k in (1, 2, 3):
            gain = test[k] - test[0]
            assert gain.mean() > 0.01 and gain.mean() > 3 * error(gain)
            fewer = reproduced[0] - reproduced[k]
            assert k == 1 or fewer.mean() > 2 * error(fewer)
    _, test, *_ = experiment(RATES, units=(64, 64), epochs=50, rate=0.002, every=50)
    for k, sign in ((1, 1), (2, 1), (3, -1)):
        gain = sign * (test[k] - test[0])
        assert gain.mean() > 2 * error(gain)


def test_on_clean_labels_a_rate_of_half_moves_little():
    """With right labels and training to the end, 0.25 and 0.5 change accuracy by less than a percentage point."""
    for options in (dict(epochs=60), dict(epochs=30, rate=0.004), dict(epochs=100, n=100, rate=0.002)):
        reproduced, test, *_ = experiment(RATES[:3], seeds=8, wrong=0.0, **options)
        assert reproduced.mean() > 0.97
        for k in (1, 2):
            moved = test[k] - test[0]
            assert abs(moved.mean()) + 2 * error(moved) < 0.01


def test_noisy_images_leave_something_to_gain():
    """With noise on every pixel and all labels right, rates of 0.5 and 0.75 gain one to three percentage points."""
    for noise in (0.3, 0.6):
        reproduced, test, *_ = experiment(RATES, wrong=0.0, noise=noise, rate=0.002, epochs=60, every=20)
        assert reproduced[0].mean() > 0.97
        for k in (2, 3):
            gain = test[k] - test[0]
            assert 0.005 < gain.mean() < 0.035 and gain.mean() > 2 * error(gain)


def test_in_short_training_dropout_is_behind():
    """Before the plain network memorizes, networks with dropout are behind it, with right and with wrong labels."""
    for options in (
        dict(epochs=10),
        dict(epochs=20),
        dict(epochs=6, rate=0.003),
        dict(units=(64, 64), epochs=12),
        dict(wrong=0.3, units=(100,), epochs=15),
    ):
        _, test, *_ = experiment(RATES[::2], **{"wrong": 0.0, **options})
        behind = test[0] - test[1]
        assert behind.mean() > 0.005 and behind.mean() > 3 * error(behind)


def test_narrow_layers_lose():
    """After 8 or 16 units dropout loses, on wrong labels beside early stopping; wide layers tolerate a higher rate."""
    lost = []
    for units in (8, 16):
        for options in (dict(rate=0.003), dict(rate=0.006, epochs=80)):
            reproduced, test, *_ = experiment(RATES[::2], wrong=0.0, units=(units,), **options)
            loss = test[0] - test[1]
            assert loss.mean() > 2 * error(loss)
            assert reproduced[1].mean() < reproduced[0].mean()
            lost.append(loss.mean())
    assert np.mean(lost[:2]) > np.mean(lost[2:])
    _, test, *_ = experiment(RATES[:3], units=(16,), rate=0.003, epochs=100, every=10)
    for k in (1, 2):
        gain = test[k] - test[0]
        assert gain.mean() > 2 * error(gain)
    costs = []
    for units in (16, 8):
        _, _, best, stopped = experiment(RATES[::2], units=(units,), rate=0.003, epochs=60, every=1)
        for early in (best, stopped):
            cost = early[0] - early[1]
            assert cost.mean() > 2 * error(cost)
            costs.append(cost.mean())
    assert costs[2] > costs[0] and costs[3] > costs[1]
    cost = []
    for units in (16, 64, 256):
        _, test, *_ = experiment(RATES[::3], seeds=4, wrong=0.0, units=(units,), rate=0.003, epochs=40, every=40)
        cost.append(test[0] - test[1])
    for wide in cost[1:]:
        more = cost[0] - wide
        assert more.mean() > 0.03 and more.mean() > 2 * error(more)


def test_stopping_early_gets_most_of_it():
    """On wrong labels early stopping alone gains more than half of what the best rate gains at the end."""
    more = []
    for options in WRONG.values():
        _, end, best, stopped = experiment(RATES, **options)
        gained = end[end.mean(1).argmax()] - end[0]
        for early in (best, stopped):
            more.append(early[0] - end[0] - 0.5 * gained)
            assert more[-1].mean() > 0
    for kind in (more[::2], more[1::2]):
        together = np.mean(kind, axis=0)
        assert together.mean() > 2 * error(together)


def test_both_are_at_least_as_good_as_stopping_alone():
    """Beside early stopping, 0.5 adds from nothing to five points on wrong labels, and costs some on right ones."""
    for kind in (2, 3):
        gains = []
        for options in WRONG.values():
            chosen = experiment(RATES, **options)[kind]
            gains.append(chosen[2] - chosen[0])
            assert -0.005 < gains[-1].mean() < 0.05
        together = np.mean(gains, axis=0)
        assert together.mean() > 0 and together.mean() - 2 * error(together) > -0.01
    for units in ((128,), (64, 64)):
        *_, stopped = experiment(RATES[::2], wrong=0.0, units=units, epochs=20, every=1)
        lost = stopped[0] - stopped[1]
        assert lost.mean() > 2 * error(lost)


def test_a_short_patience_stops_dropout_too_early():
    """With a patience of 3, three layers of 64 units lose to early stopping alone, and to waiting for their best."""
    for wrong in (0.15, 0.3):
        options = dict(every=1, wrong=wrong, units=(64, 64, 64), epochs=50, rate=0.002)
        _, _, best, stopped = experiment(RATES[::2], seeds=5, **options)
        for loss in (stopped[0] - stopped[1], best[1] - stopped[1]):
            assert loss.mean() > 0.01 and loss.mean() > 2 * error(loss)


def test_dropout_postpones_memorizing():
    """Trained far longer, the network with dropout reproduces the wrong labels too and loses test accuracy."""
    for options in (dict(units=(64,), epochs=250, rate=0.006), dict(units=(256,), epochs=60, rate=0.006)):
        reproduced, end, best, _ = experiment(RATES[2:3], seeds=4, every=10, **options)
        fallen = best[0] - end[0]
        assert reproduced.mean() > 0.9
        assert fallen.mean() > 0.03 and fallen.mean() > 3 * error(fallen)


def test_the_kind_matters_in_long_training():
    """After 50 epochs dropout, L2 and decay, each at its best, are within two points; much later L2 leads dropout."""
    best = []
    for name, values in {"rate": (0.5, 0.75, 0.875), "l2": (0.002, 0.008, 0.032), "decay": (0.5, 2.0, 8.0)}.items():
        _, end, *_ = experiment(settings(name, *values), seeds=5, epochs=50, rate=0.002)
        means = end.mean(1)
        assert means.argmax() == 1, "the best strength lies inside the grid"
        best.append(means[1])
    assert max(best) - min(best) < 0.02
    tried = settings("rate", 0.875, 0.9375) + settings("l2", 0.012)
    _, end, *_ = experiment(tried, seeds=5, epochs=200, rate=0.004, every=40)
    lead = end[2] - end[end[:2].mean(1).argmax()]
    assert end[2].mean() > 0.85
    assert lead.mean() > 2 * error(lead)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_the_mean_is_kept_and_the_variance_raised(rate):
    """Kept numbers are divided by 1 - rate: the mean stays, the variance is rate / (1 - rate) times x²."""
    for x in (-2.0, 0.5):
        many = np.full(200_000, x, "float32")
        y = ops.convert_to_numpy(keras.layers.Dropout(rate, seed=1)(many, training=True))
        assert np.unique(y) == pytest.approx(sorted([0, x / (1 - rate)]))
        assert y.mean() == pytest.approx(x, rel=0.02)
        assert y.var() == pytest.approx(x * x * rate / (1 - rate), rel=0.02)


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.7])
def test_on_a_linear_model_dropout_is_a_penalty(rate):
    """Averaged over masks, squared error with dropout is the plain one plus a weighted sum of squares."""
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        x, w, t = random.normal(1, 2, (20, 5)), random.normal(size=5), random.normal(size=20)
        averaged = np.mean((dropout(x, rate, random.random((40_000, 20, 5)) >= rate) @ w - t) ** 2)
        penalty = rate / (1 - rate) * np.sum(w**2 * np.mean(x**2, axis=0))
        assert averaged == pytest.approx(np.mean((x @ w - t) ** 2) + penalty, rel=0.02)
        assert penalty > 0.02 * averaged


def test_the_rate_is_a_probability():
    """How many numbers are dropped varies from call to call, by the binomial distribution."""
    layer = keras.layers.Dropout(0.25, seed=0)
    counts = [np.sum(ops.convert_to_numpy(layer(ONES, training=True)) == 0) for _ in range(100)]
    assert np.std(counts) == pytest.approx(np.sqrt(200 * 0.25 * 0.75), rel=0.25)


def test_one_seed_for_two_layers_is_one_mask():
    """Layers of one shape and integer seed drop the same positions call by call; without a seed they do not."""
    for seed, width, same in ((1, 50, True), (7, 50, True), (None, 50, False), (1, 49, False)):
        first, second = (keras.layers.Dropout(0.5, seed=seed) for _ in "ab")
        for _ in range(3):
            a = ops.convert_to_numpy(first(ONES, training=True))[:, :width]
            b = ops.convert_to_numpy(second(ONES[:, :width], training=True))
            assert np.array_equal(a, b) == same


def test_the_state_of_the_seed_is_not_saved():
    """A model loaded from `.keras` counts its calls anew, from the integer seed if it was given, else from another."""
    for seed in (1, 7, None):
        model = keras.Sequential([keras.Input(shape=(50,)), keras.layers.Dropout(0.5, seed=seed)])
        for _ in range(5):
            model(ONES, training=True)
        model(ONES)  # draws no mask
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder, "model.keras"))
            loaded = keras.models.load_model(Path(folder, "model.keras"))
        before, after = (ops.convert_to_numpy(m.layers[0].seed_generator.state) for m in (model, loaded))
        assert before[1] == 5 and after[1] == 0
        assert (before[0] == after[0]) == (seed is not None)
        assert model.count_params() == 0 and model.get_weights() == []


def test_only_training_drops():
    """`fit` and `train_on_batch` drop; `evaluate`, `predict` and a plain call do not, frozen or not."""
    for trainable in (True, False):
        layer = keras.layers.Dropout(0.5, trainable=trainable)
        model = keras.Sequential([keras.Input(shape=(50,)), layer])
        model.compile(optimizer="sgd", loss="mse")
        assert not drops(model(ONES)) and not drops(model.predict(ONES, verbose=0))
        assert model.evaluate(ONES, ONES, verbose=0) == 0 and model.test_on_batch(ONES, ONES) == 0
        assert drops(model(ONES, training=True)) and drops(layer(ONES, training=True))
    outer = keras.Sequential([keras.Input(shape=(50,)), keras.layers.Dropout(0.5), keras.layers.Dense(50)])
    outer.layers[1].set_weights([np.eye(50), np.zeros(50)])
    outer.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    assert outer.evaluate(ONES, ONES, verbose=0) < 1e-6
    assert outer.train_on_batch(ONES, ONES) > 0.5
    assert outer.fit(ONES, ONES, verbose=0).history["loss"][0] > 0.5


def test_the_family_has_the_same_switch():
    """GaussianDropout, AlphaDropout and the `dropout` of LSTM and MultiHeadAttention act in training alone."""
    x = np.random.default_rng(0).normal(size=(4, 6, 8)).astype("float32")
    attention = keras.layers.MultiHeadAttention(2, 4, dropout=0.5)
    for layer in (
        keras.layers.GaussianDropout(0.5),
        keras.layers.AlphaDropout(0.5),
        keras.layers.LSTM(5, dropout=0.5),
        keras.layers.LSTM(5, recurrent_dropout=0.5),
        attention,
    ):
        inputs = keras.Input(shape=(6, 8))
        model = keras.Model(inputs, layer(inputs, inputs) if layer is attention else layer(inputs))
        assert np.allclose(model(x), model(x)) and np.allclose(model(x), model.predict(x, verbose=0), atol=1e-5)
        assert not np.allclose(model(x, training=True), model(x, training=True))
    layer = keras.layers.AlphaDropout(0.5, seed=1)
    y = ops.convert_to_numpy(layer(np.random.default_rng(0).normal(size=(400, 400)).astype("float32"), training=True))
    assert abs(y.mean()) < 0.05 and abs(y.std() - 1) < 0.05
    shifted = np.random.default_rng(0).normal(3, 1, (400, 400)).astype("float32")
    z = ops.convert_to_numpy(layer(shifted, training=True))
    assert z.mean() < 2 and z.std() > 1.5


def test_a_loop_of_your_own_must_ask():
    """`model(x)` has neither dropout nor penalties: they are in `model(x, training=True)` and `model.losses`."""
    for strength in (0.01, 0.1):
        layer = keras.layers.Dense(50, use_bias=False, kernel_regularizer=keras.regularizers.L2(strength))
        model = keras.Sequential([keras.Input(shape=(50,)), keras.layers.Dropout(0.5), layer])
        layer.set_weights([np.eye(50)])
        assert np.allclose(model(ONES), ONES)
        assert drops(model(ONES, training=True))
        assert float(sum(model.losses)) == pytest.approx(strength * 50, rel=1e-4)


def test_spatial_dropout_is_a_noise_shape():
    """SpatialDropout drops whole channels, as Dropout does with ones in `noise_shape` and the same seed."""
    for spatial, shape in (
        (keras.layers.SpatialDropout1D, (3, 5, 40)),
        (keras.layers.SpatialDropout2D, (3, 4, 5, 40)),
        (keras.layers.SpatialDropout3D, (3, 2, 3, 4, 40)),
    ):
        x = np.ones(shape, "float32")
        noise_shape = (None, *(1 for _ in shape[1:-1]), None)
        y = ops.convert_to_numpy(spatial(0.5, seed=2)(x, training=True))
        assert np.array_equal(y, keras.layers.Dropout(0.5, noise_shape, seed=2)(x, training=True))
        axes = tuple(range(1, len(shape) - 1))
        assert np.array_equal(y.min(axes), y.max(axes)) and drops(y) and y.max() == 2


def test_average_pooling_averages_the_noise_away():
    """On constant maps the noise of ordinary dropout shrinks by the root of n, that of channels does not.

    On other maps ordinary dropout leaves noise by their mean square, dropped channels by the square of their mean.
    """
    random = np.random.default_rng(0)
    for rate, side, mean, spread in (
        (0.25, 4, 1, 0),
        (0.6, 10, 1, 0),
        (0.25, 4, 1, 1),
        (0.5, 8, 0, 1),
        (0.6, 10, 0.5, 1),
    ):
        maps = random.normal(mean, spread, (100, side, side, 32)).astype("float32")
        average = maps.mean((1, 2))
        for layer, left in (
            (keras.layers.Dropout, np.mean(maps**2) / side**2),
            (keras.layers.SpatialDropout2D, np.mean(average**2)),
        ):
            pooled = keras.layers.GlobalAveragePooling2D()(layer(rate, seed=1)(maps, training=True))
            noise = np.std(ops.convert_to_numpy(pooled) - average)
            assert noise == pytest.approx(np.sqrt(rate / (1 - rate) * left), rel=0.1)


def test_there_is_no_half_in_l2():
    """Keras' L2 is the strength times the sum of squares, so its gradient is twice strength times weight."""
    for strength in (0.003, 0.1, 2.0):
        w = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
        penalty = keras.regularizers.L2(strength)
        assert float(penalty(w)) == pytest.approx(strength * np.sum(w * w), rel=1e-5)
        moved = w.copy()
        moved[0, 0] += 0.01
        slope = (float(penalty(moved)) - float(penalty(w))) / 0.01
        assert slope == pytest.approx(2 * strength * w[0, 0], rel=0.1)


def test_small_weights_end_near_zero_under_l1():
    """Under L1 most weights end near 0; under L2 of the same strength few do."""
    (x, y), _, _ = split(0, wrong=0.0, n=300)
    for strength in (0.002, 0.005, 0.01):
        near = []
        for slope in (np.sign, lambda w: 2 * w):
            w = np.random.default_rng(0).normal(0, 0.15, (64, 10))
            for _ in range(1500):
                w -= 0.2 * (x.T @ (softmax(x @ w) - np.eye(10)[y]) / len(x) + strength * slope(w))
            near.append(np.mean(np.abs(w) < 0.01))
        assert near[0] > 0.5 and near[0] > 2 * near[1]


def test_the_penalty_is_in_the_reported_loss():
    """`loss` and `val_loss` contain the penalty of kernels, not of biases; a metric does not."""
    x, y = ONES, np.zeros((4, 1), "float32")
    for strength in (0.1, 1.0):
        layer = keras.layers.Dense(
            1, kernel_initializer="ones", bias_initializer="ones", kernel_regularizer=keras.regularizers.L2(strength)
        )
        model = keras.Sequential([keras.Input(shape=(50,)), layer])
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse", metrics=["mse"])
        log = model.fit(x, y, validation_data=(x, y), verbose=0).history
        for prefix in ("", "val_"):
            assert log[prefix + "mse"][0] == pytest.approx(51**2, rel=1e-4)
            assert log[prefix + "loss"][0] - log[prefix + "mse"][0] == pytest.approx(50 * strength, rel=0.02)


def test_for_plain_sgd_decay_is_twice_the_l2():
    """Without momentum `weight_decay` of twice the L2 gives the same weights; with momentum it does not."""
    for rate, l2 in ((0.01, 0.05), (0.005, 1.0)):
        for momentum, same in ((0.0, True), (0.9, False)):
            penalized = trained(keras.optimizers.SGD(rate, momentum), l2)
            decayed = trained(keras.optimizers.SGD(rate, momentum, weight_decay=2 * l2))
            assert np.allclose(penalized, decayed, rtol=1e-3) == same


def test_a_decay_inside_the_gradient_is_l2():
    """SGD with momentum and Adam that add `lam * w` to the gradient are Keras' with an L2 of half of `lam`."""
    for lam in (0.0005, 0.1):
        for momentum, rate in ((0.0, 0.01), (0.9, 0.001)):
            w, velocity = np.ones(3), np.zeros(3)
            for gradient in gradients:
                velocity = momentum * velocity + gradient + lam * w
                w = w - rate * velocity
            assert trained(keras.optimizers.SGD(rate, momentum), lam / 2) == pytest.approx(w, rel=1e-2, abs=1e-3)
        w, first, second = np.ones(3), np.zeros(3), np.zeros(3)
        for step, gradient in enumerate(gradients, start=1):
            gradient = gradient + lam * w
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            w = w - 0.01 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
        assert trained(keras.optimizers.Adam(0.01), lam / 2) == pytest.approx(w, rel=1e-2, abs=1e-3)


def test_adam_divides_the_penalty_and_not_the_decay():
    """Decay takes the same of each weight; a penalty takes next to nothing where gradients are large."""
    for rate, l2 in ((0.01, 0.1), (0.02, 0.2)):
        free = trained(keras.optimizers.Adam(rate))
        penalized = free - trained(keras.optimizers.Adam(rate), l2)
        decayed = free - trained(keras.optimizers.AdamW(rate, weight_decay=2 * l2))
        assert decayed == pytest.approx(np.full(3, decayed[0]), rel=0.01)
        assert penalized[0] > penalized[1] > 10 * penalized[2]


def test_decay_takes_biases_too_and_is_multiplied_by_the_learning_rate():
    """Each step takes rate times decay of every weight, biases, gamma and beta too, unless excluded by name."""
    for rate, decay in ((0.1, 1.0), (0.01, 0.5), (0.001, None)):
        for names in ([], ["bias", "gamma", "beta"]):
            dense = keras.layers.Dense(2, kernel_initializer="ones", bias_initializer="ones", name="dense")
            norm = keras.layers.BatchNormalization(beta_initializer="ones", name="norm")
            model = keras.Sequential([keras.Input(shape=(3,)), dense, norm])
            options = {} if decay is None else {"weight_decay": decay}
            optimizer = keras.optimizers.AdamW(rate, **options)
            if names:
                optimizer.exclude_from_weight_decay(var_names=names)
            optimizer.apply([ops.zeros_like(v) for v in model.trainable_variables], model.trainable_variables)
            left = 1 - rate * (0.004 if decay is None else decay)
            assert ops.convert_to_numpy(dense.kernel) == pytest.approx(left, abs=1e-7)
            for small in (dense.bias, norm.gamma, norm.beta):
                assert ops.convert_to_numpy(small) == pytest.approx(1 if names else left, abs=1e-7)


def test_dropout_before_batch_norm_shrinks_what_follows():
    """In inference the spread is that of x over that under dropout: √(1 - p) where the mean is 0, less elsewhere."""
    for rate, mean in ((0.25, 0.0), (0.5, 0.0), (0.5, 1.0), (0.3, -2.0)):
        x = np.random.default_rng(0).normal(mean, 1, (3000, 4)).astype("float32")
        drop, norm = keras.layers.Dropout(rate, seed=1), keras.layers.BatchNormalization(momentum=0.7)
        for _ in range(25):
            norm(drop(x, training=True), training=True)
        expected = np.sqrt(1 / (1 + rate / (1 - rate) * (1 + mean**2)))
        assert np.std(ops.convert_to_numpy(norm(drop(x))), axis=0) == pytest.approx(np.full(4, expected), rel=0.05)
        assert mean or expected == pytest.approx(np.sqrt(1 - rate))
        assert not mean or expected < np.sqrt(1 - rate)


def test_training_written_into_a_graph_is_a_default():
    """What is written in the graph holds only where the caller says nothing; `fit` and `predict` say something."""
    inputs = keras.Input(shape=(50,))
    inner = keras.Sequential([keras.Input(shape=(50,)), keras.layers.Dropout(0.5)])
    for layer in (keras.layers.Dropout(0.5), keras.layers.SpatialDropout1D(0.5), inner):
        x = np.ones((4, 3, 50) if "spatial" in layer.name else (4, 50), "float32")
        inputs = keras.Input(shape=x.shape[1:])
        for written in (True, False):
            model = keras.Model(inputs, layer(inputs, training=written))
            model.compile(optimizer="sgd", loss="mse")
            assert drops(model(x)) == written
            assert not drops(model.predict(x, verbose=0)) and not drops(model(x, training=False))
            assert model.evaluate(x, x, verbose=0) == 0
            assert drops(model(x, training=True))
            model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
            assert model.fit(x, x, verbose=0).history["loss"][0] > 0.5, "fit drops, whatever was written"


def test_the_subclass_stays_on():
    """AlwaysDropout drops in `predict`, `evaluate` and a plain call, in a graph and in a Sequential."""
    inputs = keras.Input(shape=(50,))
    for model in (
        keras.Model(inputs, AlwaysDropout(0.5)(inputs)),
        keras.Sequential([keras.Input(shape=(50,)), AlwaysDropout(0.2)]),
    ):
        model.compile(loss="mse")
        assert drops(model.predict(ONES, verbose=0)) and drops(model(ONES)) and drops(model(ONES, training=False))
        assert model.evaluate(ONES, ONES, verbose=0) > 0


@pytest.mark.parametrize("layer", [AlwaysDropout(0.4), ChannelDropout(0.4)])
def test_a_registered_layer_can_be_loaded(layer):
    """A saved model with a registered layer loads without `custom_objects`, and with its rate."""
    x = np.ones((4, 3, 40), "float32")
    model = keras.Sequential([keras.Input(shape=(3, 40)), layer])
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model.keras"))
        loaded = keras.models.load_model(Path(folder, "model.keras"))
    assert loaded.layers[0].rate == 0.4 and drops(loaded(x, training=True))


def test_a_mask_drawn_in_call_holds_in_predict():
    """`training=True` that a model's own `call` gives to a layer holds in `predict`."""

    class Model(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, inputs):
            return self.layer(inputs, training=True)

    for layer in (keras.layers.Dropout(0.5), keras.layers.SpatialDropout1D(0.5)):
        assert drops(Model(layer).predict(np.ones((4, 3, 50), "float32"), verbose=0))


def test_a_changed_rate_counts_after_compile():
    """A new rate counts before the first `fit`, later after `compile`; a layer made with rate 0 takes none."""

    def build(rate):
        layer = keras.layers.Dropout(rate)
        model = keras.Sequential([keras.Input(shape=(50,)), layer, keras.layers.Dense(50)])
        model.layers[1].set_weights([np.eye(50), np.zeros(50)])
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
        return layer, model

    def loss(model):
        return model.fit(ONES, ONES, verbose=0).history["loss"][0]

    for rate in (0.3, 0.6):
        layer, model = build(rate)
        losses = [loss(model)]
        layer.rate = 0.0
        losses.append(loss(model))
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
        losses.append(loss(model))
        assert min(losses[:2]) > 0.1 and losses[2] < 1e-6
        layer, model = build(rate)
        layer.rate = 0.0
        assert loss(model) < 1e-6
        layer, model = build(0.0)
        layer.rate = rate
        with pytest.raises(AttributeError):
            layer(ONES, training=True)


@pytest.mark.parametrize(("learning_rate", "seed"), [(0.001, 0), (0.01, 1)])
def test_dropout_on_the_output_ends_worse(learning_rate, seed):
    """It costs about eight to begin with; test loss ends above the plain one's, accuracy below it."""
    losses, accuracies, first = [], [], []
    (x, y), _, test = split(seed, wrong=0.0, n=300)
    for rate in (0.0, 0.5):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(shape=(64,)), keras.layers.Dense(128, "relu")])
        model.add(keras.layers.Dense(10, "softmax"))
        model.add(keras.layers.Dropout(rate))
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        first.append(np.mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))))
        model.fit(x, y, epochs=10, verbose=0)
        loss, accuracy = model.evaluate(*test, batch_size=600, verbose=0)
        losses.append(loss)
        accuracies.append(accuracy)
    assert 7 < first[1] < 10 and first[0] < 3
    assert losses[1] > 1.2 * losses[0] and accuracies[1] < accuracies[0]


def test_fit_reports_accuracy_with_dropout_on():
    """With weights that stand still, `fit` shows less than `evaluate` on the same images, and as much at rate 0."""
    for rate, seed in ((0.0, 0), (0.3, 1), (0.5, 2)):
        x, y = split(seed, wrong=0.0, n=300)[0]
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(128, "relu"), keras.layers.Dropout(rate), keras.layers.Dense(10, "softmax")]
        model = keras.Sequential([keras.Input(shape=(64,)), *layers])
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size=100, epochs=8, verbose=0)
        model.optimizer.learning_rate = 0.0
        shown = model.fit(x, y, batch_size=100, verbose=0).history["accuracy"][0]
        less = model.evaluate(x, y, verbose=0)[1] - shown
        assert less > 0.01 if rate else abs(less) < 1e-6


def test_fifty_passes_are_no_better_than_dropout_off():
    """The mean of 50 passes beats one pass; in accuracy and in sorting it is not a point better than dropout off."""
    for options in (dict(units=(128,), epochs=30), dict(units=(64, 64), epochs=40, wrong=0.15)):
        runs = [{"seed": seed, "rate": 0.5} for seed in range(5)]
        networks, data, _ = train(runs, every=100, **options)
        x, y = data[2]
        passes = [networks.forward(x, drop=True)[0] for _ in range(50)]
        results = []
        for answer in (passes[0], np.mean(passes, axis=0), networks.forward(x)[0]):
            right = answer.argmax(-1) == y
            surest = np.argsort(-answer.max(-1), axis=1)[:, :400]
            results.append([right.mean(1), np.take_along_axis(right, surest, 1).mean(1)])
        one, mean, plain = np.array(results)
        assert np.all(mean[0] > one[0] + 0.01)
        assert np.all(np.mean(mean - plain, axis=1) < 0.01)


def test_the_layer_of_the_exercise_drops_channels():
    """One mask for all steps, another for each example and each call; the mean stays; nothing in inference."""
    for rate in (0.2, 0.5):
        layer, x = ChannelDropout(rate), np.ones((50, 5, 60), "float32")
        y = ops.convert_to_numpy(layer(x, training=True))
        assert np.array_equal(y, np.broadcast_to(y[:, :1], y.shape))
        assert not np.array_equal(y[0], y[1])
        assert not np.array_equal(y, layer(x, training=True))
        assert y.mean() == pytest.approx(1, abs=0.05)
        assert np.array_equal(layer(x), x)
    fixed = keras.random.dropout
    drawn = [ops.convert_to_numpy(fixed(x, 0.5, noise_shape=(50, 1, 60), seed=1)) for _ in range(2)]
    assert np.array_equal(*drawn), "an integer in `call` draws the same mask each time"
