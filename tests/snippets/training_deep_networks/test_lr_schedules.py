"""What the lesson on learning-rate schedules claims."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from keras.optimizers import SGD, schedules

from snippets.training_deep_networks.lr_schedules import (
    Careless,
    LogRate,
    OneCycle,
    WarmUp,
    accuracy,
    batches,
    build_classifier,
    cosine,
    curve,
    digits,
    gradients,
    initial_weights,
    loss,
    moves,
    plans,
    range_test,
    restarts,
    sgd_step,
    smooth,
    stacked,
    train,
    train_adam,
    train_reactive,
    valley,
)


@pytest.fixture(scope="module")
def data():
    return [digits(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def fitted(data):
    """A model that has come to the end of its schedule: 16 steps of 16."""
    keras.utils.set_random_seed(0)
    model = build_classifier(SGD(schedules.CosineDecay(0.1, 16), momentum=0.9))
    x, y, *_ = data[0]
    model.history_of_lesson = model.fit(x, y, batch_size=64, verbose=0, callbacks=[LogRate()]).history
    return model


def warm(steps, warmup, peak=0.1):
    return schedules.CosineDecay(0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup)


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_a_constant_rate_ends_on_the_noise_floor(rate):
    assert valley(np.full(200, rate))[-50:].mean() == pytest.approx(rate / (2 - rate) / 2, rel=0.05)


def test_a_falling_rate_ends_below_every_floor():
    falling = valley(0.5 * cosine(np.arange(200), 200))
    assert falling[-1] < 0.5 * min(valley(np.full(200, rate))[-1] for rate in (0.5, 0.1, 0.02))


@pytest.mark.parametrize(("start", "warmup", "floor"), [(0.0, 10, 0.0), (0.02, 7, 0.1)])
def test_the_cosine_from_scratch_is_that_of_keras_in_every_step(start, warmup, floor):
    keras_rule = schedules.CosineDecay(start, 40, alpha=floor, warmup_target=0.1, warmup_steps=warmup)
    ours = cosine(np.arange(60), 40, peak=0.1, floor=floor, start=start, warmup=warmup)
    np.testing.assert_allclose(curve(keras_rule, 60), ours, atol=1e-7)


def test_decay_steps_count_after_the_warm_up():
    rates = curve(warm(50, warmup=10), 52)
    assert rates.argmax() == 10
    assert np.flatnonzero(rates == 0).tolist() == [0, 50, 51]


@pytest.mark.parametrize(("longer", "lower"), [(2.0, 0.8), (3.0, 1.0), (1.0, 0.5)])
def test_the_restarts_from_scratch_are_those_of_keras(longer, lower):
    keras_rule = schedules.CosineDecayRestarts(1.0, 10, t_mul=longer, m_mul=lower)
    np.testing.assert_allclose(curve(keras_rule, 80), restarts(np.arange(80), 10, longer, lower), atol=1e-5)


def test_a_boundary_still_has_the_old_value():
    assert curve(schedules.PiecewiseConstantDecay([2], [1.0, 0.5]), 5).tolist() == [1, 1, 1, 0.5, 0.5]


def test_a_polynomial_decay_grows_to_its_default_end():
    assert float(schedules.PolynomialDecay(1e-5, 100)(100)) == pytest.approx(1e-4)


def test_a_warm_up_without_target_does_nothing():
    plain = schedules.CosineDecay(0.1, 100)
    silent = schedules.CosineDecay(0.1, 100, warmup_steps=10)
    assert np.array_equal(curve(plain, 20), curve(silent, 20))


def test_one_cycle_rises_to_its_peak_and_ends_far_below_its_start():
    rates = curve(OneCycle(0.1, steps=50), 60)
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates.argmax() == 15
    assert rates.max() == pytest.approx(0.1)
    assert rates[50:] == pytest.approx(0.1 / 1e4, rel=1e-3)


def test_the_optimizer_counts_steps_and_the_log_has_the_next_rate(fitted):
    assert int(fitted.optimizer.iterations) == math.ceil(1024 / 64) == 16
    assert fitted.history_of_lesson["learning_rate"] == [0.0]


def test_momentum_set_after_the_first_fit_is_ignored(fitted, data):
    fitted.optimizer.momentum = 0.0
    assert float(fitted.optimizer.learning_rate) == 0.0
    assert moves(fitted, *data[0][:2]), "Keras reads the momentum anew now: mend the lesson"


def test_a_schedule_refuses_a_number(fitted):
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        fitted.optimizer.learning_rate = 1e-4


@pytest.mark.parametrize(
    ("callback", "steps"),
    [
        (keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.1), 0),
        (keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10.0), 32),
    ],
)
def test_the_callbacks_run_into_the_same_refusal(data, callback, steps):
    x, y, *_ = data[0]
    model = build_classifier(SGD(schedules.CosineDecay(0.1, 1000)))
    with pytest.raises(TypeError, match="not settable"):
        model.fit(x, y, batch_size=64, epochs=3, verbose=0, callbacks=[callback])
    assert int(model.optimizer.iterations) == steps


def test_a_schedule_put_in_after_the_first_fit_is_ignored_until_compiled_again(data):
    x, y, *_ = data[0]
    model = build_classifier(SGD(0.1))
    model.fit(x, y, batch_size=64, verbose=0)
    model.optimizer.learning_rate = 0.0
    assert not moves(model, x, y), "a number is read anew in each step"
    model.optimizer.learning_rate = 0.1
    model.optimizer.learning_rate = schedules.CosineDecay(0.0, 1000)
    assert float(model.optimizer.learning_rate) == 0.0
    assert moves(model, x, y), "Keras compiles again by itself now: mend the lesson"
    steps = int(model.optimizer.iterations)
    model.compile(optimizer=model.optimizer, loss=model.loss)
    assert not moves(model, x, y)
    assert int(model.optimizer.iterations) == steps + 16


def test_a_saved_schedule_goes_on_where_it_was(data, tmp_path):
    x, y, *_ = data[0]
    model = build_classifier(SGD(OneCycle(0.1, steps=20)))
    model.fit(x[:256], y[:256], batch_size=64, verbose=0)
    model.save(tmp_path / "cycled.keras")
    loaded = keras.models.load_model(tmp_path / "cycled.keras")
    assert int(loaded.optimizer.iterations) == 4
    assert (
        float(loaded.optimizer.learning_rate)
        == float(model.optimizer.learning_rate)
        == curve(model.optimizer._learning_rate, 5)[4]
    )


def test_the_old_name_is_gone_and_assigning_to_it_does_nothing():
    optimizer = SGD(0.1)
    with pytest.raises(AttributeError, match="has no attribute 'lr'"):
        _ = optimizer.lr
    with pytest.raises(ValueError, match="not recognized: {'lr': 0.1}"):
        SGD(lr=0.1)
    optimizer.lr = 0.001
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_a_schedule_without_a_cast_fails_with_the_counter_of_an_optimizer(data, tmp_path):
    careless = Careless(0.1)
    assert careless(1) == 0.05
    model = build_classifier(SGD(careless))
    with pytest.raises(TypeError):
        _ = model.optimizer.learning_rate
    with pytest.raises(TypeError):
        model.fit(*data[0][:2], verbose=0)
    with pytest.raises(NotImplementedError, match="get_config"):
        model.save(tmp_path / "careless.keras")


def test_a_python_if_on_the_step_fails_in_the_compiled_step(data):
    class Branching(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 if step < 5 else 0.01

    assert Branching()(3) == 0.1
    with pytest.raises(TypeError, match="as a Python `bool` is not allowed"):
        build_classifier(SGD(Branching())).fit(*data[0][:2], verbose=0)


def test_gradient_accumulation_counts_batches():
    weight = keras.Variable([1.0])
    optimizer = SGD(schedules.PolynomialDecay(0.1, 8, end_learning_rate=0.0), gradient_accumulation_steps=4)
    for _ in range(8):
        optimizer.apply([ops.ones(1)], [weight])
    assert int(optimizer.iterations) == 2
    assert float(optimizer.learning_rate) == 0.0


def test_a_warm_up_goes_before_any_schedule_and_survives_serialization():
    rule = WarmUp(4, schedules.PiecewiseConstantDecay([2], [0.1, 0.01]))
    copy = schedules.deserialize(schedules.serialize(rule))
    expected = [0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1, 0.01]
    for one in (rule, copy):
        assert curve(one, 8) == pytest.approx(expected)


def test_the_gradients_from_scratch_are_the_slopes_of_the_loss(data):
    x, y = data[0][0][:8], data[0][1][:8]
    weights = [w.astype("float64") for w in stacked(initial_weights(0), copies=2)]
    for k, slope in enumerate(gradients(weights, x, y)):
        place = (1,) + tuple(size // 2 for size in slope.shape[1:])
        values = []
        for shift in (1e-5, -1e-5):
            moved = [w.copy() for w in weights]
            moved[k][place] += shift
            values.append(loss(moved, x, y)[1])
        assert slope[place] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_a_copy_of_the_stack_is_trained_as_keras_trains_it(data):
    x, y, *_ = data[1]
    steps = 24
    model = build_classifier(SGD(warm(steps, warmup=6), momentum=0.9))
    model.set_weights(initial_weights(1))
    rates = np.stack([np.zeros(steps), curve(model.optimizer._learning_rate, steps)], axis=1)
    weights = train(1, x, y, rates, batch_size=32)
    for rows, _ in zip(batches(1, len(x), 32), range(steps), strict=False):
        model.train_on_batch(x[rows], y[rows])
    for ours, kept, untouched in zip(weights, model.get_weights(), initial_weights(1), strict=True):
        assert np.allclose(ours[1], kept, atol=1e-5)
        assert np.array_equal(np.squeeze(ours[0]), untouched)


def test_adam_from_scratch_is_that_of_keras(data):
    x, y, *_ = data[1]
    optimizer = keras.optimizers.Adam(0.004)
    variables = [keras.Variable(w) for w in initial_weights(1)]
    for rows, _ in zip(batches(1, len(x), 32), range(10), strict=False):
        now = stacked([v.numpy() for v in variables], copies=1)
        slopes = gradients(now, x[rows], y[rows])
        optimizer.apply([ops.reshape(g[0], v.shape) for g, v in zip(slopes, variables, strict=True)], variables)
    ours = train_adam(1, x, y, np.full((10, 1), 0.004), 32)
    for weight, variable in zip(ours, variables, strict=True):
        assert np.allclose(weight[0], variable.numpy(), atol=1e-5)


def test_in_a_short_training_every_decay_beats_the_best_constant_rate(data):
    peaks = 0.02 * 2.0 ** np.arange(4)
    shapes = plans(5 * 64)
    constant = np.mean(
        [accuracy(train(s, d[0], d[1], np.outer(shapes["constant"], peaks)), *d[4:]) for s, d in enumerate(data)],
        axis=0,
    )
    for name in ("cosine", "warm-up, cosine", "one-cycle"):
        own = np.mean(
            [accuracy(train(s, d[0], d[1], np.outer(shapes[name], peaks)), *d[4:]) for s, d in enumerate(data)], axis=0
        )
        assert own.max() > constant.max() + 0.003
        assert own[3] > constant[3] + 0.015, "the schedule forgives a peak of 0.16"


def test_decay_steps_in_epochs_leave_the_network_untrained(data):
    step = np.arange(4 * 64)
    rates = 0.08 * np.stack([cosine(step, 4), cosine(step, len(step))], axis=1)
    wrong, right = np.mean([accuracy(train(s, d[0], d[1], rates), *d[4:]) for s, d in enumerate(data)], axis=0)
    assert wrong < 0.4
    assert right > 0.94


def test_linear_scaling_keeps_the_loss_until_the_rate_is_at_its_limit(data):
    def final_loss(size, rates):
        steps = 6 * (1024 // size)
        shape = cosine(np.arange(steps), steps - steps // 8, warmup=steps // 8)
        return np.mean(
            [loss(train(s, d[0], d[1], np.outer(shape, rates), size), *d[:2]) for s, d in enumerate(data)], axis=0
        )

    base = final_loss(16, [0.04])[0]
    same, root, linear = final_loss(64, [0.04, 0.08, 0.16])
    assert linear == pytest.approx(base, rel=0.15)
    assert same > 2.5 * base
    assert base < root < same
    assert final_loss(512, [1.28])[0] > 3 * base


def test_reducing_on_a_plateau_waits_for_two_bad_epochs(data):
    x, y, x_val, y_val, *_ = data[0]
    _, used = train_reactive(0, (x, y, x_val, y_val), [0.04, 1e-7], epochs=4)
    assert (used[:3] == used[0]).all(), "three epochs are too few to react"
    assert used[3, 1] == pytest.approx(1e-8), "at a tiny rate nothing improves by min_delta"


def test_a_slow_range_test_finds_its_lowest_loss_at_a_smaller_rate(data):
    lowest = {}
    for steps in (64, 256):
        rates = np.geomspace(1e-4, 10, steps)
        lowest[steps] = [rates[range_test(s, d[0], d[1], rates).argmin()] for s, d in enumerate(data)]
    assert np.mean(lowest[64]) > 1.5 * np.mean(lowest[256])
    assert np.min(lowest[256]) > 0.05


def test_a_moving_average_is_corrected_for_its_start():
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)


def test_a_step_of_the_stack_has_its_own_rate_for_each_copy(data):
    x, y, *_ = data[0]
    weights = stacked(initial_weights(0), copies=3)
    before = [w.copy() for w in weights]
    sgd_step(weights, [np.zeros_like(w) for w in weights], x[:32], y[:32], [0.0, 0.1, 0.2])
    change = [after - old for after, old in zip(weights, before, strict=True)]
    assert all((c[0] == 0).all() for c in change)
    assert all(np.allclose(2 * c[1], c[2], atol=1e-6) for c in change)
