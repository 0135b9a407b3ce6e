"""Chinese pages keep the rules of Chinese typography: spaces beside Latin letters, full-width punctuation."""

import json
from collections.abc import Iterator

import autocorrect_py
from course.page import Page, Problem

autocorrect_py.load_config(json.dumps({"context": {"codeblock": 0}}))  # type: ignore[attr-defined]


def typography_problems(page: Page) -> Iterator[Problem]:
    """Yield what autocorrect would change in the prose of a Chinese page, that of folded solutions included."""
    if page.edition != "zh" or not page.prose:
        return
    lines = [""] * max(line.page_line for line in page.prose)
    for line in page.prose:
        lines[line.page_line - 1] = line.text.strip()  # indented lines it would take for code
    for result in autocorrect_py.lint_for("\n".join(lines), "markdown").lines:
        yield Problem(page.file, result.line, f"write “{result.new.strip()}”, not “{result.old.strip()}”")
