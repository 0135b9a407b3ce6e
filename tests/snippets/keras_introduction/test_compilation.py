"""What the lesson on compilation claims, each claim over a range."""

import functools
import inspect
import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, metrics, ops
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split

from snippets.keras_introduction.compilation import (
    Squared,
    binary_from_logits,
    build,
    from_logits,
    from_probabilities,
    softmax,
)

SPARSE = functools.partial(losses.SparseCategoricalCrossentropy, from_logits=True)
DOUBLE_SOFTMAX = "ignore:.*received `from_logits=True`"


@functools.cache
def split(seed):
    digits = load_digits()
    pixels = (digits.data / 16).astype("float32")
    return train_test_split(pixels, digits.target, test_size=0.25, random_state=seed, stratify=digits.target)


def rows(n=70, classes=3, width=6, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, width)).astype("float32"), random.integers(0, classes, n)


def small(*last, width=6, seed=0, **options):
    """A small model, compiled; its last layers are made by the given functions, after the seed is set."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape=(width,)), layers.Dense(5, activation="tanh")])
    for make in last or (lambda: layers.Dense(3),):
        model.add(make())
    model.compile(**{"optimizer": "adam", "loss": SPARSE(), **options})
    return model


def weights_of(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def accuracy_of(model, x, y):
    return np.mean(numpy(model(x)).argmax(axis=1) == y)


def test_ten_epochs_lead_from_guessing_to_nine_in_ten():
    """Over seeds, splits, widths, and one or two hidden layers, with Adam at its default."""
    for seed, hidden in ((1, (32,)), (2, (128,)), (3, (64, 64))):
        x, x_test, y, y_test = split(seed)
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(shape=(64,))])
        for units in hidden:
            model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dense(10))
        model.compile(optimizer="adam", loss=SPARSE(), steps_per_execution=43)
        assert accuracy_of(model, x_test, y_test) < 0.3
        model.fit(x, y, epochs=10, verbose=0)
        assert accuracy_of(model, x_test, y_test) > 0.9


def test_softmax_keeps_the_order():
    """Sorted by logits or by probabilities, the classes come in the same order."""
    for scale in (0.1, 1.0, 5.0):
        z = np.random.default_rng(0).normal(0, scale, (200, 7))
        assert np.array_equal(numpy(ops.softmax(z)).argsort(axis=1), z.argsort(axis=1))


def test_predict_needs_no_compile():
    """A model that is not compiled predicts; `fit` and `evaluate` ask for `compile`."""
    x, y = rows()
    for units in (1, 3):
        model = keras.Sequential([keras.Input(shape=(6,)), layers.Dense(units)])
        assert model.predict(x, verbose=0).shape == (70, units)
        for method in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match="must call `compile"):
                method(x, y, verbose=0)


def test_each_row_of_the_table_trains():
    """With each target of the table, in each of its shapes, `fit` makes the loss smaller."""
    x, y = rows()
    sequence = np.random.default_rng(1).normal(size=(70, 4, 6)).astype("float32")
    yes, labels = (x[:, 0] > 0).astype("int64"), (x[:, :4] > 0).astype("int64")
    one_hot = np.eye(3)[y]
    numbers = x[:, :2] * 2 + 1
    binary = losses.BinaryCrossentropy(from_logits=True)
    categorical = losses.CategoricalCrossentropy(from_logits=True)
    count = np.random.default_rng(2).poisson(np.exp(x[:, 0]))
    for inputs, targets, units, activation, loss in (
        (x, (y, y[:, None]), 3, None, SPARSE()),
        (x, (one_hot, 0.7 * one_hot + 0.1), 3, None, categorical),
        (x, (yes, yes[:, None]), 1, None, binary),
        (x, (labels,), 4, None, binary),
        (x, (numbers,), 2, None, losses.MeanSquaredError()),
        (x, (numbers[:, 0], numbers[:, :1]), 1, None, losses.Huber()),
        (x, (numbers[:, 0],), 1, None, losses.MeanAbsoluteError()),
        (x, (count, count[:, None]), 1, "exponential", losses.Poisson()),
        (sequence, ((sequence[..., 0] > 0) * 2,), 3, None, SPARSE()),
    ):
        fitted = []
        for target in targets:
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input(shape=inputs.shape[1:]), layers.Dense(units, activation=activation)])
            model.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss, run_eagerly=True)
            fitted.append(model.fit(inputs, target, epochs=2, batch_size=70, verbose=0).history["loss"])
            assert fitted[-1][-1] < fitted[-1][0]
        if len(targets) == 2 and targets[1].shape == (70, 1):
            assert fitted[0] == pytest.approx(fitted[1], rel=1e-4)


def test_knowing_nothing_costs_log_k():
    """Equal logits, of whatever size, have the loss log K for each label; two classes with one logit log 2."""
    for classes in (2, 3, 10, 100):
        for level in (0.0, -3.0, 7.0):
            z = np.full((classes, classes), level, "float32")
            assert float(SPARSE()(np.arange(classes), z)) == pytest.approx(np.log(classes), rel=1e-4)
            categorical = losses.CategoricalCrossentropy(from_logits=True)
            assert float(categorical(np.eye(classes), z)) == pytest.approx(np.log(classes), rel=1e-4)
    for y in ([0], [1]):
        loss = losses.BinaryCrossentropy(from_logits=True)
        assert float(loss(np.array([y]), np.zeros((1, 1)))) == pytest.approx(np.log(2), rel=1e-4)


def test_unscaled_inputs_show_in_the_first_loss():
    """Pixels from 0 to 16 or 255 instead of 0 to 1: the loss before training is far above log K."""
    x, _, y, _ = split(0)
    for seed in range(4):
        model = build(seed)
        first = [float(SPARSE()(y, model(x * scale))) for scale in (1, 16, 255)]
        assert abs(first[0] - np.log(10)) < 0.3 and first[1] > np.log(10) + 1 and first[2] > 5 * np.log(10)


def test_the_gradient_is_prediction_minus_truth():
    for classes, scale in ((3, 1.0), (7, 4.0), (20, 10.0)):
        random = np.random.default_rng(classes)
        y = random.integers(0, classes, 50)
        z = tf.constant(random.normal(0, scale, (50, classes)), "float32")
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = losses.sparse_categorical_crossentropy(y, z, from_logits=True)
        assert tape.gradient(loss, z).numpy() == pytest.approx(softmax(z.numpy()) - np.eye(classes)[y], abs=1e-5)


def test_the_loss_divides_by_examples_and_the_metric_by_weights():
    """With weights, the loss divides by the number of losses, a weighted metric by their sum; a plain one has none."""
    x, y = rows()
    for seed, high in ((0, 2.0), (1, 9.0)):
        weight = np.random.default_rng(seed).uniform(0, high, len(y))
        model = small(seed=seed, metrics=["accuracy"], weighted_metrics=[metrics.SparseCategoricalAccuracy(name="w")])
        scores = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
        z = model.predict(x, verbose=0)
        each, right = from_logits(y, z), z.argmax(axis=1) == y
        assert scores["loss"] == pytest.approx((weight * each).sum() / len(y), rel=1e-4)
        assert scores["w"] == pytest.approx((weight * right).sum() / weight.sum(), rel=1e-4)
        assert scores["accuracy"] == pytest.approx(right.mean(), rel=1e-4)
    y, z = np.random.default_rng(0).integers(0, 3, (8, 5)), np.random.default_rng(1).normal(size=(8, 5, 3))
    assert float(SPARSE()(y, z)) == pytest.approx(from_logits(y.ravel(), z.reshape(-1, 3)).sum() / 40, rel=1e-4)
    x, y = np.array([[1, 2, 3, 0, 0], [4, 1, 0, 0, 0]]), np.array([[0, 1, 2, 0, 0], [1, 1, 2, 2, 2]])
    keras.utils.set_random_seed(0)
    steps = layers.LSTM(4, return_sequences=True)
    masked = keras.Sequential([layers.Embedding(5, 4, mask_zero=True), steps, layers.Dense(3)])
    masked.compile(loss=SPARSE())
    each = from_logits(y.ravel(), numpy(masked(x)).reshape(-1, 3))[x.ravel() > 0]
    assert masked.evaluate(x, y, verbose=0) == pytest.approx(each.sum() / 5, rel=1e-4)


def test_numpy_computes_what_keras_does():
    """Both functions equal Keras, on outputs that sum to 1 and on others; the sparse loss has the other order."""
    for scale, classes in ((1, 3), (5, 10), (40, 6)):
        random = np.random.default_rng(classes)
        y, z = random.integers(0, classes, 300), random.normal(0, scale, (300, classes)).astype("float32")
        sparse, categorical = SPARSE(reduction=None), losses.CategoricalCrossentropy(reduction=None)
        assert from_logits(y, z) == pytest.approx(numpy(sparse(y, z)), rel=1e-4, abs=1e-4)
        sparse = losses.SparseCategoricalCrossentropy(reduction=None)
        p = softmax(z)
        assert from_probabilities(y, p) == pytest.approx(numpy(categorical(np.eye(classes)[y], p)), rel=1e-3, abs=1e-4)
        assert from_probabilities(y, p) == pytest.approx(numpy(sparse(y, p)), rel=1e-3, abs=1e-4)
        odd = random.uniform(-1, 3, (300, classes))
        odd = odd[np.abs(odd.sum(axis=1)) > 0.1]
        y = y[: len(odd)]
        mine = from_probabilities(y, odd)
        assert mine == pytest.approx(numpy(categorical(np.eye(classes)[y], odd)), rel=1e-3, abs=1e-3)
        clipped = np.clip(odd, 1e-7, 1 - 1e-7)
        clipped /= clipped.sum(axis=1, keepdims=True)
        other = -np.log(clipped[np.arange(len(y)), y])
        assert other == pytest.approx(numpy(sparse(y, odd)), rel=1e-3, abs=1e-3)
        assert np.abs(mine - other).max() > 0.1


def test_beyond_the_clip_there_is_no_gradient():
    """A probability below the clip pulls at nothing; within it, and from logits at any distance, there is a pull."""
    for loss, target in (
        (losses.SparseCategoricalCrossentropy, np.array([1])),
        (losses.CategoricalCrossentropy, np.array([[0.0, 1.0, 0.0]])),
    ):
        for wrong_by in (5.0, 10.0, 20.0, 50.0):
            slopes = []
            for flag in (False, True):
                z = tf.constant([[wrong_by, 0.0, 0.0]])
                with tf.GradientTape() as tape:
                    tape.watch(z)
                    outputs = z if flag else tf.nn.softmax(z)
                    value = loss(from_logits=flag)(target, outputs)
                slopes.append(np.abs(tape.gradient(value, z).numpy()).max())
            assert slopes[1] > 0.9
            assert (slopes[0] < 1e-6) == (wrong_by > 16.2)
    for outputs in ([-2.0, 0.3, 3.0], [0.6, -0.1, 0.2], [5.0, 0.9, -4.0]):
        for label in range(3):
            z = tf.constant([outputs])
            with tf.GradientTape() as tape:
                tape.watch(z)
                value = losses.SparseCategoricalCrossentropy()(np.array([label]), z)
            slope = tape.gradient(value, z).numpy()[0]
            assert np.array_equal(slope != 0, [0 < output < 1 for output in outputs])


def trained(seed, flag, optimizer, epochs):
    x, x_test, y, y_test = split(seed)
    model = build(seed, from_logits=flag)
    loss = losses.SparseCategoricalCrossentropy(from_logits=flag)
    model.compile(optimizer=optimizer, loss=loss, steps_per_execution=43)
    first = float(loss(y, model(x)))
    history = model.fit(x, y, epochs=epochs, verbose=0).history["loss"]
    return first, history, accuracy_of(model, x_test, y_test)


def test_the_forgotten_flag_shows_in_the_first_loss():
    """Adam: the loss falls, accuracy is far below the right one; SGD at 0.4: near guessing; no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        right = trained(0, True, keras.optimizers.Adam(0.001), 10)
        for seed in (1, 2):
            first, history, accuracy = trained(seed, False, keras.optimizers.Adam(0.001), 10)
            assert abs(right[0] - np.log(10)) < 0.5 and first > 2 * np.log(10)
            assert history[-1] < history[0] and accuracy < right[2] - 0.2
        first, _, accuracy = trained(1, False, keras.optimizers.SGD(0.4), 10)
        assert first > 2 * np.log(10) and accuracy < 0.2


@pytest.mark.filterwarnings(DOUBLE_SOFTMAX)
def test_tensorflow_rescues_a_softmax_it_can_see():
    """Softmax with the flag or without, and logits: the same weights, by Adam in a graph and SGD without; one warns."""
    x, y = rows()
    for seed, optimizer in ((0, keras.optimizers.Adam), (1, keras.optimizers.SGD)):
        ends = []
        for activation, flag in ((None, True), ("softmax", False), ("softmax", True)):
            model = small(
                functools.partial(layers.Dense, 3, activation=activation),
                seed=seed,
                optimizer=optimizer(0.1),
                loss=SPARSE(from_logits=flag),
                run_eagerly=seed == 1,
            )
            if activation and flag:
                with pytest.warns(UserWarning, match="produced by a Softmax activation"):
                    model.fit(x, y, epochs=3, verbose=0)
            else:
                model.fit(x, y, epochs=3, verbose=0)
            ends.append(weights_of(model))
        assert np.array_equal(ends[0], ends[1]) and np.array_equal(ends[0], ends[2])


@pytest.mark.filterwarnings(DOUBLE_SOFTMAX)
def test_the_rescue_ends_at_a_new_tensor():
    """A product, a reshape, NumPy or a cast lose it; mixed precision does, unless the last layer is float32."""
    random = np.random.default_rng(0)
    y, z = random.integers(0, 5, 40), random.normal(0, 2, (40, 5)).astype("float32")
    once, twice = from_logits(y, z).mean(), from_logits(y, softmax(z)).mean()
    p = ops.softmax(ops.convert_to_tensor(z))
    assert float(SPARSE()(y, p)) == pytest.approx(once, rel=1e-5)
    for new in (p * 1, ops.reshape(p, (40, 5)), numpy(p), ops.cast(ops.cast(p, "float64"), "float32")):
        assert float(SPARSE()(y, new)) == pytest.approx(twice, rel=1e-5)
    x, y = rows()
    for dtype, rescued in ((None, False), ("float32", True)):
        keras.utils.set_random_seed(0)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            hidden = layers.Dense(8)
            last = layers.Dense(3, activation="softmax", kernel_initializer="random_normal", dtype=dtype)
            model = keras.Sequential([keras.Input(shape=(6,)), hidden, last])
            last.set_weights([5 * last.get_weights()[0], np.zeros(3)])
            model.compile(loss=SPARSE())
            loss = model.evaluate(x * 2, y, verbose=0)
            p = numpy(ops.cast(model(x * 2), "float32"))
        finally:
            keras.config.set_dtype_policy(policy)
        expected = (from_probabilities(y, p) if rescued else from_logits(y, p)).mean()
        assert loss == pytest.approx(expected, rel=0.05)
        assert abs(from_probabilities(y, p).mean() / from_logits(y, p).mean() - 1) > 0.2


def test_softmax_twice_has_a_floor():
    """Whatever the probabilities, the loss of their softmax is at least log(e + K - 1) - 1; perfect ones reach it."""
    for classes in (2, 5, 10, 100):
        random = np.random.default_rng(classes)
        floor = np.log(np.e + classes - 1) - 1
        y = random.integers(0, classes, 300)
        for scale in (0.1, 3.0, 30.0):
            p = softmax(random.normal(0, scale, (300, classes)))
            assert numpy(SPARSE(reduction=None)(y, p)).min() > floor - 1e-5
        assert float(SPARSE()(y, np.eye(classes)[y])) == pytest.approx(floor, rel=1e-5)


def test_accuracy_is_chosen_by_shapes():
    """Among four losses, the metric that "accuracy" becomes depends on the shapes alone."""
    for loss in ("mse", "mae", "huber", "poisson"):
        for shape, units, metric in (
            ((8,), 1, metrics.BinaryAccuracy),
            ((8, 1), 1, metrics.BinaryAccuracy),
            ((8,), 4, metrics.SparseCategoricalAccuracy),
            ((8, 1), 4, metrics.SparseCategoricalAccuracy),
            ((8, 4), 4, metrics.CategoricalAccuracy),
        ):
            model = keras.Sequential([keras.Input(shape=(3,)), layers.Dense(units)])
            model.compile(loss=loss, metrics=["accuracy"])
            x = np.zeros((8, 3))
            model.compute_metrics(x, np.zeros(shape), model(x))
            assert type(model.metrics[-1].metrics[0]) is metric


def test_metrics_names_hides_the_metrics():
    x, y = rows()
    for chosen in (["accuracy"], ["accuracy", metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")]):
        model = small(metrics=chosen)
        scores = model.evaluate(x, y, verbose=0, return_dict=True)
        assert model.metrics_names == ["loss", "compile_metrics"]
        assert set(scores) == {"loss", *(getattr(metric, "name", metric) for metric in chosen)}


def test_binary_metrics_cut_at_one_half():
    """By default the border is 0.5, given zero it is zero; AUC ties what lies outside 0 to 1 unless told of logits."""
    for seed in range(3):
        z = np.random.default_rng(seed).normal(0, 1, (500, 1)).astype("float32")
        y = (z + np.random.default_rng(seed + 9).normal(0, 0.5, z.shape) > 0).astype("float32")
        for cut, options in ((0.5, {}), (0.0, {"threshold": 0.0})):
            assert float(metrics.BinaryAccuracy(**options)(y, z)) == pytest.approx(np.mean((z > cut) == y), abs=1e-5)
            options = {"thresholds": 0.0} if options else {}
            hits = (y * (z > cut)).sum()
            assert float(metrics.Precision(**options)(y, z)) == pytest.approx(hits / (z > cut).sum(), abs=1e-5)
            assert float(metrics.Recall(**options)(y, z)) == pytest.approx(hits / y.sum(), abs=1e-5)
        shifted, y = np.sort(z, axis=0) + 5, np.repeat([[0.0], [1.0]], 250, axis=0)
        assert float(metrics.AUC(from_logits=True)(y, shifted)) > 0.9
        assert float(metrics.AUC()(y, shifted)) == pytest.approx(0.5, abs=0.01)


def test_the_largest_wins_for_some_metrics_only():
    """Accuracy, F1 and top_k=1 are the same for logits and their softmax; precision with a border is not."""
    for classes in (3, 5, 10):
        for scale in (1, 3, 8):
            random = np.random.default_rng(classes * scale)
            z = (scale * random.normal(size=(400, classes))).astype("float32")
            y = np.eye(classes, dtype="float32")[(z + scale * random.normal(size=z.shape)).argmax(axis=1)]
            for metric in (
                metrics.CategoricalAccuracy,
                functools.partial(metrics.F1Score, average="macro"),
                functools.partial(metrics.Precision, top_k=1),
                functools.partial(metrics.Recall, top_k=1),
            ):
                assert float(metric()(y, z)) == pytest.approx(float(metric()(y, softmax(z))), abs=1e-5)
            largest = float(metrics.Precision(top_k=1)(y, z))
            assert float(metrics.Precision(thresholds=0.0)(y, z)) < largest - 0.05
            assert float(metrics.Precision()(y, z)) < float(metrics.Precision()(y, softmax(z))) - 0.02


def test_accuracy_of_independent_labels_compares_the_largest():
    """A perfect model of several labels: BinaryAccuracy at zero is 1, the accuracy that compile chooses is not."""
    for labels in (3, 4, 8):
        x, _ = rows(200, width=6, seed=labels)
        model = small(lambda labels=labels: layers.Dense(labels), loss="mse", metrics=["accuracy"])
        z = numpy(model(x))
        y = (z > 0).astype("float32")
        assert float(metrics.BinaryAccuracy(threshold=0.0)(y, z)) == 1
        chosen = model.evaluate(x, y, verbose=0)[1]
        assert chosen == pytest.approx(float(metrics.CategoricalAccuracy()(y, z)), abs=1e-5) and chosen < 0.95


def test_f1_of_one_unit_says_yes_to_all():
    """A perfect classifier of one unit: F1Score() is 2r / (1 + r), with a threshold 1, and accuracy cuts at 0.5."""
    for yes in (5, 20, 50, 90):
        y = (np.arange(100) < yes).astype("float32")[:, None]
        share = yes / 100
        for p in (0.2 + 0.6 * y, 0.01 + 0.98 * y, 0.4 + 0.11 * y):
            assert float(numpy(metrics.F1Score()(y, p))[0]) == pytest.approx(2 * share / (1 + share), rel=1e-4)
            assert float(numpy(metrics.F1Score(threshold=0.5)(y, p))[0]) == pytest.approx(1, rel=1e-4)
            assert float(metrics.BinaryAccuracy()(y, p)) == 1


def test_the_table_of_metrics_is_right_for_logits():
    """Each cell gives what scikit-learn says of the decisions, or of the scores; F1Score refuses zero."""
    for labels in (1, 4):
        for seed in range(3):
            random = np.random.default_rng(seed)
            z = random.normal(-0.5, 2, (400, labels)).astype("float32")
            y = (z + random.normal(0, 1.5, z.shape) > 0).astype("float32")
            says = z > 0
            assert float(metrics.BinaryAccuracy(threshold=0.0)(y, z)) == pytest.approx(np.mean(says == y), abs=1e-5)
            for metric, score in ((metrics.Precision, precision_score), (metrics.Recall, recall_score)):
                assert float(metric(thresholds=0.0)(y, z)) == pytest.approx(score(y.ravel(), says.ravel()), abs=1e-5)
            f1 = numpy(metrics.F1Score(threshold=0.5)(y, 1 / (1 + np.exp(-z))))
            assert f1 == pytest.approx(np.ravel(f1_score(y, says, average=None)[-labels:]), abs=1e-5)
            several = {"multi_label": True} if labels > 1 else {}
            area = float(metrics.AUC(from_logits=True, **several)(y, z))
            assert area == pytest.approx(roc_auc_score(y, z, average="macro"), abs=0.02)
            if labels > 1:
                says, p = z.argmax(axis=1), softmax(z)
                y = np.where(random.random(400) < 0.6, says, random.integers(0, 4, 400))
                one_hot = np.eye(4, dtype="float32")[y]
                assert float(metrics.SparseCategoricalAccuracy()(y, z)) == pytest.approx(np.mean(says == y), abs=1e-5)
                for metric, score in ((metrics.Precision, precision_score), (metrics.Recall, recall_score)):
                    assert float(metric(top_k=1)(one_hot, z)) == pytest.approx(
                        score(y, says, average="micro"), abs=1e-5
                    )
                assert numpy(metrics.F1Score()(one_hot, z)) == pytest.approx(f1_score(y, says, average=None), abs=1e-5)
                area = float(metrics.AUC()(one_hot, p))
                assert area == pytest.approx(roc_auc_score(one_hot, p, average="micro"), abs=0.02)
    with pytest.raises(ValueError, match="0 < threshold <= 1"):
        metrics.F1Score(threshold=0.0)


def test_fit_averages_over_moving_weights():
    """What `fit` reports is the mean over examples, each judged before its batch's step; afterwards it is higher."""

    class Before(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            part = slice(batch * self.size, (batch + 1) * self.size)
            self.right.extend(numpy(self.model(self.x[part])).argmax(axis=1) == self.y[part])

    for seed, size in ((1, 32), (2, 100)):
        x, _, y, _ = split(seed)
        model, before = build(seed), Before()
        before.x, before.y, before.size, before.right = x, y, size, []
        fit = model.fit(x, y, batch_size=size, shuffle=False, callbacks=[before], verbose=0)
        assert len(before.right) == len(y)
        assert fit.history["accuracy"][0] == pytest.approx(np.mean(before.right), abs=1e-4)
        assert accuracy_of(model, x, y) > fit.history["accuracy"][0] + 0.1


def test_eager_is_slow_and_many_steps_in_a_call_are_fast():
    """For small networks; the callbacks see only every so many batches, and on a CPU "auto" means no XLA."""

    class Count(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.count += 1

    x, _, y, _ = split(0)
    for eager in (True, False):
        calls = []

        def counted(target, outputs, calls=calls):
            calls.append(1)
            return losses.sparse_categorical_crossentropy(target, outputs, from_logits=True)

        small(width=64, loss=counted, run_eagerly=eager).fit(x[:320], y[:320] % 3, verbose=0)
        assert len(calls) == 10 if eager else len(calls) < 4  # Python runs in each step, or while the graph is built
    for units, size in ((32, 8), (128, 16)):

        def seconds(n=80 * size, units=units, size=size, **options):
            model = keras.Sequential(
                [keras.Input(shape=(64,)), layers.Dense(units, activation="relu"), layers.Dense(10)]
            )
            model.compile(optimizer="adam", loss=SPARSE(), **options)
            assert not model.jit_compile
            count, taken = Count(), []
            for _ in range(3):
                count.count, start = 0, time.process_time()
                model.fit(x[:n], y[:n], batch_size=size, callbacks=[count], verbose=0)
                taken.append((time.process_time() - start) / (n / size))
            return min(taken[1:]), count.count

        steps = 80
        one, seen = seconds()
        assert seen == steps
        many, seen = seconds(steps_per_execution=20)
        assert seen == steps / 20
        eager, _ = seconds(n=10 * size, run_eagerly=True)
        assert eager > 3 * one and many < one


def test_compiling_again_resets_what_is_left_out():
    x, y = rows()
    loss = SPARSE()
    for name, make in (("Adam", keras.optimizers.Adam), ("SGD", lambda: keras.optimizers.SGD(0.1, momentum=0.9))):
        ends = []
        for compiled_again in (False, True):
            model = small(optimizer=make())
            model.fit(x, y, epochs=3, shuffle=False, verbose=0)
            if compiled_again:
                model.compile(optimizer=model.optimizer, loss=loss, metrics=["accuracy"])
                assert int(model.optimizer.iterations) == 9
            model.fit(x, y, epochs=3, shuffle=False, verbose=0)
            ends.append(weights_of(model))
        assert np.array_equal(*ends) and type(model.optimizer).__name__ == name
        model.compile(optimizer="adam", loss=loss)
        assert int(model.optimizer.iterations) == 0 and np.array_equal(weights_of(model), ends[0])
        model.compile(loss=loss)
        assert type(model.optimizer).__name__ == "RMSprop"

    def scores(model):
        return model.evaluate(x, y, verbose=0, return_dict=True)

    weighted = metrics.SparseCategoricalAccuracy(name="weighted")
    everything = {"loss_weights": [10.0], "metrics": ["accuracy"], "weighted_metrics": [weighted]}
    model = small(steps_per_execution=5, **everything)
    full = scores(model)
    assert set(full) == {"loss", "accuracy", "weighted"} and model.steps_per_execution == 5
    model.compile(optimizer="adam")
    assert scores(model)["loss"] == pytest.approx(full["loss"]) and set(scores(model)) == set(full)
    assert model.steps_per_execution == 1
    model.compile(optimizer="adam", loss=loss)
    assert scores(model)["loss"] == pytest.approx(full["loss"] / 10, rel=1e-4) and set(scores(model)) == set(full)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    assert set(scores(model)) == {"loss", "accuracy"}
    model.compile(optimizer="adam", loss=loss, weighted_metrics=[weighted])
    assert set(scores(model)) == {"loss", "weighted"}
    model.compile(optimizer="adam", loss=loss, metrics=[])
    assert set(scores(model)) == {"loss"}


def test_a_rate_is_assigned_without_compiling():
    """After a first `fit` an assigned rate holds: steps of SGD grow with it, 0 moves nothing; a schedule refuses."""
    x, y = rows(32)
    moved = []
    for rate in (0.0, 0.01, 0.02):
        model = small(optimizer=keras.optimizers.SGD(0.1))
        model.fit(x, y, verbose=0)
        before = weights_of(model)
        model.optimizer.learning_rate = rate
        model.fit(x, y, verbose=0)
        moved.append(np.abs(weights_of(model) - before).max())
    assert moved[0] == 0 < moved[1] and moved[2] == pytest.approx(2 * moved[1], rel=1e-2)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        keras.optimizers.Adam(schedule).learning_rate = 0.01


def test_a_layer_frozen_after_fit_learns_until_compiled():
    x, y = rows()
    for optimizer in ("adam", "sgd"):
        model = small(optimizer=optimizer)

        def moved(model=model):
            before = model.get_weights()[0]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                model.fit(x, y, verbose=0)
            return not np.array_equal(before, model.get_weights()[0])

        assert moved()
        model.layers[0].trainable = False
        assert moved()
        model.compile(optimizer=optimizer, loss=SPARSE())
        assert not moved()


def test_an_unfrozen_layer_needs_a_new_optimizer():
    x, y = rows()
    for optimizer in ("adam", "sgd"):
        model = small(optimizer=optimizer)
        model.layers[0].trainable = False
        model.compile(optimizer=optimizer, loss=SPARSE())
        model.fit(x, y, verbose=0)
        model.layers[0].trainable = True
        model.compile(optimizer=model.optimizer, loss=SPARSE())
        with pytest.raises(ValueError, match="can only be called for the variables it was originally built with"):
            model.fit(x, y, verbose=0)
        model.compile(optimizer=optimizer, loss=SPARSE())
        before = model.get_weights()[0]
        model.fit(x, y, verbose=0)
        assert not np.array_equal(before, model.get_weights()[0])


def test_labels_out_of_range_raise_on_a_cpu():
    x, y = rows()
    for eager, shift in ((False, 1), (True, 1), (True, -1)):
        model = small(run_eagerly=eager)
        with pytest.raises(tf.errors.InvalidArgumentError, match="outside the valid range"):
            model.fit(x, y + shift, verbose=0)


def test_cross_entropies_check_and_regression_losses_broadcast():
    """`fit` of four or two units on one number each: regression losses train in silence, cross-entropies refuse."""
    x, _ = rows()
    y = x[:, :1]
    for loss in ("mse", "mae", "huber", "log_cosh"):
        for units in (2, 4)[: 2 if loss == "mse" else 1]:
            model = small(functools.partial(layers.Dense, units), loss=loss, run_eagerly=True)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
            model = small(functools.partial(layers.Dense, units), loss=loss, run_eagerly=True)
            with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
                model.fit(x, y[:, 0], verbose=0)
    for loss in ("binary_crossentropy", "categorical_crossentropy"):
        for target in (np.ones((70, 1)), np.ones(70)):
            with pytest.raises(ValueError, match="must have the same"):
                small(functools.partial(layers.Dense, 4), loss=loss, run_eagerly=True).fit(x, target, verbose=0)
    for value in (losses.MeanSquaredError()(y[:, 0], y), losses.MeanSquaredError()(y, y[:, 0])):
        assert float(value) == 0


def test_a_subclass_compares_each_with_each():
    """A subclass of Loss with y of (n,) and outputs of (n, 1) is a loss of n × n pairs, and training on it fails."""
    for n in (2, 5, 30):
        y = np.random.default_rng(n).normal(size=n)
        pairs = np.mean((y[:, None] - y[None, :]) ** 2)
        assert float(Squared()(y, y[:, None])) == pytest.approx(pairs, rel=1e-4)
        assert float(Squared()(y[:, None], y[:, None])) == 0
    for seed in (0, 1):
        x, _ = rows(64, seed=seed)
        y = 3 * x[:, 0]
        errors = []
        for loss, target in ((Squared(), y), (Squared(), y[:, None]), ("mse", y)):
            keras.utils.set_random_seed(seed)
            model = keras.Sequential([keras.Input(shape=(6,)), layers.Dense(1)])
            model.compile(optimizer=keras.optimizers.Adam(0.1), loss=loss, steps_per_execution=100)
            model.fit(np.tile(x, (100, 1)), np.concatenate([target] * 100), batch_size=64, verbose=0)
            errors.append(np.mean((model.predict(x, verbose=0)[:, 0] - y) ** 2))
        assert errors[0] > 10 * errors[1] and errors[1] == pytest.approx(errors[2], rel=0.01)


def test_four_metrics_refuse_integer_classes():
    """F1Score, Precision, Recall and AUC raise in `fit` and alone; with one-hot targets they do not."""
    x, y = rows()
    p = softmax(np.random.default_rng(0).normal(size=(70, 3))).astype("float32")
    for metric in (metrics.F1Score, metrics.Precision, metrics.Recall, metrics.AUC):
        with pytest.raises(Exception, match=r"[Ss]hape|[Dd]imension"):
            metric().update_state(y, p)
        metric().update_state(np.eye(3)[y], p)
        model = small(
            functools.partial(layers.Dense, 3, activation="softmax"),
            metrics=[metric()],
            loss="sparse_categorical_crossentropy",
            run_eagerly=metric is not metrics.AUC,
        )
        with pytest.raises(Exception, match=r"[Ss]hape|Dimensions must be"):
            model.fit(x, y, verbose=0)


def test_decay_is_ignored():
    """`decay` warns and changes no rate, in all of the usual optimizers; `lr` is refused; metrics come fourth."""
    for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.RMSprop):
        with pytest.warns(UserWarning, match="`decay` is no longer supported"):
            made = optimizer(learning_rate=0.1, decay=0.5)
        x, y = rows()
        small(optimizer=made, run_eagerly=True).fit(x, y, verbose=0)
        assert float(made.learning_rate) == pytest.approx(0.1)
        with pytest.raises(ValueError, match="not recognized"):
            optimizer(lr=0.1)
    order = list(inspect.signature(keras.Model.compile).parameters)
    assert order[1:5] == ["optimizer", "loss", "loss_weights", "metrics"]


def test_a_string_makes_a_new_optimizer():
    """One object for two models is refused by the second; a string serves as many as you like."""
    x, y = rows()
    for optimizer in (keras.optimizers.Adam(), keras.optimizers.SGD(momentum=0.9)):
        small(optimizer=optimizer, run_eagerly=True).fit(x, y, verbose=0)
        with pytest.raises(ValueError, match="recreate a new optimizer instance"):
            small(optimizer=optimizer, run_eagerly=True).fit(x, y, verbose=0)
    models = [small(optimizer="adam", run_eagerly=True) for _ in range(2)]
    for model in models:
        model.fit(x, y, verbose=0)
    assert models[0].optimizer is not models[1].optimizer


def test_binary_cross_entropy_by_hand_equals_keras_far_out():
    """The exercise's function equals Keras from -200 to 200."""
    z, y = np.linspace(-200, 200, 41), np.arange(41) % 2
    theirs = losses.BinaryCrossentropy(from_logits=True, reduction=None)(y[:, None], z[:, None])
    assert binary_from_logits(y, z) == pytest.approx(numpy(theirs), rel=1e-5, abs=1e-6)
