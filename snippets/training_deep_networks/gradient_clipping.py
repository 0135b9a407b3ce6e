"""Gradient clipping: what the three kinds do, when they help, when they hurt.

The lesson clips one gradient in the three ways Keras offers, shows why the
gradient of a recurrent network explodes, lets one explode and saves it,
measures what clipping does to the direction of a step, to Adam and to a
network that needs no clipping, and lists what clipping cannot mend.
"""

# --8<-- [start:imports]
import os
import textwrap

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # no log of TensorFlow's C++

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:applied]
def applied(gradients, **clipping):
    """What SGD with learning rate 1 subtracts for these gradients."""
    variables = [keras.Variable(np.zeros(np.shape(g)), dtype="float32")
                 for g in gradients]
    optimizer = keras.optimizers.SGD(1.0, **clipping)
    optimizer.apply([tf.constant(g, "float32") for g in gradients],
                    variables)
    return [0.0 - v.numpy() for v in variables]
# --8<-- [end:applied]


# --8<-- [start:one-unit]
def one_unit(w, steps=10, b=-0.6, target=0.5):
    """Loss and dloss/dw of h = tanh(w h + b), repeated, from h = 0.5."""
    h, slope = 0.5, 0.0
    for _ in range(steps):
        before = h
        h = np.tanh(w * before + b)
        slope = (1 - h ** 2) * (before + w * slope)
    return (h - target) ** 2, 2 * (h - target) * slope
# --8<-- [end:one-unit]


# --8<-- [start:descend]
def descend(w, c=None, learning_rate=0.3, steps=200):
    """Gradient descent on the one weight; every place it visits."""
    places = [w]
    for _ in range(steps):
        gradient = one_unit(places[-1])[1]
        if c is not None:
            gradient = np.clip(gradient, -c, c)
        places.append(places[-1] - learning_rate * gradient)
    return np.array(places)
# --8<-- [end:descend]


# --8<-- [start:reader]
def build_reader(seed=0):
    """Reads an 8x8 image in 16 portions of 4 pixels."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        keras.Input(shape=(16, 4), dtype="float64"),
        keras.layers.SimpleRNN(
            32, activation="relu", recurrent_initializer="identity",
            unroll=True, dtype="float64"),
        keras.layers.Dense(10, dtype="float64"),
    ])
# --8<-- [end:reader]


# --8<-- [start:gradient-function]
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def gradient_function(model):
    """The model's step up to the gradients, as one graph."""
    @tf.function
    def gradients(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        return loss, tf.linalg.global_norm(gradients), gradients
    return gradients
# --8<-- [end:gradient-function]


# --8<-- [start:gradient-by-portion]
def gradient_by_portion(model, x, y):
    """Norm of dloss/dx for each of the portions that were read."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = loss_of(y, model(x))
    return np.linalg.norm(tape.gradient(loss, x), axis=(0, 2))
# --8<-- [end:gradient-by-portion]


# --8<-- [start:train]
def train(model, gradients, optimizer, starts, data, steps=100):
    """Train from each start; loss and norm before each of the steps."""
    x, y, x_test, y_test = data
    optimizer.build(model.trainable_variables)
    apply = tf.function(optimizer.apply)
    fresh = [v.numpy() for v in optimizer.variables]
    losses, norms, accuracy = [], [], []
    for seed, weights in enumerate(starts):
        model.set_weights(weights)
        for variable, value in zip(optimizer.variables, fresh):
            variable.assign(value)
        random = np.random.default_rng(seed)
        for rows in random.integers(0, len(x), size=(steps, 100)):
            loss, norm, grads = gradients(x[rows], y[rows])
            apply(grads)
            losses.append(float(loss))
            norms.append(float(norm))
        guess = np.argmax(model(x_test), axis=1)
        accuracy.append(np.mean(guess == y_test))
    shape = (len(starts), steps)
    return (np.reshape(losses, shape), np.reshape(norms, shape),
            np.array(accuracy))


def report(losses, norms, accuracy):
    """One line for each run: its largest norm, last loss and accuracy."""
    for seed in range(len(losses)):
        print(f"{seed}: norm 10^{np.log10(norms[seed].max()):.1f},",
              f"loss {losses[seed, -1]:.2f},",
              f"accuracy {accuracy[seed]:.2f}")
# --8<-- [end:train]


# --8<-- [start:from-scratch]
def clip_by_value(gradients, c):
    return [np.clip(g, -c, c) for g in gradients]


def clip_each_norm(gradients, c):
    return [g * c / max(np.linalg.norm(g), c) for g in gradients]


def global_norm(gradients):
    return np.sqrt(sum(np.sum(g ** 2) for g in gradients))


def clip_global_norm(gradients, c):
    norm = global_norm(gradients)
    return [g * c / max(norm, c) for g in gradients]
# --8<-- [end:from-scratch]


# --8<-- [start:cosine]
def cosine(first, second):
    """Of two lists of arrays, each taken as one long vector."""
    dot = sum(np.sum(a * b) for a, b in zip(first, second))
    return dot / (global_norm(first) * global_norm(second))
# --8<-- [end:cosine]


# --8<-- [start:build-classifier]
def build_classifier(seed=0):
    """A plain network that trains well without any clipping."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(10),
    ])
# --8<-- [end:build-classifier]


# --8<-- [start:step-sizes]
def step_sizes(optimizer, gradients):
    """How far one weight moves for each gradient of a sequence."""
    weight = keras.Variable([0.0])
    optimizer.build([weight])
    apply = tf.function(optimizer.apply)
    places = [0.0]
    for gradient in gradients:
        apply([tf.constant([gradient], "float32")])
        places.append(float(weight.numpy()[0]))
    return np.abs(np.diff(places))
# --8<-- [end:step-sizes]


def main():
    # --8<-- [start:three-kinds]
    gradients = [np.array([9.6, 7.2]), np.array([1.4, -4.8])]

    for kind in ("clipvalue", "clipnorm", "global_clipnorm"):
        first, second = applied(gradients, **{kind: 6.5})
        print(f"{kind:16}", first.round(3), second.round(3))
    #> clipvalue        [6.5 6.5] [ 1.4 -4.8]
    #> clipnorm         [5.2 3.9] [ 1.4 -4.8]
    #> global_clipnorm  [4.8 3.6] [ 0.7 -2.4]
    # --8<-- [end:three-kinds]

    # --8<-- [start:not-both]
    try:
        keras.optimizers.SGD(0.1, clipnorm=1.0, clipvalue=0.5)
    except ValueError as error:
        print(textwrap.fill(str(error), 70))
    #> Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set.
    #> Received: clipnorm=1.0, clipvalue=0.5, global_clipnorm=None
    # --8<-- [end:not-both]

    # --8<-- [start:in-apply]
    weight = keras.Variable([3.0, 4.0])
    optimizer = keras.optimizers.SGD(1.0, clipnorm=1.0)
    with tf.GradientTape() as tape:
        loss = 50 * keras.ops.sum(weight ** 2)
    gradient = tape.gradient(loss, weight)
    print("from the tape:", gradient.numpy())
    #> from the tape: [300. 400.]
    optimizer.apply([gradient], [weight])
    print("after apply:  ", gradient.numpy())
    #> after apply:   [300. 400.]
    print("weight moved: ", (np.array([3, 4]) - weight.numpy()).round(3))
    #> weight moved:  [0.6 0.8]
    # --8<-- [end:in-apply]

    # --8<-- [start:powers]
    for w in (0.9, 1.0, 1.1):
        print(w, [f"{T * w ** (T - 1):.1e}" for T in (10, 100, 1000)])
    #> 0.9 ['3.9e+00', '3.0e-03', '1.9e-43']
    #> 1.0 ['1.0e+01', '1.0e+02', '1.0e+03']
    #> 1.1 ['2.4e+01', '1.3e+06', '2.2e+44']
    # --8<-- [end:powers]

    # --8<-- [start:cliff]
    weights = np.linspace(2.0, 2.6, 6001)
    losses, slopes = one_unit(weights)
    figure, (top, bottom) = plt.subplots(
        2, num="cliff", figsize=(5, 4), sharex=True)
    top.plot(weights, losses)
    top.set(ylabel="loss")
    bottom.plot(weights, np.abs(slopes))
    bottom.set(yscale="log", ylim=(1e-3, 1e4), xlabel="$w$",
               ylabel="|slope|")
    plt.show()
    # --8<-- [end:cliff]

    # --8<-- [start:walk]
    free, bounded = descend(2.6), descend(2.6, c=0.02)
    print("without:", *free[:9].round(2))
    #~ without: 2.6 2.57 2.54 2.5 2.46 2.42 2.37 2.29 136.33
    print("the last hundred, clipped: from",
          bounded[-100:].min().round(3), "to", bounded[-100:].max().round(3))
    #~ the last hundred, clipped: from 2.294 to 2.3
    # --8<-- [end:walk]

    # --8<-- [start:load]
    x, y = load_digits(return_X_y=True)
    x = x / 16
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=360, stratify=y, random_state=0)
    flat = x_train, y_train, x_test, y_test
    portions = (x_train.reshape(-1, 16, 4), y_train,
                x_test.reshape(-1, 16, 4), y_test)
    print(portions[0].shape, portions[2].shape)
    #> (1437, 16, 4) (360, 16, 4)
    # --8<-- [end:load]

    # --8<-- [start:reader-shapes]
    starts = [build_reader(seed).get_weights() for seed in range(3)]
    reader = build_reader()
    for variable in reader.trainable_variables:
        print(f"{variable.name:17}", variable.shape)
    #> kernel            (4, 32)
    #> recurrent_kernel  (32, 32)
    #> bias              (32,)
    #> kernel            (32, 10)
    #> bias              (10,)
    # --8<-- [end:reader-shapes]

    # --8<-- [start:radius]
    kernel = reader.layers[0].cell.recurrent_kernel
    figure, axes = plt.subplots(num="portions", figsize=(5, 3))
    for radius in (0.7, 1.0, 1.3):
        kernel.assign(radius * np.eye(32))
        norms = gradient_by_portion(reader, portions[0][:100], y_train[:100])
        print(f"radius {radius}: first / last = {norms[0] / norms[-1]:.1e}")
        axes.plot(range(1, 17), norms, "o-", label=rf"$\rho={radius}$")
    #~ radius 0.7: first / last = 2.9e-03
    #~ radius 1.0: first / last = 7.0e-01
    #~ radius 1.3: first / last = 4.1e+01
    axes.set(yscale="log", xlabel="portion $t$", ylabel="gradient norm",
             xticks=range(1, 17, 3))
    axes.legend()
    plt.show()
    # --8<-- [end:radius]

    # --8<-- [start:unclipped]
    reader_gradients = gradient_function(reader)
    unclipped = train(reader, reader_gradients, keras.optimizers.SGD(0.1),
                      starts, portions)
    report(*unclipped)
    #~ 0: norm 10^3.5, loss 2.29, accuracy 0.17
    #~ 1: norm 10^6.4, loss 2.30, accuracy 0.19
    #~ 2: norm 10^5.6, loss 2.28, accuracy 0.17
    losses, _, _ = unclipped
    print("NaN:", np.isnan(losses).sum(), "of", losses.size, "losses")
    #~ NaN: 0 of 300 losses
    # --8<-- [end:unclipped]

    # --8<-- [start:dead]
    hidden = reader.layers[0](portions[2]).numpy()
    print("hidden values that are 0:", f"{np.mean(hidden == 0):.0%}")
    #~ hidden values that are 0: 97%
    # --8<-- [end:dead]

    # --8<-- [start:clipped]
    clipped = train(reader, reader_gradients,
                    keras.optimizers.SGD(0.1, global_clipnorm=1.0),
                    starts, portions)
    report(*clipped)
    #~ 0: norm 10^1.3, loss 1.46, accuracy 0.61
    #~ 1: norm 10^1.9, loss 1.22, accuracy 0.46
    #~ 2: norm 10^1.8, loss 1.16, accuracy 0.47
    # --8<-- [end:clipped]

    # --8<-- [start:explosion]
    figure, axes = plt.subplots(2, 1, num="explosion", figsize=(5, 5),
                                sharex=True)
    for color, label, run in (("C3", "none", unclipped),
                              ("C0", "global_clipnorm=1", clipped)):
        for seed in range(3):
            for panel, values in zip(axes, run):
                panel.plot(values[seed], color=color, linewidth=1,
                           label=label if seed == 0 else None)
    axes[0].set(ylabel="loss", yscale="log", ylim=(0.5, 1e6))
    axes[1].set(ylabel="gradient norm", yscale="log", ylim=(1e-2, 1e8),
                xlabel="step")
    axes[0].legend()
    plt.show()
    # --8<-- [end:explosion]

    # --8<-- [start:table]
    def show(name, run):
        losses, _, accuracy = run
        failed = ~(losses[:, -20:].mean(axis=1) < 2)
        print(f"{name:16} {failed.sum()}/3 failed ",
              f"{accuracy.mean():.2f} ± {accuracy.std():.2f}")

    def read(learning_rate, **clipping):
        optimizer = keras.optimizers.SGD(learning_rate, **clipping)
        return train(reader, reader_gradients, optimizer, starts, portions)

    careful = read(0.01)
    for name, run in (
            ("0.1  no clipping", unclipped),
            ("0.03 no clipping", read(0.03)),
            ("0.01 no clipping", careful),
            ("0.1  value  0.03", read(0.1, clipvalue=0.03)),
            ("0.1  norm   1", read(0.1, clipnorm=1.0)),
            ("0.1  global 1", clipped)):
        show(name, run)
    #~ 0.1  no clipping 3/3 failed  0.18 ± 0.01
    #~ 0.03 no clipping 2/3 failed  0.20 ± 0.12
    #~ 0.01 no clipping 0/3 failed  0.39 ± 0.13
    #~ 0.1  value  0.03 0/3 failed  0.49 ± 0.04
    #~ 0.1  norm   1    0/3 failed  0.58 ± 0.01
    #~ 0.1  global 1    0/3 failed  0.51 ± 0.07
    # --8<-- [end:table]

    # --8<-- [start:percentiles]
    _, norms, _ = careful
    for percent in (10, 50, 90, 100):
        print(f"{percent:3}%", np.percentile(norms, percent).round(1))
    #~  10% 1.9
    #~  50% 4.5
    #~  90% 10.7
    #~ 100% 155.4
    # --8<-- [end:percentiles]

    # --8<-- [start:sweep]
    for rate, c in ((0.03, 3.0), (0.01, 10.0)):
        show(f"{rate} global {c:g}", read(rate, global_clipnorm=c))
    #~ 0.03 global 3    0/3 failed  0.54 ± 0.02
    #~ 0.01 global 10   0/3 failed  0.51 ± 0.05
    _, _, accuracy = read(0.1, global_clipnorm=10.0)
    print("0.1  global 10  below 0.4:", bool(accuracy.mean() < 0.4))
    #> 0.1  global 10  below 0.4: True
    # --8<-- [end:sweep]

    # --8<-- [start:cosines]
    reader.set_weights(starts[0])
    _, norm, tensors = reader_gradients(portions[0][:100], y_train[:100])
    real = [t.numpy() for t in tensors]
    print("norms:", [float(np.linalg.norm(g).round(1)) for g in real])
    #~ norms: [2.3, 15.2, 3.6, 2.5, 0.3]
    kept, cosines = {}, {}
    for clip, top in ((clip_by_value, 10), (clip_each_norm, 50),
                      (clip_global_norm, 50)):
        results = [clip(real, c) for c in np.geomspace(1e-4, top, 200)]
        kept[clip] = [global_norm(r) / global_norm(real) for r in results]
        cosines[clip] = [cosine(r, real) for r in results]
        at = np.interp([0.5, 0.1, 0.01], kept[clip], cosines[clip])
        print(f"{clip.__name__:16} cosine", at.round(2))
    #~ clip_by_value    cosine [0.85 0.61 0.51]
    #~ clip_each_norm   cosine [0.94 0.73 0.67]
    #~ clip_global_norm cosine [1. 1. 1.]
    # --8<-- [end:cosines]

    # --8<-- [start:direction]
    figure, axes = plt.subplots(num="direction", figsize=(5, 3))
    for clip, label in ((clip_by_value, "clipvalue"),
                        (clip_each_norm, "clipnorm"),
                        (clip_global_norm, "global_clipnorm")):
        axes.plot(kept[clip], cosines[clip], label=label)
    axes.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.05),
             xlabel="norm after / norm before", ylabel="cosine")
    axes.legend(loc="lower right")
    plt.show()
    # --8<-- [end:direction]

    # --8<-- [start:same-as-keras]
    random = np.random.default_rng(0)
    for clip, kind in ((clip_by_value, "clipvalue"),
                       (clip_each_norm, "clipnorm"),
                       (clip_global_norm, "global_clipnorm")):
        worst = 0
        for _ in range(5):
            case = [random.normal(size=s) * 10 ** random.uniform(-2, 2)
                    for s in ((4, 32), (32, 32), (32,))]
            ours, theirs = clip(case, 1.5), applied(case, **{kind: 1.5})
            worst = max(worst, *(np.abs(a - b).max()
                                 for a, b in zip(ours, theirs)))
        print(f"{kind:16} equal to 6 digits:", bool(worst < 1e-6))
    #> clipvalue        equal to 6 digits: True
    #> clipnorm         equal to 6 digits: True
    #> global_clipnorm  equal to 6 digits: True
    # --8<-- [end:same-as-keras]

    # --8<-- [start:edge-cases]
    print("zero: ", applied([[0.0, 0.0]], clipnorm=1.0)[0])
    #> zero:  [0. 0.]
    print("small:", applied([[3e-9, 4e-9]], global_clipnorm=1.0)[0])
    #> small: [3.e-09 4.e-09]
    print("0:    ", applied([[3.0, 4.0]], clipnorm=0.0)[0])
    #> 0:     [3. 4.]
    print("-1:   ", applied([[3.0, 4.0]], global_clipnorm=-1.0)[0])
    #> -1:    [3. 4.]
    # --8<-- [end:edge-cases]

    # --8<-- [start:adam-scale]
    gradients = np.random.default_rng(0).normal(1.0, 1.0, size=100)
    for name, factor, clipping in (
            ("as it is", 1, {}), ("a hundredth", 0.01, {}),
            ("clip 0.01", 1, {"clipvalue": 0.01}),
            ("clip 0.001", 1, {"clipvalue": 0.001})):
        moved = step_sizes(keras.optimizers.Adam(0.01, **clipping),
                           factor * gradients)
        print(f"{name:12} way {moved.sum():.3f}")
    #~ as it is     way 0.815
    #~ a hundredth  way 0.815
    #~ clip 0.01    way 0.734
    #~ clip 0.001   way 0.732
    # --8<-- [end:adam-scale]

    # --8<-- [start:adam-spike]
    gradients[30] = 1000.0
    spiked = step_sizes(keras.optimizers.Adam(0.01), gradients)
    bounded = step_sizes(keras.optimizers.Adam(0.01, clipvalue=3.0),
                         gradients)
    print("               spike   next ten  last fifty")
    #>                spike   next ten  last fifty
    for name, moved in (("Adam", spiked), ("Adam, clipped", bounded)):
        print(f"{name:14} {moved[30]:.4f}  {moved[31:41].sum():.4f}   ",
              f"{moved[-50:].sum():.4f}")
    #~ Adam           0.0058  0.0362    0.0145
    #~ Adam, clipped  0.0085  0.0860    0.4016
    # --8<-- [end:adam-spike]

    # --8<-- [start:adam-figure]
    figure, axes = plt.subplots(num="adam", figsize=(5, 3))
    axes.plot(spiked, color="C3", label="Adam")
    axes.plot(bounded, color="C0", label="Adam, clipvalue=3")
    axes.set(yscale="log", ylim=(1e-5, 1), xlabel="step",
             ylabel="step size")
    axes.legend()
    plt.show()
    # --8<-- [end:adam-figure]

    # --8<-- [start:adam-reader]
    for name, clipping in (("Adam", {}),
                           ("Adam global 1", {"global_clipnorm": 1.0})):
        optimizer = keras.optimizers.Adam(0.01, **clipping)
        show(name, train(reader, reader_gradients, optimizer,
                         starts, portions))
    #~ Adam             0/3 failed  0.60 ± 0.06
    #~ Adam global 1    0/3 failed  0.73 ± 0.06
    # --8<-- [end:adam-reader]

    # --8<-- [start:harm]
    firsts = [build_classifier(seed).get_weights() for seed in range(3)]
    classifier = build_classifier()
    classifier_gradients = gradient_function(classifier)

    def classify(learning_rate, c):
        return train(classifier, classifier_gradients,
                     keras.optimizers.SGD(learning_rate, global_clipnorm=c),
                     firsts, flat, steps=60)

    print("rate  c     clipped  loss  accuracy")
    #> rate  c     clipped  loss  accuracy
    for rate, c in ((0.5, None), (0.5, 1.0), (0.5, 0.1), (50.0, 0.01),
                    (0.5, 0.01)):
        losses, norms, accuracy = classify(rate, c)
        share = 0.0 if c is None else np.mean(norms > c)
        print(f"{rate:<5} {str(c):5} {share:6.0%}   ",
              f"{losses[:, -10:].mean():.2f}  {accuracy.mean():.3f}")
    #~ 0.5   None      0%    0.32  0.903
    #~ 0.5   1.0       5%    0.31  0.906
    #~ 0.5   0.1     100%    1.51  0.734
    #~ 50.0  0.01    100%    0.28  0.896
    #~ 0.5   0.01    100%    2.26  0.137
    # --8<-- [end:harm]

    # --8<-- [start:only-a-rate]
    others, _, _ = classify(5.0, 0.001)
    print("clipped in every step:", bool(norms.min() > 0.01))
    #> clipped in every step: True
    print("same losses:", np.allclose(losses, others, atol=1e-3))
    #> same losses: True
    # --8<-- [end:only-a-rate]

    # --8<-- [start:accumulate]
    weight = keras.Variable([0.0, 0.0])
    optimizer = keras.optimizers.SGD(
        1.0, clipnorm=1.0, gradient_accumulation_steps=2)
    for gradient in ([10.0, 0.0], [-8.0, 1.0]):
        optimizer.apply([tf.constant(gradient)], [weight])
        print(0.0 - weight.numpy().round(3))
    #> [0. 0.]
    #> [0.894 0.447]
    mean = np.mean([[10.0, 0.0], [-8.0, 1.0]], axis=0)
    print("mean, then clipped:", clip_each_norm([mean], 1.0)[0].round(3))
    #> mean, then clipped: [0.894 0.447]
    # --8<-- [end:accumulate]

    # --8<-- [start:loss-scale]
    scaled = [[0.3 * 1024, 0.4 * 1024]]
    print(applied(scaled, clipnorm=1.0, loss_scale_factor=1024)[0])
    #> [0.3 0.4]
    print(applied(scaled, clipnorm=1.0)[0])
    #> [0.6 0.8]
    # --8<-- [end:loss-scale]

    # --8<-- [start:decay]
    weight = keras.Variable([100.0, 0.0])
    optimizer = keras.optimizers.SGD(1.0, weight_decay=0.5, clipnorm=1.0)
    optimizer.apply([tf.constant([0.0, 3.0])], [weight])
    print(weight.numpy())
    #> [50. -1.]
    # --8<-- [end:decay]

    # --8<-- [start:embedding]
    table = keras.layers.Embedding(3, 2, embeddings_initializer="zeros")
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(table(np.array([1, 1, 1, 1, 2])))
    gradient = tape.gradient(loss, table.embeddings)
    print(type(gradient).__name__, gradient.values.shape)
    #> IndexedSlices (5, 2)
    dense = tf.convert_to_tensor(gradient)
    print("true norm:", round(float(tf.norm(dense)), 2))
    #> true norm: 5.83
    for kind in ("clipnorm", "clipvalue"):
        for what in (gradient, dense):
            table.embeddings.assign(np.zeros((3, 2)))
            optimizer = keras.optimizers.SGD(1.0, **{kind: 1.0})
            optimizer.apply([what], [table.embeddings])
            moved = np.abs(table.embeddings.numpy())
            print(f"{kind:10} norm {np.linalg.norm(moved):.2f},",
                  f"largest {moved.max():.2f}")
    #> clipnorm   norm 1.84, largest 1.26
    #> clipnorm   norm 1.00, largest 0.69
    #> clipvalue  norm 5.83, largest 4.00
    #> clipvalue  norm 2.00, largest 1.00
    # --8<-- [end:embedding]

    # --8<-- [start:two-variables]
    two = applied([[30.0, 40.0], [3.0, 4.0]], clipnorm=1.0)
    print(*two, "norm of both:", global_norm(two).round(3))
    #> [0.6 0.8] [0.6 0.8] norm of both: 1.414
    many = [np.full(4, 100.0) for _ in range(25)]
    print("25 variables:", global_norm(applied(many, clipnorm=1.0)).round(3))
    #> 25 variables: 5.0
    # --8<-- [end:two-variables]

    # --8<-- [start:too-late]
    weight = keras.Variable([0.0, 0.0])
    optimizer = keras.optimizers.SGD(1.0)
    gradient = tf.constant([30.0, 40.0])
    optimizer.apply([gradient], [weight])
    gradient = tf.clip_by_norm(gradient, 1.0)
    print("moved by", np.linalg.norm(weight.numpy()))
    #> moved by 50.0
    # --8<-- [end:too-late]

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

    # --8<-- [start:skip]
    weight = keras.Variable([1.0, 1.0])
    inner = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024)
    optimizer.apply([tf.constant([np.nan, 1.0])], [weight])
    print(weight.numpy(), float(optimizer.dynamic_scale))
    #> [1. 1.] 512.0
    # --8<-- [end:skip]

    # --8<-- [start:solution-1]
    g = [np.array([3.0, 4.0]), np.array([12.0])]
    for clip in (clip_by_value, clip_each_norm, clip_global_norm):
        print(f"{clip.__name__:16}", *(a.round(3) for a in clip(g, 6.5)),
              f"cosine {cosine(clip(g, 6.5), g):.3f}")
    #> clip_by_value    [3. 4.] [6.5] cosine 0.966
    #> clip_each_norm   [3. 4.] [6.5] cosine 0.966
    #> clip_global_norm [1.5 2. ] [6.] cosine 1.000
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    for c in (1e-1, 1e-3, 1e-6):
        tiny = clip_by_value(real, c)
        signs = [np.sign(g) for g in real]
        print(f"c={c:g}: cosine with the signs {cosine(tiny, signs):.3f}")
    #~ c=0.1: cosine with the signs 0.780
    #~ c=0.001: cosine with the signs 0.971
    #~ c=1e-06: cosine with the signs 1.000
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    waits = np.array([1.0] * 9 + [41.0])
    random = np.random.default_rng(0)
    for c in (100.0, 3.0, 0.1):
        guess = np.zeros(500)
        for _ in range(3000):
            gradient = guess - random.choice(waits, size=500)
            guess -= 0.02 * np.clip(gradient, -c, c)
        print(f"c={c:<5g} settles at {guess.mean():.2f}")
    #~ c=100   settles at 5.01
    #~ c=3     settles at 1.33
    #~ c=0.1   settles at 1.01
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    def adaptive(norms, percent=50, window=50):
        """A threshold for each step, from the norms before it."""
        return [np.percentile(norms[max(0, t - window):t], percent)
                if t else norms[0] for t in range(len(norms))]

    threshold = np.array([adaptive(run) for run in careful[1]])
    print("clipped:", f"{np.mean(careful[1] > threshold):.0%}")
    #~ clipped: 66%
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
