"""What `--update` and `--translated` write: outputs, figures, and which English a Chinese page was written from."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from course.page import Page
from course.project import FIGURES, ROOT

from tests.verify.checks.descriptions import keep_drawing
from tests.verify.checks.translation import section_digests
from tests.verify.run.result import Result


class Edit(NamedTuple):
    """The `old_lines` lines after the statement that stands from line `first` to `last` become `lines`."""

    file: Path
    first: int
    last: int
    old_lines: int
    lines: tuple[str, ...]


def apply_edits(edits: Iterable[Edit]) -> None:
    """Rewrite the files; what both editions ask for is done once."""
    distinct = sorted(set(edits), key=lambda edit: -edit.last)
    for file in {edit.file for edit in distinct}:
        lines = (ROOT / file).read_text(encoding="utf-8").split("\n")
        for edit in distinct:
            if edit.file != file:
                continue
            statement = lines[edit.first - 1]
            indentation = statement[: len(statement) - len(statement.lstrip())]
            lines[edit.last : edit.last + edit.old_lines] = [indentation + text for text in edit.lines]
        (ROOT / file).write_text("\n".join(lines), encoding="utf-8")


def keep_figures(page: Page, result: Result) -> None:
    """Write the figures that the program drew into the repository; remove those it no longer draws."""
    folder = ROOT / FIGURES / page.name
    for drawing in result.figures:
        keep_drawing(drawing, folder / f"{drawing.name}.png")
    drawn = {drawing.name for drawing in result.figures}
    for file in (*folder.glob("*.png"), *folder.glob("*.yml")):
        if file.stem not in drawn:
            file.unlink()


def mark_translated(page: Page, english: Page) -> None:
    """Record in the front matter of the Chinese page the digests of the English sections of today."""
    digests = "".join(f"  {id}: '{digest}'\n" for id, digest in section_digests(english).items())
    match = re.match(r"---\n(.*?\n)---\n(.*)", page.source, re.DOTALL)
    assert match, f"{page.file} has no front matter"
    front = re.sub(r"^english:\n(?:  .*\n)*", "", match[1], flags=re.MULTILINE)
    (ROOT / page.file).write_text(f"---\n{front}english:\n{digests}---\n{match[2]}", encoding="utf-8")
