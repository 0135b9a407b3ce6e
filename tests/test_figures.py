"""What a figure says is described so that each change of it is seen, and that of another machine is not."""

import functools
import re

import numpy as np
import pytest
from matplotlib import pyplot

from tests.verify.checks.descriptions import differences, keep_drawing, kept_description
from tests.verify.run.description import describe
from tests.verify.run.result import Drawing

FIGURE = """
figure, ((curves, bars), (image, plain)) = pyplot.subplots(2, 2, num="figure", figsize=(5, 4))
figure.suptitle("Four of 12 runs")
epochs = numpy.arange(1, 11)
curves.plot(epochs, 1 / epochs, "o-", label="training")
curves.plot(epochs, 2 / epochs, label="validation")
curves.plot(numpy.linspace(1, 10, 5000), numpy.linspace(1, 2, 5000) ** 2)
curves.axhline(0.5, linestyle="--", color="tab:gray")
curves.axvspan(2, 4, alpha=0.2)
curves.set(title="Learning", xlabel="epoch", ylabel="accuracy", yscale="log", ylim=(0.1, 10), xlim=(0, 12))
curves.annotate("best 0.867", (8, 0.25), xytext=(5, 9), textcoords="offset points", arrowprops={"arrowstyle": "->"})
curves.text(0.1, 0.9, "note", transform=curves.transAxes)
curves.legend(title="set")
bars.bar(["a", "b", "c"], [1, 2, 3])
bars.set(title="Bars")
image.imshow(numpy.arange(9).reshape(3, 3), cmap="gray")
image.set_xticks([0, 2], ["left", "right"])
plain.scatter([1, 2, 3], [1, 2, 3], color=["red", "red", "blue"])
dots = plain.scatter([1, 2, 3], [3, 1, 2], c=[0.1, 0.5, 0.9], s=[9, 16, 25])
plain.fill_between([1, 2, 3], [0, 1, 2], [1, 2, 3], alpha=0.3)
plain.hist([1, 1, 2, 3], bins=3)
plain.contour([[0, 1], [1, 3]], levels=[0.5, 2])
plain.quiver([1, 2], [1, 2], [1, 0], [0, 1])
"""


@functools.cache
def described(code):
    exec(code, {"pyplot": pyplot, "numpy": np})
    description = describe(pyplot.gcf())
    pyplot.close("all")
    return description


CHANGES = {
    "a dot half as high": ("[3, 1, 2]", "[3, 0.5, 2]", "panel 4, drawn, collection ., y 2 of 3: 1.0 became 0.5"),
    "a dot to the left": ("scatter([1, 2, 3]", "scatter([1, 1.9, 3]", "panel 4, drawn, .*, x 2 of 3: 2.0 became 1.9"),
    "a dot's colour": ("0.5, 0.9]", "0.6, 0.9]", "values 2 of 3"),
    "the colours of dots": (
        '["red", "red", "blue"]',
        '["blue", "red", "red"]',
        "style: #f.* became #0",
    ),
    "a dot's size": ("s=[9, 16", "s=[9, 25", "sizes 2 of 3"),
    "a curve replaced": ("2 / epochs", "2 - epochs / 10", "panel 1, drawn, line 2, y . of 10"),
    "a curve added": ("bars.bar", "curves.plot(epochs, epochs); bars.bar", "panel 1, drawn, line 5, .* is new"),
    "a curve left out": ('curves.plot(epochs, 2 / epochs, label="validation")', "", "panel 1, drawn"),
    "a short peak of a long curve": ("2, 5000) ** 2", "2, 5000) ** 2 + 3 * (numpy.arange(5000) == 77)", "y 2 of 100"),
    "a point less": ("arange(1, 11)", "arange(1, 10)", "points: 10 became 9"),
    "titles exchanged": ("Learning|Bars", "Bars|Learning", r"titles 1 of 1: Learning became Bars"),
    "the label of an axis": ('"accuracy"', '"error rate"', "panel 1, y axis, label: accuracy became error rate"),
    "a number in a title": ("12 runs", "13 runs", "texts 1 of 1: Four of 12 runs became Four of 13 runs"),
    "a setting in a label": ('label="validation"', 'label="validation, rate 0.036"', "rate 0.036"),
    "a number in an annotation": ("0.867", "0.868", "text: best 0.867 became best 0.868"),
    "an annotation at another point": ("(8, 0.25)", "(7, 0.25)", "x 1 of 2: 8.0 became 7.0"),
    "an annotation beside its point": ("(5, 9)", "(50, 9)", "x 2 of 2"),
    "a text moved": ("0.1, 0.9, ", "0.1, 0.5, ", "panel 1, drawn, .*, y 1 of 1"),
    "colours exchanged": ('"o-", label', '"o-", color="tab:orange", label', "style: #1f77b4 - o became #ff7f0e - o"),
    "labels exchanged": ("training|validation", "validation|training", "label: training became validation"),
    "the legend's entries exchanged": (
        "curves.legend(",
        'curves.legend(curves.lines[:2], ["validation", "training"], ',
        "entries 1 of 2: #1f77b4 - o: training became #1f77b4 - o: validation",
    ),
    "the legend's title": ('title="set"', 'title="data"', "legend 1, title: set became data"),
    "no legend": ('curves.legend(title="set")', "", "legend 1, title is gone"),
    "a scale": (', yscale="log"', "", "panel 1, y axis, scale: log became linear"),
    "limits": ("ylim=(0.1", "ylim=(0.2", "panel 1, y axis, limits 1 of 2: 0.1 became 0.2"),
    "an axis turned round": ("bars.set(", "bars.invert_yaxis(); bars.set(", "panel 2, y axis, limits 1 of 2"),
    "a line moved": ("axhline(0.5", "axhline(0.6", "panel 1, drawn, line 4, y 1 of 2: 0.5 became 0.6"),
    "a span moved": ("axvspan(2, 4", "axvspan(2, 5", "panel 1, drawn, shape 1, x 2 of 2: 4.0 became 5.0"),
    "a bar's height": ("[1, 2, 3])\nbars", "[1, 2.5, 3])\nbars", "panel 2, drawn, shape 1, y 4 of 6: 2.0 became 2.5"),
    "a bar less": ('["a", "b", "c"], [1, 2, 3]', '["a", "b"], [1, 2]', "panel 2, drawn, shape 1, points: 6 became 4"),
    "a bar's name": ('"b"', '"d"', "tick labels 2 of 3: b became d"),
    "a tick's label": ('"right"', '"middle"', "tick labels 2 of 2: right became middle"),
    "an image": ("arange(9)", "arange(9)[::-1]", "panel 3, drawn, image 1, values 1 of 9: 0.0 became 1.0"),
    "an image's colours": ('"gray"', '"gray_r"', "colours, scale: gray became gray_r"),
    "a fill": ("[1, 2, 3], alpha", "[1, 2, 2], alpha", "panel 4, drawn, .*, y . of 9: 3.0 became 2.0"),
    "a histogram": ("[1, 1, 2, 3]", "[1, 2, 2, 3]", "panel 4, drawn, .*, y . of 6: 2.0 became 1.0"),
    "a contour": ("[0.5, 2]", "[0.5, 2.5]", "panel 4, drawn"),
    "an arrow": ("[1, 0], [0, 1]", "[1, 0], [0, -1]", "arrows 4 of 4: 1.0 became -1.0"),
    "an axis hidden": ("bars.set(", 'bars.axis("off"); bars.set(', r"panel 2, hidden is new"),
    "panels exchanged": ("(curves, bars)", "(bars, curves)", "titles 1 of 1: Learning became Bars"),
    "another size": ("(5, 4)", "(5, 3)", "inches 2 of 2: 4.0 became 3.0"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_with_its_place(name):
    old, new, expected = CHANGES[name]
    assert re.search(old if "|" in old else re.escape(old), FIGURE), f"nothing to change for “{name}”"
    exchange = dict(zip(old.split("|"), new.split("|")))
    pattern = "|".join(map(re.escape, exchange))
    changed = re.sub(pattern, lambda match: exchange[match[0]], FIGURE, count=len(exchange))
    said = "\n".join(differences(described(FIGURE), described(changed)))
    assert re.search(expected, said), said or "nothing was seen"


def test_a_point_moves_a_little_on_another_machine():
    changed = FIGURE.replace("1 / epochs", "1.03 / epochs").replace("[3, 1, 2]", "[3.01, 1.02, 2]")
    assert list(differences(described(FIGURE), described(changed))) == []


def test_what_is_kept_beside_a_picture_is_what_was_described(tmp_path):
    says = described(FIGURE)
    keep_drawing(Drawing("figure", 0, b"a picture", says), tmp_path / "figure.png")
    kept = kept_description(tmp_path / "figure.png")
    assert kept.pop("picture") and list(differences(kept, says)) == [] and kept == says
    assert max(map(len, (tmp_path / "figure.yml").read_text().splitlines())) <= 120
