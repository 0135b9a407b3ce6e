"""What the lesson on dropout and regularization claims."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from snippets.training_deep_networks.dropout import (
    Lab,
    MaskPerSample,
    adam_steps,
    build_classifier,
    cross_entropy,
    inverted_dropout,
    judge,
    keras_steps,
    mean_and_error,
    noisy_digits,
    run,
    ten_steps,
)


@pytest.fixture(scope="module")
def lab():
    return Lab(units=32)


@pytest.fixture(scope="module")
def noisy():
    return [noisy_digits(seed) for seed in range(3)]


def one_call(lab, data, **knobs):
    """The weights after ten steps from the start of seed 0."""
    knobs = {"l1": 0.0, "l2": 0.0, "decay": 0.0, **knobs}
    for layer in (lab.hidden, lab.output):
        layer.kernel.assign(keras.initializers.GlorotUniform(0)(layer.kernel.shape))
        layer.bias.assign(ops.zeros_like(layer.bias))
    for variable in lab.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(ops.zeros_like(variable))
    ten_steps(lab, *data[0], None, *(tf.constant(value) for value in knobs.values()))
    return lab.model.get_weights()


def keras_fit(data, optimizer, penalty=None):
    """The same ten steps, by Keras' own layers, optimizer and fit."""
    model = keras.Sequential([keras.Input(shape=(64,))])
    for units, activation in ((32, "relu"), (10, None)):
        model.add(
            keras.layers.Dense(
                units,
                activation,
                kernel_regularizer=penalty,
                kernel_initializer=keras.initializers.GlorotUniform(0),
            )
        )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, loss=cross_entropy)
    model.fit(*data[0], batch_size=300, epochs=10, verbose=0)
    return model.get_weights()


def close(first, second):
    return all(np.allclose(a, b, atol=2e-3) for a, b in zip(first, second, strict=True))


def test_three_labels_in_ten_are_wrong_and_the_test_labels_are_right(noisy):
    clean = noisy_digits(0, wrong=0.0)
    for part in (0, 1):
        assert np.array_equal(clean[part][0], noisy[0][part][0])
    wrong = [np.mean(clean[part][1] != noisy[0][part][1]) for part in range(3)]
    assert np.mean(wrong[:2]) == pytest.approx(0.3, abs=0.005)
    assert wrong[2] == 0


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_mean_is_kept_and_variance_is_as_the_formula_says_by_hand_and_by_keras(rate):
    x = np.full(100_000, 2.0, "float32")
    for y in (inverted_dropout(x, rate, seed=1), keras.layers.Dropout(rate, seed=1)(x, training=True)):
        y = np.array(y)
        assert np.unique(y) == pytest.approx([0, 2 / (1 - rate)])
        assert np.mean(y == 0) == pytest.approx(rate, abs=0.01)
        assert y.mean() == pytest.approx(2, rel=0.03)
        assert y.var() == pytest.approx(4 * rate / (1 - rate), rel=0.03)


def test_the_gradient_goes_through_the_same_mask():
    x = tf.ones((1, 100))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = keras.layers.Dropout(0.5)(x, training=True)
        total = ops.sum(y)
    assert np.array_equal(tape.gradient(total, x), y)


def test_nothing_is_dropped_unless_training_even_when_frozen_is_dropped():
    layer, x = keras.layers.Dropout(0.5), np.ones((4, 50), "float32")
    assert np.array_equal(layer(x), x)
    layer.trainable = False
    assert not np.array_equal(layer(x, training=True), x)
    assert layer.count_params() == 0


def test_spatial_dropout_drops_whole_channels():
    x = np.ones((3, 5, 6, 40), "float32")
    y = np.array(keras.layers.SpatialDropout2D(0.5, seed=0)(x, training=True))
    assert np.array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert set(np.unique(y)) == {0, 2}
    y = np.array(keras.layers.Dropout(0.5, noise_shape=(None, 5, 1, 1), seed=0)(x, training=True))
    assert np.array_equal(y, np.broadcast_to(y[:, :, :1, :1], y.shape))


def test_the_layer_of_the_exercise_has_one_mask_for_all_steps():
    x = np.ones((4, 5, 60), "float32")
    layer = MaskPerSample(0.5)
    y = np.array(layer(x, training=True))
    assert np.array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert not np.array_equal(y[0], y[1])
    assert not np.array_equal(y, layer(x, training=True))
    assert np.array_equal(layer(x), x)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_l2_is_half_the_weight_decay_for_plain_sgd_only(momentum):
    random = np.random.default_rng(0)
    w, gradients = random.normal(size=4).astype("float32"), random.normal(size=(10, 4)).astype("float32")
    penalty = keras_steps(keras.optimizers.SGD(0.1, momentum), w, gradients, l2=0.05)
    decay = keras_steps(keras.optimizers.SGD(0.1, momentum, weight_decay=0.1), w, gradients)
    assert np.allclose(penalty, decay, atol=1e-5) == (momentum == 0)


def test_adam_with_a_penalty_and_adamw_are_those_of_numpy_and_differ():
    random = np.random.default_rng(1)
    w, gradients = random.normal(size=4).astype("float32"), random.normal(size=(10, 4)).astype("float32")
    penalty = keras_steps(keras.optimizers.Adam(0.01), w, gradients, l2=0.25)
    decay = keras_steps(keras.optimizers.AdamW(0.01, weight_decay=0.5), w, gradients)
    assert penalty == pytest.approx(adam_steps(w, gradients, l2=0.25), abs=1e-5)
    assert decay == pytest.approx(adam_steps(w, gradients, decay=0.5), abs=1e-5)
    assert not np.allclose(penalty, decay, atol=0.01)


def test_decay_does_not_ask_how_large_gradients_are_and_the_penalty_does():
    scales = np.array([0.01, 100.0])
    noise = np.random.default_rng(2).choice([-1, 1], (200, 1)) * scales
    free = adam_steps(np.ones(2), noise)
    decayed, penalised = (free - adam_steps(np.ones(2), noise, **k) for k in ({"decay": 0.2}, {"l2": 0.1}))
    assert decayed[0] == pytest.approx(decayed[1], rel=0.02)
    assert penalised[0] > 20 * penalised[1]


def test_the_loop_of_the_lesson_does_what_fit_does_with_l2_and_with_adamw(lab, noisy):
    data = noisy[0]
    plain = one_call(lab, data)
    l2 = one_call(lab, data, l2=0.01)
    decay = one_call(lab, data, decay=3.0)
    assert close(l2, keras_fit(data, keras.optimizers.Adam(0.02), keras.regularizers.L2(0.01)))
    assert close(decay, keras_fit(data, keras.optimizers.AdamW(0.02, weight_decay=3.0)))
    assert not close(plain, l2) and not close(plain, decay) and not close(l2, decay)


def test_the_penalty_is_in_the_reported_loss_and_only_kernels_pay():
    model = build_classifier(rate=0.0, l2=0.1)
    for layer in (model.layers[0], model.layers[2]):
        layer.bias.assign(ops.ones_like(layer.bias))
    x, y = noisy_digits(0)[1]
    by_hand = 0.1 * sum(float(ops.sum(model.layers[i].kernel ** 2)) for i in (0, 2))
    assert float(sum(model.losses)) == pytest.approx(by_hand, rel=1e-4)
    reported = model.evaluate(x, y, batch_size=300, verbose=0)[0]
    assert reported == pytest.approx(float(cross_entropy(y, model(x))) + by_hand, rel=1e-4)


def test_adamw_decays_biases_unless_they_are_excluded():
    for names, expected in ((None, 0.9), (["bias"], 1.0)):
        dense = keras.layers.Dense(2, bias_initializer="ones")
        dense.build((None, 3))
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=1.0)
        optimizer.exclude_from_weight_decay(var_names=names)
        optimizer.apply([ops.zeros_like(v) for v in dense.variables], dense.variables)
        assert dense.bias.numpy() == pytest.approx(expected)


def test_a_seed_gives_the_same_curve_again(lab, noisy):
    first, again = (run(lab, noisy[0], 0, rate=0.5) for _ in range(2))
    assert first == pytest.approx(again, abs=0.02)


def test_on_wrong_labels_every_method_gains_and_early_stopping_as_much(lab, noisy):
    plain = np.array([run(lab, data, seed) for seed, data in enumerate(noisy)])
    last = plain[:, -1, 2, 1]
    assert plain[:, -1, 0, 1].min() > 0.9, "the wrong labels are learned by heart"
    best = plain[:, :, 1, 0].argmin(axis=1)
    gains = {"stopping": plain[range(3), best, 2, 1] - last}
    for name, knobs in {"dropout": {"rate": 0.5}, "l2": {"l2": 0.016}, "decay": {"decay": 6.0}}.items():
        gains[name] = [run(lab, data, seed, **knobs)[-1, 2, 1] for seed, data in enumerate(noisy)] - last
    for name, gain in gains.items():
        assert np.mean(gain) > 0.05, name
    assert np.mean(gains["stopping"]) > np.mean(gains["l2"]) - 0.05


def test_judging_uses_no_dropout(lab, noisy):
    assert np.array_equal(judge(lab, noisy[0]), judge(lab, noisy[0]))


def test_the_error_is_that_of_the_mean():
    assert mean_and_error([1.0, 2.0, 3.0, 4.0]) == "2.500±0.645"
