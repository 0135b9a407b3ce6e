"""Learning-rate schedules: the rate as a function of the training step.

The lesson trains digits with a constant rate and with warm-up and cosine, both
tuned, draws each schedule from the object that the optimizer gets, writes the
schedule of the first Transformer, explains why a constant rate stalls, asks how
the rate goes with the batch size, and shows the schedules that end too early,
never act or are forgotten.
"""

# --8<-- [start:imports]
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from keras.optimizers import schedules
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

numpy = ops.convert_to_numpy
# --8<-- [end:imports]


# --8<-- [start:build]
def build(optimizer, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10)])
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    return model
# --8<-- [end:build]


# --8<-- [start:warm-up-cosine]
def warm_up_cosine(peak, steps):
    """Up to the peak in a tenth of the steps, then down to 0."""
    warm_up = steps // 10
    return schedules.CosineDecay(
        initial_learning_rate=0.0, warmup_target=peak,
        warmup_steps=warm_up, decay_steps=steps - warm_up)
# --8<-- [end:warm-up-cosine]


# --8<-- [start:values]
def values(schedule, steps):
    """The rates of the first steps."""
    return [float(schedule(step)) for step in range(steps)]
# --8<-- [end:values]


# --8<-- [start:inverse-square-root]
@keras.saving.register_keras_serializable(package="course")
class InverseSquareRoot(schedules.LearningRateSchedule):
    """Up to the peak in a line, then down with the root of the step."""
    def __init__(self, peak, warmup_steps):
        self.peak, self.warmup_steps = peak, warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0
        share = step / self.warmup_steps
        return self.peak * ops.minimum(share, ops.rsqrt(share))

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}
# --8<-- [end:inverse-square-root]


# --8<-- [start:scratch]
def cosine(step, peak, warm_up, steps):
    if step < warm_up:
        return peak * step / warm_up
    share = min((step - warm_up) / (steps - warm_up), 1)
    return peak * (1 + np.cos(np.pi * share)) / 2
# --8<-- [end:scratch]


# --8<-- [start:valley]
def valley(rates, walkers=2000):
    """Noisy gradient descent on w^2 / 2; the mean loss after it."""
    random = np.random.default_rng(0)
    w = np.full(walkers, 10.0)
    for rate in rates:
        w -= rate * (w + random.normal(size=walkers))
    return np.mean(w ** 2) / 2
# --8<-- [end:valley]


# --8<-- [start:solution-2-class]
@keras.saving.register_keras_serializable(package="course")
class WarmUpStableDecay(schedules.LearningRateSchedule):
    """Up in a line, level, and down to 0 in the last fifth."""
    def __init__(self, peak, steps):
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        share = ops.cast(step, "float32") / self.steps
        up, down = share / 0.1, (1.0 - share) / 0.2
        return self.peak * ops.clip(ops.minimum(up, down), 0.0, 1.0)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}
# --8<-- [end:solution-2-class]


def main():
    # --8<-- [start:data]
    images, digits = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(
        (images / 16).astype("float32"), digits, test_size=397,
        stratify=digits, random_state=0)
    x, x_val, y, y_val = train_test_split(
        x, y, test_size=400, stratify=y, random_state=0)
    epochs, steps_per_epoch = 8, -(-len(x) // 32)  # rounded up
    steps = epochs * steps_per_epoch
    print(len(x), "images,", steps_per_epoch, "steps an epoch,", steps, "steps")
    #> 1000 images, 32 steps an epoch, 256 steps
    # --8<-- [end:data]

    # --8<-- [start:fit]
    logs = {}
    for name, rate in (("constant 0.01", 0.01), ("constant 0.05", 0.05),
                       ("warm-up, cosine", warm_up_cosine(0.05, steps))):
        model = build(keras.optimizers.Adam(rate))
        logs[name] = model.fit(
            x, y, epochs=epochs, validation_data=(x_val, y_val),
            verbose=0).history
        for epoch in (1, 4, 8):
            print(f"{name:15} Epoch {epoch}/8", *(
                f"- {key}: {logs[name][key][epoch - 1]:.2f}"
                for key in ("loss", "val_accuracy", "val_loss")))
    #~ constant 0.01   Epoch 1/8 - loss: 1.21 - val_accuracy: 0.89 - val_loss: 0.45
    #~ constant 0.01   Epoch 4/8 - loss: 0.16 - val_accuracy: 0.94 - val_loss: 0.17
    #~ constant 0.01   Epoch 8/8 - loss: 0.07 - val_accuracy: 0.97 - val_loss: 0.12
    #~ constant 0.05   Epoch 1/8 - loss: 0.92 - val_accuracy: 0.92 - val_loss: 0.26
    #~ constant 0.05   Epoch 4/8 - loss: 0.19 - val_accuracy: 0.95 - val_loss: 0.16
    #~ constant 0.05   Epoch 8/8 - loss: 0.10 - val_accuracy: 0.94 - val_loss: 0.20
    #~ warm-up, cosine Epoch 1/8 - loss: 1.16 - val_accuracy: 0.88 - val_loss: 0.40
    #~ warm-up, cosine Epoch 4/8 - loss: 0.13 - val_accuracy: 0.94 - val_loss: 0.18
    #~ warm-up, cosine Epoch 8/8 - loss: 0.01 - val_accuracy: 0.97 - val_loss: 0.11
    # --8<-- [end:fit]

    # --8<-- [start:figure]
    figure, axes = plt.subplots(num="validation-loss", figsize=(5, 3))
    for name, log in logs.items():
        axes.plot(range(1, epochs + 1), log["val_loss"], label=name)
    axes.set(xlabel="epoch", ylabel="validation loss", ylim=(0, 0.6))
    axes.legend()
    plt.show()
    # --8<-- [end:figure]

    # --8<-- [start:family]
    family = {
        "exponential": schedules.ExponentialDecay(
            1.0, decay_steps=100, decay_rate=0.1),
        "staircase": schedules.ExponentialDecay(
            1.0, decay_steps=100, decay_rate=0.1, staircase=True),
        "piecewise": schedules.PiecewiseConstantDecay(
            [100, 200], [1.0, 0.5, 0.25]),
        "linear": schedules.PolynomialDecay(
            1.0, decay_steps=300, end_learning_rate=0.0),
        "cosine": schedules.CosineDecay(1.0, decay_steps=300),
        "restarts": schedules.CosineDecayRestarts(
            1.0, first_decay_steps=100, t_mul=2.0)}
    figure, panels = plt.subplots(3, 2, num="schedules", figsize=(5, 5),
                                  sharex=True, sharey=True,
                                  layout="constrained")
    for (name, schedule), axes in zip(family.items(), panels.flat):
        axes.plot(values(schedule, 360))
        axes.set(title=name, xticks=(0, 100, 200, 300))
    figure.supxlabel("step")
    figure.supylabel("learning rate")
    plt.show()
    # --8<-- [end:family]

    # --8<-- [start:current]
    optimizer = keras.optimizers.Adam(warm_up_cosine(0.05, steps))
    model = build(optimizer)
    for _ in range(3):
        print("step", int(numpy(optimizer.iterations)),
              f"next rate {float(numpy(optimizer.learning_rate)):.4f}")
        model.fit(x, y, epochs=1, verbose=0)
    #~ step 0 next rate 0.0000
    #~ step 32 next rate 0.0499
    #~ step 64 next rate 0.0466
    # --8<-- [end:current]

    # --8<-- [start:same]
    schedule = warm_up_cosine(0.05, steps)
    ours = [cosine(step, 0.05, steps // 10, steps)
            for step in range(steps + 50)]
    print("largest difference:",
          f"{np.abs(np.subtract(ours, values(schedule, steps + 50))).max():.0e}")
    #~ largest difference: 5e-09
    # --8<-- [end:same]

    # --8<-- [start:floors]
    for rate in (0.5, 0.1, 0.02):
        print(f"rate {rate}: after 50 steps {valley([rate] * 50):.3f}, "
              f"after 1000 {valley([rate] * 1000):.3f}, "
              f"floor {rate / (2 * (2 - rate)):.3f}")
    #~ rate 0.5: after 50 steps 0.163, after 1000 0.167, floor 0.167
    #~ rate 0.1: after 50 steps 0.028, after 1000 0.026, floor 0.026
    #~ rate 0.02: after 50 steps 6.639, after 1000 0.005, floor 0.005
    falling = 0.25 * (1 + np.cos(np.pi * np.arange(200) / 200))
    print(f"cosine from 0.5 in 200 steps: {valley(falling):.3f}, "
          f"0.1 in 200 steps: {valley([0.1] * 200):.3f}")
    #~ cosine from 0.5 in 200 steps: 0.010, 0.1 in 200 steps: 0.026
    # --8<-- [end:floors]

    # --8<-- [start:transformers]
    asked = range(0, 10_000, 50)
    figure, axes = plt.subplots(num="transformers", figsize=(5, 3))
    for name, schedule in (
            ("inverse square root", InverseSquareRoot(1e-3, 1000)),
            ("cosine", warm_up_cosine(1e-3, 10_000))):
        axes.plot(asked, [float(schedule(step)) for step in asked],
                  label=name)
    axes.set(xlabel="step", ylabel="learning rate")
    axes.legend()
    plt.show()
    # --8<-- [end:transformers]

    # --8<-- [start:save]
    model = build(keras.optimizers.Adam(
        InverseSquareRoot(0.03, warmup_steps=32)))
    model.fit(x, y, epochs=2, verbose=0)
    file = Path(tempfile.mkdtemp()) / "model.keras"
    model.save(file)
    loaded = keras.models.load_model(file)
    for one in (model, loaded):
        print("step", int(numpy(one.optimizer.iterations)),
              f"rate {float(numpy(one.optimizer.learning_rate)):.5f}")
    #~ step 64 rate 0.02105
    #~ step 64 rate 0.02105
    # --8<-- [end:save]

    # --8<-- [start:measure]
    scores = {name: [] for name in ("constant", "schedule")}
    for seed in range(4):
        for name, rate in (("constant", 0.01),
                           ("schedule", warm_up_cosine(0.05, steps))):
            model = build(keras.optimizers.Adam(rate), seed)
            model.fit(x, y, epochs=epochs, verbose=0)
            scores[name].append(model.evaluate(x_test, y_test, verbose=0)[1])
    for name, found in scores.items():
        print(f"{name}: {np.mean(found):.3f}", np.round(found, 3))
    #~ constant: 0.967 [0.962 0.97  0.97  0.967]
    #~ schedule: 0.970 [0.962 0.972 0.975 0.97 ]
    # --8<-- [end:measure]

    # --8<-- [start:batch]
    for batch_size, rate in ((8, 0.005), (128, 0.02), (128, 0.08),
                             (8, 0.02), (128, 0.32)):
        model = build(keras.optimizers.SGD(rate, momentum=0.9))
        model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
        loss = model.evaluate(x_val, y_val, verbose=0)[0]
        print(f"batch {batch_size:3} rate {rate:.3f}: val_loss {loss:.2f}")
    #~ batch   8 rate 0.005: val_loss 0.19
    #~ batch 128 rate 0.020: val_loss 0.63
    #~ batch 128 rate 0.080: val_loss 0.18
    #~ batch   8 rate 0.020: val_loss 0.16
    #~ batch 128 rate 0.320: val_loss 0.16
    # --8<-- [end:batch]

    # --8<-- [start:epochs-for-steps]
    for unit, length in (("steps", steps), ("epochs", epochs)):
        schedule = schedules.CosineDecay(0.03, decay_steps=length)
        model = build(keras.optimizers.Adam(schedule))
        log = model.fit(x, y, epochs=epochs, verbose=0).history
        print(f"counted in {unit}:",
              [f"{accuracy:.2f}" for accuracy in log["accuracy"][::3]])
    #~ counted in steps: ['0.70', '0.97', '0.99']
    #~ counted in epochs: ['0.52', '0.59', '0.59']
    # --8<-- [end:epochs-for-steps]

    # --8<-- [start:second-fit]
    before = model.get_weights()
    model.fit(x, y, epochs=3, verbose=0)
    print("three more epochs changed a weight:", not all(
        map(np.array_equal, before, model.get_weights())))
    #> three more epochs changed a weight: False
    # --8<-- [end:second-fit]

    # --8<-- [start:two-owners]
    model = build(keras.optimizers.Adam(warm_up_cosine(0.05, steps)))
    plateau = keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=1.0)
    try:
        model.fit(x, y, epochs=4, validation_data=(x_val, y_val),
                  callbacks=[plateau], verbose=0)
    except TypeError as error:
        print(str(error).split(". ")[0])
    #> This optimizer was created with a `LearningRateSchedule` object as its `learning_rate` constructor argument, hence its learning rate is not settable
    # --8<-- [end:two-owners]

    # --8<-- [start:old-name]
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.lr = 0.0001
    print("lr =", optimizer.lr, "and the rate is",
          round(float(numpy(optimizer.learning_rate)), 4))
    #> lr = 0.0001 and the rate is 0.01
    try:
        keras.optimizers.Adam(lr=0.0001)
    except ValueError as error:
        print(error)
    #> Argument(s) not recognized: {'lr': 0.0001}
    # --8<-- [end:old-name]

    # --8<-- [start:no-target]
    for schedule in (
            schedules.CosineDecay(0.1, 100, warmup_steps=10),
            schedules.CosineDecay(0.0, 100, warmup_steps=10,
                                  warmup_target=0.1)):
        print([round(float(schedule(step)), 3) for step in (0, 5, 10, 60, 110)])
    #> [0.1, 0.099, 0.098, 0.035, 0.0]
    #> [0.0, 0.05, 0.1, 0.05, 0.0]
    # --8<-- [end:no-target]

    # --8<-- [start:integer-step]
    class TooSimple(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.01 / (step + 1)

    try:
        build(keras.optimizers.Adam(TooSimple())).fit(x, y, verbose=0)
    except TypeError as error:
        print(error)
    #> Expected int64, but got 0.01 of type 'float'.
    # --8<-- [end:integer-step]

    # --8<-- [start:solution-1]
    for size, batch_size in ((50_000, 128), (1000, 32)):
        per_epoch = -(-size // batch_size)
        print(per_epoch, "steps an epoch,", 90 * per_epoch, "in all, borders",
              [30 * per_epoch, 60 * per_epoch])
    #> 391 steps an epoch, 35190 in all, borders [11730, 23460]
    #> 32 steps an epoch, 2880 in all, borders [960, 1920]
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    schedule = WarmUpStableDecay(0.02, steps)
    print(schedule.get_config())
    #> {'peak': 0.02, 'steps': 256}
    print([round(value, 3) for value in values(schedule, steps + 1)[::32]])
    #> [0.0, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.012, 0.0]
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    for name, rate in (("constant", 0.1), ("half of it", 0.05),
                       ("schedule", warm_up_cosine(0.1, steps))):
        model = build(keras.optimizers.Adam(rate))
        model.fit(x, y, epochs=epochs, verbose=0)
        print(f"{name:10} {model.evaluate(x_val, y_val, verbose=0)[0]:.2f}")
    #~ constant   0.43
    #~ half of it 0.20
    #~ schedule   0.13
    # --8<-- [end:solution-3]


if __name__ == "__main__":
    main()
