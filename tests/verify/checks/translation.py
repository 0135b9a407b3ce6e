"""The two editions of a page have one structure, and no Chinese section lags behind its English in silence."""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator

from course.page import Page, Problem

from tests.verify.checks.prose import IMAGE, LINK
from tests.verify.course import Course

Part = tuple[str, int]  # what it is, and the line where it stands

ADMONITION = re.compile(r"\s*(?:!!!|\?\?\?\+?) (?P<kind>[\w ]+)")
TABLE = re.compile(r"\s*\|?[\s:|-]*-{3}[\s:|-]*\|[\s:|-]*$")
DISPLAYED_FORMULA = re.compile(r"\s*\$\$")


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
    digests = section_digests(english)
    lines = {heading.id: heading.line for heading in english.headings}
    for heading in page.headings:
        if heading.id in digests and recorded.get(heading.id) != digests[heading.id]:
            place = f"{english.file}:{lines[heading.id]}"
            if heading.id in recorded:
                message = (
                    f"the English section #{heading.id} ({place}) has changed since this one was written; revise it, or"
                    " see that it is still right, and run the check of this page with --translated"
                )
            else:
                message = (
                    f"the English section #{heading.id} ({place}) is new: see that this one says the same, and run the"
                    " check of this page with --translated"
                )
            yield Problem(page.file, heading.line, message)


def recorded_digests(page: Page) -> dict[str, str]:
    """Return, by heading id, the digest of the English that each section of a Chinese page was written from."""
    recorded = page.front_matter.get("english")
    return {str(id): str(digest) for id, digest in recorded.items()} if isinstance(recorded, dict) else {}


def section_digests(page: Page) -> dict[str, str]:
    """Return, by heading id, the digest of each section's Markdown."""
    return {id: hashlib.sha256(text.encode()).hexdigest()[:8] for id, text in page.sections().items() if id}


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
