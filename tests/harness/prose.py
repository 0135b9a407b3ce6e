"""What is asked of the Markdown around the code: ids, alternative texts, links, a place in the navigation."""

import re
from pathlib import PurePosixPath

import yaml
from page_model import ROOT, Problem

IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]+)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)")
TABLE_RULE = re.compile(r"\s*\|[\s:|-]+\|\s*$")
INLINE_CODE = re.compile(r"`+[^`]*`+")


def check(page, course):
    """Return the problems of the page's prose."""
    return [
        *_check_front_matter(page),
        *_check_headings(page),
        *_check_images(page),
        *_check_tables(page),
        *_check_links(page, course),
        *_check_navigation(page),
    ]


def _check_front_matter(page):
    for key in ("title", "description"):
        if not page.front_matter.get(key):
            yield Problem(page.file, 1, f"the front matter has no {key}: add a line “{key}: …”")


def _check_headings(page):
    seen, level = {}, 0
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


def _check_images(page):
    for line, match in _matches(page, IMAGE):
        if not match["alt"].strip():
            yield Problem(page.file, line.page_line, f"the picture {match['target']} has no alt text")


def _check_tables(page):
    for header, rule in zip(page.prose, page.prose[1:]):
        if TABLE_RULE.match(rule.text) and re.search(r"\|\s*\|", header.text):
            yield Problem(page.file, header.page_line, "a column of this table has no heading")


def _check_links(page, course):
    for pattern in (IMAGE, LINK):
        for line, match in _matches(page, pattern):
            message = _broken(page, match["target"], course)
            if message:
                yield Problem(page.file, line.page_line, message)


def _broken(page, target, course):
    """Return what is wrong with a link's target, or None."""
    if re.match(r"[a-z]+:", target):
        return None
    path, _, anchor = target.partition("#")
    other = page
    if path:
        parts = []
        for part in (PurePosixPath(page.name).parent / path).parts:
            if part == ".." and parts:
                parts.pop()
            else:
                parts.append(part)
        found = PurePosixPath(*parts)
        root = "docs" if found.parts[0] == "assets" else f"docs/{page.edition}"
        if not (ROOT / root / found).is_file():
            return f"the link to {target} leads nowhere: there is no {root}/{found}"
        other = course.counterpart_file(page.edition, found)
    if anchor and other and anchor not in {heading.id for heading in other.headings}:
        return f"the link to {target} leads to no heading: {other.file} has none with the id #{anchor}"
    return None


def _check_navigation(page):
    file = page.file.parent / ".nav.yml"
    if not (ROOT / file).exists():
        yield Problem(page.file, 1, f"there is no {file}, which would give the page its place")
        return
    listed = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["nav"]
    entries = [value for entry in listed for value in (entry.values() if isinstance(entry, dict) else [entry])]
    if page.file.name not in entries:
        yield Problem(page.file, 1, f"the page is missing from the navigation: add it to {file}")


def _matches(page, pattern):
    """Return the matches of a pattern in the prose, with their lines; code in the text does not count."""
    return [
        (line, match)
        for line in page.prose
        for match in pattern.finditer(INLINE_CODE.sub(lambda code: "·" * len(code[0]), line.text))
    ]
