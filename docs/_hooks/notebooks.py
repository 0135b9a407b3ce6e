"""A lesson as a notebook: its prose as Markdown cells, its blocks as code cells with what they print and draw.

    python docs/_hooks/notebooks.py FOLDER

writes the notebooks of all lessons below FOLDER, each where the site offers it: `en/<submodule>/01_<lesson>.ipynb`.
"""

import base64
import itertools
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import NamedTuple

from outputs import COMMENT, without_comments
from page_model import EDITIONS, ROOT, Block, markdown_instance

CONTAINER = re.compile(r'\s*(?P<kind>!!!|\?\?\?\+?) (?P<type>[\w-]+)[^"]*(?:"(?P<title>.*)")?\s*$')
ATTRIBUTES = r"\{:?\s*(?:(?:[#.][A-Za-z][\w-]*|[\w-]+=(?:\"[^\"]*\"|[\w.%-]+))\s*)+\}"
INLINE = re.compile(
    r"(?P<kept>`+[^`]*`+|\$\$.*?\$\$|\$[^$\n]+\$)"
    r"|(?P<image>!?)\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<target>[^)\s]+)\)(?P<class>" + ATTRIBUTES + ")?"
    r"|[ ]?" + ATTRIBUTES + "|<!--.*?-->",
    re.DOTALL,
)
FIGURE = re.compile(r"(?:.*/)?assets/figures/.*/(?P<name>[^/]+)\.png$")
IMPORT = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
PACKAGES = {"keras": "keras tensorflow", "sklearn": "scikit-learn"}
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

    def wrap(self, markdown):
        """Return the Markdown within it as Jupyter shows it best."""
        if self.folded:
            return f"<details>\n<summary>{self.title}</summary>\n\n{markdown}\n\n</details>"
        return "\n".join(f"> {line}".rstrip() for line in [f"**{self.title}**", "", *markdown.split("\n")])


class Part(NamedTuple):
    """A line of prose, or a block, of a page, and the containers that it stands in, outermost first."""

    content: str | Block
    containers: tuple[Container, ...]

    @property
    def is_code(self):
        return isinstance(self.content, Block) and self.content.language == "python" and not self.content.not_run


def notebook_of(lesson, site_url):
    """Return the text of a lesson's notebook; its links lead to the edition that stands at `site_url`."""
    notebook = {
        "cells": Writer(lesson, site_url).cells,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


class Writer:
    """Writes the cells of one notebook, from first to last."""

    def __init__(self, lesson, site_url):
        self.page = lesson.page
        self.site_url = site_url
        self.cells = []
        self._add("markdown", self._opening(), {"tags": ["opening"]})
        for is_code, parts in itertools.groupby(_parts(self.page), key=lambda part: part.is_code):
            if is_code:
                for number, part in enumerate(parts, 1 + sum(cell["cell_type"] == "code" for cell in self.cells)):
                    self._add_code(part, number)
            elif text := self._markdown(list(parts)):
                self._add("markdown", text, {})

    def _add(self, kind, source, metadata, **more):
        id = f"cell-{len(self.cells) + 1}"
        self.cells.append({"id": id, "cell_type": kind, "metadata": metadata, "source": source, **more})

    def _opening(self):
        program = "\n".join(block.text for block in self.page.program)
        imported = dict.fromkeys(name for name in IMPORT.findall(program) if name not in sys.stdlib_module_names)
        packages = " ".join(PACKAGES.get(name, name) for name in imported).split()
        return OPENING[self.page.edition].format(
            title=self.page.front_matter.get("title", self.page.name),
            address=self._address(posixpath.basename(self.page.name) + ".md"),
            packages=SEPARATOR[self.page.edition].join(f"`{package}`" for package in dict.fromkeys(packages)),
            install=" ".join(dict.fromkeys(packages)),
        )

    def _add_code(self, part, number):
        code = part.content.text
        metadata, outputs = {}, []
        if folded := [container.title for container in part.containers if container.folded]:
            hidden = {"source_hidden": True, "outputs_hidden": True}
            metadata = {"jupyter": hidden, "cellView": "form", "title": folded[-1]}
        comments = [comment for line in code.split("\n") if (comment := COMMENT.match(line))]
        if text := "".join(f"{comment['text'] or ''}\n" for comment in comments if comment["kind"] != "!"):
            outputs.append({"output_type": "stream", "name": "stdout", "text": text})
        if raised := [comment["text"] for comment in comments if comment["kind"] == "!"]:
            name, _, message = raised[0].partition(": ")
            outputs.append({"output_type": "error", "ename": name, "evalue": message, "traceback": raised})
            metadata["tags"] = ["raises-exception"]
        source = without_comments(code).strip("\n")
        self._add("code", source, metadata, execution_count=number, outputs=outputs)

    def _markdown(self, parts, depth=0):
        """Return the Markdown of parts without code cells, which stand `depth` containers deep."""
        texts = []
        for containers, group in itertools.groupby(parts, key=lambda part: part.containers[depth : depth + 1]):
            if containers:
                texts.append(containers[0].wrap(self._markdown(list(group), depth + 1)))
            else:
                texts += [self._text(is_block, parts) for is_block, parts in itertools.groupby(group, key=_is_block)]
        return "\n\n".join(filter(None, texts))

    def _text(self, is_block, parts):
        if is_block:
            return "\n\n".join(_fence(part.content) for part in parts)
        text = INLINE.sub(self._inline, "\n".join(part.content for part in parts))
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n")

    def _inline(self, match):
        """Return what stands in a notebook for a link, a picture, attributes such as `{#id}`, or a comment."""
        if match["kept"]:
            return match["kept"]
        if not match["target"]:
            return ""
        if match["image"] and (cell := self._cell_that_draws(match["target"])):
            cell["outputs"].append(self._drawn(match))
            return ""
        return f"{match['image']}[{match['text']}]({self._address(match['target'])})"

    def _cell_that_draws(self, target):
        """Return the last cell, so far, that names the figure `target`, or None."""
        figure = FIGURE.match(target)
        if not figure or not self._file(target).exists():
            return None
        named = re.compile(rf"""["']{re.escape(figure["name"])}["']""")
        drawing = (
            cell for cell in reversed(self.cells) if cell["cell_type"] == "code" and named.search(cell["source"])
        )
        return next(drawing, None)

    def _drawn(self, match):
        picture = self._file(match["target"]).read_bytes()
        width = int.from_bytes(picture[16:20], "big") // PIXEL_RATIO
        shown = {"alt": match["text"], "width": width, "src": self._address(match["target"])}
        if match["class"] and ".photo" in match["class"]:
            shown["class"] = "photo"
        data = {"image/png": base64.b64encode(picture).decode(), "text/plain": match["text"]}
        return {"output_type": "display_data", "data": data, "metadata": {"image/png": shown}}

    def _file(self, picture):
        return ROOT / "docs" / self._address(picture).removeprefix(self.site_url)

    def _address(self, target):
        """Return the address on the site of what the page calls `target`."""
        if re.match(r"[a-z]+:", target):
            return target
        path, _, anchor = target.partition("#")
        path = path or posixpath.basename(self.page.name) + ".md"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.page.name), path))
        if path.endswith(".md"):
            path = re.sub(r"(?:^|(?<=/))index/$", "", path.removesuffix(".md") + "/")
        return f"{self.site_url}{path}{'#' * bool(anchor)}{anchor}"


def _parts(page):
    """Yield the parts of a page, in order, with the indentation of their containers removed."""
    lines = page.source.split("\n")
    opened = []
    numbered = [(line.page_line, line.text) for line in page.prose] + [
        (block.start_line, block) for block in page.blocks
    ]
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


def _is_block(part):
    return isinstance(part.content, Block)


def _fence(block):
    reason = f"*{block.not_run}*\n\n" if block.not_run else ""
    return f"{reason}```{block.language}\n{block.text}\n```"


def main(folder):
    """Write the notebooks of all lessons below `folder`."""
    from lessons import lessons_of
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"))
    for edition in EDITIONS:
        for lesson in lessons_of(edition, markdown_instance(config)):
            file = Path(folder, edition, lesson.notebook)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(notebook_of(lesson, f"{config.site_url}{edition}/"), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
