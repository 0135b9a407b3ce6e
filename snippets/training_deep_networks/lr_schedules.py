"""Learning-rate schedules: a rate that is a function of the step.

The lesson draws every schedule from the object that Keras is given, writes
one-cycle as a schedule of its own that survives saving, shows what an
optimizer does with the object (it counts steps, and goes on counting), and
measures on digits what a schedule buys, and how far the rate may be scaled
with the batch size.
"""

# --8<-- [start:imports]
import math
import textwrap
from types import SimpleNamespace

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops
from keras.optimizers import SGD, schedules
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:valley]
def valley(rates, walkers=2000, seed=0):
    """Noisy gradient descent on L(w) = w^2 / 2; mean loss after each step."""
    random = np.random.default_rng(seed)
    w = np.full(walkers, 10.0)
    losses = []
    for rate in rates:
        w -= rate * (w + random.normal(size=walkers))
        losses.append(np.mean(w ** 2) / 2)
    return np.array(losses)
# --8<-- [end:valley]


# --8<-- [start:curve]
def curve(schedule, steps):
    """The rates of the first steps, asked of the object one by one."""
    return np.array([float(schedule(step)) for step in range(steps)])
# --8<-- [end:curve]


# --8<-- [start:data]
def digits(seed):
    """1,024 images to train, 300 to validate, 473 to test."""
    x, y = load_digits(return_X_y=True)
    x, x_rest, y, y_rest = train_test_split(
        (x / 16).astype("float32"), y, train_size=1024, stratify=y,
        random_state=seed)
    return x, y, x_rest[:300], y_rest[:300], x_rest[300:], y_rest[300:]


def build_classifier(optimizer):
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(10),
    ])
    model.compile(optimizer=optimizer, loss=keras.losses
                  .SparseCategoricalCrossentropy(from_logits=True))
    return model
# --8<-- [end:data]


# --8<-- [start:moves]
def moves(model, x, y):
    """Does one more epoch change any weight?"""
    before = model.get_weights()
    model.fit(x, y, batch_size=64, verbose=0)
    return not all(map(np.array_equal, before, model.get_weights()))
# --8<-- [end:moves]


# --8<-- [start:log-rate]
class LogRate(keras.callbacks.Callback):
    """Add the rate of the next step to the logs, and so to the history."""

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
# --8<-- [end:log-rate]


# --8<-- [start:one-cycle]
@keras.saving.register_keras_serializable(package="lessons")
class OneCycle(schedules.LearningRateSchedule):
    """Rise to the peak along a cosine, then fall far below the start."""

    def __init__(self, peak, steps, rise=0.3, start=25.0, end=1e4):
        self.peak, self.steps, self.rise = peak, steps, rise
        self.start, self.end = start, end

    def __call__(self, step):
        step = ops.cast(step, "float32")
        top = self.rise * self.steps
        up = ops.clip(step / top, 0.0, 1.0)
        down = ops.clip((step - top) / (self.steps - top), 0.0, 1.0)
        first, last = self.peak / self.start, self.peak / self.end
        rising = self.peak + (first - self.peak) * half_cosine(up)
        falling = last + (self.peak - last) * half_cosine(down)
        return ops.where(step < top, rising, falling)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps, "rise": self.rise,
                "start": self.start, "end": self.end}


def half_cosine(fraction):
    return 0.5 * (1.0 + ops.cos(math.pi * fraction))
# --8<-- [end:one-cycle]


# --8<-- [start:smooth]
def smooth(losses, keep=0.9):
    """Moving average, corrected for its start at zero."""
    mean, means = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = keep * mean + (1 - keep) * loss
        means.append(mean / (1 - keep ** count))
    return np.array(means)
# --8<-- [end:smooth]


# --8<-- [start:scratch]
def cosine(step, decay_steps, peak=1.0, floor=0.0, start=0.0, warmup=0):
    """CosineDecay, with `floor` for `alpha`; `decay_steps` after warm-up."""
    rising = start + (peak - start) * step / max(warmup, 1)
    done = np.clip((step - warmup) / decay_steps, 0, 1)
    shape = floor + (1 - floor) * (1 + np.cos(np.pi * done)) / 2
    return np.where(step < warmup, rising, peak * shape)


def restarts(step, first, longer=2.0, lower=1.0):
    """CosineDecayRestarts at peak 1; the lengths are first * longer^i."""
    step, length, peak = np.array(step, dtype=float), first, 1.0
    rates = np.empty_like(step)
    begin = 0
    while begin <= step[-1]:
        inside = step >= begin
        rates[inside] = cosine(step[inside] - begin, length, peak)
        begin, length, peak = begin + length, length * longer, peak * lower
    return rates
# --8<-- [end:scratch]


# --8<-- [start:stack]
def stacked(weights, copies):
    """Copies of one network side by side: one more axis in front."""
    return [np.repeat(np.atleast_2d(w)[None], copies, axis=0)
            for w in weights]


def forward(weights, x):
    """Hidden units and softmax probabilities of all copies."""
    kernel, bias, last_kernel, last_bias = weights
    hidden = np.maximum(x @ kernel + bias, 0)
    logits = hidden @ last_kernel + last_bias
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return hidden, odds / odds.sum(axis=-1, keepdims=True)
# --8<-- [end:stack]


# --8<-- [start:gradients]
def gradients(weights, x, y):
    hidden, error = forward(weights, x)
    error[:, np.arange(len(y)), y] -= 1
    error /= len(y)
    back = error @ weights[2].swapaxes(1, 2) * (hidden > 0)
    return [x.T @ back, back.sum(axis=1, keepdims=True),
            hidden.swapaxes(1, 2) @ error,
            error.sum(axis=1, keepdims=True)]


def sgd_step(weights, velocity, x, y, rates, momentum=0.9):
    """Keras' SGD, with one rate for each copy."""
    rates = np.float32(rates)[:, None, None]
    for w, v, g in zip(weights, velocity, gradients(weights, x, y)):
        v *= np.float32(momentum)
        v -= rates * g
        w += v
# --8<-- [end:gradients]


# --8<-- [start:scores]
def loss(weights, x, y):
    right = forward(weights, x)[1][:, np.arange(len(y)), y]
    return -np.log(right + 1e-12).mean(axis=1)


def accuracy(weights, x, y):
    return (forward(weights, x)[1].argmax(axis=-1) == y).mean(axis=1)
# --8<-- [end:scores]


# --8<-- [start:batches]
def batches(seed, samples, size):
    """Row numbers of one batch after the other, shuffled in each epoch."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(samples)
        for start in range(0, samples - size + 1, size):
            yield order[start:start + size]
# --8<-- [end:batches]


# --8<-- [start:train]
def initial_weights(seed, sizes=(64, 32, 10)):
    """Glorot-uniform kernels and zero biases, as Dense has them."""
    random, weights = np.random.default_rng(seed), []
    for rows, columns in zip(sizes, sizes[1:]):
        limit = np.sqrt(6 / (rows + columns))
        kernel = random.uniform(-limit, limit, (rows, columns))
        weights += [kernel.astype("float32"), np.zeros(columns, "float32")]
    return weights


def train(seed, x, y, rates, batch_size=16, momentum=0.9):
    """One network for each column of rates, one step for each row."""
    weights = stacked(initial_weights(seed), copies=rates.shape[1])
    velocity = [np.zeros_like(w) for w in weights]
    momenta = np.broadcast_to(momentum, len(rates))
    for rate, mass, rows in zip(
            rates, momenta, batches(seed, len(x), batch_size)):
        sgd_step(weights, velocity, x[rows], y[rows], rate, mass)
    return weights
# --8<-- [end:train]


# --8<-- [start:range-losses]
def range_test(seed, x, y, rates):
    """Smoothed loss of each batch, before the step that it causes."""
    weights, losses = stacked(initial_weights(seed), copies=1), []
    velocity = [np.zeros_like(w) for w in weights]
    for rate, rows in zip(rates, batches(seed, len(x), 16)):
        losses.append(loss(weights, x[rows], y[rows])[0])
        sgd_step(weights, velocity, x[rows], y[rows], [rate])
    return smooth(losses)
# --8<-- [end:range-losses]


# --8<-- [start:plans]
def plans(steps):
    """Schedules of one length, all with peak 1."""
    step, tenth = np.arange(steps), steps // 10
    drops = schedules.PiecewiseConstantDecay(
        [steps // 2, steps * 3 // 4], [1.0, 0.1, 0.01])
    return {
        "constant": np.ones(steps),
        "two drops": np.array(drops(step)),
        "cosine": cosine(step, steps),
        "warm-up, cosine": cosine(step, steps - tenth, warmup=tenth),
        "one-cycle": np.array(OneCycle(1.0, steps)(step)),
        "restarts": restarts(step, first=64),
    }
# --8<-- [end:plans]


# --8<-- [start:reactive]
def plateau(peak, patience=2, factor=0.1):
    """Keras' callback for one network, to be driven by hand."""
    watcher = keras.callbacks.ReduceLROnPlateau(
        "val_loss", mode="min", patience=patience, factor=factor)
    watcher.set_model(SimpleNamespace(optimizer=SGD(float(peak))))
    watcher.on_train_begin()
    return watcher


def train_reactive(seed, data, peaks, epochs):
    x, y, x_val, y_val = data
    weights = stacked(initial_weights(seed), len(peaks))
    velocity = [np.zeros_like(w) for w in weights]
    watchers = [plateau(peak) for peak in peaks]
    rows, used = batches(seed, len(x), 16), []
    for epoch in range(epochs):
        used.append([float(watcher.model.optimizer.learning_rate)
                     for watcher in watchers])
        for _ in range(len(x) // 16):
            row = next(rows)
            sgd_step(weights, velocity, x[row], y[row], used[-1])
        for watcher, value in zip(watchers, loss(weights, x_val, y_val)):
            watcher.on_epoch_end(epoch, {"val_loss": value})
    return weights, np.array(used)
# --8<-- [end:reactive]


# --8<-- [start:careless]
class Careless(schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / (step + 1)
# --8<-- [end:careless]


# --8<-- [start:solution-4-class]
@keras.saving.register_keras_serializable(package="lessons")
class WarmUp(schedules.LearningRateSchedule):
    """Rise linearly to where any other schedule begins, then follow it."""

    def __init__(self, steps, after):
        self.steps, self.after = steps, after

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.after(0) * (step + 1) / self.steps
        later = self.after(ops.maximum(step - self.steps, 0))
        return ops.where(step < self.steps, rising, later)

    def get_config(self):
        return {"steps": self.steps,
                "after": schedules.serialize(self.after)}

    @classmethod
    def from_config(cls, config):
        after = schedules.deserialize(config["after"])
        return cls(config["steps"], after)
# --8<-- [end:solution-4-class]


# --8<-- [start:solution-5-train]
def train_adam(seed, x, y, rates, batch_size):
    """Like train, with Adam and Keras' defaults."""
    weights = stacked(initial_weights(seed), rates.shape[1])
    means, squares = ([np.zeros_like(w) for w in weights] for _ in "ms")
    rows = batches(seed, len(x), batch_size)
    for count, (rate, row) in enumerate(zip(rates, rows), start=1):
        bias = np.sqrt(1 - 0.999 ** count) / (1 - 0.9 ** count)
        rate = np.float32(rate * bias)[:, None, None]
        slopes = gradients(weights, x[row], y[row])
        for w, m, s, g in zip(weights, means, squares, slopes):
            m += np.float32(0.1) * (g - m)
            s += np.float32(0.001) * (g * g - s)
            w -= rate * m / (np.sqrt(s) + np.float32(1e-7))
    return weights
# --8<-- [end:solution-5-train]


def main():
    # --8<-- [start:floors]
    valleys = {
        f"constant {rate}": np.full(200, rate) for rate in (0.5, 0.1, 0.02)}
    valleys["cosine"] = 0.25 * (
        1 + np.cos(np.pi * np.arange(200) / 200))
    excess = {name: valley(rates) for name, rates in valleys.items()}
    for name, losses in excess.items():
        print(f"{name:13} after 20 steps {losses[19]:7.3f}, "
              f"at the end {losses[-20:].mean():.4f}")
    #~ constant 0.5  after 20 steps   0.177, at the end 0.1684
    #~ constant 0.1  after 20 steps   0.765, at the end 0.0264
    #~ constant 0.02 after 20 steps  22.283, at the end 0.0284
    #~ cosine        after 20 steps   0.172, at the end 0.0100
    for rate in (0.5, 0.1, 0.02):
        print(f"floor of the formula for {rate}: {rate / (2 - rate) / 2:.4f}")
    #~ floor of the formula for 0.5: 0.1667
    #~ floor of the formula for 0.1: 0.0263
    #~ floor of the formula for 0.02: 0.0051
    # --8<-- [end:floors]

    # --8<-- [start:floors-figure]
    figure, axes = plt.subplots(num="noise-floor", figsize=(5, 3))
    for (name, losses), style in zip(excess.items(), ("-", "-", "-", "--")):
        axes.plot(losses, style, label=name)
    axes.set(xlabel="step t", ylabel="mean of L(w)", yscale="log",
             ylim=(1e-3, 100))
    axes.legend()
    plt.show()
    # --8<-- [end:floors-figure]

    # --8<-- [start:decays]
    decays = {
        "ExponentialDecay": schedules.ExponentialDecay(
            0.1, decay_steps=20, decay_rate=0.5),
        "… staircase=True": schedules.ExponentialDecay(
            0.1, decay_steps=20, decay_rate=0.5, staircase=True),
        "PiecewiseConstantDecay": schedules.PiecewiseConstantDecay(
            boundaries=[50, 75], values=[0.1, 0.03, 0.01]),
        "PolynomialDecay": schedules.PolynomialDecay(
            0.1, decay_steps=100, end_learning_rate=0.01, power=2.0),
        "InverseTimeDecay": schedules.InverseTimeDecay(
            0.1, decay_steps=20, decay_rate=1.0),
        "CosineDecay": schedules.CosineDecay(
            0.1, decay_steps=100, alpha=0.1),
        "CosineDecayRestarts": schedules.CosineDecayRestarts(
            0.1, first_decay_steps=15, t_mul=2.0, m_mul=0.8),
    }
    curves = {name: curve(rule, 121) for name, rule in decays.items()}
    # --8<-- [end:decays]

    # --8<-- [start:decays-table]
    print("step                  " + "".join(
        f"{step:8}" for step in (0, 20, 50, 51, 100, 120)))
    #> step                         0      20      50      51     100     120
    for name, rates in curves.items():
        print(f"{name:22}" + "".join(
            f"{rates[step]:8.4f}" for step in (0, 20, 50, 51, 100, 120)))
    #> ExponentialDecay        0.1000  0.0500  0.0177  0.0171  0.0031  0.0016
    #> … staircase=True        0.1000  0.0500  0.0250  0.0250  0.0031  0.0016
    #> PiecewiseConstantDecay  0.1000  0.1000  0.1000  0.0300  0.0100  0.0100
    #> PolynomialDecay         0.1000  0.0676  0.0325  0.0316  0.0100  0.0100
    #> InverseTimeDecay        0.1000  0.0500  0.0286  0.0282  0.0167  0.0143
    #> CosineDecay             0.1000  0.0914  0.0550  0.0536  0.0100  0.0100
    #> CosineDecayRestarts     0.1000  0.0746  0.0629  0.0624  0.0011  0.0493
    # --8<-- [end:decays-table]

    # --8<-- [start:decays-figure]
    figure, grid = plt.subplots(3, 2, num="decays", figsize=(5, 6),
                                sharex=True, sharey=True)
    names = iter(curves)
    for axes in grid.flat:
        name = next(names)
        axes.plot(curves[name])
        if name == "ExponentialDecay":
            axes.plot(curves[next(names)], color="tab:orange")
        axes.set_title(name, fontsize=10)
    grid[2, 0].set(xlabel="step t")
    grid[2, 1].set(xlabel="step t")
    plt.show()
    # --8<-- [end:decays-figure]

    # --8<-- [start:steps]
    x, y, x_val, y_val, x_test, y_test = digits(seed=0)
    print(x.shape, x_val.shape, x_test.shape)
    #> (1024, 64) (300, 64) (473, 64)
    batch_size, epochs = 64, 4
    steps_per_epoch = math.ceil(len(x) / batch_size)
    total = epochs * steps_per_epoch
    warmup = total // 8
    print(steps_per_epoch, "steps an epoch,", total, "in all,",
          warmup, "of them warm-up")
    #> 16 steps an epoch, 64 in all, 8 of them warm-up
    # --8<-- [end:steps]

    # --8<-- [start:warm-up]
    warm_cosine = schedules.CosineDecay(
        0.0, decay_steps=total - warmup,
        warmup_target=0.1, warmup_steps=warmup)
    rates = curve(warm_cosine, total + 6)
    print("step 0 and 1:", rates[:2].round(4))
    #> step 0 and 1: [0.     0.0125]
    print("highest rate at step", rates.argmax())
    #> highest rate at step 8
    print("first step with rate 0 again:", 1 + np.argmax(rates[1:] == 0))
    #> first step with rate 0 again: 64
    # --8<-- [end:warm-up]

    # --8<-- [start:warm-up-wrong]
    too_long = schedules.CosineDecay(
        0.0, decay_steps=total, warmup_target=0.1, warmup_steps=warmup)
    print(f"rate when training ends: {float(too_long(total)):.4f}")
    #> rate when training ends: 0.0038
    # --8<-- [end:warm-up-wrong]

    # --8<-- [start:fit]
    keras.utils.set_random_seed(0)
    model = build_classifier(SGD(warm_cosine, momentum=0.9))
    start = model.get_weights()
    settings = dict(batch_size=batch_size, shuffle=False, verbose=0,
                    callbacks=[LogRate()])
    history = model.fit(x, y, epochs=3, **settings)
    print("steps:", int(model.optimizer.iterations))
    #> steps: 48
    print(np.round(history.history["learning_rate"], 4))
    #> [0.095  0.0611 0.0188]
    # --8<-- [end:fit]

    # --8<-- [start:second-fit]
    history = model.fit(x, y, epochs=3, **settings)
    print("steps:", int(model.optimizer.iterations))
    #> steps: 96
    print(np.round(history.history["learning_rate"], 4))
    #~ [0. 0. 0.]
    print("loss:", np.round(history.history["loss"], 3))
    #~ loss: [0.314 0.3   0.296]
    end = model.get_weights()
    # --8<-- [end:second-fit]

    # --8<-- [start:one-cycle-figure]
    one_cycle = OneCycle(0.1, steps=total)
    figure, axes = plt.subplots(num="warm-up-and-one-cycle", figsize=(5, 3))
    axes.plot(rates[:total + 1], label="CosineDecay, warm-up")
    axes.plot(curve(one_cycle, total + 1), "--", label="OneCycle")
    axes.set(xlabel="step t", ylabel="learning rate")
    axes.legend()
    plt.show()
    # --8<-- [end:one-cycle-figure]

    # --8<-- [start:save]
    cycled = build_classifier(SGD(one_cycle, momentum=0.9))
    cycled.fit(x, y, epochs=2, batch_size=batch_size, verbose=0)
    cycled.save("cycled.keras")
    loaded = keras.models.load_model("cycled.keras")
    for name, one in (("saved ", cycled), ("loaded", loaded)):
        print(f"{name}: step {int(one.optimizer.iterations)}, "
              f"rate {float(one.optimizer.learning_rate):.6f}")
    #~ saved : step 32, rate 0.081176
    #~ loaded: step 32, rate 0.081176
    print(loaded.optimizer.get_config()["learning_rate"]["config"])
    #~ {'peak': 0.1, 'steps': 64, 'rise': 0.3, 'start': 25.0, 'end': 10000.0}
    # --8<-- [end:save]

    # --8<-- [start:momentum-fixed]
    model.optimizer.momentum = 0.0
    print("rate:", float(model.optimizer.learning_rate))
    #> rate: 0.0
    print("moves without rate and momentum:", moves(model, x, y))
    #> moves without rate and momentum: True
    # --8<-- [end:momentum-fixed]

    # --8<-- [start:range-test]
    steps = 128
    growing = schedules.ExponentialDecay(
        1e-4, decay_steps=steps - 1, decay_rate=1e5)
    rates = curve(growing, steps)
    print(f"from {rates[0]:.4f} to {rates[-1]:.2f}")
    #~ from 0.0001 to 10.00
    keras.utils.set_random_seed(0)
    tested = build_classifier(SGD(growing, momentum=0.9))
    losses = [tested.train_on_batch(x[rows], y[rows])
              for rows, _ in zip(batches(0, len(x), 16), rates)]
    # --8<-- [end:range-test]

    # --8<-- [start:range-figure]
    figure, axes = plt.subplots(num="range-test", figsize=(5, 3))
    axes.plot(rates, losses, color="tab:gray", linewidth=0.7)
    axes.plot(rates, smooth(losses), label="smoothed")
    lowest = rates[smooth(losses).argmin()]
    axes.axvline(lowest, linestyle=":", color="tab:orange", label="lowest")
    axes.axvline(lowest / 10, linestyle="--", color="tab:green",
                 label="a tenth of it")
    axes.set(xscale="log", xlabel="learning rate", ylabel="batch loss",
             ylim=(0, 5))
    axes.legend()
    plt.show()
    print(f"lowest at {lowest:.2f}, a tenth of it {lowest / 10:.3f}")
    #~ lowest at 0.60, a tenth of it 0.060
    # --8<-- [end:range-figure]

    # --8<-- [start:formulas]
    t = np.arange(121)
    formulas = {
        "ExponentialDecay": 0.1 * 0.5 ** (t / 20),
        "… staircase=True": 0.1 * 0.5 ** (t // 20),
        "PiecewiseConstantDecay":
            np.select([t <= 50, t <= 75], [0.1, 0.03], default=0.01),
        "PolynomialDecay":
            0.09 * (1 - np.minimum(t, 100) / 100) ** 2 + 0.01,
        "InverseTimeDecay": 0.1 / (1 + 1.0 * t / 20),
        "CosineDecay": cosine(t, 100, peak=0.1, floor=0.1),
        "CosineDecayRestarts": 0.1 * restarts(t, 15, 2.0, 0.8),
    }
    for name, rates_of_formula in formulas.items():
        assert np.allclose(curves[name], rates_of_formula, atol=1e-7), name
    print(len(formulas), "formulas equal to Keras in", len(t), "steps")
    #> 7 formulas equal to Keras in 121 steps
    # --8<-- [end:formulas]

    # --8<-- [start:same-cosine]
    t = np.arange(total + 6)
    ours = cosine(t, total - warmup, peak=0.1, warmup=warmup)
    difference = np.abs(ours - curve(warm_cosine, len(t))).max()
    print(len(t), "steps, largest difference below 1e-7:", difference < 1e-7)
    #> 70 steps, largest difference below 1e-7: True
    # --8<-- [end:same-cosine]

    # --8<-- [start:same-training]
    weights = stacked(start, copies=1)
    velocity = [np.zeros_like(w) for w in weights]
    for step in range(6 * steps_per_epoch):
        rows = np.arange(64) + step % steps_per_epoch * 64
        sgd_step(weights, velocity, x[rows], y[rows], ours[[min(step, 64)]])
    print("same weights as Keras within 1e-4:", all(
        np.allclose(w[0], kept, atol=1e-4)
        for w, kept in zip(weights, end)))
    #> same weights as Keras within 1e-4: True
    # --8<-- [end:same-training]

    # --8<-- [start:measure]
    peaks = 0.02 * 2.0 ** np.arange(5)
    data = [digits(seed) for seed in range(4)]
    names = list(plans(640))
    val_losses, scores = {}, {}
    for epochs in (3, 7, 15):
        shapes = np.stack(list(plans(epochs * 64).values()), axis=1)
        rates = (shapes[:, :, None] * peaks).reshape(len(shapes), -1)
        trained = [train(seed, d[0], d[1], rates)
                   for seed, d in enumerate(data)]
        val_losses[epochs] = np.reshape(
            [loss(weights, d[2], d[3])
             for weights, d in zip(trained, data)], (4, 6, 5))
        scores[epochs] = np.reshape(
            [accuracy(weights, d[4], d[5])
             for weights, d in zip(trained, data)], (4, 6, 5))
    print("axes: seeds, schedules, peaks", scores[15].shape)
    #> axes: seeds, schedules, peaks (4, 6, 5)
    # --8<-- [end:measure]

    # --8<-- [start:measure-table]
    print("                   test accuracy  gain over constant")
    #>                    test accuracy  gain over constant
    for epochs in (3, 7, 15):
        print(f"{epochs} epochs")
        best = val_losses[epochs].mean(axis=0).argmin(axis=1)
        chosen = np.stack([scores[epochs][:, row, peak]
                           for row, peak in enumerate(best)], axis=1)
        for row, name in enumerate(names):
            own, gain = chosen[:, row], chosen[:, row] - chosen[:, 0]
            print(f"  {name:17}{own.mean():.3f}±{own.std():.3f}   "
                  f"{gain.mean():+.3f}"
                  f" ({gain.min():+.3f} to {gain.max():+.3f})")
        if epochs < 15:
            print("  peaks:", *peaks[best])
    #~ 3 epochs
    #~   constant         0.940±0.011   +0.000 (+0.000 to +0.000)
    #~   two drops        0.951±0.004   +0.012 (-0.002 to +0.021)
    #~   cosine           0.960±0.005   +0.021 (+0.002 to +0.032)
    #~   warm-up, cosine  0.965±0.006   +0.025 (+0.011 to +0.032)
    #~   one-cycle        0.958±0.006   +0.018 (+0.000 to +0.032)
    #~   restarts         0.957±0.012   +0.017 (-0.002 to +0.032)
    #~   peaks: 0.04 0.08 0.08 0.08 0.08 0.08
    #~ 7 epochs
    #~   constant         0.957±0.010   +0.000 (+0.000 to +0.000)
    #~   two drops        0.975±0.004   +0.018 (+0.011 to +0.023)
    #~   cosine           0.974±0.004   +0.017 (+0.004 to +0.023)
    #~   warm-up, cosine  0.971±0.005   +0.015 (+0.008 to +0.021)
    #~   one-cycle        0.971±0.005   +0.015 (+0.006 to +0.021)
    #~   restarts         0.971±0.009   +0.014 (+0.008 to +0.019)
    #~   peaks: 0.04 0.08 0.08 0.08 0.08 0.08
    #~ 15 epochs
    #~   constant         0.969±0.004   +0.000 (+0.000 to +0.000)
    #~   two drops        0.973±0.007   +0.004 (-0.008 to +0.013)
    #~   cosine           0.973±0.004   +0.004 (-0.004 to +0.013)
    #~   warm-up, cosine  0.975±0.002   +0.006 (+0.002 to +0.011)
    #~   one-cycle        0.978±0.003   +0.009 (+0.002 to +0.015)
    #~   restarts         0.975±0.005   +0.006 (-0.004 to +0.015)
    # --8<-- [end:measure-table]

    # --8<-- [start:measure-figure]
    figure, panels = plt.subplots(2, num="peak-rates", figsize=(5, 5.5),
                                  sharex=True, sharey=True)
    for axes, epochs, shown in zip(panels, (3, 15), (4, 3)):
        for row, name in enumerate(names):
            axes.plot(peaks[:shown],
                      scores[epochs][:, row, :shown].mean(axis=0),
                      "ko--" if row == 0 else ".-", label=name)
        axes.set(xscale="log", ylabel="test accuracy", ylim=(0.85, 1.0),
                 title=f"{epochs} epochs")
        axes.set_xticks(peaks[:4], [f"{peak:.2f}" for peak in peaks[:4]])
        axes.minorticks_off()
    panels[1].set(xlabel="peak rate")
    panels[1].legend(ncols=2, fontsize=8, loc="lower left")
    plt.show()
    # --8<-- [end:measure-figure]

    # --8<-- [start:forgiving]
    print("3 epochs, test accuracy by peak", peaks[:4])
    #> 3 epochs, test accuracy by peak [0.02 0.04 0.08 0.16]
    for row in (0, 2):
        print(f"{names[row]:9}", scores[3][:, row, :4].mean(axis=0).round(3))
    #~ constant  [0.941 0.94  0.915 0.865]
    #~ cosine    [0.92  0.948 0.96  0.956]
    at_032 = [scores[epochs][:, :, 4].mean(axis=0).max() for epochs in scores]
    print("peak 0.32: every shape below 0.93:", max(at_032) < 0.93)
    #> peak 0.32: every shape below 0.93: True
    # --8<-- [end:forgiving]

    # --8<-- [start:reactive-use]
    watched, test, used = [], [], []
    for seed, (x, y, x_val, y_val, x_test, y_test) in enumerate(data):
        weights, rates = train_reactive(
            seed, (x, y, x_val, y_val), peaks, epochs=15)
        watched.append(loss(weights, x_val, y_val))
        test.append(accuracy(weights, x_test, y_test))
        used.append(rates)
    peak = np.mean(watched, axis=0).argmin()
    own = np.array(test)[:, peak]
    print(f"peak {peaks[peak]:.2f}: {own.mean():.3f}±{own.std():.3f}")
    #~ peak 0.04: 0.974±0.006
    for seed in range(4):
        drops = 1 + np.flatnonzero(np.diff(used[seed][:, peak]))
        print("seed", seed, "drops before epochs", drops)
    #~ seed 0 drops before epochs [ 7 14]
    #~ seed 1 drops before epochs [8]
    #~ seed 2 drops before epochs [ 8 13]
    #~ seed 3 drops before epochs [7]
    # --8<-- [end:reactive-use]

    # --8<-- [start:momentum-cycle]
    shape = plans(7 * 64)["one-cycle"]
    down_and_up = 0.95 - 0.1 * (shape - shape.min()) / np.ptp(shape)
    for name, momentum in (("0.9", 0.9), ("0.95, 0.85, 0.95", down_and_up)):
        means = np.mean([accuracy(
            train(seed, d[0], d[1], shape[:, None] * peaks,
                  momentum=momentum), d[4], d[5])
            for seed, d in enumerate(data)], axis=0)
        print(f"momentum {name:16} {means[:4].round(3)}, "
              f"0.32 trains: {means[4] > 0.9}")
    #~ momentum 0.9              [0.958 0.971 0.971 0.968], 0.32 trains: False
    #~ momentum 0.95, 0.85, 0.95 [0.955 0.967 0.97  0.971], 0.32 trains: True
    # --8<-- [end:momentum-cycle]

    # --8<-- [start:range-spread]
    for steps in (64, 128, 256):
        rates = np.geomspace(1e-4, 10, steps)
        lowest = [rates[range_test(seed, *data[seed][:2], rates).argmin()]
                  for seed in range(4)]
        print(f"{steps:3} steps: lowest at", np.round(lowest, 2))
    #~  64 steps: lowest at [1.61 0.64 0.93 0.45]
    #~ 128 steps: lowest at [0.79 0.66 0.72 0.72]
    #~ 256 steps: lowest at [0.19 0.32 0.32 0.27]
    # --8<-- [end:range-spread]

    # --8<-- [start:batch-size]
    rules = {"same": lambda k: 1, "root": lambda k: k ** 0.5,
             "linear": lambda k: k, "linear, no warm-up": lambda k: k}

    def scaled(size, epochs=8, base=0.04):
        """Training loss and test accuracy, seeds by rules."""
        steps = epochs * (1024 // size)
        rates = np.stack([
            base * rule(size / 16) * cosine(
                np.arange(steps), steps - warmup, warmup=warmup)
            for rule, warmup in zip(rules.values(), [steps // 8] * 3 + [0])],
            axis=1)
        runs = [train(seed, d[0], d[1], rates, size)
                for seed, d in enumerate(data)]
        return (np.array([loss(run, d[0], d[1])
                          for run, d in zip(runs, data)]),
                np.array([accuracy(run, d[4], d[5])
                          for run, d in zip(runs, data)]))
    # --8<-- [end:batch-size]

    # --8<-- [start:batch-table]
    print("batch", *(f"{name:16}" for name in rules))
    #> batch same             root             linear           linear, no warm-up
    for size in (16, 64, 128, 256, 512):
        losses, right = scaled(size)
        print(f"{size:5}", *(
            f"{losses[:, column].mean():.2f} {right[:, column].mean():.3f}"
            f"±{right[:, column].std():.3f}" for column in range(4)))
    #~    16 0.08 0.969±0.006 0.08 0.969±0.006 0.08 0.969±0.006 0.08 0.970±0.008
    #~    64 0.28 0.931±0.011 0.14 0.955±0.006 0.07 0.966±0.009 0.07 0.965±0.007
    #~   128 0.68 0.879±0.023 0.20 0.934±0.003 0.13 0.945±0.019 0.11 0.953±0.016
    #~   256 1.52 0.660±0.026 0.38 0.897±0.026 0.27 0.908±0.011 0.29 0.896±0.012
    #~   512 2.03 0.396±0.048 0.96 0.773±0.044 0.93 0.714±0.091 1.04 0.640±0.172
    # --8<-- [end:batch-table]

    # --8<-- [start:collapse]
    grid = 0.0025 * 2.0 ** np.arange(9)
    collapse = {}
    for size in (16, 64, 256):
        steps = 8 * (1024 // size)
        shape = cosine(np.arange(steps), steps - steps // 8,
                       warmup=steps // 8)
        collapse[size] = np.mean([
            loss(train(seed, data[seed][0], data[seed][1],
                       shape[:, None] * grid, size), *data[seed][:2])
            for seed in range(4)], axis=0)
    figure, panels = plt.subplots(2, num="collapse", figsize=(5, 6),
                                  sharey=True)
    for size, losses in collapse.items():
        panels[0].plot(grid, losses, "o-")
        panels[1].plot(grid / size, losses, "o-", label=f"batch {size}")
    panels[0].set(xscale="log", xlabel="peak rate", ylabel="training loss")
    panels[1].set(xscale="log", xlabel="peak rate / batch size",
                  ylabel="training loss")
    panels[1].legend(loc=(0.5, 0.5))
    plt.show()
    # --8<-- [end:collapse]

    # --8<-- [start:epochs-for-steps]
    steps, step = 7 * 64, np.arange(7 * 64)
    tried = {"decay_steps=7": cosine(step, 7),
             "decay_steps=448": cosine(step, steps),
             "decay_steps=4480": cosine(step, 10 * steps),
             "constant": np.ones(steps)}
    rates = 0.08 * np.stack(list(tried.values()), axis=1)
    ends = np.array([
        accuracy(train(seed, d[0], d[1], rates), d[4], d[5])
        for seed, d in enumerate(data)])
    for name, mean, spread in zip(tried, ends.mean(0), ends.std(0)):
        print(f"{name:16} {mean:.3f}±{spread:.3f}")
    #~ decay_steps=7    0.198±0.019
    #~ decay_steps=448  0.974±0.004
    #~ decay_steps=4480 0.951±0.014
    #~ constant         0.943±0.011
    # --8<-- [end:epochs-for-steps]

    # --8<-- [start:old-name]
    optimizer = SGD(0.1)
    try:
        print(optimizer.lr)
    except AttributeError as error:
        print("AttributeError:", error)
    #> AttributeError: 'SGD' object has no attribute 'lr'
    try:
        SGD(lr=0.1)
    except ValueError as error:
        print("ValueError:", error)
    #> ValueError: Argument(s) not recognized: {'lr': 0.1}
    optimizer.lr = 0.001
    print(f"lr {optimizer.lr}, rate {float(optimizer.learning_rate):.3f}")
    #> lr 0.001, rate 0.100
    optimizer.learning_rate = 0.001
    print(f"rate {float(optimizer.learning_rate):.3f}")
    #> rate 0.001
    # --8<-- [end:old-name]

    # --8<-- [start:two-owners]
    try:
        model.optimizer.learning_rate = 1e-4
    except TypeError as error:
        print(textwrap.fill(str(error), 70))
    #> This optimizer was created with a `LearningRateSchedule` object as its
    #> `learning_rate` constructor argument, hence its learning rate is not
    #> settable. If you need the learning rate to be settable, you should
    #> instantiate the optimizer with a float `learning_rate` argument.
    # --8<-- [end:two-owners]

    # --8<-- [start:two-owners-callbacks]
    x, y, *_ = data[0]
    steady = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)
    plateaus = keras.callbacks.ReduceLROnPlateau(
        "loss", patience=1, min_delta=10.0)
    for callback in (steady, plateaus):
        before = int(cycled.optimizer.iterations)
        try:
            cycled.fit(x, y, batch_size=64, epochs=4, verbose=0,
                       callbacks=[callback])
        except TypeError as error:
            assert "not settable" in str(error)
            print(type(callback).__name__, "refused after",
                  int(cycled.optimizer.iterations) - before, "steps")
    #> LearningRateScheduler refused after 0 steps
    #> ReduceLROnPlateau refused after 32 steps
    # --8<-- [end:two-owners-callbacks]

    # --8<-- [start:replaced]
    cycled.optimizer.learning_rate = schedules.CosineDecay(0.0, 1000)
    print("rate:", float(cycled.optimizer.learning_rate))
    #> rate: 0.0
    print("moves:", moves(cycled, x, y))
    #> moves: True
    # --8<-- [end:replaced]

    # --8<-- [start:recompiled]
    frozen = SGD(schedules.CosineDecay(0.0, 1000))
    cycled.compile(optimizer=frozen, loss=cycled.loss)
    print("moves:", moves(cycled, x, y))
    #> moves: False
    # --8<-- [end:recompiled]

    # --8<-- [start:no-target]
    silent = schedules.CosineDecay(0.1, decay_steps=100, warmup_steps=10)
    print(curve(silent, 4).round(4))
    #> [0.1    0.1    0.0999 0.0998]
    # --8<-- [end:no-target]

    # --8<-- [start:integer-step]
    careless = Careless(0.1)
    print(careless(0), careless(1))
    #> 0.1 0.05
    optimizer = SGD(careless)
    try:
        print(optimizer.learning_rate)
    except TypeError as error:
        print("TypeError:", error)
    #> TypeError: Cannot convert 0.1 to EagerTensor of dtype int64
    # --8<-- [end:integer-step]

    # --8<-- [start:no-config]
    model = build_classifier(optimizer)
    try:
        model.save("careless.keras")
    except NotImplementedError as error:
        print(textwrap.fill(str(error), 70))
    #> Learning rate schedule 'Careless' must override `get_config()` in
    #> order to be serializable.
    # --8<-- [end:no-config]

    # --8<-- [start:accumulate]
    weight = keras.Variable([1.0])
    optimizer = SGD(schedules.PolynomialDecay(0.1, 8, end_learning_rate=0.0),
                    gradient_accumulation_steps=4)
    for _ in range(8):
        optimizer.apply([ops.ones(1)], [weight])
    print("updates:", int(optimizer.iterations),
          "rate:", float(optimizer.learning_rate))
    #> updates: 2 rate: 0.0
    # --8<-- [end:accumulate]

    # --8<-- [start:solution-1]
    per_epoch = math.ceil(1_281_167 / 256)
    rise, total = 5 * per_epoch, 90 * per_epoch
    print(per_epoch, rise, total - rise)
    #> 5005 25025 425425
    plan = schedules.CosineDecay(0.0, decay_steps=total - rise,
                                 warmup_target=0.1, warmup_steps=rise)
    print([round(float(plan(step)), 4) for step in (0, rise, total)])
    #> [0.0, 0.1, 0.0]
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    fine = schedules.PolynomialDecay(1e-5, decay_steps=100)
    print([f"{float(fine(step)):.1e}" for step in (0, 50, 100)])
    #> ['1.0e-05', '5.5e-05', '1.0e-04']
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    for boundary in (640, 639):
        drop = schedules.PiecewiseConstantDecay([boundary], [0.1, 0.01])
        rates = [round(float(drop(step)), 3) for step in (639, 640, 641)]
        print(boundary, rates)
    #> 640 [0.1, 0.1, 0.01]
    #> 639 [0.1, 0.01, 0.01]
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    rule = WarmUp(5, schedules.ExponentialDecay(0.1, 10, 0.5))
    print(curve(rule, 8).round(4))
    #> [0.02   0.04   0.06   0.08   0.1    0.1    0.0933 0.0871]
    copy = schedules.deserialize(schedules.serialize(rule))
    print("same:", np.array_equal(curve(rule, 30), curve(copy, 30)))
    #> same: True
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    print("batch same       root       linear")
    #> batch same       root       linear
    for size in (16, 64, 256):
        k, steps = size / 16, 4 * (1024 // size)
        shape = cosine(np.arange(steps), steps)
        rates = 0.004 * shape[:, None] * np.array([1, k ** 0.5, k])
        runs = np.array([loss(train_adam(seed, x, y, rates, size), x, y)
                         for seed, (x, y, *_) in enumerate(data)])
        print(f"{size:5}", *(f"{mean:.2f}±{spread:.2f} " for mean, spread
                             in zip(runs.mean(0), runs.std(0))))
    #~    16 0.41±0.01  0.41±0.01  0.41±0.01
    #~    64 1.24±0.07  0.63±0.04  0.30±0.02
    #~   256 2.01±0.05  1.17±0.11  0.49±0.14
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
