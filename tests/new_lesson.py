"""Begin a lesson with all its files: `python -m tests.new_lesson part/lesson-name`.

They pass the checks, but for what is still to be written: the check of the page names each TODO with its line.
"""

import keyword
import re
import sys
from pathlib import Path

from course.project import EDITIONS, ROOT

PAGE = """---
title: TITLE
description: TODO
---

# TITLE {#LESSON}

TODO: level · Before this: TODO
{ .lesson-facts }

## What you will be able to do {#goals}

- TODO: two to four outcomes, each a verb and a thing.

## In five minutes {#five-minutes}

TODO: the shortest complete use, with one number before and one after. Replace this example, in the module:

```python
--8<-- "snippets/PART/MODULE.py:model"
```

```python
--8<-- "snippets/PART/MODULE.py:in-five-minutes"
```

Each unit has a weight for each feature, and a bias. [✓](claim:a_unit_has_a_weight_for_each_feature_and_a_bias)

## The idea {#idea}

TODO: in words a newcomer follows, with one picture.

## The mathematics {#mathematics}

TODO: after the thing it describes has been seen.

## The code {#code}

TODO: short blocks; after each, what to notice in what it printed.

## Shapes {#shapes}

TODO: after each layer, with the parameter count.

## From scratch {#from-scratch}

TODO: where the topic is an algorithm, a few lines of NumPy that are equal to Keras.

## What it buys you, measured {#measured}

TODO: with `fit`, over enough seeds, both sides tuned.

## What goes wrong {#mistakes}

TODO: the two to four mistakes that people really make, with what they read then.

## Exercises {#exercises}

### 1. TODO {#exercise-1}

TODO: ask for a prediction before the run.

??? success "Solution"

    ```python
    --8<-- "snippets/PART/MODULE.py:solution-1"
    ```

    TODO: reason as a tutor would.

## Summary and next {#summary}

- TODO: five lines at most.

## Sources {#sources}

- TODO: what the lesson states but does not show.
"""
CHINESE = {
    "title: TITLE": "title: TODO",
    "# TITLE {": "# TODO {",
    "TODO: level · Before this: TODO": "TODO：难度 · 先修：TODO",
    "What you will be able to do": "学完能做什么",
    "TODO: two to four outcomes, each a verb and a thing.": "TODO：两到四项，每项写明能做什么。",
    "In five minutes": "五分钟上手",
    "TODO: the shortest complete use, with one number before and one after. Replace this example, in the module:": (
        "TODO：最短的完整用法，前后各一个数。把模块里的这个例子换掉："
    ),
    "Each unit has a weight for each feature, and a bias. [": "每个单元对每个特征有一个权重，另有一个偏置。[",
    "The idea": "思路",
    "TODO: in words a newcomer follows, with one picture.": "TODO：新手能跟上的话，配一张图。",
    "The mathematics": "数学",
    "TODO: after the thing it describes has been seen.": "TODO：先看到现象，再写公式。",
    "The code": "代码",
    "TODO: short blocks; after each, what to notice in what it printed.": (
        "TODO：代码块要短，每块之后说明输出里该注意什么。"
    ),
    "## Shapes": "## 形状",
    "TODO: after each layer, with the parameter count.": "TODO：逐层写出形状和参数量。",
    "From scratch": "从零实现",
    "TODO: where the topic is an algorithm, a few lines of NumPy that are equal to Keras.": (
        "TODO：如果主题是算法，用几行 NumPy 写出与 Keras 相等的结果。"
    ),
    "What it buys you, measured": "实测：带来多少好处",
    "TODO: with `fit`, over enough seeds, both sides tuned.": "TODO：用 `fit`，种子要够多，两边都调好。",
    "What goes wrong": "常见错误",
    "TODO: the two to four mistakes that people really make, with what they read then.": (
        "TODO：人们真会犯的两到四个错误，以及那时会读到的信息。"
    ),
    "## Exercises": "## 练习",
    "TODO: ask for a prediction before the run.": "TODO：先预测，再运行。",
    '"Solution"': '"参考答案"',
    "TODO: reason as a tutor would.": "TODO：像老师那样讲道理。",
    "Summary and next": "小结与下一步",
    "TODO: five lines at most.": "TODO：至多五行。",
    "## Sources": "## 参考资料",
    "TODO: what the lesson states but does not show.": "TODO：课里说到但没有展示的内容。",
}
MODULE = '''"""TITLE."""

# --8<-- [start:model]
import keras


def build(units):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
# --8<-- [end:model]


def main():
    # --8<-- [start:in-five-minutes]
    print(build(3).count_params())
    # --8<-- [end:in-five-minutes]

    # --8<-- [start:solution-1]
    print(build(5).count_params())
    # --8<-- [end:solution-1]


if __name__ == "__main__":
    main()
'''
TESTS = '''"""What the lesson claims."""

from snippets.PART.MODULE import build


def test_a_unit_has_a_weight_for_each_feature_and_a_bias():
    for units in (1, 3, 8):
        assert build(units).count_params() == units * (2 + 1)
'''


def begin(name):
    """Write the files of the lesson `part/lesson-name`; return them, relative to the project.

    Raises:
        ValueError: if there cannot be such a lesson, saying why.
    """
    part, _, lesson = name.partition("/")
    parts = sorted(file.parent.name for file in (ROOT / "docs/en").glob("*/.nav.yml"))
    if part not in parts:
        raise ValueError(f"there is no part {part}; name one of: {', '.join(f'{one}/{lesson}' for one in parts)}")
    module = lesson.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", lesson) or keyword.iskeyword(module):
        raise ValueError(
            f"“{lesson}” is no name of a lesson; write small letters and hyphens: {part}/transfer-learning"
        )
    folder = part.replace("-", "_")
    chinese = PAGE
    for english, words in CHINESE.items():
        chinese = chinese.replace(english, words)
    texts = {
        Path("docs/en", part, f"{lesson}.md"): PAGE,
        Path("docs/zh", part, f"{lesson}.md"): chinese,
        Path("snippets", folder, f"{module}.py"): MODULE,
        Path("tests/snippets", folder, f"test_{module}.py"): TESTS,
    }
    if there := [str(file) for file in texts if (ROOT / file).exists()]:
        raise ValueError(f"there is such a lesson already: {', '.join(there)}")
    words = {"TITLE": lesson.replace("-", " ").title(), "PART": folder, "MODULE": module, "LESSON": lesson}
    for file, text in texts.items():
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        (ROOT / file).write_text(text, encoding="utf-8")
    navigations = [Path("docs", edition, part, ".nav.yml") for edition in EDITIONS]
    for file in navigations:
        listed = (ROOT / file).read_text(encoding="utf-8").rstrip("\n")
        (ROOT / file).write_text(f"{listed}\n  - {lesson}.md\n", encoding="utf-8")
    return [*texts, *navigations]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        files = begin(sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
    print(*files, sep="\n")


if __name__ == "__main__":
    main()
