"""What the lesson on the Sequential API claims."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.linear_model import LogisticRegression

from snippets.keras_introduction.sequential_api import (
    accuracies,
    build_classifier,
    build_convnet,
    forward,
    forward_normalized,
    load_images,
    show,
    softmax,
    start_over,
)


@pytest.fixture(scope="module")
def digits():
    return load_images()


@pytest.fixture(scope="module")
def deep(rows):
    [accuracy] = accuracies(rows, seeds=[3])
    return accuracy


@pytest.fixture(scope="module")
def rows(digits):
    x_train, x_test, y_train, y_test = digits
    return x_train.reshape(-1, 784), x_test.reshape(-1, 784), y_train, y_test


def test_digits_are_28_by_28_between_0_and_1(digits):
    x_train, x_test, y_train, y_test = digits
    assert x_train.shape == (1347, 28, 28, 1)
    assert x_test.shape == (450, 28, 28, 1)
    assert x_train.min() == 0 and x_train.max() == 1
    assert set(y_train) == set(y_test) == set(range(10))


def test_classifier_has_784_128_64_10_shapes_and_109386_parameters():
    model = build_classifier()
    widths = [layer.output.shape for layer in model.layers if isinstance(layer, layers.Dense)]
    assert widths == [(None, 128), (None, 64), (None, 10)]
    assert model.count_params() == (784 * 128 + 128) + (128 * 64 + 64) + (64 * 10 + 10) == 109_386


def test_batch_normalization_has_four_parameters_a_feature_and_learns_two():
    plain, normalized = build_classifier(), build_classifier(batch_norm=True, dropout=0.3)
    features = 128 + 64
    assert normalized.count_params() == plain.count_params() - features + 4 * features == 109_962
    tracked = sum(np.prod(weight.shape) for weight in normalized.non_trainable_weights)
    assert tracked == 2 * features


def test_dropout_and_activations_have_no_parameters():
    assert build_classifier(dropout=0.5).count_params() == build_classifier().count_params()


def test_convnet_gives_one_row_of_ten_probabilities_an_image(digits):
    convnet = build_convnet()
    assert [layer.output.shape[1:] for layer in convnet.layers] == [(26, 26, 16), (13, 13, 16), (2704,), (10,)]
    assert [layer.count_params() for layer in convnet.layers] == [160, 0, 0, 27_050]
    np.testing.assert_allclose(np.sum(convnet(digits[1][:5]), axis=1), 1, atol=1e-5)


def test_convnet_learns(digits):
    x_train, x_test, y_train, y_test = digits
    keras.utils.set_random_seed(1)
    convnet = build_convnet()
    convnet.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = convnet.fit(x_train, y_train, epochs=3, verbose=0).history["loss"]
    assert losses[0] > losses[1] > losses[2]
    assert convnet.evaluate(x_test, y_test, verbose=0)[1] > 0.85


def test_without_flatten_there_is_a_prediction_for_each_of_13_by_13_places_and_the_loss_refuses(digits):
    stack = keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(16, kernel_size=3),
            layers.MaxPooling2D(pool_size=2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    assert stack.output_shape == (None, 13, 13, 10)
    stack.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=re.escape("must have rank (ndim) `target.ndim - 1`")):
        stack.fit(digits[0][:8], digits[2][:8], verbose=0)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_dense_layers_from_scratch_equal_keras(rows, activation):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input(shape=(784,))])
    for units, name in ((128, activation), (64, activation), (10, "softmax")):
        model.add(layers.Dense(units, activation=name, bias_initializer="random_normal"))
    np.testing.assert_allclose(forward(model, rows[1]), model(rows[1]), atol=1e-5)


def test_softmax_from_scratch_survives_large_scores():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0]])), [[0.5, 0.5]])


def test_batch_normalization_from_scratch_equals_keras_with_moved_averages(rows):
    keras.utils.set_random_seed(3)
    model = build_classifier(batch_norm=True)
    before = model(rows[1])
    for _ in range(20):
        model(rows[0][:256], training=True)
    after = model(rows[1])
    assert np.abs(before - after).max() > 0.01
    np.testing.assert_allclose(forward_normalized(model, rows[1]), after, atol=1e-5)


def test_linear_layers_collapse_into_one_and_relu_does_not(rows):
    keras.utils.set_random_seed(4)
    x = rows[1]
    for activation, collapses in (("linear", True), ("relu", False)):
        model = keras.Sequential([keras.Input(shape=(784,))])
        for units, name in ((128, activation), (64, activation), (10, "softmax")):
            model.add(layers.Dense(units, activation=name, bias_initializer="random_normal"))
        (W1, b1), (W2, b2), (W3, b3) = (layer.get_weights() for layer in model.layers)
        collapsed = softmax(x @ (W1 @ W2 @ W3) + (b1 @ W2 + b2) @ W3 + b3)
        assert np.allclose(collapsed, model(x), atol=1e-4) == collapses


def test_after_four_epochs_hidden_layers_are_ahead_but_a_single_layer_trained_to_the_end_is_not_behind(rows, deep):
    x_train, x_test, y_train, y_test = rows
    [single] = accuracies(rows, seeds=[3], hidden=())
    finished = LogisticRegression(tol=1e-3).fit(x_train, y_train).score(x_test, y_test)
    assert deep > single + 0.01 and single > 0.88
    assert finished > deep - 0.015


def test_one_hidden_layer_with_relu_beats_the_best_linear_model_at_telling_odd_from_even(rows):
    x_train, x_test, y_train, y_test = rows
    odd_train, odd_test = y_train % 2, y_test % 2
    linear = LogisticRegression(tol=1e-3).fit(x_train, odd_train).score(x_test, odd_test)
    [bent] = accuracies((x_train, x_test, odd_train, odd_test), seeds=[3], epochs=10, hidden=(64,), classes=2)
    assert bent > linear + 0.01


def test_batch_normalization_is_ahead_of_the_plain_network_after_four_epochs(rows, deep):
    [normalized] = accuracies(rows, seeds=[3], batch_norm=True)
    assert normalized > deep


def test_a_model_started_afresh_learns_what_a_new_one_learns(rows):
    options = {"hidden": (16,), "batch_norm": True, "dropout": 0.3}

    def train(model):
        model.fit(rows[0][:320], rows[2][:320], batch_size=64, epochs=1, verbose=0)
        return np.array(model(rows[1]))

    keras.utils.set_random_seed(3)
    model = build_classifier(**options)
    model.compile("adam", "sparse_categorical_crossentropy")
    of_new, of_trained = train(model), train(model)
    assert np.abs(of_trained - of_new).max() > 0.01
    keras.utils.set_random_seed(3)
    start_over(model, build_classifier(**options))
    np.testing.assert_allclose(train(model), of_new, atol=1e-5)


@pytest.mark.parametrize(("built", "graphs"), [(False, 2), (True, 1)])
def test_an_optimizer_built_before_the_first_fit_saves_a_graph(rows, built, graphs):
    class Counting(keras.Sequential):
        run_as_python = 0

        def train_step(self, data):
            self.run_as_python += 1
            return super().train_step(data)

    model = Counting([keras.Input(shape=(784,)), *build_classifier(hidden=(16,)).layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    if built:
        model.optimizer.build(model.trainable_variables)
    model.fit(rows[0][:320], rows[2][:320], epochs=3, verbose=0)
    assert model.run_as_python == graphs


def test_dropout_and_batch_normalization_act_in_training_only(rows):
    model = build_classifier(batch_norm=True, dropout=0.3)
    batch = rows[0][:32]
    assert np.allclose(model(batch), model(batch, training=False))
    assert not np.allclose(model(batch, training=True), model(batch, training=True))


def test_an_input_with_the_batch_axis_counts_right_and_expects_sequences(rows):
    wrong = keras.Sequential([keras.Input(shape=(None, 784)), *build_classifier().layers])
    assert wrong.count_params() == 109_386
    assert wrong.output_shape == (None, None, 10)
    with pytest.raises(ValueError, match=re.escape("Expected shape (None, None, 784)")):
        wrong.predict(rows[1][:32], verbose=0)


def test_an_input_shape_must_be_a_tuple():
    with pytest.raises(ValueError, match="Cannot convert '784' to a shape"):
        keras.Input(shape=(784))


def test_without_an_input_there_are_no_weights_until_the_first_batch(rows):
    model = keras.Sequential([layers.Dense(10, activation="softmax")])
    assert not model.built and model.weights == []
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(rows[0][:32], rows[2][:32], verbose=0)
    assert model.count_params() == 7_850


def test_softmax_over_one_unit_is_always_one(rows):
    model = build_classifier(hidden=(), classes=1)
    with pytest.warns(UserWarning, match="This axis has size 1"):
        assert np.unique(model(rows[1])) == [1.0]


def test_input_shape_of_a_layer_warns():
    with pytest.warns(UserWarning, match="Do not pass an `input_shape`"):
        layers.Dense(128, input_shape=(784,))


def test_a_second_input_is_dropped_with_no_more_than_a_warning(rows):
    model = build_classifier(hidden=())
    model.compile("adam", "sparse_categorical_crossentropy")
    first, second = rows[1][:4], rows[1][4:8]
    with pytest.warns(UserWarning, match="The structure of `inputs` doesn't match"):
        assert np.allclose(model([first, second]), model(first))
    with pytest.warns(UserWarning, match="The structure of `inputs` doesn't match"):
        model.fit([first, second], rows[3][:4], verbose=0)


def test_show_prints_lines_that_fit_on_a_page(capsys):
    show(ValueError("word " * 100))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 72
