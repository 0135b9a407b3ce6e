"""The lesson on compilation: losses, from_logits, metrics, and compiling again."""

import inspect
import warnings

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.keras_introduction.compilation import (
    RunningAccuracy,
    accuracy_of,
    binary_cross_entropy_of_logits,
    build_classifier,
    cross_entropy_of_logits,
    cross_entropy_of_probabilities,
    gradient,
    softmax,
    train,
)

LOSS = keras.losses.SparseCategoricalCrossentropy


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    return train_test_split(images, labels, test_size=357, stratify=labels, random_state=0)


@pytest.fixture
def logits():
    return np.random.default_rng(1).normal(0, 4, size=(200, 7)).astype("float32")


@pytest.fixture
def labels():
    return np.random.default_rng(2).integers(0, 7, size=200)


def weights_of(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def test_cross_entropy_of_logits_equals_that_of_keras(labels, logits):
    theirs = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    np.testing.assert_allclose(cross_entropy_of_logits(labels, logits), theirs, rtol=1e-4, atol=1e-5)


def test_cross_entropy_of_probabilities_equals_that_of_keras(labels, logits):
    theirs = keras.losses.sparse_categorical_crossentropy(labels, softmax(logits))
    mine = cross_entropy_of_probabilities(labels, softmax(logits))
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_cross_entropy_of_logits_is_exact_where_that_of_probabilities_is_capped():
    label, large = np.array([1]), np.array([[1000.0, 0.0, -1000.0]])
    assert cross_entropy_of_logits(label, large) == pytest.approx([1000.0])
    assert cross_entropy_of_probabilities(label, softmax(large)) == pytest.approx([-np.log(1e-7)])


def test_gradient_of_cross_entropy_is_prediction_minus_truth(labels, logits):
    by_tape = gradient(lambda z: keras.losses.sparse_categorical_crossentropy(labels, z, from_logits=True), logits)
    np.testing.assert_allclose(by_tape, softmax(logits) - np.eye(7)[labels], atol=1e-5)


def test_clipped_probabilities_have_no_gradient():
    label, outputs = np.array([1]), np.array([[-2.0, 0.3, 3.0]])
    slope = gradient(lambda z: keras.losses.sparse_categorical_crossentropy(label, z), outputs)
    assert slope[0, 1] != 0
    assert not slope[0, [0, 2]].any()


def test_binary_cross_entropy_of_logits_equals_that_of_keras_far_out():
    logits, targets = np.linspace(-200, 200, 41), np.arange(41) % 2
    theirs = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(targets[:, None], logits[:, None])
    np.testing.assert_allclose(binary_cross_entropy_of_logits(targets, logits), theirs, rtol=1e-5, atol=1e-6)


def test_forgetting_from_logits_ruins_every_seed_without_a_warning(digits):
    _, right, _ = train(digits, range(3), None, from_logits=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        _, forgotten, _ = train(digits, range(3), None, from_logits=False)
    assert min(right) > 0.85
    assert max(forgotten) < 0.5


@pytest.mark.filterwarnings("ignore:.*from_logits=True")
def test_keras_on_tensorflow_rescues_a_softmax_that_it_can_see(digits):
    right, _, _ = train(digits, [0], None, True)
    rescued, _, _ = train(digits, [0], "softmax", True)
    np.testing.assert_array_equal(weights_of(rescued), weights_of(right))


def test_a_softmax_behind_a_reshape_is_applied_twice(digits):
    _, accuracies, loss = train(digits, [0, 1], "softmax", True, reshape=True)
    assert max(accuracies) < 0.85
    assert loss > np.log(np.e + 9) - 1


def test_the_rescue_warns_and_stops_at_a_new_tensor():
    label, logits = np.array([0]), keras.ops.convert_to_tensor([[2.0, -1.0, 0.5]])
    probabilities, loss = keras.ops.softmax(logits), LOSS(from_logits=True)
    with pytest.warns(UserWarning, match="produced by a Softmax activation"):
        assert float(loss(label, probabilities)) == float(loss(label, logits))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = float(loss(label, probabilities * 1))
    assert twice == pytest.approx(cross_entropy_of_logits(label, np.asarray(probabilities))[0], abs=1e-6)


@pytest.mark.parametrize(
    ("target_shape", "units", "metric"),
    [
        ((8,), 1, keras.metrics.BinaryAccuracy),
        ((8,), 4, keras.metrics.SparseCategoricalAccuracy),
        ((8, 4), 4, keras.metrics.CategoricalAccuracy),
    ],
)
def test_the_string_accuracy_is_resolved_by_shapes(target_shape, units, metric):
    model = keras.Sequential([keras.Input(shape=(3,)), layers.Dense(units)])
    model.compile(loss="mse", metrics=["accuracy"])
    x = np.zeros((8, 3))
    model.compute_metrics(x, np.zeros(target_shape), model(x))
    assert type(model.metrics[-1].metrics[0]) is metric


def test_reported_accuracy_is_the_mean_over_batches_and_below_that_of_the_final_weights(digits):
    x, _, y, _ = digits
    keras.utils.set_random_seed(0)
    model = build_classifier()
    model.compile("adam", LOSS(from_logits=True), metrics=["accuracy"])
    recorder = RunningAccuracy()
    reported = model.fit(x, y, callbacks=[recorder], verbose=0).history["accuracy"][0]
    assert len(recorder.values) == 45
    assert recorder.values[-1] == pytest.approx(reported)
    assert accuracy_of(model, x, y) > reported + 0.1


def test_compiling_again_keeps_weights_and_metrics_but_not_the_state_of_the_optimizer(digits):
    x, _, y, _ = digits
    model = build_classifier()
    model.compile("adam", LOSS(from_logits=True), metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    before = weights_of(model)
    model.compile("adam", LOSS(from_logits=True))
    assert int(model.optimizer.iterations) == 0
    np.testing.assert_array_equal(weights_of(model), before)
    assert "accuracy" in model.evaluate(x[:32], y[:32], verbose=0, return_dict=True)


def test_empty_metrics_clear_the_old_ones(digits):
    x, _, y, _ = digits
    model = build_classifier()
    model.compile(loss=LOSS(from_logits=True), metrics=["accuracy"])
    model.compile(loss=LOSS(from_logits=True), metrics=[])
    assert list(model.evaluate(x[:32], y[:32], verbose=0, return_dict=True)) == ["loss"]


def test_freezing_takes_effect_before_the_first_fit_and_not_after_it(digits):
    x, _, y, _ = digits
    for trained_before in (False, True):
        model = build_classifier()
        model.compile("adam", LOSS(from_logits=True))
        if trained_before:
            model.fit(x[:64], y[:64], verbose=0)
        model.layers[0].trainable = False
        before = model.layers[0].kernel.numpy()
        model.fit(x[:64], y[:64], verbose=0)
        moved = not np.array_equal(before, model.layers[0].kernel.numpy())
        assert moved == trained_before


def test_callbacks_see_every_fifth_batch_when_five_steps_are_one_execution(digits):
    x, _, y, _ = digits
    model = build_classifier()
    model.compile("adam", LOSS(from_logits=True), metrics=["accuracy"], steps_per_execution=5)
    recorder = RunningAccuracy()
    model.fit(x, y, callbacks=[recorder], verbose=0)
    assert len(recorder.values) == 9


def test_metrics_are_the_fourth_argument_of_compile():
    names = list(inspect.signature(keras.Model.compile).parameters)
    assert names[1:5] == ["optimizer", "loss", "loss_weights", "metrics"]


def test_decay_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="`decay` is no longer supported"):
        optimizer = keras.optimizers.SGD(learning_rate=0.1, decay=0.5)
    optimizer.build([])
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
