"""Where the project is, and which editions and pages it has."""

from pathlib import Path

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
