"""What the lesson on batch normalization claims, each claim over a range."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.training_deep_networks.batch_norm import (
    bn_inference,
    bn_move,
    bn_training,
    build,
    deep,
    layer_norm,
    norms_of,
    recalibrate,
)


@functools.cache
def digits(seed=0):
    data = load_digits()
    images = (data.images / 16).astype("float32")[..., None]
    return train_test_split(images, data.target, test_size=360, stratify=data.target, random_state=seed)


@functools.cache
def curves(activation, kind, depth, width, rates=(0.001, 0.01, 0.1), epochs=(3, 8), seeds=3):
    """Test accuracies of deep networks of `kind` (batch, layer or no normalization): (epochs, rates, seeds).

    They are trained side by side by Adam in batches of 32, as `fit` does it with Keras' defaults. Batch
    normalization is judged with the statistics of the training set, so that its momentum plays no part.
    """
    x, x_test, y, y_test = digits()
    x, x_test = x.reshape(-1, 64), x_test.reshape(-1, 64)
    nets = len(rates) * seeds
    initializer = keras.initializers.HeNormal if activation == "relu" else keras.initializers.GlorotUniform

    def kernel(number, *shape):
        drawn = [initializer(seed=1000 * seed + number)(shape) for seed in range(seeds)]
        return tf.Variable(np.tile(np.stack(drawn), (len(rates), 1, 1)))

    kernels = [kernel(i, width if i else 64, width) for i in range(depth)] + [kernel(depth, width, 10)]
    betas = [tf.Variable(tf.zeros((nets, 1, one.shape[2]))) for one in kernels]
    gammas = [tf.Variable(tf.ones((nets, 1, width))) for _ in range(depth)]
    weights = kernels + betas + (gammas if kind else [])
    moments = [[tf.Variable(tf.zeros_like(weight)) for weight in weights] for _ in range(2)]
    rate = tf.reshape(tf.repeat(tf.constant(rates), seeds), (-1, 1, 1))

    def logits(h, rows):
        for i in range(depth):
            z = h @ kernels[i]
            if kind:
                over, axis = (z[:, :rows], 1) if kind == "batch" else (z, 2)
                mean, variance = tf.nn.moments(over, [axis], keepdims=True)
                z = gammas[i] * (z - mean) * tf.math.rsqrt(variance + 1e-3)
            h = getattr(tf.nn, activation)(z + betas[i])
        return h @ kernels[-1] + betas[-1]

    @tf.function(autograph=False)
    def step(images, labels, t):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(images, 32))
            loss = tf.reduce_sum(tf.reduce_mean(losses, axis=1))
        scale = rate * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        for weight, m, s, gradient in zip(weights, *moments, tape.gradient(loss, weights), strict=True):
            m.assign(0.9 * m + 0.1 * gradient)
            s.assign(0.999 * s + 0.001 * gradient**2)
            weight.assign_sub(scale * m / (tf.sqrt(s) + 1e-7))

    found, t = [], 0
    randoms = [np.random.default_rng(seed) for seed in range(seeds)]
    for epoch in range(1, max(epochs) + 1):
        order = np.tile(np.stack([random.permutation(len(x)) for random in randoms]), (len(rates), 1))
        for first in range(0, len(x) - 31, 32):
            t += 1
            rows = order[:, first : first + 32]
            step(x[rows], y[rows], tf.constant(float(t)))
        if epoch in epochs:
            answers = np.argmax(logits(np.concatenate([x, x_test])[None], len(x))[:, len(x) :], axis=2)
            found.append(np.mean(answers == y_test, axis=1).reshape(len(rates), seeds))
    return np.array(found)


def accuracy(model, x, y):
    return np.mean(np.argmax(model(x, training=False), axis=1) == y)


def test_a_convnet_gains_in_the_first_epochs():
    """More than two points after the epochs 2 and 3, and ahead after 4, on other splits and with other seeds."""
    for seed, size in ((1, 32), (2, 64)):
        x, x_test, y, y_test = digits(seed)
        accuracies = [
            build(normalize, seed=seed)
            .fit(x, y, batch_size=size, epochs=4, validation_data=(x_test, y_test), verbose=0)
            .history["val_accuracy"]
            for normalize in (True, False)
        ]
        gain = np.subtract(*accuracies)
        assert gain[1:3].min() > 0.02 and gain[3] > 0, gain


@pytest.mark.parametrize(("momentum", "epsilon"), [(0.99, 1e-3), (0.5, 1e-5)])
def test_the_formulas_are_those_of_keras(momentum, epsilon):
    random = np.random.default_rng(0)
    norm = layers.BatchNormalization(momentum=momentum, epsilon=epsilon)
    norm.build((None, 5))
    gamma, beta = random.normal(size=(2, 5))
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    mean, variance = np.zeros(5), np.ones(5)
    for _ in range(10):
        x = random.normal(2, [1, 3, 0.3, 0.03, 0], size=(8, 5)).astype("float32")
        ours, batch_mean, batch_variance = bn_training(x, gamma, beta, epsilon)
        np.testing.assert_allclose(ours, norm(x, training=True), atol=1e-4)
        assert ours[:, 4] == pytest.approx(beta[4]), "what never varies gives beta"
        mean, variance = bn_move(mean, batch_mean, momentum), bn_move(variance, batch_variance, momentum)
    np.testing.assert_allclose(mean, norm.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(variance, norm.moving_variance, rtol=1e-5)
    ours = bn_inference(x, gamma, beta, mean, variance, epsilon)
    np.testing.assert_allclose(ours, norm(x, training=False), atol=1e-4)


def test_a_bias_before_it_changes_nothing_and_a_scale_little():
    """Neither the output nor the loss; the bias gets no gradient, a kernel c times as large one of 1/c."""
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(64, 6)).astype("float32"), random.normal(size=(64, 4)).astype("float32")
    kernel, bias = tf.Variable(random.normal(size=(6, 4)).astype("float32")), tf.Variable(tf.zeros(4))
    norm = layers.BatchNormalization(epsilon=1e-6)
    seen = {}
    for c, shift in ((1.0, 0.0), (10.0, 0.0), (1.0, 5.0), (0.2, -3.0)):
        with tf.GradientTape() as tape:
            y = norm(c * x @ kernel + bias + shift, training=True)
            loss = tf.reduce_sum(y * dy)
        by_kernel, by_bias = tape.gradient(loss, [kernel, bias])
        seen[c, shift] = y.numpy(), by_kernel.numpy() / c, by_bias.numpy()
    y, slope, _ = seen[1.0, 0.0]
    for (c, _), (other, by_kernel, by_bias) in seen.items():
        assert other == pytest.approx(y, abs=1e-3)
        assert by_kernel == pytest.approx(slope / c, rel=0.01, abs=0.01)
        assert np.abs(by_bias).max() < 1e-4 * np.abs(slope).max()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(norm(tf.nn.relu(x @ kernel + bias), training=True) * dy)
    assert np.abs(tape.gradient(loss, bias)).max() > 0.1 * np.abs(slope).max(), "with an activation between it counts"


def test_few_steps_leave_the_start_in_the_averages():
    """Good in training, bad in evaluation with momentum 0.99; the same weights, mended by 0.9 or by recalibrating."""
    x, x_test, y, y_test = digits(1)
    for seed, size in ((3, 64), (4, 128)):
        slow, fast = build(momentum=0.99, seed=seed), build(momentum=0.9, seed=seed)
        for model in (slow, fast):
            log = model.fit(x, y, batch_size=size, epochs=5, verbose=0).history
        assert log["accuracy"][-1] > 0.93
        assert all(map(np.array_equal, slow.trainable_variables, fast.trainable_variables))
        assert accuracy(slow, x_test, y_test) < 0.6
        assert accuracy(slow, x, y) < 0.6, "the training data are evaluated as badly"
        assert accuracy(fast, x_test, y_test) > accuracy(slow, x_test, y_test) + 0.3
        recalibrate(slow, x[:500])
        assert accuracy(slow, x_test, y_test) > 0.93


def test_recalibrating_reaches_nested_models():
    """The statistics become those of the data, wherever the layer stands; no weight is touched, momentum stays."""
    x = digits()[0]
    inner = build(momentum=0.99, seed=1)
    outer = keras.Sequential([keras.Input((8, 8, 1)), inner, layers.BatchNormalization(), layers.Dense(2)])
    before = [w.numpy() for w in outer.trainable_variables]
    recalibrate(outer, x)
    assert len(list(norms_of(outer))) == 3
    assert all(map(np.array_equal, before, outer.trainable_variables))
    assert [norm.momentum for norm in norms_of(outer)] == [0.99, 0.99, 0.99]
    assert outer(x, training=False).numpy() == pytest.approx(outer(x, training=True).numpy(), abs=1e-3)


def test_a_feature_has_four_numbers_and_a_map_is_normalized_by_channel():
    for shape in ((None, 7), (None, 5, 7), (None, 6, 4, 7)):
        norm = layers.BatchNormalization()
        norm.build(shape)
        assert norm.count_params() == 4 * 7 and len(norm.trainable_weights) == len(norm.non_trainable_weights) == 2
        x = np.random.default_rng(0).normal(3, 2, size=[9, *shape[1:]]).astype("float32")
        y = norm(x, training=True).numpy()
        assert y.reshape(-1, 7).mean(axis=0) == pytest.approx(np.zeros(7), abs=1e-4)
        assert y.reshape(-1, 7).std(axis=0) == pytest.approx(np.ones(7), abs=1e-2)


def test_layer_norm_needs_no_batch_and_no_second_mode():
    random = np.random.default_rng(0)
    x = random.normal(3, 2, size=(5, 4, 6)).astype("float32")
    for norm in (layers.LayerNormalization(), layers.RMSNormalization(), layers.GroupNormalization(groups=2)):
        y = norm(x, training=True).numpy()
        assert y == pytest.approx(norm(x, training=False).numpy(), abs=1e-6)
        assert y[1:2] == pytest.approx(norm(x[1:2]).numpy(), abs=1e-5)
        assert not norm.non_trainable_weights
    assert layer_norm(x, np.ones(6), np.zeros(6)) == pytest.approx(layers.LayerNormalization()(x).numpy(), abs=1e-4)
    rms = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    assert rms == pytest.approx(layers.RMSNormalization()(x).numpy(), abs=1e-4)


def test_a_frozen_layer_is_in_inference_mode():
    for training in (True, False):
        norm = layers.BatchNormalization()
        norm.trainable = False
        x = np.random.default_rng(0).normal(5, 2, size=(64, 3)).astype("float32")
        assert norm(x, training=training).numpy() == pytest.approx(x / np.sqrt(1.001), rel=1e-5)
        assert not norm.moving_mean.numpy().any() and not norm.trainable_weights
    dropout = layers.Dropout(0.5)
    dropout.trainable = False
    assert (dropout(np.ones((100, 10)), training=True).numpy() == 0).any(), "other layers keep their mode"


def test_training_false_in_a_graph_is_overridden():
    """By `fit` and by a call with training=True; frozen normalizations hold, a frozen base too."""
    x = digits()[0][:64]
    for frozen in ("nothing", "norms", "base", "norms and then undone"):
        base = build(seed=1)
        if "undone" in frozen:
            base.trainable = False  # as in fine-tuning, where a frozen base is unfrozen
        for layer in [base] if frozen == "base" else [] if frozen == "nothing" else norms_of(base):
            layer.trainable = False
        if "undone" in frozen:
            base.trainable = True
        inputs = keras.Input((8, 8, 1))
        model = keras.Model(inputs, layers.Dense(2)(base(inputs, training=False)))
        model.compile(optimizer="sgd", loss="mse")
        for use in (lambda m: m.fit(x, np.zeros((64, 2)), verbose=0), lambda m: m(x, training=True)):
            before = [norm.moving_mean.numpy() for norm in norms_of(base)]
            use(model)
            moved = [not np.array_equal(b, n.moving_mean) for b, n in zip(before, norms_of(base), strict=True)]
            assert moved == [frozen in ("nothing", "norms and then undone")] * 2


SHAPES = ((6, 32), (4, 64))


def test_deep_sigmoids_are_rescued_by_both_and_by_batch_norm_first():
    """Adam's default rate: without a normalization far behind; layer norm behind at first, close after eight epochs."""
    for depth, width in SHAPES:
        plain, batch, layer = (curves("sigmoid", kind, depth, width)[:, 0] for kind in (None, "batch", "layer"))
        assert batch[1].min() > 0.93 and layer[1].min() > 0.9 and plain[1].max() < 0.8
        assert batch[0].mean() > layer[0].mean() > plain[0].mean() + 0.3
        assert batch[1].mean() - layer[1].mean() < 0.04
    assert curves("sigmoid", None, 6, 32)[1, 0].max() < 0.4, "with six layers it is near guessing"


def test_relu_with_he_gains_no_accuracy_at_adams_default_rate():
    for depth, width in SHAPES:
        plain, batch = (curves("relu", kind, depth, width)[1, 0].mean() for kind in (None, "batch"))
        assert plain > 0.9 and batch < plain + 0.02


def test_batch_norm_tolerates_rates_over_a_hundredfold_range():
    """Adam from 0.001 to 0.1, eight epochs: above 0.9 on average with it; at 0.1 without it far below."""
    for depth, width in SHAPES:
        for activation in ("sigmoid", "relu"):
            every = {kind: curves(activation, kind, depth, width)[1] for kind in (None, "batch")}
            assert every["batch"].mean(axis=1).min() > 0.9
            assert every[None][2].mean() < 0.4
        assert curves("sigmoid", "layer", depth, width)[1, 2].mean() < 0.4, "nor with layer normalization"


def test_in_training_mode_the_answer_depends_on_the_neighbours():
    """A dense network in training mode gives every single example the same answer, and changes by being asked."""
    x, x_test, y, y_test = digits()
    model = deep("relu", "batch", 0.01, seed=1)
    model.fit(x, y, batch_size=64, epochs=4, verbose=0)
    before = model.layers[2].moving_mean.numpy()
    singles = [model(x_test[i : i + 1], training=True).numpy() for i in range(20)]
    assert np.ptp(singles, axis=0).max() < 1e-4
    assert not np.array_equal(before, model.layers[2].moving_mean)
    many = np.argmax(model(x_test, training=True), axis=1)
    pairs = [np.argmax(model(x_test[i : i + 2], training=True), axis=1) for i in range(0, 120, 2)]
    assert np.mean(np.concatenate(pairs) == y_test[:120]) < np.mean(many == y_test) - 0.1


def test_one_example_gives_beta_and_two_give_signs():
    for seed in range(3):
        random = np.random.default_rng(seed)
        norm = layers.BatchNormalization()
        norm.build((None, 6))
        gamma, beta = random.normal(size=(2, 6)).astype("float32")
        norm.gamma.assign(gamma)
        norm.beta.assign(beta)
        x = tf.Variable(random.normal(0, 100, size=(2, 6)).astype("float32"))
        with tf.GradientTape() as tape:
            one = norm(x[:1], training=True)
            loss = tf.reduce_sum(one * random.normal(size=6))
        assert one.numpy()[0] == pytest.approx(beta, abs=1e-3)
        assert np.abs(tape.gradient(loss, x)).max() < 1e-6
        assert np.all(norm.moving_variance.numpy() < 1), "a batch of one pulls it towards 0"
        two = (norm(x, training=True).numpy() - beta) / gamma
        assert two == pytest.approx(np.sign(x.numpy() - x.numpy().mean(axis=0)), abs=0.01)


def test_a_call_without_training_normalizes_nothing():
    """A fresh layer divides by the root of 1 + epsilon; fit, evaluate and predict choose the mode themselves."""
    x, _, y, _ = digits()
    for shape in ((50, 3), (10, 4, 4, 2)):
        norm = layers.BatchNormalization()
        z = np.random.default_rng(0).normal(7, 3, size=shape).astype("float32")
        assert norm(z).numpy() == pytest.approx(z / np.sqrt(1.001), rel=1e-4)
        assert not norm.moving_mean.numpy().any()
    for use, moves in (
        (lambda m: m.evaluate(x[:64], y[:64], verbose=0), False),
        (lambda m: m.predict(x[:64], verbose=0), False),
        (lambda m: m.fit(x[:64], y[:64], verbose=0), True),
    ):
        model = build()
        use(model)
        assert [bool(norm.moving_mean.numpy().any()) for norm in norms_of(model)] == [moves] * 2


def test_the_axis_is_the_one_that_is_kept():
    x = np.random.default_rng(0).normal(size=(8, 5, 6, 7)) * np.geomspace(0.1, 10, 5)[None, :, None, None]
    for axis, kept in ((-1, 7), (1, 5), (2, 6)):
        norm = layers.BatchNormalization(axis=axis)
        y = norm(x.astype("float32"), training=True).numpy()
        assert norm.gamma.shape == (kept,)
        mean = y.mean(axis=tuple({0, 1, 2, 3} - {axis % 4}))
        assert mean == pytest.approx(np.zeros(kept), abs=1e-4)
        spread = np.ptp(np.log10(y.std(axis=(0, 2, 3))))
        assert (spread < 0.1) == (axis == 1)


def test_arguments_of_keras_2_are_refused():
    for old in ({"fused": True}, {"virtual_batch_size": 4}):
        with pytest.raises((ValueError, TypeError), match=next(iter(old))):
            layers.BatchNormalization(**old)


def test_keras_averages_the_biased_variance():
    for size in (2, 3, 8):
        norm = layers.BatchNormalization(momentum=0.0)
        x = np.random.default_rng(size).normal(size=(size, 20000)).astype("float32")
        norm(x, training=True)
        assert norm.moving_variance.numpy().mean() == pytest.approx((size - 1) / size, abs=0.02)
