"""A page as data: its code blocks, its prose, and the file and line each of their lines came from.

There is one model of a page. The tests run its blocks, the notebooks and scripts are made from them,
receipts name them, and completeness is proved against them. The blocks are taken from the site's own
pipeline: the Markdown instance that `mkdocs.yml` configures, as far as its fences.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import markdown
from mkdocs.utils import meta
from pymdownx.snippets import SnippetMissingError, SnippetPreprocessor

ROOT = Path(__file__).resolve().parents[2]
EDITIONS = ("en", "zh")
SHOWN_LANGUAGES = ("text", "bash")  # beside `python`, which runs

SNIPPET = re.compile(r'\s*-{1,}8<-{1,} "(?P<file>[^":]+):(?P<section>[a-z][a-z0-9-]*)"\s*$')
FENCE = re.compile(r"[\s>]*(?:`{3,}|~{3,})")
HEADING = re.compile(r"(?P<level>#{1,6})\s+(?P<title>.*?)\s*(?:\{[^}]*?#(?P<id>[A-Za-z][\w-]*)[^}]*\})?\s*$")


class Line(NamedTuple):
    """A line as it is shown: its text, its line on the page and, where it was embedded, its origin."""

    text: str
    page_line: int
    source: tuple[Path, int] | None


class Problem(NamedTuple):
    """What is wrong, where an editor finds it, and what to do.

    `source` is the file and line of the embedded code, where that is what is wrong.
    """

    file: Path
    line: int
    message: str
    source: tuple[Path, int] | None = None

    def __str__(self):
        source = f" ({self.source[0]}:{self.source[1]})" if self.source else ""
        return f"{self.file}:{self.line}{source}: {self.message}"


class Heading(NamedTuple):
    """A heading with the line it stands on; `id` is None where none was written."""

    level: int
    title: str
    id: str | None
    line: int


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    `start_line` and `end_line` are those of its fences on the page. `not_run` is the reason, shown as
    the block's title, for which a Python block is declared not to run; otherwise None.
    """

    language: str
    lines: tuple[Line, ...]
    start_line: int
    end_line: int
    not_run: str | None = None

    @property
    def text(self):
        return "\n".join(line.text for line in self.lines)

    @property
    def digest(self):
        """What a receipt names the block by."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass
class Page:
    """A Markdown page: `file` relative to the project, `name` without edition and suffix."""

    file: Path
    source: str
    front_matter: dict
    blocks: list[Block] = field(default_factory=list)
    prose: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    embedded: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def edition(self):
        return self.file.parts[1]

    @property
    def name(self):
        return self.file.relative_to(Path(*self.file.parts[:2])).with_suffix("").as_posix()

    @property
    def program(self):
        """The Python blocks that run, in order: what a reader pastes."""
        return [block for block in self.blocks if block.language == "python" and not block.not_run]

    @cached_property
    def headings(self):
        """The headings outside code, in order."""
        matches = ((line, HEADING.match(line.text)) for line in self.prose)
        return [
            Heading(len(match["level"]), match["title"], match["id"], line.page_line)
            for line, match in matches
            if match
        ]

    def sections(self):
        """Map each heading's id to the Markdown text from that heading to the next."""
        lines = self.source.split("\n")
        ends = [heading.line - 1 for heading in self.headings[1:]] + [len(lines)]
        return {
            heading.id: "\n".join(lines[heading.line - 1 : end]).strip() for heading, end in zip(self.headings, ends)
        }


class SourceLine(str):
    """A line of an embedded file that remembers where it stands there, also when it is indented."""

    def __new__(cls, text, source):
        line = super().__new__(cls, text)
        line.source = source
        return line

    def __radd__(self, indentation):
        return SourceLine(indentation + str(self), self.source)


class TracedSnippets(SnippetPreprocessor):
    """The configured snippets preprocessor, made to remember each line's file and number."""

    def __init__(self, configured):
        self.__dict__.update(vars(configured))
        self.seen = set()
        self.files = {}

    def read_lines(self, path):
        if path not in self.files:
            file = Path(path).relative_to(ROOT)
            lines = enumerate(super().read_lines(path), 1)
            self.files[path] = [SourceLine(text, (file, number)) for number, text in lines]
        return self.files[path]

    def dedent(self, lines):
        dedented = super().dedent(lines)
        return [SourceLine(text, line.source) for text, line in zip(dedented, lines)]


def markdown_instance(config):
    """Return the Markdown instance of the site that `config`, MkDocs' configuration, describes."""
    return markdown.Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)


def page_files(edition):
    """Return the Markdown files of an edition, relative to the project, sorted."""
    return sorted(file.relative_to(ROOT) for file in (ROOT / "docs" / edition).rglob("*.md"))


def read_page(file, markdown_instance):
    """Read the page `file` (relative to the project) with the site's Markdown instance.

    What cannot be read as intended becomes one of the page's `problems` and hides nothing else.
    """
    source = (ROOT / file).read_text(encoding="utf-8")
    body, front_matter = meta.get_data(source)
    first_line = source.count("\n", 0, len(source) - len(body)) + 1
    page = Page(file, source, front_matter)
    lines = _expand_snippets(page, body, first_line, markdown_instance)
    inside_fences = _collect_blocks(page, lines, markdown_instance)
    page.prose = [line for number, line in enumerate(lines) if number not in inside_fences]
    _check_fences(page)
    return page


def _expand_snippets(page, body, first_line, markdown_instance):
    """Return the page's lines with the embedded sections in their places."""
    markdown_instance.reset()
    snippets = TracedSnippets(markdown_instance.preprocessors["snippet"])
    lines = []
    for number, text in enumerate(body.split("\n"), first_line):
        if "8<-" in text:
            embedded = SNIPPET.match(text)
            if not embedded:
                page.problems.append(
                    Problem(page.file, number, 'embed one named section: --8<-- "snippets/….py:section"')
                )
                continue
            page.embedded.append((embedded["file"], embedded["section"], number))
        try:
            expanded = snippets.parse_snippets([text])
        except SnippetMissingError as error:
            page.problems.append(Problem(page.file, number, f"{error}; it was asked for by: {text.strip()}"))
            continue
        lines += [Line(str(line), number, getattr(line, "source", None)) for line in expanded]
    return lines


def _collect_blocks(page, lines, markdown_instance):
    """Add the fenced blocks to the page; return the numbers of the lines that stand in a fence."""
    fences = markdown_instance.preprocessors["fenced_code_block"]
    inside_fences = set()

    def record(indentation, content, start, end):
        inside_fences.update(range(start, end))
        width = len(indentation)
        code = [line._replace(text=line.text[width:].rstrip()) for line in lines[start + 1 : end - 1]]
        page.blocks.append(
            Block(
                language=fences.lang or "",
                lines=tuple(code),
                start_line=lines[start].page_line,
                end_line=lines[end - 1].page_line,
                not_run=fences.options.get("title", "") if "not-run" in fences.classes else None,
            )
        )
        fences.clear()

    texts = markdown_instance.preprocessors["normalize_whitespace"].run([line.text for line in lines])
    fences.process_nested_block = record
    fences.run(texts)
    del fences.process_nested_block
    return inside_fences


def _check_fences(page):
    """Report the fences that would be shown without being run as the editor expects."""
    for block in page.blocks:
        if block.language == "python" and block.not_run == "":
            page.problems.append(
                Problem(page.file, block.start_line, 'a block that is not run says why: title="Not run: …"')
            )
        if block.language not in ("python", *SHOWN_LANGUAGES):
            known = ", ".join(("python", *SHOWN_LANGUAGES))
            message = f"unknown language {block.language!r} of a fence; write one of: {known}"
            page.problems.append(Problem(page.file, block.start_line, message))
    commented = _lines_in_comments(page.prose)
    for block in page.blocks:
        if any(first < block.start_line < last for first, last in commented):
            page.problems.append(
                Problem(page.file, block.start_line, "a fence inside an HTML comment; remove it or show it")
            )
    for line in page.prose:
        if FENCE.match(line.text):
            message = (
                "this fence is not recognised as a block (unclosed, wrongly indented, or with options that"
                " the site does not know), so its code would be shown without being run"
            )
            page.problems.append(Problem(page.file, line.page_line, message))
        elif line.source:
            page.problems.append(Problem(page.file, line.page_line, "an embedded section stands outside a fence"))
            break


def _lines_in_comments(prose):
    """Return the (first, last) lines on the page of each HTML comment that spans lines."""
    spans, first = [], None
    for line in prose:
        if first is None and "<!--" in line.text and "-->" not in line.text.partition("<!--")[2]:
            first = line.page_line
        elif first is not None and "-->" in line.text:
            spans.append((first, line.page_line))
            first = None
    return spans
