"""All pages of both editions, each read once for each time that it changed."""

from functools import cached_property
from pathlib import Path

from course.page import Page
from course.project import EDITIONS, page_files
from course.reading import PageReader

from tests.verify.rendering import Rendering


class Course:
    """The pages of the course, by their file relative to the project."""

    def __init__(self) -> None:
        self._reader = PageReader()
        self._rendered: dict[Path, tuple[Page, Rendering]] = {}

    @cached_property
    def pages(self) -> dict[Path, Page]:
        files = [file for edition in EDITIONS for file in page_files(edition)]
        return {file: self._reader.read(file) for file in files}

    def reread(self) -> None:
        """Let the next look at `pages` read what has changed since."""
        self.__dict__.pop("pages", None)

    def rendering(self, page: Page) -> Rendering:
        """Return a page as its reader sees it."""
        known, rendering = self._rendered.get(page.file, (None, None))
        if rendering is None or known is not page:
            rendering = Rendering(page)
            self._rendered[page.file] = page, rendering
        return rendering

    def counterpart(self, page: Page, edition: str) -> Page | None:
        """Return the same page in `edition`, or None."""
        return self.page_at(edition, f"{page.name}.md")

    def page_at(self, edition: str, path: str) -> Page | None:
        """Return the page that stands at `path` below the folder of `edition`, or None."""
        return self.pages.get(Path("docs", edition, path))
