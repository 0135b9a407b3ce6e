"""What the lesson on training claims."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from snippets.keras_introduction.training import (
    accuracy_on_noise,
    build_classifier,
    cross_entropy,
    epochs_until,
    precision_and_recall,
    run_epoch,
    softmax,
    start_over,
)


@pytest.fixture(scope="module")
def digits():
    """The first 300 digits: images with pixels from 0 to 1, and their classes."""
    images, labels = load_digits(return_X_y=True)
    return images[:300] / 16, labels[:300]


def seeded_classifier(seed=0):
    keras.utils.set_random_seed(seed)
    return build_classifier(units=8)


@pytest.fixture(scope="module")
def trained_once(digits):
    """A model compiled once for all tests, and its weights after its first epoch, with seed 0."""
    model = seeded_classifier()
    model.fit(*digits, verbose=0)
    return model, model.get_weights()


@pytest.fixture
def model(trained_once):
    """The compiled model, as good as new."""
    start_over(trained_once[0], seed=0)
    return trained_once[0]


def equal_weights(one, other):
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_a_model_that_starts_over_repeats_its_first_epoch_to_the_last_bit(digits, trained_once):
    model, after_first_epoch = trained_once
    start_over(model, seed=1)
    model.fit(*digits, verbose=0)
    assert not all(map(np.array_equal, model.get_weights(), after_first_epoch))
    start_over(model, seed=0)
    assert int(model.optimizer.iterations) == 0
    model.fit(*digits, verbose=0)
    assert all(map(np.array_equal, model.get_weights(), after_first_epoch))


def test_starting_over_keeps_the_learning_rate(model):
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_fit_makes_one_update_for_each_batch_the_last_one_smaller(digits, model):
    model.fit(*digits, batch_size=32, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 2 * 10  # 300 / 32 = 9.375


def test_the_classifier_has_the_parameters_of_the_table():
    assert build_classifier().count_params() == 4160 + 650


def test_fit_is_mini_batch_gradient_descent(digits):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape=(64,)), keras.layers.Dense(10, activation="softmax")])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    weights, bias = [start.astype("float64") for start in model.get_weights()]
    logged = model.fit(*digits, batch_size=32, epochs=2, shuffle=False, verbose=0).history["loss"]
    losses = [run_epoch(*digits, weights, bias, 0.1, 32) for _ in range(2)]
    np.testing.assert_allclose(model.get_weights()[0], weights, atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[1], bias, atol=1e-5)
    np.testing.assert_allclose(logged, losses, atol=1e-5)
    assert losses[1] < losses[0]


def test_the_gradient_of_softmax_regression_is_that_of_finite_differences(digits):
    x, y = digits[0][:20], digits[1][:20]
    weights, bias = np.zeros((64, 10)), np.zeros(10)
    run_epoch(x, y, weights, bias, 1.0, 20)  # one step of length 1: minus the gradient
    step = 1e-5
    nudged = np.zeros(10)
    nudged[3] = step
    start = np.zeros((64, 10))
    slope = (cross_entropy(x, y, start, nudged) - cross_entropy(x, y, start, -nudged)).mean() / (2 * step)
    assert bias[3] == pytest.approx(-slope, abs=1e-6)


def test_softmax_bears_large_logits():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0]])), [[0.5, 0.5]])


def test_sample_weights_divide_by_rows_and_metrics_ignore_them(digits, model):
    x, y = digits
    weight = np.where(y == 8, 5.0, 1.0)
    losses = -np.log(keras.ops.convert_to_numpy(model(x))[np.arange(300), y])
    loss, accuracy = model.evaluate(x, y, sample_weight=weight, verbose=0)
    assert loss == pytest.approx(np.sum(weight * losses) / 300, abs=1e-4)
    assert loss != pytest.approx(np.sum(weight * losses) / weight.sum(), abs=1e-2)
    assert accuracy == pytest.approx(model.evaluate(x, y, verbose=0)[1])


def test_class_weight_is_sample_weight_looked_up(digits, model):
    x, y = digits
    model.fit(x, y, verbose=0, class_weight={8: 5.0})
    by_class = model.get_weights()
    start_over(model, seed=0)
    model.fit(x, y, verbose=0, sample_weight=np.where(y == 8, 5.0, 1.0))
    assert all(map(np.array_equal, by_class, model.get_weights()))
    start_over(model, seed=0)
    model.fit(x, y, verbose=0, sample_weight=np.ones(300))
    assert not any(map(np.array_equal, by_class, model.get_weights()))


def test_a_keras_file_resumes_training_exactly(digits, model, tmp_path):
    model.fit(*digits, shuffle=False, verbose=0)
    model.save(tmp_path / "half.keras")
    model.fit(*digits, shuffle=False, verbose=0)
    resumed = keras.models.load_model(tmp_path / "half.keras")
    assert not equal_weights(model, resumed)
    resumed.fit(*digits, shuffle=False, verbose=0)
    assert equal_weights(model, resumed)


def test_a_weights_file_holds_the_optimizer_but_a_fresh_model_skips_it(digits, model, tmp_path):
    model.fit(*digits, verbose=0)
    model.save_weights(tmp_path / "half.weights.h5")
    fresh = seeded_classifier(seed=1)
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        fresh.load_weights(tmp_path / "half.weights.h5")
    assert equal_weights(model, fresh)
    assert int(fresh.optimizer.iterations) == 0
    fresh.optimizer.build(fresh.trainable_variables)
    fresh.load_weights(tmp_path / "half.weights.h5")
    assert int(fresh.optimizer.iterations) == 10
    assert len(fresh.optimizer.variables) == 10
    for kept, loaded in zip(model.optimizer.variables, fresh.optimizer.variables, strict=True):
        np.testing.assert_array_equal(kept.numpy(), loaded.numpy())


def test_a_seed_repeats_the_weights_of_the_next_model_only():
    keras.utils.set_random_seed(3)
    first, second = build_classifier(), build_classifier()
    keras.utils.set_random_seed(3)
    assert equal_weights(first, build_classifier())
    assert not equal_weights(first, second)


def test_compile_again_keeps_the_weights_and_drops_the_optimizer():
    model = seeded_classifier()
    model.optimizer.apply(
        [np.ones(weight.shape, "float32") for weight in model.get_weights()], model.trainable_variables
    )
    before = model.get_weights()
    assert int(model.optimizer.iterations) == 1
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    assert all(map(np.array_equal, before, model.get_weights()))
    assert int(model.optimizer.iterations) == 0


def test_validation_split_takes_the_last_rows_and_refuses_a_dataset(digits, model):
    x, y = digits
    rows = np.arange(300)
    line = keras.Sequential([keras.Input(shape=(1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    line.compile(optimizer=keras.optimizers.SGD(0.0), loss="mean_absolute_error")
    history = line.fit(rows, np.zeros(300), validation_split=0.2, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(rows[240:].mean(), rel=1e-5)
    with pytest.raises(ValueError, match="validation_split"):
        dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
        model.fit(dataset, validation_split=0.2, verbose=0)


def test_the_same_number_of_updates_whatever_the_batch_size():
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    train, validation = (images[:1024], labels[:1024]), (images[1024:], labels[1024:])
    small = len(epochs_until(1.0, 32, 0.1, 0, train, validation))
    large = len(epochs_until(1.0, 128, 0.1, 0, train, validation))
    assert small * 32 == pytest.approx(large * 8, rel=0.2)


def test_selecting_features_before_the_split_makes_noise_look_learnable():
    leaked = np.mean([accuracy_on_noise(seed, on_all_rows=True) for seed in range(5)])
    honest = np.mean([accuracy_on_noise(seed, on_all_rows=False) for seed in range(5)])
    assert leaked > 0.7
    assert abs(honest - 0.5) < 0.1


def test_precision_and_recall_count_alarms_and_finds():
    targets, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.2, 0.8, 0.1])
    assert precision_and_recall(targets, scores) == (0.5, 0.5)
    assert precision_and_recall(targets, scores, threshold=0.15) == (2 / 3, 1.0)
    assert precision_and_recall(targets, scores, threshold=0.95) == (0, 0)
