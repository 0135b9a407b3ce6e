"""Skip connections and shared encoders: two graphs that a chain cannot express.

The lesson trains forty layers with and without skip connections, derives what
they do to signals and gradients, starts blocks at zero, and trains Siamese
networks that compare two images, on digits they know and on digits they do not.
"""

# --8<-- [start:imports]
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:block]
def plain_block(h, last="glorot_uniform"):
    inside = layers.Dense(64, activation="relu")(h)
    return layers.Dense(64, activation="relu", kernel_initializer=last)(inside)


def residual_block(h, last="glorot_uniform"):
    inside = layers.Dense(64, activation="relu")(h)
    change = layers.Dense(64, kernel_initializer=last)(inside)
    return layers.Add()([h, change])
# --8<-- [end:block]


# --8<-- [start:build]
def build(block, blocks=20, last="glorot_uniform", seed=0):
    keras.utils.set_random_seed(seed)
    image = h = keras.Input(shape=(64,))
    for _ in range(blocks):
        h = block(h, last)
    model = keras.Model(image, layers.Dense(10)(h))
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:gradient-sizes]
def gradient_sizes(model, x, y):
    """Length of the loss's gradient for each kernel: one step of rate 1."""
    model.compile(keras.optimizers.SGD(1.0), loss=model.loss)
    before = model.get_weights()
    model.train_on_batch(x, y)
    moved = zip(before, model.get_weights())
    return [np.linalg.norm(old - new) for old, new in moved if old.ndim == 2]
# --8<-- [end:gradient-sizes]


# --8<-- [start:convolution]
def convolution_block(h, filters, stride=1):
    change = h
    for steps in (stride, 1):
        change = layers.BatchNormalization()(change)
        change = layers.ReLU()(change)
        change = layers.Conv2D(filters, 3, strides=steps, padding="same",
                               use_bias=False)(change)
    if h.shape != change.shape:
        h = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(h)
    return layers.Add()([h, change])
# --8<-- [end:convolution]


# --8<-- [start:pairs]
def pairs(images, digits, count, seed):
    """Two images each, every second pair of the same digit."""
    random = np.random.default_rng(seed)
    same = np.arange(count) % 2
    left = random.integers(len(images), size=count)
    right = []
    for i, wanted in zip(left, same):
        others = np.flatnonzero((digits == digits[i]) == wanted)
        right.append(random.choice(others[others != i]))
    return {"left": images[left], "right": images[right]}, same
# --8<-- [end:pairs]


# --8<-- [start:siamese]
def make_encoder():
    return keras.Sequential([
        keras.Input(shape=(64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(32)])


def siamese(seed=0):
    """The distance of the codes of two images."""
    keras.utils.set_random_seed(seed)
    left = keras.Input(shape=(64,), name="left")
    right = keras.Input(shape=(64,), name="right")
    encoder = make_encoder()
    difference = encoder(left) - encoder(right)
    squares = ops.sum(ops.square(difference), axis=1, keepdims=True)
    distance = ops.sqrt(squares + 1e-9)
    model = keras.Model({"left": left, "right": right}, distance)
    model.compile(optimizer="adam", loss=contrastive)
    return model


def contrastive(same, distance):
    """Pull pairs of one class together, push others to 1 apart."""
    same = ops.cast(same, distance.dtype)
    push = ops.square(ops.maximum(1.0 - distance, 0.0))
    return same * ops.square(distance) + (1.0 - same) * push
# --8<-- [end:siamese]


# --8<-- [start:ranking]
def ranking(distances, same):
    """How often a pair of one digit is closer than another pair."""
    return roc_auc_score(same, -np.ravel(distances))


def pixel_distances(x):
    return np.linalg.norm(x["left"] - x["right"], axis=1)
# --8<-- [end:ranking]


def main():
    # --8<-- [start:data]
    images, digits = load_digits(return_X_y=True)
    images = ((images - images.mean()) / images.std()).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits, test_size=360, stratify=digits, random_state=0)
    # --8<-- [end:data]

    # --8<-- [start:fit]
    for name, block, last in (
            ("plain", plain_block, "glorot_uniform"),
            ("residual", residual_block, "glorot_uniform"),
            ("from zero", residual_block, "zeros")):
        model = build(block, last=last)
        log = model.fit(x_train, y_train, epochs=3, verbose=0,
                        validation_data=(x_test, y_test)).history
        for epoch in (1, 2, 3):
            print(f"{name:9} Epoch {epoch}/3", *(
                f"- {key}: {log[key][epoch - 1]:.2f}"
                for key in ("loss", "val_accuracy")))
    #~ plain     Epoch 1/3 - loss: 2.30 - val_accuracy: 0.10
    #~ plain     Epoch 2/3 - loss: 2.30 - val_accuracy: 0.10
    #~ plain     Epoch 3/3 - loss: 2.30 - val_accuracy: 0.10
    #~ residual  Epoch 1/3 - loss: 10.25 - val_accuracy: 0.79
    #~ residual  Epoch 2/3 - loss: 1.18 - val_accuracy: 0.85
    #~ residual  Epoch 3/3 - loss: 0.53 - val_accuracy: 0.90
    #~ from zero Epoch 1/3 - loss: 0.56 - val_accuracy: 0.96
    #~ from zero Epoch 2/3 - loss: 0.09 - val_accuracy: 0.94
    #~ from zero Epoch 3/3 - loss: 0.05 - val_accuracy: 0.97
    # --8<-- [end:fit]

    # --8<-- [start:gradients]
    figure, axes = plt.subplots(num="gradients", figsize=(5, 3))
    for name, block in (("plain", plain_block), ("residual", residual_block)):
        sizes = gradient_sizes(build(block), x_train, y_train)
        axes.semilogy(range(1, len(sizes)), sizes[:-1], label=name)
        print(f"{name:9} smallest {min(sizes[:-1]):.0e},",
              f"largest {max(sizes[:-1]):.0e}")
    #~ plain     smallest 1e-07, largest 5e-07
    #~ residual  smallest 8e+01, largest 2e+02
    axes.set(xlabel="layer", ylabel="size of the gradient")
    axes.legend()
    plt.show()
    # --8<-- [end:gradients]

    # --8<-- [start:signal]
    random = np.random.default_rng(0)
    h = random.normal(size=(200, 64))
    for number in range(1, 21):
        first, second = random.normal(0, 1 / 8, size=(2, 64, 64))
        h = h + np.maximum(h @ first, 0) @ second
        if number in (1, 10, 20):
            print(f"block {number:2}: size {np.sqrt(np.mean(h ** 2)):8.1f}, "
                  f"formula {1.5 ** (number / 2):8.1f}")
    #~ block  1: size      1.2, formula      1.2
    #~ block 10: size      7.7, formula      7.6
    #~ block 20: size     74.9, formula     57.7
    # --8<-- [end:signal]

    # --8<-- [start:shapes]
    image = keras.Input(shape=(8, 8, 1))
    h = layers.Conv2D(16, 3, padding="same")(image)
    for filters, stride in ((16, 1), (32, 2), (32, 1)):
        h = convolution_block(h, filters, stride)
        print(h.shape)
    #> (None, 8, 8, 16)
    #> (None, 4, 4, 32)
    #> (None, 4, 4, 32)
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(
        layers.BatchNormalization()(h)))
    small = keras.Model(image, layers.Dense(10)(h))
    print("weights:", small.count_params())
    #> weights: 38570
    # --8<-- [end:shapes]

    # --8<-- [start:broadcast]
    h, gate = keras.Input(shape=(64,)), keras.Input(shape=(1,))
    print(layers.Add()([h, gate]).shape)
    #> (None, 64)
    try:
        layers.Add()([h, keras.Input(shape=(32,))])
    except ValueError as error:
        print(error)
    #> Inputs have incompatible shapes. Received shapes (64,) and (32,)
    # --8<-- [end:broadcast]

    # --8<-- [start:siamese-fit]
    known = digits < 6
    training = known & (np.random.default_rng(0).random(len(digits)) < 0.8)
    train = pairs(images[training], digits[training], 4000, seed=0)
    tests = {
        "known digits": pairs(images[known & ~training],
                              digits[known & ~training], 1000, seed=1),
        "new digits": pairs(images[~known], digits[~known], 1000, seed=2)}
    model = siamese()
    for epochs in (0, 8):
        model.fit(*train, epochs=epochs, verbose=0)
        for name, (x, same) in tests.items():
            distances = model.predict(x, verbose=0)
            print(f"{epochs} epochs, {name}: "
                  f"{ranking(distances, same):.2f}, pixels "
                  f"{ranking(pixel_distances(x), same):.2f}")
    #~ 0 epochs, known digits: 0.77, pixels 0.87
    #~ 0 epochs, new digits: 0.76, pixels 0.88
    #~ 8 epochs, known digits: 0.97, pixels 0.87
    #~ 8 epochs, new digits: 0.65, pixels 0.88
    # --8<-- [end:siamese-fit]

    # --8<-- [start:symmetric]
    x, _ = tests["known digits"]
    turned = {"left": x["right"], "right": x["left"]}
    print(np.allclose(model.predict(x, verbose=0),
                      model.predict(turned, verbose=0)))
    #> True
    # --8<-- [end:symmetric]

    # --8<-- [start:root-of-zero]
    for epsilon in (0.0, 1e-9):
        a = keras.Input(shape=(3,))
        code = layers.Dense(2)(a)
        to_itself = ops.sum(ops.square(code - code), axis=1, keepdims=True)
        risky = keras.Model(a, ops.sqrt(to_itself + epsilon))
        risky.compile(optimizer="sgd", loss="mse")
        risky.fit(np.ones((4, 3)), np.ones(4), verbose=0)
        print(f"epsilon {epsilon}: NaN in the weights:",
              bool(np.isnan(risky.get_weights()[0]).any()))
    #> epsilon 0.0: NaN in the weights: True
    #> epsilon 1e-09: NaN in the weights: False
    # --8<-- [end:root-of-zero]

    # --8<-- [start:reversed]
    model = siamese()
    x, same = train
    model.fit(x, 1 - same, epochs=5, verbose=0)
    x, same = tests["known digits"]
    print(f"ranking: {ranking(model.predict(x, verbose=0), same):.2f}")
    #~ ranking: 0.52
    # --8<-- [end:reversed]

    # --8<-- [start:solution-1]
    for depth in (10, 40):
        print(depth, f"blocks: {1.5 ** (depth / 2):.0f} from the default, "
              f"{3.0 ** (depth / 2):.0e} from He's")
    #> 10 blocks: 8 from the default, 2e+02 from He's
    #> 40 blocks: 3325 from the default, 3e+09 from He's
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    encoder = make_encoder()
    one, other = keras.Input(shape=(64,)), keras.Input(shape=(64,))
    shared = keras.Model([one, other], encoder(one) - encoder(other))
    twins = keras.Model([one, other], encoder(one) - make_encoder()(other))
    for name, model in (("shared", shared), ("twins", twins)):
        answer = model.predict([images[:5], images[:5]], verbose=0)
        print(f"{name}: {model.count_params()} weights, an image and itself "
              f"are {np.abs(answer).max():.1f} apart")
    #~ shared: 6240 weights, an image and itself are 0.0 apart
    #~ twins: 12480 weights, an image and itself are 3.1 apart
    # --8<-- [end:solution-2]


if __name__ == "__main__":
    main()
