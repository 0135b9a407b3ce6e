"""The lessons, and what of each a reader can take away, by its address in the edition.

A lesson is a page with blocks to run that stands in the navigation of a submodule. Its number is its
place there.
"""

from pathlib import Path
from typing import NamedTuple

from course.navigation import navigation_of
from course.page import Page
from course.project import page_files
from course.reading import PageReader


class Lesson(NamedTuple):
    """A lesson's page and its number in its submodule."""

    page: Page
    number: int

    @property
    def folder(self) -> str:
        return self.page.file.parent.name

    @property
    def script(self) -> str:
        return f"{self.folder}/{self.page.module}.py"

    @property
    def notebook(self) -> str:
        return f"{self.folder}/{self.number:02}_{self.page.module}.ipynb"

    @property
    def notebook_page(self) -> str:
        """The notebook again, as the source of the page that shows it."""
        return f"{self.folder}/notebooks/{self.number:02}_{self.page.module}.ipynb"


def lessons_of(edition: str, reader: PageReader) -> list[Lesson]:
    """Return the lessons of an edition."""
    numbered = {file: _number(file) for file in page_files(edition) if len(file.parts) == 4}
    pages = [(reader.read(file), number) for file, number in numbered.items() if number]
    return [Lesson(page, number) for page, number in pages if page.runnable]


def _number(file: Path) -> int:
    """Return the place of a page in its submodule, counted from 1; 0 where it has none."""
    listed = navigation_of(file.parent) or []
    pages = [name for name in listed if name.endswith(".md") and name != "index.md"]
    return pages.index(file.name) + 1 if file.name in pages else 0
