"""All pages of both editions, each read once for each time that it changed."""

from functools import cached_property
from pathlib import Path

from mkdocs.config import load_config
from page_model import EDITIONS, ROOT, markdown_instance, page_files, read_page


class Course:
    """The pages of the course, by their file relative to the project."""

    def __init__(self):
        self.markdown = markdown_instance(load_config(str(ROOT / "mkdocs.yml"), plugins=[], hooks=[]))
        self._known = {}  # file: the page as it was last read, and the state of its files then

    @cached_property
    def pages(self):
        files = [file for edition in EDITIONS for file in page_files(edition)]
        return {file: self._read(file) for file in files}

    def _read(self, file):
        page, state = self._known.get(file, (None, None))
        if page is None or state != _state(page):
            page = read_page(file, self.markdown)
            self._known[file] = page, _state(page)
        return page

    def reread(self):
        """Let the next look at `pages` read what has changed since."""
        self.__dict__.pop("pages", None)

    def counterpart(self, page, edition):
        """Return the same page in `edition`, or None."""
        names = {(page.edition, page.name): page for page in self.pages.values()}
        return names.get((edition, page.name))

    def counterpart_file(self, edition, path):
        """Return the page that stands at `path` below the folder of `edition`, or None."""
        return self.pages.get(Path("docs", edition, path))


def _state(page):
    """Return what changes when the page's file, or one that it embeds, is saved or removed."""
    files = {page.file, *(Path(file) for file, _, _ in page.embedded)}
    found = [ROOT / file for file in sorted(files) if (ROOT / file).is_file()]
    return [(file, file.stat().st_mtime_ns) for file in found]
