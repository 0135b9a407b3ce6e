"""Each file that is published, or that publishes, is of a known kind and has its place."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from course.page import Page, Problem
from course.project import ROOT

KNOWN = re.compile(
    r"docs/(?:en|zh)/(?:[\w-]+/)?\.nav\.yml"
    r"|docs/(?:en|zh)/(?:index|overview|set-up|[\w-]+/[\w-]+)\.md"
    r"|docs/assets/figures/[\w-]+/[\w-]+/[\w-]+\.(?:png|yml)"
    r"|docs/assets/fonts/[\w-]+\.(?:woff2|LICENSE\.txt)"
    r"|docs/assets/javascripts/[\w-]+\.js"
    r"|docs/assets/pictures/(?:[\w-]+/)?[\w-]+\.svg"
    r"|docs/assets/pictures/site\.png"  # a photograph of the site, for the README
    r"|docs/assets/stylesheets/[\w-]+\.css"
    r"|(?:tests/)?snippets/(?:\w+/)?__init__\.py|snippets/\w+/\w+\.py"
    r"|tests/snippets/conftest\.py|tests/snippets/\w+/test_\w+\.py"
    r"|.*/__pycache__/.*|(?:.*/)?\.DS_Store"
)
FOLDERS = ("docs/en", "docs/zh", "docs/assets", "snippets", "tests/snippets")
OPENING_PAGES = ("index", "overview", "set-up")  # they show what a block is; there is nothing in them to take away


def file_problems() -> Iterator[Problem]:
    """Yield each file that no check would read, and each module without its page."""
    for file in sorted(file.relative_to(ROOT) for folder in FOLDERS for file in (ROOT / folder).rglob("*")):
        if not (ROOT / file).is_file():
            continue
        page = _page_of(file)
        if not KNOWN.fullmatch(file.as_posix()):
            yield Problem(file, 1, "nothing checks a file of this kind in this place; remove it, or put it elsewhere")
        elif page and not (ROOT / page).exists():
            yield Problem(file, 1, f"this module belongs to no page: there is no {page}")
        elif file.suffix == ".svg":
            yield from _in_drawing(file)


def place_problems(page: Page) -> Iterator[Problem]:
    """Yield where a page has a program and nobody would be offered its script and notebook."""
    is_lesson = len(page.file.parts) == 4 and page.file.stem != "index"
    if page.runnable and not is_lesson and page.name not in OPENING_PAGES:
        message = "blocks stand in lessons, docs/…/part/lesson.md: only these are offered as script and notebook"
        yield Problem(page.file, page.runnable[0].start_line, message)


def _page_of(file: Path) -> Path | None:
    """Return the page of a lesson's module, or of that of its tests; None for other files."""
    folders = [part for part in file.parts[:-1] if part not in ("tests", "snippets")]
    if file.suffix != ".py" or not folders or file.name == "__init__.py" or "__pycache__" in folders:
        return None
    name = file.stem.removeprefix("test_")
    return Path("docs", "en", *(part.replace("_", "-") for part in (*folders, f"{name}.md")))


def _in_drawing(file: Path) -> Iterator[Problem]:
    source = (ROOT / file).read_text(encoding="utf-8", errors="replace")
    if by_a_program := re.search(r"<image\b|matplotlib", source, re.IGNORECASE):
        message = f"a picture with {by_a_program[0]}; what shows a result is drawn by a block of its page"
        yield Problem(file, 1, message)
    try:
        ElementTree.fromstring(source)
    except ElementTree.ParseError as error:
        yield Problem(file, error.position[0], f"this drawing is not XML: {error}")
