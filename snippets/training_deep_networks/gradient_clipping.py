"""Gradient clipping: three kinds, when they help, and the norms under fit.

The lesson trains a recurrent network that explodes, with clipping and
without, logs the norm of the gradient during `fit`, writes the three kinds
in NumPy, measures what clipping buys beside a smaller learning rate, and
shows what it does not mend.
"""

# --8<-- [start:imports]
import os
import textwrap

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # no log of TensorFlow's C++

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:build]
def build(optimizer, seed=1, **cell):
    """A recurrent network that reads an image row by row."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(8, 8)),  # 8 steps of 8 pixels
        keras.layers.SimpleRNN(32, unroll=True, **cell),
        keras.layers.Dense(10),
    ])
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model


def cosine(rate):
    return keras.optimizers.schedules.CosineDecay(rate, decay_steps=192)


irnn = {"activation": "relu", "recurrent_initializer": "identity"}
# --8<-- [end:build]


# --8<-- [start:norm-kept]
class NormKept:
    """Write it before an optimizer: it keeps the norm of the gradient."""
    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.gradient_norm = self.add_variable((), name="gradient_norm")

    def apply(self, grads, trainable_variables=None):
        # Adding 0 makes the gradient of an Embedding dense.
        grads = [g if g is None else keras.ops.add(g, 0.0) for g in grads]
        squares = [keras.ops.sum(keras.ops.square(g))
                   for g in grads if g is not None]
        super().apply(grads, trainable_variables)  # clips, then steps
        self.gradient_norm.assign(keras.ops.sqrt(sum(squares)))


class LoggedSGD(NormKept, keras.optimizers.SGD):
    pass


class LoggedAdam(NormKept, keras.optimizers.Adam):
    pass
# --8<-- [end:norm-kept]


# --8<-- [start:norm-log]
class NormLog(keras.callbacks.Callback):
    """Puts the norms of each epoch into the log of fit."""
    def on_train_begin(self, logs=None):
        self.norms = []  # all steps, for a figure or a percentile

    def on_epoch_begin(self, epoch, logs=None):
        self.first = len(self.norms)

    def on_train_batch_end(self, batch, logs=None):
        self.norms.append(float(keras.ops.convert_to_numpy(
            self.model.optimizer.gradient_norm)))

    def on_epoch_end(self, epoch, logs=None):
        norms = np.array(self.norms[self.first:])
        logs["norm"] = np.median(norms)
        logs["norm_max"] = np.max(norms)
        c = self.model.optimizer.global_clipnorm
        logs["clipped"] = np.mean(norms > c) if c else 0.0
# --8<-- [end:norm-log]


# --8<-- [start:show]
def show(log):
    """Lines that fit shows, without their times."""
    for epoch in (1, 2, 6):
        print(f"Epoch {epoch}/6", *(f"- {name}: {values[epoch - 1]:.2f}"
                                    for name, values in log.items()))
# --8<-- [end:show]


# --8<-- [start:applied]
def applied(gradients, **clipping):
    """What SGD with learning rate 1 subtracts for these gradients."""
    variables = [keras.Variable(np.zeros(np.shape(g), "float32"))
                 for g in gradients]
    keras.optimizers.SGD(1.0, **clipping).apply(
        [keras.ops.convert_to_tensor(g, "float32") for g in gradients],
        variables)
    return [0.0 - keras.ops.convert_to_numpy(v) for v in variables]
# --8<-- [end:applied]


# --8<-- [start:from-scratch]
def norm(gradients):
    return np.sqrt(sum(np.sum(g ** 2) for g in gradients))


def clip_by_value(gradients, c):
    return [np.clip(g, -c, c) for g in gradients]


def clip_each_norm(gradients, c):
    return [g * c / max(norm([g]), c) for g in gradients]


def clip_global_norm(gradients, c):
    return [g * c / max(norm(gradients), c) for g in gradients]
# --8<-- [end:from-scratch]


# --8<-- [start:step-sizes]
def step_sizes(optimizer, gradients):
    """How far one weight moves for each gradient of a sequence."""
    weight, places = keras.Variable([0.0]), [0.0]
    for gradient in gradients:
        optimizer.apply(
            [keras.ops.convert_to_tensor([gradient], "float32")], [weight])
        places.append(float(keras.ops.convert_to_numpy(weight)[0]))
    return np.abs(np.diff(places))
# --8<-- [end:step-sizes]


# --8<-- [start:table-step]
def table_step(optimizer):
    """Norm of the first step that fit takes from a table of zeros."""
    table = keras.layers.Embedding(3, 2, embeddings_initializer="zeros")
    model = keras.Sequential([keras.Input((5,), dtype="int32"), table])
    model.compile(
        optimizer=optimizer,
        loss=lambda y, output: keras.ops.sum(output, axis=(1, 2)))
    model.fit(np.array([[1, 1, 1, 1, 2]]), np.zeros(1), verbose=0)
    return norm(model.get_weights())
# --8<-- [end:table-step]


# --8<-- [start:regress]
def regress(y, **clipping):
    """Mean absolute error on these targets in the last epoch."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input(shape=(10,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1),
    ])
    model.compile(optimizer=keras.optimizers.SGD(0.01, **clipping),
                  loss="mse", metrics=["mae"])
    x = load_diabetes().data / 0.0476  # standard deviation 1
    return model.fit(x, y, epochs=10, verbose=0).history["mae"][-1]
# --8<-- [end:regress]


# --8<-- [start:solution-4-class]
class HistoryClipped(keras.optimizers.SGD):
    """Clips at twice the moving average of the norms so far."""
    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.average = self.add_variable((), name="average")

    def apply(self, grads, trainable_variables=None):
        ops = keras.ops
        norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in grads))
        if not self.built:
            self.build(trainable_variables)
        old = ops.convert_to_tensor(self.average)
        c = ops.where(old > 0, 2 * old, norm)  # nothing to go by yet
        kept = ops.minimum(norm, c)
        super().apply([g * kept / ops.maximum(norm, 1e-12) for g in grads],
                      trainable_variables)
        self.average.assign(
            ops.where(old > 0, 0.95 * old + 0.05 * kept, kept))
# --8<-- [end:solution-4-class]


def main():
    # --8<-- [start:load]
    digits = load_digits()
    images = (digits.images / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=1000, stratify=digits.target,
        random_state=0)
    print(x.shape, x_test.shape)
    #> (1000, 8, 8) (797, 8, 8)
    # --8<-- [end:load]

    # --8<-- [start:without]
    model = build(keras.optimizers.SGD(cosine(0.3)), **irnn)
    log = model.fit(x, y, epochs=6, verbose=0).history
    show(log)
    #~ Epoch 1/6 - accuracy: 0.13 - loss: 2.32
    #~ Epoch 2/6 - accuracy: 0.18 - loss: 2.29
    #~ Epoch 6/6 - accuracy: 0.25 - loss: 2.05
    without = model.evaluate(x_test, y_test, verbose=0)[1]
    print(f"test accuracy {without:.2f}")
    #~ test accuracy 0.22
    # --8<-- [end:without]

    # --8<-- [start:with]
    model = build(
        keras.optimizers.SGD(cosine(0.3), global_clipnorm=1.0), **irnn)
    log = model.fit(x, y, epochs=6, verbose=0).history
    show(log)
    #~ Epoch 1/6 - accuracy: 0.26 - loss: 2.02
    #~ Epoch 2/6 - accuracy: 0.48 - loss: 1.53
    #~ Epoch 6/6 - accuracy: 0.84 - loss: 0.55
    clipped = model.evaluate(x_test, y_test, verbose=0)[1]
    print(f"test accuracy {clipped:.2f}")
    #~ test accuracy 0.83
    # --8<-- [end:with]

    # --8<-- [start:three-kinds]
    gradients = [np.array([9.6, 7.2]), np.array([1.4, -4.8])]
    for kind in ("clipvalue", "clipnorm", "global_clipnorm"):
        first, second = applied(gradients, **{kind: 6.5})
        print(f"{kind:16}", first.round(3), second.round(3))
    #> clipvalue        [6.5 6.5] [ 1.4 -4.8]
    #> clipnorm         [5.2 3.9] [ 1.4 -4.8]
    #> global_clipnorm  [4.8 3.6] [ 0.7 -2.4]
    # --8<-- [end:three-kinds]

    # --8<-- [start:careful]
    norm_log = NormLog()
    model = build(LoggedSGD(cosine(0.1)), **irnn)
    log = model.fit(x, y, epochs=6, verbose=0, callbacks=[norm_log]).history
    show(log)
    #~ Epoch 1/6 - accuracy: 0.26 - loss: 2.07 - norm: 2.59 - norm_max: 7.32 - clipped: 0.00
    #~ Epoch 2/6 - accuracy: 0.41 - loss: 1.75 - norm: 2.97 - norm_max: 7.78 - clipped: 0.00
    #~ Epoch 6/6 - accuracy: 0.82 - loss: 0.63 - norm: 3.08 - norm_max: 6.25 - clipped: 0.00
    careful = model.evaluate(x_test, y_test, verbose=0)[1]
    for percent in (50, 90, 99):
        print(f"{percent}% of the norms are below "
              f"{np.percentile(norm_log.norms, percent):.1f}")
    #~ 50% of the norms are below 3.2
    #~ 90% of the norms are below 5.3
    #~ 99% of the norms are below 8.6
    # --8<-- [end:careful]

    # --8<-- [start:norms]
    figure, axes = plt.subplots(num="norms", figsize=(5, 3))
    axes.plot(range(1, 193), norm_log.norms, linewidth=1)
    axes.axhline(np.percentile(norm_log.norms, 90), color="C1",
                 linestyle="--", label="90%")
    axes.set(xlabel="step", ylabel="gradient norm", yscale="log",
             ylim=(0.2, 100))
    axes.legend()
    plt.show()
    # --8<-- [end:norms]

    # --8<-- [start:powers]
    for w in (0.9, 1.0, 1.1):
        print(w, [f"{T * w ** (T - 1):.1e}" for T in (10, 100, 1000)])
    #> 0.9 ['3.9e+00', '3.0e-03', '1.9e-43']
    #> 1.0 ['1.0e+01', '1.0e+02', '1.0e+03']
    #> 1.1 ['2.4e+01', '1.3e+06', '2.2e+44']
    # --8<-- [end:powers]

    # --8<-- [start:same-as-keras]
    random = np.random.default_rng(0)
    cases = {
        "random": [10 ** random.uniform(-2, 2) * random.normal(size=shape)
                   for shape in ((4, 32), (32, 32), (32,))],
        "short": [np.array([3e-9, 4e-9]), np.zeros(3)],
        "long": [np.full(4, 1e4), np.full((2, 2), -1e-4)],
    }
    clips = {"clipvalue": clip_by_value, "clipnorm": clip_each_norm,
             "global_clipnorm": clip_global_norm}
    for name, case in cases.items():
        same = all(np.allclose(ours, theirs, rtol=1e-5, atol=1e-12)
                   for kind, clip in clips.items() for ours, theirs
                   in zip(clip(case, 1.5), applied(case, **{kind: 1.5})))
        print(name, same)
    #> random True
    #> short True
    #> long True
    # --8<-- [end:same-as-keras]

    # --8<-- [start:table]
    defaults = build(keras.optimizers.SGD(cosine(0.3)))
    defaults.fit(x, y, epochs=6, verbose=0)
    for name, accuracy in (
            ("SGD(0.3)", without),
            ("SGD(0.3, global_clipnorm=1)", clipped),
            ("SGD(0.1)", careful),
            ("SGD(0.3), SimpleRNN's defaults",
             defaults.evaluate(x_test, y_test, verbose=0)[1])):
        print(f"{name:31} {accuracy:.2f}")
    #~ SGD(0.3)                        0.22
    #~ SGD(0.3, global_clipnorm=1)     0.83
    #~ SGD(0.1)                        0.78
    #~ SGD(0.3), SimpleRNN's defaults  0.94
    # --8<-- [end:table]

    # --8<-- [start:adam-spike]
    gradients = np.random.default_rng(0).normal(1.0, 1.0, size=100)
    gradients[30] = 1000
    free = step_sizes(keras.optimizers.Adam(0.01), gradients)
    bounded = step_sizes(
        keras.optimizers.Adam(0.01, global_clipnorm=3.0), gradients)
    for name, steps in (("free", free), ("clipped", bounded)):
        print(f"{name:8} step 29: {steps[29]:.4f}, step 30: {steps[30]:.4f}, "
              f"mean of the last 50: {steps[50:].mean():.4f}")
    #~ free     step 29: 0.0074, step 30: 0.0058, mean of the last 50: 0.0003
    #~ clipped  step 29: 0.0074, step 30: 0.0085, mean of the last 50: 0.0080
    # --8<-- [end:adam-spike]

    # --8<-- [start:order]
    weight = keras.Variable([100.0, 0.0])
    optimizer = keras.optimizers.SGD(
        1.0, global_clipnorm=1.0, gradient_accumulation_steps=2,
        weight_decay=0.5)
    for gradient in ([0.0, 10.0], [0.0, -4.0]):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
        print(keras.ops.convert_to_numpy(weight))
    #> [100.   0.]
    #> [50. -1.]
    # --8<-- [end:order]

    # --8<-- [start:two-variables]
    many = [np.full(4, 100.0) for _ in range(25)]
    for kind in ("clipnorm", "global_clipnorm"):
        print(kind, norm(applied(many, **{kind: 1.0})).round(3))
    #> clipnorm 5.0
    #> global_clipnorm 1.0
    # --8<-- [end:two-variables]

    # --8<-- [start:embedding]
    for optimizer in (keras.optimizers.SGD(1.0, global_clipnorm=1.0),
                      LoggedSGD(1.0, global_clipnorm=1.0)):
        print(f"{type(optimizer).__name__:9} {table_step(optimizer):.2f}")
    #> SGD       1.84
    #> LoggedSGD 1.00
    # --8<-- [end:embedding]

    # --8<-- [start:not-finite]
    for bad in (np.nan, np.inf, 1e20):
        for kind in ("clipvalue", "clipnorm", "global_clipnorm"):
            first, second = applied([[bad, 1.0], [3.0, 4.0]], **{kind: 1.0})
            print(f"{bad:<5} {kind:16}", first, second.round(3))
    #> nan   clipvalue        [nan  1.] [1. 1.]
    #> nan   clipnorm         [nan nan] [0.6 0.8]
    #> nan   global_clipnorm  [nan nan] [nan nan]
    #> inf   clipvalue        [1. 1.] [1. 1.]
    #> inf   clipnorm         [nan  0.] [0.6 0.8]
    #> inf   global_clipnorm  [nan nan] [nan nan]
    #> 1e+20 clipvalue        [1. 1.] [1. 1.]
    #> 1e+20 clipnorm         [0. 0.] [0.6 0.8]
    #> 1e+20 global_clipnorm  [nan nan] [nan nan]
    # --8<-- [end:not-finite]

    # --8<-- [start:unscaled]
    target = load_diabetes().target
    print("targets from", target.min(), "to", target.max())
    #> targets from 25.0 to 346.0
    print("as they are:", regress(target))
    #> as they are: nan
    scaled = (target - target.mean()) / target.std()
    print(f"scaled:      {target.std() * regress(scaled):.0f}")
    #~ scaled:      45
    # --8<-- [end:unscaled]

    # --8<-- [start:not-both]
    try:
        keras.optimizers.SGD(0.1, clipnorm=1.0, clipvalue=0.5)
    except ValueError as error:
        print(textwrap.fill(str(error), 70))
    #> Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set.
    #> Received: clipnorm=1.0, clipvalue=0.5, global_clipnorm=None
    # --8<-- [end:not-both]

    # --8<-- [start:solution-1]
    case = [np.array([3.0, 4.0]), np.array([12.0])]
    for kind, clip in clips.items():
        print(f"{kind:16}", *(g.round(3) for g in clip(case, 6.5)))
    #> clipvalue        [3. 4.] [6.5]
    #> clipnorm         [3. 4.] [6.5]
    #> global_clipnorm  [1.5 2. ] [6.]
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    random = np.random.default_rng(0)
    noisy = 1.0 + random.normal(0, 4.0, size=(1000, 16, 50))
    for parts in (1, 4, 16):
        mean = noisy[:, :parts].mean(axis=1)
        length = np.linalg.norm(mean, axis=1)
        print(f"{parts:2} parts: median norm {np.median(length):.1f}, "
              f"clipped at 20: {np.mean(length > 20):.0%}")
    #~  1 parts: median norm 28.9, clipped at 20: 100%
    #~  4 parts: median norm 15.8, clipped at 20: 0%
    #~ 16 parts: median norm 10.0, clipped at 20: 0%
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    waits = np.array([1.0] * 9 + [41.0])
    for c in (100.0, 3.0, 0.1):
        guess = np.zeros(500)
        for _ in range(3000):
            gradient = guess - random.choice(waits, size=500)
            guess -= 0.02 * np.clip(gradient, -c, c)
        print(f"c={c:<5g} settles at {guess.mean():.2f}")
    #~ c=100   settles at 4.96
    #~ c=3     settles at 1.33
    #~ c=0.1   settles at 1.01
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    gradients = np.random.default_rng(0).normal(3.0, 1.0, size=60)
    gradients[20] = 3000
    steps = step_sizes(HistoryClipped(1.0), gradients)
    print("longest step:", f"{steps.max():.1f}")
    #~ longest step: 5.8
    same = np.isclose(steps, np.abs(gradients), rtol=1e-3)
    print("gradients left alone:", same.sum(), "of", len(same))
    #> gradients left alone: 59 of 60
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
