"""What the lesson on initialization claims, each claim over a range."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import initializers, layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.training_deep_networks.initialization import (
    ACTIVATIONS,
    backward,
    build,
    draw,
    forward,
    rms,
    truncated_normal,
)


@functools.cache
def digits():
    data = load_digits()
    images = ((data.data - data.data.mean()) / data.data.std()).astype("float32")
    return train_test_split(images, data.target, test_size=360, stratify=data.target, random_state=0)


@functools.cache
def accuracies(activation, initializer, optimizer, epochs, depth=20, seeds=3):
    """Test accuracies of networks like the lesson's, trained side by side in batches of 32 at Keras' default rate."""
    x, x_test, y, y_test = digits()

    def kernel(number, *shape):
        return tf.Variable(np.stack([initializer(seed=1000 * seed + number)(shape) for seed in range(seeds)]))

    kernels = [kernel(i, 64, 64) for i in range(depth)] + [kernel(depth, 64, 10)]
    weights = kernels + [tf.Variable(tf.zeros((seeds, 1, one.shape[2]))) for one in kernels]
    first, second = ([tf.Variable(tf.zeros_like(weight)) for weight in weights] for _ in range(2))

    def logits(h):
        for i in range(depth):
            h = getattr(tf.nn, activation)(h @ kernels[i] + weights[depth + 1 + i])
        return h @ kernels[-1] + weights[-1]

    @tf.function(autograph=False)
    def step(images, labels, t):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(images))
            loss = tf.reduce_sum(tf.reduce_mean(losses, axis=1))
        for weight, m, s, gradient in zip(weights, first, second, tape.gradient(loss, weights), strict=True):
            if optimizer == "sgd":
                weight.assign_sub(0.01 * gradient)
            else:
                m.assign(0.9 * m + 0.1 * gradient)
                s.assign(0.999 * s + 0.001 * gradient**2)
                scale = 0.001 * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                weight.assign_sub(scale * m / (tf.sqrt(s) + 1e-7))

    t = 0
    randoms = [np.random.default_rng(seed) for seed in range(seeds)]
    for _ in range(epochs):
        order = np.stack([random.permutation(len(x)) for random in randoms])
        for start in range(0, len(x) - 31, 32):
            t += 1
            rows = order[:, start : start + 32]
            step(x[rows], y[rows], tf.constant(float(t)))
    return np.mean(np.argmax(logits(x_test[None]), axis=2) == y_test, axis=1)


XAVIER, HE = initializers.GlorotUniform, initializers.HeNormal


def test_deep_relu_networks_learn_sooner_from_he():
    """Adam after five epochs, SGD after ten, 20 layers and more: He's are more than 0.2 ahead on average."""
    for optimizer, epochs, depth in (("adam", 5, 20), ("adam", 5, 40), ("sgd", 10, 20)):
        xavier, he = (accuracies("relu", one, optimizer, epochs, depth) for one in (XAVIER, HE))
        assert he.mean() > xavier.mean() + 0.2, (optimizer, depth)


def test_the_default_comes_later():
    """Adam: within ten points after 20 epochs of 20 layers; 40 layers are at guessing after five, He's are not."""
    xavier, he = (accuracies("relu", one, "adam", 20).mean() for one in (XAVIER, HE))
    assert xavier > 0.8 and abs(he - xavier) < 0.1, (he, xavier)
    xavier, he = (accuracies("relu", one, "adam", 5, 40) for one in (XAVIER, HE))
    assert xavier.max() < 0.15 and he.min() > 0.3, (he, xavier)


def test_forty_epochs_of_sgd_are_not_enough():
    after_forty, after_ten = (accuracies("relu", one, "sgd", epochs) for one, epochs in ((XAVIER, 40), (HE, 10)))
    assert after_forty.mean() < after_ten.mean() - 0.1, (after_forty, after_ten)


def test_ten_layers_are_between():
    """Adam after five epochs: He's are ahead by less than ten points."""
    xavier, he = (accuracies("relu", one, "adam", 5, 10).mean() for one in (XAVIER, HE))
    assert abs(he - xavier) < 0.1 and min(he, xavier) > 0.75, (he, xavier)


def test_three_layers_learn_from_both():
    for optimizer in ("adam", "sgd"):
        xavier, he = (accuracies("relu", one, optimizer, 10, depth=3) for one in (XAVIER, HE))
        assert min(xavier.mean(), he.mean()) > 0.9 and abs(xavier.mean() - he.mean()) < 0.04


def test_deep_tanh_learns_from_both_and_deep_sigmoid_from_neither():
    for one in (XAVIER, HE):
        assert accuracies("tanh", one, "adam", 5).mean() > 0.85
        assert accuracies("sigmoid", one, "adam", 4).max() < 0.25


def test_a_layer_multiplies_the_mean_square():
    """Over draws of the kernel: n sigma^2 times the mean square, for correlated inputs too; ReLU keeps one half."""
    for n, m, sigma in ((64, 100, 0.2), (30, 50, 0.05)):
        random = np.random.default_rng(n)
        x = random.normal(1, 2, size=(5, n))
        x[:, 1:10] = x[:, :1]  # the same number nine times
        z = np.stack([x @ random.normal(0, sigma, (n, m)) for _ in range(4000)])
        expected = n * sigma**2 * np.mean(x**2)
        assert np.mean(z**2) == pytest.approx(expected, rel=0.03)
        assert np.mean(np.maximum(z, 0) ** 2) == pytest.approx(expected / 2, rel=0.03)
        back = np.stack([x @ random.normal(0, sigma, (m, n)).T for _ in range(4000)])
        assert np.mean(back**2) == pytest.approx(expected, rel=0.03)


def test_keras_means_standard_deviations_and_cuts_at_two():
    """The root of the table is the standard deviation of what is drawn; a truncated one ends at 2 / 0.88 of it."""
    for fan_in, fan_out in ((256, 768), (600, 300)):
        for name, scale in (
            ("glorot_normal", 2 / (fan_in + fan_out)),
            ("glorot_uniform", 2 / (fan_in + fan_out)),
            ("he_normal", 2 / fan_in),
            ("he_uniform", 2 / fan_in),
            ("lecun_normal", 1 / fan_in),
            ("lecun_uniform", 1 / fan_in),
        ):
            values = np.array(initializers.get(name)((fan_in, fan_out)))
            assert values.std() == pytest.approx(scale**0.5, rel=0.01)
            end = 2 / 0.87962566 if "normal" in name else 3**0.5
            assert 0.98 * end < np.abs(values).max() / scale**0.5 < 1.001 * end


def test_three_more_names_know_no_width():
    """Their size is fixed: 0.05 by default, as the limit of the uniform; TruncatedNormal does not widen."""
    for shape in ((1000, 500), (100, 5000)):
        spread = {
            name: np.array(getattr(initializers, name)(seed=1)(shape)).std()
            for name in ("RandomNormal", "TruncatedNormal", "RandomUniform")
        }
        assert spread["RandomNormal"] == pytest.approx(0.05, rel=0.02)
        assert spread["TruncatedNormal"] == pytest.approx(0.05 * 0.8796, rel=0.02)
        assert spread["RandomUniform"] == pytest.approx(0.05 / 3**0.5, rel=0.02)


def sizes(activation, sigma, seed, width=64):
    x = np.random.default_rng(seed + 100).normal(size=(200, width))
    return np.array([rms(a) for a in forward(x, draw(sigma, seed, width=width), activation)])


def test_relu_loses_a_root_of_two_a_layer_with_xavier_and_none_with_he():
    for width in (64, 200):
        for sigma, factor in ((width**-0.5, 0.5**0.5), ((2 / width) ** 0.5, 1.0), (1.0, (width / 2) ** 0.5)):
            last = np.median([sizes("relu", sigma, seed, width)[20] for seed in range(9)])
            assert (last ** (1 / 20)) == pytest.approx(factor, rel=0.05)


def test_tanh_sinks_slowly_and_settles_with_he():
    for seed in range(3):
        xavier, he = sizes("tanh", 0.125, seed), sizes("tanh", (2 / 64) ** 0.5, seed)
        assert 0.08 < xavier[20] < 0.25 and xavier[20] < xavier[10] < xavier[5]
        assert abs(he[20] - he[10]) < 0.06 and 0.4 < he[20] < 0.65


def test_sigmoids_make_all_images_one():
    for seed in range(3):
        x = digits()[0]
        for sigma in (0.125, (2 / 64) ** 0.5):
            last = forward(x, draw(sigma, seed), "sigmoid")[-1]
            assert rms(last) > 0.4 and rms(last - last.mean(axis=0)) < 1e-6


def test_gradients_vanish_through_sigmoids_and_explode_where_tanh_is_wide():
    x = digits()[0][:300]
    for seed in range(3):
        arriving = np.random.default_rng(seed).normal(size=x.shape)

        def ratio(activation, sigma, seed=seed, arriving=arriving):
            kernels = draw(sigma, seed)
            deltas = backward(arriving, forward(x, kernels, activation), kernels, activation)
            return rms(deltas[0]) / rms(deltas[-1])

        assert ratio("sigmoid", 0.125) < 1e-8 and ratio("sigmoid", (2 / 64) ** 0.5) < 1e-8
        assert ratio("tanh", 1.0) > 1e3
        for activation, sigma in (("relu", (2 / 64) ** 0.5), ("tanh", 0.125), ("tanh", (2 / 64) ** 0.5)):
            assert 0.05 < ratio(activation, sigma) < 20


def test_numpy_computes_the_gradients_of_keras():
    for activation in ACTIVATIONS:
        x, kernels = np.random.default_rng(0).normal(size=(7, 64)), draw(0.2, 1, depth=4)
        arriving = np.random.default_rng(1).normal(size=x.shape)
        z = []
        with tf.GradientTape(persistent=True) as tape:
            a = tf.constant(x)
            for kernel in kernels:
                z.append(a @ kernel)
                tape.watch(z[-1])
                a = getattr(tf.nn, activation)(z[-1])
            loss = tf.reduce_sum(a * arriving)
        deltas = backward(arriving, forward(x, kernels, activation), kernels, activation)
        for ours, theirs in zip(deltas, tape.gradient(loss, z), strict=True):
            assert ours == pytest.approx(theirs.numpy(), rel=1e-6, abs=1e-9)


def test_the_fan_is_read_off_the_shape():
    """Right for dense layers and convolutions; a depthwise or transposed kernel is read wrongly."""

    def fan_in(layer, shape, which=0):
        layer.build(shape)
        return 2 / np.array(layer.weights[which]).var()

    he = initializers.HeNormal(seed=0)
    assert fan_in(layers.Dense(900, kernel_initializer=he), (None, 64)) == pytest.approx(64, rel=0.05)
    for layer, shape, true in (
        (layers.Conv1D(300, 5, kernel_initializer=he), (None, 9, 64), 5 * 64),
        (layers.Conv2D(300, 3, kernel_initializer=he), (None, 9, 9, 32), 9 * 32),
    ):
        assert fan_in(layer, shape) == pytest.approx(true, rel=0.05)
    for layer, shape, true in (
        (layers.DepthwiseConv1D(3, depthwise_initializer=he), (None, 9, 900), 3),
        (layers.DepthwiseConv2D(3, depthwise_initializer=he), (None, 9, 9, 300), 9),
        (layers.SeparableConv2D(4, 3, depthwise_initializer=he), (None, 9, 9, 300), 9),
        (layers.Conv2DTranspose(8, 3, kernel_initializer=he), (None, 9, 9, 300), 9 * 300),
        (layers.Conv1DTranspose(8, 3, kernel_initializer=he), (None, 9, 900), 3 * 900),
    ):
        read = fan_in(layer, shape)
        assert read > 4 * true or read < true / 4, type(layer).__name__


@pytest.mark.parametrize("start", ["zeros", "ones", "he_normal"])
def test_equal_units_stay_equal(start):
    """Under `fit`, with SGD and Adam; dropout's noise makes them differ, where any signal comes through."""
    x, _, y, _ = digits()
    for optimizer, rate in (("adam", 0.0), ("sgd", 0.0), ("adam", 0.5)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((64,)), layers.Dense(6, "tanh", kernel_initializer=start)])
        model.add(layers.Dropout(rate))
        model.add(layers.Dense(10, kernel_initializer=start))
        model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, epochs=1, verbose=0)
        different = len(np.unique(np.array(model.layers[0].kernel).round(6), axis=1).T)
        assert different == (6 if start == "he_normal" or (start == "ones" and rate) else 1)


def test_one_object_draws_the_same_numbers():
    """With a seed and without, in layers of one shape; by name, by a SeedGenerator, each layer has its own."""

    def kernels(make):
        both = [layers.Dense(16, kernel_initializer=make()) for _ in range(2)]
        for layer in both:
            layer.build((None, 8))
        return [np.array(layer.kernel) for layer in both]

    for shared in (initializers.HeNormal(), initializers.GlorotUniform(seed=3), initializers.RandomNormal()):
        assert np.array_equal(*kernels(lambda shared=shared: shared))
    generator = keras.random.SeedGenerator(1)
    with_generator = initializers.HeNormal(seed=generator)
    for make in (lambda: "he_normal", lambda: initializers.HeNormal(), lambda: with_generator):
        assert not np.array_equal(*kernels(make))
    assert np.array_equal(*kernels(lambda: initializers.HeNormal(seed=42))), "42 in each is the same mistake"
    depth = [sizes_of_one_matrix(seed) for seed in range(12)]
    apart = [sizes("relu", (2 / 64) ** 0.5, seed)[20] for seed in range(12)]
    assert np.std(np.log(depth)) > 1.5 * np.std(np.log(apart)), "one matrix to the twentieth power"


def sizes_of_one_matrix(seed):
    x = np.random.default_rng(seed + 100).normal(size=(200, 64))
    return rms(forward(x, draw((2 / 64) ** 0.5, seed, depth=1) * 20, "relu")[-1])


def test_a_last_layer_of_zeros_begins_at_log_k():
    x, _, y, _ = digits()
    for depth, activation in ((1, "relu"), (4, "relu"), (5, "tanh")):
        model = build("he_normal", activation, depth, seed=depth)
        model.layers[-1].kernel.assign(initializers.HeNormal(seed=1)((64, 10)))
        assert activation == "tanh" or model.evaluate(x, y, verbose=0)[0] > np.log(10) + 0.1
        model.layers[-1].kernel.assign(np.zeros((64, 10)))
        zeroed = model.evaluate(x, y, verbose=0)[0]
        assert zeroed == pytest.approx(np.log(10), rel=1e-4)
        model.fit(x, y, epochs=5, verbose=0)
        assert model.evaluate(x, y, verbose=0)[1] > 0.85


def test_leaky_relu_keeps_half_of_one_plus_the_slope_squared():
    z = np.random.default_rng(3).normal(0, 3, 2_000_000)
    for slope in (0.0, 0.01, 0.2, 0.5):
        kept = np.mean(np.array(keras.activations.leaky_relu(z, slope)) ** 2) / np.mean(z**2)
        assert kept == pytest.approx((1 + slope**2) / 2, rel=0.01)


def test_the_truncated_normal_is_that_of_keras():
    for sigma, seed in ((0.1, 0), (0.3, 1)):
        ours = np.sort(truncated_normal(sigma, 100_000, np.random.default_rng(seed)))
        scale = initializers.VarianceScaling(sigma**2 * 50, "fan_in", "truncated_normal", seed=seed)
        theirs = np.sort(np.ravel(scale((50, 2000))))
        assert np.abs(ours - theirs).max() < 0.05 * sigma
