"""A Markdown extension that finishes the HTML of a page by one function."""

from collections.abc import Callable

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor

LAST = -10  # after Markdown has put back all that it had set aside


class _Finishing(Postprocessor):
    def __init__(self, finish: Callable[[str], str]) -> None:
        super().__init__()
        self.finish = finish

    def run(self, text: str) -> str:
        return self.finish(text)


class FinishingExtension(Extension):
    """Applies `finish` to the HTML of each page, under `name`."""

    def __init__(self, name: str, finish: Callable[[str], str]) -> None:
        super().__init__()
        self.name, self.finish = name, finish

    def extendMarkdown(self, md: Markdown) -> None:
        md.postprocessors.register(_Finishing(self.finish), self.name, LAST)
