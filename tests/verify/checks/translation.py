"""The two editions of a page have one structure, and no Chinese section lags behind its English in silence."""

import hashlib
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from course.page import Page, Problem

from tests.verify.checks.numbers import numbers_in
from tests.verify.checks.prose import IMAGE, LINK
from tests.verify.course import Course
from tests.verify.rendering import Rendering

Part = tuple[str, int]  # what it is, and the line where it stands

ADMONITION = re.compile(r"\s*(?:!!!|\?\?\?\+?) (?P<kind>[\w ]+)")
TABLE = re.compile(r"\s*\|?[\s:|-]*-{3}[\s:|-]*\|[\s:|-]*$")
DISPLAYED_FORMULA = re.compile(r"\s*\$\$")
COUNTED = {"p": "the paragraph", "li": "the list item", "tr": "the table row", "figcaption": "the caption"}
IN_WORDS = 12  # smaller counts one language writes as a word and the other in digits
FRONT_MATTER, OPENING = "front_matter", "before_the_first_heading"  # digests beside those of the sections


def structure_problems(page: Page, course: Course) -> Iterator[Problem]:
    """Yield where the Chinese page departs from the structure of the English."""
    other = course.counterpart(page, "zh" if page.edition == "en" else "en")
    if other is None:
        yield Problem(page.file, 1, "this page stands in one edition only; write it in the other as well")
    elif page.edition == "zh":
        for name, parts in _PARTS.items():
            for english, chinese in itertools.zip_longest(parts(other), parts(page)):
                if english is None or chinese is None or english[0] != chinese[0]:
                    line = chinese[1] if chinese else len(page.source.splitlines())
                    message = f"{name} differs: here {_say(chinese)}, in {other.file} {_say(english)}"
                    yield Problem(page.file, line, message)
                    break
        yield from _in_sections(page, course.rendering(page), other, course.rendering(other))


def _in_sections(page: Page, chinese: Rendering, other: Page, english: Rendering) -> Iterator[Problem]:
    """Yield what stands more often in a section of one edition than in that of the other."""
    here, there = _by_section(page, chinese), _by_section(other, english)
    headings = {heading.id: heading.line for heading in page.headings}
    for section in headings.keys() & there.keys():
        counts = [Counter(part for part, _ in parts[section]) for parts in (here, there)]
        for part in sorted(counts[0].keys() | counts[1].keys()):
            if counts[0][part] != counts[1][part]:
                line = max((line for name, line in here[section] if name == part), default=headings[section])
                message = (
                    f"{part} stands in this section {counts[0][part]} times, and {counts[1][part]} times in"
                    f" {other.file}:{_first_line(there[section], part)}"
                )
                yield Problem(page.file, line, message)


def _by_section(page: Page, rendering: Rendering) -> dict[str | None, list[Part]]:
    """Map each section to its paragraphs, items, rows, captions, inline code, formulas and numbers."""
    parts: dict[str | None, list[Part]] = defaultdict(list)
    for element in rendering.elements:
        text = " ".join(element.node.text_content().split())
        if element.node.tag in COUNTED:
            parts[element.section].append((COUNTED[element.node.tag], element.line))
        elif element.node.tag == "code" and element.node.getparent().tag != "pre":
            parts[element.section].append((f"the code “{text}”", element.line))
        elif element.node.get("class") == "arithmatex":
            parts[element.section].append((f"the formula “{text[2:-2].strip()}”", element.line))
    for prose in rendering.texts:
        if prose.line not in page.filled and not prose.inside & {"code", "pre", "arithmatex"}:
            for number in numbers_in(prose.text):
                if number.value > IN_WORDS or number.value != int(number.value):
                    name = f"the number {format(number.value.normalize(), 'f')}"
                    parts[prose.section].append((name, prose.line))
    return parts


def _first_line(parts: list[Part], name: str) -> int:
    return next((line for part, line in parts if part == name), parts[0][1])


def digest_problems(page: Page, course: Course) -> Iterator[Problem]:
    """Yield the Chinese sections that were written from another English section than today's."""
    english = course.counterpart(page, "en")
    if page.edition == "en" or english is None:
        return
    recorded = recorded_digests(page)
    if not recorded:
        message = (
            f"this page is new: see that it says what {english.file} says, and run the check of this page with"
            " --translated"
        )
        yield Problem(page.file, 1, message)
        return
    lines = {heading.id: heading.line for heading in english.headings}
    here = {heading.id: heading.line for heading in page.headings}
    names = {FRONT_MATTER: "the English front matter", OPENING: "what stands before the first English heading"}
    for id, digest in section_digests(english).items():
        if recorded.get(id) == digest or not (id in here or id in names):
            continue
        section = f"{names.get(id, f'the English section #{id}')} ({english.file}:{lines.get(id, 1)})"
        if id in recorded:
            message = (
                f"{section} has changed since this one was written; revise it, or see that it is still right,"
                " and run the check of this page with --translated"
            )
        else:
            message = (
                f"{section} is new: see that this one says the same, and run the check of this page with --translated"
            )
        yield Problem(page.file, here.get(id, 1), message)


def recorded_digests(page: Page) -> dict[str, str]:
    """Return, by heading id, the digest of the English that each section of a Chinese page was written from."""
    recorded = page.front_matter.get("english")
    return {str(id): str(digest) for id, digest in recorded.items()} if isinstance(recorded, dict) else {}


def section_texts(page: Page) -> dict[str, str]:
    """Return the front matter, what stands above all headings, and, by id, each section."""
    texts = {FRONT_MATTER: json.dumps(page.front_matter, sort_keys=True), OPENING: page.opening(), **page.sections()}
    return {id: text for id, text in texts.items() if id and text}


def section_digests(page: Page) -> dict[str, str]:
    """Return the digests of those texts."""
    return {id: hashlib.sha256(text.encode()).hexdigest()[:8] for id, text in section_texts(page).items()}


def _say(part: Part | None) -> str:
    return f"“{part[0]}” (line {part[1]})" if part else "nothing more"


def _headings(page: Page) -> list[Part]:
    return [("#" * heading.level + f" #{heading.id}", heading.line) for heading in page.headings]


def _blocks(page: Page) -> list[Part]:
    return [(f"{block.language}: {block.text}", block.start_line) for block in page.blocks]


def _found(pattern: re.Pattern[str], describe: Callable[[re.Match[str]], str]) -> Callable[[Page], list[Part]]:
    return lambda page: [
        (describe(match), line.page_line) for line in page.prose for match in pattern.finditer(line.text)
    ]


def _begun(pattern: re.Pattern[str], describe: Callable[[re.Match[str]], str]) -> Callable[[Page], list[Part]]:
    return lambda page: [
        (describe(match), line.page_line) for line in page.prose if (match := pattern.match(line.text))
    ]


_PARTS: dict[str, Callable[[Page], list[Part]]] = {
    "the heading": _headings,
    "the code block": _blocks,
    "the picture": _found(IMAGE, lambda match: match["target"]),
    "the link": _found(LINK, lambda match: match["target"]),
    "the admonition": _begun(ADMONITION, lambda match: match["kind"].strip()),
    "the table": _begun(TABLE, lambda match: f"{match[0].strip('| ').count('|') + 1} columns"),
    "the formula": _begun(DISPLAYED_FORMULA, lambda match: "$$"),
}
