"""What a block says that its statements print: the comments `#>` and `#~` after them.

`#>` is exact. `#~` is approximate: the same words, each number near the one shown.
"""

import ast
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

RELATIVE_TOLERANCE = 0.1
ABSOLUTE_TOLERANCE = 0.02

COMMENT = re.compile(r"#(?P<kind>[>~])(?: (?P<text>.*))?$")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class Printed(NamedTuple):
    """One printed line; `kind` is `>` or `~`."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"#{self.kind} {self.text}".rstrip()

    def agrees_with(self, text: str) -> bool:
        """Tell whether `text`, a line that was really printed, is what this line announces."""
        if self.kind != "~":
            return self.text == text
        if NUMBER.sub("0", self.text).split() != NUMBER.sub("0", text).split():
            return False
        return all(map(_near, NUMBER.findall(self.text), NUMBER.findall(text)))


def _near(announced: str, printed: str) -> bool:
    """Tell whether two numbers, as they are written, are near; with an exponent, their ratio alone decides."""
    tolerance = RELATIVE_TOLERANCE * abs(float(announced))
    if "e" not in announced.lower():
        tolerance = max(tolerance, ABSOLUTE_TOLERANCE)
    return abs(float(announced) - float(printed)) <= tolerance


class Statement(NamedTuple):
    """A top-level statement: its lines in the block, counted from 1, and what stands after it."""

    first_line: int
    last_line: int
    printed: tuple[Printed, ...]


@functools.cache
def split_statements(code: str) -> tuple[Statement, ...]:
    """Return the top-level statements of a block; those that share a line count as one.

    Raises:
        SyntaxError: if the block is not Python.
    """
    lines = code.split("\n")
    spans: list[list[int]] = []
    for node in ast.parse(code).body:
        first_line = min([node.lineno] + [item.lineno for item in getattr(node, "decorator_list", [])])
        if spans and first_line <= spans[-1][1]:
            spans[-1][1] = _last_line(node)
        else:
            spans.append([first_line, _last_line(node)])
    return tuple(Statement(first, last, tuple(_comments_after(lines, last))) for first, last in spans)


def _last_line(node: ast.stmt) -> int:
    assert node.end_lineno is not None  # which only nodes made by hand lack
    return node.end_lineno


def misplaced_comments(code: str) -> list[int]:
    """Return the lines, counted from 1, of output comments that follow no top-level statement."""
    placed = {
        number
        for statement in split_statements(code)
        for number in range(statement.last_line + 1, statement.last_line + 1 + len(statement.printed))
    }
    lines = code.split("\n")
    return [number for number, line in enumerate(lines, 1) if COMMENT.match(line.strip()) and number not in placed]


def without_comments(code: str) -> str:
    """Return the code of a block without what it says is printed."""
    return "\n".join(line for line in code.split("\n") if not line.strip().startswith(("#>", "#~")))


def _comments_after(lines: list[str], number: int) -> Iterator[Printed]:
    for line in lines[number:]:
        comment = COMMENT.match(line)
        if not comment:
            return
        yield Printed(comment["kind"], (comment["text"] or "").rstrip())
