"""Build networks that branch and join with the Functional API.

The lesson calls layers on symbolic tensors, gives a model several inputs and
outputs, adds skip connections, shares layers between two inputs, reads inner
features through a second model, draws the graph, and computes the graph's
forward pass again in NumPy.
"""

# --8<-- [start:imports]
from textwrap import fill

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:two-heads]
def two_heads(units=32):
    image = keras.Input((8, 8), name="image")
    flat = layers.Flatten(name="flat")(image)
    trunk = layers.Dense(units, activation="relu", name="trunk")(flat)
    outputs = {
        "digit": layers.Dense(10, name="digit")(trunk),
        "parity": layers.Dense(1, name="parity")(trunk),
    }
    return keras.Model(image, outputs, name="two_heads")
# --8<-- [end:two-heads]


# --8<-- [start:house-number]
def house_number(use_side=True):
    image = keras.Input((4, 8), name="image")
    flat = layers.Flatten(name="flat")(image)
    features = layers.Dense(32, activation="relu", name="ink")(flat)
    inputs = {"image": image}
    if use_side:
        side = keras.Input((1,), name="side")
        inputs["side"] = side
        features = layers.Concatenate(name="join")([features, side])
    hidden = layers.Dense(32, activation="relu", name="mix")(features)
    return keras.Model(inputs, layers.Dense(10, name="digit")(hidden))
# --8<-- [end:house-number]


# --8<-- [start:compiled]
def compiled(model):
    model.compile(
        optimizer=keras.optimizers.SGD(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def start_over(model, seed):
    """Draw all weights anew, as Dense does by default."""
    rules = {"kernel": keras.initializers.GlorotUniform,
             "bias": keras.initializers.Zeros}
    keras.utils.set_random_seed(seed)
    for weight in model.weights:
        initializer = rules[weight.name]()
        weight.assign(initializer(weight.shape))
# --8<-- [end:compiled]


# --8<-- [start:accuracies]
def accuracies(model, x, y, x_new, y_new, rate, epochs=3, seeds=3):
    """Test accuracies of a compiled model, started from several seeds."""
    model.optimizer.learning_rate = rate
    found = []
    for seed in range(seeds):
        start_over(model, seed)
        model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
        guesses = np.argmax(model(x_new), axis=1)
        found.append(float(np.mean(guesses == y_new)))
    return found
# --8<-- [end:accuracies]


# --8<-- [start:residual-block]
def residual_block(x):
    units = x.shape[-1]
    change = layers.Dense(units, activation="relu")(x)
    change = layers.Dense(units)(change)
    return layers.Add()([x, change])


def plain_block(x):
    units = x.shape[-1]
    change = layers.Dense(units, activation="relu")(x)
    return layers.Dense(units, activation="relu")(change)
# --8<-- [end:residual-block]


# --8<-- [start:deep-mlp]
def deep_mlp(block, blocks):
    image = keras.Input((8, 8), name="image")
    x = layers.Flatten()(image)
    for _ in range(blocks):
        x = block(x)
    return keras.Model(image, layers.Dense(10)(x))
# --8<-- [end:deep-mlp]


# --8<-- [start:gradient-norms]
def gradient_norms(model, x, y):
    """Norm of the loss's gradient for each kernel, first layer first."""
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernels = [w for w in model.weights if w.name == "kernel"]
    with tf.GradientTape() as tape:
        loss = loss_of(y, model(x))
    return [float(ops.norm(g)) for g in tape.gradient(loss, kernels)]
# --8<-- [end:gradient-norms]


# --8<-- [start:siamese]
def image_encoder(name="encoder"):
    image = keras.Input((8, 8), name="image")
    flat = layers.Flatten(name="flat")(image)
    hidden = layers.Dense(64, activation="relu", name="hidden")(flat)
    code = layers.Dense(32, name="code")(hidden)
    return keras.Model(image, code, name=name)


def siamese(encode_left, encode_right):
    left = keras.Input((8, 8), name="left")
    right = keras.Input((8, 8), name="right")
    gap = ops.abs(encode_left(left) - encode_right(right))
    verdict = layers.Dense(2, name="verdict")(gap)
    return keras.Model({"left": left, "right": right}, verdict)
# --8<-- [end:siamese]


# --8<-- [start:pairs]
def make_pairs(images, labels, count, seed):
    """Pairs of images and 1 for the same digit, 0 for different ones."""
    rng = np.random.default_rng(seed)
    left = rng.integers(len(labels), size=count)
    same = np.arange(count) % 2
    right = []
    for i, equal in zip(left, same):
        choices = np.flatnonzero((labels == labels[i]) == equal)
        right.append(rng.choice(choices))
    return {"left": images[left], "right": images[right]}, same
# --8<-- [end:pairs]


# --8<-- [start:calls]
def read_by(value):
    """The calls whose results stand anywhere inside a saved argument."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [tuple(value["config"]["keras_history"][:2])]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [call for item in value for call in read_by(item)]
    return []


def calls(model):
    """Map every call (layer's name, number) to the calls it reads."""
    graph = {}
    for layer in model.get_config()["layers"]:
        for number, node in enumerate(layer["inbound_nodes"] or [{}]):
            graph[layer["name"], number] = read_by(node)
    return graph
# --8<-- [end:calls]


# --8<-- [start:rows]
def rows(graph):
    """The length of the longest path from an input to each call."""
    found = {}

    def row(call):
        if call not in found:
            found[call] = 1 + max(map(row, graph[call]), default=-1)
        return found[call]

    return {call: row(call) for call in graph}
# --8<-- [end:rows]


# --8<-- [start:draw]
def draw(model, axes):
    """Draw a Functional model, inputs at the top."""
    graph, place = calls(model), {}
    row = rows(graph)
    for call in graph:
        mates = [mate for mate in graph if row[mate] == row[call]]
        place[call] = (mates.index(call) - (len(mates) - 1) / 2, -row[call])
    for call, sources in graph.items():
        for source in sources:
            straight = place[call][0] == place[source][0]
            step = row[call] - row[source]
            bend = 0 if step == 1 else 0.9 if straight else 0.5
            axes.annotate("", place[source], place[call], arrowprops={
                "arrowstyle": "<|-", "shrinkA": 12, "shrinkB": 12,
                "color": "0.4", "connectionstyle": f"arc3,rad={bend}"})
        axes.text(*place[call], call[0], ha="center", va="center",
                  bbox={"boxstyle": "round", "fc": "white", "ec": "0.4"})
    axes.set(xlim=(-1.2, 1.2), ylim=(-max(row.values()) - 0.5, 0.5))
    axes.axis("off")
# --8<-- [end:draw]


# --8<-- [start:numpy-rules]
def dense(layer, x):
    kernel, bias = layer.get_weights()
    y = x @ kernel + bias
    return np.maximum(y, 0) if layer.activation.__name__ == "relu" else y


RULES = {
    "Flatten": lambda layer, x: x.reshape(len(x), -1),
    "Dense": dense,
    "Add": lambda layer, x, y: x + y,
    "Subtract": lambda layer, x, y: x - y,
    "Absolute": lambda layer, x: np.abs(x),
    "Concatenate": lambda layer, x, y: np.concatenate([x, y], axis=-1),
    "Functional": lambda model, x: forward(model, {"image": x})["code"],
}
# --8<-- [end:numpy-rules]


# --8<-- [start:numpy-forward]
def forward(model, feeds):
    """The outputs of a Functional model by name, computed in NumPy."""
    graph = calls(model)
    by_name = {layer.name: layer for layer in model.operations}
    known = {(name, 0): value for name, value in feeds.items()}

    def result(call):
        if call not in known:
            layer = by_name[call[0]]
            rule = RULES[type(layer).__name__]
            known[call] = rule(layer, *[result(c) for c in graph[call]])
        return known[call]

    return {name: result((name, 0)) for name in model.output_names}
# --8<-- [end:numpy-forward]


# --8<-- [start:solution-2]
def bottleneck_block(x, units):
    change = layers.Dense(units, activation="relu")(x)
    change = layers.Dense(units)(change)
    if x.shape[-1] != units:
        x = layers.Dense(units, use_bias=False, name="projection")(x)
    return layers.Add()([x, change])
# --8<-- [end:solution-2]


# --8<-- [start:solution-4]
def one_table(groups):
    inputs = {name: keras.Input((10,), name=name) for name in groups}
    joined = layers.Concatenate()(list(inputs.values()))
    hidden = layers.Dense(24, activation="relu")(joined)
    return keras.Model(inputs, layers.Dense(2)(hidden))


def three_branches(groups):
    inputs = {name: keras.Input((10,), name=name) for name in groups}
    branches = [
        layers.Dense(8, activation="relu")(x) for x in inputs.values()
    ]
    joined = layers.Concatenate()(branches)
    return keras.Model(inputs, layers.Dense(2)(joined))
# --8<-- [end:solution-4]


def main():
    # --8<-- [start:data]
    digits = load_digits()
    images = (digits.images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=0.25, random_state=0,
        stratify=digits.target,
    )
    x_train, y_train = x_train[:1344], y_train[:1344]  # 42 full batches
    print(x_train.shape, x_test.shape)
    #> (1344, 8, 8) (450, 8, 8)
    # --8<-- [end:data]

    # --8<-- [start:gradient-check]
    keras.utils.set_random_seed(0)
    change = layers.Dense(4, use_bias=False)
    x, upstream = tf.random.normal((1, 4)), tf.random.normal((1, 4))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x + change(x)
    gradient = tape.gradient(y, x, output_gradients=upstream)
    by_hand = upstream + upstream @ tf.transpose(change.kernel)
    print("equal:", np.allclose(gradient, by_hand, atol=1e-6))
    #> equal: True
    # --8<-- [end:gradient-check]

    # --8<-- [start:symbolic]
    image = keras.Input((8, 8), name="image")
    print(type(image).__name__, image.shape, image.dtype)
    #> KerasTensor (None, 8, 8) float32
    flat = layers.Flatten(name="flat")(image)
    hidden = layers.Dense(32, activation="relu", name="hidden")(flat)
    print(flat.shape, hidden.shape)
    #> (None, 64) (None, 32)
    # --8<-- [end:symbolic]

    # --8<-- [start:operators]
    doubled = 2 * hidden + 1
    largest = ops.max(hidden, axis=-1, keepdims=True)
    print(type(doubled).__name__, doubled.shape, largest.shape)
    #> KerasTensor (None, 32) (None, 1)
    # --8<-- [end:operators]

    # --8<-- [start:model]
    scores = layers.Dense(10, name="digit")(hidden)
    model = keras.Model(inputs=image, outputs=scores, name="classifier")
    print([layer.name for layer in model.layers])
    #> ['image', 'flat', 'hidden', 'digit']
    print(model.count_params(), model(x_test[:5]).shape)
    #> 2410 (5, 10)
    # --8<-- [end:model]

    # --8<-- [start:two-heads-build]
    keras.utils.set_random_seed(0)
    heads = two_heads()
    heads.summary(line_length=72)
    #> Model: "two_heads"
    #> ┏━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┓
    #> ┃ Layer (type)       ┃ Output Shape     ┃   Param # ┃ Connected to     ┃
    #> ┡━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━┩
    #> │ image (InputLayer) │ (None, 8, 8)     │         0 │ -                │
    #> ├────────────────────┼──────────────────┼───────────┼──────────────────┤
    #> │ flat (Flatten)     │ (None, 64)       │         0 │ image[0][0]      │
    #> ├────────────────────┼──────────────────┼───────────┼──────────────────┤
    #> │ trunk (Dense)      │ (None, 32)       │     2,080 │ flat[0][0]       │
    #> ├────────────────────┼──────────────────┼───────────┼──────────────────┤
    #> │ digit (Dense)      │ (None, 10)       │       330 │ trunk[0][0]      │
    #> ├────────────────────┼──────────────────┼───────────┼──────────────────┤
    #> │ parity (Dense)     │ (None, 1)        │        33 │ trunk[0][0]      │
    #> └────────────────────┴──────────────────┴───────────┴──────────────────┘
    #>  Total params: 2,443 (9.54 KB)
    #>  Trainable params: 2,443 (9.54 KB)
    #>  Non-trainable params: 0 (0.00 B)
    # --8<-- [end:two-heads-build]

    # --8<-- [start:two-heads-compile]
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    heads.compile(
        optimizer=keras.optimizers.SGD(0.5),
        loss={"digit": sparse, "parity": binary},
        loss_weights={"digit": 1.0, "parity": 0.5},
        metrics={
            "digit": ["accuracy"],
            "parity": [keras.metrics.BinaryAccuracy(threshold=0)],
        },
    )
    # --8<-- [end:two-heads-compile]

    # --8<-- [start:two-heads-fit]
    def targets(labels):
        odd = (labels % 2).astype("float32")[:, None]
        return {"digit": labels, "parity": odd}

    heads.fit(x_train, targets(y_train), epochs=5, verbose=0)
    results = heads.evaluate(
        x_test, targets(y_test), batch_size=450, return_dict=True, verbose=0,
    )
    for name, value in results.items():
        print(f"{name:<24} {value:.3f}")
    #~ digit_accuracy           0.960
    #~ digit_loss               0.167
    #~ loss                     0.254
    #~ parity_binary_accuracy   0.929
    #~ parity_loss              0.175
    # --8<-- [end:two-heads-fit]

    # --8<-- [start:loss-sum]
    for batch_size in (450, 32):
        r = heads.evaluate(
            x_test, targets(y_test), batch_size=batch_size,
            return_dict=True, verbose=0,
        )
        weighted = r["digit_loss"] + 0.5 * r["parity_loss"]
        print(batch_size, "sum of heads = loss:",
              np.isclose(weighted, r["loss"], rtol=1e-4))
    #> 450 sum of heads = loss: True
    #> 32 sum of heads = loss: False
    # --8<-- [end:loss-sum]

    # --8<-- [start:two-heads-predict]
    answer = heads.predict(x_test[:4], verbose=0)
    print({name: value.shape for name, value in answer.items()})
    #> {'digit': (4, 10), 'parity': (4, 1)}
    print(np.argmax(answer["digit"], axis=1), y_test[:4])
    #> [2 0 4 9] [2 0 4 9]
    print((answer["parity"][:, 0] > 0).astype(int))
    #> [1 0 0 1]
    # --8<-- [end:two-heads-predict]

    # --8<-- [start:torn]
    def torn(images, labels, use_side=True):
        side = (labels % 2).astype("float32")[:, None]
        inputs = {"image": images[:, :4], "side": side}
        return inputs if use_side else {"image": images[:, :4]}

    figure, axes = plt.subplots(1, 4, num="torn-images", figsize=(5, 1.3))
    for ax, image, label in zip(axes, x_test[:, :4], y_test):
        ax.imshow(image, cmap="gray_r")
        ax.set_title(f"{label}: {'odd' if label % 2 else 'even'}")
        ax.axis("off")
    plt.show()
    # --8<-- [end:torn]

    # --8<-- [start:torn-measure]
    for use_side in (False, True):
        found = accuracies(
            compiled(house_number(use_side)),
            torn(x_train, y_train, use_side), y_train,
            torn(x_test, y_test, use_side), y_test,
            rate=0.3,
        )
        print("image and side:" if use_side else "image only:    ",
              *[f"{a:.3f}" for a in found])
    #~ image only:     0.609 0.667 0.740
    #~ image and side: 0.793 0.811 0.831
    # --8<-- [end:torn-measure]

    # --8<-- [start:residual-build]
    deep = {
        "plain": deep_mlp(plain_block, blocks=10),
        "residual": deep_mlp(residual_block, blocks=10),
    }
    for name, net in deep.items():
        print(name, net.count_params(), net.output_shape)
    #> plain 83850 (None, 10)
    #> residual 83850 (None, 10)
    # --8<-- [end:residual-build]

    # --8<-- [start:siamese-build]
    keras.utils.set_random_seed(0)
    encoder = image_encoder()
    pair_model = siamese(encoder, encoder)
    twins = siamese(image_encoder("left_one"), image_encoder("right_one"))
    print("encoder", encoder.count_params())
    #> encoder 6240
    print("shared ", pair_model.count_params())
    #> shared  6306
    print("twins  ", twins.count_params())
    #> twins   12546
    # --8<-- [end:siamese-build]

    # --8<-- [start:siamese-symmetry]
    seen, answers = make_pairs(x_train, y_train, 1280, seed=0)
    new, new_answers = make_pairs(x_test, y_test, 1000, seed=1)
    mirrored = {"left": new["right"], "right": new["left"]}
    for name, net in (("shared", pair_model), ("twins", twins)):
        gap = np.abs(net(new) - net(mirrored)).max()
        print(name, "same answer in both orders:", gap == 0)
    #> shared same answer in both orders: True
    #> twins same answer in both orders: False
    # --8<-- [end:siamese-symmetry]

    # --8<-- [start:siamese-measure]
    def shared_pair():
        encoder = image_encoder()
        return siamese(encoder, encoder)

    def twin_pair():
        return siamese(image_encoder("left_one"), image_encoder("right_one"))

    for build in (shared_pair, twin_pair):
        found = accuracies(
            compiled(build()), seen, answers, new, new_answers, rate=0.2,
        )
        print(build.__name__, *[f"{a:.3f}" for a in found])
    #~ shared_pair 0.817 0.766 0.824
    #~ twin_pair 0.735 0.711 0.750
    # --8<-- [end:siamese-measure]

    # --8<-- [start:inner]
    inner = keras.Model(heads.input, heads.get_layer("trunk").output)
    print(inner(x_test).shape)
    #> (450, 32)
    print("same layer:", inner.layers[-1] is heads.get_layer("trunk"))
    #> same layer: True
    # --8<-- [end:inner]

    # --8<-- [start:inner-figure]
    views = {
        "pixels": x_test.reshape(450, 64),
        "trunk": inner(x_test).numpy(),
    }
    figure, axes = plt.subplots(2, 1, num="inner-features", figsize=(4.5, 6))
    for ax, (name, values) in zip(axes, views.items()):
        points = PCA(2).fit_transform(values)
        ax.scatter(*points.T, c=y_test, cmap="tab10", s=8)
        ax.set(title=name, xticks=[], yticks=[])
    plt.show()
    # --8<-- [end:inner-figure]

    # --8<-- [start:inner-measure]
    known = {
        "pixels": x_train.reshape(-1, 64),
        "trunk": inner(x_train).numpy(),
    }
    for name, values in views.items():
        means = [known[name][y_train == d].mean(axis=0) for d in range(10)]
        distances = [np.linalg.norm(values - m, axis=1) for m in means]
        correct = np.argmin(distances, axis=0) == y_test
        print(f"{name}: {np.mean(correct):.3f}")
    #~ pixels: 0.907
    #~ trunk: 0.951
    # --8<-- [end:inner-measure]

    # --8<-- [start:nested]
    print([layer.name for layer in pair_model.layers])
    #> ['left', 'right', 'encoder', 'verdict']
    print([layer.name for layer in pair_model.get_layer("encoder").layers])
    #> ['image', 'flat', 'hidden', 'code']
    print(encoder(x_test[:3]).shape)
    #> (3, 32)
    # --8<-- [end:nested]

    # --8<-- [start:calls-print]
    for call, sources in calls(pair_model).items():
        print(call, "<-", *sources)
    #> ('left', 0) <-
    #> ('right', 0) <-
    #> ('encoder', 0) <- ('left', 0)
    #> ('encoder', 1) <- ('right', 0)
    #> ('subtract', 0) <- ('encoder', 0) ('encoder', 1)
    #> ('absolute', 0) <- ('subtract', 0)
    #> ('verdict', 0) <- ('absolute', 0)
    # --8<-- [end:calls-print]

    # --8<-- [start:draw-two]
    figure, axes = plt.subplots(2, 1, num="graphs", figsize=(4.5, 7.5))
    draw(house_number(), axes[0])
    draw(pair_model, axes[1])
    plt.show()
    # --8<-- [end:draw-two]

    # --8<-- [start:draw-residual]
    keras.utils.clear_session()  # numbers in names start afresh
    figure, axes = plt.subplots(num="graph-residual", figsize=(4, 4.5))
    draw(deep_mlp(residual_block, blocks=2), axes)
    plt.show()
    # --8<-- [end:draw-residual]

    # --8<-- [start:plot-model]
    try:
        keras.utils.plot_model(heads, "heads.png", show_shapes=True)
    except ImportError:
        print("plot_model needs pydot and Graphviz")
    #> plot_model needs pydot and Graphviz
    # --8<-- [end:plot-model]

    # --8<-- [start:shapes]
    street = house_number()
    for layer in street.layers:
        print(f"{layer.name:<6} {str(layer.output.shape):<13}"
              f"{layer.count_params():>5}")
    #> image  (None, 4, 8)     0
    #> flat   (None, 32)       0
    #> ink    (None, 32)    1056
    #> side   (None, 1)        0
    #> join   (None, 33)       0
    #> mix    (None, 32)    1088
    #> digit  (None, 10)     330
    print(street.count_params(), 32 * 32 + 32 + 33 * 32 + 32 + 32 * 10 + 10)
    #> 2474 2474
    # --8<-- [end:shapes]

    # --8<-- [start:numpy-equal]
    cases = [
        (heads, {"image": x_test}),
        (house_number(), torn(x_test, y_test)),
        (deep["residual"], {"image": x_test}),
        (pair_model, new),
    ]
    for net, feeds in cases:
        inputs = feeds if len(feeds) > 1 else feeds["image"]
        expected = keras.tree.flatten(net(inputs))
        mine = forward(net, feeds).values()
        gaps = [np.abs(a - b).max() for a, b in zip(mine, expected)]
        print(len(calls(net)), "calls, equal:", max(gaps) < 1e-5)
    #> 5 calls, equal: True
    #> 7 calls, equal: True
    #> 33 calls, equal: True
    #> 7 calls, equal: True
    # --8<-- [end:numpy-equal]

    # --8<-- [start:measure-gradients]
    figure, axes = plt.subplots(num="gradient-norms", figsize=(5, 3))
    for name, net in deep.items():
        start_over(net, seed=0)
        norms = gradient_norms(net, x_train, y_train)
        axes.semilogy(range(1, 22), norms, "o-", label=name)
        print(f"{name}: first {norms[0]:.1e}, last {norms[-1]:.1e}")
    #~ plain: first 5.5e-04, last 1.7e-04
    #~ residual: first 4.0e+00, last 1.1e+01
    axes.set(xlabel="Dense layer", ylabel="gradient norm",
             xticks=[1, 6, 11, 16, 21])
    axes.legend()
    plt.show()
    # --8<-- [end:measure-gradients]

    # --8<-- [start:measure-depth]
    for name, net in deep.items():
        found = accuracies(
            compiled(net), x_train, y_train, x_test, y_test,
            rate=0.02, epochs=2,
        )
        print(f"{name:<8}", *[f"{a:.2f}" for a in found])
    #~ plain    0.16 0.10 0.10
    #~ residual 0.92 0.90 0.91
    # --8<-- [end:measure-depth]

    # --8<-- [start:measure-growth]
    net = deep["residual"]
    start_over(net, seed=0)
    stream = [layer.output for layer in net.layers if "add" in layer.name]
    flows = keras.Model(net.input, stream)(x_test)
    spread = [float(ops.std(h)) for h in flows]
    print("spread after blocks 1, 5 and 10:",
          *[f"{spread[i]:.1f}" for i in (0, 4, 9)])
    #~ spread after blocks 1, 5 and 10: 0.5 1.1 3.3
    # --8<-- [end:measure-growth]

    # --8<-- [start:measure-rate]
    found = accuracies(
        net, x_train, y_train, x_test, y_test, rate=0.2, epochs=1,
    )
    print("residual, rate 0.2:", *[f"{a:.2f}" for a in found])
    #~ residual, rate 0.2: 0.10 0.10 0.10
    # --8<-- [end:measure-rate]

    # --8<-- [start:mistake-disconnected]
    picture = keras.Input((4, 8), name="image")
    side = keras.Input((1,), name="side")
    joined = layers.Concatenate()([layers.Flatten()(picture), side])
    try:
        keras.Model(picture, layers.Dense(10)(joined))
    except ValueError as error:
        print(error)
    #> Output with path `` is not connected to `inputs`
    # --8<-- [end:mistake-disconnected]

    # --8<-- [start:mistake-inner]
    try:
        keras.Model(pair_model.input, encoder.output)
    except ValueError as error:
        print(error)
    #> Output with path `` is not connected to `inputs`
    left = pair_model.input["left"]
    print(keras.Model(left, encoder(left)).output_shape)
    #> (None, 32)
    # --8<-- [end:mistake-inner]

    # --8<-- [start:mistake-add]
    try:
        layers.Add()([flat, hidden])
    except ValueError as error:
        print(error)
    #> Inputs have incompatible shapes. Received shapes (64,) and (32,)
    try:
        flat + hidden
    except ValueError as error:
        print(fill(str(error), 76))
    #> Cannot broadcast shape, the failure dim has value 64, which cannot be
    #> broadcasted to 32. Input shapes are: [None, 64] and [None, 32].
    # --8<-- [end:mistake-add]

    # --8<-- [start:mistake-broadcast]
    print(hidden.shape, side.shape, (hidden + side).shape)
    #> (None, 32) (None, 1) (None, 32)
    projected = layers.Dense(32, use_bias=False)(flat)
    print(layers.Add()([projected, hidden]).shape)
    #> (None, 32)
    # --8<-- [end:mistake-broadcast]

    # --8<-- [start:mistake-tf]
    for function in (tf.reduce_mean, np.mean):
        try:
            function(hidden)
        except ValueError as error:
            print(fill(str(error).splitlines()[0], 76))
    #> A KerasTensor cannot be used as input to a TensorFlow function. A
    #> KerasTensor is a symbolic placeholder for a shape and dtype, used when
    #> constructing Keras Functional models or Keras Functions. You can only use it
    #> as input to a Keras layer or a Keras operation (from the namespaces
    #> `keras.layers` and `keras.ops`). You are likely doing something like:
    #> A KerasTensor is symbolic: it's a placeholder for a shape an a dtype. It
    #> doesn't have any actual numerical value. You cannot convert it to a NumPy
    #> array.
    print(ops.mean(hidden, axis=-1).shape)
    #> (None,)
    # --8<-- [end:mistake-tf]

    # --8<-- [start:mistake-loss-name]
    try:
        heads.compile("sgd", loss={"digit": sparse, "even": binary})
        heads.fit(x_train, targets(y_train), verbose=0)
    except KeyError as error:
        print(fill(str(error), 76))
    #> "The path: ('even',) in the `loss` argument, can't be found in either the
    #> model's output (`y_pred`) or in the labels (`y_true`)."
    # --8<-- [end:mistake-loss-name]

    # --8<-- [start:mistake-target-name]
    heads.compile("sgd", loss={"digit": sparse, "parity": binary})
    wrong = {"digit": y_train, "even": targets(y_train)["parity"]}
    try:
        heads.fit(x_train, wrong, verbose=0)
    except TypeError as error:
        print(error)
    #> Expected float32, but got digit of type 'str'.
    print("outputs:", heads.output_names)
    #> outputs: ['digit', 'parity']
    # --8<-- [end:mistake-target-name]

    # --8<-- [start:mistake-input-name]
    street.compile("sgd", loss=sparse)
    feeds = torn(x_train, y_train)
    try:
        street.fit({"image": feeds["image"], "Side": feeds["side"]},
                   y_train, verbose=0)
    except ValueError as error:
        print(fill(str(error), 76))
    #> Missing data for input "side". You passed a data dictionary with keys
    #> ['image', 'Side']. Expected the following keys: ['image', 'side']
    print("inputs:", [tensor.name for tensor in street.inputs])
    #> inputs: ['image', 'side']
    # --8<-- [end:mistake-input-name]

    # --8<-- [start:mistake-extra-key]
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    minus = keras.Model({"a": a, "b": b}, a - b)
    feeds = {"a": np.array([[5.0]]), "b": np.array([[3.0]])}
    print(minus(feeds).numpy())
    #> [[2.]]
    print(minus({**feeds, "aa": np.array([[100.0]])}).numpy())
    #> UserWarning: The structure of `inputs` doesn't match the expected structure.
    #> Expected: {'a': 'a', 'b': 'b'}
    #> Received: inputs={'a': 'Tensor(shape=(1, 1))', 'b': 'Tensor(shape=(1, 1))', 'aa': 'Tensor(shape=(1, 1))'}
    #> [[-95.]]
    # --8<-- [end:mistake-extra-key]

    # --8<-- [start:mistake-no-loss]
    before = heads.get_layer("parity").get_weights()[0]
    heads.compile("sgd", loss={"digit": sparse})
    heads.fit(x_train, targets(y_train), verbose=0)
    #> UserWarning: Gradients do not exist for variables ['parity/kernel', 'parity/bias'] when minimizing the loss. If using `model.compile()`, did you forget to provide a `loss` argument?
    after = heads.get_layer("parity").get_weights()[0]
    print("parity head changed:", not np.array_equal(before, after))
    #> parity head changed: False
    # --8<-- [end:mistake-no-loss]

    # --8<-- [start:mistake-position]
    try:
        model.compile("sgd", sparse, ["accuracy"])
        model.fit(x_train, y_train, verbose=0)
    except ValueError as error:
        print(error)
    #> dtype='string' is not a valid dtype for Keras type promotion.
    try:
        heads.compile("sgd", {"digit": sparse, "parity": binary}, ["accuracy"])
        heads.fit(x_train, targets(y_train), verbose=0)
    except ValueError as error:
        print(error)
    #> `loss_weights` must match the number of losses, got 2 losses and 1 weights.
    # --8<-- [end:mistake-position]

    # --8<-- [start:solution-1]
    both = layers.Dense(10)(layers.Concatenate()([flat, hidden]))
    wide = keras.Model(model.input, both)
    print(wide.count_params(), 64 * 32 + 32 + (64 + 32) * 10 + 10)
    #> 3050 3050
    print(wide.layers[2] is model.layers[2])
    #> True
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2-run]
    start = keras.Input((64,))
    end = bottleneck_block(bottleneck_block(start, 32), 32)
    shrunk = keras.Model(start, end)
    print(shrunk.output_shape, shrunk.count_params())
    #> (None, 32) 7296
    print(sum("projection" in layer.name for layer in shrunk.layers))
    #> 1
    # --8<-- [end:solution-2-run]

    # --8<-- [start:solution-3]
    def encoder_gradients(net, encoder):
        with tf.GradientTape() as tape:
            loss = sparse(new_answers, net(new))
        return tape.gradient(loss, encoder.trainable_weights)

    one, two = image_encoder("one"), image_encoder("two")
    shared, apart = siamese(one, one), siamese(one, two)
    two.set_weights(one.get_weights())
    apart.get_layer("verdict").set_weights(
        shared.get_layer("verdict").get_weights()
    )
    together = encoder_gradients(shared, one)
    left = encoder_gradients(apart, one)
    right = encoder_gradients(apart, two)
    print([np.allclose(both, first + second, atol=1e-6)
           for both, first, second in zip(together, left, right)])
    #> [True, True, True, True]
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4-run]
    cancer = load_breast_cancer()
    x = (cancer.data - cancer.data.mean(0)) / cancer.data.std(0)
    xs_train, xs_test, t_train, t_test = train_test_split(
        x.astype("float32"), cancer.target, test_size=185, random_state=0,
        stratify=cancer.target,
    )
    groups = {"mean": slice(0, 10), "error": slice(10, 20),
              "worst": slice(20, 30)}

    def split(x):
        return {name: x[:, part] for name, part in groups.items()}

    for build in (one_table, three_branches):
        table = compiled(build(groups))
        found = accuracies(
            table, split(xs_train), t_train, split(xs_test), t_test,
            rate=0.3,
        )
        print(f"{build.__name__:<15}", table.count_params(),
              *[f"{a:.3f}" for a in found])
    #~ one_table       794 0.957 0.946 0.957
    #~ three_branches  314 0.935 0.946 0.946
    # --8<-- [end:solution-4-run]

    # --8<-- [start:solution-5]
    trunk = heads.get_layer("trunk")
    trunk.trainable = False
    high = layers.Dense(1, name="high")(trunk.output)
    graft = keras.Model(heads.input, high)
    graft.compile(
        optimizer=keras.optimizers.SGD(0.1), loss=binary,
        metrics=[keras.metrics.BinaryAccuracy(threshold=0)],
    )
    kernel = trunk.get_weights()[0]
    graft.fit(x_train, (y_train >= 5)[:, None], epochs=3, verbose=0)
    print("trunk untouched:", np.array_equal(kernel, trunk.get_weights()[0]))
    #> trunk untouched: True
    print([w.path for w in graft.trainable_weights])
    #> ['high/kernel', 'high/bias']
    # --8<-- [end:solution-5]

    # --8<-- [start:solution-5-join]
    three = keras.Model(heads.input, {**heads.output, "high": high})
    answer = three(x_test)
    correct = (answer["high"][:, 0] > 0) == (y_test >= 5)
    print({name: tuple(value.shape) for name, value in answer.items()})
    #> {'digit': (450, 10), 'parity': (450, 1), 'high': (450, 1)}
    print(f"{np.mean(correct):.3f}")
    #~ 0.860
    # --8<-- [end:solution-5-join]

    # --8<-- [start:solution-5-probe]
    for name in views:
        linear = LogisticRegression(max_iter=2000)
        linear.fit(known[name], y_train >= 5)
        print(f"{name}: {linear.score(views[name], y_test >= 5):.3f}")
    #~ pixels: 0.900
    #~ trunk: 0.924
    # --8<-- [end:solution-5-probe]


if __name__ == "__main__":
    main()
