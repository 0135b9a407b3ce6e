"""Where in the navigation a page stands: the `.nav.yml` of its folder."""

from pathlib import Path
from typing import Any

from course.files import Unreadable, read_text, read_yaml
from course.page import Problem
from course.project import ROOT


def navigation_of(folder: Path) -> list[str] | None:
    """Return what the navigation lists in `folder` (relative to the project), in order; None if it has none.

    Raises:
        Unreadable: if the file is no YAML, lists nothing, or lists what is not there.
    """
    file = folder / ".nav.yml"
    if not (ROOT / file).exists():
        return None
    content = read_yaml(file)
    entries: Any = content.get("nav") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise Unreadable(Problem(file, 1, "the navigation lists no pages: write “nav:” and below it “  - a-page.md”"))
    listed = [str(value) for entry in entries for value in (entry.values() if isinstance(entry, dict) else [entry])]
    for name in listed:
        if not (ROOT / folder / name).exists():
            lines = read_text(file).split("\n")
            line = next((number for number, text in enumerate(lines, 1) if name in text), 1)
            raise Unreadable(Problem(file, line, f"the navigation lists {name}, which is not there"))
    return listed
