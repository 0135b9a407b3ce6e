"""The lessons, and what of each a reader can take away, by its address in the edition.

A lesson is a page with blocks to run that stands in the navigation of a submodule. Its number is its
place there. This is no hook: it serves the hooks and the tests.
"""

from typing import NamedTuple

import yaml
from page_model import ROOT, Page, page_files, read_page


class Lesson(NamedTuple):
    """A lesson's page and its number in its submodule."""

    page: Page
    number: int

    @property
    def folder(self):
        return self.page.file.parent.name

    @property
    def script(self):
        return f"{self.folder}/{self._stem}.py"

    @property
    def program(self):
        """The text of the script: the page's program as a reader would paste it."""
        return "\n\n".join(block.text for block in self.page.program) + "\n"

    @property
    def notebook(self):
        return f"{self.folder}/{self.number:02}_{self._stem}.ipynb"

    @property
    def notebook_page(self):
        """The notebook again, as the source of the page that shows it."""
        return f"{self.folder}/notebooks/{self.number:02}_{self._stem}.ipynb"

    @property
    def _stem(self):
        return self.page.file.stem.replace("-", "_")


def lessons_of(edition, markdown_instance):
    """Return the lessons of an edition, read with the site's Markdown instance."""
    numbered = {file: _number(file) for file in page_files(edition) if len(file.parts) == 4}
    pages = [(read_page(file, markdown_instance), number) for file, number in numbered.items() if number]
    return [Lesson(page, number) for page, number in pages if page.program]


def _number(file):
    """Return the place of a page in its submodule, counted from 1; 0 where it has none."""
    order = _order(file.parent)
    return order.index(file.name) + 1 if file.name in order else 0


def _order(folder):
    navigation = ROOT / folder / ".nav.yml"
    if not navigation.exists():
        return []
    entries = yaml.safe_load(navigation.read_text(encoding="utf-8"))["nav"]
    values = [value for entry in entries for value in (entry.values() if isinstance(entry, dict) else [entry])]
    return [value for value in values if str(value).endswith(".md") and value != "index.md"]
