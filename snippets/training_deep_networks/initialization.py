"""Initialization: the numbers from which a deep network starts.

The lesson derives Xavier's and He's standard deviations, proves what Keras'
initializers draw, sends digits forward and gradients backward through twenty
layers in NumPy and in Keras, predicts both with a recursion of two lines,
measures what each cure does to the gradients and to training, and shows the
mistakes that no error message reports.
"""

# --8<-- [start:imports]
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
# --8<-- [end:imports]

# --8<-- [start:schemes]
SCHEMES = {
    "zeros": lambda fan_in, fan_out: 0.0,
    "N(0, 0.01)": lambda fan_in, fan_out: 0.01,
    "N(0, 1)": lambda fan_in, fan_out: 1.0,
    "Xavier": lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out)),
    "He": lambda fan_in, fan_out: np.sqrt(2 / fan_in),
}


def draw_kernels(scheme, sizes, seed):
    """One kernel for each pair of neighbouring sizes."""
    random = np.random.default_rng(seed)
    return [random.normal(0.0, SCHEMES[scheme](fan_in, fan_out),
                          size=(fan_in, fan_out))
            for fan_in, fan_out in zip(sizes, sizes[1:])]
# --8<-- [end:schemes]


# --8<-- [start:forward]
# each activation with its derivative, written in terms of its output a
ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "relu": (lambda z: np.maximum(z, 0), lambda a: np.float64(a > 0)),
}


def forward(x, kernels, activation):
    """The outputs of the layers, the input first, and the logits."""
    f, _ = ACTIVATIONS[activation]
    outputs = [x]
    for kernel in kernels[:-1]:
        outputs.append(f(outputs[-1] @ kernel))
    return outputs, outputs[-1] @ kernels[-1]
# --8<-- [end:forward]


# --8<-- [start:backward]
def backward(y, outputs, logits, kernels, activation):
    """dL/dz of each layer and dL/dW of each kernel, cross-entropy."""
    _, derivative = ACTIVATIONS[activation]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    deltas = [(softmax - np.eye(10)[y]) / len(y)]
    for kernel, output in zip(kernels[:0:-1], outputs[:0:-1]):
        deltas.insert(0, deltas[0] @ kernel.T * derivative(output))
    gradients = [a.T @ delta for a, delta in zip(outputs, deltas)]
    return deltas, gradients
# --8<-- [end:backward]


# --8<-- [start:rms]
def rms(values):
    return np.sqrt(np.mean(np.square(values, dtype="float64")))


def norm(gradient):
    return np.linalg.norm(np.asarray(gradient, dtype="float64"))
# --8<-- [end:rms]


# --8<-- [start:build]
def build(activation="relu", normalization=None, residual=False):
    """Twenty hidden layers of 64 units, then ten logits."""
    inputs = hidden = keras.Input(shape=(64,))
    for _ in range(20):
        branch = keras.layers.Dense(64)(hidden)
        if normalization is not None:
            branch = normalization()(branch)
        branch = keras.layers.Activation(activation)(branch)
        hidden = keras.layers.add([hidden, branch]) if residual else branch
    return keras.Model(inputs, keras.layers.Dense(10)(hidden))


def dense_layers(model):
    return [layer for layer in model.layers
            if isinstance(layer, keras.layers.Dense)]
# --8<-- [end:build]


# --8<-- [start:keras-gradients]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def kernel_gradients(model, x, y):
    kernels = [layer.kernel for layer in dense_layers(model)]
    with tf.GradientTape() as tape:
        loss = cross_entropy(y, model(x, training=True))
    return [gradient.numpy() for gradient in tape.gradient(loss, kernels)]
# --8<-- [end:keras-gradients]


# --8<-- [start:recursion]
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(200)


def gaussian_mean(function, q):
    """E[function(z)] for z drawn from a normal of variance q."""
    return WEIGHTS @ function(np.sqrt(q) * NODES) / np.sqrt(2 * np.pi)


def predict(activation, gain, q, depth):
    """rms of each layer's output, and each layer's factor on gradients.

    gain = n * sigma**2, q = mean square of the input.
    """
    f, derivative = ACTIVATIONS[activation]
    sizes, factors = [], []
    for _ in range(depth):
        variance = gain * q
        q = gaussian_mean(lambda z: f(z)**2, variance)
        slope = gaussian_mean(lambda z: derivative(f(z))**2, variance)
        sizes.append(np.sqrt(q))
        factors.append(np.sqrt(gain * slope))
    return np.array(sizes), np.array(factors)
# --8<-- [end:recursion]


# --8<-- [start:numpy-initializers]
def uniform_limit(scale, fan):
    return np.sqrt(3 * scale / fan)


def truncated_normal(scale, fan, shape, random):
    """A normal cut at two sigma, widened so that its std is as wanted."""
    sigma = np.sqrt(scale / fan) / 0.87962566103423978
    values = random.normal(0.0, sigma, size=shape)
    while (outside := np.abs(values) > 2 * sigma).any():
        values[outside] = random.normal(0.0, sigma, size=outside.sum())
    return values
# --8<-- [end:numpy-initializers]


# --8<-- [start:start]
def start(model, kernels):
    """Give a model these kernels, biases of 0 and gammas of 1."""
    kernels = iter(kernels)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel.assign(next(kernels))
            layer.bias.assign(np.zeros(layer.bias.shape))
        elif layer.trainable_variables:
            layer.gamma.assign(np.ones(layer.gamma.shape))
            layer.beta.assign(np.zeros(layer.beta.shape))
# --8<-- [end:start]


# --8<-- [start:make-trainer]
def make_trainer(model, x, y, rate=0.02, batch=100):
    """A function: train from these kernels; loss, accuracy at the end."""
    variables = model.trainable_variables

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = cross_entropy(y, logits)
        for variable, gradient in zip(
                variables, tape.gradient(loss, variables)):
            variable.assign_sub(rate * gradient)
        right = keras.metrics.sparse_categorical_accuracy(y, logits)
        return loss, keras.ops.mean(right)

    def train(kernels, epochs=4):
        start(model, kernels)
        for _ in range(epochs):
            results = [step(x[i:i + batch], y[i:i + batch])
                       for i in range(0, len(x), batch)]
        return np.mean([(float(loss), float(accuracy))
                        for loss, accuracy in results], axis=0)

    return train
# --8<-- [end:make-trainer]


# --8<-- [start:report]
def report(train, name, scheme):
    """Train from three seeds; print median loss and all accuracies."""
    sizes = [64] * 21 + [10]
    losses, accuracies = zip(*(
        train(draw_kernels(scheme, sizes, seed)) for seed in range(3)))
    print(f"{name:17}{scheme:6} {np.median(losses):4.2f}    ",
          *(f"{value:.2f}" for value in sorted(accuracies)))
# --8<-- [end:report]


# --8<-- [start:train-eagerly]
def train_eagerly(model, x, y, steps=8):
    """A few steps of Adam on all the data; returns the loss."""
    optimizer = keras.optimizers.Adam(0.02)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    return float(cross_entropy(y, model(x)))
# --8<-- [end:train-eagerly]


# --8<-- [start:ensemble]
def four_towers(initializer):
    """Four networks side by side, their logits averaged."""
    inputs = keras.Input(shape=(64,))
    towers = []
    for _ in range(4):
        hidden = keras.layers.Dense(
            16, activation="relu", kernel_initializer=initializer)(inputs)
        towers.append(keras.layers.Dense(
            10, kernel_initializer=initializer)(hidden))
    return keras.Model(inputs, keras.layers.average(towers))
# --8<-- [end:ensemble]


# --8<-- [start:heads]
class Heads(keras.layers.Layer):
    """Four linear maps from 256 to 64 features, in one kernel."""

    def __init__(self, kernel_initializer, **options):
        super().__init__(**options)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(4, input_shape[-1], 64), name="kernel",
            initializer=self.kernel_initializer)

    def call(self, x):
        return keras.ops.einsum("bi,hio->bho", x, self.kernel)
# --8<-- [end:heads]


# --8<-- [start:solution-4-function]
def lsuv(model, x):
    """Scale each kernel so that the layer's z has mean square 1."""
    for layer in model.layers[1:-1]:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel.assign(layer.kernel / rms(layer(x)))
        x = layer(x)
# --8<-- [end:solution-4-function]


def main():
    # --8<-- [start:data]
    digits = load_digits()
    images = (digits.data - digits.data.mean()) / digits.data.std()
    images = images.astype("float32")
    x_train, y_train = images[:1200], digits.target[:1200]
    x, y = x_train[:100], y_train[:100]
    print(x.shape, f"rms {rms(x):.2f}")
    #> (100, 64) rms 1.01
    # --8<-- [end:data]

    # --8<-- [start:scale]
    for factor in (0.5, 0.9, 1.0, 1.1, 2.0):
        print(f"{factor}: {factor**20:.1e} after 20 layers, "
              f"{factor**100:.1e} after 100")
    #> 0.5: 9.5e-07 after 20 layers, 7.9e-31 after 100
    #> 0.9: 1.2e-01 after 20 layers, 2.7e-05 after 100
    #> 1.0: 1.0e+00 after 20 layers, 1.0e+00 after 100
    #> 1.1: 6.7e+00 after 20 layers, 1.4e+04 after 100
    #> 2.0: 1.0e+06 after 20 layers, 1.3e+30 after 100
    # --8<-- [end:scale]

    # --8<-- [start:draws]
    initializers = {
        "GlorotNormal": np.sqrt(2 / (256 + 768)),
        "GlorotUniform": np.sqrt(2 / (256 + 768)),
        "HeNormal": np.sqrt(2 / 256),
        "HeUniform": np.sqrt(2 / 256),
        "LecunNormal": np.sqrt(1 / 256),
    }
    for name, root in initializers.items():
        draw = getattr(keras.initializers, name)(seed=0)
        values = np.asarray(draw((256, 768)))
        print(f"{name:13} root {root:.4f} drawn std {values.std():.4f} "
              f"variance {values.var():.4f}")
    #~ GlorotNormal  root 0.0442 drawn std 0.0442 variance 0.0020
    #~ GlorotUniform root 0.0442 drawn std 0.0443 variance 0.0020
    #~ HeNormal      root 0.0884 drawn std 0.0883 variance 0.0078
    #~ HeUniform     root 0.0884 drawn std 0.0886 variance 0.0078
    #~ LecunNormal   root 0.0625 drawn std 0.0625 variance 0.0039
    # --8<-- [end:draws]

    # --8<-- [start:truncation]
    for name in ("GlorotNormal", "HeNormal", "GlorotUniform", "HeUniform"):
        draw = getattr(keras.initializers, name)(seed=0)
        values = np.asarray(draw((256, 768)))
        largest = np.abs(values).max() / initializers[name]
        print(f"{name:13} largest value: {largest:.2f} std")
    #~ GlorotNormal  largest value: 2.27 std
    #~ HeNormal      largest value: 2.27 std
    #~ GlorotUniform largest value: 1.73 std
    #~ HeUniform     largest value: 1.73 std
    print(f"2 / 0.8796 = {2 / 0.8796:.3f}, sqrt(3) = {3**0.5:.3f}")
    #> 2 / 0.8796 = 2.274, sqrt(3) = 1.732
    # --8<-- [end:truncation]

    # --8<-- [start:defaults]
    layer = keras.layers.Dense(768)
    layer.build((None, 256))
    print(type(layer.kernel_initializer).__name__)
    #> GlorotUniform
    kernel, limit = layer.kernel.numpy(), np.sqrt(6 / (256 + 768))
    print("nothing past the limit:", np.abs(kernel).max() <= limit)
    #> nothing past the limit: True
    print("it is reached:         ", np.abs(kernel).max() > 0.999 * limit)
    #> it is reached:          True
    print("biases are zero:       ", not layer.bias.numpy().any())
    #> biases are zero:        True
    # --8<-- [end:defaults]

    # --8<-- [start:traps]
    for name in ("RandomNormal", "TruncatedNormal", "RandomUniform"):
        draw = getattr(keras.initializers, name)(seed=0)
        values = np.asarray(draw((1000, 1000)))
        print(f"{name:15} std {values.std():.4f} "
              f"largest {np.abs(values).max():.3f}")
    #~ RandomNormal    std 0.0499 largest 0.262
    #~ TruncatedNormal std 0.0439 largest 0.100
    #~ RandomUniform   std 0.0289 largest 0.050
    # --8<-- [end:traps]

    # --8<-- [start:draws-figure]
    figure, panels = plt.subplots(
        3, num="draws", figsize=(5, 4.5), sharex=True)
    for axes, name in zip(panels, ("HeUniform", "HeNormal", "normal")):
        draw = keras.initializers.VarianceScaling(
            2.0, distribution="untruncated_normal", seed=0)
        if name != "normal":
            draw = getattr(keras.initializers, name)(seed=0)
        values = np.ravel(draw((256, 768))) / np.sqrt(2 / 256)
        axes.hist(values, bins=np.linspace(-4, 4, 81), density=True)
        axes.axvspan(-1, 1, color="tab:orange", alpha=0.25)
        axes.set(title=name, ylim=(0, 0.5), yticks=[])
    panels[-1].set(xlabel=r"$w\;/\;\sqrt{2/n_{in}}$")
    plt.show()
    # --8<-- [end:draws-figure]

    # --8<-- [start:one-run]
    sizes = [64] * 21 + [10]
    kernels = draw_kernels("Xavier", sizes, seed=0)
    outputs, logits = forward(x, kernels, "relu")
    print(len(kernels), "kernels,", len(outputs) - 1, "hidden layers")
    #> 21 kernels, 20 hidden layers
    print("layer 1 ", outputs[1].shape, f"rms {rms(outputs[1]):.3f}")
    #> layer 1  (100, 64) rms 0.680
    print("layer 20", outputs[20].shape, f"rms {rms(outputs[20]):.6f}")
    #> layer 20 (100, 64) rms 0.000361
    # --8<-- [end:one-run]

    # --8<-- [start:experiment]
    measured = {}
    for activation in ACTIVATIONS:
        for scheme in SCHEMES:
            runs = []
            for seed in range(5):
                kernels = draw_kernels(scheme, sizes, seed)
                outputs, logits = forward(x, kernels, activation)
                deltas, gradients = backward(
                    y, outputs, logits, kernels, activation)
                runs.append((
                    [rms(a) for a in outputs],
                    [rms(delta) for delta in deltas],
                    [norm(gradient) for gradient in gradients],
                    [rms(a - a.mean(axis=0)) for a in outputs]))
            measured[activation, scheme] = [
                np.array(kind) for kind in zip(*runs)]
    # --8<-- [end:experiment]

    # --8<-- [start:forward-table]
    print(f"{'rms of layer':19} {1:>8} {10:>8} {20:>8}")
    #> rms of layer               1       10       20
    for (activation, scheme), (size, *_) in measured.items():
        typical = np.median(size, axis=0)
        print(f"{activation:8}{scheme:10}",
              *(f"{typical[layer]:9.1e}" for layer in (1, 10, 20)), sep="")
    #> tanh    zeros       0.0e+00  0.0e+00  0.0e+00
    #> tanh    N(0, 0.01)  8.0e-02  1.1e-11  1.1e-22
    #> tanh    N(0, 1)     9.5e-01  9.5e-01  9.5e-01
    #> tanh    Xavier      6.3e-01  2.2e-01  1.5e-01
    #> tanh    He          7.2e-01  5.6e-01  5.4e-01
    #> sigmoid zeros       5.0e-01  5.0e-01  5.0e-01
    #> sigmoid N(0, 0.01)  5.0e-01  5.0e-01  5.0e-01
    #> sigmoid N(0, 1)     6.4e-01  6.3e-01  6.5e-01
    #> sigmoid Xavier      5.3e-01  5.1e-01  5.1e-01
    #> sigmoid He          5.5e-01  5.2e-01  5.2e-01
    #> relu    zeros       0.0e+00  0.0e+00  0.0e+00
    #> relu    N(0, 0.01)  5.6e-02  2.6e-13  7.1e-26
    #> relu    N(0, 1)     5.6e+00  2.6e+07  7.1e+14
    #> relu    Xavier      7.0e-01  2.4e-02  6.1e-04
    #> relu    He          9.9e-01  7.8e-01  6.3e-01
    # --8<-- [end:forward-table]

    # --8<-- [start:curves]
    def draw_curves(name, kind, limits, label):
        figure, panels = plt.subplots(
            3, num=name, figsize=(5, 7), sharex=True)
        for axes, activation in zip(panels, ACTIVATIONS):
            for color, scheme in enumerate(SCHEMES):
                curves = measured[activation, scheme][kind]
                if curves.all():
                    layers = np.arange(21) if kind == 0 else np.arange(1, 22)
                    axes.plot(layers, curves.T, color=f"C{color}",
                              linewidth=0.8)
                    axes.plot([], color=f"C{color}", label=scheme)
            axes.set(yscale="log", ylim=limits, title=activation,
                     ylabel=label, xticks=range(0, 21, 5))
        panels[1].legend(ncols=2, loc="upper left")
        panels[-1].set(xlabel="layer")
        plt.show()
    # --8<-- [end:curves]

    # --8<-- [start:forward-figure]
    draw_curves("activations", 0, (1e-6, 1e5), "rms of outputs")
    # --8<-- [end:forward-figure]

    # --8<-- [start:between]
    for activation, scheme in (("tanh", "Xavier"), ("tanh", "He"),
                               ("sigmoid", "Xavier"), ("relu", "He")):
        size, _, _, between = measured[activation, scheme]
        print(f"{activation:8}{scheme:7} layer 20: rms "
              f"{np.median(size[:, 20]):.2f}, "
              f"between images {np.median(between[:, 20]):.1e}")
    #> tanh    Xavier  layer 20: rms 0.15, between images 1.1e-01
    #> tanh    He      layer 20: rms 0.54, between images 4.8e-01
    #> sigmoid Xavier  layer 20: rms 0.51, between images 1.6e-13
    #> relu    He      layer 20: rms 0.63, between images 2.0e-01
    # --8<-- [end:between]

    # --8<-- [start:backward-figure]
    draw_curves("gradients", 1, (1e-17, 1e7), r"rms of $\delta$")
    # --8<-- [end:backward-figure]

    # --8<-- [start:gradient-table]
    print(f"{'norm of dL/dW':19} {'first':>8} {'20th':>8} {'output':>8}")
    #> norm of dL/dW          first     20th   output
    for (activation, scheme), (_, _, size, _) in measured.items():
        typical = np.median(size, axis=0)
        print(f"{activation:8}{scheme:10}",
              *(f"{typical[layer]:9.1e}" for layer in (0, 19, 20)), sep="")
    #> tanh    zeros       0.0e+00  0.0e+00  0.0e+00
    #> tanh    N(0, 0.01)  1.3e-22  1.6e-22  1.7e-22
    #> tanh    N(0, 1)     2.5e+06  2.0e+00  1.1e+00
    #> tanh    Xavier      4.1e-01  2.9e-01  2.3e-01
    #> tanh    He          1.7e+00  8.5e-01  8.4e-01
    #> sigmoid zeros       0.0e+00  0.0e+00  1.8e-01
    #> sigmoid N(0, 0.01)  1.2e-34  4.0e-03  1.9e-01
    #> sigmoid N(0, 1)     7.0e-02  3.0e+00  4.6e+00
    #> sigmoid Xavier      5.5e-13  3.5e-01  9.6e-01
    #> sigmoid He          1.5e-10  3.9e-01  1.0e+00
    #> relu    zeros       0.0e+00  0.0e+00  0.0e+00
    #> relu    N(0, 0.01)  9.7e-26  4.6e-26  4.9e-26
    #> relu    N(0, 1)     2.4e+15  4.2e+15  4.5e+15
    #> relu    Xavier      1.1e-03  5.2e-04  4.3e-04
    #> relu    He          1.4e+00  1.5e+00  1.7e+00
    # --8<-- [end:gradient-table]

    # --8<-- [start:homogeneous]
    kernels = draw_kernels("N(0, 0.01)", sizes, seed=0)
    outputs, logits = forward(x, kernels, "relu")
    _, gradients = backward(y, outputs, logits, kernels, "relu")
    products = [np.sum(kernel * gradient)
                for kernel, gradient in zip(kernels, gradients)]
    print("the same for each kernel:", np.allclose(products, products[0],
                                                   rtol=1e-6, atol=0))
    #> the same for each kernel: True
    # --8<-- [end:homogeneous]

    # --8<-- [start:same-in-keras]
    models = {activation: build(activation) for activation in ACTIVATIONS}
    for activation, scheme in (("sigmoid", "Xavier"), ("tanh", "Xavier"),
                               ("relu", "He")):
        kernels = draw_kernels(scheme, sizes, seed=0)
        outputs, logits = forward(x, kernels, activation)
        _, ours = backward(y, outputs, logits, kernels, activation)
        start(models[activation], kernels)
        theirs = kernel_gradients(models[activation], x, y)
        error = max(norm(a - b) / norm(a) for a, b in zip(ours, theirs))
        print(f"{activation:7} first {norm(theirs[0]):.1e}, "
              f"last {norm(theirs[-1]):.2f}, equal: {error < 1e-3}")
    #~ sigmoid first 5.9e-13, last 0.96, equal: True
    #~ tanh    first 4.1e-01, last 0.25, equal: True
    #~ relu    first 7.1e-01, last 0.51, equal: True
    # --8<-- [end:same-in-keras]

    # --8<-- [start:underflow]
    tiny = tf.fill((64, 64), np.float32(1e-25))
    print(f"float32 {float(tf.norm(tiny)):.1e}, float64 {norm(tiny):.1e}")
    #> float32 0.0e+00, float64 6.4e-24
    # --8<-- [end:underflow]

    # --8<-- [start:fans]
    draw = keras.initializers.HeNormal(seed=0)
    layers = {
        "Dense(128)": (keras.layers.Dense, (128,), (None, 64)),
        "Conv2D(128, 3)": (
            keras.layers.Conv2D, (128, 3), (None, 8, 8, 64)),
        "Conv2D(128, 1)": (
            keras.layers.Conv2D, (128, 1), (None, 8, 8, 64)),
        "Conv1D(128, 5)": (keras.layers.Conv1D, (128, 5), (None, 8, 64)),
    }
    for name, (kind, arguments, shape) in layers.items():
        layer = kind(*arguments, kernel_initializer=draw)
        layer.build(shape)
        implied = 2 / layer.kernel.numpy().var()
        print(f"{name:15} kernel {str(tuple(layer.kernel.shape)):18} "
              f"2 / variance = {implied:.0f}")
    #~ Dense(128)      kernel (64, 128)          2 / variance = 63
    #~ Conv2D(128, 3)  kernel (3, 3, 64, 128)    2 / variance = 574
    #~ Conv2D(128, 1)  kernel (1, 1, 64, 128)    2 / variance = 63
    #~ Conv1D(128, 5)  kernel (5, 64, 128)       2 / variance = 319
    # --8<-- [end:fans]

    # --8<-- [start:wrong-fans]
    depthwise = keras.layers.DepthwiseConv2D(
        3, depthwise_initializer=draw)
    transposed = keras.layers.Conv2DTranspose(
        256, 3, kernel_initializer=draw)
    for layer, true_fan in ((depthwise, 9), (transposed, 9 * 64)):
        layer.build((None, 8, 8, 64))
        implied = 2 / layer.kernel.numpy().var()
        print(f"{type(layer).__name__}: kernel {tuple(layer.kernel.shape)}, "
              f"drawn for {implied:.0f} inputs, has {true_fan}")
    #~ DepthwiseConv2D: kernel (3, 3, 64, 1), drawn for 593 inputs, has 9
    #~ Conv2DTranspose: kernel (3, 3, 256, 64), drawn for 2303 inputs, has 576
    # --8<-- [end:wrong-fans]

    # --8<-- [start:numpy-keras]
    random = np.random.default_rng(0)
    for name, scale, fan in (("GlorotNormal", 1.0, (256 + 768) / 2),
                             ("HeNormal", 2.0, 256)):
        keras_values = np.sort(np.ravel(
            getattr(keras.initializers, name)(seed=1)((256, 768))))
        ours = np.sort(np.ravel(
            truncated_normal(scale, fan, (256, 768), random)))
        apart = np.abs(ours - keras_values).max() / ours.std()
        print(f"{name:13} std {ours.std():.4f} and {keras_values.std():.4f},"
              f" apart by less than 0.05 std: {apart < 0.05}")
    #~ GlorotNormal  std 0.0442 and 0.0443, apart by less than 0.05 std: True
    #~ HeNormal      std 0.0885 and 0.0885, apart by less than 0.05 std: True
    for name, scale, fan in (("GlorotUniform", 1.0, (256 + 768) / 2),
                             ("HeUniform", 2.0, 256)):
        values = getattr(keras.initializers, name)(seed=1)((256, 768))
        largest = float(np.abs(values).max())
        print(f"{name:13} limit {uniform_limit(scale, fan):.4f}, "
              f"largest value drawn {largest:.4f}")
    #~ GlorotUniform limit 0.0765, largest value drawn 0.0765
    #~ HeUniform     limit 0.1531, largest value drawn 0.1531
    # --8<-- [end:numpy-keras]

    # --8<-- [start:wide]
    wide = np.random.default_rng(0).normal(size=(50, 128))
    labels = np.arange(50) % 10
    # --8<-- [end:wide]

    # --8<-- [start:predicted]
    for activation in ACTIVATIONS:
        for scheme in ("Xavier", "He"):
            gain = 128 * SCHEMES[scheme](128, 128)**2
            expected, factors = predict(activation, gain, np.mean(wide**2), 20)
            runs = []
            for seed in range(3):
                kernels = draw_kernels(scheme, [128] * 21 + [10], seed)
                outputs, logits = forward(wide, kernels, activation)
                deltas, _ = backward(
                    labels, outputs, logits, kernels, activation)
                runs.append((rms(outputs[20]),
                         rms(deltas[0]) / rms(deltas[19])))
            size, back = np.median(runs, axis=0)
            print(f"{activation:8}{scheme:7}output {expected[-1]:.1e} "
                  f"{size:.1e}, gradient {factors[:-1].prod():.1e} {back:.1e}")
    #> tanh    Xavier output 1.6e-01 1.6e-01, gradient 2.0e-01 1.9e-01
    #> tanh    He     output 5.6e-01 5.5e-01, gradient 1.7e+00 1.9e+00
    #> sigmoid Xavier output 5.1e-01 5.2e-01, gradient 1.1e-12 1.0e-12
    #> sigmoid He     output 5.3e-01 5.4e-01, gradient 2.9e-10 2.8e-10
    #> relu    Xavier output 9.7e-04 8.8e-04, gradient 1.4e-03 1.5e-03
    #> relu    He     output 1.0e+00 9.0e-01, gradient 1.0e+00 1.2e+00
    # --8<-- [end:predicted]

    # --8<-- [start:width]
    for width in (16, 64, 256):
        sizes_of_run = [64] + [width] * 20 + [10]
        tall = [rms(forward(x, draw_kernels("He", sizes_of_run, seed),
                            "relu")[0][20]) for seed in range(6)]
        print(f"width {width:3}: rms after 20 layers from {min(tall):.2f} "
              f"to {max(tall):.2f}")
    #> width  16: rms after 20 layers from 0.03 to 1.37
    #> width  64: rms after 20 layers from 0.37 to 1.29
    #> width 256: rms after 20 layers from 0.80 to 1.60
    # --8<-- [end:width]

    # --8<-- [start:training]
    train = {name: make_trainer(models[name], x_train, y_train)
             for name in ACTIVATIONS}
    print(f"{'':24}loss     accuracy of three seeds")
    #>                         loss     accuracy of three seeds
    for name in ACTIVATIONS:
        for scheme in ("Xavier", "He"):
            report(train[name], name, scheme)
    #~ tanh             Xavier 1.48     0.55 0.67 0.68
    #~ tanh             He     0.74     0.84 0.85 0.85
    #~ sigmoid          Xavier 2.31     0.10 0.10 0.10
    #~ sigmoid          He     2.31     0.10 0.10 0.10
    #~ relu             Xavier 2.30     0.13 0.17 0.18
    #~ relu             He     1.94     0.26 0.29 0.35
    # --8<-- [end:training]

    # --8<-- [start:training-std-1]
    for name in ACTIVATIONS:
        accuracies = [train[name](draw_kernels("N(0, 1)", sizes, seed), 1)[1]
                      for seed in range(3)]
        print(f"{name:8} N(0, 1): below 0.3 in each run:",
              max(accuracies) < 0.3)
    #> tanh     N(0, 1): below 0.3 in each run: True
    #> sigmoid  N(0, 1): below 0.3 in each run: True
    #> relu     N(0, 1): below 0.3 in each run: True
    # --8<-- [end:training-std-1]

    # --8<-- [start:adam-steps]
    weight = keras.Variable(np.zeros(5))
    gradient = np.array([1e-3, 1e-5, 1e-7, 1e-9, 1e-26], dtype="float32")
    adam = keras.optimizers.Adam(0.001)
    adam.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    for g, moved in zip(gradient, np.abs(weight.numpy())):
        print(f"gradient {g:.0e}: Adam's first step {moved:.1e}")
    #> gradient 1e-03: Adam's first step 1.0e-03
    #> gradient 1e-05: Adam's first step 7.6e-04
    #> gradient 1e-07: Adam's first step 3.1e-05
    #> gradient 1e-09: Adam's first step 3.2e-07
    #> gradient 1e-26: Adam's first step 3.2e-24
    # --8<-- [end:adam-steps]

    # --8<-- [start:cures]
    batch_norm = keras.layers.BatchNormalization
    models["sigmoid, batch norm"] = build("sigmoid", batch_norm)
    models["relu, batch norm"] = build("relu", batch_norm)
    models["relu, layer norm"] = build("relu", keras.layers.LayerNormalization)
    models["relu, residual"] = build("relu", residual=True)
    models["selu"] = build("selu")
    SCHEMES["LeCun"] = lambda fan_in, fan_out: np.sqrt(1 / fan_in)
    SCHEMES["He/20"] = lambda fan_in, fan_out: np.sqrt(2 / fan_in / 20)
    # --8<-- [end:cures]

    # --8<-- [start:cures-table]
    print(f"{'norm of dL/dW':28}{'first':>8}{'20th':>8}{'output':>8}")
    #> norm of dL/dW                  first    20th  output
    for name, scheme in (
            ("sigmoid", "Xavier"), ("sigmoid, batch norm", "Xavier"),
            ("relu", "He"), ("selu", "LeCun"), ("relu, batch norm", "He"),
            ("relu, layer norm", "He"), ("relu, residual", "He"),
            ("relu, residual", "He/20")):
        norms = []
        for seed in range(3):
            start(models[name], draw_kernels(scheme, sizes, seed))
            norms.append([norm(gradient) for gradient
                          in kernel_gradients(models[name], x, y)])
        typical = np.median(norms, axis=0)
        print(f"{name:20}{scheme:8}",
              *(f"{typical[layer]:8.1e}" for layer in (0, 19, 20)), sep="")
    #~ sigmoid             Xavier   5.9e-13 3.5e-01 9.6e-01
    #~ sigmoid, batch norm Xavier   6.9e-01 4.3e-01 1.0e+00
    #~ relu                He       1.3e+00 1.5e+00 1.7e+00
    #~ selu                LeCun    2.3e+00 2.0e+00 2.0e+00
    #~ relu, batch norm    He       2.6e+01 6.1e-01 7.9e-01
    #~ relu, layer norm    He       7.7e-01 1.5e+00 1.9e+00
    #~ relu, residual      He       4.4e+04 1.2e+05 2.5e+05
    #~ relu, residual      He/20    1.7e+00 6.5e+00 2.9e+01
    print(f"{(np.pi / (np.pi - 1))**(19 / 2):.0f}")
    #> 38
    # --8<-- [end:cures-table]

    # --8<-- [start:care]
    for name, schemes in (("relu, batch norm", ("Xavier", "He/20")),
                          ("relu, residual", ("He/20",))):
        train[name] = make_trainer(models[name], x_train, y_train)
        for scheme in schemes:
            runs = [train[name](draw_kernels(scheme, sizes, seed))
                    for seed in range(3)]
            print(f"{name:17}{scheme:6}", *np.median(runs, axis=0).round(2))
    #~ relu, batch norm Xavier 1.87 0.37
    #~ relu, batch norm He/20  1.36 0.76
    #~ relu, residual   He/20  0.38 0.93
    # --8<-- [end:care]

    # --8<-- [start:zeros]
    zero, tenth = keras.initializers.Zeros(), keras.initializers.Constant(0.1)
    for name, hidden, last in (("all zero", zero, zero),
                               ("all 0.1", tenth, tenth),
                               ("last layer zero", "he_normal", zero)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([
            keras.Input(shape=(64,)),
            keras.layers.Dense(32, "relu", kernel_initializer=hidden),
            keras.layers.Dense(10, kernel_initializer=last)])
        before = float(cross_entropy(y_train, model(x_train)))
        after = train_eagerly(model, x_train, y_train)
        kernel = model.layers[0].kernel.numpy()
        print(f"{name:15} loss {before:.3f} then {after:.2f}, hidden units "
              f"differ: {np.ptp(kernel, axis=1).max() > 1e-3}")
    #~ all zero        loss 2.303 then 2.30, hidden units differ: False
    #~ all 0.1         loss 2.303 then 2.14, hidden units differ: False
    #~ last layer zero loss 2.303 then 0.31, hidden units differ: True
    # --8<-- [end:zeros]

    # --8<-- [start:same-instance]
    initializer = keras.initializers.HeNormal()
    first = keras.layers.Dense(64, kernel_initializer=initializer)
    second = keras.layers.Dense(64, kernel_initializer=initializer)
    third = keras.layers.Dense(64, kernel_initializer="he_normal")
    fourth = keras.layers.Dense(64, kernel_initializer="he_normal")
    for layer in (first, second, third, fourth):
        layer.build((None, 64))
    print("one instance:", np.array_equal(first.kernel, second.kernel))
    #> one instance: True
    print("two strings: ", np.array_equal(third.kernel, fourth.kernel))
    #> two strings:  False
    print("also its start:", np.array_equal(
        np.ravel(initializer((64, 128)))[:4096], np.ravel(first.kernel)))
    #> also its start: True
    # --8<-- [end:same-instance]

    # --8<-- [start:towers]
    for name, initializer in (
            ("one instance", keras.initializers.HeNormal()),
            ("seed=42 each", keras.initializers.HeNormal(seed=42)),
            ("string", "he_normal"),
            ("generator", keras.initializers.HeNormal(
                seed=keras.random.SeedGenerator(42)))):
        model = four_towers(initializer)
        train_eagerly(model, x_train, y_train, steps=1)
        first, *others = [layer.kernel.numpy() for layer
                          in dense_layers(model) if layer.units == 16]
        apart = max(np.abs(first - other).max() for other in others)
        print(f"{name:13} four different towers: {apart > 1e-3}")
    #> one instance  four different towers: False
    #> seed=42 each  four different towers: False
    #> string        four different towers: True
    #> generator     four different towers: True
    # --8<-- [end:towers]

    # --8<-- [start:attention]
    for seed in (None, 0):
        attention = keras.layers.MultiHeadAttention(
            num_heads=2, key_dim=8,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed))
        attention.build((None, 5, 16), (None, 5, 16))
        weights = {weight.path.split("/")[-2]: weight.numpy()
                   for weight in attention.weights if "kernel" in weight.path}
        print(f"seed={seed}: query kernel equals key kernel:",
              np.array_equal(weights["query"], weights["key"]))
    #> seed=None: query kernel equals key kernel: False
    #> seed=0: query kernel equals key kernel: True
    # --8<-- [end:attention]

    # --8<-- [start:variance-as-std]
    model = models["relu"]
    for stddev in (2 / 64, np.sqrt(2 / 64)):
        initializer = keras.initializers.RandomNormal(
            stddev=stddev, seed=keras.random.SeedGenerator(0))
        start(model, [initializer(shape) for shape in zip(sizes, sizes[1:])])
        power = np.log10(rms(model(x)))
        print(f"stddev={stddev:.3f}: rms of logits 10^{power:.1f}")
    #~ stddev=0.031: rms of logits 10^-16.1
    #~ stddev=0.177: rms of logits 10^-0.3
    # --8<-- [end:variance-as-std]

    # --8<-- [start:three-axes]
    per_head = keras.initializers.VarianceScaling(2.0 * 4)
    by_axes = keras.initializers.HeNormal(input_axes=(1,), output_axes=(2,))
    for name, initializer in (("he_normal", "he_normal"),
                              ("scale=2*4", per_head), ("axes", by_axes)):
        heads = Heads(initializer)
        heads(np.zeros((1, 256)))
        implied = 2 / heads.kernel.numpy().var()
        print(f"{name:10} kernel {tuple(heads.kernel.shape)}, "
              f"drawn for {implied:.0f} inputs")
    #~ he_normal  kernel (4, 256, 64), drawn for 1027 inputs
    #~ scale=2*4  kernel (4, 256, 64), drawn for 256 inputs
    #~ axes       kernel (4, 256, 64), drawn for 256 inputs
    # --8<-- [end:three-axes]

    # --8<-- [start:solution-1]
    for kind, arguments, shape, name in (
            (keras.layers.Dense, (100,), (None, 300), "he_normal"),
            (keras.layers.Dense, (100,), (None, 300), "glorot_uniform"),
            (keras.layers.Conv2D, (64, 5), (None, 32, 32, 3), "he_uniform")):
        layer = kind(*arguments, kernel_initializer=name)
        layer.build(shape)
        kernel = layer.kernel.numpy()
        print(f"{name:14} std {kernel.std():.4f}, "
              f"largest {np.abs(kernel).max():.4f}")
    #~ he_normal      std 0.0815, largest 0.1856
    #~ glorot_uniform std 0.0706, largest 0.1225
    #~ he_uniform     std 0.1632, largest 0.2828
    print(f"{np.sqrt(2 / 300):.4f} {np.sqrt(2 / 400):.4f} "
          f"{np.sqrt(6 / 400):.4f} {np.sqrt(2 / 75):.4f} "
          f"{np.sqrt(6 / 75):.4f}")
    #> 0.0816 0.0707 0.1225 0.1633 0.2828
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    for name in ("relu", "tanh", "sigmoid", "gelu", "silu", "selu"):
        f = keras.activations.get(name)
        scale = 1 / gaussian_mean(lambda z: np.asarray(f(z))**2, 1.0)
        print(f"{name:8} scale {scale:.2f}, gain {np.sqrt(scale):.2f}")
    #~ relu     scale 2.00, gain 1.41
    #~ tanh     scale 2.54, gain 1.59
    #~ sigmoid  scale 3.41, gain 1.85
    #~ gelu     scale 2.35, gain 1.53
    #~ silu     scale 2.81, gain 1.68
    #~ selu     scale 1.00, gain 1.00
    leaky = gaussian_mean(lambda z: np.where(z > 0, z, 0.2 * z)**2, 1.0)
    print(f"leaky    scale {1 / leaky:.2f} = {2 / (1 + 0.2**2):.2f}")
    #~ leaky    scale 1.92 = 1.92
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    for name in ("relu", "relu, batch norm"):
        model = models[name]
        start(model, draw_kernels("He", sizes, seed=0))
        layer = dense_layers(model)[9]
        logits = model(x, training=True)
        gradient = norm(kernel_gradients(model, x, y)[9])
        layer.kernel.assign(layer.kernel * 4)
        change = norm(model(x, training=True) - logits) / norm(logits)
        ratio = norm(kernel_gradients(model, x, y)[9]) / gradient
        print(f"{name:17} logits changed by {change:.2f}, "
              f"gradient times {ratio:.2f}")
    #~ relu              logits changed by 3.00, gradient times 1.61
    #~ relu, batch norm  logits changed by 0.00, gradient times 0.25
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    model = build("gelu")
    start(model, draw_kernels("He", sizes, seed=0))
    for name in ("He", "LSUV"):
        if name == "LSUV":
            lsuv(model, x)
        norms = [norm(gradient) for gradient in kernel_gradients(model, x, y)]
        print(f"{name:4} logits {rms(model(x)):.2f}, gradient norms "
              f"{norms[0]:.2f} {norms[19]:.2f} {norms[20]:.2f}")
    #~ He   logits 0.05, gradient norms 0.21 0.06 0.04
    #~ LSUV logits 1.08, gradient norms 2.03 1.24 1.27
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    layer = keras.layers.Dense(64)
    layer.build((None, 64))
    again = layer.kernel_initializer(layer.kernel.shape)
    print("called again: the same:", np.array_equal(again, layer.kernel))
    #> called again: the same: True
    new = layer.kernel_initializer.clone()(layer.kernel.shape)
    print("cloned: the same:", np.array_equal(new, layer.kernel))
    #> cloned: the same: False
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
