"""What a block says that its statements print: the comments `#>` and `#~` after them.

`#>` is exact. `#~` is approximate: the same words, whole numbers and signs, each decimal near the one shown,
and neighbours in the same order.
"""

import ast
import functools
import itertools
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

UNITS, SHARE = 5, 0.1  # how far a decimal may be: units of its last digit, but no more than a share of it

COMMENT = re.compile(r"#(?P<kind>[>~])(?: (?P<text>.*))?$")
NUMBER = re.compile(r"(?<!\w)(?<!\d\.)(?:(?<![)\]])[-+])?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w|\.\d)")
TOKEN = re.compile(rf"(?P<number>{NUMBER.pattern})|\w+|\S")


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
        announced, printed = list(TOKEN.finditer(self.text)), list(TOKEN.finditer(text))
        if [_word(token) for token in announced] != [_word(token) for token in printed]:
            return False
        pairs = [(one[0], other[0]) for one, other in zip(announced, printed) if one["number"]]
        return all(itertools.starmap(_near, pairs)) and all(itertools.starmap(_in_order, itertools.pairwise(pairs)))


def _word(token: re.Match[str]) -> str:
    return "0" if token["number"] else token[0]


def _near(announced: str, printed: str) -> bool:
    """Tell whether two numbers, as they are written, have one sign and are near; whole numbers are equal."""
    one, other = float(announced), float(printed)
    share = SHARE * min(abs(one), abs(other))
    if "e" in announced.lower():
        tolerance = share
    elif "." in announced:
        tolerance = min(UNITS * _unit(announced), share)
    else:
        tolerance = 0
    return one * other >= 0 and abs(one - other) <= tolerance * (1 + 1e-9)


def _in_order(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Tell whether neighbours, each as announced and as printed, kept their order, or differ by a unit only."""
    announced, printed = (float(left) - float(right) for left, right in zip(one, other))
    return announced * printed >= 0 or abs(announced) <= max(_unit(one[0]), _unit(other[0])) * (1 + 1e-9)


def _unit(number: str) -> float:
    """Return a unit of the last digit of a number as it is written; arrays write 1.000 as `1.`."""
    exponent = int(Decimal(number).as_tuple().exponent)
    return float(10.0 ** (exponent if "e" in number.lower() else min(exponent, -1)))


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
