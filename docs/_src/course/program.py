"""A page's program: its blocks in order, as one file that a reader would paste."""

import hashlib
from dataclasses import dataclass

from course.outputs import without_comments
from course.page import Page


@dataclass(frozen=True)
class Program:
    """The texts of a page's blocks. Two pages that show the same blocks have the same program."""

    blocks: tuple[str, ...]

    @classmethod
    def of(cls, page: Page) -> "Program":
        return cls(tuple(block.text for block in page.runnable))

    @property
    def text(self) -> str:
        """The program as a file, which is also the script that a reader takes away."""
        return "\n\n".join(self.blocks) + "\n"

    @property
    def digest(self) -> str:
        """The program's name among kept results: what it says is printed changes nothing of what it does."""
        return hashlib.sha256("\0".join(map(without_comments, self.blocks)).encode()).hexdigest()

    def first_line(self, block: int) -> int:
        """Return the line of the program's text, counted from 1, where the block begins."""
        return 1 + sum(text.count("\n") + 2 for text in self.blocks[:block])

    def locate(self, line: int) -> tuple[int, int]:
        """Return the (block, line in it, both as counted there: from 0, from 1) of a line of the text."""
        block = max(number for number in range(len(self.blocks)) if self.first_line(number) <= line)
        return block, line - self.first_line(block) + 1
