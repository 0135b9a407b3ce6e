"""Each mistake that an editor can make is named, with its place, and hides no other.

One run judges a copy of the project in which every page of a submodule “sample” but one has its own
mistake. The sample is first completed by the commands an editor would use.
"""

import os
import re
from typing import NamedTuple

import pytest

from tests.copies import copy_project, judge_copy
from tests.samples import sample
from tests.verify.checks.sections import snippet_files

PAGE = """---
title: Sample
description: A sample.
---

# A sample {#sample}

What [the end](#end) holds. [✓](claim:mean_is_between)

```python
--8<-- "snippets/sample/MODULE.py:mean"
```

## Its use {#use}

```python
--8<-- "snippets/sample/MODULE.py:use"
```

![A line that falls](../assets/figures/sample/NAME/line.png)

??? success "Solution"

    ```python
    print(mean([1, 2, 4]))
    ```

## The end {#end}

Nothing more.

## A table {#table}

The mean of `mean([1, 2, 3])` is $6 / 3$, and about 0.67 of three: see `keras.ops.mean`.

- Add all numbers of the list, and do not forget the last.
- Divide their sum by how many they are.

| what | how |
| --- | --- |
| sum | add |
| share | divide |
"""
CHINESE = {
    "## A table": "## 一张表",
    "The mean of `mean([1, 2, 3])` is $6 / 3$,": "`mean([1, 2, 3])` 是 $6 / 3$，",
    " and about 0.67 of three: see `keras.ops.mean`.": "约为三的 0.67，见 `keras.ops.mean`。",
    "Add all numbers of the list, and do not forget the last.": "把列表里的数全部加起来，别漏了最后一个。",
    "Divide their sum by how many they are.": "再用总和除以它们的个数。",
    "| what | how |": "| 什么 | 怎么做 |",
    "| sum | add |": "| 总和 | 相加 |",
    "| share | divide |": "| 份额 | 相除 |",
    "title: Sample": "title: 示例",
    "A sample.": "一个示例。",
    "# A sample": "# 一个示例",
    "What [the end](#end) holds. ": "[结尾](#end)里有什么：损失函数（loss function）。",
    "## Its use": "## 用法",
    "A line that falls": "一条下降的线",
    '"Solution"': '"参考答案"',
    "## The end": "## 结尾",
    "Nothing more.": "没有了。",
}
MODULE = '''"""A sample."""

# --8<-- [start:mean]
import matplotlib.pyplot as plt


def mean(values):
    return sum(values) / len(values)
# --8<-- [end:mean]


def main():
    # --8<-- [start:use]
    print(mean([1, 2, 3]))
    figure, axes = plt.subplots(num="line", figsize=(2, 2))
    axes.plot([3, 2, 1])
    print(mean([1, 2, 3]) / 3)
    #~ 0.66
    # --8<-- [end:use]


if __name__ == "__main__":
    main()
'''


TESTS = """from snippets.sample.MODULE import mean


def test_mean_is_between():
    assert 1 < mean([1, 2, 3]) < 3
"""


class Mistake(NamedTuple):
    """`old` becomes `new` in a file (`en`, `zh` or one of `PATHS`); `error` is then what an editor reads."""

    file: str
    old: str
    new: str
    error: str


PATHS = {
    "module": "snippets/sample/MODULE.py",
    "tests": "tests/snippets/sample/test_MODULE.py",
    "says": "docs/assets/figures/sample/NAME/line.yml",
}
EN, ZH, PY = r"docs/en/sample/NAME\.md", r"docs/zh/sample/NAME\.md", r"snippets/sample/MODULE\.py"
PRINT = "    print(mean([1, 2, 3]))\n"
TRACED = """\
    import tensorflow as tf

    @tf.function
    def twice(x):
        return x * 2

    print(float(twice(tf.constant(1.0))))
    #> 2.0
"""
MISTAKES = {
    "unknown-language": Mistake("en", "    ```python", "    ```pyhton", rf"{EN}:24: unknown language 'pyhton'"),
    "unlabelled-fence": Mistake("en", "    ```python", "    ```", rf"{EN}:24: unknown language ''"),
    "unclosed-fence": Mistake("en", "333335\n    ```", "333335", rf"{EN}:24: this fence is not recognised as a block"),
    "unknown-option": Mistake(
        "en", "    ```python", "    ```python numbered=yes!", rf"{EN}:24: this fence is not recognised"
    ),
    "commented-fence": Mistake(
        "en",
        "Nothing more.",
        "<!--\n```python\nprint(1)\n```\n-->",
        rf"{EN}:32: a fence inside an HTML comment",
    ),
    "not-run-without-reason": Mistake(
        "en", "    ```python", "    ```{ .python .not-run }", rf"{EN}:24: a block that is not run says why"
    ),
    "missing-file": Mistake("en", "MODULE.py:mean", "no.py:mean", rf"{EN}:11: .*sample/no\.py' could not be found"),
    "missing-section": Mistake(
        "en", "MODULE.py:mean", "MODULE.py:median", rf"{EN}:11: .*section 'median' could not be located"
    ),
    "line-range": Mistake("en", "MODULE.py:mean", "NAME.py:3:5", rf"{EN}:11: embed one named section"),
    "unused-section": Mistake(
        "module",
        "def main():",
        "# --8<-- [start:spare]\nx = 1\n# --8<-- [end:spare]\n\n\ndef main():",
        rf"{PY}:12: no page of docs/en shows the section 'spare'",
    ),
    "doubled-section": Mistake(
        "module", "[start:use]", "[start:mean]", rf"{PY}:13: the section 'mean' was already begun in line 3"
    ),
    "unclosed-section": Mistake("module", "    # --8<-- [end:use]\n", "", rf"{PY}:13: the section 'use' is not closed"),
    "section-in-a-string": Mistake(
        "module",
        '"""A sample."""',
        '"""A sample.\n\n# --8<-- [start:hidden]\n"""',
        rf"{PY}:3: the marker of the section 'hidden' stands inside a string",
    ),
    "raises": Mistake(
        "module",
        "sum(values) /",
        "sum(value) /",
        rf"{EN}:17 \({PY}:14\): this block raises NameError: name 'value' .*\n    through {EN}:11 \({PY}:8\)",
    ),
    "prints-something-else": Mistake(
        "module", "/ len(values)", "/ len(values) + 1", rf"{EN}:17 \({PY}:14\): the page says that this prints"
    ),
    "prints-another-tiny-number": Mistake(
        "module", PRINT, "    print(1e-13)\n    #~ 2e-13\n" + PRINT, rf"{EN}:17 .*\n    #~ 2e-13\n.*\n    1e-13"
    ),
    "prints-another-sign": Mistake(
        "module",
        PRINT,
        "    print('+0.009 (+0.002 to +0.015)')\n    #~ -0.009 (-0.015 to -0.002)\n" + PRINT,
        rf"{EN}:17 .*this prints\n    #~ -0\.009",
    ),
    "prints-in-another-order": Mistake(
        "module",
        PRINT,
        "    print('best 0.867, last 0.878')\n    #~ best 0.878, last 0.867\n" + PRINT,
        rf"{EN}:17 .*this prints\n    #~ best 0\.878",
    ),
    "prints-another-count": Mistake(
        "module",
        PRINT,
        "    print('epoch 95 of 1,000: 0.5')\n    #~ epoch 96 of 1,000: 0.5\n" + PRINT,
        rf"{EN}:17 .*this prints\n    #~ epoch 96",
    ),
    "prints-another-name": Mistake(
        "module", PRINT, "    print('dense_10 0.5')\n    #~ dense_11 0.5\n" + PRINT, rf"{EN}:17 .*\n    #~ dense_11"
    ),
    "prints-a-small-number-near-zero": Mistake(
        "module", PRINT, "    print('rate 0.012')\n    #~ rate 0.002\n" + PRINT, rf"{EN}:17 .*\n    #~ rate 0\.002"
    ),
    "prints-a-warning": Mistake(
        "module",
        PRINT,
        "    import warnings\n    warnings.warn('old')\n",
        rf"{EN}:17 \({PY}:15\): the page says that this prints\n    #> 2\.0\n  and it printed\n    UserWarning: old",
    ),
    "prints-a-progress-bar": Mistake(
        "module", PRINT, "    print('1/2\\r2/2')\n", rf"{EN}:17 .*this prints a progress bar.* verbose=0"
    ),
    "misplaced-output": Mistake(
        "module",
        "    return sum",
        "    #> 2.0\n    return sum",
        rf"{EN}:11 \({PY}:8\): an output comment stands after no top-level statement",
    ),
    "is-no-python": Mistake("module", PRINT, "    print(mean([1, 2, 3])\n", rf"{EN}:17 .*raises SyntaxError"),
    "hangs": Mistake("module", PRINT, "    while True: pass\n", rf"{EN}:17 .*did not end within 20"),
    "crashes": Mistake(
        "module", PRINT, "    import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", rf"{EN}:17 .*exit code -11"
    ),
    "exits": Mistake("module", PRINT, "    import os; os._exit(3)\n", rf"{EN}:17 .*ended .*exit code 3"),
    "asks-to-exit": Mistake("module", PRINT, "    import sys; sys.exit(0)\n", rf"{EN}:17 .*raises SystemExit"),
    "prints-by-the-descriptor": Mistake(
        "module", PRINT, "    import os; os.write(1, b'raw\\n')\n" + PRINT, rf"{EN}:17 .*\n    nothing\n.*\n    raw"
    ),
    "prints-by-a-child": Mistake(
        "module",
        PRINT,
        "    import subprocess; subprocess.run(['echo', 'child'])\n" + PRINT,
        rf"{EN}:17 .*\n    nothing\n.*\n    child",
    ),
    "logs-by-a-handler-made-before": Mistake(
        "module",
        PRINT,
        "    import logging\n    logging.basicConfig()\n    logging.warning('logged')\n" + PRINT,
        rf"{EN}:17 \({PY}:16\).*\n    nothing\n.*\n    WARNING:root:logged",
    ),
    "lines-without-an-end": Mistake(
        "module",
        PRINT,
        "    print('a', end='')\n    #> a\n    print('b')\n    #> b\n" + PRINT,
        rf"{EN}:17 \({PY}:16\).*\n    #> b\n .*\n    ab",
    ),
    "function-never-called": Mistake(
        "module",
        "# --8<-- [end:mean]",
        "\n\ndef never(values):\n    return sum(values).misspelt\n# --8<-- [end:mean]",
        rf"{EN}:11 \({PY}:12\): no run of the page reaches this line: return sum\(values\)\.misspelt",
    ),
    "branch-never-taken": Mistake(
        "module",
        "    return sum",
        "    if not values: return values.misspelt()\n    return sum",
        rf"{EN}:11 \({PY}:8\): no run of the page reaches this line: if not values: return",
    ),
    "handler-never-entered": Mistake(
        "module",
        PRINT,
        "    try:\n    " + PRINT + "    except ValueError as error:\n        error.misspelt()\n",
        rf"{EN}:17 \({PY}:17\): no run of the page reaches this line: error\.misspelt\(\)",
    ),
    "line-after-a-return": Mistake(
        "module",
        "/ len(values)\n",
        "/ len(values)\n    values.misspelt()\n",
        rf"{EN}:11 \({PY}:9\): no run of the page reaches this line: values\.misspelt",
    ),
    "branch-of-a-graph-never-taken": Mistake(
        "module",
        PRINT,
        TRACED.replace("        return", "        if x is None:\n            x.misspelt()\n        return") + PRINT,
        rf"{EN}:17 \({PY}:19\): no run of the page reaches this line: x\.misspelt\(\)",
    ),
    "package-that-notebooks-do-not-know": Mistake(
        "module", "import matplotlib", "import yaml\nimport matplotlib", rf"{EN}:11 \({PY}:4\): a notebook cannot say"
    ),
    "figure-changed": Mistake(
        "module", "[3, 2, 1]", "[3, 1, 1]", rf"{EN}:17 \({PY}:14\): the figure 'line' changed; compare docs/assets"
    ),
    "figure-with-another-title": Mistake(
        "module",
        "    axes.plot([3, 2, 1])\n",
        '    axes.plot([3, 2, 1])\n    axes.set(title="2 of 3 seeds", ylabel="error rate")\n',
        rf"{EN}:17 .*the figure 'line' changed; (?s:.*)\n    panel 1, titles is new: \['2 of 3 seeds'\]",
    ),
    "figure-on-another-scale": Mistake(
        "module",
        "    axes.plot([3, 2, 1])\n",
        "    axes.plot([3, 2, 1])\n    axes.semilogy()\n",
        rf"{EN}:17 .*the figure 'line' changed; (?s:.*)y axis, scale: linear became log",
    ),
    "figure-in-another-colour": Mistake(
        "module",
        "axes.plot([3, 2, 1])",
        "axes.plot([3, 2, 1], 'tab:red')",
        rf"{EN}:17 .*the figure 'line' changed; (?s:.*)line 1, style: #1f77b4 - became #d62728 -",
    ),
    "figure-named-twice": Mistake(
        "module",
        "    axes.plot([3, 2, 1])\n",
        "    axes.plot([3, 2, 1])\n    plt.figure().add_subplot().plot([1, 2])\n    plt.gcf().set_label('line')\n",
        rf"{EN}:17 .*2 figures of the page have the name 'line'; give each its own",
    ),
    "figure-described-by-hand": Mistake(
        "says", "3.0, 2.0", "3.0, 2.5", rf"{EN}:17 .*changed; (?s:.*)line 1, y 2 of 3: 2\.5 became 2\.0"
    ),
    "figure-of-another-description": Mistake(
        "says", "picture: ", "picture: 0", rf"{EN}:17 .*NAME/line\.png is not the picture that its description"
    ),
    "figure-with-a-broken-description": Mistake("says", "[", "[[", rf"{EN}:17 .*'line' is new, or was not kept whole"),
    "figure-empty": Mistake(
        "module", "    axes.plot([3, 2, 1])\n", "", rf"{EN}:17 .*the figure 'line' has nothing in it, or in one"
    ),
    "figure-too-wide": Mistake("module", "(2, 2)", "(6, 2)", rf"{EN}:17 .*the figure 'line' is .* inches wide"),
    "figure-spread-by-its-legend": Mistake(
        "module",
        "    axes.plot([3, 2, 1])\n",
        "    axes.plot([3, 2, 1])\n    axes.text(9, 1, 'far away')\n",
        rf"{EN}:17 .*the figure 'line' is .* inches wide",
    ),
    "figure-too-heavy": Mistake(
        "module",
        "figsize=(2, 2))\n    axes.plot([3, 2, 1])\n",
        "figsize=(4, 4))\n    import numpy\n    axes.imshow(numpy.random.default_rng(0).random((900, 900, 3)))\n",
        rf"{EN}:17 .*the figure 'line' weighs \d+ kB; at most 250",
    ),
    "figure-without-name": Mistake("module", 'num="line", ', "", rf"{EN}:17 .*a figure without a name"),
    "figure-not-shown": Mistake(
        "en", "figures/sample/NAME/line.png", "pictures/logo.svg", rf"{EN}:17 .*'line' is drawn here and shown nowhere"
    ),
    "figure-not-drawn": Mistake(
        "module",
        '    figure, axes = plt.subplots(num="line", figsize=(2, 2))\n    axes.plot([3, 2, 1])\n',
        "",
        rf"{EN}:20: no block of the page draws",
    ),
    "block-in-one-edition": Mistake(
        "en", "Nothing more.", "```python\nprint(1)\n#> 1\n```", rf"{ZH}:.*the code block differs"
    ),
    "block-differs": Mistake("zh", "2, 4]", "2, 5]", rf"{ZH}:.*the code block differs"),
    "picture-in-one-edition": Mistake(
        "zh", "![一条下降的线](../assets/figures/sample/NAME/line.png)", "", rf"{ZH}:.*the picture differs"
    ),
    "english-moved-on": Mistake(
        "en",
        "Nothing more.",
        "Something more.",
        rf"{ZH}:\d+: the English section #end \({EN}:29\) has changed since",
    ),
    "heading-without-id": Mistake("en", " {#use}", "", rf"{EN}:14: the heading “Its use” has no id"),
    "heading-with-the-same-id": Mistake("en", "{#use}", "{#end}", rf"{EN}:29: the id #end is already"),
    "heading-level-skipped": Mistake("en", "## Its use", "#### Its use", rf"{EN}:14: a heading of level 4"),
    "picture-without-alt": Mistake("en", "A line that falls", "", rf"{EN}:20: the picture .* has no alt text"),
    "column-without-heading": Mistake(
        "en", "Nothing more.", "| | more |\n|---|---|\n| a | b |", rf"{EN}:31: a column of this table has no heading"
    ),
    "broken-link": Mistake("en", "(#end)", "(nowhere.md)", rf"{EN}:8: the link to nowhere\.md leads nowhere"),
    "broken-anchor": Mistake("en", "(#end)", "(#ende)", rf"{EN}:8: the link to #ende leads to no heading"),
    "missing-from-navigation": Mistake("en", "", "", rf"{EN}:1: the page is missing from the navigation"),
    "refused-term": Mistake("zh", "没有了。", "没有代价函数。", rf"{ZH}:\d+: “代价函数” is not the term"),
    "other-term": Mistake(
        "zh", "损失函数（loss", "误差函数（loss", rf"{ZH}:\d+: the glossary calls “loss function” 损失函数"
    ),
    "narrow-space": Mistake("zh", "没有了。", "没有别的block了。", rf"{ZH}:\d+: write “没有别的 block 了。”"),
    "mark-without-a-test": Mistake(
        "en", "claim:mean_is_between", "claim:mean_is_above", rf"{EN}:8: this sentence is marked as tested, and"
    ),
    "mark-of-another-form": Mistake("zh", "[✓](claim:", "[已验证](claim:", rf"{ZH}:\d+: a mark is written \[✓\]"),
    "test-without-a-mark": Mistake(
        "tests",
        "def test_mean",
        "def test_another():\n    pass\n\n\ndef test_mean",
        r"tests/snippets/sample/test_MODULE\.py:4: no sentence of docs/en/sample/NAME\.md names this test",
    ),
    "mark-in-one-edition": Mistake("zh", "[✓](claim:mean_is_between)", "", rf"{ZH}:\d+: the link differs"),
    "not-utf-8": Mistake("en", "Nothing more.", "Nothing mor\udce9.", rf"{EN}:31: this line is not UTF-8"),
    "not-utf-8-in-chinese": Mistake("zh", "没有了。", "\udcc3\udcbb\udcd3\udcd0", rf"{ZH}:\d+: this line is not UTF-8"),
    "module-not-utf-8": Mistake(
        "module", "A sample", "A sampl\udce9", rf"{EN}:11: {PY}:1: this line is not UTF-8(.|\n)*\n{PY}:1: this line"
    ),
    "tests-not-utf-8": Mistake(
        "tests",
        "    assert",
        "    # \udce9\n    assert",
        r"tests/snippets/sample/test_MODULE\.py:5: this line is not UTF-8",
    ),
    "tests-are-no-python": Mistake(
        "tests", "is_between()", "is_between(", r"tests/snippets/sample/test_MODULE\.py:4: the module is not Python"
    ),
    "front-matter-is-no-yaml": Mistake(
        "en", "title: Sample", "title: [Sample", rf"{EN}:3: the front matter is not YAML"
    ),
    "never-confirmed": Mistake("zh", "english:", "unknown:", rf"{ZH}:1: this page is new: see that"),
    "section-never-confirmed": Mistake(
        "zh", "  use: '", "  no: '", rf"{ZH}:\d+: the English section #use \({EN}:14\) is new: see that"
    ),
    "still-to-write": Mistake(
        "en", "Nothing more.", "TODO: say more.", rf"{EN}:31: this is still to be written: “TODO: say"
    ),
    "still-to-write-in-chinese": Mistake("zh", "没有了。", "TODO：没有了。", rf"{ZH}:\d+: this is still to be written"),
    "still-to-write-in-code": Mistake(
        "module", PRINT, "    # TODO\n" + PRINT, rf"{EN}:17: this is still to be written"
    ),
    "python-as-text": Mistake("en", "    ```python", "    ```text", rf"{EN}:24: unknown language 'text'"),
    "python-in-bash": Mistake(
        "en", "Nothing more.", "```bash\nimport keras\n```", rf"{EN}:32: “import keras” is no command"
    ),
    "output-in-bash": Mistake(
        "en",
        "Nothing more.",
        "```bash\npip list\n#> accuracy: 0.99\n```",
        rf"{EN}:33: “#> accuracy: 0\.99” is no command",
    ),
    "code-in-a-command": Mistake(
        "en", "Nothing more.", "```bash\npython -c 'print(1)'\n```", rf"{EN}:32: “python -c .* is no command"
    ),
    "not-run-for-no-reason": Mistake(
        "en",
        "    ```python",
        '    ```{ .python .not-run title="Later" }',
        rf"{EN}:24: the title of a block that is not run begins with “Not run: ”",
    ),
    "not-run-in-english": Mistake(
        "zh",
        "    ```python",
        '    ```{ .python .not-run title="Not run: no network" }',
        rf"{ZH}:\d+: the title of a block that is not run begins with “未运行：”",
    ),
    "not-run-with-an-output": Mistake(
        "en",
        "    ```python",
        '    ```{ .python .not-run title="Not run: no network" }',
        rf"{EN}:26: a block that is not run has printed nothing",
    ),
    "indented-code": Mistake("en", "Nothing more.", "    print(1)\n    #> 1", rf"{EN}:31: indented by four spaces"),
    "output-in-a-sentence": Mistake("en", "Nothing more.", "It says `#> 0.99`.", rf"{EN}:31: “#> 0\.99” looks like"),
    "html": Mistake("en", "Nothing more.", "<pre>accuracy: 0.99</pre>", rf"{EN}:31: the HTML <pre>"),
    "html-code": Mistake("zh", "没有了。", "没有 <code>x</code> 了。", rf"{ZH}:\d+: the HTML <code>"),
    "misspelt-box": Mistake(
        "en", "Nothing more.", '!!! nte "Mind"\n\n    Nothing more.', rf"{EN}:31: there is no box of the kind “nte”"
    ),
    "list-after-a-line": Mistake("en", "Nothing more.", "Nothing:\n- more\n- less", rf"{EN}:32: “-” stays as it is"),
    "steps-after-a-line": Mistake("zh", "没有了。", "没有：\n1. 多\n2. 少", rf"{ZH}:\d+: “1\.” stays as it is"),
    "table-after-a-line": Mistake(
        "en", "Nothing more.", "Nothing:\n| a | b |\n| --- | --- |\n| 1 | 2 |", rf"{EN}:32: “\|” stays as it is"
    ),
    "unclosed-bold": Mistake("en", "Nothing more.", "Nothing **more.", rf"{EN}:31: “\*” stays as it is in “Nothing"),
    "unclosed-formula": Mistake("en", "$6 / 3$", "$6 / 3", rf"{EN}:35: “\$” stays as it is"),
    "unclosed-code": Mistake("en", "`keras.ops.mean`", "`keras.ops.mean", rf"{EN}:35: “`” stays as it is"),
    "undefined-reference": Mistake("en", "[the end](#end)", "[the end][ende]", rf"{EN}:8: “\]\[” stays as it is"),
    "space-in-a-link": Mistake("en", "[the end](#end)", "[the end] (#end)", rf"{EN}:8: “\[the end\]” stays as it is"),
    "admonition-of-two-signs": Mistake("en", "Nothing more.", "!! note\n    more", rf"{EN}:31: “!!” stays as it is"),
    "class-after-an-empty-line": Mistake(
        "en", "Nothing more.", "Nothing more.\n\n{ .lead }", rf"{EN}:33: “{{” stays as it is in “{{ \.lead }}”"
    ),
    "tabs": Mistake("en", "Nothing more.", '=== "More"', rf"{EN}:31: “===” stays as it is"),
    "unknown-placeholder": Mistake("en", "Nothing more.", "{{ times }}", rf"{EN}:31: “{{” stays as it is"),
    "placeholder-of-another-page": Mistake("en", "Nothing more.", "{{ lessons }}", rf"{EN}:31: “{{” stays as it is"),
    "typed-minutes": Mistake(
        "en", "Nothing more.", "Beginner · 40 minutes\n{ .lesson-facts }", rf"{EN}:31: .* shows the number 40"
    ),
    "keys": Mistake("en", "Nothing more.", "Press ++ctrl+c++.", rf"{EN}:31: “\+\+” stays as it is"),
    "task-list": Mistake("en", "Nothing more.", "- [x] nothing", rf"{EN}:31: “\[x\]” stays as it is"),
    "heading-without-a-space": Mistake("en", "## The end", "##The end", rf"{EN}:29: “The end” is shown as a heading"),
    "heading-by-a-rule": Mistake(
        "en", "Nothing more.", "Nothing more.\n---", rf"{EN}:31: “Nothing more\.” is shown as a heading"
    ),
    "steps-broken-by-code": Mistake(
        "en",
        "Nothing more.",
        "1. Begin.\n\n```bash\ncd here\n```\n\n2. End.",
        rf"{EN}:37: this step is shown as number 1",
    ),
    "emphasis-with-punctuation": Mistake(
        "zh", "没有了。", "没有**重点：**下文。", rf"{ZH}:\d+: “重点：” is not emphasised in the notebook"
    ),
    "unknown-name": Mistake("en", "`keras.ops.mean`", "`keras.ops.meann`", rf"{EN}:35: .* no “keras\.ops\.meann”"),
    "unknown-class": Mistake(
        "zh", "没有了。", "没有 `Densee(10)` 了。", rf"{ZH}:\d+: what is installed has no “Densee”"
    ),
    "unknown-argument-of-a-module": Mistake(
        "en", "Nothing more.", "See `np.randon.normal(0, 1)`.", rf"{EN}:31: .* no “np\.randon\.normal”"
    ),
    "gone-and-there": Mistake(
        "en", "`keras.ops.mean`", "`keras.ops.mean`{ .gone }", rf"{EN}:35: “keras\.ops\.mean” is not gone"
    ),
    "code-of-one-edition": Mistake(
        "zh",
        "见 `keras.ops.mean`",
        "见 `keras.ops.sum`",
        rf"{ZH}:\d+: the code “keras\.ops\.sum” stands in this section 1",
    ),
    "formula-of-one-edition": Mistake("zh", "$6 / 3$", "$6 / 2$", rf"{ZH}:\d+: the formula “6 / 2” stands in this"),
    "number-of-one-edition": Mistake("zh", "0.67", "0.66", rf"{ZH}:\d+: the number 0\.66 stands in this section 1"),
    "row-of-one-edition": Mistake(
        "zh", "| 份额 | 相除 |\n", "", rf"{ZH}:\d+: the table row stands in this section 2 times, and 3 times"
    ),
    "item-of-one-edition": Mistake(
        "zh",
        "- 再用总和除以它们的个数。\n",
        "",
        rf"{ZH}:\d+: the list item stands in this section 1 times, and 2 times",
    ),
    "section-emptied": Mistake("zh", "没有了。", "", rf"{ZH}:\d+: the paragraph stands in this section 0 times"),
    "item-emptied": Mistake(
        "zh", "把列表里的数全部加起来，别漏了最后一个。", "加。", rf"{ZH}:\d+: this says much less than the English"
    ),
    "paragraph-in-english": Mistake(
        "zh", "没有了。", "Nothing more.", rf"{ZH}:\d+: “Nothing more\.” is left in English"
    ),
    "half-in-english": Mistake(
        "zh", "没有了。", "没有 nothing more of it。", rf"{ZH}:\d+: “nothing more of it” is left"
    ),
    "cell-in-english": Mistake("zh", "| 总和", "| sum", rf"{ZH}:\d+: “sum” is left in English"),
    "title-in-english": Mistake("zh", "title: 示例", "title: Sample", rf"{ZH}:1: “Sample” is left in English"),
    "description-in-english": Mistake("zh", "一个示例。", "A sample.", rf"{ZH}:1: “A sample\.” is left in English"),
    "alt-text-in-english": Mistake(
        "zh", "一条下降的线", "A line that falls", rf"{ZH}:\d+: “A line that falls” is left"
    ),
    "admonition-in-english": Mistake("zh", '"参考答案"', '"Solution"', rf"{ZH}:\d+: “Solution” is left in English"),
    "refused-term-in-the-front-matter": Mistake(
        "zh", "一个示例。", "一个代价函数的示例。", rf"{ZH}:1: “代价函数” is not the term"
    ),
    "front-matter-moved-on": Mistake(
        "en", "description: A sample.", "description: Another.", rf"{ZH}:1: the English front matter .* has changed"
    ),
    "opening-moved-on": Mistake(
        "en",
        "---\n\n# A",
        "---\n\nMore.\n\n# A",
        rf"{ZH}:1: what stands before the first English heading .* is new",
    ),
    "number-from-nowhere": Mistake("en", "0.67", "0.76", rf"{EN}:35: nothing on this page shows the number 0\.76"),
    "count-from-nowhere": Mistake("en", "Nothing more.", "It took 3,700 steps.", rf"{EN}:31: .* number 3,700"),
    "no-description": Mistake("en", "description: A sample.\n", "", rf"{EN}:1: the front matter has no description"),
}

# What only the script tells, run as a reader runs it.
SCRIPT_MISTAKES = {
    "script-needs-what-is-imported-here": Mistake(
        "module",
        PRINT,
        "    import multiprocessing\n    multiprocessing.forkserver\n" + PRINT,
        rf"{EN}:17 \({PY}:15\): the script fails \(exit code 1\): AttributeError",
    ),
    "script-needs-the-project": Mistake(
        "module",
        PRINT,
        "    import tests\n" + PRINT,
        rf"{EN}:17 \({PY}:14\): the script fails .*No module named 'tests'",
    ),
    "script-asks-the-network": Mistake(
        "module",
        PRINT,
        "    import urllib.request\n    try: urllib.request.urlopen('http://127.0.0.1:1')\n"
        "    except OSError: print('offline')\n    #> offline\n" + PRINT,
        rf"{EN}:17 \({PY}:17\): the script says\n    this asks the network for 127\.0\.0\.1\n .*\n    #> offline",
    ),
    "script-leaves-a-file-at-home": Mistake(
        "module",
        PRINT,
        "    from pathlib import Path\n    Path.home().joinpath('left').touch()\n" + PRINT,
        rf"{EN}:1: the script leaves files in the home folder: left",
    ),
    "script-runs-once-only": Mistake(
        "module",
        PRINT,
        "    import os\n    os.mkdir('made')\n" + PRINT,
        rf"{EN}:17 \({PY}:15\): this block, run a second time in the same folder, raises FileExistsError",
    ),
    "script-follows-the-hash-seed": Mistake(
        "module",
        PRINT,
        "    print(min({'a', 'b', 'c', 'd'}, key=hash))\n    #> a\n" + PRINT,
        rf"{EN}:17 \({PY}:15\): the script says\n    b\n .*\n    #> a",
    ),
    "script-prints-at-its-end": Mistake(
        "module",
        PRINT,
        "    import atexit\n    _ = atexit.register(print, 'the end')\n" + PRINT,
        rf"{EN}:26: the script says\n    the end\n  where the page announces\n    nothing more",
    ),
    "script-prints-by-a-late-thread": Mistake(
        "module",
        PRINT,
        "    import threading\n    threading.Timer(2, print, ['late']).start()\n" + PRINT,
        rf"{EN}:26: the script says\n    late\n  where the page announces\n    nothing more",
    ),
}
UNUSUAL = (
    MODULE.replace("import matplotlib", "from __future__ import annotations\n\nimport matplotlib")
    .replace(
        "import matplotlib.pyplot as plt\n", 'import matplotlib.pyplot as plt\n\nTEXT = """trailing  \nand a\ttab"""\n'
    )
    .replace(
        "def mean(values):",
        "def mean(values: of.no.such.type):\n    if not values:  # Not run: an example\n        return values",
    )
    .replace(
        PRINT,
        """\
    import multiprocessing
    import warnings
    from pathlib import Path

    with multiprocessing.Pool(2) as pool:
        print(pool.map(mean, [[1, 2], [3, 4]]))
    warnings.warn("first\\nsecond")
    Path("helper.py").write_text("at = 1")
    import helper
    print(helper.at, len(TEXT))
    print(TEXT)
"""
        + PRINT,
    )
)


# What only looks like a mistake.
HONEST = {"sound": MODULE, "unusual": UNUSUAL, "traced": MODULE.replace(PRINT, PRINT + TRACED)}


STRAY = {
    "docs/en/sample/extra.markdown": "nothing checks a file of this kind",
    "docs/en/tool.html": "nothing checks a file of this kind",
    "docs/zh/sample/work.ipynb": "nothing checks a file of this kind",
    "docs/en/appendix.md": "nothing checks a file of this kind",
    "docs/en/sample/deeper/page.md": "nothing checks a file of this kind",
    "docs/assets/draft.ipynb": "nothing checks a file of this kind",
    "docs/assets/pictures/result.png": "nothing checks a file of this kind",
    "docs/assets/pictures/plot.svg": "a picture with matplotlib",
    "docs/assets/pictures/broken.svg": "this drawing is not XML",
    "snippets/helper.py": "nothing checks a file of this kind",
    "snippets/sample/orphan.py": "this module belongs to no page: there is no docs/en/sample/orphan.md",
    "tests/snippets/sample/test_orphan.py": "this module belongs to no page: there is no docs/en/sample/orphan.md",
}


def named(text, name):
    """Put the sample's name, as a page's and as a module's, into a text."""
    return text.replace("NAME", name).replace("MODULE", name.replace("-", "_"))


def write_sample(project, name, module=MODULE):
    """Write the sample lesson under `name` into the project."""
    chinese = PAGE
    for english, words in CHINESE.items():
        chinese = chinese.replace(english, words)
    texts = {
        "docs/en/sample/NAME.md": PAGE,
        "docs/zh/sample/NAME.md": chinese,
        "snippets/sample/MODULE.py": module,
        "tests/snippets/sample/test_MODULE.py": TESTS,
    }
    for file, text in texts.items():
        (project / named(file, name)).write_text(named(text, name), encoding="utf-8")


def write_samples(project, names):
    """Copy the project without its lessons; write the sample lesson into it under each of the names."""
    submodules = {file.parent.name for file in snippet_files()}
    copy_project(project, *submodules, *(name.replace("_", "-") for name in submodules))
    for folder in ("docs/en/sample", "docs/zh/sample", "snippets/sample", "tests/snippets/sample"):
        (project / folder).mkdir()
    for edition in ("en", "zh"):
        listed = "".join(f"  - {name}.md\n" for name in names)
        (project / f"docs/{edition}/sample/.nav.yml").write_text("nav:\n" + listed)
        (project / f"docs/{edition}/.nav.yml").write_text("nav:\n  - index.md\n  - overview.md\n  - sample\n")
    for name in names:
        write_sample(project, name, HONEST.get(name, MODULE))


# Under CI so many each day; where somebody works on a check, all.
TRIED = sample([*MISTAKES, *SCRIPT_MISTAKES], 60) if "CI" in os.environ else [*MISTAKES, *SCRIPT_MISTAKES]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The failures of a project in which each sample page has one mistake, and one page has none."""
    project = tmp_path_factory.mktemp("project")
    names = [*HONEST, *TRIED]
    write_samples(project, names)
    for edition in ("en", "zh"):
        navigation = project / "docs" / edition / "sample" / ".nav.yml"
        navigation.write_text(navigation.read_text().replace("  - missing-from-navigation.md\n", ""))
    for file in STRAY:
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_text("<svg><!-- matplotlib --></svg>" if "plot" in file else "")
    (project / "docs/en/sample/index.md").write_text("# Sample {#sample}\n\n```python\nx = 1\n```\n")
    samples = ["--time-limit=20", "--page=en/sample/index", *(f"--page=sample/{name}" for name in names)]
    judge_copy(project, *samples, "--update", "--translated")
    for name in TRIED:
        mistake = (MISTAKES | SCRIPT_MISTAKES)[name]
        path = PATHS.get(mistake.file, f"docs/{mistake.file}/sample/NAME.md")
        file = project / named(path, name)
        text = file.read_text(encoding="utf-8")
        old, new = named(mistake.old, name), named(mistake.new, name)
        assert old in text, f"the mistake {name} finds nothing to spoil in\n{text}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8", errors="surrogateescape")
    scripts = [f"--page=sample/{name}" for name in ("sound", "unusual", *TRIED) if name not in MISTAKES]
    failures, output = judge_copy(project, *samples)
    as_readers, more_output = judge_copy(project, "--time-limit=60", "--fresh", *scripts)
    return failures | as_readers, output + more_output, project


@pytest.mark.parametrize("name", TRIED)
def test_mistake_is_named_with_its_place(name, judged):
    failures, output, _ = judged
    error = named((MISTAKES | SCRIPT_MISTAKES)[name].error, name)
    tests = [
        "test_page_is_true[en/sample/NAME]",
        "test_page_is_true[zh/sample/NAME]",
        "test_sections_are_sound_and_shown[snippets/sample/MODULE.py]",
    ]
    said = "\n".join(failures[named(test, name)] for test in tests)
    assert re.search(error, said), f"expected\n{error}\nin\n{said or output}"


@pytest.mark.parametrize("file", STRAY)
def test_file_that_nothing_checks_is_named(file, judged):
    failures, output, _ = judged
    assert f"{file}:1: {STRAY[file]}" in failures["test_each_file_is_of_a_known_kind"], output


def test_program_outside_a_lesson_is_named(judged):
    failures, output, _ = judged
    said = failures["test_page_is_true[en/sample/index]"]
    assert "docs/en/sample/index.md:3: blocks stand in lessons" in said, said or output


@pytest.mark.parametrize("name", HONEST)
def test_sound_page_beside_the_bad_ones_passes(name, judged):
    failures, output, _ = judged
    sound = [message for test, message in failures.items() if f"sample/{name}" in test]
    assert sound == ["", "", ""], "\n".join(sound) + output


def test_update_wrote_what_was_printed_also_where_the_old_number_was_near(judged):
    _, _, project = judged
    module = (project / "snippets" / "sample" / "sound.py").read_text(encoding="utf-8")
    assert "#> 2.0\n" in module and f"#~ {2 / 3}\n" in module


def test_a_claim_that_fails_says_which_sentences_fall(judged):
    _, _, project = judged
    file = project / "tests/snippets/sample/test_sound.py"
    file.write_text(file.read_text(encoding="utf-8").replace("1 < mean", "2 < mean"), encoding="utf-8")
    _, output = judge_copy(project, tests=str(file.relative_to(project)))
    assert "docs/en/sample/sound.md:8: What [the end](#end) holds.\n" in output
    assert re.search(r"docs/zh/sample/sound\.md:\d+: .*损失函数（loss function）。\n", output)
