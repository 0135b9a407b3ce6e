"""A page's program: its blocks in order, as one file that a reader would paste."""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from outputs import without_comments


@dataclass(frozen=True)
class Program:
    """The texts of a page's blocks. Two pages that show the same blocks have the same program."""

    blocks: tuple[str, ...]

    @classmethod
    def of(cls, page):
        return cls(tuple(block.text for block in page.program))

    @property
    def text(self):
        return "".join(f"{block}\n\n" for block in self.blocks)

    @property
    def digest(self):
        """The program's name among kept results: what it says is printed changes nothing of what it does."""
        return hashlib.sha256("\0".join(map(without_comments, self.blocks)).encode()).hexdigest()

    def first_line(self, block):
        """Return the line of the program's text, counted from 1, where the block begins."""
        return 1 + sum(text.count("\n") + 2 for text in self.blocks[:block])

    def locate(self, line):
        """Return the (block, line in it, both as counted there: from 0, from 1) of a line of the text."""
        block = max(number for number in range(len(self.blocks)) if self.first_line(number) <= line)
        return block, line - self.first_line(block) + 1


class Failure(NamedTuple):
    """An exception that ended a program; `lines` are the program's lines in its traceback, outermost first."""

    summary: str
    lines: tuple[int, ...]


@dataclass
class Result:
    """What a program did, as far as it came.

    `printed` holds, for each block begun, the lines printed by each of its top-level statements;
    `figures` maps the name of each figure to (block, PNG bytes).
    """

    printed: list[list[list[str]]] = field(default_factory=list)
    figures: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    failure: Failure | None = None
    block: int = 0
    seconds: float = 0.0
    ended: str = ""  # why it did not come to its own end: a crash, an exit, the time limit
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self):
        """Whether all blocks ran, whatever they printed."""
        return not self.failure and not self.ended
