"""Initialization: the numbers from which a deep network starts.

The lesson trains a deep network from Keras' default and from He's kernels,
derives both standard deviations, checks what Keras draws, sends digits
forward and gradients backward through twenty layers, and shows the mistakes
that no error message reports.
"""

# --8<-- [start:imports]
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

numpy = keras.ops.convert_to_numpy
# --8<-- [end:imports]


# --8<-- [start:build]
def build(initializer="glorot_uniform", activation="relu", depth=20,
          optimizer="adam", seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape=(64,))])
    for _ in range(depth):
        model.add(layers.Dense(64, activation=activation,
                               kernel_initializer=initializer))
    model.add(layers.Dense(10))
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:forward]
ACTIVATIONS = {                      # f, and f' in terms of a = f(z)
    "relu": (lambda z: np.maximum(z, 0), lambda a: 1.0 * (a > 0)),
    "tanh": (np.tanh, lambda a: 1 - a ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
}


def draw(sigma, seed, depth=20, width=64):
    """Kernels of `depth` layers, normal with standard deviation sigma."""
    random = np.random.default_rng(seed)
    return [random.normal(0, sigma, (width, width)) for _ in range(depth)]


def forward(x, kernels, activation):
    """The input, and the outputs of all layers."""
    f, _ = ACTIVATIONS[activation]
    outputs = [x]
    for kernel in kernels:
        outputs.append(f(outputs[-1] @ kernel))
    return outputs


def rms(values):
    return np.sqrt(np.mean(values ** 2))
# --8<-- [end:forward]


# --8<-- [start:backward]
def backward(delta, outputs, kernels, activation):
    """dL/dz of each layer, from dL/da of the last."""
    _, slope = ACTIVATIONS[activation]
    deltas = []
    for kernel, a in zip(reversed(kernels), reversed(outputs[1:])):
        deltas.append(delta * slope(a))
        delta = deltas[-1] @ kernel.T
    return deltas[::-1]
# --8<-- [end:backward]


# --8<-- [start:solution-2]
def truncated_normal(sigma, size, random):
    """Cut at two standard deviations, widened so that sigma comes out."""
    wide = sigma / 0.87962566103423978
    values = random.normal(0, wide, size)
    while (outside := np.abs(values) > 2 * wide).any():
        values[outside] = random.normal(0, wide, outside.sum())
    return values
# --8<-- [end:solution-2]


def main():
    # --8<-- [start:data]
    digits = load_digits()
    images = (digits.data - digits.data.mean()) / digits.data.std()
    x_train, x_test, y_train, y_test = train_test_split(
        images.astype("float32"), digits.target, test_size=360,
        stratify=digits.target, random_state=0)
    print(len(images), "images, size", x_train.std().round(1))
    #~ 1797 images, size 1.0
    # --8<-- [end:data]

    # --8<-- [start:fit]
    for initializer in ("glorot_uniform", "he_normal"):
        model = build(initializer)
        before = model.evaluate(x_test, y_test, verbose=0)[1]
        print(f"{initializer:14} before    - val_accuracy: {before:.2f}")
        log = model.fit(
            x_train, y_train, epochs=5, verbose=0,
            validation_data=(x_test, y_test)).history
        for epoch in (0, 2, 4):
            print(f"{initializer:14} Epoch {epoch + 1}/5",
                  f"- loss: {log['loss'][epoch]:.2f}",
                  f"- val_accuracy: {log['val_accuracy'][epoch]:.2f}")
    #~ glorot_uniform before    - val_accuracy: 0.10
    #~ glorot_uniform Epoch 1/5 - loss: 2.16 - val_accuracy: 0.22
    #~ glorot_uniform Epoch 3/5 - loss: 1.38 - val_accuracy: 0.52
    #~ glorot_uniform Epoch 5/5 - loss: 0.76 - val_accuracy: 0.74
    #~ he_normal      before    - val_accuracy: 0.10
    #~ he_normal      Epoch 1/5 - loss: 1.97 - val_accuracy: 0.53
    #~ he_normal      Epoch 3/5 - loss: 0.60 - val_accuracy: 0.82
    #~ he_normal      Epoch 5/5 - loss: 0.30 - val_accuracy: 0.89
    # --8<-- [end:fit]

    # --8<-- [start:scale]
    for factor in (0.5, 0.9, 1.0, 1.1, 2.0):
        print(f"{factor}: {factor ** 20:.1e} after 20 layers, "
              f"{factor ** 100:.1e} after 100")
    #> 0.5: 9.5e-07 after 20 layers, 7.9e-31 after 100
    #> 0.9: 1.2e-01 after 20 layers, 2.7e-05 after 100
    #> 1.0: 1.0e+00 after 20 layers, 1.0e+00 after 100
    #> 1.1: 6.7e+00 after 20 layers, 1.4e+04 after 100
    #> 2.0: 1.0e+06 after 20 layers, 1.3e+30 after 100
    # --8<-- [end:scale]

    # --8<-- [start:draws]
    roots = {"glorot_normal": np.sqrt(2 / (256 + 768)),
             "glorot_uniform": np.sqrt(2 / (256 + 768)),
             "he_normal": np.sqrt(2 / 256), "he_uniform": np.sqrt(2 / 256),
             "lecun_normal": np.sqrt(1 / 256)}
    for name, root in roots.items():
        keras.utils.set_random_seed(0)
        kernel = numpy(keras.initializers.get(name)((256, 768)))
        print(f"{name:14} root {root:.4f}, drawn std {kernel.std():.4f},",
              f"largest {np.abs(kernel).max() / root:.2f} std")
    #~ glorot_normal  root 0.0442, drawn std 0.0442, largest 2.27 std
    #~ glorot_uniform root 0.0442, drawn std 0.0442, largest 1.73 std
    #~ he_normal      root 0.0884, drawn std 0.0883, largest 2.27 std
    #~ he_uniform     root 0.0884, drawn std 0.0884, largest 1.73 std
    #~ lecun_normal   root 0.0625, drawn std 0.0625, largest 2.27 std
    # --8<-- [end:draws]

    # --8<-- [start:defaults]
    for layer, names in (
            (layers.Dense(8), ("kernel", "bias")),
            (layers.Conv2D(8, 3), ("kernel", "bias")),
            (layers.LSTM(8), ("kernel", "recurrent")),
            (layers.Embedding(8, 4), ("embeddings",))):
        for name in names:
            initializer = getattr(layer, f"{name}_initializer")
            print(f"{type(layer).__name__:9} {name:10}",
                  type(initializer).__name__)
    #> Dense     kernel     GlorotUniform
    #> Dense     bias       Zeros
    #> Conv2D    kernel     GlorotUniform
    #> Conv2D    bias       Zeros
    #> LSTM      kernel     GlorotUniform
    #> LSTM      recurrent  Orthogonal
    #> Embedding embeddings RandomUniform
    # --8<-- [end:defaults]

    # --8<-- [start:one-run]
    xavier, he = np.sqrt(1 / 64), np.sqrt(2 / 64)
    for name, sigma in (("Xavier", xavier), ("He", he)):
        outputs = forward(x_train, draw(sigma, seed=0), "relu")
        print(f"{name:6}", *(f"{rms(outputs[layer]):.4f}"
                             for layer in (0, 1, 5, 10, 20)))
    #~ Xavier 1.0002 0.6932 0.1437 0.0148 0.0003
    #~ He     1.0002 0.9804 0.8126 0.4737 0.3548
    # --8<-- [end:one-run]

    # --8<-- [start:sizes]
    schemes = {"0.01": 0.01, "Xavier": xavier, "He": he, "1": 1.0}
    figure, panels = plt.subplots(3, num="sizes", figsize=(5, 6.5),
                                  sharex=True, layout="constrained")
    for axes, activation in zip(panels, ACTIVATIONS):
        for name, sigma in schemes.items():
            outputs = forward(x_train, draw(sigma, seed=0), activation)
            axes.semilogy([rms(a) for a in outputs], label=name)
        axes.set(title=activation, ylim=(1e-6, 1e6),
                 ylabel="size of the outputs")
    panels[0].legend(fontsize="small", ncols=2)
    panels[-1].set(xlabel="layer", xticks=(0, 5, 10, 15, 20))
    plt.show()
    # --8<-- [end:sizes]

    # --8<-- [start:same-image]
    for activation in ACTIVATIONS:
        outputs = forward(x_train, draw(xavier, seed=0), activation)
        last = outputs[-1]
        print(f"{activation:7} size {rms(last):.1e}, of it differences "
              f"between images {rms(last - last.mean(axis=0)):.1e}")
    #~ relu    size 3.5e-04, of it differences between images 1.4e-04
    #~ tanh    size 1.5e-01, of it differences between images 1.3e-01
    #~ sigmoid size 5.1e-01, of it differences between images 1.9e-13
    # --8<-- [end:same-image]

    # --8<-- [start:gradients]
    random = np.random.default_rng(0)
    arriving = random.normal(size=x_train.shape)
    figure, panels = plt.subplots(3, num="gradients", figsize=(5, 6.5),
                                  sharex=True, layout="constrained")
    for axes, activation in zip(panels, ACTIVATIONS):
        for name, sigma in schemes.items():
            kernels = draw(sigma, seed=0)
            outputs = forward(x_train, kernels, activation)
            deltas = backward(arriving, outputs, kernels, activation)
            axes.semilogy(range(1, 21), [rms(d) for d in deltas], label=name)
            if name == "He":
                print(f"{activation:7} first layer {rms(deltas[0]):.1e},",
                      f"last {rms(deltas[-1]):.1e}")
        axes.set(title=activation, ylim=(1e-15, 1e15),
                 ylabel="size of dL/dz")
    #> relu    first layer 5.3e-01, last 7.2e-01
    #> tanh    first layer 1.4e+00, last 7.7e-01
    #> sigmoid first layer 6.4e-11, last 2.3e-01
    panels[0].legend(fontsize="small", ncols=2)
    panels[-1].set(xlabel="layer", xticks=(1, 5, 10, 15, 20))
    plt.show()
    # --8<-- [end:gradients]

    # --8<-- [start:shallow]
    for depth in (3, 20):
        for initializer in ("glorot_uniform", "he_normal"):
            model = build(initializer, depth=depth, optimizer="sgd")
            accuracy = model.fit(
                x_train, y_train, epochs=10, verbose=0,
                validation_data=(x_test, y_test)).history["val_accuracy"][-1]
            print(f"SGD, {depth:2} layers, {initializer:14} {accuracy:.2f}")
    #~ SGD,  3 layers, glorot_uniform 0.91
    #~ SGD,  3 layers, he_normal      0.93
    #~ SGD, 20 layers, glorot_uniform 0.16
    #~ SGD, 20 layers, he_normal      0.87
    # --8<-- [end:shallow]

    # --8<-- [start:fans]
    for layer, shape in ((layers.Dense(512), (None, 64)),
                         (layers.Conv2D(512, 3), (None, 9, 9, 64)),
                         (layers.DepthwiseConv2D(3), (None, 9, 9, 512))):
        name = ("depthwise" if "Depthwise" in type(layer).__name__
                else "kernel") + "_initializer"
        setattr(layer, name, keras.initializers.HeNormal(seed=0))
        layer.build(shape)
        kernel = numpy(layer.weights[0])
        print(f"{type(layer).__name__:15} {kernel.shape}",
              f"fan-in taken for {2 / kernel.var():.0f}")
    #~ Dense           (64, 512) fan-in taken for 64
    #~ Conv2D          (3, 3, 64, 512) fan-in taken for 578
    #~ DepthwiseConv2D (3, 3, 512, 1) fan-in taken for 4524
    # --8<-- [end:fans]

    # --8<-- [start:equal]
    for name in ("zeros", "ones", "he_normal"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([
            keras.Input(shape=(64,)),
            layers.Dense(32, activation="relu", kernel_initializer=name),
            layers.Dense(10, kernel_initializer=name)])
        model.compile(
            optimizer="adam", metrics=["accuracy"],
            loss=keras.losses.SparseCategoricalCrossentropy(
                from_logits=True))
        log = model.fit(x_train, y_train, epochs=10, verbose=0).history
        different = np.unique(numpy(model.layers[0].kernel), axis=1).shape[1]
        print(f"{name:9} accuracy {log['accuracy'][-1]:.2f},",
              "different units:", different)
    #~ zeros     accuracy 0.10, different units: 1
    #~ ones      accuracy 0.13, different units: 1
    #~ he_normal accuracy 0.97, different units: 32
    # --8<-- [end:equal]

    # --8<-- [start:one-object]
    shared = keras.initializers.HeNormal()
    a, b = numpy(shared((64, 64))), numpy(shared((64, 64)))
    print("one object:", np.array_equal(a, b))
    #> one object: True
    by_name = [layers.Dense(64, kernel_initializer="he_normal")
               for _ in range(2)]
    for layer in by_name:
        layer.build((None, 64))
    a, b = (numpy(layer.kernel) for layer in by_name)
    print("by name:   ", np.array_equal(a, b))
    #> by name:    False
    # --8<-- [end:one-object]

    # --8<-- [start:variance]
    for sigma in (np.sqrt(2 / 64), 2 / 64):
        outputs = forward(x_train, draw(sigma, seed=0), "relu")
        print(f"stddev={sigma:.3f}: size after 20 layers "
              f"{rms(outputs[-1]):.0e}")
    #~ stddev=0.177: size after 20 layers 4e-01
    #~ stddev=0.031: size after 20 layers 3e-16
    # --8<-- [end:variance]

    # --8<-- [start:solution-1]
    z = random.normal(size=1_000_000)
    for slope in (0.0, 0.1, 0.3, 1.0):
        measured = np.mean(np.where(z > 0, z, slope * z) ** 2)
        print(f"slope {slope}: c = {(1 + slope ** 2) / 2:.3f}, "
              f"measured {measured:.3f}")
    #~ slope 0.0: c = 0.500, measured 0.502
    #~ slope 0.1: c = 0.505, measured 0.507
    #~ slope 0.3: c = 0.545, measured 0.547
    #~ slope 1.0: c = 1.000, measured 1.001
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2-compare]
    ours = truncated_normal(np.sqrt(2 / 64), 200_000, random)
    theirs = numpy(keras.initializers.HeNormal(seed=0)((64, 3125))).ravel()
    print("largest difference of sorted values, in std:",
          round(np.abs(np.sort(ours) - np.sort(theirs)).max()
                / np.sqrt(2 / 64), 2))
    #~ largest difference of sorted values, in std: 0.02
    # --8<-- [end:solution-2-compare]

    # --8<-- [start:solution-3]
    for last in ("he_normal", "zeros"):
        model = build("he_normal", depth=3)
        model.layers[-1].kernel.assign(
            keras.initializers.get(last)((64, 10)))
        loss = model.evaluate(x_test, y_test, verbose=0)[0]
        print(f"{last:9} first loss {loss:.3f}, log 10 = {np.log(10):.3f}")
    #~ he_normal first loss 3.068, log 10 = 2.303
    #~ zeros     first loss 2.303, log 10 = 2.303
    # --8<-- [end:solution-3]


if __name__ == "__main__":
    main()
