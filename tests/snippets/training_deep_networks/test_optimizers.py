"""What the lesson on optimizers claims."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from snippets.training_deep_networks.optimizers import (
    RULES,
    SignMomentum,
    Stack,
    adam,
    build_classifier,
    descend,
    keras_descend,
    keras_optimizer,
    logits_of,
    losses_of,
    momentum,
    nesterov,
    ravine,
    sgd,
    split,
    stacked_weights,
    steps_to_settle,
    textbook_nesterov,
    wilson_data,
)

START = np.array([3.0, -2.0, 1.0])
RATE = 1 / 32


def bowl(w):
    """The gradient of a function that is neither quadratic nor round."""
    return np.array([1.0, 0.1, 5.0]) * w + 0.1 * w**3


def gap(first, second):
    return np.abs(first - second).max()


def loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return (data.data / 16).astype("float32"), data.target


@pytest.mark.parametrize("name", RULES)
def test_the_rule_from_scratch_is_that_of_keras(name):
    ours = descend(RULES[name], bowl, START, RATE, 60)
    assert gap(ours, keras_descend(keras_optimizer(name, RATE), bowl, START, 60)) < 1e-5
    assert gap(ours, ours[0]) > 0.1


EXACT = {"beta_1": 0.875, "beta_2": 1 - 2**-10, "epsilon": 2**-23}


@pytest.mark.parametrize(
    ("rule", "optimizer", "options"),
    [
        (momentum, keras.optimizers.SGD(RATE, momentum=0.875), {"mu": 0.875}),
        (nesterov, keras.optimizers.SGD(RATE, momentum=0.875, nesterov=True), {"mu": 0.875}),
        (adam, keras.optimizers.Adam(RATE, **EXACT), EXACT),
    ],
)
def test_with_constants_that_need_no_rounding_the_rules_agree_to_the_last_digits(rule, optimizer, options):
    ours = descend(rule, bowl, START, RATE, 60, **options)
    assert gap(ours, keras_descend(optimizer, bowl, START, 60)) < 1e-12


def test_keras_stores_the_point_ahead_of_the_textbooks_nesterov():
    ahead = textbook_nesterov(bowl, START, 0.05, 60)
    assert gap(ahead, descend(nesterov, bowl, START, 0.05, 60)) < 1e-12
    assert gap(ahead, descend(momentum, bowl, START, 0.05, 60)) > 1e-3


@pytest.mark.parametrize(("sign", "factor"), [(1.0, 10.0), (-1.0, 1 / 1.9)])
def test_momentum_lengthens_steps_that_agree_and_shortens_those_that_alternate(sign, factor):
    steps = iter(sign ** np.arange(200))
    path = descend(momentum, lambda w: next(steps), np.zeros(1), 1.0, 200)
    assert abs(path[-1] - path[-2]) == pytest.approx(factor, rel=1e-6)


def test_turning_the_ravine_leaves_sgd_and_momentum_alone_and_not_rmsprop_and_adam():
    rates = np.logspace(-3, 0.5, 36)
    for name, same in (("SGD", True), ("momentum", True), ("Nesterov", True), ("RMSprop", False), ("Adam", False)):
        straight, turned = (steps_to_settle(RULES[name], *ravine(50, degrees), rates) for degrees in (0, 45))
        assert np.array_equal(straight, turned) == same, name


def test_on_the_ravine_nesterov_settles_first_and_rmsprop_last():
    rates = np.logspace(-3, 0.5, 36)
    best = {name: steps_to_settle(RULES[name], *ravine(50), rates).min() for name in RULES}
    assert min(best, key=best.get) == "Nesterov"
    assert max(best, key=best.get) == "RMSprop"


def test_adams_first_step_is_the_rate_until_epsilon_takes_over():
    g = np.array([100.0, -1.0, 1e-3, -1e-9])
    w = keras.Variable(np.zeros(4), dtype="float64")
    keras.optimizers.Adam(0.01).apply([keras.ops.convert_to_tensor(g)], [w])
    assert w.numpy()[:3] == pytest.approx([-0.01, 0.01, -0.01], rel=0.01)
    assert 0 < w.numpy()[3] < 1e-5


def test_epsilon_stands_inside_the_root_of_rmsprop():
    w = keras.Variable(np.zeros(1), dtype="float64")
    keras.optimizers.RMSprop(1.0, epsilon=0.25).apply([keras.ops.convert_to_tensor(np.array([1e-6]))], [w])
    assert w.numpy() == pytest.approx(-1e-6 / np.sqrt(0.25), rel=1e-3)


def test_a_large_epsilon_turns_adam_into_momentum():
    gradients = np.logspace(-3, 0, 20) * (1 + 0.3 * np.random.default_rng(0).normal(size=(200, 20)))

    def direction(rule, **options):
        replay = iter(gradients)
        path = descend(rule, lambda w: next(replay), np.zeros(20), 0.01, 200, **options)
        return (path[-1] - path[-2]) / np.linalg.norm(path[-1] - path[-2])

    assert direction(adam, epsilon=10.0) @ direction(momentum) > 0.999
    assert direction(adam) @ direction(momentum) < 0.8


def decay_without_gradient(optimizer, model):
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables], variables)
    return [float(keras.ops.max(variable)) for variable in variables]


def test_every_optimizer_of_keras_decays_outside_the_gradient():
    for make in (keras.optimizers.AdamW, keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.RMSprop):
        w = keras.Variable([1.0, -2.0])
        make(0.1, weight_decay=0.5).apply([keras.ops.zeros((2,))], [w])
        assert w.numpy() == pytest.approx([0.95, -1.9])


def test_biases_are_excluded_from_decay_until_the_model_is_loaded(tmp_path):
    model = build_classifier()
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, loss=loss())
    model.save(tmp_path / "model.keras")
    assert decay_without_gradient(optimizer, model) == pytest.approx([0.95, 1.0, 0.95, 1.0])
    loaded = keras.models.load_model(tmp_path / "model.keras")
    values = decay_without_gradient(loaded.optimizer, loaded)
    assert values == pytest.approx([0.95] * 4), "Keras saves the exclusion now: mend the lesson"
    loaded.optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert decay_without_gradient(loaded.optimizer, loaded) == pytest.approx([0.95, 1.0, 0.95, 1.0])


def test_a_compiled_step_does_not_see_a_late_exclusion():
    w = keras.Variable([1.0], name="bias")
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.build([w])
    step = tf.function(lambda: optimizer.apply([tf.zeros(1)], [w]))
    step()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    step()
    assert float(w[0]) == pytest.approx(0.95**2)


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        (keras.optimizers.SGD(), 0),
        (keras.optimizers.SGD(momentum=0.9), 1),
        (keras.optimizers.RMSprop(), 1),
        (keras.optimizers.Lion(), 1),
        (keras.optimizers.Adam(), 2),
        (keras.optimizers.AdamW(), 2),
        (keras.optimizers.Adam(amsgrad=True), 3),
    ],
)
def test_slots_per_parameter(optimizer, slots):
    model = build_classifier()
    optimizer.build(model.trainable_variables)
    assert sum(int(np.prod(v.shape)) for v in optimizer.variables[2:]) == slots * model.count_params()


def test_the_defaults_are_those_of_the_table():
    keras_sgd, keras_rmsprop, keras_adam, keras_adamw = (
        keras.optimizers.get(name).get_config() for name in ("sgd", "rmsprop", "adam", "adamw")
    )
    assert (keras_sgd["learning_rate"], keras_sgd["momentum"]) == (pytest.approx(0.01), 0.0)
    assert (keras_rmsprop["learning_rate"], keras_rmsprop["rho"]) == (pytest.approx(0.001), 0.9)
    assert keras_rmsprop["epsilon"] == keras_adam["epsilon"] == 1e-7
    assert keras_adam["learning_rate"] == pytest.approx(0.001)
    assert keras_adamw["weight_decay"] == 0.004


def test_the_velocity_of_keras_still_holds_the_old_rate_after_a_drop():
    w, optimizer = keras.Variable([0.0]), keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(80):
        before = float(w[0])
        optimizer.apply([keras.ops.ones((1,))], [w])
    optimizer.learning_rate = 0.01
    full = before - float(w[0])
    before = float(w[0])
    optimizer.apply([keras.ops.ones((1,))], [w])
    assert (before - float(w[0])) / full == pytest.approx(0.91, abs=0.01)


def test_decay_warns_and_is_ignored():
    with pytest.warns(UserWarning, match="Argument `decay` is no longer supported and will be ignored."):
        old = keras.optimizers.SGD(0.1, decay=0.5)
    assert np.array_equal(
        keras_descend(old, bowl, START, 10), keras_descend(keras.optimizers.SGD(0.1), bowl, START, 10)
    )


def test_an_optimizer_refuses_the_variables_of_a_second_model():
    optimizer = keras.optimizers.Adam()
    first, second = build_classifier(0), build_classifier(1)
    optimizer.build(first.trainable_variables)
    zeros = [keras.ops.zeros_like(v) for v in second.trainable_variables]
    with pytest.raises(ValueError, match="can only be called for the variables it was originally built with"):
        optimizer.apply(zeros, second.trainable_variables)


def test_compiling_again_keeps_the_slots_only_of_the_same_object():
    model = build_classifier()
    model.compile(optimizer="adam", loss=loss())
    decay_without_gradient(model.optimizer, model)
    model.compile(optimizer=model.optimizer, loss=loss())
    assert int(model.optimizer.iterations) == 1
    model.compile(optimizer="adam", loss=loss())
    assert int(model.optimizer.iterations) == 0
    assert not model.optimizer.built


def test_an_optimizer_of_ones_own_is_lion_and_can_be_saved():
    paths = [keras_descend(o, bowl, START, 30) for o in (SignMomentum(0.01), keras.optimizers.Lion(0.01))]
    assert gap(*paths) < 1e-6
    again = SignMomentum.from_config(SignMomentum(0.03, beta_1=0.8).get_config())
    assert (float(again.learning_rate), again.beta_1) == (pytest.approx(0.03), 0.8)


def test_adam_guesses_the_majority_where_sgd_finds_the_label():
    random = np.random.default_rng(1)
    size = 3 + 5 * 140
    x, y = wilson_data(40, 0, size, random)
    x_new, y_new = wilson_data(100, 40, size, random)
    right = {}
    for rule, rate, epsilon in ((sgd, 0.1, None), (adam, 0.01, 1e-7), (adam, 0.01, 0.1)):
        options = {} if epsilon is None else {"epsilon": epsilon}
        w = descend(rule, lambda w: x.T @ (x @ w - y) / 40, np.zeros(size), rate, 1000, **options)[-1]
        assert np.array_equal(np.sign(x @ w), y)
        right[rule, epsilon] = np.mean(np.sign(x_new @ w) == y_new)
    assert right[sgd, None] == right[adam, 0.1] == 1.0
    assert right[adam, 1e-7] == np.mean(y_new == 1) < 0.9


def test_networks_in_a_stack_train_as_if_alone(digits):
    images, labels = digits
    weights, rates = stacked_weights(range(2), copies=2), [0.01, 0.1, 0.01, 0.1]
    order = np.stack([split(seed, epochs=1)[0] for seed in (0, 0, 1, 1)], axis=1)[:10]
    stack = Stack(keras_optimizer("Adam", lambda: np.float32(rates).reshape(-1, 1, 1)), weights, labels)
    stack.train(tf.constant(images), tf.constant(order))
    for k in (1, 2):
        alone = [keras.Variable(w[k]) for w in weights]
        optimizer = keras.optimizers.Adam(rates[k])
        for batch in order[:, k]:
            with tf.GradientTape() as tape:
                value = losses_of(logits_of(alone, images[batch]), labels[batch])
            optimizer.apply(tape.gradient(value, [w.value for w in alone]), alone)
        for one, many in zip(alone, stack.weights, strict=True):
            assert gap(one.numpy(), many.numpy()[k]) < 1e-4


def accuracies(name, images, labels, rates, seeds=3):
    """Test accuracy after 8 epochs, as (seeds, rates)."""
    parts = [split(seed) for seed in range(seeds)]
    order, _, test = (np.repeat(np.stack(part), len(rates), axis=0) for part in zip(*parts, strict=True))
    weights = stacked_weights(range(seeds), copies=len(rates))
    each = np.tile(np.float32(rates), seeds).reshape(-1, 1, 1)
    stack = Stack(keras_optimizer(name, lambda: each), weights, labels)
    stack.train(tf.constant(images), tf.constant(np.swapaxes(order, 0, 1)))
    guess = np.argmax(logits_of(stack.weights, images[test]), axis=-1)
    return np.mean(guess == labels[test], axis=-1).reshape(seeds, len(rates))


def test_each_optimizer_needs_its_own_rate_and_then_they_are_equal(digits):
    images, labels = digits
    slow = accuracies("SGD", images, labels, [0.001, 0.3])
    adaptive = accuracies("Adam", images, labels, [0.001, 0.03, 1.0])
    assert slow[:, 0].max() < 0.3 < 0.7 < adaptive[:, 0].min(), "0.001 is a rate for Adam"
    assert adaptive[:, 2].max() < 0.3, "1 is not"
    assert abs(slow[:, 1].mean() - adaptive[:, 1].mean()) < 0.03


def test_adam_wins_when_the_scales_of_the_features_differ(digits):
    images, labels = digits
    scales = np.random.default_rng(0).permutation(np.logspace(0, -2, 64)).astype("float32")
    plain = accuracies("SGD", images * scales, labels, [0.3, 1.0]).mean(axis=0).max()
    assert accuracies("Adam", images * scales, labels, [0.1]).mean() > plain + 0.1
