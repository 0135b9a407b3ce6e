"""Optimizers: from a gradient to a step.

The lesson trains a classifier with Adam and looks for its learning rate;
writes SGD, momentum, Nesterov, RMSprop, Adam and AdamW in NumPy, equal to
Keras'; sends them down a ravine; counts what they remember; compares them
at their own rates; and runs the mistakes people make.
"""

# --8<-- [start:imports]
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:data]
def digits(seed=0):
    """1000 images to train on, 400 to validate, 397 to test."""
    data = load_digits()
    images = (data.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, data.target, train_size=1400, random_state=seed,
        stratify=data.target)
    return (x[:1000], y[:1000]), (x[1000:], y[1000:]), (x_test, y_test)
# --8<-- [end:data]


# --8<-- [start:build]
def build(optimizer, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(32, activation="relu", name="hidden"),
        keras.layers.Dense(10, activation="softmax", name="classes"),
    ], name="digits")
    model.compile(optimizer=optimizer, metrics=["accuracy"],
                  loss="sparse_categorical_crossentropy")
    return model
# --8<-- [end:build]


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


# --8<-- [start:paths]
def descend(rule, gradient, w, rate, steps, **options):
    """Every point of the path, the start included."""
    slots, path = [np.zeros_like(w), np.zeros_like(w)], [w]
    for t in range(1, steps + 1):
        w, slots = rule(w, gradient(w), slots, t, rate, **options)
        path.append(w)
    return np.array(path)


def keras_descend(optimizer, gradient, w, steps):
    variable, path = keras.Variable(w), [w]
    for _ in range(steps):
        optimizer.apply([gradient(path[-1])], [variable])
        path.append(np.array(keras.ops.convert_to_numpy(variable)))
    return np.array(path)
# --8<-- [end:paths]


# --8<-- [start:rules]
RULES = {
    "SGD": (sgd, keras.optimizers.SGD, {}),
    "momentum": (momentum, keras.optimizers.SGD, {"momentum": 0.9}),
    "Nesterov": (nesterov, keras.optimizers.SGD,
                 {"momentum": 0.9, "nesterov": True}),
    "RMSprop": (rmsprop, keras.optimizers.RMSprop, {}),
    "Adam": (adam, keras.optimizers.Adam, {}),
    "AdamW": (adamw, keras.optimizers.AdamW, {}),
}
slopes = np.float32([0, 1e-8, 1e-4, 1, 30])


def bowl_gradient(w):
    return slopes * (w + 1)
# --8<-- [end:rules]


# --8<-- [start:ravine]
def ravine(degrees=0, steep=50.0):
    """H of f(w) = w.H.w / 2, curvatures 1 and `steep`, and a start."""
    a = np.deg2rad(degrees)
    q = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return q @ np.diag([1.0, steep]) @ q.T, q @ [-4.0, 1.0]


def steps_to_settle(rule, valley, rates, **options):
    """For each rate: after how many steps f stays below 0.001."""
    hessian, start = valley
    with np.errstate(over="ignore", invalid="ignore"):  # some diverge
        path = descend(rule, lambda w: w @ hessian,
                       np.tile(start, (len(rates), 1)), rates[:, None], 300,
                       **options)
        f = 0.5 * np.sum(path * (path @ hessian), axis=-1)
    return 301 - np.argmax(~(f < 0.001)[::-1], axis=0)
# --8<-- [end:ravine]


# --8<-- [start:solution-2-code]
def textbook_nesterov(gradient, theta, rate, steps, mu=0.9):
    """Take the gradient where the velocity is about to carry you."""
    v, here, ahead = np.zeros_like(theta), [theta], [theta]
    for _ in range(steps):
        v = mu * v - rate * gradient(theta + mu * v)
        theta = theta + v
        here.append(theta)
        ahead.append(theta + mu * v)
    return np.array(here), np.array(ahead)
# --8<-- [end:solution-2-code]


# --8<-- [start:solution-3-class]
@keras.saving.register_keras_serializable()
class SignMomentum(keras.optimizers.Optimizer):
    """Lion: the sign of a mixture of momentum and gradient."""

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
    # --8<-- [start:first-fit]
    train, validation, test = digits()
    model = build(keras.optimizers.Adam(learning_rate=0.001))
    log = model.fit(*train, epochs=8, validation_data=validation,
                    verbose=0).history
    for epoch in (1, 2, 4, 8):
        print(f"Epoch {epoch}/8", *(
            f"- {name}: {values[epoch - 1]:.2f}"
            for name, values in log.items()))
    #~ Epoch 1/8 - accuracy: 0.11 - loss: 2.28 - val_accuracy: 0.23 - val_loss: 2.17
    #~ Epoch 2/8 - accuracy: 0.37 - loss: 2.03 - val_accuracy: 0.61 - val_loss: 1.88
    #~ Epoch 4/8 - accuracy: 0.80 - loss: 1.43 - val_accuracy: 0.80 - val_loss: 1.30
    #~ Epoch 8/8 - accuracy: 0.90 - loss: 0.68 - val_accuracy: 0.90 - val_loss: 0.65
    # --8<-- [end:first-fit]

    # --8<-- [start:rates]
    tried = {0.001: model}
    for rate in (0.01, 0.1):
        tried[rate] = build(keras.optimizers.Adam(rate))
        tried[rate].fit(*train, epochs=8, verbose=0)
    for rate, trained in tried.items():
        loss = trained.evaluate(*validation, verbose=0)[0]
        print(f"rate {rate:<5}: validation loss {loss:.2f}")
    #~ rate 0.001: validation loss 0.65
    #~ rate 0.01 : validation loss 0.17
    #~ rate 0.1  : validation loss 0.41
    for rate in (0.001, 0.01):
        accuracy = tried[rate].evaluate(*test, verbose=0)[1]
        print(f"test accuracy at {rate}: {accuracy:.2f}")
    #~ test accuracy at 0.001: 0.89
    #~ test accuracy at 0.01: 0.95
    # --8<-- [end:rates]

    # --8<-- [start:same-as-keras]
    start = np.zeros(5, "float32")
    for name, (rule, optimizer, options) in RULES.items():
        ours = descend(rule, bowl_gradient, start, 0.01, 60)
        theirs = keras_descend(optimizer(0.01, **options), bowl_gradient,
                               start, 60)
        gap = abs(ours - theirs).max(axis=0)
        print(f"{name:8}", gap <= 1e-4 * abs(ours).max(axis=0))
    #> SGD      [ True  True  True  True  True]
    #> momentum [ True  True  True  True  True]
    #> Nesterov [ True  True  True  True  True]
    #> RMSprop  [ True  True  True  True  True]
    #> Adam     [ True  True  True  True  True]
    #> AdamW    [ True  True  True  True  True]
    # --8<-- [end:same-as-keras]

    # --8<-- [start:ravine-figure]
    hessian, start = ravine()
    grid = np.meshgrid(np.linspace(-4.6, 1.6, 80), np.linspace(-1.6, 1.6, 60))
    height = 0.5 * (grid[0]**2 + 50 * grid[1]**2)
    shown = {"SGD": (sgd, 0.035), "momentum": (momentum, 0.006),
             "RMSprop": (rmsprop, 0.08), "Adam": (adam, 0.11)}
    figure, panels = plt.subplots(
        2, 2, num="ravine", figsize=(5, 3.8), sharex=True, sharey=True)
    for axes, (name, (rule, rate)) in zip(panels.flat, shown.items()):
        path = descend(rule, lambda w: w @ hessian, start, rate, 60)
        axes.contour(*grid, height, levels=[0.3, 2, 8, 20, 40],
                     colors="silver", linewidths=0.7)
        axes.plot(*path.T, "o-", markersize=2, linewidth=0.8)
        axes.plot(0, 0, "*", color="tab:red", markersize=8)
        axes.set_title(f"{name}, $\\eta={rate:g}$", fontsize="medium")
    plt.show()
    # --8<-- [end:ravine-figure]

    # --8<-- [start:ravine-table]
    rates = np.logspace(-2.5, 0.5, 61)
    beta = np.linspace(0, 0.9, 10)
    for degrees in (0, 45):
        print(f"turned by {degrees:2} degrees    at 0.9  tuned")
        for name, rule, option in (
                ("momentum", momentum, "mu"), ("Nesterov", nesterov, "mu"),
                ("Adam", adam, "beta_1")):
            tuned = [
                steps_to_settle(rule, ravine(degrees), rates,
                                **{option: b}).min() for b in beta]
            print(f"  {name:18}{tuned[-1]:8} {min(tuned):6}")
        print(f"  SGD {steps_to_settle(sgd, ravine(degrees), rates).min():22}")
    #~ turned by  0 degrees    at 0.9  tuned
    #~   momentum                93     23
    #~   Nesterov                62     30
    #~   Adam                    89     17
    #~   SGD                    125
    #~ turned by 45 degrees    at 0.9  tuned
    #~   momentum                93     23
    #~   Nesterov                62     30
    #~   Adam                    93     45
    #~   SGD                    125
    # --8<-- [end:ravine-table]

    # --8<-- [start:damping]
    for label, sign in (("same direction", 1.0), ("alternating", -1.0)):
        signs = iter(sign ** np.arange(100))
        path = descend(momentum, lambda w: next(signs), 0.0, 0.01, 100)
        print(f"{label}: {abs(path[-1] - path[-2]) / 0.01:.2f} times the rate")
    #~ same direction: 10.00 times the rate
    #~ alternating: 0.53 times the rate
    # --8<-- [end:damping]

    # --8<-- [start:first-step]
    sizes = np.float32([100, 1, 1e-3, 1e-6, 1e-8])
    print("gradient", *(f"{size:8.0e}" for size in sizes))
    #> gradient    1e+02    1e+00    1e-03    1e-06    1e-08
    for optimizer in (keras.optimizers.SGD(0.01),
                      keras.optimizers.RMSprop(0.01),
                      keras.optimizers.Adam(0.01)):
        path = keras_descend(optimizer, lambda w: sizes,
                             np.zeros(5, "float32"), 1)
        print(f"{optimizer.__class__.__name__:8}", *(
            f"{-step / 0.01:8.2g}" for step in path[1]))
    #~ SGD         1e+02        1    0.001    1e-06    1e-08
    #~ RMSprop       3.2      3.2      2.2   0.0032  3.2e-05
    #~ Adam            1        1        1     0.24   0.0032
    # --8<-- [end:first-step]

    # --8<-- [start:uncorrected]
    t = np.array([1, 2, 10, 100, 1000, 5000])
    factor = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
    print("t   ", *(f"{step:5d}" for step in t))
    #> t        1     2    10   100  1000  5000
    print("step", *(f"{value:5.2f}" for value in factor))
    #~ step  3.16  4.25  6.53  3.24  1.26  1.00
    # --8<-- [end:uncorrected]

    # --8<-- [start:decoupled]
    zero = np.zeros(2, "float32")
    for optimizer in (keras.optimizers.AdamW(0.1, weight_decay=0.5),
                      keras.optimizers.Adam(0.1, weight_decay=0.5),
                      keras.optimizers.SGD(0.1, weight_decay=0.5)):
        path = keras_descend(optimizer, lambda w: zero,
                             np.float32([1.0, -2.0]), 1)
        print(f"{optimizer.__class__.__name__:6}", path[1])
    #> AdamW  [ 0.95 -1.9 ]
    #> Adam   [ 0.95 -1.9 ]
    #> SGD    [ 0.95 -1.9 ]
    # --8<-- [end:decoupled]

    # --8<-- [start:exclude]
    def decay_only(model):
        """Set every weight to 1, give no gradient: only decay is left."""
        weights = model.trainable_variables
        for w in weights:
            w.assign(np.ones(w.shape))
        model.optimizer.apply(
            [np.zeros(w.shape, "float32") for w in weights], weights)
        return {w.path: round(float(keras.ops.max(w)), 3) for w in weights}

    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    decayed = build(optimizer)
    print(*decay_only(decayed).items(), sep="\n")
    #> ('digits/hidden/kernel', 0.95)
    #> ('digits/hidden/bias', 1.0)
    #> ('digits/classes/kernel', 0.95)
    #> ('digits/classes/bias', 1.0)
    # --8<-- [end:exclude]

    # --8<-- [start:slots]
    print("parameters:", model.count_params())
    #> parameters: 2410
    for variable in model.optimizer.variables:
        print(f"{variable.name:30} {variable.shape}")
    #> iteration                      ()
    #> learning_rate                  ()
    #> digits_hidden_kernel_momentum  (64, 32)
    #> digits_hidden_kernel_velocity  (64, 32)
    #> digits_hidden_bias_momentum    (32,)
    #> digits_hidden_bias_velocity    (32,)
    #> digits_classes_kernel_momentum (32, 10)
    #> digits_classes_kernel_velocity (32, 10)
    #> digits_classes_bias_momentum   (10,)
    #> digits_classes_bias_velocity   (10,)
    # --8<-- [end:slots]

    # --8<-- [start:measure]
    others = {
        "SGD()": keras.optimizers.SGD(),
        "SGD(0.3)": keras.optimizers.SGD(0.3),
        "SGD(0.03, momentum=0.9)": keras.optimizers.SGD(0.03, momentum=0.9),
    }
    networks = {"Adam()": tried[0.001], "Adam(0.01)": tried[0.01]}
    for name, optimizer in others.items():
        networks[name] = build(optimizer)
        networks[name].fit(*train, epochs=8, verbose=0)
    for name, network in networks.items():
        accuracy = network.evaluate(*test, verbose=0)[1]
        print(f"{name:23} test accuracy {accuracy:.2f}")
    #~ Adam()                  test accuracy 0.89
    #~ Adam(0.01)              test accuracy 0.95
    #~ SGD()                   test accuracy 0.44
    #~ SGD(0.3)                test accuracy 0.94
    #~ SGD(0.03, momentum=0.9) test accuracy 0.95
    # --8<-- [end:measure]

    # --8<-- [start:muon-who]
    inputs = keras.Input(shape=(4, 16))
    outputs = keras.layers.MultiHeadAttention(
        num_heads=2, key_dim=8, name="attention")(inputs, inputs)
    outputs = keras.layers.Dense(16, name="dense")(outputs)
    block = keras.Model(inputs, outputs)
    weights = block.trainable_variables
    if hasattr(keras.optimizers, "Muon"):
        muon = keras.optimizers.Muon()
        muon.apply([np.ones(w.shape, "float32") for w in weights], weights)
        adam_has = [v.path for v in muon.variables if "velocity" in v.path]
        for w in weights:
            name = w.path.replace("/", "_")
            by_adam = any(name in path for path in adam_has)
            print(f"{w.path:33} {str(w.shape):11}",
                  "AdamW" if by_adam else "Muon")
    #> attention/query/kernel            (16, 2, 8)  AdamW
    #> attention/query/bias              (2, 8)      Muon
    #> attention/key/kernel              (16, 2, 8)  AdamW
    #> attention/key/bias                (2, 8)      Muon
    #> attention/value/kernel            (16, 2, 8)  AdamW
    #> attention/value/bias              (2, 8)      Muon
    #> attention/attention_output/kernel (2, 8, 16)  AdamW
    #> attention/attention_output/bias   (16,)       AdamW
    #> dense/kernel                      (16, 16)    Muon
    #> dense/bias                        (16,)       AdamW
    # --8<-- [end:muon-who]

    # --8<-- [start:string-name]
    for name in ("sgd", "rmsprop", "adam", "adamw"):
        settings = keras.optimizers.get(name).get_config()
        print(f"{name:8} rate {settings['learning_rate']:.3f}, momentum",
              settings.get("momentum", "-"))
    #> sgd      rate 0.010, momentum 0.0
    #> rmsprop  rate 0.001, momentum 0.0
    #> adam     rate 0.001, momentum -
    #> adamw    rate 0.001, momentum -
    keras.optimizers.SGD(0.1, decay=0.01)
    #> UserWarning: Argument `decay` is no longer supported and will be ignored.
    # --8<-- [end:string-name]

    # --8<-- [start:two-models]
    shared = keras.optimizers.Adam(0.01)
    for seed in (0, 1):
        try:
            build(shared, seed).fit(*train, epochs=1, verbose=0)
            print("model", seed, "trained")
        except ValueError as error:
            print(error)
    #> model 0 trained
    #> Unknown variable: <Variable path=digits/hidden/kernel, shape=(64, 32), dtype=float32>. This optimizer can only be called for the variables it was originally built with. When working with a new set of variables, you should recreate a new optimizer instance.
    # --8<-- [end:two-models]

    # --8<-- [start:recompiled]
    trained = tried[0.1]

    def compiled_again(optimizer):
        trained.compile(optimizer=optimizer,
                        loss="sparse_categorical_crossentropy")
        slots = trained.optimizer.variables[2:]
        print("step", int(trained.optimizer.iterations),
              "and", len(slots), "slots")

    print("step", int(trained.optimizer.iterations))
    #> step 256
    compiled_again(trained.optimizer)
    #> step 256 and 8 slots
    compiled_again(keras.optimizers.Adam(0.1))
    #> step 0 and 0 slots
    # --8<-- [end:recompiled]

    # --8<-- [start:exclusion-lost]
    with tempfile.TemporaryDirectory() as folder:
        decayed.save(Path(folder, "decayed.keras"))
        loaded = keras.saving.load_model(Path(folder, "decayed.keras"))
    print("loaded:    ", list(decay_only(loaded).values()))
    #> loaded:     [0.95, 0.95, 0.95, 0.95]
    loaded.optimizer.exclude_from_weight_decay(var_names=["bias"])
    print("told again:", list(decay_only(loaded).values()))
    #> told again: [0.95, 1.0, 0.95, 1.0]
    # --8<-- [end:exclusion-lost]

    # --8<-- [start:solution-1]
    velocity = 0.0
    for t in range(1, 1001):
        velocity = 0.99 * velocity - 0.001 * 1.0
        if abs(velocity) >= 0.95 * 0.1:
            print("95% of the final step after", t, "steps")
            break
    #> 95% of the final step after 299 steps
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    hessian, start = ravine(30)
    here, ahead = textbook_nesterov(lambda w: w @ hessian, start, 0.01, 60)
    ours = descend(nesterov, lambda w: w @ hessian, start, 0.01, 60)
    print("w is theta:          ", np.allclose(ours, here))
    #> w is theta:           False
    print("w is theta + mu * v: ", np.allclose(ours, ahead))
    #> w is theta + mu * v:  True
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    start = np.zeros(5, "float32")
    paths = [keras_descend(optimizer, bowl_gradient, start, 60)
             for optimizer in (SignMomentum(0.03), keras.optimizers.Lion(0.03))]
    print("same as keras.optimizers.Lion:", np.allclose(*paths, atol=1e-6))
    #> same as keras.optimizers.Lion: True
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lion.keras")
        network = build(SignMomentum(0.003, beta_2=0.95))
        network.train_on_batch(*train)
        network.save(file)
        again = keras.saving.load_model(file).optimizer
    print(again.__class__.__name__, again.beta_2, int(again.iterations))
    #> SignMomentum 0.95 1
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    def torch_rmsprop(w, g, slots, t, rate, alpha=0.99, epsilon=1e-8):
        s = alpha * slots[0] + (1 - alpha) * g**2
        return w - rate * g / (np.sqrt(s) + epsilon), [s]

    theirs = descend(torch_rmsprop, bowl_gradient, start, 0.01, 60)
    for label, optimizer in (
            ("defaults", keras.optimizers.RMSprop()),
            ("ported", keras.optimizers.RMSprop(
                0.01, rho=0.99, epsilon=1e-16))):
        ours = keras_descend(optimizer, bowl_gradient, start, 60)
        gap = abs(ours - theirs).max(axis=0)
        print(f"{label:8}", gap <= 1e-3 * abs(theirs).max(axis=0))
    #> defaults [ True False False False False]
    #> ported   [ True False  True  True  True]
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
