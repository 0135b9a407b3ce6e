"""All pages of both editions, read once."""

from functools import cached_property
from pathlib import Path

from mkdocs.config import load_config
from page_model import EDITIONS, ROOT, markdown_instance, page_files, read_page


class Course:
    """The pages of the course, by their file relative to the project."""

    def __init__(self):
        self.markdown = markdown_instance(load_config(str(ROOT / "mkdocs.yml"), plugins=[], hooks=[]))

    @cached_property
    def pages(self):
        files = [file for edition in EDITIONS for file in page_files(edition)]
        return {file: read_page(file, self.markdown) for file in files}

    def reread(self):
        """Forget what was read, so that the next look at `pages` sees the files of today."""
        self.__dict__.pop("pages", None)

    def counterpart(self, page, edition):
        """Return the same page in `edition`, or None."""
        names = {(page.edition, page.name): page for page in self.pages.values()}
        return names.get((edition, page.name))

    def counterpart_file(self, edition, path):
        """Return the page that stands at `path` below the folder of `edition`, or None."""
        return self.pages.get(Path("docs", edition, path))
