"""A page as its reader sees it: the HTML that the site's Markdown makes of it, each text with its line on the page.

Blocks of code are stood in for by one word each: what is in them is judged elsewhere.
"""

import re
from functools import cache
from typing import Any, NamedTuple

import lxml.html
from course.markdown import extensions
from course.page import Page
from markdown import Markdown

PREFIX = re.compile(r"[\s>]*")
ESCAPED = re.compile(r"(?P<kept>`+[^`]*`+|\$\$.*?\$\$|\$[^$\n]+\$)|\\(?P<sign>[^\w\s])", re.DOTALL)
SET_ASIDE = 0xE000  # where an escaped sign waits, so that it is not taken for one that stayed by mistake
BLOCK = "block"


class Text(NamedTuple):
    """A text, its line, the id of the heading above it, and the tags and classes that it stands in."""

    text: str
    line: int
    section: str | None
    inside: frozenset[str]


class Element(NamedTuple):
    """An element, with the line where it begins and the id of the heading above it, or its own."""

    node: Any
    line: int
    section: str | None

    @property
    def text(self) -> str:
        """What it says without its code and formulas."""
        return "".join(_words(self.node)).strip()


class Rendering:
    """The texts and elements of a page, in order."""

    def __init__(self, page: Page) -> None:
        self.texts: list[Text] = []
        self.elements: list[Element] = []
        self._lines = [line for line in page.prose if line.text.strip()]
        self._place = 0  # the line, among these, of what was met last
        self._section: str | None = None
        markdown = _markdown()
        markdown.reset()
        content = markdown.convert(_with_stand_ins(page))
        self._walk(lxml.html.fromstring(f"<article>{content}</article>"), frozenset())

    def all(self, *tags: str) -> list[Element]:
        """Return the elements with one of `tags`."""
        return [element for element in self.elements if element.node.tag in tags]

    def _walk(self, node: Any, outside: frozenset[str]) -> None:
        inside = outside | {node.tag, *(node.get("class") or "").split()}
        if "headerlink" in inside:
            return
        if re.fullmatch("h[1-6]", node.tag):
            self._section = node.get("id")
        number = len(self.elements)
        first_text = len(self.texts)
        self.elements.append(Element(node, 0, self._section))
        self._note(node.text, inside)
        for child in node:
            if isinstance(child.tag, str):
                self._walk(child, inside)
            self._note(child.tail, inside)
        line = self.texts[first_text].line if len(self.texts) > first_text else self._line()
        self.elements[number] = self.elements[number]._replace(line=line)

    def _note(self, text: str | None, inside: frozenset[str]) -> None:
        for part in (text or "").split("\n"):
            if part.strip():
                self._find(part.strip())
                self.texts.append(Text(part, self._line(), self._section, inside))

    def _find(self, text: str) -> None:
        """Go to the line that holds `text`: the next one, or one before."""
        for place in (*range(self._place, len(self._lines)), *range(self._place)):
            if text in self._lines[place].text:
                self._place = place
                return

    def _line(self) -> int:
        return self._lines[self._place].page_line if self._lines else 1


@cache
def _markdown() -> Markdown:
    """Return the site's Markdown, whose formulas stay LaTeX."""
    settings = {name: setting for name, setting in extensions().items() if name != "course_build.mathematics"}
    return Markdown(extensions=list(settings), extension_configs=settings)


def _with_stand_ins(page: Page) -> str:
    source = page.source.split("\n")
    lines = [(line.page_line, ESCAPED.sub(_set_aside, line.text)) for line in page.prose]
    for block in page.blocks:
        prefix = PREFIX.match(source[block.start_line - 1])
        fence = "```text", BLOCK, "```"
        lines += [(block.start_line, f"{prefix[0] if prefix else ''}{text}") for text in fence]
    return "\n".join(text for _, text in sorted(lines, key=lambda numbered: numbered[0]))


def _set_aside(match: re.Match[str]) -> str:
    return match["kept"] or chr(SET_ASIDE + ord(match["sign"]) % 0x1000)


def _words(node: Any) -> list[str]:
    if node.tag in ("code", "pre") or {"arithmatex", "headerlink"} & set((node.get("class") or "").split()):
        return []
    words = [node.text or ""]
    for child in node:
        words += [*(_words(child) if isinstance(child.tag, str) else []), child.tail or ""]
    return words
