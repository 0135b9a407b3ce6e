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
)


@pytest.fixture(scope="module")
def digits():
    """The first 300 digits: images with pixels from 0 to 1, and their classes."""
    images, labels = load_digits(return_X_y=True)
    return images[:300] / 16, labels[:300]


def seeded_classifier(seed=0):
    keras.utils.set_random_seed(seed)
    return build_classifier(units=8)


def equal_weights(one, other):
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_fit_makes_one_update_for_each_batch_the_last_one_smaller(digits):
    model = seeded_classifier()
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


def test_sample_weights_divide_by_rows_and_metrics_ignore_them(digits):
    x, y = digits
    model = seeded_classifier()
    weight = np.where(y == 8, 5.0, 1.0)
    losses = -np.log(model.predict(x, verbose=0)[np.arange(300), y])
    loss, accuracy = model.evaluate(x, y, sample_weight=weight, verbose=0)
    assert loss == pytest.approx(np.sum(weight * losses) / 300, abs=1e-4)
    assert loss != pytest.approx(np.sum(weight * losses) / weight.sum(), abs=1e-2)
    assert accuracy == pytest.approx(model.evaluate(x, y, verbose=0)[1])


def test_class_weight_is_sample_weight_looked_up(digits):
    x, y = digits
    by_class, by_row = seeded_classifier(), seeded_classifier()
    for model, weighting in [
        (by_class, {"class_weight": {8: 5.0}}),
        (by_row, {"sample_weight": np.where(y == 8, 5.0, 1.0)}),
    ]:
        keras.utils.set_random_seed(1)
        model.fit(x, y, verbose=0, **weighting)
    assert equal_weights(by_class, by_row)


def test_a_keras_file_resumes_training_exactly(digits, tmp_path):
    straight, halted = seeded_classifier(), seeded_classifier()
    straight.fit(*digits, epochs=2, shuffle=False, verbose=0)
    halted.fit(*digits, shuffle=False, verbose=0)
    halted.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    resumed.fit(*digits, shuffle=False, verbose=0)
    assert equal_weights(straight, resumed)


def test_a_weights_file_holds_the_optimizer_but_a_fresh_model_skips_it(digits, tmp_path):
    model = seeded_classifier()
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


def test_a_seed_repeats_the_weights_of_the_next_model_only():
    keras.utils.set_random_seed(3)
    first, second = build_classifier(), build_classifier()
    keras.utils.set_random_seed(3)
    assert equal_weights(first, build_classifier())
    assert not equal_weights(first, second)


def test_compile_again_keeps_the_weights_and_drops_the_optimizer(digits):
    model = seeded_classifier()
    model.fit(*digits, verbose=0)
    before = model.get_weights()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    assert all(map(np.array_equal, before, model.get_weights()))
    assert int(model.optimizer.iterations) == 0


def test_validation_split_takes_the_last_rows_and_refuses_a_dataset(digits):
    x, y = digits
    rows = np.arange(300)
    model = keras.Sequential([keras.Input(shape=(1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mean_absolute_error")
    history = model.fit(rows, np.zeros(300), validation_split=0.2, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(rows[240:].mean(), rel=1e-5)
    with pytest.raises(ValueError, match="validation_split"):
        dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
        seeded_classifier().fit(dataset, validation_split=0.2, verbose=0)


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
