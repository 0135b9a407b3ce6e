"""What the lesson on batch normalization claims."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.training_deep_networks import batch_norm
from snippets.training_deep_networks.batch_norm import (
    accuracy,
    bn_backward,
    bn_inference,
    bn_move,
    bn_training,
    build_deep,
    draw,
    forward,
    layer_norm,
    recalibrate,
    train_stack,
)


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def data():
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    return train_test_split(images, digits.target, test_size=360, stratify=digits.target, random_state=0)


@pytest.mark.parametrize(("momentum", "epsilon"), [(0.99, 1e-3), (0.5, 1e-5)])
def test_the_three_formulas_are_those_of_keras(random, momentum, epsilon):
    norm = layers.BatchNormalization(momentum=momentum, epsilon=epsilon)
    norm.build((None, 4))
    gamma, beta = random.normal(size=(2, 4))
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    mean, variance = np.zeros(4), np.ones(4)
    for _ in range(10):
        x = random.normal(2, [1, 3, 0.3, 0.03], size=(8, 4)).astype("float32")
        ours, batch_mean, batch_variance = bn_training(x, gamma, beta, epsilon)
        np.testing.assert_allclose(ours, norm(x, training=True), atol=1e-4)
        mean = bn_move(mean, batch_mean, momentum)
        variance = bn_move(variance, batch_variance, momentum)
    np.testing.assert_allclose(mean, norm.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(variance, norm.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(
        bn_inference(x, gamma, beta, mean, variance, epsilon), norm(x, training=False), atol=1e-4
    )


def test_keras_averages_the_biased_variance(random):
    norm = layers.BatchNormalization(momentum=0.0)
    x = random.normal(size=(4, 3)).astype("float32")
    norm(x, training=True)
    np.testing.assert_allclose(norm.moving_variance, x.var(axis=0), rtol=1e-5)
    assert not np.allclose(norm.moving_variance, x.var(axis=0, ddof=1), rtol=0.1)


def test_the_gradients_from_scratch_are_those_of_the_tape(random):
    norm = layers.BatchNormalization()
    norm.build((None, 5))
    gamma = random.normal(size=5)
    norm.gamma.assign(gamma)
    x, dy = random.normal(size=(2, 12, 5))
    tensor = tf.constant(x, dtype="float32")
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = ops.sum(norm(tensor, training=True) * dy)
    theirs = tape.gradient(loss, [tensor, norm.gamma.value, norm.beta.value])
    for ours, other in zip(bn_backward(dy, x, gamma), theirs, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-5)


def test_the_defaults_are_those_of_the_table():
    norm = layers.BatchNormalization()
    assert (norm.momentum, norm.epsilon, norm.axis) == (0.99, 1e-3, -1)
    assert layers.RMSNormalization().epsilon == 1e-6


def test_a_feature_has_four_parameters_and_half_are_trained():
    model = build_deep()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            assert layer.count_params() == 4 * 32
            assert [weight.trainable for weight in layer.weights] == [True, True, False, False]
    assert model.count_params() == 64 * 32 + 3 * 32 * 32 + 4 * 4 * 32 + 32 * 10 + 10


def test_a_batch_of_one_is_beta_and_a_batch_of_two_is_plus_or_minus_gamma(random):
    norm = layers.BatchNormalization()
    norm.build((None, 6))
    norm.gamma.assign(np.arange(1.0, 7.0))
    norm.beta.assign(np.full(6, 0.5))
    x = random.normal(0, 100, size=(2, 6)).astype("float32")
    np.testing.assert_array_equal(norm(x[:1], training=True), norm.beta[None])
    both = np.asarray(norm(x, training=True)) - 0.5
    np.testing.assert_allclose(np.abs(both), np.tile(np.arange(1.0, 7.0), (2, 1)), atol=0.01)


def test_a_frozen_layer_computes_as_in_inference_and_stays_as_it_is(random):
    norm = layers.BatchNormalization()
    norm.build((None, 3))
    norm.trainable = False
    x = random.normal(5, 2, size=(16, 3)).astype("float32")
    np.testing.assert_array_equal(norm(x, training=True), norm(x, training=False))
    assert not np.any(norm.moving_mean)


def test_training_false_in_a_functional_graph_is_overridden(random):
    norm = layers.BatchNormalization()
    inputs = keras.Input(shape=(3,))
    model = keras.Model(inputs, norm(inputs, training=False))
    model(random.normal(5, 2, size=(16, 3)).astype("float32"), training=True)
    assert np.all(norm.moving_mean), "Keras holds the layer in inference mode now: mend the lesson"


def test_a_call_without_training_is_inference(random):
    norm = layers.BatchNormalization()
    norm(random.normal(5, 2, size=(16, 3)).astype("float32"))
    assert not np.any(norm.moving_mean)


def test_layer_norm_from_scratch_is_that_of_keras(random):
    x = random.normal(3, 2, size=(2, 5, 7)).astype("float32")
    gamma, beta = random.normal(size=(2, 7))
    norm = layers.LayerNormalization()
    norm.build(x.shape)
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    np.testing.assert_allclose(layer_norm(x, gamma, beta), norm(x), atol=1e-5)


def test_after_few_steps_the_statistics_are_bad_and_recalibration_mends_them(data):
    x, x_test, y, y_test = data
    keras.utils.set_random_seed(1)
    model = build_deep()
    model.fit(x, y, batch_size=64, epochs=3, verbose=0)
    weights = [value.numpy() for value in model.trainable_variables]
    assert accuracy(model, x_test, y_test) < 0.4
    recalibrate(model, x)
    assert accuracy(model, x_test, y_test) > 0.88
    assert all(np.array_equal(old, new) for old, new in zip(weights, model.trainable_variables, strict=True))
    assert {layer.momentum for layer in model.layers if hasattr(layer, "momentum")} == {0.99}


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (dict(before=1), lambda: [layers.BatchNormalization(), layers.Activation("sigmoid")]),
        (dict(before=2), lambda: [layers.LayerNormalization(), layers.Activation("sigmoid")]),
        (
            dict(after=1, activation=ops.relu),
            lambda: [layers.ReLU(), layers.BatchNormalization()],
        ),
    ],
)
def test_the_networks_side_by_side_are_keras_layers(data, kind, make):
    p, x = draw(keras.initializers.GlorotUniform), data[0][:50]
    logits = forward(p, x[None], len(x), **kind)
    for net in (0, 5):
        h = x
        for i in range(batch_norm.DEPTH):
            h = h @ (p["hidden"][i - 1, net] if i else p["first"][0, net])
            for layer in make():
                h = layer(h, training=True)
        np.testing.assert_allclose(h @ p["last"][0, net], logits[net], atol=1e-4)


def test_three_seeds_differ_and_are_the_same_for_each_rate():
    first = draw(keras.initializers.GlorotUniform)["first"].numpy()[0]
    assert not np.allclose(first[0], first[1])
    np.testing.assert_array_equal(first[:3], first[3:6])


def test_deep_sigmoids_learn_with_batch_norm_and_not_without(data):
    assert train_stack(data, steps=50).max() < 0.25
    assert train_stack(data, steps=50, before=1)[1].min() > 0.85


def test_layer_norm_does_not_rescue_deep_sigmoids(data):
    assert train_stack(data, steps=50, before=2).max() < 0.25
