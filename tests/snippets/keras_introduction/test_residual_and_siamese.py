"""What the lesson on residual and Siamese networks claims, each claim over a range.

`train` trains networks like the lesson's side by side in TensorFlow, one on each index of axis 0, by Keras' Adam.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.keras_introduction.residual_and_siamese import (
    build,
    contrastive,
    gradient_sizes,
    make_encoder,
    pairs,
    pixel_distances,
    plain_block,
    ranking,
    residual_block,
    siamese,
)


@functools.cache
def digits():
    data = load_digits()
    images = ((data.data - data.data.mean()) / data.data.std()).astype("float32")
    return train_test_split(images, data.target, test_size=360, stratify=data.target, random_state=0)


@functools.cache
def train(kind, blocks, epochs, initializer=keras.initializers.GlorotUniform, seeds=3):
    """Test accuracies of plain networks, residual ones, and residual ones whose blocks begin at zero."""
    x, x_test, y, y_test = digits()
    count = 2 * blocks

    def kernel(number, *shape):
        zero = kind == "zero" and number < count and number % 2
        draws = [initializer(seed=1000 * seed + number)(shape) for seed in range(seeds)]
        return tf.Variable(np.stack(draws) * (0.0 if zero else 1.0))

    kernels = [kernel(number, 64, 64) for number in range(count)] + [kernel(count, 64, 10)]
    weights = kernels + [tf.Variable(tf.zeros((seeds, 1, one.shape[2]))) for one in kernels]
    first, second = ([tf.Variable(tf.zeros_like(weight)) for weight in weights] for _ in range(2))
    biases = weights[count + 1 :]

    def logits(h):
        for i in range(0, count, 2):
            inside = tf.nn.relu(h @ kernels[i] + biases[i])
            change = inside @ kernels[i + 1] + biases[i + 1]
            h = tf.nn.relu(change) if kind == "plain" else h + change
        return h @ kernels[-1] + biases[-1]

    @tf.function(autograph=False)
    def step(images, labels, t):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(images))
            loss = tf.reduce_sum(tf.reduce_mean(losses, axis=1))
        for weight, m, s, gradient in zip(weights, first, second, tape.gradient(loss, weights), strict=True):
            m.assign(0.9 * m + 0.1 * gradient)
            s.assign(0.999 * s + 0.001 * gradient**2)
            weight.assign_sub(0.001 * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (tf.sqrt(s) + 1e-7))

    t, randoms = 0, [np.random.default_rng(seed) for seed in range(seeds)]
    for _ in range(epochs):
        order = np.stack([random.permutation(len(x)) for random in randoms])
        for start in range(0, len(x) - 31, 32):
            t += 1
            rows = order[:, start : start + 32]
            step(x[rows], y[rows], tf.constant(float(t)))
    return np.mean(np.argmax(logits(np.stack([x_test] * seeds)), axis=2) == y_test, axis=1)


HE = keras.initializers.HeNormal


def test_forty_layers_learn_with_skip_connections():
    plain, helped, residual, zero = (
        train(kind, 20, 5, *initializer)
        for kind, initializer in (("plain", ()), ("plain", (HE,)), ("residual", ()), ("zero", ()))
    )
    assert plain.max() < 0.15 and residual.mean() > 0.85 and zero.mean() > 0.94
    assert 0.3 < helped.mean() < residual.mean() - 0.1


def test_twenty_layers_learn_sooner_with_skip_connections():
    plain, helped, residual, zero = (
        train(kind, 10, 3, *initializer).mean()
        for kind, initializer in (("plain", ()), ("plain", (HE,)), ("residual", ()), ("zero", ()))
    )
    assert plain < 0.7 and helped < residual - 0.05 and residual > 0.9 and zero > residual


def test_four_layers_learn_without_them():
    accuracies = [train(kind, 2, 5).mean() for kind in ("plain", "residual", "zero")]
    assert max(accuracies) - min(accuracies) < 0.025 and min(accuracies) > 0.93


def test_hes_kernels_are_too_large_for_residual_blocks():
    """Forty layers from He's kernels begin with a loss of thousands, from blocks of zeros with an ordinary one."""
    x, _, y, _ = digits()

    def he_block(h, last):
        inside = layers.Dense(64, activation="relu", kernel_initializer="he_normal")(h)
        return layers.Add()([h, layers.Dense(64, kernel_initializer=last)(inside)])

    for seed in (1, 2):
        model = build(he_block, last="he_normal", seed=seed)
        assert model.evaluate(x, y, verbose=0)[0] > 1000
        assert build(residual_block, last="zeros", seed=seed).evaluate(x, y, verbose=0)[0] < 5


def test_signals_grow_by_these_factors():
    """The mean square grows by 1.5 a block from Glorot's kernels and by 3 from He's: the median over draws."""
    for width in (64, 150):
        for variance, factor in ((1 / width, 1.5), (2 / width, 3.0)):
            sizes = []
            for seed in range(9):
                random = np.random.default_rng(seed)
                h = random.normal(size=(50, width))
                for _ in range(12):
                    first, second = random.normal(0, variance**0.5, size=(2, width, width))
                    h = h + np.maximum(h @ first, 0) @ second
                sizes.append(np.mean(h**2))
            assert np.median(sizes) ** (1 / 12) == pytest.approx(factor, rel=0.06)


def test_a_step_of_rate_one_moves_by_the_gradient():
    x, _, y, _ = digits()
    for block, last in ((plain_block, "glorot_uniform"), (residual_block, "zeros")):
        model = build(block, blocks=3, last=last, seed=1)
        with tf.GradientTape() as tape:
            loss = model.loss(y[:100], model(x[:100]))
        gradients = tape.gradient(loss, model.trainable_weights)
        theirs = [np.linalg.norm(gradient) for gradient in gradients if len(gradient.shape) == 2]
        assert gradient_sizes(model, x[:100], y[:100]) == pytest.approx(theirs, rel=0.01, abs=1e-5)


def test_plain_gradients_vanish_and_residual_ones_do_not():
    x, _, y, _ = digits()
    for seed in (1, 2):
        plain, residual = (
            gradient_sizes(build(block, seed=seed), x, y)[:-1] for block in (plain_block, residual_block)
        )
        assert max(plain) < 1e-4 and min(residual) > 10
        shallow = gradient_sizes(build(plain_block, blocks=2, seed=seed), x, y)[:-1]
        assert min(shallow) > 1e-2


def test_a_block_from_zero_is_the_identity():
    x, _, y, _ = digits()
    for blocks in (1, 7):
        model = build(residual_block, blocks, "zeros", seed=blocks)
        assert model.predict(x, verbose=0) == pytest.approx(np.array(model.layers[-1](x)), abs=1e-5)
        sizes = gradient_sizes(model, x, y)
        assert max(sizes[0:-1:2]) < 1e-6 < 1e-2 < min(sizes[1:-1:2]), "first only the layers that are zero move"


def test_gradients_of_calls_add_up():
    dense, x = layers.Dense(4, activation="tanh"), np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    dense.build((None, 3))
    copies = [keras.models.clone_model(keras.Sequential([keras.Input((3,)), dense])) for _ in range(2)]
    for copy in copies:
        copy.set_weights(dense.get_weights())

    def loss(one, other):
        return tf.reduce_mean(tf.square(one(x) * other(2 * x) - 1))

    with tf.GradientTape() as tape:
        shared = loss(dense, dense)
    together = tape.gradient(shared, dense.kernel.value)
    with tf.GradientTape() as tape:
        apart = loss(*copies)
    parts = tape.gradient(apart, [copy.trainable_weights[0].value for copy in copies])
    assert np.array(together) == pytest.approx(np.array(parts[0] + parts[1]), rel=1e-4, abs=1e-6)


@functools.cache
def split(seen, seed):
    """Pairs to train with, and to test with: of digits that were seen, and of others."""
    data = load_digits()
    images = ((data.data - data.data.mean()) / data.data.std()).astype("float32")
    known = np.isin(data.target, seen)
    training = known & (np.random.default_rng(seed).random(1797) < 0.8)
    parts = (training, 4000), (known & ~training, 1000), (~known, 1000)
    return [pairs(images[part], data.target[part], count, seed) for part, count in parts]


@functools.cache
def rankings(seen, seed, shared=True):
    """Of known and of new digits: before training, after 10 epochs, and by pixels."""
    train_pairs, *tests = split(seen, seed)
    model = siamese(seed)
    before = [ranking(model.predict(x, verbose=0), same) for x, same in tests]
    model.fit(*train_pairs, epochs=10, verbose=0)
    after = [ranking(model.predict(x, verbose=0), same) for x, same in tests]
    return before, after, [ranking(pixel_distances(x), same) for x, same in tests]


SPLITS = ((0, 1, 2, 3, 4, 5), 1), ((0, 2, 4, 6, 8), 2), ((4, 5, 6, 7, 8, 9), 3)


def test_known_digits_are_compared_better_than_by_pixels():
    for seen, seed in SPLITS:
        _, after, pixels = rankings(seen, seed)
        assert after[0] > 0.96 and after[0] > pixels[0] + 0.03, (seen, after, pixels)


def test_new_digits_are_compared_worse_than_by_pixels():
    """And no better than before training."""
    for seen, seed in SPLITS:
        before, after, pixels = rankings(seen, seed)
        assert after[1] < pixels[1] - 0.05 and after[1] < before[1] + 0.02, (seen, before, after, pixels)


def test_the_answer_is_symmetric():
    for seed in (1, 2):
        (x, _), model = split(*SPLITS[0])[1], siamese(seed)
        turned = {"left": x["right"], "right": x["left"]}
        assert np.allclose(model.predict(x, verbose=0), model.predict(turned, verbose=0))
        assert model.count_params() == make_encoder().count_params()


def test_the_loss_pulls_and_pushes():
    distances = np.float32([[0.0], [0.5], [2.0]])
    assert np.ravel(contrastive(np.ones((3, 1)), distances)) == pytest.approx([0, 0.25, 4])
    assert np.ravel(contrastive(np.zeros((3, 1)), distances)) == pytest.approx([1, 0.25, 0])


def test_reversed_labels_teach_the_opposite():
    for seen, seed in SPLITS[:2]:
        (x, same), (x_test, same_test), _ = split(seen, seed)
        model = siamese(seed)
        before = ranking(model.predict(x_test, verbose=0), same_test)
        model.fit(x, 1 - same, epochs=5, verbose=0)
        assert ranking(model.predict(x_test, verbose=0), same_test) < before - 0.15


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_root_of_zero_has_no_slope(optimizer):
    for epsilon in (0.0, 1e-12, 1e-6):
        inputs = keras.Input((3,))
        code = layers.Dense(2)(inputs)
        squares = ops.sum(ops.square(code - code), axis=1, keepdims=True)
        model = keras.Model(inputs, ops.sqrt(squares + epsilon))
        model.compile(optimizer, loss="mse")
        model.fit(np.ones((4, 3)), np.ones(4), verbose=0)
        assert np.isnan(model.get_weights()[0]).any() == (epsilon == 0)
