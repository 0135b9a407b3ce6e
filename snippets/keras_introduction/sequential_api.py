"""A first neural network, layer by layer, with `keras.Sequential`.

The lesson trains a 784-128-64-10 classifier of handwritten digits, reads its summary, and computes its answers
again in NumPy. It grows a small convolutional network, takes a part of a model for another use, adds batch
normalization and dropout, measures what a hidden layer buys, and runs the mistakes that people make.
"""

# --8<-- [start:imports]
import re

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:forward]
def relu(z):
    return np.maximum(z, 0)


def softmax(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def forward(model, x):
    """The answers of a stack of Dense layers, in NumPy."""
    *hidden, last = [layer.get_weights() for layer in model.layers]
    for W, b in hidden:
        x = relu(x @ W + b)
    W, b = last
    return softmax(x @ W + b)
# --8<-- [end:forward]


# --8<-- [start:build-seeded]
def build(seed, hidden=(64,), classes=10):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape=(784,))])
    for units in hidden:
        model.add(layers.Dense(units, activation="relu"))
    model.add(layers.Dense(classes, activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    return model
# --8<-- [end:build-seeded]


# --8<-- [start:solution-3-code]
def forward_normalized(model, x):
    """As `forward`, with Dense, BatchNormalization and Activation layers."""
    activations = {"relu": relu, "softmax": softmax, "linear": lambda z: z}
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            W, b = layer.get_weights()
            x = x @ W + b
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            x = gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta
        if hasattr(layer, "activation"):
            x = activations[layer.activation.__name__](x)
    return x
# --8<-- [end:solution-3-code]


def main():
    # --8<-- [start:data]
    digits = load_digits()
    small = (digits.images[..., np.newaxis] / 16).astype("float32")
    images = keras.ops.convert_to_numpy(
        keras.ops.image.resize(small, (28, 28)))
    labels = digits.target
    print(images.shape, "pixels from", images.min(), "to", images.max())
    #> (1797, 28, 28, 1) pixels from 0.0 to 1.0
    # --8<-- [end:data]

    # --8<-- [start:digits]
    figure, panels = plt.subplots(1, 5, num="digits", figsize=(5, 1.3))
    for panel, image, label in zip(panels, images, labels):
        panel.imshow(image[:, :, 0], cmap="gray_r")
        panel.set_title(label)
        panel.set_axis_off()

    plt.show()
    # --8<-- [end:digits]

    # --8<-- [start:split]
    train_images, test_images, y_train, y_test = train_test_split(
        images, labels, test_size=0.25, random_state=0, stratify=labels)
    x_train = train_images.reshape(-1, 784)
    x_test = test_images.reshape(-1, 784)
    print(x_train.shape, x_test.shape)
    #> (1347, 784) (450, 784)
    print(y_train[:8])
    #> [7 3 6 6 7 6 7 9]
    # --8<-- [end:split]

    # --8<-- [start:mnist]
    download = False  # True: fetches 11 MB, once
    if download:  # Not run: it asks the network
        train, test = keras.datasets.mnist.load_data()
        train_images, test_images = [
            (pixels[..., np.newaxis] / 255).astype("float32")
            for pixels in (train[0], test[0])]
        y_train, y_test = train[1], test[1]
        x_train = train_images.reshape(-1, 784)
        x_test = test_images.reshape(-1, 784)
    # --8<-- [end:mnist]

    # --8<-- [start:build]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input(shape=(784,)),
        layers.Dense(128, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ], name="classifier")
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy before training: {accuracy:.2f}")
    #~ test accuracy before training: 0.10
    # --8<-- [end:build]

    # --8<-- [start:fit]
    log = model.fit(x_train, y_train, epochs=5, verbose=0).history
    for epoch in range(5):
        print(f"Epoch {epoch + 1}/5",
              f"- accuracy: {log['accuracy'][epoch]:.2f}",
              f"- loss: {log['loss'][epoch]:.2f}")
    #~ Epoch 1/5 - accuracy: 0.70 - loss: 1.25
    #~ Epoch 2/5 - accuracy: 0.91 - loss: 0.34
    #~ Epoch 3/5 - accuracy: 0.94 - loss: 0.22
    #~ Epoch 4/5 - accuracy: 0.95 - loss: 0.16
    #~ Epoch 5/5 - accuracy: 0.96 - loss: 0.13
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy after training: {accuracy:.2f}")
    #~ test accuracy after training: 0.96
    # --8<-- [end:fit]

    # --8<-- [start:loss]
    figure, axes = plt.subplots(
        num="loss", figsize=(5, 2.2), layout="constrained")
    axes.plot(range(1, 6), log["loss"], "o-")
    axes.set(xlabel="epoch", ylabel="loss", xticks=range(1, 6), ylim=0)
    plt.show()
    # --8<-- [end:loss]

    # --8<-- [start:predict]
    probabilities = model.predict(x_test[:4], verbose=0)
    print(probabilities.shape)
    #> (4, 10)
    print(probabilities[1].round(2))
    #~ [0.99 0.   0.   0.   0.   0.   0.   0.   0.   0.  ]
    print("network:", probabilities.argmax(axis=1), "label:", y_test[:4])
    #> network: [2 0 4 9] label: [2 0 4 9]
    # --8<-- [end:predict]

    # --8<-- [start:activations]
    figure, (left, right) = plt.subplots(
        1, 2, num="activations", figsize=(5, 2.2), layout="constrained")
    z = np.linspace(-3, 3, 61)
    left.plot(z, relu(z))
    left.set(title="relu(z)", xlabel="z")
    scores = np.array([[2.0, 1.0, 0.5, -1.0]])
    right.bar(range(4), scores[0], width=0.4, label="scores")
    right.bar(np.arange(4) + 0.4, softmax(scores)[0], width=0.4,
              label="softmax")
    right.set(title="softmax", xlabel="class", xticks=range(4))
    right.legend()
    plt.show()
    # --8<-- [end:activations]

    # --8<-- [start:summary]
    model.summary(line_length=72)
    #> Model: "classifier"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ dense (Dense)                 │ (None, 128)           │      100,480 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ dense_1 (Dense)               │ (None, 64)            │        8,256 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ dense_2 (Dense)               │ (None, 10)            │          650 │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 328,160 (1.25 MB)
    #>  Trainable params: 109,386 (427.29 KB)
    #>  Non-trainable params: 0 (0.00 B)
    #>  Optimizer params: 218,774 (854.59 KB)
    # --8<-- [end:summary]

    # --8<-- [start:count]
    for layer in model.layers:
        inputs, units = layer.kernel.shape
        print(f"{inputs} * {units} + {units} =", inputs * units + units,
              inputs * units + units == layer.count_params())
    #> 784 * 128 + 128 = 100480 True
    #> 128 * 64 + 64 = 8256 True
    #> 64 * 10 + 10 = 650 True
    # --8<-- [end:count]

    # --8<-- [start:compare]
    by_hand = forward(model, x_test)
    by_keras = model.predict(x_test, verbose=0)
    print(by_hand.shape, np.allclose(by_hand, by_keras, atol=1e-5))
    #> (450, 10) True
    # --8<-- [end:compare]

    # --8<-- [start:collapse]
    linear = keras.Sequential([keras.Input(shape=(784,))])
    for units in (128, 64, 10):
        linear.add(layers.Dense(units, bias_initializer="random_normal"))

    (W1, b1), (W2, b2), (W3, b3) = [
        layer.get_weights() for layer in linear.layers]
    W = W1 @ W2 @ W3
    b = (b1 @ W2 + b2) @ W3 + b3
    print(np.allclose(linear.predict(x_test, verbose=0), x_test @ W + b,
                      atol=1e-4))
    #> True
    print(linear.count_params(), "parameters do the work of",
          W.size + b.size)
    #> 109386 parameters do the work of 7850
    # --8<-- [end:collapse]

    # --8<-- [start:grow]
    keras.utils.set_random_seed(0)
    convnet = keras.Sequential([keras.Input(shape=(28, 28, 1))])
    for layer in (layers.Conv2D(16, kernel_size=3, activation="relu"),
                  layers.MaxPooling2D(pool_size=2)):
        convnet.add(layer)
        print(layer.__class__.__name__, convnet.output_shape)
    #> Conv2D (None, 26, 26, 16)
    #> MaxPooling2D (None, 13, 13, 16)
    # --8<-- [end:grow]

    # --8<-- [start:grown]
    convnet.add(layers.Flatten())
    convnet.add(layers.Dense(10, activation="softmax"))
    convnet.summary(line_length=72)
    #> Model: "sequential_1"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ conv2d (Conv2D)               │ (None, 26, 26, 16)    │          160 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ max_pooling2d (MaxPooling2D)  │ (None, 13, 13, 16)    │            0 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ flatten (Flatten)             │ (None, 2704)          │            0 │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ dense_6 (Dense)               │ (None, 10)            │       27,050 │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 27,210 (106.29 KB)
    #>  Trainable params: 27,210 (106.29 KB)
    #>  Non-trainable params: 0 (0.00 B)
    assert convnet.output_shape == (None, 10)
    # --8<-- [end:grown]

    # --8<-- [start:train-convnet]
    convnet.compile(optimizer="adam", loss="sparse_categorical_crossentropy",
                    metrics=["accuracy"])
    convnet.fit(train_images, y_train, epochs=5, verbose=0)
    loss, accuracy = convnet.evaluate(test_images, y_test, verbose=0)
    print(f"test accuracy: {accuracy:.2f}")
    #~ test accuracy: 0.97
    # --8<-- [end:train-convnet]

    # --8<-- [start:features]
    print([layer.__class__.__name__ for layer in model.layers])
    #> ['Dense', 'Dense', 'Dense']
    extractor = keras.Sequential(
        [keras.Input(shape=(784,)), *model.layers[:2]])
    features = extractor.predict(x_test, verbose=0)
    print(features.shape)
    #> (450, 64)
    # --8<-- [end:features]

    # --8<-- [start:modes]
    batch = np.array([[1.0], [3.0]], "float32")
    for layer in (layers.BatchNormalization(), layers.Dropout(0.5, seed=1)):
        for training in (True, False):
            answer = keras.ops.convert_to_numpy(
                layer(batch, training=training))
            print(layer.__class__.__name__, "training:", training,
                  answer[:, 0].round(2))
    #> BatchNormalization training: True [-1.  1.]
    #> BatchNormalization training: False [0.98 2.98]
    #> Dropout training: True [2. 0.]
    #> Dropout training: False [1. 3.]
    # --8<-- [end:modes]

    # --8<-- [start:regularized]
    keras.utils.set_random_seed(0)
    normalized = keras.Sequential([
        keras.Input(shape=(784,)),
        layers.Dense(128),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dense(64),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dropout(0.3),
        layers.Dense(10, activation="softmax"),
    ])
    for layer in normalized.layers:
        tracked = sum(np.prod(w.shape) for w in layer.non_trainable_weights)
        print(layer.__class__.__name__, layer.output.shape,
              layer.count_params(), "not trained:", tracked)
    #> Dense (None, 128) 100480 not trained: 0
    #> BatchNormalization (None, 128) 512 not trained: 256
    #> Activation (None, 128) 0 not trained: 0
    #> Dense (None, 64) 8256 not trained: 0
    #> BatchNormalization (None, 64) 256 not trained: 128
    #> Activation (None, 64) 0 not trained: 0
    #> Dropout (None, 64) 0 not trained: 0
    #> Dense (None, 10) 650 not trained: 0
    # --8<-- [end:regularized]

    # --8<-- [start:train-normalized]
    normalized.compile(optimizer="adam", metrics=["accuracy"],
                       loss="sparse_categorical_crossentropy")
    for epochs in (1, 9):
        normalized.fit(x_train, y_train, epochs=epochs, verbose=0)
        accuracy = normalized.evaluate(x_test, y_test, verbose=0)[1]
        print(f"test accuracy: {accuracy:.2f}")
    #~ test accuracy: 0.91
    #~ test accuracy: 0.98
    # --8<-- [end:train-normalized]


    # --8<-- [start:measure]
    scores = np.zeros((2, 2, 3))  # question, hidden layer or none, split
    for seed in range(3):
        x, x_new, y, y_new = train_test_split(
            images.reshape(-1, 784), labels, test_size=0.25,
            random_state=seed, stratify=labels)
        for question, classes in enumerate((10, 2)):
            for i, hidden in enumerate(((), (64,))):
                network = build(seed, hidden, classes)
                network.fit(x, y % classes, epochs=10, verbose=0)
                scores[question, i, seed] = network.evaluate(
                    x_new, y_new % classes, verbose=0)[1]
    # --8<-- [end:measure]

    # --8<-- [start:table]
    print("              none  hidden   gain")
    #>               none  hidden   gain
    for name, (none, hidden) in zip(("which digit?", "odd or even?"), scores):
        gain = hidden - none  # on the same split
        error = np.std(gain, ddof=1) / 3 ** 0.5
        print(f"{name:14}{none.mean():.2f}  {hidden.mean():.2f}     "
              f"{gain.mean():.3f} ± {error:.3f}")
    #~ which digit?  0.95  0.96     0.011 ± 0.002
    #~ odd or even?  0.91  0.97     0.065 ± 0.006
    # --8<-- [end:table]

    # --8<-- [start:one-image]
    try:
        model(x_test[0])
    except ValueError as error:
        print(re.search(r"Expected shape[^\033]*", str(error))[0])
    #> Expected shape (None, 784), but input has incompatible shape (784,)
    print(model.predict(x_test[:1], verbose=0).shape)
    #> (1, 10)
    # --8<-- [end:one-image]

    # --8<-- [start:batch-axis]
    sequences = keras.Sequential([
        keras.Input(shape=(None, 784)),
        layers.Dense(128, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    print(sequences.count_params() == model.count_params())
    #> True
    print(sequences.output_shape)
    #> (None, None, 10)
    try:
        sequences(x_test)
    except ValueError as error:
        print(re.search(r"Expected shape[^\033]*", str(error))[0])
    #> Expected shape (None, None, 784), but input has incompatible shape (450, 784)
    # --8<-- [end:batch-axis]

    # --8<-- [start:no-flatten]
    unflattened = keras.Sequential([
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(16, kernel_size=3, activation="relu"),
        layers.MaxPooling2D(pool_size=2),
        layers.Dense(10, activation="softmax"),
    ])
    print(unflattened.output_shape)
    #> (None, 13, 13, 10)
    unflattened.compile(optimizer="adam",
                        loss="sparse_categorical_crossentropy")
    try:
        unflattened.fit(train_images, y_train, verbose=0)
    except ValueError as error:
        print(str(error).replace(" Received", "\nReceived"))
    #> Argument `output` must have rank (ndim) `target.ndim - 1`.
    #> Received: target.shape=(None,), output.shape=(None, 13, 13, 10)
    # --8<-- [end:no-flatten]

    # --8<-- [start:not-compiled]
    model.pop()
    model.add(layers.Dense(10, activation="softmax"))
    before = model.layers[-1].get_weights()[0]
    model.fit(x_train, y_train, epochs=5, verbose=0)
    after = model.layers[-1].get_weights()[0]
    print("new layer changed by", abs(after - before).max())
    #> new layer changed by 0.0
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"evaluate says: {accuracy:.2f}")
    #~ evaluate says: 0.97
    answers = keras.ops.convert_to_numpy(model(x_test)).argmax(axis=1)
    print("model(x_test) is right more often than 0.3:", (answers == y_test).mean() > 0.3)
    #> model(x_test) is right more often than 0.3: False
    # --8<-- [end:not-compiled]

    # --8<-- [start:compiled]
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=1, verbose=0)
    after = model.layers[-1].get_weights()[0]
    print("new layer changed:", abs(after - before).max() > 0)
    #> new layer changed: True
    # --8<-- [end:compiled]

    # --8<-- [start:no-input]
    unbuilt = keras.Sequential([
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ], name="unbuilt")
    unbuilt.summary(line_length=72)
    #> Model: "unbuilt"
    #> ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)                  ┃ Output Shape          ┃      Param # ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    #> │ dense_33 (Dense)              │ ?                     │  0 (unbuilt) │
    #> ├───────────────────────────────┼───────────────────────┼──────────────┤
    #> │ dense_34 (Dense)              │ ?                     │  0 (unbuilt) │
    #> └───────────────────────────────┴───────────────────────┴──────────────┘
    #>  Total params: 0 (0.00 B)
    #>  Trainable params: 0 (0.00 B)
    #>  Non-trainable params: 0 (0.00 B)
    try:
        unbuilt.count_params()
    except ValueError as error:
        print(error)
    #> You tried to call `count_params` on layer 'unbuilt', but the layer isn't built. You can build it manually via: `layer.build(input_shape)`.
    # --8<-- [end:no-input]

    # --8<-- [start:input-shape]
    old = keras.Sequential([layers.Dense(128, input_shape=(784,))])
    #> UserWarning: Do not pass an `input_shape`/`input_dim` argument to a layer. When using Sequential models, prefer using an `Input(shape)` object as the first layer in the model instead.
    print(old.output_shape)
    #> (None, 128)
    # --8<-- [end:input-shape]

    # --8<-- [start:never-called]
    try:
        keras.Model(model.input, model.layers[1].output)
    except AttributeError as error:
        print(error)
    #> The layer classifier has never been called and thus has no defined input.
    extractor = keras.Model(model.inputs[0], model.layers[1].output)
    print(extractor.output_shape)
    #> (None, 64)
    # --8<-- [end:never-called]

    # --8<-- [start:two-inputs]
    first, second = x_test[:4], x_test[4:8]
    both = model([first, second])
    #> UserWarning: The structure of `inputs` doesn't match the expected structure.
    #> Expected: keras_tensor
    #> Received: inputs=['Tensor(shape=(4, 784))', 'Tensor(shape=(4, 784))']
    print(np.allclose(both, model(first)))
    #> True
    # --8<-- [end:two-inputs]

    # --8<-- [start:solution-1]
    counted = keras.Sequential([
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(8, kernel_size=5, activation="relu"),
        layers.MaxPooling2D(pool_size=2),
        layers.Flatten(),
        layers.Dense(32),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dense(10, activation="softmax"),
    ])
    for layer in counted.layers:
        print(layer.__class__.__name__, layer.output.shape,
              layer.count_params())
    #> Conv2D (None, 24, 24, 8) 208
    #> MaxPooling2D (None, 12, 12, 8) 0
    #> Flatten (None, 1152) 0
    #> Dense (None, 32) 36896
    #> BatchNormalization (None, 32) 128
    #> Activation (None, 32) 0
    #> Dense (None, 10) 330
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    rows = keras.Sequential([
        keras.Input(shape=(28, 28)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    print(rows.output_shape, rows.count_params())
    #> (None, 28, 10) 2506
    mended = keras.Sequential([
        keras.Input(shape=(28, 28)),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    print(mended.output_shape, mended.count_params())
    #> (None, 10) 50890
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    by_hand = forward_normalized(normalized, x_test)
    by_keras = normalized.predict(x_test, verbose=0)
    print(np.allclose(by_hand, by_keras, atol=1e-5))
    #> True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    any_size = keras.Sequential([
        keras.Input(shape=(None, None, 1)),
        layers.Conv2D(16, kernel_size=3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ], name="any_size")
    print(any_size.count_params())
    #> 330
    for some in (train_images[:4], small[:4]):
        print(some.shape, any_size.predict(some, verbose=0).shape)
    #> (4, 28, 28, 1) (4, 10)
    #> (4, 8, 8, 1) (4, 10)
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-4-flatten]
    any_size.pop()
    any_size.pop()
    any_size.add(layers.Flatten())
    try:
        any_size.add(layers.Dense(10, name="output"))
    except ValueError as error:
        print(error)
    #> Shapes used to initialize variables must be fully-defined (no `None` dimensions). Received: shape=(None, 10) for variable path='any_size/output/kernel'
    # --8<-- [end:solution-4-flatten]


if __name__ == "__main__":
    main()
