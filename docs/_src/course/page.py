"""A page as data: its code blocks, its prose, and the file and line each of their lines came from.

There is one model of a page. The tests run its blocks, the notebooks and scripts are made from them,
receipts name them, and completeness is proved against them.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

HEADING = re.compile(r"(?P<level>#{1,6})\s+(?P<title>.*?)\s*(?:\{[^}]*?#(?P<id>[A-Za-z][\w-]*)[^}]*\})?\s*$")


class Line(NamedTuple):
    """A line as it is shown: its text, its line on the page and, where it was embedded, its origin."""

    text: str
    page_line: int
    source: tuple[Path, int] | None


class Problem(NamedTuple):
    """What is wrong, where an editor finds it, and what to do.

    `source` is the file and line of the embedded code, where that is what is wrong.
    """

    file: Path
    line: int
    message: str
    source: tuple[Path, int] | None = None

    def __str__(self) -> str:
        source = f" ({self.source[0]}:{self.source[1]})" if self.source else ""
        return f"{self.file}:{self.line}{source}: {self.message}"


class Heading(NamedTuple):
    """A heading with the line it stands on; `id` is None where none was written."""

    level: int
    title: str
    id: str | None
    line: int


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    `start_line` and `end_line` are those of its fences on the page. `not_run` is the reason, shown as
    the block's title, for which a Python block is declared not to run; otherwise None.
    """

    language: str
    lines: tuple[Line, ...]
    start_line: int
    end_line: int
    not_run: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def digest(self) -> str:
        """What a receipt names the block by."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass
class Page:
    """A Markdown page: `file` relative to the project, `name` without edition and suffix.

    `embedded` holds, for each embedded section, its file, its name and the line that embeds it; `made_of` are
    the files that the page, as it is shown, is read from; `filled` are the lines whose text the course says.
    """

    file: Path
    source: str
    front_matter: dict[str, Any]
    blocks: list[Block] = field(default_factory=list)
    prose: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    embedded: list[tuple[str, str, int]] = field(default_factory=list)
    made_of: set[Path] = field(default_factory=set)
    filled: set[int] = field(default_factory=set)

    @property
    def edition(self) -> str:
        return self.file.parts[1]

    @property
    def name(self) -> str:
        return self.file.relative_to(Path(*self.file.parts[:2])).with_suffix("").as_posix()

    @property
    def module(self) -> str:
        """The page's name as that of a Python file, without suffix."""
        return self.file.stem.replace("-", "_")

    @property
    def title(self) -> str:
        return str(self.front_matter.get("title", self.name))

    @property
    def runnable(self) -> list[Block]:
        """The Python blocks that run, in order: what a reader pastes."""
        return [block for block in self.blocks if block.language == "python" and not block.not_run]

    @cached_property
    def headings(self) -> list[Heading]:
        """The headings outside code, in order."""
        matches = ((line, HEADING.match(line.text)) for line in self.prose)
        return [
            Heading(len(match["level"]), match["title"], match["id"], line.page_line)
            for line, match in matches
            if match
        ]

    def opening(self) -> str:
        """Return the prose before the first heading."""
        first = self.headings[0].line if self.headings else 0
        return "\n".join(line.text for line in self.prose if line.page_line < first).strip()

    def sections(self) -> dict[str | None, str]:
        """Map each heading's id to the Markdown text from that heading to the next."""
        lines = self.source.split("\n")
        ends = [heading.line - 1 for heading in self.headings[1:]] + [len(lines)]
        return {
            heading.id: "\n".join(lines[heading.line - 1 : end]).strip() for heading, end in zip(self.headings, ends)
        }
