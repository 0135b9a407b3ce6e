"""What is asked of the Markdown around the code: ids, alternative texts, links, a place in the navigation."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from course.navigation import navigation_of
from course.page import Line, Page, Problem
from course.project import FIGURES, ROOT

from tests.verify.course import Course

IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]+)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)")
TABLE_RULE = re.compile(r"\s*\|[\s:|-]+\|\s*$")
INLINE_CODE = re.compile(r"`+[^`]*`+")
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL)


def prose_problems(page: Page, course: Course) -> Iterator[Problem]:
    """Yield the problems of the page's prose."""
    yield from _still_to_write(page)
    yield from _in_front_matter(page)
    yield from _in_headings(page)
    yield from _in_images(page)
    yield from _in_tables(page)
    yield from _in_links(page, course)
    yield from _in_navigation(page)


def _still_to_write(page: Page) -> Iterator[Problem]:
    embedded = [(line.page_line, line.text) for block in page.blocks for line in block.lines if line.source]
    for number, text in [*enumerate(page.source.split("\n"), 1), *embedded]:
        if re.search(r"\bTODO\b", text, re.ASCII):
            yield Problem(page.file, number, f"this is still to be written: “{text.strip()}”")


def _in_front_matter(page: Page) -> Iterator[Problem]:
    for key in ("title", "description"):
        if not page.front_matter.get(key):
            yield Problem(page.file, 1, f"the front matter has no {key}: add a line “{key}: …”")


def _in_headings(page: Page) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    level = 0
    for heading in page.headings:
        if heading.id is None:
            yield Problem(
                page.file,
                heading.line,
                f"the heading “{heading.title}” has no id; end it with {{#an-id}}, the same in both editions",
            )
        elif heading.id in seen:
            message = f"the id #{heading.id} is already that of the heading in line {seen[heading.id]}"
            yield Problem(page.file, heading.line, message)
        else:
            seen[heading.id] = heading.line
        if heading.level > level + 1:
            yield Problem(page.file, heading.line, f"a heading of level {heading.level} below one of level {level}")
        level = heading.level
    if sum(heading.level == 1 for heading in page.headings) != 1:
        yield Problem(page.file, 1, "a page has one heading of level 1 (“# …”)")


def _in_images(page: Page) -> Iterator[Problem]:
    for line, match in matches_in(page, IMAGE):
        if not match["alt"].strip():
            yield Problem(page.file, line.page_line, f"the picture {match['target']} has no alt text")


def _in_tables(page: Page) -> Iterator[Problem]:
    for header, rule in zip(page.prose, page.prose[1:]):
        if TABLE_RULE.match(rule.text) and re.search(r"\|\s*\|", header.text):
            yield Problem(page.file, header.page_line, "a column of this table has no heading")


def _in_links(page: Page, course: Course) -> Iterator[Problem]:
    for pattern in (IMAGE, LINK):
        for line, match in matches_in(page, pattern):
            message = _broken(page, match["target"], course)
            if message:
                yield Problem(page.file, line.page_line, message)


def _broken(page: Page, target: str, course: Course) -> str | None:
    """Return what is wrong with a link's target, or None."""
    if re.match(r"[a-z]+:", target):
        return None
    path, _, anchor = target.partition("#")
    other: Page | None = page
    if path:
        found = _resolved(page, path)
        root = "docs" if found.parts[:1] == ("assets",) else f"docs/{page.edition}"
        if Path("docs", found).parent == FIGURES / page.name:
            return None  # the program says which figures there are
        if not (ROOT / root / found).is_file():
            message = f"the link to {target} leads nowhere: there is no {root}/{found}"
            return message
        other = course.page_at(page.edition, str(found))
    if anchor and other and anchor not in {heading.id for heading in other.headings}:
        message = f"the link to {target} leads to no heading: {other.file} has none with the id #{anchor}"
        return message
    return None


def linked_pages(page: Page) -> set[Path]:
    """Return the files of the pages that a page links to, there or not."""
    targets = {match["target"].partition("#")[0] for _, match in matches_in(page, LINK)}
    return {Path("docs", page.edition, _resolved(page, target)) for target in targets if target.endswith(".md")}


def _resolved(page: Page, path: str) -> PurePosixPath:
    """Return where a relative link leads, seen from the folder of the edition."""
    return PurePosixPath(posixpath.normpath(PurePosixPath(page.name).parent / path))


def _in_navigation(page: Page) -> Iterator[Problem]:
    file = page.file.parent / ".nav.yml"
    listed = navigation_of(page.file.parent)
    if listed is None:
        yield Problem(page.file, 1, f"there is no {file}, which would give the page its place")
    elif page.file.name not in listed:
        yield Problem(page.file, 1, f"the page is missing from the navigation: add it to {file}")


def matches_in(page: Page, pattern: re.Pattern[str]) -> list[tuple[Line, re.Match[str]]]:
    """Return the matches of a pattern in the prose, with their lines; code in the text does not count."""
    return [(line, match) for line in page.prose for match in pattern.finditer(without_code(line.text))]


def without_code(text: str) -> str:
    """Return a text with its code made unreadable, each letter in its place."""
    return INLINE_CODE.sub(lambda code: "·" * len(code[0]), text)
