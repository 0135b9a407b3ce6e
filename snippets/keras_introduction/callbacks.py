"""Callbacks: your own code at fixed moments of ``model.fit``.

The lesson stops a training run early and keeps its best epoch, shows when Keras
calls which hook, writes the rule of patience in plain Python, saves, lowers the
learning rate, resumes after a crash, and writes a callback that adds any score
to the logs, so that every other callback can watch it.
"""

# --8<-- [start:imports]
import tempfile
import textwrap
import time
import warnings
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import matthews_corrcoef
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:data]
def noisy_digits(seed, wrong=0.3):
    """300 images to train and 150 to validate with wrong labels, 1347 to test."""
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=450,
        stratify=digits.target, random_state=seed)
    random = np.random.default_rng(seed)
    hit = random.random(450) < wrong
    y = np.where(hit, (y + random.integers(1, 10, 450)) % 10, y)
    return (x[:300], y[:300]), (x[300:], y[300:]), (x_test, y_test)
# --8<-- [end:data]


# --8<-- [start:build]
def build(seed=0, learning_rate=0.01):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(optimizer=keras.optimizers.Adam(learning_rate),
                  loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:recorder]
class Recorder(keras.callbacks.Callback):
    """Print when which hook is called, and what `logs` holds there."""
    def on_train_begin(self, logs=None):
        print("train begin", self.params)
    def on_epoch_begin(self, epoch, logs=None):
        print(f"  epoch {epoch} begin")
    def on_train_batch_end(self, batch, logs=None):
        print(f"    batch {batch} end:", *logs)
    def on_test_end(self, logs=None):
        print("    validation end:", *logs)
    def on_epoch_end(self, epoch, logs=None):
        print(f"  epoch {epoch} end:", *logs)
    def on_train_end(self, logs=None):
        print("train end:", *logs)
# --8<-- [end:recorder]


# --8<-- [start:patience-rule]
def patience_rule(values, patience, min_delta=0.0, start_from_epoch=0):
    """Return (best epoch, last epoch) of early stopping, smaller is better."""
    best, best_epoch = None, 0
    for epoch, value in enumerate(values):
        if epoch < start_from_epoch:
            continue
        if best is None or value < best - min_delta:
            best, best_epoch = value, epoch
        elif epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(values) - 1
# --8<-- [end:patience-rule]


# --8<-- [start:replay]
def replay(values, **options):
    """Give these values to Keras' EarlyStopping, one after each epoch."""
    stopper = keras.callbacks.EarlyStopping("val_loss", **options)
    stopper.set_model(keras.Sequential())
    stopper.model.stop_training = False
    stopper.on_train_begin()
    for epoch, value in enumerate(values):
        stopper.on_epoch_end(epoch, {"val_loss": value})
        if stopper.model.stop_training:
            break
    return stopper.best_epoch, epoch
# --8<-- [end:replay]


# --8<-- [start:power-cut]
class PowerCut(keras.callbacks.Callback):
    """Fail when the given epoch begins; None never fails."""
    def __init__(self, epoch=None):
        super().__init__()
        self.epoch = epoch
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError(f"the power failed in epoch {epoch}")
# --8<-- [end:power-cut]


# --8<-- [start:score]
class Score(keras.callbacks.Callback):
    """Add any function of labels and predictions to the logs."""
    def __init__(self, name, function, x, y):
        super().__init__()
        self.name, self.function, self.x, self.y = name, function, x, y
    def on_epoch_end(self, epoch, logs=None):
        predictions = self.model.predict_on_batch(self.x)
        logs[self.name] = float(self.function(self.y, predictions))
# --8<-- [end:score]


# --8<-- [start:functions]
def mcc(labels, probabilities):
    """Matthews' correlation coefficient: 1 is perfect, 0 is guessing."""
    return matthews_corrcoef(labels, np.argmax(probabilities, axis=1))


def accuracy(labels, probabilities):
    return np.mean(np.argmax(probabilities, axis=1) == labels)
# --8<-- [end:functions]


# --8<-- [start:show-warnings]
def warnings_of(action):
    """Run an action; return each of its warnings and how often it came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        action()
    messages = [str(warning.message) for warning in caught]
    return {message: messages.count(message) for message in messages}
# --8<-- [end:show-warnings]


# --8<-- [start:solution-3-class]
class StopAfter(keras.callbacks.Callback):
    """End training after the batch in which the time is up."""
    def __init__(self, seconds, clock=time.monotonic):
        super().__init__()
        self.seconds, self.clock = seconds, clock
    def on_train_begin(self, logs=None):
        self.end = self.clock() + self.seconds
    def on_train_batch_end(self, batch, logs=None):
        if self.clock() >= self.end:
            self.model.stop_training = True
# --8<-- [end:solution-3-class]


# --8<-- [start:solution-4-class]
class KeepLast(keras.callbacks.Callback):
    """Save each epoch; of the files saved by this object keep the newest."""
    def __init__(self, folder, keep=2):
        super().__init__()
        self.folder, self.keep, self.saved = Path(folder), keep, []
    def on_epoch_end(self, epoch, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"epoch-{epoch + 1:03d}.keras"
        self.model.save(file)
        self.saved = [old for old in self.saved if old != file] + [file]
        for old in self.saved[:-self.keep]:
            old.unlink(missing_ok=True)
        self.saved = self.saved[-self.keep:]
# --8<-- [end:solution-4-class]


# --8<-- [start:solution-5-class]
class RangeTest(keras.callbacks.Callback):
    """Raise the rate in each batch and keep its loss; ruins the model."""
    def __init__(self, rates):
        super().__init__()
        self.rates, self.losses = rates, []
    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self.rates[batch]
    def on_train_batch_end(self, batch, logs=None):
        total = (batch + 1) * logs["loss"]  # the logs hold a running mean
        self.losses.append(total - sum(self.losses))
        if self.losses[-1] > 4 * min(self.losses):
            self.model.stop_training = True
# --8<-- [end:solution-5-class]


def main():
    # --8<-- [start:load]
    folder = Path(tempfile.mkdtemp())
    train, validation, test = noisy_digits(seed=1)
    print(train[0].shape, validation[0].shape, test[0].shape)
    #> (300, 64) (150, 64) (1347, 64)
    # --8<-- [end:load]

    # --8<-- [start:without]
    without = build()
    log = without.fit(*train, epochs=25, validation_data=validation,
                      verbose=0).history
    for epoch in (1, 3, 5, 10, 25):
        print(f"Epoch {epoch}/25", *(
            f"- {name}: {values[epoch - 1]:.2f}"
            for name, values in log.items()))
    #~ Epoch 1/25 - accuracy: 0.27 - loss: 2.16 - val_accuracy: 0.49 - val_loss: 1.85
    #~ Epoch 3/25 - accuracy: 0.60 - loss: 1.47 - val_accuracy: 0.63 - val_loss: 1.58
    #~ Epoch 5/25 - accuracy: 0.65 - loss: 1.27 - val_accuracy: 0.63 - val_loss: 1.58
    #~ Epoch 10/25 - accuracy: 0.70 - loss: 0.96 - val_accuracy: 0.62 - val_loss: 1.66
    #~ Epoch 25/25 - accuracy: 0.92 - loss: 0.32 - val_accuracy: 0.54 - val_loss: 2.22
    # --8<-- [end:without]

    # --8<-- [start:with]
    stopper = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=10, restore_best_weights=True)
    model = build()
    model.fit(*train, epochs=25, validation_data=validation,
              callbacks=[stopper], verbose=0)
    print("best epoch:", stopper.best_epoch, "last epoch:",
          stopper.stopped_epoch)
    #~ best epoch: 3 last epoch: 13
    for name, trained in (("without", without), ("with", model)):
        print(f"test accuracy {name} early stopping: "
              f"{trained.evaluate(*test, verbose=0)[1]:.2f}")
    #~ test accuracy without early stopping: 0.78
    #~ test accuracy with early stopping: 0.89
    # --8<-- [end:with]

    # --8<-- [start:figure]
    best, last = stopper.best_epoch, stopper.stopped_epoch
    figure, axes = plt.subplots(num="early-stopping", figsize=(5, 3))
    axes.plot(log["val_loss"], label="validation")
    axes.plot(log["loss"], "--", label="training")
    axes.plot(best, log["val_loss"][best], "k*", markersize=12)
    axes.axvspan(best, last, alpha=0.2, label="patience")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, 2.5))
    axes.legend()
    plt.show()
    # --8<-- [end:figure]

    # --8<-- [start:hooks]
    build().fit(*train, batch_size=150, epochs=1, validation_data=validation,
                callbacks=[Recorder()], verbose=0)
    #> train begin {'verbose': 0, 'epochs': 1, 'steps': 2}
    #>   epoch 0 begin
    #>     batch 0 end: accuracy loss
    #>     batch 1 end: accuracy loss
    #>     validation end: accuracy loss
    #>   epoch 0 end: accuracy loss val_accuracy val_loss
    #> train end: accuracy loss val_accuracy val_loss
    # --8<-- [end:hooks]

    # --8<-- [start:same-as-keras]
    print("rule", patience_rule(log["val_loss"], patience=10),
          "Keras", (stopper.best_epoch, stopper.stopped_epoch))
    #~ rule (3, 13) Keras (3, 13)
    random, same = np.random.default_rng(0), 0
    for _ in range(50):
        walk = np.cumsum(random.normal(-0.05, 1.0, size=30)).tolist()
        rule = dict(patience=int(random.integers(0, 8)),
                    min_delta=float(random.choice([0.0, 0.3])),
                    start_from_epoch=int(random.integers(0, 6)))
        same += patience_rule(walk, **rule) == replay(walk, **rule)
    print(same, "of 50 random curves: the same two epochs")
    #> 50 of 50 random curves: the same two epochs
    # --8<-- [end:same-as-keras]

    # --8<-- [start:settings]
    losses = [0.9, 0.7, 0.6, 0.58, 0.57, 0.61, 0.56, 0.62, 0.64, 0.66]
    for rule in (dict(patience=0), dict(patience=1), dict(patience=3),
                 dict(patience=3, min_delta=0.05),
                 dict(patience=3, start_from_epoch=5)):
        print(rule, "best {}, last {}".format(*replay(losses, **rule)))
    #> {'patience': 0} best 4, last 5
    #> {'patience': 1} best 4, last 5
    #> {'patience': 3} best 6, last 9
    #> {'patience': 3, 'min_delta': 0.05} best 2, last 5
    #> {'patience': 3, 'start_from_epoch': 5} best 6, last 9
    # --8<-- [end:settings]

    # --8<-- [start:checkpoint]
    best_only = keras.callbacks.ModelCheckpoint(
        folder / "best.keras", monitor="val_loss", save_best_only=True)
    every = keras.callbacks.ModelCheckpoint(
        folder / "epochs" / "{epoch:02d}_{val_loss:.1f}.keras")
    model = build(learning_rate=0.03)
    saved_log = model.fit(*train, epochs=4, validation_data=validation,
                          callbacks=[best_only, every], verbose=0).history
    print([file.name for file in sorted((folder / "epochs").iterdir())])
    #~ ['01_1.9.keras', '02_1.7.keras', '03_1.6.keras', '04_1.6.keras']
    # --8<-- [end:checkpoint]

    # --8<-- [start:load-best]
    best_model = keras.models.load_model(folder / "best.keras")
    loss = best_model.evaluate(*validation, verbose=0)[0]
    print("it has the lowest val_loss:", np.isclose(loss, min(saved_log["val_loss"])))
    #> it has the lowest val_loss: True
    best_model.fit(*train, epochs=1, verbose=0)
    steps = int(keras.ops.convert_to_numpy(best_model.optimizer.iterations))
    print("epochs of 10 steps, this one included:", steps / 10)
    #~ epochs of 10 steps, this one included: 4.0
    # --8<-- [end:load-best]

    # --8<-- [start:plateau]
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=0.2, patience=3, min_lr=1e-4)
    reduced = build()
    log_reduced = reduced.fit(
        *train, epochs=15, validation_data=validation,
        callbacks=[plateau], verbose=0).history
    print("rates:", [f"{rate:.4f}" for rate in log_reduced["learning_rate"][::3]])
    #~ rates: ['0.0100', '0.0100', '0.0100', '0.0020', '0.0004']
    for name, history in (("without", log), ("with", log_reduced)):
        losses = history["val_loss"][:15]
        print(f"{name}: best val_loss {min(losses):.2f}, last {losses[-1]:.2f}")
    #~ without: best val_loss 1.55, last 1.80
    #~ with: best val_loss 1.55, last 1.62
    print(f"test accuracy: {reduced.evaluate(*test, verbose=0)[1]:.2f}")
    #~ test accuracy: 0.87
    # --8<-- [end:plateau]

    # --8<-- [start:crash]
    def train_with_backup(model, fail_at=None):
        return model.fit(
            *train, epochs=4, shuffle=False, verbose=0, callbacks=[
                keras.callbacks.BackupAndRestore(folder / "backup"),
                PowerCut(fail_at)])

    try:
        train_with_backup(build(), fail_at=2)
    except RuntimeError as error:
        print(error)
    #> the power failed in epoch 2
    # --8<-- [end:crash]

    # --8<-- [start:resume]
    resumed = build()
    print("epochs of the second run:", train_with_backup(resumed).epoch)
    #> epochs of the second run: [2, 3]

    uninterrupted = build()
    uninterrupted.fit(*train, epochs=4, shuffle=False, verbose=0)
    print("same weights:", all(
        np.allclose(a, b, atol=1e-6) for a, b in
        zip(resumed.get_weights(), uninterrupted.get_weights())))
    #> same weights: True
    # --8<-- [end:resume]

    # --8<-- [start:score-use]
    mcc_score = Score("val_mcc", mcc, *validation)
    stopper = keras.callbacks.EarlyStopping(
        "val_mcc", mode="max", patience=5, restore_best_weights=True)
    model = build()
    log = model.fit(
        *train, epochs=25, validation_data=validation, verbose=0,
        callbacks=[keras.callbacks.CSVLogger(folder / "before.csv"),
                   mcc_score,
                   stopper,
                   keras.callbacks.CSVLogger(folder / "after.csv")]).history
    print("stopped early:", len(log["val_mcc"]) < 25)
    #> stopped early: True
    for name in ("before.csv", "after.csv"):
        print((folder / name).read_text().splitlines()[0])
    #> epoch,accuracy,loss,val_accuracy,val_loss
    #> epoch,accuracy,loss,val_accuracy,val_loss,val_mcc
    # --8<-- [end:score-use]

    # --8<-- [start:score-test]
    mcc_score.set_model(model)
    logs = {}
    mcc_score.on_epoch_end(0, logs)
    print(logs["val_mcc"] == stopper.best == max(log["val_mcc"]))
    #> True
    # --8<-- [end:score-test]

    # --8<-- [start:measure]
    runs = []
    for seed in range(3):
        data = noisy_digits(seed)
        log = build(seed).fit(
            *data[0], epochs=12, validation_data=data[1], verbose=0,
            callbacks=[Score("test", accuracy, *data[2])]).history
        runs.append((log["val_loss"], log["test"]))
    # --8<-- [end:measure]

    # --8<-- [start:table]
    print("patience  epochs  last weights  best weights")
    #> patience  epochs  last weights  best weights
    for patience in (1, 3, 6, 12):
        best, last = np.array([patience_rule(loss, patience)
                               for loss, _ in runs]).T
        scores = [[scores[end] for (_, scores), end in zip(runs, ends)]
                  for ends in (last, best)]
        print(f"{patience:8} {np.mean(last + 1):7.1f} "
              f"{np.mean(scores[0]):13.3f} {np.mean(scores[1]):13.3f}")
    #~        1     4.3         0.868         0.867
    #~        3     7.0         0.852         0.867
    #~        6    10.0         0.828         0.867
    #~       12    12.0         0.820         0.867
    # --8<-- [end:table]

    # --8<-- [start:no-validation]
    watchers = [
        keras.callbacks.EarlyStopping("val_loss", patience=1),
        keras.callbacks.ModelCheckpoint(
            folder / "last.keras", save_best_only=True)]
    model = build()
    caught = warnings_of(lambda: model.fit(
        *train, epochs=3, callbacks=watchers, verbose=0))
    for message, count in caught.items():
        print(count, "times:", textwrap.fill(message, 60))
    #> 3 times: Early stopping conditioned on metric `val_loss` which is not
    #> available. Available metrics are: accuracy,loss
    #> 3 times: Can save best model only with val_loss available.
    # --8<-- [end:no-validation]

    # --8<-- [start:training-loss]
    stopper = keras.callbacks.EarlyStopping(
        "loss", patience=3, restore_best_weights=True)
    model = build(learning_rate=0.03)
    log = model.fit(*train, epochs=8, callbacks=[stopper], verbose=0).history
    print(f"lowest loss in the log {min(log['loss']):.2f}, "
          f"of the restored model {model.evaluate(*train, verbose=0)[0]:.2f}")
    #~ lowest loss in the log 0.99, of the restored model 0.87
    # --8<-- [end:training-loss]

    # --8<-- [start:names]
    try:
        model.fit(*train, validation_data=validation, verbose=0,
                  callbacks=[keras.callbacks.EarlyStopping("val_acc")])
    except ValueError as error:
        print(textwrap.fill(str(error), 70))
    #> EarlyStopping callback received monitor=val_acc, but Keras isn't able
    #> to automatically determine whether that metric should be maximized or
    #> minimized. Pass `mode='max'` in order to monitor based on the highest
    #> metric value, or pass `mode='min'` in order to use the lowest value.
    # --8<-- [end:names]

    # --8<-- [start:reused]
    checkpoint = keras.callbacks.ModelCheckpoint(
        folder / "shared.keras", save_best_only=True)
    build().fit(*train, epochs=3, validation_data=validation,
                callbacks=[checkpoint], verbose=0)
    saved = (folder / "shared.keras").read_bytes()
    build(seed=1).fit(*train, epochs=1, validation_data=validation,
                      callbacks=[checkpoint], verbose=0)
    print("the second fit saved its model:",
          (folder / "shared.keras").read_bytes() != saved)
    #> the second fit saved its model: False
    # --8<-- [end:reused]

    # --8<-- [start:resumed-again]
    again = resumed.fit(*train, epochs=2, verbose=0)
    print("epochs run:", again.epoch, again.history)
    #> epochs run: [] {}
    # --8<-- [end:resumed-again]

    # --8<-- [start:solution-1]
    losses = [0.90, 0.70, 0.72, 0.67, 0.66, 0.65, 0.64, 0.80, 0.90]
    for min_delta in (0.0, 0.05):
        rule = dict(patience=3, min_delta=min_delta)
        print(min_delta, patience_rule(losses, **rule),
              replay(losses, **rule))
    #> 0.0 (6, 8) (6, 8)
    #> 0.05 (1, 4) (1, 4)
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    def compounding(epoch, learning_rate):
        return learning_rate * 0.5 ** epoch

    def intended(epoch, learning_rate):
        return 0.008 * 0.5 ** epoch

    for rule in (compounding, intended):
        rate, rates = 0.008, []
        for epoch in range(5):
            rate = rule(epoch, rate)
            rates.append(f"{rate:.1e}")
        print(rule.__name__, *rates)
    #> compounding 8.0e-03 4.0e-03 1.0e-03 1.3e-04 7.8e-06
    #> intended 8.0e-03 4.0e-03 2.0e-03 1.0e-03 5.0e-04
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    ticks = iter(range(100))
    model = build()
    log = model.fit(*train, epochs=30, verbose=0, callbacks=[
        StopAfter(seconds=12, clock=lambda: next(ticks))])
    steps = keras.ops.convert_to_numpy(model.optimizer.iterations)
    print("batches:", int(steps), "epochs:", log.epoch)
    #> batches: 12 epochs: [0, 1]
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    for _ in range(2):
        model.fit(*train, epochs=3, verbose=0,
                  callbacks=[KeepLast(folder / "recent")])
        print([file.name for file in sorted((folder / "recent").iterdir())])
    #> ['epoch-002.keras', 'epoch-003.keras']
    #> ['epoch-002.keras', 'epoch-003.keras']
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    finder = RangeTest(np.geomspace(1e-4, 10, 100))
    x, y = (np.tile(part, (10, 1)[:part.ndim]) for part in train)
    build().fit(x, y, verbose=0, callbacks=[finder])
    figure, axes = plt.subplots(num="range-test", figsize=(5, 3))
    axes.plot(finder.rates[:len(finder.losses)], finder.losses)
    axes.set(xscale="log", xlabel="learning rate", ylabel="batch loss",
             ylim=(0, 8))
    plt.show()
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
