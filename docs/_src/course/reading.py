"""Read a page with the site's own Markdown, as far as its fences, and remember where each line came from.

What cannot be read as intended becomes one of the page's `problems` and hides nothing else.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from markdown import Markdown
from pymdownx.snippets import SnippetExtension, SnippetMissingError, SnippetPreprocessor
from pymdownx.superfences import SuperFencesBlockPreprocessor

from course.contents import PLACEHOLDER, filled
from course.files import Unreadable, read_text
from course.markdown import extensions, markdown_instance
from course.page import Block, Line, Page, Problem
from course.project import ROOT

SHOWN_LANGUAGES = ("bash",)  # beside `python`, which runs

FRONT_MATTER = re.compile(r"---[ \t]*\n(?P<yaml>.*?)^---[ \t]*\n", re.DOTALL | re.MULTILINE)
SNIPPET = re.compile(r'\s*-{1,}8<-{1,} "(?P<file>[^":]+):(?P<section>[a-z][a-z0-9-]*)"\s*$')
FENCE = re.compile(r"[\s>]*(?:`{3,}|~{3,})")


class SourceLine(str):
    """A line of an embedded file that remembers where it stands there, also when it is indented."""

    source: tuple[Path, int]

    def __new__(cls, text: str, source: tuple[Path, int]) -> "SourceLine":
        line = super().__new__(cls, text)
        line.source = source
        return line

    def __radd__(self, indentation: str) -> "SourceLine":
        return SourceLine(indentation + str(self), self.source)


class TracedSnippets(SnippetPreprocessor):  # type: ignore[misc]
    """The snippets preprocessor, made to remember each line's file and number."""

    def __init__(self, settings: dict[str, Any], markdown: Markdown) -> None:
        super().__init__(settings, markdown)
        self.seen: set[str] = set()
        self._known: dict[str, list[SourceLine]] = {}

    def read_lines(self, path: str) -> list[SourceLine]:
        if path not in self._known:
            file = Path(path).relative_to(ROOT)
            try:
                lines = read_text(file).split("\n")
            except Unreadable as error:
                raise SnippetMissingError(str(error)) from error
            self._known[path] = [SourceLine(text, (file, number)) for number, text in enumerate(lines, 1)]
        return self._known[path]

    def dedent(self, lines: list[SourceLine]) -> list[SourceLine]:
        return [SourceLine(text, line.source) for text, line in zip(super().dedent(lines), lines)]


class FenceRecorder(SuperFencesBlockPreprocessor):  # type: ignore[misc]
    """The fences preprocessor, made to note each fenced block, `found`, instead of colouring it."""

    def __init__(self, markdown: Markdown) -> None:
        super().__init__(markdown)
        configured: Any = markdown.preprocessors["fenced_code_block"]
        self.config, self.extension = configured.config, configured.extension

    def run(self, lines: list[str]) -> list[str]:
        self.found: list[tuple[str, str | None, int, int, int]] = []
        rest: list[str] = super().run(lines)
        return rest

    def process_nested_block(self, ws: str, content: str, start: int, end: int) -> None:
        """Note language, reason not to run, indentation, first and last line (counted from 0) of a block."""
        reason = self.options.get("title", "") if "not-run" in self.classes else None
        self.found.append((self.lang or "", reason, len(ws), start, end - 1))
        self.clear()


class PageReader:
    """Reads pages, each once for each time that it changed; what they have in common is made once."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Page, object]] = {}  # each page as last read, and the state of its files then
        self._markdown = markdown_instance()
        self._fences = FenceRecorder(self._markdown)
        self._snippets = SnippetExtension(**extensions()["pymdownx.snippets"]).getConfigs()

    def read(self, file: Path, source: str | None = None) -> Page:
        """Return the page `file` (relative to the project) as it is now, or what it would be with another `source`."""
        if source is not None:
            return self._read(file, source, [])
        page, state = self._known.get(file, (None, None))
        if page is None or state != _state(page):
            try:
                page = self._read(file, read_text(file), [])
            except Unreadable as error:
                page = self._read(file, error.text, [error.problem])
            self._known[file] = page, _state(page)
        return page

    def _read(self, file: Path, source: str, problems: list[Problem]) -> Page:
        page = Page(file, source, {}, problems=problems)
        body_start = _read_front_matter(page)
        lines = self._expand_snippets(page, source[body_start:], source.count("\n", 0, body_start) + 1)
        inside_fences = self._collect_blocks(page, lines)
        page.prose = [line for number, line in enumerate(lines) if number not in inside_fences]
        page.made_of |= {file, *(Path(embedded) for embedded, _, _ in page.embedded)}
        self._fill(page)
        _check_fences(page)
        return page

    def _fill(self, page: Page) -> None:
        """Put into the prose what the course says of itself."""

        def read(file: Path) -> Page:
            other = self.read(file)
            page.made_of.update(other.made_of, [file.parent / ".nav.yml", file.parent.parent / ".nav.yml"])
            return other

        prose = []
        for line in page.prose:
            if PLACEHOLDER.search(line.text):
                page.filled.add(line.page_line)
                prose += [line._replace(text=text) for text in filled(line.text, page, read).split("\n")]
            else:
                prose.append(line)
        page.prose = prose

    def _expand_snippets(self, page: Page, body: str, first_line: int) -> list[Line]:
        """Return the page's lines with the embedded sections in their places."""
        snippets = TracedSnippets(self._snippets, self._markdown)
        lines = []
        for number, text in enumerate(body.split("\n"), first_line):
            if "8<-" not in text:
                lines.append(Line(text, number, None))
                continue
            embedded = SNIPPET.match(text)
            if not embedded:
                message = 'embed one named section: --8<-- "snippets/….py:section"'
                page.problems.append(Problem(page.file, number, message))
                continue
            page.embedded.append((embedded["file"], embedded["section"], number))
            try:
                expanded = snippets.parse_snippets([text])
            except SnippetMissingError as error:
                message = f"{error}; it was asked for by: {text.strip()}"
                page.problems.append(Problem(page.file, number, message))
                continue
            lines += [Line(str(line), number, getattr(line, "source", None)) for line in expanded]
        return lines

    def _collect_blocks(self, page: Page, lines: list[Line]) -> set[int]:
        """Add the fenced blocks to the page; return the numbers of the lines that stand in a fence."""
        self._markdown.reset()
        texts = self._markdown.preprocessors["normalize_whitespace"].run([line.text for line in lines])
        self._fences.run(texts)
        inside_fences: set[int] = set()
        for language, not_run, indentation, start, end in self._fences.found:
            inside_fences.update(range(start, end + 1))
            code = [lines[number]._replace(text=texts[number][indentation:]) for number in range(start + 1, end)]
            page.blocks.append(Block(language, tuple(code), lines[start].page_line, lines[end].page_line, not_run))
        return inside_fences


def _state(page: Page) -> object:
    """Return what changes when one of the page's files is saved or removed."""
    found = [ROOT / file for file in sorted(page.made_of) if (ROOT / file).is_file()]
    return [(file, file.stat().st_mtime_ns) for file in found]


def _read_front_matter(page: Page) -> int:
    """Read the page's front matter; return where its body begins."""
    match = FRONT_MATTER.match(page.source)
    if not match:
        page.problems.append(Problem(page.file, 1, "the page has no front matter: begin it with “---”, … , “---”"))
        return 0
    try:
        front_matter = yaml.safe_load(match["yaml"])
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        page.problems.append(Problem(page.file, line, f"the front matter is not YAML: {error.problem}"))
    else:
        if isinstance(front_matter, dict):
            page.front_matter = front_matter
        else:
            page.problems.append(Problem(page.file, 2, "the front matter is not a list of “key: value”"))
    return match.end()


def _check_fences(page: Page) -> None:
    """Report the fences that would be shown without being run as the editor expects."""
    for block in page.blocks:
        if block.language == "python" and block.not_run == "":
            message = 'a block that is not run says why: title="Not run: …"'
            page.problems.append(Problem(page.file, block.start_line, message))
        if block.language not in ("python", *SHOWN_LANGUAGES):
            known = ", ".join(("python", *SHOWN_LANGUAGES))
            message = f"unknown language {block.language!r} of a fence; write one of: {known}"
            page.problems.append(Problem(page.file, block.start_line, message))
    commented = _lines_in_comments(page.prose)
    for block in page.blocks:
        if any(first < block.start_line < last for first, last in commented):
            message = "a fence inside an HTML comment; remove it or show it"
            page.problems.append(Problem(page.file, block.start_line, message))
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


def _lines_in_comments(prose: list[Line]) -> list[tuple[int, int]]:
    """Return the (first, last) lines on the page of each HTML comment that spans lines."""
    spans, first = [], None
    for line in prose:
        if first is None and "<!--" in line.text and "-->" not in line.text.partition("<!--")[2]:
            first = line.page_line
        elif first is not None and "-->" in line.text:
            spans.append((first, line.page_line))
            first = None
    return spans
