"""All pages of both editions, each read once for each time that it changed."""

from functools import cached_property
from pathlib import Path

from course.page import Page
from course.project import EDITIONS, ROOT, page_files
from course.reading import PageReader


class Course:
    """The pages of the course, by their file relative to the project."""

    def __init__(self) -> None:
        self._reader = PageReader()
        self._known: dict[Path, tuple[Page, object]] = {}  # each page as last read, and the state of its files then

    @cached_property
    def pages(self) -> dict[Path, Page]:
        files = [file for edition in EDITIONS for file in page_files(edition)]
        return {file: self._read(file) for file in files}

    def _read(self, file: Path) -> Page:
        page, state = self._known.get(file, (None, None))
        if page is None or state != _state(page):
            page = self._reader.read(file)
            self._known[file] = page, _state(page)
        return page

    def reread(self) -> None:
        """Let the next look at `pages` read what has changed since."""
        self.__dict__.pop("pages", None)

    def counterpart(self, page: Page, edition: str) -> Page | None:
        """Return the same page in `edition`, or None."""
        return self.page_at(edition, f"{page.name}.md")

    def page_at(self, edition: str, path: str) -> Page | None:
        """Return the page that stands at `path` below the folder of `edition`, or None."""
        return self.pages.get(Path("docs", edition, path))


def _state(page: Page) -> object:
    """Return what changes when the page's file, or one that it embeds, is saved or removed."""
    files = {page.file, *(Path(file) for file, _, _ in page.embedded)}
    found = [ROOT / file for file in sorted(files) if (ROOT / file).is_file()]
    return [(file, file.stat().st_mtime_ns) for file in found]
