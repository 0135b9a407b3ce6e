"""What the lesson on the Sequential API claims, each claim over a range."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from snippets.keras_introduction.sequential_api import build, forward, forward_normalized, softmax

LOSS = "sparse_categorical_crossentropy"


def split(seed, size=28):
    """Rows of the digits in `size` × `size` pixels, to train and to test, and their labels."""
    digits = load_digits()
    images = (digits.images[..., np.newaxis] / 16).astype("float32")
    if size != 8:
        images = ops.convert_to_numpy(ops.image.resize(images, (size, size)))
    rows = images.reshape(len(images), -1)
    return train_test_split(rows, digits.target, test_size=0.25, random_state=seed, stratify=digits.target)


def random_rows(n, width, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, width)).astype("float32"), random.integers(0, 3, n)


def small_model(width=6, activation="relu", **options):
    """A model of three classes, compiled, that is made and trained in a moment."""
    model = keras.Sequential(
        [keras.Input(shape=(width,)), layers.Dense(5, activation), layers.Dense(3, activation="softmax")]
    )
    model.compile(loss=LOSS, metrics=["accuracy"], **{"optimizer": "adam", **options})
    return model


def weights_of(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def answers(model, x, **options):
    return ops.convert_to_numpy(model(x, **options))


def test_five_epochs_lead_from_guessing_to_reading():
    """Over seeds, splits and one or two hidden layers of 64 to 256 units: from guessing to more than 0.92."""
    for seed, hidden in ((3, (64,)), (4, (256,)), (7, (256, 128))):
        x, x_test, y, y_test = split(seed)
        model = build(seed, hidden)
        assert model.evaluate(x_test, y_test, verbose=0)[1] < 0.25
        model.fit(x, y, epochs=5, verbose=0)
        assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.92


def test_kernels_begin_random_and_biases_at_zero():
    """Kernels differ from unit to unit and from model to model; biases are zero."""
    for make, shape in ((lambda: layers.Dense(7), (None, 9)), (lambda: layers.Conv2D(4, 3), (None, 8, 8, 2))):
        one, other = make(), make()
        for layer in (one, other):
            layer.build(shape)
            assert np.all(ops.convert_to_numpy(layer.bias) == 0)
        kernels = [ops.convert_to_numpy(layer.kernel) for layer in (one, other)]
        assert not np.any(kernels[0] == kernels[1])
        assert len(np.unique(kernels[0])) == kernels[0].size


def test_softmax_sees_only_differences():
    """The lesson's softmax does not change with what is added to a row, and holds where `exp` alone overflows."""
    z = np.random.default_rng(0).normal(0, 3, (20, 5))
    plain = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    for added in (-50.0, 3.0, 700.0, 1e5):
        assert softmax(z + added) == pytest.approx(plain, abs=1e-9)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(np.exp(z + 1000) / np.exp(z + 1000).sum(axis=1, keepdims=True)).all()


def test_numpy_computes_what_keras_does():
    """For one to four dense layers of any width with biases, on batches that do not come out even."""
    for seed, widths in enumerate(((3,), (17, 4), (30, 1, 5), (8, 8, 8, 2))):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(shape=(11,))])
        for width in widths[:-1]:
            model.add(layers.Dense(width, activation="relu", bias_initializer="random_normal"))
        model.add(layers.Dense(widths[-1], activation="softmax", bias_initializer="random_normal"))
        x = 3 * random_rows(45, 11, seed)[0]
        assert forward(model, x) == pytest.approx(model.predict(x, verbose=0), abs=1e-5)


def test_linear_layers_collapse_and_relu_layers_do_not():
    """What a stack of linear layers computes is affine, f(a) + f(b) = f(a + b) + f(0); with ReLU it is not."""
    a, b = random_rows(40, 6, 1)[0], random_rows(40, 6, 2)[0]
    for seed, widths in enumerate(((5, 4), (20, 10, 3))):
        for activation, affine in (("linear", True), ("relu", False)):
            keras.utils.set_random_seed(seed)
            model = keras.Sequential([keras.Input(shape=(6,))])
            for width in widths:
                model.add(layers.Dense(width, activation=activation, bias_initializer="random_normal"))
            model.add(layers.Dense(4, bias_initializer="random_normal"))
            apart = answers(model, a) + answers(model, b) - answers(model, a + b) - answers(model, 0 * a)
            assert (np.abs(apart).max() < 1e-4) == affine
            W, b_all = np.eye(6), np.zeros(6)
            for layer in model.layers:
                kernel, bias = layer.get_weights()
                W, b_all = W @ kernel, b_all @ kernel + bias
            assert np.allclose(answers(model, a), a @ W + b_all, atol=1e-4) == affine


def test_parameters_follow_the_formulas():
    """Dense n·m + m, Conv2D (k·k·c + 1)·f on pictures of any size, normalization 4 a feature, half not trained."""
    for n, m in ((3, 1), (50, 20), (784, 128)):
        for batch in (None, 1, 64):
            dense = keras.Sequential([keras.Input(batch_shape=(batch, n)), layers.Dense(m, activation="relu")])
            assert dense.count_params() == n * m + m
    for k, c, f in ((3, 1, 16), (5, 3, 8), (1, 4, 2)):
        for side in (12, 28):
            convolution = keras.Sequential([keras.Input(shape=(side, side, c)), layers.Conv2D(f, k)])
            assert convolution.count_params() == (k * k * c + 1) * f
            assert convolution.output_shape == (None, side - k + 1, side - k + 1, f)
    for shape in ((7,), (5, 5, 3)):
        norm = keras.Sequential([keras.Input(shape=shape), layers.BatchNormalization()])
        assert norm.count_params() == 4 * shape[-1]
        assert sum(np.prod(weight.shape) for weight in norm.non_trainable_weights) == 2 * shape[-1]
    for layer in (layers.Dropout(0.5), layers.Flatten(), layers.MaxPooling2D(2), layers.Activation("relu")):
        assert keras.Sequential([keras.Input(shape=(8, 8, 2)), layer]).count_params() == 0


def test_the_summary_counts_the_optimizer_after_fit():
    """Adam's two numbers a parameter and two more stand in the summary after the first `fit`, not before."""
    for width in (4, 9):
        model = small_model(width)
        x, y = random_rows(8, width)
        printed = []
        for _ in range(2):
            lines = []
            model.summary(print_fn=lambda text, lines=lines, **_: lines.append(text))
            printed.append(" ".join(lines))
            model.fit(x, y, verbose=0)
        count = model.count_params()
        assert "Optimizer params" not in printed[0] and f"Total params: {count:,} " in printed[0]
        assert f"Optimizer params: {2 * count + 2:,} " in printed[1]
        assert f"Total params: {3 * count + 2:,} " in printed[1] and f"Trainable params: {count:,} " in printed[1]


def test_a_model_of_the_same_layers_shares_their_weights():
    """Training either of two models with common layers changes what the other answers; `Input` is not a layer."""
    x, y = random_rows(30, 6)
    model = small_model()
    part = keras.Sequential([keras.Input(shape=(6,)), *model.layers[:1]])
    assert len(model.layers) == 2 and part.layers[0] is model.layers[0]
    before = answers(part, x)
    model.fit(x, y, verbose=0)
    assert np.abs(answers(part, x) - before).max() > 1e-4
    before = answers(model, x)
    part.compile(optimizer="adam", loss="mse")
    part.fit(x, np.ones((30, 5)), verbose=0)
    assert np.abs(answers(model, x) - before).max() > 1e-4


def test_a_saved_model_answers_as_before():
    """Saved and loaded, dense, convolutional and normalized models answer the same."""
    convolution = [keras.Input(shape=(6, 6, 1)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)]
    normalized = [keras.Input(shape=(6,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5)]
    x = random_rows(20, 36)[0]
    for model, inputs in (
        (small_model(), x[:, :6]),
        (keras.Sequential(convolution), x.reshape(-1, 6, 6, 1)),
        (keras.Sequential(normalized), x[:, :6]),
    ):
        model(inputs, training=True)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder, "digits.keras"))
            loaded = keras.saving.load_model(Path(folder, "digits.keras"))
        assert answers(loaded, inputs) == pytest.approx(answers(model, inputs), abs=1e-6)


def test_dropout_acts_in_training_only():
    """In training about a share `rate` is 0 and the others are divided by 1 - rate; otherwise nothing changes."""
    x = np.full((100, 200), 3.0, "float32")
    for rate in (0.1, 0.4, 0.8):
        layer = layers.Dropout(rate, seed=1)
        dropped = answers(layer, x, training=True)
        kept = dropped[dropped != 0]
        assert np.mean(dropped == 0) == pytest.approx(rate, abs=0.02)
        assert kept == pytest.approx(np.full(kept.shape, 3 / (1 - rate)), rel=1e-5)
        assert np.array_equal(answers(layer, x), x) and np.array_equal(answers(layer, x, training=False), x)


def test_only_fit_trains():
    """`fit` has dropout and normalization in training mode; `evaluate`, `predict` and a call do not."""
    x, y = np.ones((20, 50), "float32"), np.ones((20, 50), "float32")
    model = keras.Sequential([keras.Input(shape=(50,)), layers.Dropout(0.5)])
    model.compile(optimizer="sgd", loss="mse")
    assert model.evaluate(x, y, verbose=0) == 0
    assert np.array_equal(model.predict(x, verbose=0), x) and np.array_equal(answers(model, x), x)
    assert model.fit(x, y, verbose=0).history["loss"][0] > 0.5
    x = random_rows(32, 4)[0] + 5
    model = keras.Sequential([keras.Input(shape=(4,)), layers.BatchNormalization()])
    model.compile(optimizer="sgd", loss="mse")
    start = weights_of(model)
    for use in (model.predict, lambda x, **_: model.evaluate(x, x, verbose=0), lambda x, **_: model(x)):
        use(x, verbose=0)
        assert np.array_equal(weights_of(model), start)
    model.fit(x, x, verbose=0)
    assert model.layers[0].get_weights()[2] == pytest.approx(0.01 * x.mean(axis=0), rel=1e-3)


def test_a_second_fit_goes_on():
    """Two calls of `fit` end with the weights of one call with as many epochs."""
    x, y = random_rows(50, 6)
    ends = []
    for parts in ((4,), (1, 3)):
        keras.utils.set_random_seed(0)
        model = small_model()
        for epochs in parts:
            model.fit(x, y, epochs=epochs, shuffle=False, verbose=0)
        ends.append(weights_of(model))
    assert ends[1] == pytest.approx(ends[0], abs=1e-5)


def test_after_few_batches_the_averages_lag():
    """0.99 to the power of the batches is left of the start; weights do better once the averages caught up."""
    for batches in (1, 20, 43, 200):
        norm = layers.BatchNormalization()
        x = np.array([[1.0], [3.0]], "float32")
        for _ in range(batches):
            norm(x, training=True)
        mean, variance = norm.get_weights()[2:]
        assert mean == pytest.approx([2 * (1 - 0.99**batches)], abs=1e-3)
        assert variance == pytest.approx([1.0], abs=1e-3)
    for seed, units, batch_size in ((1, (128, 64), 32), (2, (64,), 32), (5, (64,), 48)):
        x, x_test, y, y_test = split(seed)
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(shape=(784,))])
        for width in units:
            for layer in (layers.Dense(width), layers.BatchNormalization(), layers.Activation("relu")):
                model.add(layer)
        model.add(layers.Dense(10, activation="softmax"))
        model.compile(optimizer="adam", loss=LOSS, metrics=["accuracy"])
        model.fit(x, y, batch_size=batch_size, verbose=0)
        lagging = model.evaluate(x_test, y_test, verbose=0)[1]
        for layer in model.layers:
            layer.momentum = 0.5
        for _ in range(20):
            model(x, training=True)  # the averages move, the weights do not
        assert model.evaluate(x_test, y_test, verbose=0)[1] > lagging + 0.03


def test_a_hidden_layer_pays_where_a_linear_model_cannot_follow():
    """Against the best linear model a hidden layer gains little on ten digits, and much on odd or even.

    The linear model is trained until nothing improves, and its penalty chosen on the test set, in its favor. The
    networks have one hidden layer with ReLU, and Adam at its default rate.
    """
    gains = {10: [], 2: []}
    for seed, size, units, epochs in (
        (3, 28, 64, 10),
        (4, 8, 32, 60),
        (5, 8, 64, 30),
        (6, 8, 64, 60),
        (7, 8, 128, 30),
    ):
        x, x_test, y, y_test = split(seed, size)
        for classes, gained in gains.items():
            linear = max(
                LogisticRegression(C=strength, max_iter=1000, tol=1e-3)
                .fit(x, y % classes)
                .score(x_test, y_test % classes)
                for strength in ((1.0,) if size == 28 else (0.01, 0.1, 1.0, 10.0))
            )
            network = MLPClassifier(
                (units,), alpha=0, batch_size=32, max_iter=epochs, n_iter_no_change=epochs, random_state=seed
            )
            with pytest.warns():  # that the number of epochs is given
                network.fit(x, y % classes)
            gained.append(network.score(x_test, y_test % classes) - linear)
    assert abs(np.mean(gains[10])) < 0.02 and max(gains[10]) < 0.03
    assert np.mean(gains[2]) > 0.03 and min(gains[2]) > 0.01


def test_one_example_is_a_batch_of_one():
    """One example alone is refused by a call, and by `predict`, which cuts it in batches of 32; not as a batch."""
    for width in (100, 784):
        model = build(0) if width == 784 else small_model(width)
        x = random_rows(3, width)[0]
        with pytest.raises(ValueError, match=rf"Expected shape \(None, {width}\).*incompatible shape \({width},\)"):
            model(x[0])
        with pytest.raises(ValueError, match=rf"Expected shape \(None, {width}\).*incompatible shape \(32,\)"):
            model.predict(x[0], verbose=0)
    for seen in (1, 3):
        model = small_model(100)
        model.predict(x[:seen, :100], verbose=0)
        with pytest.raises(ValueError, match="Cannot take the length of shape with unknown rank"):
            model.predict(x[0, :100], verbose=0)
        assert len(model(x[:1, :100])) == len(model.predict(x[:1, :100], verbose=0)) == 1


def test_dense_acts_on_the_last_axis():
    """Dense gives each place of the other axes what it gives that place alone."""
    for shape in ((4, 5), (4, 3, 5), (2, 3, 4, 5)):
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        layer = layers.Dense(7, activation="relu")
        whole = answers(layer, x)
        assert whole.shape == (*shape[:-1], 7) and layer.count_params() == 5 * 7 + 7
        alone = answers(layer, x.reshape(-1, 5)).reshape(whole.shape)
        assert whole == pytest.approx(alone, abs=1e-5)


def test_without_flatten_the_loss_refuses():
    """It compiles, and `fit` raises; with Flatten or global pooling, or a label for each place, it trains."""
    x, y = np.zeros((8, 12, 12, 1), "float32"), np.arange(8) % 3
    for kernel, places in ((3, 5), (5, 4)):

        def convolution(*layers_between, kernel=kernel):
            model = keras.Sequential(
                [keras.Input(shape=(12, 12, 1)), layers.Conv2D(2, kernel), layers.MaxPooling2D(2), *layers_between]
            )
            model.add(layers.Dense(3, activation="softmax"))
            model.compile(optimizer="adam", loss=LOSS)
            return model

        model = convolution()
        assert model.output_shape == (None, places, places, 3)
        with pytest.raises(ValueError, match=r"must have rank \(ndim\) `target.ndim - 1`"):
            model.fit(x, y, verbose=0)
        convolution().fit(x, np.zeros((8, places, places), int), verbose=0)
        for cure in (layers.Flatten(), layers.GlobalAveragePooling2D()):
            mended = convolution(cure)
            assert mended.output_shape == (None, 3)
            mended.fit(x, y, verbose=0)


@pytest.mark.parametrize(("optimizer", "pops"), [("adam", 0), ("sgd", 1), ("rmsprop", 1)])
def test_a_layer_added_after_fit_never_learns_until_compiled(optimizer, pops):
    """On TensorFlow a layer added after a first `fit` stands still, and what was compiled runs the old layers on."""
    x, y = random_rows(60, 6)

    def moved(model, epochs=3):
        before = model.get_weights()
        model.fit(x, y, epochs=epochs, verbose=0)
        return [np.abs(new - old).max() for new, old in zip(model.get_weights(), before)]

    def change(model):
        for _ in range(pops):
            model.pop()
        model.add(layers.Dense(3, activation="softmax"))

    model = small_model(optimizer=optimizer)
    model.fit(x, y, verbose=0)
    old_layers = list(model.layers)
    old_network = keras.Sequential([keras.Input((x.shape[1],)), *old_layers])
    evaluated, predicted = model.evaluate(x, y, verbose=0), model.predict(x, verbose=0)
    assert np.allclose(predicted, answers(old_network, x), atol=1e-6)
    change(model)
    assert np.array_equal(model.predict(x, verbose=0), predicted)
    assert model.evaluate(x, y, verbose=0) == evaluated
    last = old_layers[-1].get_weights()[0]
    *old, kernel, bias = moved(model)
    assert kernel == bias == 0 and max(old) > 1e-4 and np.abs(old_layers[-1].get_weights()[0] - last).max() > 1e-4
    direct = answers(model, x)
    assert np.allclose(model.predict(x, verbose=0), answers(old_network, x), atol=1e-6)
    assert not np.allclose(model.predict(x, verbose=0), direct, atol=1e-3)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded = keras.saving.load_model(f"{folder}/model.keras")
    assert np.allclose(loaded.predict(x, verbose=0), direct, atol=1e-6)
    model.compile(optimizer=optimizer, loss=LOSS)
    assert min(moved(model)) > 0
    model = small_model(optimizer=optimizer)
    change(model)
    assert min(moved(model)) > 0


@pytest.mark.parametrize("steps", [None, 32])
def test_a_shape_too_many_is_refused_by_the_data(steps):
    """With a batch axis in `Input` a model is built, with as many parameters, and refuses single rows."""
    x, y = random_rows(20, 6)
    model = keras.Sequential([keras.Input((steps, 6)), layers.Dense(5, activation="relu"), layers.Dense(3)])
    assert model.count_params() == 6 * 5 + 5 + 5 * 3 + 3
    model.compile(optimizer="adam", loss=LOSS)
    for use in (model, lambda rows: model.predict(rows, verbose=0), lambda rows: model.fit(rows, y, verbose=0)):
        with pytest.raises(ValueError, match="Expected shape"):
            use(x)


@pytest.mark.parametrize("size", [4, 9])
def test_rows_for_an_answer_are_refused_by_the_loss(size):
    """Pictures given to `Dense` as rows: built and predicted without a word, refused by `fit` and `evaluate`."""
    x, y = np.zeros((20, size, size), "float32"), np.arange(20) % 3
    model = keras.Sequential([keras.Input((size, size)), layers.Dense(8), layers.Dense(3, activation="softmax")])
    model.compile(optimizer="adam", loss=LOSS)
    assert model.predict(x, verbose=0).shape == (20, size, 3)
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="rank"):
            use(x, y, verbose=0)


def test_without_an_input_the_first_batch_builds_the_model():
    """No weights and no count before the first batch; `fit` or a call makes them."""
    x, y = random_rows(20, 6)
    for use in (lambda model: model.fit(x, y, verbose=0), lambda model: model(x)):
        model = keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(3, activation="softmax")])
        model.compile(optimizer="adam", loss=LOSS)
        assert model.weights == [] and not model.built
        with pytest.raises(ValueError, match="isn't built"):
            model.count_params()
        use(model)
        assert model.count_params() == 6 * 5 + 5 + 5 * 3 + 3


def test_inputs_is_there_and_input_is_not():
    """`.input` raises before and after training, until the model is used in another; `.inputs[0]` never does."""
    x, y = random_rows(20, 6)
    for trained in (False, True):
        model = small_model()
        if trained:
            model.fit(x, y, verbose=0)
            model.predict(x, verbose=0)
        with pytest.raises(AttributeError, match="has never been called and thus has no defined input"):
            _ = model.input
        part = keras.Model(model.inputs[0], model.layers[0].output)
        assert answers(part, x).shape == (20, 5)
        keras.Sequential([keras.Input(shape=(6,)), model])
        assert model.input.shape == (None, 6)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_a_second_input_is_dropped():
    """A call, `predict`, `evaluate` and `fit` warn or not, and use the first input alone."""
    x, y = random_rows(20, 6)
    other = random_rows(20, 6, seed=1)[0]
    keras.utils.set_random_seed(0)
    model = small_model()
    with pytest.warns(UserWarning, match="The structure of `inputs` doesn't match"):
        assert np.array_equal(answers(model, [x, other]), answers(model, x))
    assert model.predict([x, other], verbose=0) == pytest.approx(model.predict(x, verbose=0), abs=1e-6)
    assert model.evaluate([x, other], y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), abs=1e-6)
    ends = []
    for inputs in (x, [x, other]):
        keras.utils.set_random_seed(0)
        model = small_model()
        model.fit(inputs, y, epochs=2, shuffle=False, verbose=0)
        ends.append(weights_of(model))
    assert ends[1] == pytest.approx(ends[0], abs=1e-6)


def test_a_bias_before_a_normalization_does_nothing():
    """In training whatever bias is added before a normalization, its answers are the same; without one they are too."""
    x = random_rows(40, 6)[0]
    dense, plain = layers.Dense(4), layers.Dense(4, use_bias=False)
    dense.build((None, 6))
    plain.build((None, 6))
    plain.set_weights(dense.get_weights()[:1])
    expected = answers(layers.BatchNormalization(), plain(x), training=True)
    for bias in (0.0, 1.0, -20.0):
        dense.set_weights([dense.get_weights()[0], np.full(4, bias)])
        assert answers(layers.BatchNormalization(), dense(x), training=True) == pytest.approx(expected, abs=1e-3)
    assert dense.count_params() - plain.count_params() == 4


def test_a_fresh_normalization_hides_mistakes():
    """`forward_normalized` equals Keras on trained models; on a fresh one mean and shift can be swapped unseen."""

    class Swapped:
        """A model's layers, whose normalizations give shift and mean, or scale and variance, in the wrong places."""

        def __init__(self, model, order):
            self.layers = [
                layer if not isinstance(layer, layers.BatchNormalization) else Normalization(layer, order)
                for layer in model.layers
            ]

    class Normalization(layers.BatchNormalization):
        def __init__(self, layer, order):
            super().__init__()
            self.swapped = [layer.get_weights()[i] for i in order]

        def get_weights(self):
            return self.swapped

    x, y = random_rows(60, 6)
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(shape=(6,)), layers.Dense(5), layers.BatchNormalization()])
        for layer in (layers.Activation("relu"), layers.Dropout(0.3), layers.Dense(3, activation="softmax")):
            model.add(layer)
        model.compile(optimizer="adam", loss=LOSS)
        for trained in (False, True):
            if trained:
                model.fit(x + 1, y, epochs=20, verbose=0)
            expected = model.predict(x, verbose=0)
            assert forward_normalized(model, x) == pytest.approx(expected, abs=1e-5)
            for order in ((0, 2, 1, 3), (3, 1, 2, 0)):
                wrong = np.abs(forward_normalized(Swapped(model, order), x) - expected).max()
                assert (wrong > 0.01) == trained
