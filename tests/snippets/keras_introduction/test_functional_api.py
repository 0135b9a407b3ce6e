"""What the lesson on the Functional API claims, each claim over a range."""

import functools
import warnings

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.keras_introduction.functional_api import (
    build,
    build_check,
    build_readers,
    build_sum,
    compile_both,
    numbers,
    share_right,
)


@functools.cache
def digits(seed=0):
    data = load_digits()
    images = (data.data / 16).astype("float32")
    return train_test_split(images, data.target, test_size=450, stratify=data.target, random_state=seed)


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def two_by_two(kind=dict):
    """Inputs a and b of four numbers, outputs p and r of one, of layers q and s."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(3, name="shared")
    p, r = layers.Dense(1, name="q")(shared(a)), layers.Dense(1, name="s")(shared(b))
    return keras.Model({"a": a, "b": b}, {"p": p, "r": r}) if kind is dict else keras.Model([a, b], [p, r])


RANDOM = np.random.default_rng(0)
X = {name: RANDOM.normal(size=(40, 4)).astype("float32") for name in "ab"}
Y = {name: RANDOM.normal(size=(40, 1)).astype("float32") for name in "pr"}


@functools.cache
def trained(seed):
    """The lesson's model, and its share of right numbers before and after."""
    x, x_test, y, y_test = digits(seed)
    model, test = compile_both(build(seed)), numbers(x_test, y_test, 1000, seed + 10)
    before = share_right(model, *test)
    model.fit(*numbers(x, y, 2000, seed), epochs=15, verbose=0)
    return model, before, share_right(model, *test)


def test_two_digits_are_read():
    for seed in (1, 2):
        _, before, after = trained(seed)
        assert before < 0.06 and after > 0.87


def test_shapes_are_checked_while_building():
    a, b = keras.Input((32,)), keras.Input((16,))
    for join in (lambda: layers.Add()([a, b]), lambda: a + b, lambda: layers.Dot(1)([a, b])):
        with pytest.raises(ValueError):
            join()
    with pytest.raises(ValueError, match="incompatible"):
        layers.Conv2D(3, 3)(a)


def test_a_shared_layer_counts_once():
    for width, calls in ((8, 2), (64, 5)):
        layer = layers.Dense(width)
        inputs = [keras.Input((20,)) for _ in range(calls)]
        assert keras.Model(inputs, [layer(one) for one in inputs]).count_params() == 21 * width
        apart = keras.Model(inputs, [layers.Dense(width)(one) for one in inputs])
        assert apart.count_params() == calls * 21 * width
    assert build().count_params() == 5460 and pytest.approx(0.43, abs=0.005) == 4160 / (5460 + 4160)


def test_plot_model_asks_for_pydot(monkeypatch):
    from keras.src.utils import model_visualization

    monkeypatch.setattr(model_visualization, "pydot", None)
    with pytest.raises(ImportError, match="You must install pydot"):
        keras.utils.plot_model(build())


def logged(model, x, y, batch_size, **options):
    """The losses of an epoch in which no weight moves."""
    names = Y if isinstance(model.output, dict) else range(2)
    loss = {name: "mse" for name in names} if isinstance(model.output, dict) else ["mse", "mse"]
    model.compile(keras.optimizers.SGD(0.0), loss=loss, **options)
    log = model.fit(x, y, batch_size=batch_size, verbose=0).history
    return {name: values[0] for name, values in log.items()}


def test_the_loss_is_the_weighted_sum():
    """Exactly where batches are equally large; else the parts are averaged over batches."""
    for p, r in ((1, 1), (10, 1), (0.5, 3)):
        log = logged(two_by_two(), X, Y, 10, loss_weights={"p": p, "r": r})
        assert log["loss"] == pytest.approx(p * log["p_loss"] + r * log["r_loss"], rel=1e-5)
    penalized = two_by_two()
    penalized.get_layer("shared").kernel.regularizer = keras.regularizers.L2(0.1)
    log, penalty = logged(penalized, X, Y, 10), 0.1 * np.square(penalized.get_layer("shared").kernel).sum()
    assert log["loss"] == pytest.approx(log["p_loss"] + log["r_loss"] + penalty, rel=1e-5)
    log = logged(two_by_two(), X, Y, 10)
    assert log["loss"] == pytest.approx(log["p_loss"] + log["r_loss"], rel=1e-5)
    model = two_by_two()
    log = logged(model, X, Y, 39)
    answers = model.predict(X, verbose=0)
    errors = {name: np.square(answers[name] - Y[name])[:, 0] for name in Y}
    assert log["loss"] == pytest.approx(sum(error.mean() for error in errors.values()), rel=1e-4)
    assert log["loss"] != pytest.approx(log["p_loss"] + log["r_loss"], rel=1e-2)


def test_one_list_of_metrics_is_refused():
    for kind, words in ((dict, "Invalid `metrics`"), (list, "tuple arity mismatch; expected: 2, got: 1")):
        y = Y if kind is dict else list(Y.values())
        model = two_by_two(kind)
        model.compile("sgd", loss="mse", metrics=["mae"])
        with pytest.raises(ValueError, match=words):
            model.fit(X, y, verbose=0)
        model = two_by_two(kind)
        model.compile("sgd", loss="mse", metrics=[["mae"], ["mae"]])
        assert sum(name.endswith("_mae") for name in model.fit(X, y, verbose=0).history) == 2
    model = two_by_two()
    model.compile("sgd", loss="mse", metrics={"p": ["mae"]})
    assert "p_mae" in model.fit(X, Y, verbose=0).history


def test_weights_of_examples_go_by_outputs():
    model = two_by_two()
    model.compile("sgd", loss={"p": "mse", "r": "mse"})
    log = model.fit(X, Y, sample_weight={"p": np.ones(40), "r": np.zeros(40)}, verbose=0).history
    assert log["p_loss"][0] > 0 and log["r_loss"][0] == 0
    log = model.fit(X, Y, sample_weight=np.zeros(40), verbose=0).history
    assert log["p_loss"][0] == log["r_loss"][0] == log["loss"][0] == 0
    with pytest.raises(ValueError, match="only supported for Models with a single output"):
        model.fit(X, Y, class_weight={0: 1.0, 1: 2.0}, verbose=0)


def test_sharing_reads_what_one_place_never_showed():
    """The tens below 5 or below 7 in training; SGD with momentum as well as Adam."""
    for seed, limit, optimizer in ((1, 5, "adam"), (2, 7, keras.optimizers.SGD(0.1, momentum=0.9))):
        x, x_test, y, y_test = digits(seed)
        low, every = numbers(x[y < limit], y[y < limit], 1000, seed), numbers(x, y, 1000, seed + 1)
        data = (
            {"tens_image": low[0]["tens_image"], "units_image": every[0]["units_image"]},
            {"tens": low[1]["tens"], "units": every[1]["units"]},
        )
        right = {}
        for shared in (True, False):
            model = build_readers(shared, seed)
            model.compile(optimizer, loss={"tens": cross_entropy(), "units": cross_entropy()})
            optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
            model.fit(*data, epochs=20, verbose=0)
            answer = model.predict({"tens_image": x_test, "units_image": x_test}, verbose=0)["tens"].argmax(1)
            right[shared] = (answer == y_test)[y_test >= limit].mean()
            assert (answer == y_test)[y_test < limit].mean() > 0.9
        assert right[True] > 0.8 and right[False] == 0, (seed, right)


def with_two_encoders(seed):
    keras.utils.set_random_seed(seed)
    images = {name: keras.Input((64,), name=name) for name in ("tens_image", "units_image")}
    features = [layers.Dense(64, activation="relu")(image) for image in images.values()]
    outputs = {name: layers.Dense(10)(one) for name, one in zip(("tens", "units"), features, strict=True)}
    return keras.Model(images, outputs)


def test_with_enough_data_sharing_changes_little():
    differences = []
    for seed in range(3):
        x, x_test, y, y_test = digits(seed)
        train, test = numbers(x, y, 1000, seed), numbers(x_test, y_test, 2000, seed + 20)
        scores = []
        for model in (build(seed), with_two_encoders(seed)):
            compile_both(model, steps_per_execution=16)
            model.fit(*train, epochs=30, verbose=0)
            scores.append(share_right(model, *test))
        differences.append(scores[0] - scores[1])
    assert abs(np.mean(differences)) < 0.02, differences


def test_merging_layers_ask_for_these_shapes():
    a, b, one = keras.Input((8, 32)), keras.Input((8, 32)), keras.Input((8, 1))
    other = keras.Input((4, 32))
    assert layers.Concatenate()([a, keras.Input((8, 5))]).shape == (None, 8, 37)
    with pytest.raises(ValueError, match="matching shapes except for the concatenation axis"):
        layers.Concatenate()([a, other])
    for layer in (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum):
        assert layer()([a, b]).shape == layer()([a, one]).shape == (None, 8, 32)
        with pytest.raises(ValueError, match="incompatible"):
            layer()([a, other])
    assert layers.Dot(axes=2)([a, other]).shape == (None, 8, 4)
    with pytest.raises(ValueError):
        layers.Dot(axes=1)([a, other])


def test_adding_digits_beats_the_output_for_the_sum():
    for seed, weight, count in ((1, 0.1, 2000), (2, 3.0, 3000)):
        x, x_test, y, y_test = digits(seed)
        train, test = numbers(x, y, count, seed), numbers(x_test, y_test, 1000, seed + 30)
        model = build_sum(seed)
        model.compile(
            "adam",
            loss={name: cross_entropy() for name in model.output},
            loss_weights={"tens": weight, "units": weight, "sum": 1.0},
        )
        model.fit(train[0], {**train[1], "sum": train[1]["tens"] + train[1]["units"]}, epochs=15, verbose=0)
        answer = {name: logits.argmax(1) for name, logits in model.predict(test[0], verbose=0).items()}
        truth = test[1]["tens"] + test[1]["units"]
        added = np.mean(answer["tens"] + answer["units"] == truth)
        assert added > np.mean(answer["sum"] == truth) + 0.1, (seed, weight)


def test_a_part_is_the_same_object():
    """Trained in one model, changed in the other; frozen in one, frozen in the other."""
    model = two_by_two()
    image = keras.Input((4,))
    part = keras.Model(image, model.get_layer("shared")(image))
    by_output = keras.Model(model.inputs[0], model.get_layer("shared").output)
    before = part.predict(X["a"], verbose=0)
    model.compile("sgd", loss="mse")
    model.fit(X, Y, verbose=0)
    after = part.predict(X["a"], verbose=0)
    assert not np.allclose(before, after) and np.array_equal(after, by_output.predict(X["a"], verbose=0))
    part.trainable = False
    assert not model.get_layer("shared").trainable and len(model.trainable_weights) == 4


def test_names_are_checked_and_order_is_not():
    named, listed = two_by_two(), two_by_two(list)

    def fit(x):
        named.compile("sgd", loss="mse")
        named.fit(x, Y, verbose=0)

    for use in (lambda x: named.predict(x, verbose=0), fit, named):
        with pytest.raises(ValueError, match="Missing data for input|expected.*keys|Expected the following keys"):
            use({"a": X["a"], "B": X["b"]})
        with pytest.warns(UserWarning, match="structure of `inputs` doesn't match"):
            use({**X, "c": X["a"]})
    turned = {"b": X["b"], "a": X["a"]}
    assert np.array_equal(named.predict(X, verbose=0)["p"], named.predict(turned, verbose=0)["p"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right, wrong = (listed.predict(x, verbose=0)[0] for x in ([X["a"], X["b"]], [X["b"], X["a"]]))
    assert not np.allclose(right, wrong)


def test_names_of_loss_weights_are_not_compared():
    for weights, p, r in (({"R": 10.0, "p": 1.0}, 10, 1), ({"x": 2.0, "r": 1.0}, 1, 2), ({"p": 5.0, "r": 1.0}, 5, 1)):
        log = logged(two_by_two(), X, Y, 10, loss_weights=weights)
        assert log["loss"] == pytest.approx(p * log["p_loss"] + r * log["r_loss"], rel=1e-5), weights


def test_one_target_for_two_outputs_is_refused():
    for kind, error, words in (
        (dict, ValueError, "y_true and y_pred have different structures"),
        (list, KeyError, "The path: \\(0,\\) in the `loss` argument, can't be found"),
    ):
        model = two_by_two(kind)
        model.compile("sgd", loss={"p": "mse", "r": "mse"} if kind is dict else "mse")
        with pytest.raises(error, match=words):
            model.fit(X, Y["p"], verbose=0)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_after_a_failed_fit_compile_again(optimizer):
    chain = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    for model, good, bad in (
        (two_by_two(), (X, Y), (X, Y["p"])),
        (two_by_two(), (X, Y), ({"a": X["a"], "B": X["b"]}, Y)),
        (chain, (X["a"], Y["p"]), (X["a"][:, :3], Y["p"])),
    ):
        model.compile(optimizer, loss="mse")
        with pytest.raises((ValueError, KeyError)):
            model.fit(*bad, verbose=0)
        with pytest.raises(ValueError, match="Creating variables on a non-first call"):
            model.fit(*good, verbose=0)
        model.compile(optimizer, loss="mse")
        model.fit(*good, verbose=0)


def test_symbolic_tensors_have_no_values():
    import tensorflow as tf

    tensor = keras.Input((3,))
    for function in (np.exp, np.asarray, float):
        with pytest.raises(ValueError, match="A KerasTensor is symbolic"):
            function(tensor)
    with pytest.raises(ValueError, match="cannot be used as input to a TensorFlow function"):
        tf.exp(tensor)
    with pytest.raises(TypeError, match="cannot be used as a boolean"):
        bool(tensor > 0)
    for function in (keras.ops.exp, keras.ops.sum, abs, lambda t: 1 / (t + 2)):
        assert keras.Model(tensor, function(tensor)).count_params() == 0


def test_where_and_while_loop_stand_in_a_graph():
    ops, tensor = keras.ops, keras.Input((4,))
    absolute = keras.Model(tensor, ops.where(tensor > 0, tensor, -tensor))
    assert np.array_equal(absolute.predict(X["a"], verbose=0), np.abs(X["a"]))
    doubled = ops.while_loop(lambda t: ops.sum(t) < 100.0, lambda t: (2 * t,), (tensor,))
    for start, end in ((1.0, 16.0), (3.0, 24.0), (60.0, 60.0)):
        assert np.ravel(keras.Model(tensor, doubled)(np.full((2, 4), start, "float32"))[0])[0] == end


def test_tensors_of_an_inner_model_are_not_connected():
    for make in (
        lambda i: keras.Sequential([i, layers.Dense(5), layers.Dense(2)]),
        lambda i: keras.Model(i, layers.Dense(2)(layers.Dense(5)(i))),
    ):
        inner, outer = make(keras.Input((3,))), keras.Input((3,))
        keras.Model(outer, layers.Dense(1)(inner(outer)))
        dense = next(layer for layer in inner.layers if isinstance(layer, layers.Dense))
        with pytest.raises(ValueError, match="is not connected to `inputs`"):
            keras.Model(outer, dense.output)
        assert keras.Model(outer, dense(outer)).output_shape == (None, 5)


def questions(x, y, seed):
    wrong = (y + np.random.default_rng(seed).integers(1, 10, len(y))) % 10
    return {"image": np.tile(x, (2, 1)), "digit": np.append(y, wrong)}, np.repeat([1, 0], len(y))


def test_image_and_digit_have_to_be_combined():
    """With the hidden layer nearly all answers are right; without it, few more than by guessing."""
    for seed in (1, 2):
        x, x_test, y, y_test = digits(seed)
        image, digit = keras.Input((64,), name="image"), keras.Input((), dtype="int32", name="digit")
        both = layers.Concatenate()([layers.Dense(64, "relu")(image), layers.Embedding(10, 16)(digit)])
        direct = keras.Model({"image": image, "digit": digit}, layers.Dense(1, "sigmoid")(both))
        direct.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        scores = []
        for model in (build_check(seed), direct):
            model.fit(*questions(x, y, seed), epochs=15, verbose=0)
            scores.append(model.evaluate(*questions(x_test, y_test, seed + 1), verbose=0)[1])
        assert scores[0] > 0.9 and scores[1] < 0.65, scores


def test_features_are_better_neighbors_than_pixels():
    better = []
    for seed in (1, 2):
        x, x_test, y, y_test = digits(seed)
        model, *_ = trained(seed)
        image = keras.Input((64,))
        extractor = keras.Model(image, model.get_layer("encoder")(image))
        scores = []
        for few, many in ((x[:100], x_test), [extractor.predict(part, verbose=0) for part in (x[:100], x_test)]):
            distances = np.square(many[:, None] - few).sum(-1)
            scores.append(np.mean(y[:100][distances.argmin(1)] == y_test))
        better.append(scores[1] - scores[0])
    assert min(better) > 0, better
