"""The Functional API: models that branch.

The lesson builds a network that reads two-digit numbers, from two images to
two digits with one shared encoder, and takes it apart: symbolic tensors, named
inputs and outputs with losses of their own, shared layers measured against
separate ones, merging, models inside models, saving, and what goes wrong.
"""

# --8<-- [start:imports]
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:numbers]
def numbers(images, digits, count, seed):
    """`count` two-digit numbers: two images each, and their two digits."""
    random = np.random.default_rng(seed)
    tens, units = random.integers(len(images), size=(2, count))
    x = {"tens_image": images[tens], "units_image": images[units]}
    y = {"tens": digits[tens], "units": digits[units]}
    return x, y
# --8<-- [end:numbers]


# --8<-- [start:build]
def build(seed=0):
    keras.utils.set_random_seed(seed)
    tens_image = keras.Input(shape=(64,), name="tens_image")
    units_image = keras.Input(shape=(64,), name="units_image")
    encoder = layers.Dense(64, activation="relu", name="encoder")
    tens = layers.Dense(10, name="tens")(encoder(tens_image))
    units = layers.Dense(10, name="units")(encoder(units_image))
    return keras.Model(
        inputs={"tens_image": tens_image, "units_image": units_image},
        outputs={"tens": tens, "units": units})
# --8<-- [end:build]


# --8<-- [start:compile]
def compile_both(model, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer="adam",
        loss={"tens": loss, "units": loss},
        metrics={"tens": ["accuracy"], "units": ["accuracy"]},
        **options)
    return model


def share_right(model, x, y):
    """The share of numbers whose two digits are both right."""
    logits = model.predict(x, verbose=0)
    right = [logits[name].argmax(axis=1) == y[name] for name in y]
    return np.mean(right[0] & right[1])
# --8<-- [end:compile]


# --8<-- [start:readers]
def make_reader():
    return keras.Sequential([
        keras.Input(shape=(64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10)])


def build_readers(shared, seed):
    keras.utils.set_random_seed(seed)
    images = {name: keras.Input(shape=(64,), name=name)
              for name in ("tens_image", "units_image")}
    read_tens = make_reader()
    read_units = read_tens if shared else make_reader()
    return compile_both(keras.Model(images, {
        "tens": read_tens(images["tens_image"]),
        "units": read_units(images["units_image"])}))
# --8<-- [end:readers]


# --8<-- [start:build-sum]
def build_sum(seed=0):
    """Two digits, and their sum from both features."""
    model = build(seed)
    encoder = model.get_layer("encoder")
    both = layers.Concatenate()([encoder(image) for image in model.inputs])
    hidden = layers.Dense(64, activation="relu")(both)
    total = layers.Dense(19, name="sum")(hidden)
    return keras.Model(
        model.input, {**model.output, "sum": total})
# --8<-- [end:build-sum]


# --8<-- [start:solution-2-model]
def build_check(seed=0):
    """Does the image show this digit?"""
    keras.utils.set_random_seed(seed)
    image = keras.Input(shape=(64,), name="image")
    digit = keras.Input(shape=(), dtype="int32", name="digit")
    both = layers.Concatenate()([
        layers.Dense(64, activation="relu")(image),
        layers.Embedding(10, 16)(digit)])
    hidden = layers.Dense(64, activation="relu")(both)
    answer = layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model({"image": image, "digit": digit}, answer)
    model.compile(optimizer="adam", loss="binary_crossentropy",
                  metrics=["accuracy"])
    return model
# --8<-- [end:solution-2-model]


def main():
    # --8<-- [start:data]
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits, test_size=450, stratify=digits, random_state=0)
    train = numbers(x_train, y_train, count=2000, seed=0)
    test = numbers(x_test, y_test, count=1000, seed=1)
    print({name: part.shape for name, part in train[0].items()})
    #> {'tens_image': (2000, 64), 'units_image': (2000, 64)}
    # --8<-- [end:data]

    # --8<-- [start:fit]
    model = compile_both(build())
    print(f"before: {share_right(model, *test):.2f}")
    #~ before: 0.01
    log = model.fit(*train, epochs=15, verbose=0).history
    for epoch in (1, 5, 15):
        print(f"Epoch {epoch}/15", *(
            f"- {name}: {values[epoch - 1]:.2f}"
            for name, values in log.items()))
    #~ Epoch 1/15 - loss: 4.07 - tens_accuracy: 0.37 - tens_loss: 2.02 - units_accuracy: 0.41 - units_loss: 2.05
    #~ Epoch 5/15 - loss: 0.79 - tens_accuracy: 0.93 - tens_loss: 0.40 - units_accuracy: 0.93 - units_loss: 0.39
    #~ Epoch 15/15 - loss: 0.19 - tens_accuracy: 0.98 - tens_loss: 0.10 - units_accuracy: 0.99 - units_loss: 0.10
    print(f"after: {share_right(model, *test):.2f}")
    #~ after: 0.92
    # --8<-- [end:fit]

    # --8<-- [start:symbolic]
    image = keras.Input(shape=(64,), name="image")
    half = image / 2
    features = layers.Dense(64, activation="relu")(half)
    for tensor in (image, half, features):
        print(type(tensor).__name__, tensor.shape, tensor.dtype)
    #> KerasTensor (None, 64) float32
    #> KerasTensor (None, 64) float32
    #> KerasTensor (None, 64) float32
    small = keras.Model(image, features)
    print(small(np.ones((3, 64))).shape)
    #> (3, 64)
    # --8<-- [end:symbolic]

    # --8<-- [start:layers]
    for layer in model.layers:
        print(f"{layer.name:12} {layer.output.shape}",
              layer.count_params())
    #> tens_image   (None, 64) 0
    #> units_image  (None, 64) 0
    #> encoder      (None, 64) 4160
    #> tens         (None, 10) 650
    #> units        (None, 10) 650
    print("weights:", model.count_params())
    #> weights: 5460
    # --8<-- [end:layers]

    # --8<-- [start:weights]
    model = compile_both(build(), loss_weights={"tens": 10.0, "units": 1.0})
    log = model.fit(*train, epochs=1, verbose=0).history
    total = 10 * log["tens_loss"][0] + log["units_loss"][0]
    print(f"loss {log['loss'][0]:.4f}, 10 tens_loss + units_loss {total:.4f}")
    #~ loss 21.6960, 10 tens_loss + units_loss 21.6551
    # --8<-- [end:weights]

    # --8<-- [start:share]
    low = y_train < 5  # the only digits that the tens place will show
    low_tens = numbers(x_train[low], y_train[low], 1000, seed=2)
    any_units = numbers(x_train, y_train, 1000, seed=3)
    x = {"tens_image": low_tens[0]["tens_image"],
         "units_image": any_units[0]["units_image"]}
    y = {"tens": low_tens[1]["tens"], "units": any_units[1]["units"]}
    for shared in (True, False):
        readers = build_readers(shared, seed=0)
        readers.fit(x, y, epochs=20, verbose=0)
        tens = readers.predict(
            {"tens_image": x_test, "units_image": x_test}, verbose=0)["tens"]
        right = tens.argmax(axis=1) == y_test
        print(f"shared: {shared!s:5} weights: {readers.count_params()}",
              f"tens 0 to 4: {right[y_test < 5].mean():.2f}",
              f"tens 5 to 9: {right[y_test >= 5].mean():.2f}")
    #~ shared: True  weights: 4810 tens 0 to 4: 0.98 tens 5 to 9: 0.95
    #~ shared: False weights: 9620 tens 0 to 4: 0.99 tens 5 to 9: 0.00
    # --8<-- [end:share]

    # --8<-- [start:merge]
    a, b = keras.Input(shape=(32,)), keras.Input(shape=(32,))
    one = keras.Input(shape=(1,))
    for merged in (layers.Concatenate()([a, b]), layers.Add()([a, b]),
                   layers.Multiply()([a, one]), layers.Dot(axes=1)([a, b])):
        print(merged.shape)
    #> (None, 64)
    #> (None, 32)
    #> (None, 32)
    #> (None, 1)
    # --8<-- [end:merge]

    # --8<-- [start:skip]
    hidden = layers.Dense(64, activation="relu")(image)
    change = layers.Dense(64, activation="relu")(hidden)
    skip = keras.Model(image, layers.Add()([hidden, change]))
    print(skip.output_shape, [layer.name.rstrip("_0123456789")
                              for layer in skip.layers])
    #> (None, 64) ['image', 'dense', 'dense', 'add']
    # --8<-- [end:skip]

    # --8<-- [start:sum]
    def with_sum(y):
        return {**y, "sum": y["tens"] + y["units"]}

    adder = build_sum()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adder.compile(
        optimizer="adam", loss={name: loss for name in adder.output},
        loss_weights={"tens": 0.3, "units": 0.3, "sum": 1.0})
    adder.fit(train[0], with_sum(train[1]), epochs=15, verbose=0)
    logits = adder.predict(test[0], verbose=0)
    answers = {name: values.argmax(axis=1) for name, values in logits.items()}
    truth = with_sum(test[1])["sum"]
    print(f"read off the output: {np.mean(answers['sum'] == truth):.2f}")
    #~ read off the output: 0.64
    added = answers["tens"] + answers["units"]
    print(f"the two digits added: {np.mean(added == truth):.2f}")
    #~ the two digits added: 0.92
    # --8<-- [end:sum]

    # --8<-- [start:extractor]
    model = compile_both(build())
    model.fit(*train, epochs=15, verbose=0)
    image = keras.Input(shape=(64,))
    extractor = keras.Model(image, model.get_layer("encoder")(image))
    before = extractor.predict(x_test, verbose=0)
    print("features:", before.shape)
    #> features: (450, 64)
    model.fit(*train, epochs=1, verbose=0)
    after = extractor.predict(x_test, verbose=0)
    print("the same weights:", not np.array_equal(before, after))
    #> the same weights: True
    # --8<-- [end:extractor]

    # --8<-- [start:nested]
    extractor.trainable = False
    image = keras.Input(shape=(64,))
    answer = layers.Dense(1, activation="sigmoid")(extractor(image))
    large = keras.Model(image, answer)
    large.compile(optimizer="adam", loss="binary_crossentropy",
                  metrics=["accuracy"])
    print([type(layer).__name__ for layer in large.layers])
    #> ['InputLayer', 'Functional', 'Dense']
    print("weights that train:",
          sum(np.prod(w.shape) for w in large.trainable_weights))
    #> weights that train: 65
    large.fit(x_train, y_train >= 5, epochs=20, verbose=0)
    accuracy = large.evaluate(x_test, y_test >= 5, verbose=0)[1]
    print(f"five or more? accuracy: {accuracy:.2f}")
    #~ five or more? accuracy: 0.83
    # --8<-- [end:nested]

    # --8<-- [start:save]
    file = Path(tempfile.mkdtemp()) / "numbers.keras"
    model.save(file)
    loaded = keras.models.load_model(file)
    ours, theirs = (m.predict(test[0], verbose=0) for m in (model, loaded))
    print(list(theirs), all(
        np.array_equal(ours[name], theirs[name]) for name in ours))
    #> ['tens', 'units'] True
    # --8<-- [end:save]

    # --8<-- [start:swapped]
    listed = keras.Model(model.inputs, model.output)
    listed.compile()
    print("order of the list:", [tensor.name for tensor in listed.inputs])
    #> order of the list: ['tens_image', 'units_image']
    for names in (("tens_image", "units_image"),
                  ("units_image", "tens_image")):
        x = [test[0][name] for name in names]
        print(names, f"{share_right(listed, x, test[1]):.2f}")
    #~ ('tens_image', 'units_image') 0.92
    #~ ('units_image', 'tens_image') 0.10
    # --8<-- [end:swapped]

    # --8<-- [start:missing]
    try:
        model.predict({"tens_image": x_test, "unit_image": x_test}, verbose=0)
    except ValueError as error:
        print(error)
    #> Missing data for input "units_image". You passed a data dictionary with keys ['tens_image', 'unit_image']. Expected the following keys: ['tens_image', 'units_image']
    # --8<-- [end:missing]

    # --8<-- [start:metrics]
    broken = build()
    broken.compile(optimizer="adam", loss="mse", metrics=["accuracy"])
    try:
        broken.fit(*train, verbose=0)
    except ValueError as error:
        print(error)
    #> Expected an instance of dict, collections.OrderedDict, or collections.defaultdict, got ('accuracy',).
    #> Invalid `metrics`. `metrics` should contain metrics objects and either be a dict or a list matching the output names of the functional model ['tens', 'units'] or match the output structure of the model: {'tens': 'X', 'units': 'X'}.
    #> Received: metrics=['accuracy']
    # --8<-- [end:metrics]

    # --8<-- [start:one-target]
    model = compile_both(build())
    try:
        model.fit(train[0], train[1]["tens"], verbose=0)
    except ValueError as error:
        print(error)
    #> y_true and y_pred have different structures.
    #> y_true: *
    #> y_pred: {'tens': '*', 'units': '*'}
    # --8<-- [end:one-target]

    # --8<-- [start:after-an-error]
    try:
        model.fit(*train, verbose=0)
    except ValueError as error:
        print(error)
    #> Creating variables on a non-first call to a function decorated with tf.function.
    compile_both(model)
    model.fit(*train, verbose=0)
    # --8<-- [end:after-an-error]

    # --8<-- [start:weight-names]
    model = compile_both(build(), loss_weights={"Units": 10.0, "tens": 1.0})
    log = model.fit(*train, epochs=1, verbose=0).history
    for tens, units in ((1, 10), (10, 1)):
        total = tens * log["tens_loss"][0] + units * log["units_loss"][0]
        print(f"{tens:2} tens_loss + {units:2} units_loss = {total:.2f},",
              f"loss = {log['loss'][0]:.2f}")
    #~  1 tens_loss + 10 units_loss = 23.91, loss = 21.70
    #~ 10 tens_loss +  1 units_loss = 21.66, loss = 21.70
    # --8<-- [end:weight-names]

    # --8<-- [start:numpy-function]
    image = keras.Input(shape=(64,))
    try:
        np.sqrt(image)
    except ValueError as error:
        print(error)
    #> A KerasTensor is symbolic: it's a placeholder for a shape an a dtype. It doesn't have any actual numerical value. You cannot convert it to a NumPy array.
    print(keras.ops.sqrt(image).shape)
    #> (None, 64)
    # --8<-- [end:numpy-function]

    # --8<-- [start:cut]
    image, other = keras.Input(shape=(64,)), keras.Input(shape=(64,))
    try:
        keras.Model(image, layers.Dense(10)(other))
    except ValueError as error:
        print(error)
    #> Output with path `` is not connected to `inputs`
    try:
        keras.Model(image, layers.Dense(10))
    except ValueError as error:
        print(str(error).split(".")[0])
    #> All `outputs` values must be KerasTensors
    # --8<-- [end:cut]

    # --8<-- [start:solution-1]
    for shared in (True, False):
        print(f"shared: {shared}:", build_readers(shared, 0).count_params())
    #> shared: True: 4810
    #> shared: False: 9620
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    random = np.random.default_rng(0)
    def questions(x, y):
        """Every image twice: with its digit, and with another."""
        wrong = (y + random.integers(1, 10, len(y))) % 10
        return ({"image": np.concatenate([x, x]),
                 "digit": np.concatenate([y, wrong])},
                np.repeat([1, 0], len(y)))

    check = build_check()
    check.fit(*questions(x_train, y_train), epochs=30, verbose=0)
    accuracy = check.evaluate(*questions(x_test, y_test), verbose=0)[1]
    print(f"accuracy: {accuracy:.2f}")
    #~ accuracy: 0.98
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    def nearest(train_features, test_features):
        distances = ((test_features[:, None] - train_features) ** 2).sum(-1)
        return y_train[:100][distances.argmin(axis=1)]

    for name, of in (("pixels", lambda x: x),
                     ("features", lambda x: extractor.predict(x, verbose=0))):
        found = nearest(of(x_train[:100]), of(x_test))
        print(f"{name:8} {np.mean(found == y_test):.2f}")
    #~ pixels   0.90
    #~ features 0.94
    # --8<-- [end:solution-3]


if __name__ == "__main__":
    main()
