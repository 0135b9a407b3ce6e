"""What `--update` writes into files: outputs and figures, each of them only where nothing is lost by it."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from course.files import Unreadable, read_text, write_whole
from course.project import FIGURES, ROOT

from tests.verify.checks.descriptions import keep_drawing
from tests.verify.run.result import Result


class Edit(NamedTuple):
    """Of the lines `shown` from line `first` on, those after the first `statement` ones become `outputs`.

    `place` is where the page shows them. `needed` says whether they are wrong there: lines that are right, or near
    enough, have an edit too, so that another place that shows them does not spoil this one.
    """

    file: Path
    first: int
    shown: tuple[str, ...]
    statement: int
    outputs: tuple[str, ...]
    place: str
    needed: bool

    def collides_with(self, other: "Edit") -> bool:
        """Tell whether the two ask for different lines in one place."""
        overlap = self.first < other.first + len(other.shown) and other.first < self.first + len(self.shown)
        return overlap and self[:5] != other[:5]


def apply_edits(edits: Iterable[Edit]) -> Iterator[str]:
    """Rewrite the files; yield what is not written, and why."""
    by_file: dict[Path, dict[object, Edit]] = {}
    for edit in sorted(edits, key=lambda edit: edit.needed):
        by_file.setdefault(edit.file, {})[edit[:5]] = edit  # what both editions ask for is done once
    for file, distinct in by_file.items():
        agreed = []
        for edit in distinct.values():
            others = [other.place for other in distinct.values() if edit.collides_with(other)]
            if not others:
                agreed.append(edit)
            elif edit.needed:
                yield (
                    f"{file}:{edit.first}: not written, because {edit.place} and {', '.join(others)} show these lines"
                    " and need different ones: give each its own section"
                )
        yield from _rewrite(file, [edit for edit in agreed if edit.outputs != edit.shown[edit.statement :]])


def _rewrite(file: Path, edits: list[Edit]) -> Iterator[str]:
    """Write the edits into the file, all that still fit."""
    if not edits:
        return
    try:
        before = read_text(file)
        lines = before.split("\n")
        for edit in sorted(edits, reverse=True):
            here = slice(edit.first - 1, edit.first - 1 + len(edit.shown))
            statement = lines[here][0] if lines[here] else ""
            indentation = statement[: len(statement) - len(statement.lstrip())]
            if [line.rstrip() for line in lines[here]] == [(indentation + line).rstrip() for line in edit.shown]:
                lines[here] = [*lines[here][: edit.statement], *(indentation + text for text in edit.outputs)]
            else:
                yield f"{file}:{edit.first}: not written, for the file has changed since it was read; run this again"
        if (after := "\n".join(lines)) != before:
            write_whole(ROOT / file, after.encode())
    except Unreadable as error:
        yield f"{error}; not written"
    except OSError as error:
        yield f"{file}: not written, the old file stays: {error.strerror}"


def keep_figures(page_name: str, results: list[Result]) -> Iterator[str]:
    """Write the figures of a page into the repository, remove those no longer drawn; yield what is not done, and why.

    `results` are those of the editions that were judged.
    """
    folder = FIGURES / page_name
    drawn, *others = [{drawing.name: drawing for drawing in result.figures} for result in results]
    if any(other != drawn for other in others):
        yield f"{folder}: not written, because the editions draw different figures; show the same blocks in both"
        return
    for name, drawing in drawn.items():
        try:
            if name:
                keep_drawing(drawing, ROOT / folder / f"{name}.png")
        except OSError as error:
            yield f"{folder / name}.png: not written, the old file stays: {error.strerror}"
    for file in sorted([*(ROOT / folder).glob("*.png"), *(ROOT / folder).glob("*.yml")]):
        if file.stem not in drawn:
            if _git_has(file):
                file.unlink()
            else:
                yield (
                    f"{file.relative_to(ROOT)}: not removed, though no block draws it, because git does not have it"
                    " as it is; remove it yourself"
                )


def _git_has(file: Path) -> bool:
    """Tell whether git could bring the file back as it is."""
    if not shutil.which("git"):
        return False
    command = ["git", "status", "--porcelain", "--ignored", "--", file.name]
    status = subprocess.run(command, cwd=file.parent, capture_output=True, text=True)
    return status.returncode == 0 and not status.stdout
