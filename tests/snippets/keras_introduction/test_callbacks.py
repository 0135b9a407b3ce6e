"""What the lesson on callbacks claims."""

import keras
import numpy as np
import pytest

from snippets.keras_introduction.callbacks import (
    BatchLosses,
    Curves,
    KeepLast,
    MacroF1,
    PowerCut,
    RangeTest,
    Recorder,
    StopAt,
    build_classifier,
    noisy_digits,
    patience_rule,
    replay,
    start_over,
    warm_up_then_decay,
    warnings_of,
)

FALLS_THEN_RISES = [2.0, 1.5, 1.2, 1.3, 1.4, 1.5, 1.6]


@pytest.fixture(scope="module")
def data():
    x, y, x_val, y_val, _, _ = noisy_digits(seed=1)
    return x, y, (x_val, y_val)


@pytest.fixture(scope="module")
def compiled(data):
    model = build_classifier()
    train(model, data, [], epochs=1)
    return model


@pytest.fixture
def model(compiled):
    start_over(compiled)
    return compiled


def train(model, data, callbacks, epochs=3, validate=True, **options):
    x, y, validation = data
    options = {"batch_size": 100, "verbose": 0, **options}
    if validate:
        options |= {"validation_data": validation, "validation_batch_size": 150}
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **options)


def same_weights(first, second):
    return all(np.allclose(a, b, atol=1e-6) for a, b in zip(first, second.get_weights(), strict=True))


def test_a_model_started_afresh_is_as_good_as_new(data, model):
    train(model, data, [], epochs=1, validate=False)
    model.optimizer.learning_rate = 0.5
    start_over(model, seed=4)
    assert same_weights(build_classifier(seed=4).get_weights(), model)
    *others, rate = sorted(np.abs(variable).max() for variable in model.optimizer.variables)
    assert others == [0.0] * (1 + 2 * 4), "neither steps nor moments are left"
    assert rate == pytest.approx(0.01)


def test_three_labels_in_ten_are_wrong_and_the_test_labels_are_right():
    clean = noisy_digits(seed=3, wrong=0.0)
    noisy = noisy_digits(seed=3)
    wrong = np.concatenate([clean[1] != noisy[1], clean[3] != noisy[3]])
    assert wrong.mean() == pytest.approx(0.3, abs=0.005)
    assert np.array_equal(clean[5], noisy[5])


def test_the_hooks_are_called_in_the_order_of_the_picture(data, model, capsys):
    train(model, data, [Recorder()], epochs=1, batch_size=300)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "train begin {'verbose': 0, 'epochs': 1, 'steps': 1}",
        "epoch 0 begin",
        "batch 0 begin",
        "batch 0 end: accuracy loss",
        "validation begin",
        "validation batch 0 end: accuracy loss",
        "validation end: accuracy loss",
        "epoch 0 end: accuracy loss val_accuracy val_loss",
        "train end: accuracy loss val_accuracy val_loss",
    ]


@pytest.mark.parametrize("min_delta", [0.0, 0.3])
@pytest.mark.parametrize("start_from_epoch", [0, 4])
@pytest.mark.parametrize("patience", [0, 1, 5])
def test_the_rule_from_scratch_is_that_of_keras(patience, start_from_epoch, min_delta):
    rule = dict(patience=patience, start_from_epoch=start_from_epoch, min_delta=min_delta)
    random = np.random.default_rng(patience)
    for _ in range(20):
        curve = np.cumsum(random.normal(-0.05, 1.0, size=30)).tolist()
        assert patience_rule(curve, **rule) == replay(curve, **rule)


def test_patience_zero_is_patience_one():
    assert replay(FALLS_THEN_RISES, patience=0) == replay(FALLS_THEN_RISES, patience=1) == (2, 3)


def test_a_slow_descent_is_a_plateau_to_min_delta():
    slow = [1.0, 0.97, 0.94, 0.91]
    assert replay(slow, patience=2) == (3, 3)
    assert replay(slow, patience=2, min_delta=0.1) == (0, 2)


def test_the_best_weights_come_back_only_when_asked_for(data, model):
    for restore in (False, True):
        start_over(model, learning_rate=0.05)
        stopper = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=restore)
        losses = train(model, data, [stopper], epochs=12, batch_size=50).history["val_loss"]
        loss, _ = model.evaluate(*data[2], batch_size=150, verbose=0)
        assert len(losses) == stopper.best_epoch + 3
        assert loss == pytest.approx(min(losses) if restore else losses[-1], rel=1e-4)


def test_an_exception_leaves_the_last_weights_in_the_model(data, model):
    first_is_best = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=9, restore_best_weights=True)
    with pytest.raises(RuntimeError):
        train(model, data, [first_is_best, PowerCut(2)], epochs=3)
    assert first_is_best.best_epoch == 0
    assert not np.allclose(first_is_best.best_weights[0], model.get_weights()[0])


def test_without_validation_nothing_stops_and_the_best_file_is_the_last_epoch(data, model, tmp_path):
    file = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=1),
        keras.callbacks.ModelCheckpoint(file, save_best_only=True),
    ]
    caught = warnings_of(lambda: train(model, data, callbacks, validate=False))
    assert list(caught.values()) == [3, 3]
    assert len(model.history.epoch) == 3
    assert same_weights(model.get_weights(), keras.models.load_model(file))


def test_a_checkpoint_used_twice_does_not_save_a_worse_model(data, model, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "shared.keras", save_best_only=True)
    train(model, data, [checkpoint], epochs=2)
    better = model.get_weights()
    start_over(model, seed=2)
    train(model, data, [checkpoint], epochs=1)
    assert same_weights(better, keras.models.load_model(tmp_path / "shared.keras"))


def test_a_crash_changes_nothing_in_the_end(data, model, tmp_path):
    def run(model, *callbacks):
        return train(model, data, list(callbacks), epochs=3, shuffle=False, validate=False).epoch

    run(model)
    whole = model.get_weights()
    start_over(model)
    with pytest.raises(RuntimeError):
        run(model, keras.callbacks.BackupAndRestore(tmp_path / "backup"), PowerCut(2))
    resumed = build_classifier(seed=0)
    assert run(resumed, keras.callbacks.BackupAndRestore(tmp_path / "backup")) == [2]
    assert not (tmp_path / "backup").exists()
    assert same_weights(whole, resumed)
    again = train(resumed, data, [], epochs=2, validate=False)
    assert again.epoch == [], "Keras forgets the epoch of the resume now: mend the lesson"


def test_a_schedule_object_refuses_every_other_owner_of_the_rate(data):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9)
    model = build_classifier(learning_rate=schedule)
    plateau = keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=10.0)
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        train(model, data, [plateau])
    assert int(model.optimizer.iterations) == 2 * 3, "the error comes only at the first reduction"
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        train(model, data, [keras.callbacks.LearningRateScheduler(warm_up_then_decay)])
    assert int(model.optimizer.iterations) == 2 * 3


def test_an_unknown_name_is_refused_in_auto_mode_and_only_warns_in_max_mode(data, model):
    with pytest.raises(ValueError, match="mode='max'"):
        train(model, data, [keras.callbacks.EarlyStopping("val_acc")])
    stopper = keras.callbacks.EarlyStopping("val_acc", mode="max")
    assert warnings_of(lambda: train(model, data, [stopper], epochs=2))
    assert len(model.history.epoch) == 2


def test_stop_at_stops_at_its_target_and_says_when_it_cannot(data, model, capsys):
    assert len(train(model, data, [StopAt(0.0)]).epoch) == 1
    assert "at the end of epoch 0" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="no val_accuracy"):
        train(model, data, [StopAt(0.0)], validate=False)


def test_what_a_callback_adds_to_the_logs_only_later_callbacks_see(data, model, tmp_path):
    file = tmp_path / "log.csv"
    logger, scheduler = (keras.callbacks.CSVLogger(file), keras.callbacks.LearningRateScheduler(warm_up_then_decay))
    for order, seen in (([logger, scheduler], False), ([scheduler, logger], True)):
        history = train(model, data, order, epochs=1, validate=False)
        assert ("learning_rate" in file.read_text()) == seen
        assert "learning_rate" in history.history


def test_the_warm_up_rises_for_four_epochs_and_then_decays():
    rates, rate = [], 0.01
    for epoch in range(6):
        rate = warm_up_then_decay(epoch, rate)
        rates.append(rate)
    assert rates == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.009, 0.0081])


def test_batch_losses_are_those_of_the_single_batches(data, model):
    x, y, _ = data
    start_over(model, learning_rate=0.0)
    batches = BatchLosses()
    train(model, data, [batches], epochs=1, shuffle=False, validate=False)
    own = [float(model.loss(y[i : i + 100], model(x[i : i + 100]))) for i in (0, 100, 200)]
    assert batches.losses == pytest.approx(own, abs=1e-4)
    assert batches.means != pytest.approx(own, abs=1e-4)


def test_the_range_test_raises_the_rate_until_the_loss_explodes(data, model):
    finder = RangeTest(np.geomspace(1e-3, 1000, 30))
    train(model, data, [finder], epochs=1, batch_size=10, validate=False)
    assert len(finder.losses) < 30
    assert float(model.optimizer.learning_rate) == pytest.approx(finder.rates[len(finder.losses) - 1], rel=1e-4)


def test_a_value_put_into_the_logs_can_be_monitored(data, model):
    stopper = keras.callbacks.EarlyStopping("val_f1", mode="max", patience=1)
    history = train(model, data, [MacroF1(*data[2]), stopper], validate=False)
    assert stopper.best == max(history.history["val_f1"])


def test_only_the_newest_files_are_kept(data, model, tmp_path):
    train(model, data, [KeepLast(tmp_path, keep=2)], epochs=3, validate=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["epoch-002.keras", "epoch-003.keras"]


def test_on_noisy_labels_stopping_gains_accuracy_and_restoring_does_not(model):
    gained, restored = [], []
    for seed in range(2):
        x, y, x_val, y_val, x_test, y_test = noisy_digits(seed)
        curves = Curves(validation=(x_val, y_val), test=(x_test, y_test))
        start_over(model, seed)
        train(model, (x, y, None), [curves], epochs=12, batch_size=50, validate=False)
        accuracy = [value for _, value in curves.values["test"]]
        best, last = patience_rule([loss for loss, _ in curves.values["validation"]], patience=3)
        assert last < 9
        gained.append(accuracy[last] - accuracy[-1])
        restored.append(accuracy[best] - accuracy[last])
    assert min(gained) > 0.005
    assert abs(np.mean(restored)) < 0.02
