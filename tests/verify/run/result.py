"""What the run of a program gave."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Description = dict[str, Any]  # of a figure: dicts, lists, texts and numbers


class Failure(NamedTuple):
    """An exception that ended a program; `lines` are the program's lines in its traceback, outermost first."""

    summary: str
    lines: tuple[int, ...]


class Drawing(NamedTuple):
    """A figure that a block drew: its name, the block's number, the PNG, and what it says."""

    name: str
    block: int
    picture: bytes
    says: Description


@dataclass
class Result:
    """What a program did, as far as it came.

    `printed` holds, for each block begun, the lines printed by each of its top-level statements;
    `missed` holds the program's lines that were not reached.
    """

    printed: list[list[list[str]]] = field(default_factory=list)
    figures: list[Drawing] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    failure: Failure | None = None
    block: int = 0
    seconds: float = 0.0
    ended: str = ""  # why it did not come to its own end: a crash, an exit, the time limit
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all blocks ran, whatever they printed."""
        return not self.failure and not self.ended
