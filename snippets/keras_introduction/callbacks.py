"""Callbacks: your own code at fixed moments of ``model.fit``.

The lesson prints the order in which Keras calls the hooks, stops a training
early and proves that the rule of patience is a few lines of NumPy, saves the
best epoch, lowers the learning rate, writes logs that other programs read,
survives a crash, and measures what early stopping gains on noisy labels.
"""

# --8<-- [start:imports]
import shutil
import textwrap
import time
import warnings
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:data]
def noisy_digits(seed, wrong=0.3):
    """300 images to train and 150 to validate, noisy; 600 clean to test."""
    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, train_size=450, test_size=600,
        stratify=digits.target, random_state=seed)
    random = np.random.default_rng(seed)
    flip = random.permutation(450) < wrong * 450
    y = np.where(flip, (y + random.integers(1, 10, 450)) % 10, y)
    return x[:300], y[:300], x[300:], y[300:], x_test, y_test
# --8<-- [end:data]


# --8<-- [start:model]
def build_classifier(seed=0, learning_rate=0.01):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(128, activation="relu", name="hidden"),
        keras.layers.Dense(10, name="logits"),
    ], name="digits")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:model]


# --8<-- [start:start-over]
def start_over(model, seed=0, learning_rate=0.01):
    """Make a compiled model as good as new, without compiling it again."""
    model.set_weights(build_classifier(seed).get_weights())
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = learning_rate
# --8<-- [end:start-over]


# --8<-- [start:train-recorder]
class TrainRecorder(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        print("train begin", self.params)

    def on_epoch_begin(self, epoch, logs=None):
        print(f"  epoch {epoch} begin")

    def on_train_batch_begin(self, batch, logs=None):
        print(f"    batch {batch} begin")

    def on_train_batch_end(self, batch, logs=None):
        print(f"    batch {batch} end:", *logs)

    def on_epoch_end(self, epoch, logs=None):
        print(f"  epoch {epoch} end:", *logs)

    def on_train_end(self, logs=None):
        print("train end:", *logs)
# --8<-- [end:train-recorder]


# --8<-- [start:recorder]
class Recorder(TrainRecorder):
    def on_test_begin(self, logs=None):
        print("    validation begin")

    def on_test_batch_end(self, batch, logs=None):
        print(f"      validation batch {batch} end:", *logs)

    def on_test_end(self, logs=None):
        print("    validation end:", *logs)
# --8<-- [end:recorder]


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


# --8<-- [start:warmup]
def warm_up_then_decay(epoch, learning_rate):
    """Rise to 0.01 in four epochs, then shrink by a tenth each epoch."""
    if epoch < 4:
        return 0.01 * (epoch + 1) / 4
    return learning_rate * 0.9
# --8<-- [end:warmup]


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


# --8<-- [start:stop-at]
class StopAt(keras.callbacks.Callback):
    """Stop as soon as a metric reaches a target."""

    def __init__(self, target, monitor="val_accuracy"):
        super().__init__()
        self.target = target
        self.monitor = monitor

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(f"StopAt: no {self.monitor} in {sorted(logs)}",
                          stacklevel=2)
        elif value >= self.target:
            self.model.stop_training = True
            print(f"{self.monitor} {value:.3f} at the end of epoch {epoch}")
# --8<-- [end:stop-at]


# --8<-- [start:batch-losses]
class BatchLosses(keras.callbacks.Callback):
    """Undo the running mean of the logs (batches of equal size)."""

    def on_epoch_begin(self, epoch, logs=None):
        self.means, self.losses = [], []

    def on_train_batch_end(self, batch, logs=None):
        before = batch * self.means[-1] if batch else 0.0
        self.losses.append((batch + 1) * logs["loss"] - before)
        self.means.append(logs["loss"])
# --8<-- [end:batch-losses]


# --8<-- [start:costs]
class Empty(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class EvaluateEachBatch(keras.callbacks.Callback):
    def __init__(self, x, y):
        super().__init__()
        self.data = x, y

    def on_train_batch_end(self, batch, logs=None):
        self.model.evaluate(*self.data, batch_size=150, verbose=0)
# --8<-- [end:costs]


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
    """Feed recorded values to Keras' EarlyStopping, without training."""
    stopper = keras.callbacks.EarlyStopping("val_loss", **options)
    model = keras.Sequential()
    model.stop_training = False
    stopper.set_model(model)
    stopper.on_train_begin()
    for epoch, value in enumerate(values):
        stopper.on_epoch_end(epoch, {"val_loss": value})
        if model.stop_training:
            break
    return stopper.best_epoch, epoch
# --8<-- [end:replay]


# --8<-- [start:curves]
class Curves(keras.callbacks.Callback):
    """Keep loss and accuracy on any data sets after each epoch."""

    def __init__(self, **datasets):
        super().__init__()
        self.datasets = datasets
        self.values = {name: [] for name in datasets}

    def on_epoch_end(self, epoch, logs=None):
        for name, (x, y) in self.datasets.items():
            logits = self.model(x, training=False)
            loss = float(self.model.loss(y, logits))
            accuracy = np.mean(np.argmax(logits, axis=1) == y)
            self.values[name].append((loss, accuracy))
# --8<-- [end:curves]


# --8<-- [start:careless]
class Careless(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if logs["val_accuracy"] > 0.9:
            self.model.stop_training = True  # Not run: see below
# --8<-- [end:careless]


# --8<-- [start:solution-3-class]
class MacroF1(keras.callbacks.Callback):
    """Add the macro F1 of the validation data to the logs."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def on_epoch_end(self, epoch, logs=None):
        guess = np.argmax(self.model(self.x, training=False), axis=1)
        logs["val_f1"] = f1_score(self.y, guess, average="macro")
# --8<-- [end:solution-3-class]


# --8<-- [start:solution-4-class]
class KeepLast(keras.callbacks.Callback):
    """Save each epoch and delete all but the newest files."""

    def __init__(self, folder, keep=2):
        super().__init__()
        self.folder, self.keep = Path(folder), keep

    def on_train_begin(self, logs=None):
        self.folder.mkdir(exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        self.model.save(self.folder / f"epoch-{epoch + 1:03d}.keras")
        for old in sorted(self.folder.glob("*.keras"))[:-self.keep]:
            old.unlink()
# --8<-- [end:solution-4-class]


# --8<-- [start:solution-5-class]
class RangeTest(BatchLosses):
    """Raise the learning rate in each batch, and keep each batch's loss."""

    def __init__(self, rates):
        super().__init__()
        self.rates = rates

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self.rates[batch]

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.losses[-1] > 4 * min(self.losses):
            self.model.stop_training = True
# --8<-- [end:solution-5-class]


def main():
    # --8<-- [start:load]
    x_train, y_train, x_val, y_val, x_test, y_test = noisy_digits(seed=1)
    print(x_train.shape, x_val.shape, x_test.shape)
    #> (300, 64) (150, 64) (600, 64)
    training = dict(batch_size=50, verbose=0)
    settings = dict(**training, validation_data=(x_val, y_val),
                    validation_batch_size=150)
    # --8<-- [end:load]

    # --8<-- [start:hooks]
    model = build_classifier()
    model.fit(x_train[:100], y_train[:100], epochs=2, **settings,
              callbacks=[Recorder()])
    #> train begin {'verbose': 0, 'epochs': 2, 'steps': 2}
    #>   epoch 0 begin
    #>     batch 0 begin
    #>     batch 0 end: accuracy loss
    #>     batch 1 begin
    #>     batch 1 end: accuracy loss
    #>     validation begin
    #>       validation batch 0 end: accuracy loss
    #>     validation end: accuracy loss
    #>   epoch 0 end: accuracy loss val_accuracy val_loss
    #>   epoch 1 begin
    #>     batch 0 begin
    #>     batch 0 end: accuracy loss
    #>     batch 1 begin
    #>     batch 1 end: accuracy loss
    #>     validation begin
    #>       validation batch 0 end: accuracy loss
    #>     validation end: accuracy loss
    #>   epoch 1 end: accuracy loss val_accuracy val_loss
    #> train end: accuracy loss val_accuracy val_loss
    # --8<-- [end:hooks]

    # --8<-- [start:no-stopping]
    start_over(model, seed=0)
    history = model.fit(x_train, y_train, epochs=10, **settings)
    curve = history.history["val_loss"]
    training_curve = history.history["loss"]
    print("lowest", round(min(curve), 3), "in epoch", np.argmin(curve))
    #~ lowest 1.566 in epoch 2
    print("last  ", round(curve[-1], 3), "in epoch", history.epoch[-1])
    #~ last   1.798 in epoch 9
    # --8<-- [end:no-stopping]

    # --8<-- [start:early-stopping]
    start_over(model, seed=0)
    stopper = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    stopped = model.fit(x_train, y_train, epochs=10, **settings,
                        callbacks=[stopper])
    print("epochs run:", len(stopped.epoch))
    #> epochs run: 6
    print("best epoch:", stopper.best_epoch)
    #> best epoch: 2
    print("stopped in:", stopper.stopped_epoch)
    #> stopped in: 5
    # --8<-- [end:early-stopping]

    # --8<-- [start:not-restored]
    losses = stopped.history["val_loss"]
    loss, _ = model.evaluate(x_val, y_val, batch_size=150, verbose=0)
    print("this model is the last epoch's:", np.isclose(loss, losses[-1]))
    #> this model is the last epoch's: True
    print("this model is the best epoch's:", np.isclose(loss, min(losses)))
    #> this model is the best epoch's: False
    # --8<-- [end:not-restored]

    # --8<-- [start:restored]
    start_over(model, seed=0)
    stopper = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=3, restore_best_weights=True)
    stopped = model.fit(x_train, y_train, epochs=10, **settings,
                        callbacks=[stopper])
    losses = stopped.history["val_loss"]
    loss, _ = model.evaluate(x_val, y_val, batch_size=150, verbose=0)
    print("this model is the last epoch's:", np.isclose(loss, losses[-1]))
    #> this model is the last epoch's: False
    print("this model is the best epoch's:", np.isclose(loss, min(losses)))
    #> this model is the best epoch's: True
    # --8<-- [end:restored]

    # --8<-- [start:stopping-figure]
    best, stop = stopper.best_epoch, stopper.stopped_epoch
    figure, axes = plt.subplots(num="early-stopping", figsize=(5, 3))
    axes.plot(curve, "o-", markersize=3, color="tab:blue")
    axes.plot(training_curve, "--", color="tab:gray")
    axes.axvspan(best, stop, color="tab:orange", alpha=0.2)
    axes.plot(best, curve[best], "*", markersize=14, color="tab:green")
    axes.axvline(stop, color="tab:red")
    axes.text(best + 0.3, 2.3, "patience", color="tab:orange")
    axes.text(stop + 0.3, 2.3, "stop", color="tab:red")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, 2.6))
    axes.legend(["validation", "training"], loc="lower left")
    plt.show()
    # --8<-- [end:stopping-figure]

    # --8<-- [start:checkpoint]
    start_over(model)
    best_only = keras.callbacks.ModelCheckpoint(
        "best.keras", monitor="val_loss", save_best_only=True)
    every = keras.callbacks.ModelCheckpoint(
        "epochs/{epoch:02d}_{val_loss:.2f}.keras")
    history = model.fit(x_train, y_train, epochs=4, **settings,
                        callbacks=[best_only, every])
    for file in sorted(Path("epochs").iterdir()):
        print(file.name)
    #~ 01_1.89.keras
    #~ 02_1.64.keras
    #~ 03_1.57.keras
    #~ 04_1.65.keras
    # --8<-- [end:checkpoint]

    # --8<-- [start:load-best]
    best_model = keras.models.load_model("best.keras")
    loss = best_model.loss(y_val, best_model(x_val))
    losses = history.history["val_loss"]
    print("best.keras holds the lowest:", np.isclose(loss, min(losses)))
    #> best.keras holds the lowest: True
    print("index in history:", np.argmin(losses))
    #> index in history: 2
    print("number in the file name:", np.argmin(losses) + 1)
    #> number in the file name: 3
    # --8<-- [end:load-best]

    # --8<-- [start:plateau]
    start_over(model)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=0.2, patience=2, min_lr=1e-4)
    history = model.fit(x_train, y_train, epochs=10, **settings,
                        callbacks=[plateau])
    rates = history.history["learning_rate"]
    print([f"{rate:.4f}" for rate in sorted(set(rates), reverse=True)])
    #> ['0.0100', '0.0020', '0.0004', '0.0001']
    # --8<-- [end:plateau]

    # --8<-- [start:plateau-figure]
    figure, (top, bottom) = plt.subplots(
        2, num="plateau", figsize=(5, 4), sharex=True)
    top.plot(history.history["val_loss"], "o-", markersize=3)
    top.set(ylabel="val_loss")
    bottom.step(history.epoch, rates, where="mid", color="tab:orange")
    bottom.set(xlabel="epoch", ylabel="learning rate", yscale="log")
    plt.show()
    # --8<-- [end:plateau-figure]

    # --8<-- [start:scheduler]
    scheduler = keras.callbacks.LearningRateScheduler(warm_up_then_decay)
    history = model.fit(x_train, y_train, epochs=6, **training,
                        callbacks=[scheduler])
    print([round(rate, 4) for rate in history.history["learning_rate"]])
    #> [0.0025, 0.005, 0.0075, 0.01, 0.009, 0.0081]
    # --8<-- [end:scheduler]

    # --8<-- [start:csv]
    logger = keras.callbacks.CSVLogger("training.csv")
    for order in ([logger, scheduler], [scheduler, logger]):
        model.fit(x_train, y_train, **settings, callbacks=order)
        print(Path("training.csv").read_text().splitlines()[0])
    #> epoch,accuracy,loss,val_accuracy,val_loss
    #> epoch,accuracy,learning_rate,loss,val_accuracy,val_loss
    # --8<-- [end:csv]

    # --8<-- [start:tensorboard]
    shutil.rmtree("logs", ignore_errors=True)  # those of an earlier run
    board = keras.callbacks.TensorBoard("logs/first", histogram_freq=1)
    history = model.fit(x_train, y_train, epochs=3, **settings,
                        callbacks=[board])
    for folder in sorted(Path("logs/first").iterdir()):
        for file in folder.iterdir():
            print(f"{folder}/{file.name[:19]}...")
    #> logs/first/train/events.out.tfevents...
    #> logs/first/validation/events.out.tfevents...
    # --8<-- [end:tensorboard]

    # --8<-- [start:read-events]
    from tensorboard.backend.event_processing import event_accumulator

    for part in ("train", "validation"):
        events = event_accumulator.EventAccumulator(f"logs/first/{part}")
        events.Reload()
        print(part)
        for tag in events.Tags()["tensors"]:
            steps = [int(event.step) for event in events.Tensors(tag)]
            print("  ", tag, steps)
    #> train
    #>    keras [0]
    #>    epoch_accuracy [0, 1, 2]
    #>    epoch_loss [0, 1, 2]
    #>    epoch_learning_rate [0, 1, 2]
    #>    digits/hidden/kernel/histogram [0, 1, 2]
    #>    digits/hidden/bias/histogram [0, 1, 2]
    #>    digits/logits/kernel/histogram [0, 1, 2]
    #>    digits/logits/bias/histogram [0, 1, 2]
    #> validation
    #>    evaluation_accuracy_vs_iterations [114, 120, 126]
    #>    evaluation_loss_vs_iterations [114, 120, 126]
    #>    epoch_accuracy [0, 1, 2]
    #>    epoch_loss [0, 1, 2]
    # --8<-- [end:read-events]

    # --8<-- [start:read-values]
    import tensorflow as tf

    written = [tf.make_ndarray(event.tensor_proto).item()
               for event in events.Tensors("epoch_loss")]
    print(np.allclose(written, history.history["val_loss"]))
    #> True
    # --8<-- [end:read-values]

    # --8<-- [start:crash]
    def train_with_backup(model, fail_at=None):
        return model.fit(
            x_train, y_train, epochs=4, **training, shuffle=False,
            callbacks=[keras.callbacks.BackupAndRestore("backup"),
                       PowerCut(fail_at)])

    start_over(model, seed=0)
    try:
        train_with_backup(model, fail_at=2)
    except RuntimeError as error:
        print(error)
    #> the power failed in epoch 2
    for file in sorted(Path("backup").iterdir()):
        print(file.name)
    #> latest.weights.h5
    #> training_metadata.json
    print(Path("backup/training_metadata.json").read_text())
    #> {"epoch": 2, "batch": 0}
    # --8<-- [end:crash]

    # --8<-- [start:resume]
    resumed = build_classifier(seed=0)
    history = train_with_backup(resumed)
    print("epochs of the second run:", history.epoch)
    #> epochs of the second run: [2, 3]
    print("optimizer steps:", int(resumed.optimizer.iterations))
    #> optimizer steps: 24
    print("backup kept:", Path("backup").exists())
    #> backup kept: False
    # --8<-- [end:resume]

    # --8<-- [start:uninterrupted]
    start_over(model, seed=0)
    model.fit(x_train, y_train, epochs=4, **training, shuffle=False)
    print(all(np.allclose(a, b, atol=1e-6) for a, b in
              zip(model.get_weights(), resumed.get_weights())))
    #> True
    # --8<-- [end:uninterrupted]

    # --8<-- [start:stop-at-use]
    start_over(model)
    history = model.fit(x_train, y_train, epochs=20, **settings,
                        callbacks=[StopAt(0.62)])
    #~ val_accuracy 0.660 at the end of epoch 2
    print("epochs run:", len(history.epoch))
    #> epochs run: 3
    # --8<-- [end:stop-at-use]

    # --8<-- [start:running-mean]
    batches = BatchLosses()
    history = model.fit(x_train, y_train, epochs=1, **settings,
                        callbacks=[batches])
    print("in the logs:", np.round(batches.means, 2))
    #~ in the logs: [1.32 1.31 1.3  1.29 1.26 1.28]
    print("each batch: ", np.round(batches.losses, 2))
    #~ each batch:  [1.32 1.3  1.27 1.28 1.12 1.39]
    print("the epoch's loss is their mean:",
          np.isclose(np.mean(batches.losses), history.history["loss"][0]))
    #> the epoch's loss is their mean: True
    # --8<-- [end:running-mean]

    # --8<-- [start:cost]
    def seconds(*callbacks):
        start = time.process_time()
        model.fit(x_train, y_train, **training, callbacks=callbacks)
        return time.process_time() - start

    plain = min(seconds() for _ in range(2))
    empty = min(seconds(Empty()) for _ in range(2))
    slow = seconds(EvaluateEachBatch(x_val, y_val))
    print("an empty hook at most doubles the time:", empty < 2 * plain)
    #> an empty hook at most doubles the time: True
    print("evaluating in it, at least 3 times:", slow > 3 * plain)
    #> evaluating in it, at least 3 times: True
    # --8<-- [end:cost]

    # --8<-- [start:steps-per-execution]
    grouped = build_classifier()
    grouped.compile(loss=model.loss, metrics=["accuracy"],
                    steps_per_execution=4)

    grouped.fit(x_train, y_train, batch_size=25, verbose=0,
                callbacks=[TrainRecorder()])
    #> train begin {'verbose': 0, 'epochs': 1, 'steps': 12}
    #>   epoch 0 begin
    #>     batch 0 begin
    #>     batch 3 end: accuracy loss
    #>     batch 4 begin
    #>     batch 7 end: accuracy loss
    #>     batch 8 begin
    #>     batch 11 end: accuracy loss
    #>   epoch 0 end: accuracy loss
    #> train end: accuracy loss
    # --8<-- [end:steps-per-execution]

    # --8<-- [start:same-as-keras]
    print("rule: ", patience_rule(curve, patience=3))
    #> rule:  (2, 5)
    print("Keras:", (stopper.best_epoch, stopper.stopped_epoch))
    #> Keras: (2, 5)
    assert patience_rule(curve, 3) == (best, stop)
    # --8<-- [end:same-as-keras]

    # --8<-- [start:random-curves]
    random = np.random.default_rng(0)
    same = 0
    for _ in range(50):
        walk = np.cumsum(random.normal(-0.05, 1.0, size=30)).tolist()
        rule = dict(patience=int(random.integers(0, 8)),
                    min_delta=float(random.choice([0.0, 0.3])),
                    start_from_epoch=int(random.integers(0, 6)))
        same += patience_rule(walk, **rule) == replay(walk, **rule)
    print(same, "of 50 curves give the same two epochs")
    #> 50 of 50 curves give the same two epochs
    # --8<-- [end:random-curves]

    # --8<-- [start:settings]
    for rule in (dict(patience=3), dict(patience=1), dict(patience=0),
                 dict(patience=3, min_delta=0.2),
                 dict(patience=3, start_from_epoch=5)):
        assert patience_rule(curve, **rule) == replay(curve, **rule)
        print(rule, "best {}, last {}".format(*replay(curve, **rule)))
    #> {'patience': 3} best 2, last 5
    #> {'patience': 1} best 2, last 3
    #> {'patience': 0} best 2, last 3
    #> {'patience': 3, 'min_delta': 0.2} best 1, last 4
    #> {'patience': 3, 'start_from_epoch': 5} best 5, last 8
    # --8<-- [end:settings]

    # --8<-- [start:measure]
    runs = []
    for seed in range(4):
        x, y, xv, yv, x_test, y_test = noisy_digits(seed)
        curves = Curves(validation=(xv, yv), test=(x_test, y_test))
        start_over(model, seed)
        model.fit(x, y, epochs=12, **training, callbacks=[curves])
        runs.append((np.array(curves.values["validation"]),
                     np.array(curves.values["test"])))
    # --8<-- [end:measure]

    # --8<-- [start:table]
    print("  p epochs  last epoch        best epoch")
    #>   p epochs  last epoch        best epoch
    for patience in (1, 2, 3, 6, 12):
        ends = [patience_rule(validation_run[:, 0], patience)
                for validation_run, _ in runs]
        row = f"{patience:3} {np.mean([last + 1 for _, last in ends]):6.1f}"
        for which in (1, 0):
            kept = [test[end[which]] for (_, test), end in zip(runs, ends)]
            loss, accuracy = np.mean(kept, axis=0)
            spread = np.std(kept, axis=0)[1]
            row += f"  {accuracy:.3f}±{spread:.3f} {loss:.2f}"
        print(row)
    #~   1    4.8  0.888±0.011 0.69  0.885±0.017 0.76
    #~   2    5.8  0.887±0.007 0.66  0.885±0.017 0.76
    #~   3    6.8  0.880±0.005 0.66  0.885±0.017 0.76
    #~   6    9.8  0.870±0.004 0.65  0.885±0.017 0.76
    #~  12   12.0  0.854±0.005 0.65  0.885±0.017 0.76
    # --8<-- [end:table]

    # --8<-- [start:paired]
    for seed, (validation_run, test) in enumerate(runs):
        best, last = patience_rule(validation_run[:, 0], patience=3)
        print(f"seed {seed}: best {test[best, 1]:.3f}, "
              f"last {test[last, 1]:.3f}, never {test[-1, 1]:.3f}")
    #~ seed 0: best 0.867, last 0.878, never 0.853
    #~ seed 1: best 0.907, last 0.887, never 0.847
    #~ seed 2: best 0.870, last 0.873, never 0.862
    #~ seed 3: best 0.898, last 0.882, never 0.853
    # --8<-- [end:paired]

    # --8<-- [start:measure-figure]
    figure, (top, bottom) = plt.subplots(
        2, num="noisy-labels", figsize=(5, 5), sharex=True)
    for seed, (validation_run, test) in enumerate(runs):
        ends = patience_rule(validation_run[:, 0], patience=3)
        for axes, curve in ((top, validation_run[:, 0]), (bottom, test[:, 1])):
            axes.plot(curve, color=f"C{seed}", linewidth=1)
            axes.plot(ends[0], curve[ends[0]], "*", ms=11, color=f"C{seed}")
            axes.plot(ends[1], curve[ends[1]], "s", ms=6, color=f"C{seed}")
    top.set(ylabel="val_loss (noisy)")
    bottom.set(xlabel="epoch", ylabel="test accuracy (clean)",
               ylim=(0.78, 0.92), xticks=range(0, 12, 2))
    plt.show()
    # --8<-- [end:measure-figure]

    # --8<-- [start:monitors]
    for name, column, sign in (("val_loss", 0, 1), ("val_accuracy", 1, -1)):
        best = [patience_rule(sign * validation_run[:, column], 3)[0]
                for validation_run, _ in runs]
        accuracy = [test[epoch, 1] for (_, test), epoch in zip(runs, best)]
        print(f"{name:12} {np.mean(accuracy):.3f}±{np.std(accuracy):.3f}")
    #~ val_loss     0.885±0.017
    #~ val_accuracy 0.890±0.013
    # --8<-- [end:monitors]

    # --8<-- [start:no-validation]
    start_over(model)
    watchers = [
        keras.callbacks.EarlyStopping("val_loss", patience=1),
        keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True)]
    caught = warnings_of(lambda: model.fit(
        x_train, y_train, epochs=3, **training, callbacks=watchers))
    for message, count in caught.items():
        print(count, "times:", textwrap.fill(message, 60))
    #> 3 times: Early stopping conditioned on metric `val_loss` which is not
    #> available. Available metrics are: accuracy,loss
    #> 3 times: Can save best model only with val_loss available.
    print("epochs run:", len(model.history.epoch))
    #> epochs run: 3
    # --8<-- [end:no-validation]

    # --8<-- [start:best-is-last]
    saved = keras.models.load_model("best.keras")
    print(all(np.array_equal(a, b) for a, b in
              zip(saved.get_weights(), model.get_weights())))
    #> True
    # --8<-- [end:best-is-last]

    # --8<-- [start:key-error]
    try:
        model.fit(x_train, y_train, **training, callbacks=[Careless()])
    except KeyError as error:
        print("KeyError:", error)
    #> KeyError: 'val_accuracy'

    template = keras.callbacks.ModelCheckpoint("{val_loss:.2f}.keras")
    try:
        model.fit(x_train, y_train, **training, callbacks=[template])
    except KeyError as error:
        print(textwrap.fill(error.args[0], 70))
    #> Failed to format this callback filepath: "{val_loss:.2f}.keras".
    #> Reason: 'val_loss'

    model.fit(x_train, y_train, **training, callbacks=[StopAt(0.9)])
    #> UserWarning: StopAt: no val_accuracy in ['accuracy', 'loss']
    # --8<-- [end:key-error]

    # --8<-- [start:schedule-and-plateau]
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9)
    scheduled = build_classifier(learning_rate=schedule)
    plateau = keras.callbacks.ReduceLROnPlateau(patience=1)
    try:
        scheduled.fit(x_train, y_train, epochs=20, **settings,
                      callbacks=[plateau])
    except TypeError as error:
        print(textwrap.fill(str(error), 70))
    #> This optimizer was created with a `LearningRateSchedule` object as its
    #> `learning_rate` constructor argument, hence its learning rate is not
    #> settable. If you need the learning rate to be settable, you should
    #> instantiate the optimizer with a float `learning_rate` argument.
    epochs = int(scheduled.optimizer.iterations) // 6
    print("it came only after more than two epochs:", epochs > 2)
    #> it came only after more than two epochs: True
    # --8<-- [end:schedule-and-plateau]

    # --8<-- [start:direction]
    try:
        model.fit(x_train, y_train, **settings,
                  callbacks=[keras.callbacks.EarlyStopping("val_acc")])
    except ValueError as error:
        print(textwrap.fill(str(error), 70))
    #> EarlyStopping callback received monitor=val_acc, but Keras isn't able
    #> to automatically determine whether that metric should be maximized or
    #> minimized. Pass `mode='max'` in order to monitor based on the highest
    #> metric value, or pass `mode='min'` in order to use the lowest value.
    # --8<-- [end:direction]

    # --8<-- [start:wrong-direction]
    stopper = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="min", patience=2, restore_best_weights=True)
    start_over(model)
    stopped = model.fit(x_train, y_train, epochs=10, **settings,
                        callbacks=[stopper])
    print("epochs run:", len(stopped.epoch))
    #> epochs run: 3
    print("kept the worst epoch:",
          stopper.best == min(stopped.history["val_accuracy"]))
    #> kept the worst epoch: True
    # --8<-- [end:wrong-direction]

    # --8<-- [start:reused]
    checkpoint = keras.callbacks.ModelCheckpoint(
        "shared.keras", save_best_only=True)
    start_over(model, seed=0)
    model.fit(x_train, y_train, epochs=2, **settings,
              callbacks=[checkpoint])
    saved = Path("shared.keras").read_bytes()
    start_over(model, seed=2)
    model.fit(x_train, y_train, **settings, callbacks=[checkpoint])
    print("the second fit saved:",
          Path("shared.keras").read_bytes() != saved)
    #> the second fit saved: False
    # --8<-- [end:reused]

    # --8<-- [start:resumed-again]
    again = resumed.fit(x_train, y_train, epochs=2, **settings)
    print("epochs run:", again.epoch, again.history)
    #> epochs run: [] {}
    # --8<-- [end:resumed-again]

    # --8<-- [start:solution-1]
    losses = [0.90, 0.70, 0.72, 0.67, 0.66, 0.65, 0.64, 0.80, 0.90]
    print(patience_rule(losses, patience=3))
    #> (6, 8)
    print(patience_rule(losses, patience=3, min_delta=0.05))
    #> (1, 4)
    print(replay(losses, patience=3, min_delta=0.05))
    #> (1, 4)
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
    start_over(model)
    stopper = keras.callbacks.EarlyStopping(
        "val_f1", mode="max", patience=3, restore_best_weights=True)
    history = model.fit(x_train, y_train, epochs=10, **training,
                        callbacks=[MacroF1(x_val, y_val), stopper])
    print("stopped early:", len(history.epoch) < 10)
    #> stopped early: True
    print("best is the largest:",
          np.isclose(stopper.best, max(history.history["val_f1"])))
    #> best is the largest: True
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    model.fit(x_train, y_train, epochs=4, **training,
              callbacks=[KeepLast("recent", keep=2)])
    print([file.name for file in sorted(Path("recent").iterdir())])
    #> ['epoch-003.keras', 'epoch-004.keras']
    # --8<-- [end:solution-4]

    # --8<-- [start:solution-5]
    start_over(model)
    finder = RangeTest(np.geomspace(1e-4, 10, 60))
    model.fit(np.tile(x_train, (10, 1)), np.tile(y_train, 10),
              **training, callbacks=[finder])
    rates = finder.rates[:len(finder.losses)]
    figure, axes = plt.subplots(num="range-test", figsize=(5, 3))
    axes.plot(rates, finder.losses)
    axes.axvline(0.01, linestyle=":", color="tab:gray")
    axes.set(xscale="log", xlabel="learning rate", ylabel="batch loss",
             ylim=(0, 8))
    plt.show()
    print("batches before the loss exploded:", len(finder.losses))
    #~ batches before the loss exploded: 52
    # --8<-- [end:solution-5]


if __name__ == "__main__":
    main()
