"""Batch normalization: one layer that computes in two ways.

The lesson builds the layer in NumPy, forward and backward, equal to Keras',
follows its moving statistics until inference works, freezes it, sets layer
normalization beside it, and measures on digits what it rescues and what not.
"""

# --8<-- [start:imports]
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:numpy-forward]
def bn_training(x, gamma, beta, epsilon=1e-3):
    """Normalize each column of x with the statistics of this batch."""
    mean = x.mean(axis=0)
    variance = x.var(axis=0)               # divides by the batch size
    x_hat = (x - mean) / np.sqrt(variance + epsilon)
    return gamma * x_hat + beta, mean, variance


def bn_move(moving, batch, momentum=0.99):
    return momentum * moving + (1 - momentum) * batch


def bn_inference(x, gamma, beta, mean, variance, epsilon=1e-3):
    """Normalize with stored statistics: each row by itself."""
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
# --8<-- [end:numpy-forward]


# --8<-- [start:numpy-backward]
def bn_backward(dy, x, gamma, epsilon=1e-3):
    """From dL/dy to dL/dx, dL/dgamma and dL/dbeta, in training mode."""
    r = 1 / np.sqrt(x.var(axis=0) + epsilon)
    x_hat = (x - x.mean(axis=0)) * r
    dbeta = dy.sum(axis=0)
    dgamma = (dy * x_hat).sum(axis=0)
    dx = gamma * r * (dy - dbeta / len(x) - x_hat * dgamma / len(x))
    return dx, dgamma, dbeta
# --8<-- [end:numpy-backward]


# --8<-- [start:layer-norm-numpy]
def layer_norm(x, gamma, beta, epsilon=1e-3):
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
# --8<-- [end:layer-norm-numpy]


# --8<-- [start:build-deep]
def build_deep(momentum=0.99):
    """Four hidden layers of 32 sigmoids, normalized before the sigmoid."""
    model = keras.Sequential([keras.Input(shape=(64,))], name="deep")
    for i in range(1, 5):
        model.add(layers.Dense(32, use_bias=False, name=f"linear_{i}"))
        model.add(layers.BatchNormalization(
            momentum=momentum, name=f"norm_{i}"))
        model.add(layers.Activation("sigmoid", name=f"sigmoid_{i}"))
    model.add(layers.Dense(10, name="logits"))
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:build-deep]


# --8<-- [start:accuracy]
def accuracy(model, x, y):
    """In inference mode, as evaluate does it."""
    return np.mean(np.argmax(model(x, training=False), axis=1) == y)
# --8<-- [end:accuracy]


# --8<-- [start:recalibrate]
def recalibrate(model, x):
    """Set all moving statistics to those of x, in one forward pass."""
    norms = [layer for layer in model.layers
             if isinstance(layer, layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0               # keep nothing of the old value
    model(x, training=True)
    for layer, momentum in zip(norms, momenta):
        layer.momentum = momentum
# --8<-- [end:recalibrate]


# --8<-- [start:watch]
class Watch(keras.callbacks.Callback):
    """Test accuracy in inference mode, every eight steps."""

    def __init__(self, x, y):
        super().__init__()
        self.data, self.steps, self.values = (x, y), [], []

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.optimizer.iterations)
        if step % 8 == 0:
            self.steps.append(step)
            self.values.append(accuracy(self.model, *self.data))
# --8<-- [end:watch]


# --8<-- [start:stack]
RATES, SEEDS, DEPTH, WIDTH = (0.01, 0.04, 0.5), 3, 6, 32


def draw(initializer):
    """Nine networks: three seeds, each for three learning rates."""
    def kernels(count, *shape):
        drawn = [[initializer(seed=100 * seed + count + i)(shape)
                  for seed in range(SEEDS)] for i in range(count)]
        return np.tile(drawn, (1, len(RATES), 1, 1))

    nets = SEEDS * len(RATES)
    values = dict(first=kernels(1, 64, WIDTH), last=kernels(1, WIDTH, 10),
                  hidden=kernels(DEPTH - 1, WIDTH, WIDTH),
                  gamma=np.ones((DEPTH, nets, 1, WIDTH)),
                  beta=np.zeros((DEPTH, nets, 1, WIDTH)),
                  bias=np.zeros((nets, 1, 10)))
    return {name: tf.Variable(value, dtype="float32")
            for name, value in values.items()}
# --8<-- [end:stack]


# --8<-- [start:normalize]
def normalize(z, axis, rows):
    """Over the examples (axis 1; statistics of the first rows) or axis 2."""
    mean, variance = ops.moments(
        z[:, :rows] if axis == 1 else z, axes=[axis], keepdims=True)
    return (z - mean) * ops.rsqrt(variance + 1e-3)
# --8<-- [end:normalize]


# --8<-- [start:stack-forward]
def forward(p, x, rows, activation=ops.sigmoid, before=None, after=None,
            residual=False, noise=False):
    """Logits of all networks; x has the shape (networks, examples, 64)."""
    h = x
    for i in range(DEPTH):
        z = h @ (p["hidden"][i - 1] if i else p["first"][0])
        if before:
            z = p["gamma"][i] * normalize(z, before, rows)
        z = z + p["beta"][i]
        if noise:                          # a new shift and scale each step
            size = (z.shape[0], 1, WIDTH)
            z = (z * keras.random.uniform(size, 0.5, 1.5)
                 + keras.random.normal(size))
        z = activation(z)
        if after:
            z = p["gamma"][i] * normalize(z, after, rows)
        h = h + z if residual and i else z
    return h @ p["last"][0] + p["bias"]
# --8<-- [end:stack-forward]


# --8<-- [start:stack-step]
def make_step(p, batch, noise, kind):
    """One step of SGD with momentum 0.9, for all networks at once."""
    speed = {name: tf.Variable(tf.zeros_like(p[name])) for name in p}
    rate = np.repeat(RATES, SEEDS).astype("float32").reshape(-1, 1, 1)

    @tf.function(autograph=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = forward(p, images, batch, noise=noise, **kind)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, logits)
            loss = ops.sum(ops.mean(losses, axis=1))
        gradients = tape.gradient(
            loss, p, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for name in p:
            speed[name].assign(0.9 * speed[name] - rate * gradients[name])
            p[name].assign_add(speed[name])
    return step
# --8<-- [end:stack-step]


# --8<-- [start:stack-train]
def train_stack(data, initializer=keras.initializers.GlorotUniform,
                noise=False, steps=90, batch=64, **kind):
    """Test accuracy, one row for each rate and one column for each seed."""
    x, x_test, y, y_test = data
    keras.utils.set_random_seed(0)
    p = draw(initializer)
    step = make_step(p, batch, noise, kind)
    random = np.random.default_rng(0)
    for _ in range(steps):
        rows = np.array([random.permutation(len(x))[:batch]
                         for _ in range(SEEDS)])
        rows = np.tile(rows, (len(RATES), 1))
        step(x[rows], y[rows])
    logits = forward(p, np.concatenate([x, x_test])[None], len(x), **kind)
    guess = np.argmax(logits[:, len(x):], axis=2)
    return np.mean(guess == y_test, axis=1).reshape(len(RATES), SEEDS)
# --8<-- [end:stack-train]


def main():
    # --8<-- [start:load]
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    data = train_test_split(images, digits.target, test_size=360,
                            stratify=digits.target, random_state=0)
    x_train, x_test, y_train, y_test = data
    print(x_train.shape, x_test.shape)
    #> (1437, 64) (360, 64)
    # --8<-- [end:load]

    # --8<-- [start:layer]
    norm = layers.BatchNormalization()
    norm.build((None, 3))
    for weight in norm.weights:
        print(weight.name, weight.shape, weight.numpy(),
              "trainable" if weight.trainable else "not trainable")
    #> gamma (3,) [1. 1. 1.] trainable
    #> beta (3,) [0. 0. 0.] trainable
    #> moving_mean (3,) [0. 0. 0.] not trainable
    #> moving_variance (3,) [1. 1. 1.] not trainable
    # --8<-- [end:layer]

    # --8<-- [start:two-modes]
    random = np.random.default_rng(0)
    x = random.normal([5, -2, 0], [1, 10, 0.01], size=(64, 3))
    x = x.astype("float32")
    for training in (True, False):
        y = norm(x, training=training).numpy()
        print("training" if training else "inference")
        print("  mean", y.mean(axis=0).round(2) + 0.0)
        print("  std ", y.std(axis=0).round(2))
    #> training
    #>   mean [0. 0. 0.]
    #~   std  [1.   1.   0.28]
    #> inference
    #~   mean [ 4.77 -1.21  0.  ]
    #~   std  [1.06 6.54 0.01]
    # --8<-- [end:two-modes]

    # --8<-- [start:scratch-moving]
    norm = layers.BatchNormalization()
    norm.build((None, 3))
    gamma, beta = np.array([1.0, 2.0, 0.5]), np.array([0.0, -1.0, 3.0])
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    moving_mean, moving_variance = np.zeros(3), np.ones(3)
    worst = 0.0
    for _ in range(50):
        x = random.normal([5, -2, 0], [1, 10, 0.1], size=(16, 3))
        ours, mean, variance = bn_training(x, gamma, beta)
        moving_mean = bn_move(moving_mean, mean)
        moving_variance = bn_move(moving_variance, variance)
        keras_y = norm(x.astype("float32"), training=True)
        worst = max(worst, np.abs(ours - keras_y).max())
    print("training mode agrees:", worst < 1e-5)
    #> training mode agrees: True
    # --8<-- [end:scratch-moving]

    # --8<-- [start:scratch-inference]
    ours = bn_inference(x, gamma, beta, moving_mean, moving_variance)
    keras_y = norm(x.astype("float32"), training=False)
    print("moving mean agrees:",
          np.allclose(moving_mean, norm.moving_mean, rtol=1e-5))
    #> moving mean agrees: True
    print("moving variance agrees:",
          np.allclose(moving_variance, norm.moving_variance, rtol=1e-5))
    #> moving variance agrees: True
    print("inference agrees:", np.allclose(ours, keras_y, atol=1e-5))
    #> inference agrees: True
    print(moving_mean.round(2) + 0.0, moving_variance.round(2))
    #~ [ 1.94 -0.61  0.  ] [ 0.97 36.33  0.61]
    # --8<-- [end:scratch-inference]

    # --8<-- [start:scratch-backward]
    x = random.normal([5, -2, 0], [1, 10, 0.1], size=(16, 3))
    dy = random.normal(size=(16, 3))       # any dL/dy
    x_tensor = tf.constant(x, dtype="float32")
    with tf.GradientTape() as tape:
        tape.watch(x_tensor)
        loss = ops.sum(norm(x_tensor, training=True) * dy)
    theirs = tape.gradient(
        loss, [x_tensor, norm.gamma.value, norm.beta.value])
    for name, ours, other in zip(
            ["dx", "dgamma", "dbeta"], bn_backward(dy, x, gamma), theirs):
        print(name, np.allclose(ours, other, atol=1e-4))
    #> dx True
    #> dgamma True
    #> dbeta True
    # --8<-- [end:scratch-backward]

    # --8<-- [start:backward-facts]
    dx, _, _ = bn_backward(dy, x, gamma)
    x_hat, _, _ = bn_training(x, 1, 0, epsilon=0)
    print("size of dx       ", np.abs(dx).mean(axis=0).round(2))
    #~ size of dx        [0.62 0.14 2.34]
    print("sum of dx        ", np.abs(dx.sum(axis=0)).round(6))
    #> sum of dx         [0. 0. 0.]
    print("sum of dx * x_hat", (dx * x_hat).sum(axis=0).round(2))
    #~ sum of dx * x_hat [ 0.    0.   -1.53]
    # --8<-- [end:backward-facts]

    # --8<-- [start:useless-bias]
    keras.utils.set_random_seed(0)
    linear = layers.Dense(32)
    net = keras.Sequential([keras.Input(shape=(64,)), linear,
                            layers.BatchNormalization(),
                            layers.ReLU(), layers.Dense(10)])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True)

    def gradients():
        with tf.GradientTape() as tape:
            logits = net(x_train[:256], training=True)
            loss = cross_entropy(y_train[:256], logits)
        pair = [linear.kernel.value, linear.bias.value]
        kernel, bias = tape.gradient(loss, pair)
        return logits.numpy(), kernel.numpy(), bias.numpy()

    logits, kernel, bias = gradients()
    print("largest gradient, kernel:", round(np.abs(kernel).max(), 3))
    #~ largest gradient, kernel: 0.212
    print("bias: below 1e-6:", np.abs(bias).max() < 1e-6)
    #> bias: below 1e-6: True
    # --8<-- [end:useless-bias]

    # --8<-- [start:scale-free]
    linear.kernel.assign(10 * linear.kernel)
    linear.bias.assign(linear.bias + 5)
    logits_10, kernel_10, _ = gradients()
    print("largest change of a logit:",
          round(np.abs(logits_10 - logits).max(), 2))
    #~ largest change of a logit: 0.03
    print("gradient, new / old:",
          round(np.linalg.norm(kernel_10) / np.linalg.norm(kernel), 3))
    #~ gradient, new / old: 0.101
    # --8<-- [end:scale-free]

    # --8<-- [start:momentum]
    for momentum in (0.9, 0.99, 0.999):
        left = {steps: round(momentum ** steps, 3)
                for steps in (1, 10, 100, 500)}
        print(momentum, left)
    #> 0.9 {1: 0.9, 10: 0.349, 100: 0.0, 500: 0.0}
    #> 0.99 {1: 0.99, 10: 0.904, 100: 0.366, 500: 0.007}
    #> 0.999 {1: 0.999, 10: 0.99, 100: 0.905, 500: 0.606}
    # --8<-- [end:momentum]

    # --8<-- [start:torch-numbers]
    batch = np.array([0.0, 0.0, 0.0, 4.0])
    print("batch variance, biased and unbiased:",
          batch.var(), batch.var(ddof=1))
    #> batch variance, biased and unbiased: 3.0 4.0
    print("Keras, momentum 0.99  :", round(0.99 * 1 + 0.01 * batch.var(), 4))
    #> Keras, momentum 0.99  : 1.02
    print("PyTorch, momentum 0.1 :",
          round((1 - 0.1) * 1 + 0.1 * batch.var(ddof=1), 4))
    #> PyTorch, momentum 0.1 : 1.3
    small = layers.BatchNormalization()
    small(batch[:, None].astype("float32"), training=True)
    print("the layer itself      :", small.moving_variance.numpy().round(4))
    #> the layer itself      : [1.02]
    print("epsilon, at a variance of 0.001: factor",
          round(np.sqrt((0.001 + 0.001) / (0.001 + 0.00001)), 2))
    #> epsilon, at a variance of 0.001: factor 1.41
    # --8<-- [end:torch-numbers]

    # --8<-- [start:few-steps]
    watched, model = {}, {}
    for momentum in (0.99, 0.9):
        keras.utils.set_random_seed(0)
        model[momentum] = build_deep(momentum)
        watched[momentum] = Watch(x_test, y_test)
        history = model[momentum].fit(
            x_train, y_train, batch_size=64, epochs=5, verbose=0,
            callbacks=[watched[momentum]])
        print("momentum", momentum)
        print("  training accuracy in fit:",
              round(history.history["accuracy"][-1], 2))
        print("  test accuracy, inference:",
              round(accuracy(model[momentum], x_test, y_test), 2))
    #~ momentum 0.99
    #~   training accuracy in fit: 0.98
    #~   test accuracy, inference: 0.24
    #~ momentum 0.9
    #~   training accuracy in fit: 0.98
    #~   test accuracy, inference: 0.96
    # --8<-- [end:few-steps]

    # --8<-- [start:same-weights]
    pairs = zip(model[0.99].trainable_variables,
                model[0.9].trainable_variables)
    print("trained weights equal:",
          all(np.allclose(a, b) for a, b in pairs))
    #> trained weights equal: True
    # --8<-- [end:same-weights]

    # --8<-- [start:few-steps-figure]
    figure, axes = plt.subplots(num="few-steps", figsize=(5, 3.4))
    for momentum, style in ((0.9, "s-"), (0.99, "o-")):
        axes.plot(watched[momentum].steps, watched[momentum].values, style,
                  markersize=4, label=f"momentum {momentum}")
    axes.axhline(0.1, linestyle=":", color="tab:gray")
    axes.set(xlabel="training step", ylabel="test accuracy", ylim=(0, 1))
    axes.legend(loc="center right")
    plt.show()
    # --8<-- [end:few-steps-figure]

    # --8<-- [start:cure]
    deep = model[0.99]
    recalibrate(deep, x_train)
    print("after one pass in training mode:",
          round(accuracy(deep, x_test, y_test), 2))
    #~ after one pass in training mode: 0.96
    # --8<-- [end:cure]

    # --8<-- [start:convolution]
    norm = layers.BatchNormalization()
    maps = random.normal(size=(32, 8, 8, 16)).astype("float32")
    y = norm(maps, training=True)
    print([tuple(weight.shape) for weight in norm.weights])
    #> [(16,), (16,), (16,), (16,)]
    mean = maps.mean(axis=(0, 1, 2))
    variance = maps.var(axis=(0, 1, 2))
    ours = (maps - mean) / np.sqrt(variance + 1e-3)
    print("same as Keras:", np.allclose(ours, y, atol=1e-5))
    #> same as Keras: True
    print("values behind each mean:", maps[..., 0].size)
    #> values behind each mean: 2048
    # --8<-- [end:convolution]

    # --8<-- [start:shapes]
    deep.summary(line_length=72)
    #> Model: "deep"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ linear_1 (Dense)              │ (None, 32)            │        2,048 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ norm_1 (BatchNormalization)   │ (None, 32)            │          128 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ sigmoid_1 (Activation)        │ (None, 32)            │            0 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ linear_2 (Dense)              │ (None, 32)            │        1,024 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ norm_2 (BatchNormalization)   │ (None, 32)            │          128 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ sigmoid_2 (Activation)        │ (None, 32)            │            0 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ linear_3 (Dense)              │ (None, 32)            │        1,024 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ norm_3 (BatchNormalization)   │ (None, 32)            │          128 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ sigmoid_3 (Activation)        │ (None, 32)            │            0 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ linear_4 (Dense)              │ (None, 32)            │        1,024 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ norm_4 (BatchNormalization)   │ (None, 32)            │          128 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ sigmoid_4 (Activation)        │ (None, 32)            │            0 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ logits (Dense)                │ (None, 10)            │          330 │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 11,670 (45.59 KB)
    #>  Trainable params: 5,706 (22.29 KB)
    #>  Non-trainable params: 256 (1.00 KB)
    #>  Optimizer params: 5,708 (22.30 KB)
    # --8<-- [end:shapes]

    # --8<-- [start:layer-norm]
    x = random.normal(3, 2, size=(4, 10, 6)).astype("float32")
    norm = layers.LayerNormalization()
    y = norm(x)
    print("same as Keras:",
          np.allclose(layer_norm(x, np.ones(6), np.zeros(6)), y, atol=1e-5))
    #> same as Keras: True
    print([(weight.name, *weight.shape) for weight in norm.weights])
    #> [('gamma', 6), ('beta', 6)]
    print("one example, alone or in a batch:",
          np.allclose(norm(x[:1]), y[:1], atol=1e-6))
    #> one example, alone or in a batch: True
    rms = x / np.sqrt(np.mean(x ** 2, axis=-1, keepdims=True) + 1e-6)
    print("RMSNormalization:",
          np.allclose(rms, layers.RMSNormalization()(x), atol=1e-5))
    #> RMSNormalization: True
    # --8<-- [end:layer-norm]

    # --8<-- [start:freeze]
    norm = layers.BatchNormalization()
    x = random.normal(5, 2, size=(64, 3)).astype("float32")
    norm.build(x.shape)
    norm.trainable = False
    y = norm(x, training=True)
    print("moving mean:", norm.moving_mean.numpy())
    #> moving mean: [0. 0. 0.]
    print("training=True computes as in inference:",
          np.array_equal(y, norm(x, training=False)))
    #> training=True computes as in inference: True
    print("trainable weights:", len(norm.trainable_weights))
    #> trainable weights: 0
    # --8<-- [end:freeze]

    # --8<-- [start:fine-tune]
    inputs = keras.Input(shape=(64,))
    outputs = layers.Dense(10)(deep(inputs, training=False))
    tuned = keras.Model(inputs, outputs)

    def statistics_move():
        old = [v.numpy() for v in deep.non_trainable_variables]
        tuned(x_train[:64], training=True)     # what fit does in each step
        new = [v.numpy() for v in deep.non_trainable_variables]
        return not all(map(np.array_equal, old, new))

    print("despite training=False they move:", statistics_move())
    #> despite training=False they move: True
    # --8<-- [end:fine-tune]

    # --8<-- [start:freeze-norms]
    recalibrate(deep, x_train)
    for layer in deep.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    print("frozen, they move:", statistics_move())
    #> frozen, they move: False
    print("trainable arrays left:", len(deep.trainable_variables))
    #> trainable arrays left: 6
    # --8<-- [end:freeze-norms]

    # --8<-- [start:measure]
    he = dict(initializer=keras.initializers.HeNormal, activation=ops.relu)
    kinds = {
        "sigmoid": {},
        "sigmoid, residual": dict(residual=True),
        "sigmoid, layer norm": dict(before=2),
        "sigmoid, batch norm": dict(before=1),
        "ReLU": he,
        "ReLU, batch norm": dict(before=1, **he),
        "ReLU, batch norm after": dict(after=1, **he),
    }
    results = {}
    print(" " * 22, *[f"rate {rate:<8}" for rate in RATES])
    #>                        rate 0.01     rate 0.04     rate 0.5
    for name, kind in kinds.items():
        results[name] = train_stack(data, **kind)
        cells = [f"{row.min():.2f} to {row.max():.2f}"
                 for row in results[name]]
        print(f"{name:22}", "  ".join(cells))
    #~ sigmoid                0.10 to 0.10  0.10 to 0.10  0.10 to 0.10
    #~ sigmoid, residual      0.20 to 0.36  0.53 to 0.71  0.11 to 0.77
    #~ sigmoid, layer norm    0.10 to 0.10  0.10 to 0.10  0.10 to 0.10
    #~ sigmoid, batch norm    0.84 to 0.85  0.93 to 0.95  0.91 to 0.93
    #~ ReLU                   0.69 to 0.83  0.84 to 0.88  0.10 to 0.10
    #~ ReLU, batch norm       0.88 to 0.89  0.95 to 0.96  0.85 to 0.94
    #~ ReLU, batch norm after 0.90 to 0.91  0.94 to 0.96  0.92 to 0.94
    # --8<-- [end:measure]

    # --8<-- [start:measure-figure]
    figure, axes = plt.subplots(num="measured", figsize=(5, 4))
    colors = ("tab:blue", "tab:green", "tab:red")
    for place, rows in enumerate(results.values()):
        for rate, row, color, shift in zip(
                RATES, rows, colors, (-0.2, 0, 0.2)):
            axes.plot(row, [place + shift] * SEEDS, "o", color=color,
                      label=f"rate {rate}" if place == 0 else None)
    axes.set(xlabel="test accuracy", xlim=(0, 1), yticks=range(len(kinds)),
             yticklabels=[name.replace(", ", ",\n") for name in kinds])
    axes.invert_yaxis()
    axes.legend(loc="lower center", fontsize="small")
    plt.show()
    # --8<-- [end:measure-figure]

    # --8<-- [start:spread]
    for norm in (None, layers.LayerNormalization,
                 layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        h = x_train[:256]
        for _ in range(DEPTH):
            h = layers.Dense(WIDTH)(h)
            h = norm()(h, training=True) if norm else h
            h = ops.sigmoid(h)
        spread = np.std(h, axis=0).mean()
        print(norm.__name__ if norm else "nothing",
              "10 to the power", round(np.log10(spread), 1))
    #~ nothing 10 to the power -4.4
    #~ LayerNormalization 10 to the power -3.0
    #~ BatchNormalization 10 to the power -0.7
    # --8<-- [end:spread]

    # --8<-- [start:noise]
    noisy = train_stack(data, before=1, noise=True)[1]
    for name, row in (("batch norm, noise", noisy),
                      ("batch norm", results["sigmoid, batch norm"][1]),
                      ("without", results["sigmoid"][1])):
        print(f"{name:18} {row.min():.2f} to {row.max():.2f}")
    #~ batch norm, noise  0.85 to 0.88
    #~ batch norm         0.93 to 0.95
    #~ without            0.10 to 0.10
    # --8<-- [end:noise]

    # --8<-- [start:training-true]
    trained, some, labels = model[0.9], x_test[:32], y_test[:32]
    saved = trained.get_weights()
    for size in (32, 8, 4, 2, 1):
        logits = [trained(some[i:i + size], training=True)
                  for i in range(0, 32, size)]
        guess = np.argmax(np.concatenate(logits), axis=1)
        print(f"batches of {size:2}: {np.mean(guess == labels):.2f},",
              "different answers:", len(set(guess)))
    #~ batches of 32: 0.97, different answers: 10
    #~ batches of  8: 0.91, different answers: 10
    #~ batches of  4: 0.91, different answers: 10
    #~ batches of  2: 0.62, different answers: 10
    #~ batches of  1: 0.16, different answers: 1
    print("prediction changed the model:",
          not np.array_equal(saved[3], trained.get_weights()[3]))
    #> prediction changed the model: True
    trained.set_weights(saved)
    print(f"training=False: {accuracy(trained, some, labels):.2f}")
    #~ training=False: 0.97
    # --8<-- [end:training-true]

    # --8<-- [start:small-batches]
    norm = layers.BatchNormalization()
    norm.build((None, 4))
    norm.beta.assign([1.0, 2.0, 3.0, 4.0])
    x = tf.constant(random.normal(5, 100, size=(2, 4)), dtype="float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        one = norm(x[:1], training=True)
    print("batch of 1:", one.numpy())
    #> batch of 1: [[1. 2. 3. 4.]]
    print("gradient  :", tape.gradient(one, x).numpy()[0] + 0.0)
    #> gradient  : [0. 0. 0. 0.]
    print("batch of 2, without beta:")
    #> batch of 2, without beta:
    print((norm(x, training=True) - norm.beta).numpy().round(2))
    #> [[-1. -1. -1.  1.]
    #>  [ 1.  1.  1. -1.]]
    print("examples left for the last batch of 4:", len(x_train) % 4)
    #> examples left for the last batch of 4: 1
    # --8<-- [end:small-batches]

    # --8<-- [start:own-loop]
    for arguments in ({}, {"training": True}):
        norm = layers.BatchNormalization()
        small = keras.Sequential([keras.Input(shape=(64,)),
                                  layers.Dense(32, use_bias=False), norm,
                                  layers.ReLU(), layers.Dense(10)])
        optimizer = keras.optimizers.SGD(0.1)
        for i in range(0, 640, 64):
            with tf.GradientTape() as tape:
                logits = small(x_train[i:i + 64], **arguments)
                loss = cross_entropy(y_train[i:i + 64], logits)
            variables = small.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        print(arguments, "moving mean has moved:",
              bool(np.any(norm.moving_mean)))
    #> {} moving mean has moved: False
    #> {'training': True} moving mean has moved: True
    # --8<-- [end:own-loop]

    # --8<-- [start:wrong-axis]
    loud = maps * np.geomspace(0.1, 10, 16, dtype="float32")
    first = np.moveaxis(loud, -1, 1)       # (32, 16, 8, 8)
    for axis in (-1, 1):
        norm = layers.BatchNormalization(axis=axis)
        y = norm(first, training=True).numpy()
        std = y.std(axis=(0, 2, 3))
        print("axis", axis, norm.gamma.shape, "std of a channel:",
              round(std.min(), 2), "to", round(std.max(), 2))
    #~ axis -1 (8,) std of a channel: 0.03 to 2.71
    #~ axis 1 (16,) std of a channel: 0.95 to 1.0
    # --8<-- [end:wrong-axis]

    # --8<-- [start:solution-1]
    for momentum in (0.9, 0.99, 0.999):
        print(momentum, int(np.ceil(np.log(0.01) / np.log(momentum))))
    #> 0.9 44
    #> 0.99 459
    #> 0.999 4603
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    dense, norm = model[0.9].layers[:2]
    scale = norm.gamma / ops.sqrt(norm.moving_variance + norm.epsilon)
    folded = layers.Dense(32)
    folded.build((None, 64))
    folded.kernel.assign(dense.kernel * scale)
    folded.bias.assign(norm.beta - norm.moving_mean * scale)
    print("one layer does the work of two:",
          np.allclose(folded(x_test), norm(dense(x_test)), atol=1e-4))
    #> one layer does the work of two: True
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    for size in (2, 4, 64):
        norm = layers.BatchNormalization(momentum=0.9)
        for _ in range(40):
            x = random.normal(size=(size, 500)).astype("float32")
            norm(x, training=True)
        print(f"batches of {size:2}: moving variance",
              round(float(ops.mean(norm.moving_variance)), 2))
    #~ batches of  2: moving variance 0.51
    #~ batches of  4: moving variance 0.76
    #~ batches of 64: moving variance 0.98
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    _, slope, _ = gradients()
    kernel = linear.kernel.numpy()
    cosine = np.sum(kernel * slope, axis=0) / (
        np.linalg.norm(kernel, axis=0) * np.linalg.norm(slope, axis=0))
    print("largest cosine:", np.abs(cosine).max().round(2))
    #> largest cosine: 0.0
    stepped = kernel - 1000 * slope
    print("columns that grew:", int(np.sum(
        np.linalg.norm(stepped, axis=0) > np.linalg.norm(kernel, axis=0))))
    #> columns that grew: 32
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    one = maps[:1]
    y = layers.GroupNormalization(groups=1)(one)
    ours = (one - one.mean()) / np.sqrt(one.var() + 1e-3)
    print("one group: one mean for the whole image:",
          np.allclose(ours, y, atol=1e-5))
    #> one group: one mean for the whole image: True
    y = layers.GroupNormalization(groups=16)(one)
    ours = layers.BatchNormalization()(one, training=True)
    print("16 groups: batch norm of a batch of one:",
          np.allclose(ours, y, atol=1e-5))
    #> 16 groups: batch norm of a batch of one: True
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
