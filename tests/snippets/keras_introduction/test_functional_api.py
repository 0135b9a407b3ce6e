"""What the lesson on the Functional API claims."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from snippets.keras_introduction.functional_api import (
    accuracies,
    bottleneck_block,
    calls,
    compiled,
    deep_mlp,
    forward,
    gradient_norms,
    house_number,
    image_encoder,
    make_pairs,
    one_table,
    plain_block,
    residual_block,
    rows,
    siamese,
    start_over,
    three_branches,
    two_heads,
)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = (data.images / 16).astype("float32")
    x, x_new, y, y_new = train_test_split(images, data.target, test_size=0.25, random_state=0, stratify=data.target)
    return x[:1344], x_new, y[:1344], y_new


def test_starting_over_draws_what_building_draws():
    encoder = image_encoder()
    for model, build in (
        (deep_mlp(residual_block, 2), lambda: deep_mlp(residual_block, 2)),
        (siamese(encoder, encoder), lambda: siamese(*[image_encoder()] * 2)),
    ):
        before = model.get_weights()
        start_over(model, seed=1)
        keras.utils.set_random_seed(1)
        expected = build().get_weights()
        assert not np.array_equal(before[0], expected[0])
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(model.get_weights(), expected, strict=True))


def test_each_head_has_its_name_and_shape():
    model = two_heads()
    assert {name: tensor.shape for name, tensor in model.output.items()} == {
        "digit": (None, 10),
        "parity": (None, 1),
    }
    assert model.count_params() == 64 * 32 + 32 + 32 * 10 + 10 + 32 + 1


def test_losses_of_the_heads_average_over_batches_and_the_total_over_examples(digits):
    _, images, _, labels = digits
    targets = {"digit": labels, "parity": (labels % 2).astype("float32")[:, None]}
    model = two_heads()
    model.compile(
        loss={
            "digit": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "parity": keras.losses.BinaryCrossentropy(from_logits=True),
        },
        loss_weights={"digit": 1.0, "parity": 0.5},
    )
    gaps = {}
    for batch_size in (450, 32):
        result = model.evaluate(images, targets, batch_size=batch_size, return_dict=True, verbose=0)
        gaps[batch_size] = abs(result["digit_loss"] + 0.5 * result["parity_loss"] - result["loss"])
    assert gaps[450] < 1e-4 < gaps[32]


def test_concatenation_adds_up_the_last_axis():
    model = house_number()
    assert model.get_layer("join").output.shape == (None, 33)
    assert model.count_params() == 2474
    assert house_number(use_side=False).count_params() == 2474 - 32


def test_skip_connections_have_no_weights():
    assert deep_mlp(residual_block, 10).count_params() == deep_mlp(plain_block, 10).count_params()


def test_skip_connections_let_a_deep_network_learn(digits):
    x, x_new, y, y_new = digits
    plain, residual = (
        accuracies(compiled(deep_mlp(block, 10)), x, y, x_new, y_new, rate=0.02, epochs=2, seeds=2)
        for block in (plain_block, residual_block)
    )
    assert max(plain) < 0.3
    assert min(residual) > 0.85


def test_skip_connections_keep_the_gradient_of_the_first_layer(digits):
    x, _, y, _ = digits
    keras.utils.set_random_seed(0)
    plain = gradient_norms(deep_mlp(plain_block, 10), x, y)
    residual = gradient_norms(deep_mlp(residual_block, 10), x, y)
    assert len(plain) == len(residual) == 21
    assert residual[0] > 100 * plain[0]


def test_shared_weights_count_once_and_make_the_pair_symmetric(digits):
    _, images, _, labels = digits
    encoder = image_encoder()
    shared, twins = siamese(encoder, encoder), siamese(image_encoder("a"), image_encoder("b"))
    assert encoder.count_params() == 6240
    assert shared.count_params() == 6240 + 66
    assert twins.count_params() == 2 * 6240 + 66
    pairs, _ = make_pairs(images, labels, 50, seed=0)
    mirrored = {"left": pairs["right"], "right": pairs["left"]}
    assert np.array_equal(shared(pairs), shared(mirrored))
    assert not np.allclose(twins(pairs), twins(mirrored))


def test_every_second_pair_shows_the_same_digit():
    labels = np.arange(100) % 10
    pairs, same = make_pairs(labels, labels, 40, seed=0)
    assert np.array_equal(pairs["left"] == pairs["right"], same == 1)
    assert same.mean() == 0.5


def test_a_shared_layer_is_two_calls():
    encoder = image_encoder()
    graph = calls(siamese(encoder, encoder))
    assert graph["encoder", 0] == [("left", 0)]
    assert graph["encoder", 1] == [("right", 0)]
    assert [("encoder", 0), ("encoder", 1)] in graph.values()


def test_a_skip_connection_spans_several_rows():
    row = rows(calls(deep_mlp(residual_block, 20)))
    assert sorted(row.values()) == list(range(len(row)))
    assert rows({("a", 0): [], ("b", 0): [("a", 0)], ("c", 0): [("a", 0), ("b", 0)]})["c", 0] == 2


@pytest.mark.parametrize("build", [two_heads, lambda: deep_mlp(residual_block, 3)])
def test_numpy_computes_what_keras_computes(build, digits):
    _, images, _, _ = digits
    model = build()
    for mine, expected in zip(forward(model, {"image": images}).values(), keras.tree.flatten(model(images))):
        np.testing.assert_allclose(mine, expected, atol=1e-5)


def test_numpy_computes_a_shared_nested_model(digits):
    _, images, _, labels = digits
    encoder = image_encoder()
    model = siamese(encoder, encoder)
    pairs, _ = make_pairs(images, labels, 50, seed=0)
    np.testing.assert_allclose(forward(model, pairs)["verdict"], model(pairs), atol=1e-5)


def test_add_refuses_other_widths_but_broadcasts_one():
    wide, narrow, one = (keras.Input((width,)) for width in (64, 32, 1))
    with pytest.raises(ValueError, match="incompatible shapes"):
        layers.Add()([wide, narrow])
    assert layers.Add()([wide, one]).shape == (None, 64)


def test_a_projection_stands_only_where_the_width_changes():
    start = keras.Input((64,))
    model = keras.Model(start, bottleneck_block(bottleneck_block(start, 32), 32))
    assert model.output_shape == (None, 32)
    assert [layer.name for layer in model.layers].count("projection") == 1
    assert model.count_params() == 7296


def test_branches_have_fewer_parameters():
    groups = ("mean", "error", "worst")
    assert one_table(groups).count_params() == 30 * 24 + 24 + 24 * 2 + 2
    assert three_branches(groups).count_params() == 3 * (10 * 8 + 8) + 24 * 2 + 2
