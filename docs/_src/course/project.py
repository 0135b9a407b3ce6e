"""Where the project is, which editions it has, and where in the navigation a page stands."""

from pathlib import Path
from typing import Any

import yaml

EDITIONS = ("en", "zh")


def _find_root() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "mkdocs.yml").is_file():
            return folder
    raise FileNotFoundError(f"{here} and the folders above hold no mkdocs.yml: call this in the project's folder")


ROOT = _find_root()  # that of the working directory, so that a copy of the project is judged as itself
FIGURES = Path("docs", "assets", "figures")


def page_files(edition: str) -> list[Path]:
    """Return the Markdown files of an edition, relative to the project, sorted."""
    return sorted(file.relative_to(ROOT) for file in (ROOT / "docs" / edition).rglob("*.md"))


def navigation_of(folder: Path) -> list[str] | None:
    """Return what the navigation lists in `folder` (relative to the project), in order; None if it has none."""
    file = ROOT / folder / ".nav.yml"
    if not file.exists():
        return None
    entries: list[Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["nav"]
    return [str(value) for entry in entries for value in (entry.values() if isinstance(entry, dict) else [entry])]
