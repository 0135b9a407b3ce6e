"""Optimizers: from a gradient to a step.

The lesson writes SGD, momentum, Nesterov, RMSprop, Adam and AdamW in a few
lines of NumPy each and shows that Keras computes the same step by step. It
draws their paths through a ravine, looks at bias correction, epsilon and
weight decay, counts the state each one keeps, trains the same network with
each at its own best learning rate, and runs the mistakes people make.
"""

# --8<-- [start:imports]
import textwrap

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_diabetes, load_digits
# --8<-- [end:imports]


# --8<-- [start:sgd-family]
def sgd(w, g, slots, t, rate):
    return w - rate * g, slots


def momentum(w, g, slots, t, rate, mu=0.9):
    v = mu * slots[0] - rate * g
    return w + v, [v]


def nesterov(w, g, slots, t, rate, mu=0.9):
    v = mu * slots[0] - rate * g
    return w + mu * v - rate * g, [v]
# --8<-- [end:sgd-family]


# --8<-- [start:adaptive-family]
def rmsprop(w, g, slots, t, rate, rho=0.9, epsilon=1e-7):
    s = rho * slots[0] + (1 - rho) * g**2
    return w - rate * g / np.sqrt(s + epsilon), [s]


def adam(w, g, slots, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = beta_1 * slots[0] + (1 - beta_1) * g
    s = beta_2 * slots[1] + (1 - beta_2) * g**2
    rate = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - rate * m / (np.sqrt(s) + epsilon), [m, s]


def adamw(w, g, slots, t, rate, decay=0.004):
    step, slots = adam(w, g, slots, t, rate)
    return step - rate * decay * w, slots
# --8<-- [end:adaptive-family]


# --8<-- [start:descend]
RULES = {"SGD": sgd, "momentum": momentum, "Nesterov": nesterov,
         "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw}


def descend(rule, gradient, w, rate, steps, **options):
    """Every point of the path, the start included."""
    slots, path = [np.zeros_like(w)] * 2, [w]
    for t in range(1, steps + 1):
        w, slots = rule(w, gradient(w), slots, t, rate, **options)
        path.append(w)
    return np.array(path)
# --8<-- [end:descend]


# --8<-- [start:keras-optimizer]
def keras_optimizer(name, rate):
    """Keras' optimizer for a name of RULES, with Keras' defaults."""
    if name == "momentum":
        return keras.optimizers.SGD(rate, momentum=0.9)
    if name == "Nesterov":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    return getattr(keras.optimizers, name)(rate)


def keras_descend(optimizer, gradient, w, steps):
    variable = keras.Variable(w, dtype="float64")
    path = [w]
    for _ in range(steps):
        g = keras.ops.convert_to_tensor(gradient(path[-1]))
        optimizer.apply([g], [variable])
        path.append(variable.numpy())
    return np.array(path)
# --8<-- [end:keras-optimizer]


# --8<-- [start:textbook-nesterov]
def textbook_nesterov(gradient, theta, rate, steps, mu=0.9):
    """Take the gradient where the velocity is about to carry you."""
    v, ahead = np.zeros_like(theta), [theta]
    for _ in range(steps):
        v = mu * v - rate * gradient(theta + mu * v)
        theta = theta + v
        ahead.append(theta + mu * v)
    return np.array(ahead)
# --8<-- [end:textbook-nesterov]


# --8<-- [start:ravine]
def ravine(curvature, degrees=0):
    """H of f(w) = w.H.w / 2: curvatures 1 and `curvature`, rotated."""
    a = np.deg2rad(degrees)
    q = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return q @ np.diag([1.0, curvature]) @ q.T, q @ [-4.0, 1.0]


def steps_to_settle(rule, hessian, start, rates, steps=600, goal=1e-3):
    """For each rate: the step after which f stays below the goal."""
    many = np.tile(start, (len(rates), 1))
    with np.errstate(over="ignore", invalid="ignore"):
        path = descend(rule, lambda w: w @ hessian, many,
                       rates[:, None], steps)
        f = 0.5 * np.sum(path * (path @ hessian), axis=-1)
    late = ~(f < goal)
    return steps + 1 - np.argmax(late[::-1], axis=0)
# --8<-- [end:ravine]


# --8<-- [start:build]
def build_classifier(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(32, activation="relu", name="hidden"),
        keras.layers.Dense(10, name="logits"),
    ], name="digits")
# --8<-- [end:build]


# --8<-- [start:split]
def split(seed, epochs=8, batch=50):
    """Which images each step trains on, and which validate and test."""
    random = np.random.default_rng(seed)
    images = random.permutation(1797)
    order = [random.permutation(images[:1000]) for _ in range(epochs)]
    return np.reshape(order, (-1, batch)), images[1000:1400], images[1400:]
# --8<-- [end:split]


# --8<-- [start:stacked]
def stacked_weights(seeds, copies):
    """For each seed, `copies` equal networks; all in four tensors."""
    weights = []
    for shape in ((64, 32), (32, 10)):
        kernels = [np.array(keras.initializers.GlorotUniform(seed)(shape))
                   for seed in seeds]
        weights.append(np.repeat(kernels, copies, axis=0))
        weights.append(np.zeros((len(weights[-1]), 1, shape[1]), "float32"))
    return weights


def logits_of(weights, x):
    hidden = keras.ops.relu(keras.ops.matmul(x, weights[0]) + weights[1])
    return keras.ops.matmul(hidden, weights[2]) + weights[3]


def losses_of(logits, y):
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(
        y, logits, from_logits=True), axis=-1)
# --8<-- [end:stacked]


# --8<-- [start:stack]
class Stack:
    """Many networks side by side, trained by one optimizer."""

    def __init__(self, optimizer, weights, labels):
        self.optimizer, self.labels = optimizer, tf.constant(labels)
        self.weights = [keras.Variable(w) for w in weights]
        optimizer.build(self.weights)
        self.state = self.weights + optimizer.variables
        self.fresh = [variable.numpy() for variable in self.state]

    def restart(self):
        for variable, value in zip(self.state, self.fresh):
            variable.assign(value)

    @tf.function
    def train(self, images, order):
        for batch in order:
            x, y = tf.gather(images, batch), tf.gather(self.labels, batch)
            with tf.GradientTape() as tape:
                logits = logits_of(self.weights, x)
                loss = tf.reduce_sum(losses_of(logits, y))
            gradients = tape.gradient(loss, [w.value for w in self.weights])
            self.optimizer.apply(gradients, self.weights)
# --8<-- [end:stack]


# --8<-- [start:positive-majority]
def wilson_data(count, first, dimensions, random):
    """Labels +1 (70%) and -1; features after Wilson et al. 2017."""
    y = np.where(random.random(count) < 0.7, 1.0, -1.0)
    x = np.zeros((count, dimensions))
    x[:, 0], x[:, 1:3] = y, 1.0
    for i, label in enumerate(y):
        own = 3 + 5 * (first + i)
        x[i, own:own + (1 if label > 0 else 5)] = 1.0
    return x, y
# --8<-- [end:positive-majority]


# --8<-- [start:solution-3-class]
class SignMomentum(keras.optimizers.Optimizer):
    """Lion's rule: the sign of a mixture of momentum and gradient."""

    def __init__(self, learning_rate=1e-4, beta_1=0.9, beta_2=0.99,
                 **options):
        super().__init__(learning_rate=learning_rate, **options)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.m = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        m = self.m[self._get_variable_index(variable)]
        mix = self.beta_1 * m + (1 - self.beta_1) * gradient
        rate = keras.ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * keras.ops.sign(mix))
        self.assign(m, self.beta_2 * m + (1 - self.beta_2) * gradient)

    def get_config(self):
        return {**super().get_config(),
                "beta_1": self.beta_1, "beta_2": self.beta_2}
# --8<-- [end:solution-3-class]


def main():
    # --8<-- [start:regression]
    x, y = load_diabetes(return_X_y=True)
    x, y = x * 21, (y - y.mean()) / y.std()
    print(x.shape, "standard deviations:", x.std(axis=0).min().round(2),
          x.std(axis=0).max().round(2))
    #> (442, 10) standard deviations: 1.0 1.0

    def regression_gradient(w):
        return x.T @ (x @ w - y) / len(y)
    # --8<-- [end:regression]

    # --8<-- [start:same-as-keras]
    start, rate = np.zeros(10), 1 / 32
    for name, rule in RULES.items():
        ours = descend(rule, regression_gradient, start, rate, 60)
        keras_path = keras_descend(
            keras_optimizer(name, rate), regression_gradient, start, 60)
        gap = np.abs(ours - keras_path).max()
        print(f"{name:9} every step within 1e-5: {gap < 1e-5}")
    #> SGD       every step within 1e-5: True
    #> momentum  every step within 1e-5: True
    #> Nesterov  every step within 1e-5: True
    #> RMSprop   every step within 1e-5: True
    #> Adam      every step within 1e-5: True
    #> AdamW     every step within 1e-5: True
    # --8<-- [end:same-as-keras]

    # --8<-- [start:rounded-constant]
    exact = {"beta_1": 0.875, "beta_2": 1 - 2**-10, "epsilon": 2**-23}
    pairs = [(momentum, keras.optimizers.SGD, {"momentum": 0.875},
              {"mu": 0.875}), (adam, keras.optimizers.Adam, exact, exact)]
    for rule, optimizer, options, same_options in pairs:
        ours = descend(rule, regression_gradient, start, rate, 60,
                       **same_options)
        keras_path = keras_descend(
            optimizer(rate, **options), regression_gradient, start, 60)
        gap = np.abs(ours - keras_path).max()
        print(f"{rule.__name__:8} within 1e-12: {gap < 1e-12}")
    #> momentum within 1e-12: True
    #> adam     within 1e-12: True
    # --8<-- [end:rounded-constant]

    # --8<-- [start:nesterov-forms]
    ahead = textbook_nesterov(regression_gradient, start, rate, 60)
    ours = descend(nesterov, regression_gradient, start, rate, 60)
    print("the same points:", np.allclose(ahead, ours, atol=1e-12))
    #> the same points: True
    # --8<-- [end:nesterov-forms]

    # --8<-- [start:ravine-table]
    rates = np.logspace(-3, 0.5, 71)
    for degrees in (0, 45):
        print(f"rotated by {degrees} degrees")
        for name in ("SGD", "momentum", "Nesterov", "RMSprop", "Adam"):
            count = steps_to_settle(
                RULES[name], *ravine(50, degrees), rates)
            best = np.argmin(count)
            print(f"  {name:9} {count[best]:4d} steps"
                  f" at rate {rates[best]:.3f}")
    #~ rotated by 0 degrees
    #~   SGD        125 steps at rate 0.035
    #~   momentum    93 steps at rate 0.006
    #~   Nesterov    62 steps at rate 0.018
    #~   RMSprop    386 steps at rate 0.011
    #~   Adam        89 steps at rate 0.112
    #~ rotated by 45 degrees
    #~   SGD        125 steps at rate 0.035
    #~   momentum    93 steps at rate 0.006
    #~   Nesterov    62 steps at rate 0.018
    #~   RMSprop    533 steps at rate 0.008
    #~   Adam        93 steps at rate 0.282
    # --8<-- [end:ravine-table]

    # --8<-- [start:ravine-figure]
    hessian, start = ravine(50)
    grid = np.meshgrid(np.linspace(-4.6, 1.6, 80), np.linspace(-1.6, 1.6, 60))
    height = 0.5 * (grid[0]**2 + 50 * grid[1]**2)
    shown = {"SGD": 0.036, "momentum": 0.006, "Nesterov": 0.018,
             "RMSprop": 0.08, "Adam": 0.14, "AdamW": 0.14}
    figure, panels = plt.subplots(
        3, 2, num="ravine", figsize=(5, 5.4), sharex=True, sharey=True)
    for axes, (name, rate) in zip(panels.flat, shown.items()):
        path = descend(RULES[name], lambda w: w @ hessian, start, rate, 60)
        axes.contour(*grid, height, levels=[0.3, 2, 8, 20, 40],
                     colors="silver", linewidths=0.7)
        axes.plot(*path.T, "o-", markersize=2, linewidth=0.8)
        axes.plot(0, 0, "*", color="tab:red", markersize=8)
        axes.set_title(f"{name}, $\\eta={rate:g}$", fontsize="medium")
    plt.show()
    # --8<-- [end:ravine-figure]

    # --8<-- [start:damping]
    for label, sign in (("same direction", 1.0), ("alternating", -1.0)):
        w = keras.Variable([0.0])
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        for t in range(100):
            before = float(w[0])
            optimizer.apply([keras.ops.array([sign**t])], [w])
        step = abs(float(w[0]) - before)
        print(f"{label:14} {step / 0.1:.3f} times the rate")
    #~ same direction 10.000 times the rate
    #~ alternating    0.526 times the rate
    print(f"1 / (1 - 0.9) = {1 / 0.1:.3f}, 1 / (1 + 0.9) = {1 / 1.9:.3f}")
    #~ 1 / (1 - 0.9) = 10.000, 1 / (1 + 0.9) = 0.526
    # --8<-- [end:damping]

    # --8<-- [start:condition]
    for kappa in (10, 100, 1000):
        curvature, counts = np.array([1.0, kappa]), []
        root = np.sqrt(kappa)
        for rate, mu in ((2 / (1 + kappa), 0.0),
                         ((2 / (1 + root))**2, ((root - 1) / (root + 1))**2)):
            path = descend(momentum, lambda w: curvature * w, np.ones(2),
                           rate, 4000, mu=mu)
            far = np.abs(path).max(axis=1) > 1e-3
            counts.append(int(np.nonzero(far)[0][-1]) + 1)
        print(f"kappa {kappa:4d}: SGD {counts[0]}, momentum {counts[1]}")
    #~ kappa   10: SGD 35, momentum 16
    #~ kappa  100: SGD 346, momentum 58
    #~ kappa 1000: SGD 3454, momentum 204
    # --8<-- [end:condition]

    # --8<-- [start:first-step]
    sizes = np.array([1.0, 1e-3, 1e-6, 1e-8])
    print("gradient", *(f"{size:8.0e}" for size in sizes))
    #> gradient    1e+00    1e-03    1e-06    1e-08
    for name in ("SGD", "RMSprop", "Adam"):
        w = keras.Variable(np.zeros(4), dtype="float64")
        keras_optimizer(name, 0.01).apply(
            [keras.ops.convert_to_tensor(sizes)], [w])
        print(f"{name:8}", *(
            f"{-step / 0.01:8.2g}" for step in w.numpy()))
    #~ SGD             1    0.001    1e-06    1e-08
    #~ RMSprop       3.2      2.2   0.0032  3.2e-05
    #~ Adam            1        1     0.24   0.0032
    # --8<-- [end:first-step]

    # --8<-- [start:uncorrected]
    t = np.array([1, 2, 10, 100, 1000, 5000])
    factor = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
    print("t   ", *(f"{step:5d}" for step in t))
    #> t        1     2    10   100  1000  5000
    print("step", *(f"{value:5.2f}" for value in factor))
    #~ step  3.16  4.25  6.53  3.24  1.26  1.00
    # --8<-- [end:uncorrected]

    # --8<-- [start:epsilon-figure]
    g = np.logspace(-10, 0, 200)
    first = [np.zeros_like(g)] * 2
    curves = {
        "SGD": g,
        "RMSprop, $\\epsilon=10^{-7}$": -rmsprop(0, g, first, 1, 1.0)[0],
        "Adam, $\\epsilon=10^{-7}$": -adam(0, g, first, 1, 1.0)[0],
        "Adam, $\\epsilon=0.1$": -adam(0, g, first, 1, 1.0, epsilon=0.1)[0],
    }
    figure, axes = plt.subplots(num="epsilon", figsize=(5, 3.4))
    for (label, curve), style in zip(curves.items(), ("-", "-.", "--", ":")):
        axes.loglog(g, curve, style, label=label)
    axes.set(xlabel="$|g|$", ylabel="first step / $\\eta$",
             ylim=(1e-9, 20))
    axes.legend(loc="lower right")
    plt.show()
    # --8<-- [end:epsilon-figure]

    # --8<-- [start:recorded]
    random = np.random.default_rng(0)
    scales = np.logspace(-3, 0, 30)
    recorded = scales * (1 + 0.3 * random.normal(size=(200, 30)))

    def last_direction(rule, **options):
        """The direction of the last step over the recorded gradients."""
        replay = iter(recorded)
        path = descend(rule, lambda w: next(replay), np.zeros(30), 0.01,
                       200, **options)
        return (path[-1] - path[-2]) / np.linalg.norm(path[-1] - path[-2])
    # --8<-- [end:recorded]

    # --8<-- [start:large-epsilon]
    plain = last_direction(momentum)
    for epsilon in (1e-7, 1e-3, 1e-1, 10.0):
        cosine = last_direction(adam, epsilon=epsilon) @ plain
        print(f"epsilon {epsilon:5.0e}: cosine with momentum {cosine:.3f}")
    #~ epsilon 1e-07: cosine with momentum 0.525
    #~ epsilon 1e-03: cosine with momentum 0.611
    #~ epsilon 1e-01: cosine with momentum 0.926
    #~ epsilon 1e+01: cosine with momentum 1.000
    # --8<-- [end:large-epsilon]

    # --8<-- [start:decoupled]
    w = keras.Variable([1.0, -2.0])
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.apply([keras.ops.zeros((2,))], [w])
    print("gradient 0, one step:", w.numpy())
    #> gradient 0, one step: [ 0.95 -1.9 ]
    pair = [keras.Variable([1.0, -2.0]) for _ in range(2)]
    for w, optimizer in zip(pair, (
            keras.optimizers.AdamW(0.1, weight_decay=0.5),
            keras.optimizers.Adam(0.1, weight_decay=0.5))):
        for g in ([0.3, 0.1], [0.2, -0.4], [0.0, 0.9]):
            optimizer.apply([keras.ops.array(g)], [w])
    print("Adam(weight_decay=...) is AdamW:",
          np.array_equal(pair[0].numpy(), pair[1].numpy()))
    #> Adam(weight_decay=...) is AdamW: True
    # --8<-- [end:decoupled]

    # --8<-- [start:exclude]
    def decay_only(optimizer, model):
        """Set every weight to 1, give no gradient: only decay is left."""
        for v in model.trainable_variables:
            v.assign(keras.ops.ones_like(v))
        optimizer.apply([keras.ops.zeros_like(v)
                         for v in model.trainable_variables],
                        model.trainable_variables)
        return {v.path: round(float(keras.ops.max(v)), 3)
                for v in model.trainable_variables}

    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    for path, value in decay_only(optimizer, build_classifier()).items():
        print(f"{path:20} {value}")
    #> digits/hidden/kernel 0.95
    #> digits/hidden/bias   1.0
    #> digits/logits/kernel 0.95
    #> digits/logits/bias   1.0
    # --8<-- [end:exclude]

    # --8<-- [start:slots]
    model = build_classifier()
    parameters = model.count_params()
    print("parameters:", parameters)
    #> parameters: 2410
    optimizers = {name: keras_optimizer(name, 0.01) for name in RULES}
    optimizers["Adam, amsgrad"] = keras.optimizers.Adam(amsgrad=True)
    optimizers["Lion"] = keras.optimizers.Lion()
    for name, optimizer in optimizers.items():
        optimizer.build(model.trainable_variables)
        state = optimizer.variables[2:]
        numbers = sum(int(np.prod(v.shape)) for v in state)
        print(f"{name:13} {len(state):2d} arrays,"
              f" {numbers / parameters:g} numbers a parameter")
    #> SGD            0 arrays, 0 numbers a parameter
    #> momentum       4 arrays, 1 numbers a parameter
    #> Nesterov       4 arrays, 1 numbers a parameter
    #> RMSprop        4 arrays, 1 numbers a parameter
    #> Adam           8 arrays, 2 numbers a parameter
    #> AdamW          8 arrays, 2 numbers a parameter
    #> Adam, amsgrad 12 arrays, 3 numbers a parameter
    #> Lion           4 arrays, 1 numbers a parameter
    # --8<-- [end:slots]

    # --8<-- [start:memory]
    for name, slots in (("SGD", 0), ("momentum", 1), ("Adam", 2)):
        gigabytes = 1e9 * 4 * (1 + 1 + slots) / 1e9
        print(f"{name:8} {gigabytes:.0f} GB: weights, gradients,"
              f" {slots} slots")
    #> SGD      8 GB: weights, gradients, 0 slots
    #> momentum 12 GB: weights, gradients, 1 slots
    #> Adam     16 GB: weights, gradients, 2 slots
    # --8<-- [end:memory]

    # --8<-- [start:variables]
    for variable in optimizers["Adam"].variables[:6]:
        print(f"{variable.name:30} {variable.shape}")
    #> iteration                      ()
    #> learning_rate                  ()
    #> digits_hidden_kernel_momentum  (64, 32)
    #> digits_hidden_kernel_velocity  (64, 32)
    #> digits_hidden_bias_momentum    (32,)
    #> digits_hidden_bias_velocity    (32,)
    # --8<-- [end:variables]

    # --8<-- [start:saved]
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    labels = digits.target
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(images, labels, batch_size=200, epochs=20, verbose=0)
    model.save("digits.keras")
    loaded = keras.models.load_model("digits.keras")
    print("steps:", int(loaded.optimizer.iterations))
    #> steps: 180
    print("all state came back:", all(
        np.array_equal(a.numpy(), b.numpy()) for a, b in zip(
            model.optimizer.variables, loaded.optimizer.variables)))
    #> all state came back: True
    # --8<-- [end:saved]

    # --8<-- [start:grid-data]
    rates = np.float32([1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3])
    seeds = range(5)
    splits = [split(seed) for seed in seeds]
    order, validation, test = (
        np.repeat(np.stack(part), len(rates), axis=0)
        for part in zip(*splits))
    order = np.swapaxes(order, 0, 1)
    weights = stacked_weights(seeds, copies=len(rates))
    each_rate = np.tile(rates, len(seeds)).reshape(-1, 1, 1)
    print(order.shape, *(w.shape for w in weights))
    #> (160, 40, 50) (40, 64, 32) (40, 1, 32) (40, 32, 10) (40, 1, 10)
    # --8<-- [end:grid-data]

    # --8<-- [start:grid-run]
    stacks = {}

    def run(name, images):
        """Validation loss, accuracy every 10 steps; test accuracy."""
        if name not in stacks:
            optimizer = keras_optimizer(name, lambda: each_rate)
            stacks[name] = Stack(optimizer, weights, labels)
        stack, curve = stacks[name], []
        stack.restart()
        x, y = tf.constant(images[validation]), labels[validation]
        for ten_steps in np.split(order, 16):
            stack.train(tf.constant(images), tf.constant(ten_steps))
            logits = logits_of(stack.weights, x)
            right = np.argmax(logits, axis=-1) == y
            curve.append([losses_of(logits, y), right.mean(axis=-1)])
        guess = np.argmax(logits_of(stack.weights, images[test]), axis=-1)
        shape = (len(seeds), len(rates))
        return (np.reshape(curve, (16, 2, *shape)),
                np.mean(guess == labels[test], axis=-1).reshape(shape))
    # --8<-- [end:grid-run]

    # --8<-- [start:table]
    def table(results, target):
        """At the rate with the lowest mean validation loss."""
        for name, (curve, accuracy) in results.items():
            best = np.argmin(np.mean(curve[-1, 0], axis=0))
            own = 100 * accuracy[:, best]
            reached = curve[:, 1, :, best] >= target
            steps = 10 * (1 + np.argmax(reached, axis=0))
            steps = f"{steps.mean():.0f}" if reached.any(0).all() else "-"
            print(f"{name:9} {rates[best]:7.2g} {own.mean():7.1f}"
                  f" ± {own.std():.1f} {steps:>8}")

    # --8<-- [end:table]

    # --8<-- [start:grid-table]
    results = {name: run(name, images) for name in RULES}
    print("            rate      accuracy  steps to 90%")
    #>             rate      accuracy  steps to 90%
    table(results, target=0.9)
    #~ SGD             1    95.1 ± 1.2       72
    #~ momentum      0.1    95.6 ± 1.3       54
    #~ Nesterov      0.1    96.5 ± 0.3       42
    #~ RMSprop      0.01    95.0 ± 1.3       40
    #~ Adam         0.03    95.6 ± 2.0       34
    #~ AdamW        0.03    95.8 ± 1.3       34
    # --8<-- [end:grid-table]

    # --8<-- [start:rates-table]
    print("rate  ", *(f"{name[:5]:>5}" for name in results))
    #> rate     SGD momen Neste RMSpr  Adam AdamW
    for k, rate in enumerate(rates):
        row = [accuracy[:, k].mean()
               for _, accuracy in results.values()]
        print(f"{rate:<6.1g}", *(f"{value:5.2f}" if value > 0.36 else "    ."
                                 for value in row))
    #~ 0.001      .     .     .  0.83  0.83  0.83
    #~ 0.003      .  0.71  0.71  0.93  0.93  0.93
    #~ 0.01       .  0.90  0.90  0.95  0.95  0.95
    #~ 0.03    0.73  0.95  0.95  0.92  0.96  0.96
    #~ 0.1     0.90  0.96  0.97  0.84  0.94  0.93
    #~ 0.3     0.95  0.95  0.96     .     .     .
    #~ 1       0.95     .     .     .     .     .
    #~ 3          .     .     .     .     .     .
    # --8<-- [end:rates-table]

    # --8<-- [start:dim-pixels]
    dimming = np.logspace(0, -2, 64)[
        np.random.default_rng(0).permutation(64)].astype("float32")
    dimmed = {name: run(name, images * dimming)
              for name in ("SGD", "momentum", "RMSprop", "Adam")}
    print("            rate      accuracy  steps to 80%")
    #>             rate      accuracy  steps to 80%
    table(dimmed, target=0.8)
    #~ SGD             1    73.9 ± 4.9        -
    #~ momentum      0.3    83.3 ± 2.1      116
    #~ RMSprop      0.03    89.7 ± 2.7       44
    #~ Adam          0.1    92.7 ± 1.0       30
    # --8<-- [end:dim-pixels]

    # --8<-- [start:rates-figure]
    styles = dict(zip(RULES, ("C0o-", "C1s-", "C2^-", "C3o--", "C4s--",
                              "C5^:")))
    figure, panels = plt.subplots(
        2, num="rates", figsize=(5, 6), sharex=True)
    for axes, group, title in zip(
            panels, (results, dimmed), ("digits", "digits, pixels dimmed")):
        for name, (_, accuracy) in group.items():
            mean = accuracy.mean(axis=0)
            end = np.nonzero(mean > mean.max() - 0.05)[0][-1] + 1
            axes.semilogx(rates[:end], mean[:end], styles[name],
                          label=name, markersize=4)
        axes.set(title=title, ylabel="test accuracy", ylim=(0, 1))
    panels[0].legend(fontsize="small", loc="lower right", ncols=2)
    panels[1].set_xlabel("learning rate")
    plt.show()
    # --8<-- [end:rates-figure]

    # --8<-- [start:lion-step]
    w = keras.Variable(np.zeros(3), dtype="float32")
    optimizer = keras.optimizers.Lion(0.01)
    for g in ([3.0, -1e-3, 1e-9], [3.0, -1e-3, -1e-9]):
        before = w.numpy()
        optimizer.apply([keras.ops.array(g)], [w])
        print("Lion's step:", w.numpy() - before)
    #~ Lion's step: [-0.01  0.01 -0.01]
    #~ Lion's step: [-0.01  0.01  0.01]
    # --8<-- [end:lion-step]

    # --8<-- [start:muon-step]
    random = np.random.default_rng(0)
    gradient = random.normal(size=(64, 8)) @ random.normal(size=(8, 32))
    gradient = (gradient + 0.1 * random.normal(size=(64, 32)))
    muon = keras.optimizers.Muon(rms_rate=None, nesterov=False,
                                 weight_decay=None)
    w = keras.Variable(np.zeros((64, 32)), dtype="float32")
    muon.apply([keras.ops.array(gradient, "float32")], [w])
    for label, matrix in (("gradient", gradient), ("step", w.numpy())):
        singular = np.linalg.svd(matrix, compute_uv=False)
        print(f"{label:8} largest / smallest:"
              f" {singular[0] / singular[-1]:.1f}")
    #~ gradient largest / smallest: 222.7
    #~ step     largest / smallest: 1.8
    # --8<-- [end:muon-step]

    # --8<-- [start:muon-who]
    muon = keras.optimizers.Muon(exclude_layers=["logits"])
    muon.build(model.trainable_variables)
    for variable in model.trainable_variables:
        rule = "AdamW" if muon._should_use_adamw(variable) else "Muon"
        print(f"{variable.path:20} {str(variable.shape):9} {rule}")
    #> digits/hidden/kernel (64, 32)  Muon
    #> digits/hidden/bias   (32,)     AdamW
    #> digits/logits/kernel (32, 10)  AdamW
    #> digits/logits/bias   (10,)     AdamW
    # --8<-- [end:muon-who]

    # --8<-- [start:newer]
    newer = {name[:9]: run(name, images)
             for name in ("Lion", "ScheduleFreeAdamW")}
    print("            rate      accuracy  steps to 90%")
    #>             rate      accuracy  steps to 90%
    table(newer, target=0.9)
    #~ Lion        0.003    94.4 ± 1.2      102
    #~ ScheduleF    0.03    96.2 ± 0.5       44
    # --8<-- [end:newer]

    # --8<-- [start:rate-drop]
    w, optimizer = keras.Variable([0.0]), keras.optimizers.SGD(
        0.1, momentum=0.9)
    theirs, velocity, rate = 0.0, 0.0, 0.1
    for t in range(1, 104):
        if t == 101:
            rate = 0.01
            optimizer.learning_rate = rate
        before = float(w[0])
        optimizer.apply([keras.ops.ones((1,))], [w])
        velocity = 0.9 * velocity + 1.0
        if t >= 100:
            print(f"step {t}: Keras {before - float(w[0]):.3f},"
                  f" PyTorch {rate * velocity:.3f}")
    #~ step 100: Keras 1.000, PyTorch 1.000
    #~ step 101: Keras 0.910, PyTorch 0.100
    #~ step 102: Keras 0.829, PyTorch 0.100
    #~ step 103: Keras 0.756, PyTorch 0.100
    # --8<-- [end:rate-drop]

    # --8<-- [start:wilson]
    random = np.random.default_rng(0)
    size = 3 + 5 * 240
    x_few, y_few = wilson_data(40, 0, size, random)
    x_new, y_new = wilson_data(200, 40, size, random)
    print(f"always guessing +1: {np.mean(y_new == 1):.3f}")
    #> always guessing +1: 0.640

    def wilson_gradient(w):
        return x_few.T @ (x_few @ w - y_few) / 40

    for label, rule, rate, options in (
            ("SGD", sgd, 0.1, {}), ("momentum", momentum, 0.03, {}),
            ("Adam", adam, 0.01, {}), ("Adam", adam, 0.001, {}),
            ("Adam, eps 0.1", adam, 0.01, {"epsilon": 0.1})):
        w = descend(rule, wilson_gradient, np.zeros(size), rate,
                    1000, **options)[-1]
        print(f"{label:13} {rate:5}"
              f" train {np.mean(np.sign(x_few @ w) == y_few):.2f},"
              f" test {np.mean(np.sign(x_new @ w) == y_new):.2f}")
    #~ SGD             0.1 train 1.00, test 1.00
    #~ momentum       0.03 train 1.00, test 1.00
    #~ Adam           0.01 train 1.00, test 0.64
    #~ Adam          0.001 train 1.00, test 0.64
    #~ Adam, eps 0.1  0.01 train 1.00, test 1.00
    # --8<-- [end:wilson]

    # --8<-- [start:wrong-rates]
    def accuracy_at(name, rate):
        own = 100 * results[name][1][:, np.argmin(np.abs(rates - rate))]
        return f"{name:8} at {rate:g}: {own.mean():.1f} ± {own.std():.1f}"

    print(accuracy_at("Adam", 0.001))
    #~ Adam     at 0.001: 83.2 ± 3.2
    print(accuracy_at("SGD", 0.001))
    #~ SGD      at 0.001: 11.7 ± 2.8
    print(accuracy_at("SGD", 0.1))
    #~ SGD      at 0.1: 90.3 ± 1.4
    print(accuracy_at("Adam", 0.1))
    #~ Adam     at 0.1: 93.9 ± 1.8
    at_one = results["Adam"][1][:, rates == 1]
    print("Adam at 1, no seed above 20%:", at_one.max() < 0.2)
    #> Adam at 1, no seed above 20%: True
    # --8<-- [end:wrong-rates]

    # --8<-- [start:decay-warns]
    old = keras.optimizers.SGD(0.1, decay=0.01)
    #> UserWarning: Argument `decay` is no longer supported and will be ignored.
    # --8<-- [end:decay-warns]

    # --8<-- [start:decay-ignored]
    schedule = keras.optimizers.schedules.InverseTimeDecay(
        0.1, decay_steps=1, decay_rate=0.01)
    old, plain, today = (
        keras_descend(optimizer, regression_gradient, np.zeros(10), 50)
        for optimizer in (old, keras.optimizers.SGD(0.1),
                          keras.optimizers.SGD(schedule)))
    meant = [np.zeros(10)]
    for t in range(50):
        meant.append(meant[-1] - 0.1 / (1 + 0.01 * t)
                     * regression_gradient(meant[-1]))
    print("decay=0.01 is plain SGD:", np.array_equal(old, plain))
    #> decay=0.01 is plain SGD: True
    print("decay=0.01 is what it meant:", np.allclose(old, meant, atol=1e-3))
    #> decay=0.01 is what it meant: False
    print("the schedule is:", np.allclose(today, meant, atol=1e-6))
    #> the schedule is: True
    # --8<-- [end:decay-ignored]

    # --8<-- [start:two-models]
    shared = keras.optimizers.Adam(0.01)
    first, second = build_classifier(seed=0), build_classifier(seed=1)
    for one in (first, second):
        one.compile(optimizer=shared, loss=loss)
        try:
            one.train_on_batch(images, labels)
        except ValueError as error:
            print(textwrap.fill(str(error), 70))
    #> Unknown variable: <Variable path=digits/hidden/kernel, shape=(64, 32),
    #> dtype=float32>. This optimizer can only be called for the variables it
    #> was originally built with. When working with a new set of variables,
    #> you should recreate a new optimizer instance.
    # --8<-- [end:two-models]

    # --8<-- [start:recompiled]
    def ten_more(compile_with):
        again = keras.models.load_model("digits.keras")
        again.compile(optimizer=compile_with or again.optimizer, loss=loss)
        losses, moves = [], []
        for _ in range(10):
            before = again.get_weights()
            with tf.GradientTape() as tape:
                losses.append(loss(labels, again(images)))
            variables = again.trainable_variables
            again.optimizer.apply(tape.gradient(
                losses[-1], [v.value for v in variables]), variables)
            moves.append(max(np.abs(a - b).max() for a, b in zip(
                before, again.get_weights())))
        return np.array(losses), moves
    # --8<-- [end:recompiled]

    # --8<-- [start:recompiled-steps]
    for label, compile_with in (
            ("kept", None), ("new ", keras.optimizers.Adam(0.01))):
        losses, moves = ten_more(compile_with)
        print(f"{label}: first step {moves[0]:.4f},"
              f" peak loss {losses.max() / losses[0]:.1f} x")
    #~ kept: first step 0.0044, peak loss 1.0 x
    #~ new : first step 0.0100, peak loss 1.6 x
    # --8<-- [end:recompiled-steps]

    # --8<-- [start:string-name]
    for name in ("sgd", "rmsprop", "adam"):
        optimizer = keras.optimizers.get(name)
        print(f"{name:8} rate {float(optimizer.learning_rate):.3g},",
              "momentum", getattr(optimizer, "momentum", "-"))
    #> sgd      rate 0.01, momentum 0.0
    #> rmsprop  rate 0.001, momentum 0.0
    #> adam     rate 0.001, momentum -
    # --8<-- [end:string-name]

    # --8<-- [start:exclusion-lost]
    model = build_classifier()
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, loss=loss)
    model.save("excluded.keras")
    loaded = keras.models.load_model("excluded.keras")
    for label, one in (("before", model), ("loaded", loaded)):
        values = decay_only(one.optimizer, one)
        print(label, [value for path, value in values.items()
                      if "bias" in path])
    #> before [1.0, 1.0]
    #> loaded [0.95, 0.95]
    loaded.optimizer.exclude_from_weight_decay(var_names=["bias"])
    values = decay_only(loaded.optimizer, loaded)
    print("told again", [value for path, value in values.items()
                         if "bias" in path])
    #> told again [1.0, 1.0]
    # --8<-- [end:exclusion-lost]

    # --8<-- [start:solution-1]
    w, velocity = 0.0, 0.0
    for t in range(1, 1001):
        velocity = 0.99 * velocity - 0.001 * 1.0
        if abs(velocity) >= 0.95 * 0.1:
            print("95% of the final step after", t, "steps")
            break
    #> 95% of the final step after 299 steps
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    start = np.zeros(10)
    for name in ("SGD", "Adam"):
        usual, louder = (
            descend(RULES[name], lambda w: loudness * regression_gradient(w),
                    start, 0.03, 200)[-1]
            for loudness in (1, 100))
        gap = np.abs(usual - louder).max()
        print(f"{name:4} within 0.001: {gap < 1e-3}, a million off: {gap > 1e6}")
    #> SGD  within 0.001: False, a million off: True
    #> Adam within 0.001: True, a million off: False
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    both = SignMomentum(0.01), keras.optimizers.Lion(0.01)
    paths = [keras_descend(optimizer, regression_gradient, start, 50)
             for optimizer in both]
    print("same as keras.optimizers.Lion:", np.allclose(*paths, atol=1e-6))
    #> same as keras.optimizers.Lion: True
    again = SignMomentum.from_config(both[0].get_config())
    print("made again, beta_2:", again.beta_2)
    #> made again, beta_2: 0.99
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    def torch_rmsprop(w, g, slots, t, rate, alpha=0.99, epsilon=1e-8):
        s = alpha * slots[0] + (1 - alpha) * g**2
        return w - rate * g / (np.sqrt(s) + epsilon), [s]

    theirs = descend(torch_rmsprop, regression_gradient, start, 0.01, 200)
    for label, optimizer in (
            ("defaults", keras.optimizers.RMSprop()),
            ("ported", keras.optimizers.RMSprop(0.01, rho=0.99,
                                                epsilon=1e-16))):
        ours = keras_descend(optimizer, regression_gradient, start, 200)
        gap = np.abs(ours - theirs).max()
        print(f"{label:8} within 1e-6: {gap < 1e-6}")
    #> defaults within 1e-6: False
    #> ported   within 1e-6: True
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
