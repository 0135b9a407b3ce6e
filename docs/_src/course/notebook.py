"""A lesson as a notebook: its prose as Markdown cells, its blocks as code cells with what they print and draw."""

import base64
import itertools
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat.v4 import new_notebook

from course.claims import MARK
from course.lesson import Lesson
from course.outputs import COMMENT, without_comments
from course.packages import packages_of
from course.page import Block, Page
from course.program import Program
from course.project import ROOT

CONTAINER = re.compile(r'\s*(?P<kind>!!!|\?\?\?\+?) (?P<type>[\w-]+)[^"]*(?:"(?P<title>.*)")?\s*$')
ATTRIBUTES = r"\{:?\s*(?:(?:[#.][A-Za-z][\w-]*|[\w-]+=(?:\"[^\"]*\"|[\w.%-]+))\s*)+\}"
INLINE = re.compile(
    r"(?P<kept>`+[^`]*`+|\$\$.*?\$\$|\$[^$\n]+\$)"
    r"|(?P<image>!?)\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<target>[^)\s]+)\)(?P<class>" + ATTRIBUTES + ")?"
    r"|[ ]?" + ATTRIBUTES + "|<!--.*?-->",
    re.DOTALL,
)
FIGURE = re.compile(r"(?:.*/)?assets/figures/.*/(?P<name>[^/]+)\.png$")
PIXEL_RATIO = 2  # the figures' pixels to one of the screen
OPENING = {
    "en": "This notebook is the lesson [{title}]({address}). It needs {packages}, which Colab has; where they are"
    " missing, run `%pip install {install}` in a cell of its own.",
    "zh": "本 Notebook 即课程页面 [{title}]({address})。它需要 {packages}，Colab 已预装；若缺少，请在单独的单元格中运行"
    " `%pip install {install}`。",
}
SEPARATOR = {"en": ", ", "zh": "、"}


class Container(NamedTuple):
    """An admonition, or a folded part, of a page; `line` tells it from others of the same title."""

    folded: bool
    title: str
    indentation: int
    line: int

    def wrap(self, markdown: str) -> str:
        """Return the Markdown within it as Jupyter shows it best."""
        if self.folded:
            return f"<details>\n<summary>{self.title}</summary>\n\n{markdown}\n\n</details>"
        return "\n".join(f"> {line}".rstrip() for line in [f"**{self.title}**", "", *markdown.split("\n")])


class Part(NamedTuple):
    """A line of prose, or a block, of a page, and the containers that it stands in, outermost first."""

    content: str | Block
    containers: tuple[Container, ...]

    @property
    def is_code(self) -> bool:
        return isinstance(self.content, Block) and self.content.language == "python" and not self.content.not_run


def notebook_of(lesson: Lesson, site_url: str) -> str:
    """Return the text of a lesson's notebook; its links lead to the edition that stands at `site_url`."""
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    text: str = nbformat.writes(new_notebook(cells=_Writer(lesson, site_url).cells, metadata=metadata))
    return text + "\n"


class _Writer:
    """Writes the cells of one notebook, from first to last."""

    def __init__(self, lesson: Lesson, site_url: str) -> None:
        self.page = lesson.page
        self.site_url = site_url
        self.cells: list[Any] = []
        self._add("markdown", self._opening(), {"tags": ["opening"]})
        for part_is_code, parts in itertools.groupby(_parts(self.page), key=lambda part: part.is_code):
            if part_is_code:
                for part in parts:
                    assert isinstance(part.content, Block)
                    self._add_code(part.content, part.containers)
            elif text := self._markdown(list(parts)):
                self._add("markdown", text, {})

    def _add(self, kind: str, source: str, metadata: dict[str, Any], **more: Any) -> None:
        """Add a cell, which is validated with the whole notebook: nbformat's own functions do so with each."""
        cell = {"id": f"cell-{len(self.cells) + 1}", "cell_type": kind, "source": source, "metadata": metadata, **more}
        self.cells.append(nbformat.from_dict(cell))

    def _opening(self) -> str:
        packages = packages_of(Program.of(self.page))
        return OPENING[self.page.edition].format(
            title=self.page.title,
            address=self._address(posixpath.basename(self.page.name) + ".md"),
            packages=SEPARATOR[self.page.edition].join(f"`{package}`" for package in packages),
            install=" ".join(packages),
        )

    def _add_code(self, block: Block, containers: tuple[Container, ...]) -> None:
        metadata: dict[str, Any] = {}
        outputs = []
        if folded := [container.title for container in containers if container.folded]:
            hidden = {"source_hidden": True, "outputs_hidden": True}
            metadata = {"jupyter": hidden, "cellView": "form", "title": folded[-1]}
        comments = [comment for line in block.text.split("\n") if (comment := COMMENT.match(line))]
        if text := "".join(f"{comment['text'] or ''}\n" for comment in comments):
            outputs.append({"output_type": "stream", "name": "stdout", "text": text})
        number = 1 + sum(cell.cell_type == "code" for cell in self.cells)
        source = without_comments(block.text).strip("\n")
        self._add("code", source, metadata, execution_count=number, outputs=outputs)

    def _markdown(self, parts: list[Part], depth: int = 0) -> str:
        """Return the Markdown of parts without code cells, which stand `depth` containers deep."""
        texts: list[str] = []
        for containers, group in itertools.groupby(parts, key=lambda part: part.containers[depth : depth + 1]):
            if containers:
                texts.append(containers[0].wrap(self._markdown(list(group), depth + 1)))
            else:
                texts += [self._text(list(run)) for _, run in itertools.groupby(group, key=_is_block)]
        return "\n\n".join(filter(None, texts))

    def _text(self, parts: list[Part]) -> str:
        """Return the Markdown of parts that are all blocks, or all lines of prose."""
        blocks = [part.content for part in parts if isinstance(part.content, Block)]
        if blocks:
            return "\n\n".join(map(_fence, blocks))
        text = INLINE.sub(self._inline, MARK.sub("", "\n".join(str(part.content) for part in parts)))
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n")

    def _inline(self, match: re.Match[str]) -> str:
        """Return what stands in a notebook for a link, a picture, attributes such as `{#id}`, or a comment."""
        if match["kept"]:
            return match["kept"]
        if not match["target"]:
            return ""
        if match["image"] and (cell := self._cell_that_draws(match["target"])):
            cell.outputs.append(self._drawn(match))
            return ""
        return f"{match['image']}[{match['text']}]({self._address(match['target'])})"

    def _cell_that_draws(self, target: str) -> Any:
        """Return the last cell, so far, that names the figure `target`, or None."""
        figure = FIGURE.match(target)
        if not figure or not self._file(target).exists():
            return None
        named = re.compile(rf"""["']{re.escape(figure["name"])}["']""")
        drawing = (cell for cell in reversed(self.cells) if cell.cell_type == "code" and named.search(cell.source))
        return next(drawing, None)

    def _drawn(self, match: re.Match[str]) -> Any:
        picture = self._file(match["target"]).read_bytes()
        width = int.from_bytes(picture[16:20], "big") // PIXEL_RATIO
        shown: dict[str, Any] = {"alt": match["text"], "width": width, "src": self._address(match["target"])}
        if match["class"] and ".photo" in match["class"]:
            shown["class"] = "photo"
        data = {"image/png": base64.b64encode(picture).decode(), "text/plain": match["text"]}
        return nbformat.from_dict({"output_type": "display_data", "data": data, "metadata": {"image/png": shown}})

    def _file(self, picture: str) -> Path:
        return ROOT / "docs" / self._address(picture).removeprefix(self.site_url)

    def _address(self, target: str) -> str:
        """Return the address on the site of what the page calls `target`."""
        if re.match(r"[a-z]+:", target):
            return target
        path, _, anchor = target.partition("#")
        path = path or posixpath.basename(self.page.name) + ".md"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.page.name), path))
        if path.endswith(".md"):
            path = re.sub(r"(?:^|(?<=/))index/$", "", path.removesuffix(".md") + "/")
        return f"{self.site_url}{path}{'#' * bool(anchor)}{anchor}"


def _parts(page: Page) -> Iterator[Part]:
    """Yield the parts of a page, in order, with the indentation of their containers removed."""
    lines = page.source.split("\n")
    opened: list[Container] = []
    numbered: list[tuple[int, str | Block]] = [(line.page_line, line.text) for line in page.prose]
    numbered += [(block.start_line, block) for block in page.blocks]
    for number, content in sorted(numbered, key=lambda item: item[0]):
        text = lines[number - 1]
        while opened and text.strip() and len(text) - len(text.lstrip()) < opened[-1].indentation:
            opened.pop()
        container = CONTAINER.match(text) if isinstance(content, str) else None
        if container:
            title = container["title"] or container["type"].capitalize()
            indentation = len(text) - len(text.lstrip()) + 4
            opened.append(Container(container["kind"] != "!!!", title, indentation, number))
        elif isinstance(content, str):
            yield Part(content[opened[-1].indentation if opened else 0 :], tuple(opened))
        else:
            yield Part(content, tuple(opened))


def _is_block(part: Part) -> bool:
    return isinstance(part.content, Block)


def _fence(block: Block) -> str:
    reason = f"*{block.not_run}*\n\n" if block.not_run else ""
    return f"{reason}```{block.language}\n{block.text}\n```"
