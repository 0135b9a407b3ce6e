"""Build a network layer by layer: what `keras.Sequential` is and does.

The lesson stacks dense layers into a 784-128-64-10 classifier, counts its
parameters by hand, trains it, and computes its predictions again in NumPy.
It adds batch normalization and dropout, builds a small convolutional
network and checks its output shape, measures what each part is worth, and
runs the mistakes that everybody makes once.
"""

# --8<-- [start:imports]
import textwrap
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:load]
def load_images():
    """Digits as 28x28 images in [0, 1]: training and test, images, labels."""
    digits = load_digits()
    images = (digits.images / 16).astype("float32")[..., np.newaxis]
    images = keras.ops.image.resize(images, (28, 28))
    return train_test_split(
        keras.ops.convert_to_numpy(images),
        digits.target,
        test_size=0.25,
        random_state=0,
        stratify=digits.target,
    )
# --8<-- [end:load]


# --8<-- [start:show]
def show(message):
    """Print a long message in lines that fit on a page."""
    print(textwrap.fill(str(message), 72))
# --8<-- [end:show]


# --8<-- [start:forward]
def relu(z):
    return np.maximum(z, 0)


def softmax(z):
    exponentials = np.exp(z - z.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


ACTIVATIONS = {"relu": relu, "softmax": softmax, "linear": lambda z: z}


def forward(model, x):
    """What a Sequential of Dense layers computes, in NumPy."""
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        x = ACTIVATIONS[layer.activation.__name__](x @ kernel + bias)
    return x
# --8<-- [end:forward]


# --8<-- [start:build-classifier]
def build_classifier(
    hidden=(128, 64), batch_norm=False, dropout=0.0, classes=10
):
    """A stack of dense layers, with what you ask for between them."""
    model = keras.Sequential([keras.Input(shape=(784,))])
    for units in hidden:
        model.add(layers.Dense(units, use_bias=not batch_norm))
        if batch_norm:
            model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.Activation("relu"))
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(layers.Dense(classes, activation="softmax"))
    return model
# --8<-- [end:build-classifier]


# --8<-- [start:build-convnet]
def build_convnet():
    """A small convolutional network for 28x28 images of one channel."""
    return keras.Sequential([
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(16, kernel_size=3, activation="relu", name="conv"),
        layers.MaxPooling2D(pool_size=2, name="pool"),
        layers.Flatten(name="flatten"),
        layers.Dense(10, activation="softmax", name="output"),
    ])
# --8<-- [end:build-convnet]


# --8<-- [start:start-over]
def start_over(model, new_model):
    """Put a compiled model back to the start: that of a new model."""
    for variable, start in zip(model.variables, new_model.variables):
        variable.assign(start)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = 0.001  # where "adam" starts
# --8<-- [end:start-over]


# --8<-- [start:accuracies]
def accuracies(data, seeds=(0, 1, 2), epochs=4, **options):
    """Test accuracy of one design, trained once for each seed."""
    x_train, x_test, y_train, y_test = data
    model = build_classifier(**options)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    scores = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        start_over(model, build_classifier(**options))
        model.fit(x_train, y_train, batch_size=64, epochs=epochs, verbose=0)
        predicted = np.argmax(model(x_test), axis=1)
        scores.append(float(np.mean(predicted == y_test)))
    return scores
# --8<-- [end:accuracies]


# --8<-- [start:solution-3-code]
def forward_normalized(model, x):
    """As `forward`, for Dense, BatchNormalization and Activation layers."""
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            kernel, *bias = layer.get_weights()
            x = x @ kernel + (bias[0] if bias else 0)
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            x = scale * (x - mean) + beta
        if hasattr(layer, "activation"):
            x = ACTIVATIONS[layer.activation.__name__](x)
    return x
# --8<-- [end:solution-3-code]


def main():
    # --8<-- [start:data]
    x_train, x_test, y_train, y_test = load_images()
    print(x_train.shape, x_train.dtype, x_train.min(), x_train.max())
    #> (1347, 28, 28, 1) float32 0.0 1.0
    print(x_test.shape, y_test[:8])
    #> (450, 28, 28, 1) [2 0 4 9 4 1 2 4]
    # --8<-- [end:data]

    # --8<-- [start:draw-digits]
    figure, rows = plt.subplots(2, 5, num="digits", figsize=(5, 2.1))
    small = load_digits().images[:5]
    large = keras.ops.image.resize(small[..., np.newaxis], (28, 28))
    for column in range(5):
        rows[0, column].imshow(small[column], cmap="gray_r")
        rows[1, column].imshow(large[column, :, :, 0], cmap="gray_r")
    for axes in rows.flat:
        axes.set_axis_off()
    plt.show()
    # --8<-- [end:draw-digits]

    # --8<-- [start:mnist]
    download = False  # True: fetches 11 MB, once
    if download:  # Not run: it asks the network
        (x_train, y_train), (x_test, y_test) = (
            keras.datasets.mnist.load_data()
        )
        x_train = x_train[..., np.newaxis].astype("float32") / 255
        x_test = x_test[..., np.newaxis].astype("float32") / 255
    # --8<-- [end:mnist]

    # --8<-- [start:flat]
    flat_train = x_train.reshape(-1, 784)
    flat_test = x_test.reshape(-1, 784)
    print(flat_train.shape, flat_test.shape)
    #> (1347, 784) (450, 784)
    # --8<-- [end:flat]

    # --8<-- [start:build]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input(shape=(784,)),
        layers.Dense(128, activation="relu", name="hidden_1"),
        layers.Dense(64, activation="relu", name="hidden_2"),
        layers.Dense(10, activation="softmax", name="output"),
    ], name="classifier")
    # --8<-- [end:build]

    # --8<-- [start:summary]
    model.summary(line_length=72)
    #> Model: "classifier"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ hidden_1 (Dense)              │ (None, 128)           │      100,480 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ hidden_2 (Dense)              │ (None, 64)            │        8,256 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ output (Dense)                │ (None, 10)            │          650 │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 109,386 (427.29 KB)
    #>  Trainable params: 109,386 (427.29 KB)
    #>  Non-trainable params: 0 (0.00 B)
    # --8<-- [end:summary]

    # --8<-- [start:call]
    probabilities = model(flat_test[:3])
    print(probabilities.shape)
    #> (3, 10)
    print(np.round(np.sum(probabilities, axis=1), 4))
    #> [1. 1. 1.]
    print(np.round(probabilities[0], 2))
    #~ [0.04 0.05 0.1  0.06 0.06 0.07 0.12 0.11 0.26 0.13]
    # --8<-- [end:call]

    # --8<-- [start:train]
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(flat_train, y_train, batch_size=64, epochs=4, verbose=0)
    loss, accuracy = model.evaluate(flat_test, y_test, verbose=0)
    print(f"test accuracy {accuracy:.3f}")
    #~ test accuracy 0.960
    # --8<-- [end:train]

    # --8<-- [start:predict]
    probabilities = model.predict(flat_test[:8], verbose=0)
    print("predicted", probabilities.argmax(axis=1))
    #> predicted [2 0 4 9 4 1 2 4]
    print("correct  ", y_test[:8])
    #> correct   [2 0 4 9 4 1 2 4]
    print("certainty", probabilities.max(axis=1).round(2))
    #~ certainty [0.82 0.99 1.   0.98 0.98 0.82 0.93 0.94]
    # --8<-- [end:predict]

    # --8<-- [start:add]
    same = keras.Sequential()
    same.add(keras.Input(shape=(784,)))
    for units in (128, 64):
        same.add(layers.Dense(units, activation="relu"))
    same.add(layers.Dense(10, activation="softmax"))
    print(same.output_shape, same.count_params() == model.count_params())
    #> (None, 10) True
    same.pop()
    print(same.output_shape, same.count_params())
    #> (None, 64) 108736
    # --8<-- [end:add]

    # --8<-- [start:input-shape]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old = keras.Sequential([layers.Dense(128, input_shape=(784,))])
    show(caught[0].message)
    #> Do not pass an `input_shape`/`input_dim` argument to a layer. When using
    #> Sequential models, prefer using an `Input(shape)` object as the first
    #> layer in the model instead.
    print(old.output_shape)
    #> (None, 128)
    # --8<-- [end:input-shape]

    # --8<-- [start:shapes]
    for layer in model.layers:
        n_in, n_out = layer.kernel.shape
        count = n_in * n_out + n_out
        assert layer.count_params() == count
        print(layer.name, layer.output.shape, f"{count:,}")
    #> hidden_1 (None, 128) 100,480
    #> hidden_2 (None, 64) 8,256
    #> output (None, 10) 650
    print(f"together {model.count_params():,}")
    #> together 109,386
    # --8<-- [end:shapes]

    # --8<-- [start:compare]
    ours = forward(model, flat_test)
    theirs = np.array(model(flat_test))
    print(ours.shape, theirs.shape)
    #> (450, 10) (450, 10)
    print("equal within 1e-5:", np.allclose(ours, theirs, atol=1e-5))
    #> equal within 1e-5: True
    assert np.abs(ours - theirs).max() < 1e-5
    # --8<-- [end:compare]

    # --8<-- [start:collapse]
    linear = keras.Sequential([keras.Input(shape=(784,))])
    for units in (128, 64, 10):
        linear.add(layers.Dense(units, bias_initializer="random_normal"))
    (W1, b1), (W2, b2), (W3, b3) = (
        layer.get_weights() for layer in linear.layers
    )
    W = W1 @ W2 @ W3
    b = (b1 @ W2 + b2) @ W3 + b3
    collapsed = flat_test @ W + b
    print(np.allclose(collapsed, linear(flat_test), atol=1e-4))
    #> True
    print(f"{linear.count_params():,} parameters do the work of",
          f"{W.size + b.size:,}")
    #> 109,386 parameters do the work of 7,850
    # --8<-- [end:collapse]

    # --8<-- [start:regularized]
    regularized = build_classifier(batch_norm=True, dropout=0.3)
    for layer in regularized.layers:
        print(f"{type(layer).__name__:18} {str(layer.output.shape):11}",
              f"{layer.count_params():>7,}")
    #> Dense              (None, 128) 100,352
    #> BatchNormalization (None, 128)     512
    #> Activation         (None, 128)       0
    #> Dropout            (None, 128)       0
    #> Dense              (None, 64)    8,192
    #> BatchNormalization (None, 64)      256
    #> Activation         (None, 64)        0
    #> Dropout            (None, 64)        0
    #> Dense              (None, 10)      650
    learned = sum(np.prod(w.shape) for w in regularized.trainable_weights)
    print(f"{regularized.count_params():,} parameters, {learned:,} learned")
    #> 109,962 parameters, 109,578 learned
    # --8<-- [end:regularized]

    # --8<-- [start:modes]
    batch = flat_train[:32]
    for training in (False, True):
        first = regularized(batch, training=training)
        second = regularized(batch, training=training)
        print(f"training={training}: same answer twice?",
              np.allclose(first, second))
    #> training=False: same answer twice? True
    #> training=True: same answer twice? False
    # --8<-- [end:modes]

    # --8<-- [start:convnet]
    keras.utils.set_random_seed(0)
    convnet = build_convnet()
    for layer in convnet.layers:
        print(f"{layer.name:8} {str(layer.output.shape):21}",
              f"{layer.count_params():>6,}")
    #> conv     (None, 26, 26, 16)       160
    #> pool     (None, 13, 13, 16)         0
    #> flatten  (None, 2704)               0
    #> output   (None, 10)            27,050
    assert convnet.output_shape == (None, 10)
    # --8<-- [end:convnet]

    # --8<-- [start:train-convnet]
    convnet.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    convnet.fit(x_train, y_train, epochs=4, verbose=0)
    loss, accuracy = convnet.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy {accuracy:.3f},",
          f"{convnet.count_params():,} parameters")
    #~ test accuracy 0.958, 27,210 parameters
    # --8<-- [end:train-convnet]

    # --8<-- [start:experiment]
    data = flat_train, flat_test, y_train, y_test
    designs = {
        "784-10": {"hidden": ()},
        "784-128-64-10": {},
        "with BatchNorm": {"batch_norm": True},
        "with Dropout": {"dropout": 0.3},
    }
    results = {
        name: accuracies(data, **options)
        for name, options in designs.items()
    }
    for name, scores in results.items():
        print(f"{name:15} mean {np.mean(scores):.3f},",
              f"from {min(scores):.3f} to {max(scores):.3f}")
    #~ 784-10          mean 0.907, from 0.898 to 0.922
    #~ 784-128-64-10   mean 0.952, from 0.947 to 0.960
    #~ with BatchNorm  mean 0.976, from 0.971 to 0.984
    #~ with Dropout    mean 0.935, from 0.924 to 0.953
    # --8<-- [end:experiment]

    # --8<-- [start:noise]
    p = np.mean(results["784-128-64-10"])
    print(f"one image: {1 / len(y_test):.4f}")
    #> one image: 0.0022
    print(f"standard error: {np.sqrt(p * (1 - p) / len(y_test)):.4f}")
    #~ standard error: 0.0101
    # --8<-- [end:noise]

    # --8<-- [start:finished]
    finished = LogisticRegression(tol=1e-3).fit(flat_train, y_train)
    print("one layer, trained to the end:",
          f"{finished.score(flat_test, y_test):.3f}")
    #~ one layer, trained to the end: 0.971
    # --8<-- [end:finished]

    # --8<-- [start:draw-experiment]
    figure, axes = plt.subplots(num="experiment", figsize=(5, 2.4))
    for row, scores in enumerate(results.values()):
        axes.plot(scores, [row] * 3, "o", color="#3f51b5", alpha=0.6)
        axes.plot(np.mean(scores), row, "|", color="#d9480f",
                  markersize=18, markeredgewidth=2)
    axes.set_yticks(range(4), results)
    axes.set(xlim=(0.88, 1), ylim=(3.5, -0.5), xlabel="test accuracy")
    plt.show()
    # --8<-- [end:draw-experiment]

    # --8<-- [start:no-flatten]
    stack = keras.Sequential([
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(16, kernel_size=3, activation="relu"),
        layers.MaxPooling2D(pool_size=2),
        layers.Dense(10, activation="softmax"),
    ])
    stack.compile("adam", "sparse_categorical_crossentropy")
    print(stack.output_shape)
    #> (None, 13, 13, 10)
    try:
        stack.fit(x_train[:32], y_train[:32], verbose=0)
    except ValueError as error:
        show(error)
    #> Argument `output` must have rank (ndim) `target.ndim - 1`. Received:
    #> target.shape=(32,), output.shape=(32, 13, 13, 10)
    # --8<-- [end:no-flatten]

    # --8<-- [start:no-input]
    unbuilt = keras.Sequential([
        layers.Dense(128, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="output"),
    ], name="unbuilt")
    unbuilt.summary(line_length=72)
    #> Model: "unbuilt"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ hidden (Dense)                │ ?                     │  0 (unbuilt) │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ output (Dense)                │ ?                     │  0 (unbuilt) │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 0 (0.00 B)
    #>  Trainable params: 0 (0.00 B)
    #>  Non-trainable params: 0 (0.00 B)
    print(unbuilt.built, unbuilt.weights)
    #> False []
    try:
        unbuilt.count_params()
    except ValueError as error:
        show(error)
    #> You tried to call `count_params` on layer 'unbuilt', but the layer isn't
    #> built. You can build it manually via: `layer.build(input_shape)`.
    # --8<-- [end:no-input]

    # --8<-- [start:build-late]
    unbuilt.build((None, 784))
    print(unbuilt.output_shape, unbuilt.count_params())
    #> (None, 10) 101770
    # --8<-- [end:build-late]

    # --8<-- [start:batch-axis]
    wrong = keras.Sequential([
        keras.Input(shape=(None, 784)),
        layers.Dense(128, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    print(wrong.count_params() == model.count_params())
    #> True
    print(wrong.input_shape, wrong.output_shape)
    #> (None, None, 784) (None, None, 10)
    try:
        wrong.predict(flat_test, verbose=0)
    except ValueError as error:
        message = str(error)
        start, end = message.index("Expected"), message.index("\033[0m")
        print(message[start:end])
    #> Expected shape (None, None, 784), but input has incompatible shape (32, 784)
    # --8<-- [end:batch-axis]

    # --8<-- [start:one-softmax]
    keras.utils.set_random_seed(0)
    is_odd_train, is_odd_test = y_train % 2, y_test % 2
    odd = keras.Sequential([
        keras.Input(shape=(784,)),
        layers.Dense(128, activation="relu"),
        layers.Dense(1, activation="softmax"),
    ])
    odd.compile("adam", "binary_crossentropy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        odd.fit(flat_train, is_odd_train, verbose=0)
        outputs = np.array(odd(flat_test))[:, 0]
    print("outputs:", np.unique(outputs.round(3)))
    #> outputs: [1.]
    print(f"accuracy {np.mean((outputs > 0.5) == is_odd_test):.3f},",
          f"share of odd digits {np.mean(is_odd_test):.3f}")
    #> accuracy 0.507, share of odd digits 0.507
    show(caught[0].message)
    #> You are using a softmax over axis -1 of a tensor of shape (None, 1).
    #> This axis has size 1. The softmax operation will always return the value
    #> 1, which is likely not what you intended. Did you mean to use a sigmoid
    #> instead?
    # --8<-- [end:one-softmax]

    # --8<-- [start:two-inputs]
    first, second = flat_test[:4], flat_test[4:8]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        both = model([first, second])
    print(both.shape, "second one ignored:", np.allclose(both, model(first)))
    #> (4, 10) second one ignored: True
    show(str(caught[0].message).splitlines()[0])
    #> The structure of `inputs` doesn't match the expected structure.
    # --8<-- [end:two-inputs]

    # --8<-- [start:merge]
    try:
        keras.Sequential([keras.Input(shape=(784,)), layers.Add()])
    except ValueError as error:
        show(error)
    #> A merge layer should be called on a list of inputs. Received:
    #> input_shape=(None, 784) (not a list of shapes)
    # --8<-- [end:merge]

    # --8<-- [start:solution-1]
    wide = build_classifier(hidden=(256, 128), batch_norm=True)
    by_hand = (
        784 * 256 + 4 * 256
        + 256 * 128 + 4 * 128
        + 128 * 10 + 10
    )
    print(f"{by_hand:,}", by_hand == wide.count_params())
    #> 236,298 True
    fixed = sum(np.prod(w.shape) for w in wide.non_trainable_weights)
    print(fixed, fixed == 2 * 256 + 2 * 128)
    #> 768 True
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    rows_only = keras.Sequential([
        keras.Input(shape=(28, 28)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    print(rows_only.output_shape, rows_only.count_params())
    #> (None, 28, 10) 2506
    flattened = keras.Sequential([
        keras.Input(shape=(28, 28)),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    print(flattened.output_shape, flattened.count_params())
    #> (None, 10) 50890
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    normalized = build_classifier(batch_norm=True)
    for _ in range(20):
        normalized(flat_train[:256], training=True)
    ours = forward_normalized(normalized, flat_test)
    theirs = np.array(normalized(flat_test))
    print("equal within 1e-5:", np.allclose(ours, theirs, atol=1e-5))
    #> equal within 1e-5: True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    odd_train, odd_test = y_train % 2, y_test % 2
    finished = LogisticRegression(tol=1e-3).fit(flat_train, odd_train)
    print(f"linear: {finished.score(flat_test, odd_test):.3f}")
    #~ linear: 0.911
    parity = flat_train, flat_test, odd_train, odd_test
    scores = accuracies(parity, epochs=10, hidden=(64,), classes=2)
    print(f"with ReLU: mean {np.mean(scores):.3f},",
          f"from {min(scores):.3f} to {max(scores):.3f}")
    #~ with ReLU: mean 0.956, from 0.949 to 0.967
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    any_size = keras.Sequential([
        keras.Input(shape=(None, None, 1)),
        layers.Conv2D(16, kernel_size=3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ], name="any_size")
    print(any_size.output_shape, any_size.count_params())
    #> (None, 10) 330
    for size in (28, 56):
        images = keras.ops.image.resize(x_test[:4], (size, size))
        print(images.shape, any_size(images).shape)
    #> (4, 28, 28, 1) (4, 10)
    #> (4, 56, 56, 1) (4, 10)
    # --8<-- [end:solution-5]

    # --8<-- [start:solution-5-flatten]
    any_size.pop()
    any_size.pop()
    any_size.add(layers.Flatten())
    try:
        any_size.add(layers.Dense(10, name="output"))
    except ValueError as error:
        show(error)
    #> Shapes used to initialize variables must be fully-defined (no `None`
    #> dimensions). Received: shape=(None, 10) for variable
    #> path='any_size/output/kernel'
    # --8<-- [end:solution-5-flatten]


if __name__ == "__main__":
    main()
