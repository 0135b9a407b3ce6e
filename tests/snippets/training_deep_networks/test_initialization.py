"""What the lesson on initialization claims."""

import keras
import numpy as np
import pytest

from snippets.training_deep_networks.initialization import (
    ACTIVATIONS,
    SCHEMES,
    Heads,
    backward,
    build,
    dense_layers,
    draw_kernels,
    forward,
    four_towers,
    gaussian_mean,
    kernel_gradients,
    lsuv,
    make_trainer,
    norm,
    predict,
    rms,
    start,
    train_eagerly,
    truncated_normal,
    uniform_limit,
)

SIZES = [64] * 21 + [10]


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(1)
    return random.normal(size=(60, 64)).astype("float32"), np.arange(60) % 10


def gradients_of(scheme, activation, batch, seed=0):
    x, y = batch
    kernels = draw_kernels(scheme, SIZES, seed)
    outputs, logits = forward(x, kernels, activation)
    return outputs, *backward(y, outputs, logits, kernels, activation)


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("GlorotNormal", np.sqrt(2 / (256 + 768))),
        ("GlorotUniform", np.sqrt(2 / (256 + 768))),
        ("HeNormal", np.sqrt(2 / 256)),
        ("HeUniform", np.sqrt(2 / 256)),
        ("LecunNormal", np.sqrt(1 / 256)),
    ],
)
def test_the_root_is_the_standard_deviation_and_nothing_lies_past_the_limit(name, deviation):
    values = np.asarray(getattr(keras.initializers, name)(seed=3)((256, 768)))
    assert values.std() == pytest.approx(deviation, rel=0.01)
    limit = np.sqrt(3) if "Uniform" in name else 2 / 0.87962566
    assert 0.99 * limit < np.abs(values).max() / deviation < 1.0001 * limit


def test_truncated_normal_does_not_widen_and_a_layer_defaults_to_glorot_uniform():
    values = np.asarray(keras.initializers.TruncatedNormal(stddev=0.05, seed=0)((500, 500)))
    assert values.std() == pytest.approx(0.05 * 0.8796, rel=0.01)
    for layer in (keras.layers.Dense(3), keras.layers.Conv2D(3, 3)):
        assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)


def test_the_initializers_from_scratch_have_the_distribution_of_keras():
    ours = truncated_normal(2.0, 256, (256, 512), np.random.default_rng(0))
    keras_values = keras.initializers.HeNormal(seed=0)((256, 512))
    assert np.allclose(np.sort(np.ravel(ours)), np.sort(np.ravel(keras_values)), atol=0.05 * ours.std())
    uniform = np.asarray(keras.initializers.GlorotUniform(seed=0)((256, 512)))
    assert np.abs(uniform).max() == pytest.approx(uniform_limit(1.0, (256 + 512) / 2), rel=1e-3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_numpy_network_has_the_gradients_of_keras(activation, batch):
    kernels = draw_kernels("He", SIZES, seed=4)
    _, _, ours = gradients_of("He", activation, batch, seed=4)
    model = build(activation)
    start(model, kernels)
    theirs = kernel_gradients(model, *batch)
    assert max(norm(a - b) / norm(a) for a, b in zip(ours, theirs, strict=True)) < 1e-3


def test_the_backward_pass_is_the_slope_of_the_loss(batch):
    x, y = batch
    kernels = draw_kernels("Xavier", [64, 16, 16, 10], seed=0)

    def loss():
        _, logits = forward(x, kernels, "tanh")
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(60), y])

    outputs, logits = forward(x, kernels, "tanh")
    _, gradients = backward(y, outputs, logits, kernels, "tanh")
    before = loss()
    kernels[1][3, 5] += 1e-6
    assert (loss() - before) / 1e-6 == pytest.approx(gradients[1][3, 5], rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_sigmoid_vanishes_a_large_normal_explodes_and_he_stays(seed, batch):
    _, _, sigmoid = gradients_of("Xavier", "sigmoid", batch, seed)
    assert 1e-14 < norm(sigmoid[0]) < 1e-11 < 0.1 < norm(sigmoid[-1])
    _, _, large = gradients_of("N(0, 1)", "tanh", batch, seed)
    assert norm(large[0]) > 1e4 * norm(large[-1])
    outputs, _, he = gradients_of("He", "relu", batch, seed)
    assert 0.1 < rms(outputs[20]) < 4
    assert 0.05 < norm(he[0]) / norm(he[-1]) < 5


def test_in_a_relu_network_all_kernel_gradients_vanish_alike(batch):
    _, deltas, gradients = gradients_of("N(0, 0.01)", "relu", batch)
    assert rms(deltas[0]) < 1e-15 * rms(deltas[20])
    assert 0.1 < norm(gradients[0]) / norm(gradients[20]) < 10


def test_under_a_sigmoid_the_size_stays_and_the_differences_die(batch):
    outputs, _, _ = gradients_of("Xavier", "sigmoid", batch)
    assert 0.4 < rms(outputs[20]) < 0.6
    assert rms(outputs[20] - outputs[20].mean(axis=0)) < 1e-11


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scheme", ["Xavier", "He"])
def test_the_recursion_predicts_a_wide_network(scheme, activation):
    x = np.random.default_rng(0).normal(size=(20, 256))
    gain = 256 * SCHEMES[scheme](256, 256) ** 2
    sizes, factors = predict(activation, gain, 1.0, 10)
    runs = []
    for seed in range(4):
        kernels = draw_kernels(scheme, [256] * 11 + [10], seed)
        outputs, logits = forward(x, kernels, activation)
        deltas, _ = backward(np.arange(20) % 10, outputs, logits, kernels, activation)
        runs.append((rms(outputs[10]), rms(deltas[0]) / rms(deltas[9])))
    size, back = np.exp(np.mean(np.log(runs), axis=0))
    assert size == pytest.approx(sizes[-1], rel=0.35)
    assert back == pytest.approx(factors[:-1].prod(), rel=0.35)


def test_he_is_the_scale_of_relu():
    assert 1 / gaussian_mean(lambda z: np.maximum(z, 0) ** 2, 1.0) == pytest.approx(2)


def test_batch_norm_revives_the_sigmoid_and_explodes_under_relu(batch):
    kernels = draw_kernels("Xavier", SIZES, seed=0)
    for activation, low, high in (("sigmoid", 0.1, 5), ("relu", 10, 200)):
        model = build(activation, keras.layers.BatchNormalization)
        start(model, kernels)
        gradients = kernel_gradients(model, *batch)
        assert low < norm(gradients[0]) / norm(gradients[19]) < high


def test_residual_branches_must_be_small(batch):
    model = build(residual=True)
    start(model, draw_kernels("He", SIZES, seed=0))
    assert norm(kernel_gradients(model, *batch)[0]) > 1e3
    start(model, [kernel / 20**0.5 for kernel in draw_kernels("He", SIZES, seed=0)])
    assert norm(kernel_gradients(model, *batch)[0]) < 30


def test_he_trains_a_deep_relu_network_and_xavier_does_not(batch):
    x, y = batch
    x = x + 3 * np.eye(10, 64, dtype="float32")[y]
    train = make_trainer(build(), x, y, batch=60)
    for seed in range(2):
        he, _ = train(draw_kernels("He", SIZES, seed), epochs=40)
        xavier, _ = train(draw_kernels("Xavier", SIZES, seed), epochs=40)
        assert he < 2.1 < 2.29 < xavier


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_weights_stay_equal_units(value, batch):
    constant = keras.initializers.Constant(value)
    model = keras.Sequential(
        [
            keras.Input(shape=(64,)),
            keras.layers.Dense(16, "relu", kernel_initializer=constant),
            keras.layers.Dense(10, kernel_initializer=constant),
        ]
    )
    train_eagerly(model, *batch, steps=3)
    assert np.ptp(model.layers[0].kernel.numpy(), axis=1).max() < 1e-5


@pytest.mark.parametrize(
    ("initializer", "equal"),
    [
        (keras.initializers.HeNormal(), True),
        (keras.initializers.HeNormal(seed=42), True),
        ("he_normal", False),
        (keras.initializers.HeNormal(seed=keras.random.SeedGenerator(42)), False),
    ],
)
def test_one_initializer_object_makes_equal_towers(initializer, equal, batch):
    model = four_towers(initializer)
    train_eagerly(model, *batch, steps=2)
    kernels = [layer.kernel.numpy() for layer in dense_layers(model) if layer.units == 16]
    assert all(np.allclose(kernels[0], other, atol=1e-5) for other in kernels[1:]) == equal


@pytest.mark.parametrize(
    ("initializer", "inputs"),
    [("he_normal", 1024), (keras.initializers.HeNormal(input_axes=(1,), output_axes=(2,)), 256)],
)
def test_a_third_axis_is_taken_for_a_window_unless_the_axes_are_named(initializer, inputs):
    layer = Heads(initializer)
    assert layer(np.zeros((2, 256))).shape == (2, 4, 64)
    assert 2 / layer.kernel.numpy().var() == pytest.approx(inputs, rel=0.05)


def test_keras_still_counts_the_fan_of_two_convolutions_wrongly():
    for layer, drawn_for in (
        (keras.layers.DepthwiseConv2D(3, depthwise_initializer="he_normal"), 9 * 512),
        (keras.layers.Conv2DTranspose(64, 3, kernel_initializer="he_normal"), 9 * 64),
    ):
        layer.build((None, 8, 8, 512))
        assert 2 / layer.kernel.numpy().var() == pytest.approx(drawn_for, rel=0.15), "mended in Keras: mend the lesson"


def test_lsuv_gives_each_layer_the_size_one(batch):
    x, _ = batch
    model = build("gelu")
    start(model, draw_kernels("Xavier", SIZES, seed=0))
    lsuv(model, x)
    for layer in dense_layers(model)[4:20:5]:
        assert rms(keras.Model(model.inputs, layer.output)([x])) == pytest.approx(1, rel=1e-3)


def test_an_initializer_repeats_itself_and_its_clone_does_not():
    initializer = keras.initializers.GlorotUniform()
    assert np.array_equal(initializer((4, 4)), initializer((4, 4)))
    assert not np.array_equal(initializer((4, 4)), initializer.clone()((4, 4)))
