"""Imbalanced data: a class that is rare, and mistakes that cost differently.

The lesson looks for eights, one image in ten, in noisy images of digits. It
reads precision, recall and average precision; derives the threshold that
costs ask for and the class weights that do the same; shows what Keras
divides a weighted loss by; and measures what weights do to ranking and to
probabilities.
"""

# --8<-- [start:imports]
import json

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
# --8<-- [end:imports]


# --8<-- [start:data]
def noisy_eights(seed):
    """900 images to train on, 300 to validate, 597 to test; 1 is an eight."""
    images, digits = load_digits(return_X_y=True)
    noise = np.random.default_rng(seed).normal(0, 0.3, images.shape)
    x = (images / 16 + noise).astype("float32")
    y = (digits == 8).astype("int32")
    x, x_rest, y, y_rest = train_test_split(
        x, y, train_size=900, stratify=y, random_state=seed)
    x_val, x_test, y_val, y_test = train_test_split(
        x_rest, y_rest, train_size=300, stratify=y_rest, random_state=seed)
    return (x, y), (x_val, y_val), (x_test, y_test)
# --8<-- [end:data]


# --8<-- [start:build]
def build(seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss="binary_crossentropy",
        metrics=["accuracy", keras.metrics.Precision(name="precision"),
                 keras.metrics.Recall(name="recall")],
    )
    return model
# --8<-- [end:build]


# --8<-- [start:judge]
def judge(y, p, threshold):
    """Precision, recall, and the cost: 10 for a miss, 1 for an alarm."""
    called = p > threshold
    hits, alarms = np.sum(called & (y == 1)), np.sum(called & (y == 0))
    misses = np.sum(y) - hits
    precision = hits / max(hits + alarms, 1)
    return precision, hits / np.sum(y), 10 * misses + alarms
# --8<-- [end:judge]


# --8<-- [start:average-precision]
def average_precision(y, scores):
    order = np.argsort(-scores)
    y, scores = y[order], scores[order]
    last = np.append(scores[1:] != scores[:-1], True)  # of equal scores
    hits, called = np.cumsum(y)[last], np.flatnonzero(last) + 1
    gained = np.diff(hits / np.sum(y), prepend=0)      # recall
    return np.sum(gained * hits / called)
# --8<-- [end:average-precision]


# --8<-- [start:balanced]
def balanced(y):
    """The same total weight for each class, and a mean weight of 1."""
    counts = np.bincount(y)
    return {k: len(y) / (len(counts) * n) for k, n in enumerate(counts)}
# --8<-- [end:balanced]


# --8<-- [start:solution-4-undo]
def undone(q, weights):
    """The p that the formula turns into q under these class weights."""
    odds = q / (1 - q) * weights[0] / weights[1]
    return odds / (1 + odds)
# --8<-- [end:solution-4-undo]


def main():
    # --8<-- [start:fit]
    train, (x_val, y_val), (x_test, y_test) = noisy_eights(seed=0)
    print("eights:", np.sum(train[1]), "of", len(train[1]))
    #> eights: 87 of 900
    model = build()
    log = model.fit(*train, epochs=20, validation_data=(x_val, y_val),
                    verbose=0).history
    for epoch in (1, 2, 5, 20):
        print(f"Epoch {epoch}/20", *(
            f"- {name}: {log[name][epoch - 1]:.2f}" for name in
            ("val_accuracy", "val_precision", "val_recall")))
    #~ Epoch 1/20 - val_accuracy: 0.90 - val_precision: 0.00 - val_recall: 0.00
    #~ Epoch 2/20 - val_accuracy: 0.90 - val_precision: 0.00 - val_recall: 0.00
    #~ Epoch 5/20 - val_accuracy: 0.91 - val_precision: 1.00 - val_recall: 0.10
    #~ Epoch 20/20 - val_accuracy: 0.95 - val_precision: 0.83 - val_recall: 0.66
    # --8<-- [end:fit]

    # --8<-- [start:threshold]
    p = model.predict(x_test, verbose=0)[:, 0]
    for threshold in (1 / 2, 1 / 11):
        precision, recall, cost = judge(y_test, p, threshold)
        print(f"threshold {threshold:.2f}: precision {precision:.2f}, "
              f"recall {recall:.2f}, cost {cost / len(y_test):.2f}")
    #~ threshold 0.50: precision 0.67, recall 0.48, cost 0.53
    #~ threshold 0.09: precision 0.39, recall 0.83, cost 0.29
    # --8<-- [end:threshold]

    # --8<-- [start:scores]
    figure, axes = plt.subplots(num="scores", figsize=(5, 3))
    steps = np.linspace(0, 1, 21)
    axes.hist(p[y_test == 0], steps, alpha=0.6, label="others")
    axes.hist(p[y_test == 1], steps, alpha=0.6, label="eights")
    axes.axvline(1 / 2, color="gray", linestyle="--")
    axes.axvline(1 / 11, color="gray", linestyle=":")
    axes.set(xlabel="p", ylabel="images", yscale="log")
    axes.legend()
    plt.show()
    # --8<-- [end:scores]

    # --8<-- [start:same]
    random = np.random.default_rng(0)
    for name, scores in (("model", p), ("ties", np.round(p)),
                         ("luck", random.random(len(p)))):
        mine = average_precision(y_test, scores)
        exact = average_precision_score(y_test, scores)
        metric = keras.metrics.AUC(curve="PR")
        metric.update_state(y_test, scores)
        print(f"{name}: {mine:.2f}, as scikit-learn {np.isclose(mine, exact)}"
              f", Keras' AUC {float(metric.result()):.2f}")
    #~ model: 0.69, as scikit-learn True, Keras' AUC 0.69
    #~ ties: 0.37, as scikit-learn True, Keras' AUC 0.41
    #~ luck: 0.11, as scikit-learn True, Keras' AUC 0.10
    # --8<-- [end:same]

    # --8<-- [start:weigh]
    weights = balanced(train[1])
    print({k: round(float(w), 2) for k, w in weights.items()})
    #> {0: 0.55, 1: 5.17}
    by_class = build()
    by_class.fit(*train, epochs=3, class_weight=weights, verbose=0)
    by_example = build()
    by_example.fit(*train, epochs=3, verbose=0,
                   sample_weight=np.where(train[1], weights[1], weights[0]))
    print([np.array_equal(*pair) for pair in zip(
        by_class.get_weights(), by_example.get_weights())])
    #> [True, True, True, True]
    # --8<-- [end:weigh]

    # --8<-- [start:divide]
    w = np.where(y_test, 5.0, 1.0)
    loss = -np.log(np.where(y_test, p, 1 - p))
    evaluated = model.evaluate(x_test, y_test, sample_weight=w, verbose=0)[0]
    print("by examples:", np.isclose(evaluated, np.sum(w * loss) / len(w)))
    #> by examples: True
    other = keras.losses.BinaryCrossentropy(
        reduction="mean_with_sample_weight")
    by_weights = float(other(y_test[:, None], p[:, None], sample_weight=w))
    print("by weights: ", np.isclose(by_weights, np.sum(w * loss) / w.sum()))
    #> by weights:  True
    # --8<-- [end:divide]

    # --8<-- [start:measure]
    rows, answers = np.zeros((3, 5, 5)), {}  # way, seed, number
    for seed in range(5):
        data, _, (x, y) = noisy_eights(seed)
        for way, class_weight in enumerate((None, balanced(data[1]))):
            network = build(seed)
            network.fit(*data, epochs=20, class_weight=class_weight, verbose=0)
            answers[way] = q = network.predict(x, verbose=0)[:, 0]
            results = *judge(y, q, 1 / 2), average_precision(y, q), q.mean()
            rows[way, seed] = results
            if class_weight is None:
                rows[2, seed] = *judge(y, q, data[1].mean()), *results[3:]

    rows[:, :, 2] /= len(y)
    # --8<-- [end:measure]

    # --8<-- [start:table]
    print("               precision   recall     cost       ap   answer")
    #>                precision   recall     cost       ap   answer
    for name, row in zip(("plain, 1/2", "balanced, 1/2", "plain, share"), rows):
        numbers = "".join(f"{value:9.2f}" for value in row.mean(axis=0))
        print(f"{name:15}{numbers}")
    #~ plain, 1/2          0.64     0.44     0.56     0.61     0.09
    #~ balanced, 1/2       0.50     0.68     0.38     0.63     0.15
    #~ plain, share        0.38     0.78     0.34     0.61     0.09
    gain = rows[1, :, 3] - rows[0, :, 3]
    error = np.std(gain, ddof=1) / 5 ** 0.5
    print(f"ap, balanced minus plain: {gain.mean():.3f} ± {error:.3f}")
    #~ ap, balanced minus plain: 0.021 ± 0.011
    # --8<-- [end:table]

    # --8<-- [start:calibration]
    figure, axes = plt.subplots(num="calibration", figsize=(5, 3.5))
    axes.plot([0, 1], [0, 1], color="gray")
    for way, name, marker in ((0, "plain", "o"), (1, "balanced", "s")):
        groups = np.array_split(np.argsort(answers[way]), [360, 480, 540])
        axes.plot([answers[way][group].mean() for group in groups],
                  [y[group].mean() for group in groups],
                  marker=marker, label=name)
        print(f"{name}: mean answer {answers[way].mean():.2f}, "
              f"share of eights {y.mean():.2f}")
    #~ plain: mean answer 0.11, share of eights 0.10
    #~ balanced: mean answer 0.18, share of eights 0.10

    axes.set(xlabel="mean answer of a group", ylabel="share of eights in it")
    axes.legend()
    plt.show()
    # --8<-- [end:calibration]

    # --8<-- [start:never]
    print(f"accuracy of never: {np.mean(y_test == 0):.2f}")
    #~ accuracy of never: 0.90
    answer = model.predict(x_test, verbose=0)
    print(answer.shape, "classes by argmax:", np.unique(answer.argmax(axis=1)))
    #> (597, 1) classes by argmax: [0]
    # --8<-- [end:never]

    # --8<-- [start:json]
    from_file = json.loads('{"0": 1.0, "1": 5.0}')
    kernels = []
    for class_weight in (from_file, None, {0: 1.0, 1: 5.0}):
        network = build()
        network.fit(*train, class_weight=class_weight, verbose=0)
        kernels.append(network.get_weights()[0])

    print("as without weights:", np.array_equal(kernels[0], kernels[1]))
    #> as without weights: True
    print("as with weights:   ", np.array_equal(kernels[0], kernels[2]))
    #> as with weights:    False
    # --8<-- [end:json]

    # --8<-- [start:copies]
    x = np.concatenate([train[0], x_val])
    y = np.concatenate([train[1], y_val])
    copied = np.repeat(np.arange(1200), np.where(y == 1, 9, 1))
    x_a, x_b, y_a, y_b = train_test_split(
        x[copied], y[copied], test_size=0.25, random_state=0)
    careless = build()
    careless.fit(x_a, y_a, epochs=20, verbose=0)
    for name, images, classes in (("held-out copies", x_b, y_b),
                                  ("new images", x_test, y_test)):
        answer = careless.predict(images, verbose=0)[:, 0]
        print(f"recall on {name}: {judge(classes, answer, 1 / 2)[1]:.2f}")
    #~ recall on held-out copies: 1.00
    #~ recall on new images: 0.81
    # --8<-- [end:copies]

    # --8<-- [start:solution-1]
    times = np.where(y_test == 1, 3, 1)
    weighed = model.evaluate(x_test, y_test, sample_weight=times, verbose=0)
    repeated = model.evaluate(np.repeat(x_test, times, axis=0),
                              np.repeat(y_test, times), verbose=0)
    print("same means:", np.isclose(weighed[0], repeated[0], rtol=1e-3))
    #> same means: False
    print("same sums: ", np.isclose(weighed[0] * len(times),
                                    repeated[0] * times.sum(), rtol=1e-3))
    #> same sums:  True
    # --8<-- [end:solution-1]

    # --8<-- [start:solution-2]
    chance = np.arange(0.005, 1, 0.01)
    for miss, alarm in ((1, 1), (10, 1), (1, 4)):
        yes_is_cheaper = (1 - chance) * alarm < chance * miss
        print(f"miss {miss}, alarm {alarm}: yes from "
              f"{chance[yes_is_cheaper][0]:.3f}, "
              f"formula {alarm / (alarm + miss):.2f}")
    #~ miss 1, alarm 1: yes from 0.505, formula 0.50
    #~ miss 10, alarm 1: yes from 0.095, formula 0.09
    #~ miss 1, alarm 4: yes from 0.805, formula 0.80
    # --8<-- [end:solution-2]

    # --8<-- [start:solution-3]
    gains = []
    for seed in range(5):
        data, _, (x, y) = noisy_eights(seed)
        scores = []
        for class_weight in (None, balanced(data[1])):
            network = build(seed)
            network.fit(*data, epochs=2, class_weight=class_weight, verbose=0)
            q = network.predict(x, verbose=0)[:, 0]
            scores.append(average_precision(y, q))
        gains.append(scores[1] - scores[0])

    error = np.std(gains, ddof=1) / 5 ** 0.5
    print(f"after 2 epochs: {np.mean(gains):.2f} ± {error:.2f}")
    #~ after 2 epochs: 0.16 ± 0.04
    # --8<-- [end:solution-3]

    # --8<-- [start:solution-4]
    for epochs in (3, 40):
        network = build()
        network.fit(*train, epochs=epochs, class_weight=weights, verbose=0)
        q = network.predict(x_test, verbose=0)[:, 0]
        print(f"{epochs} epochs: mean {q.mean():.2f}, "
              f"undone {undone(q, weights).mean():.2f}")
    #~ 3 epochs: mean 0.34, undone 0.07
    #~ 40 epochs: mean 0.13, undone 0.07
    # --8<-- [end:solution-4]


if __name__ == "__main__":
    main()
