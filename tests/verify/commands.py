"""What `--update` and `--translated` do once all pages they name were judged; what they do not do, they tell."""

import re
from collections.abc import Iterator

from course.files import Unreadable, read_text, write_whole
from course.page import Page
from course.project import ROOT

from tests.verify.checks.translation import section_digests
from tests.verify.course import Course
from tests.verify.edits import apply_edits, keep_figures
from tests.verify.run.result import Result
from tests.verify.verdict import Verdict


def write(verdicts: list[Verdict], update: bool, translated: bool) -> Iterator[str]:
    """Write what the pages ask for; yield what is not written, and why."""
    changed = [verdict for verdict in verdicts if translated and _changed(verdict.page)]
    refused = list(_update(verdicts)) if update else []
    yield from refused
    if not translated:
        return
    unsound = [verdict for verdict in verdicts if refused or verdict in changed or verdict.left(update, translated)]
    today = Course()
    for verdict in verdicts:
        page = today.pages.get(verdict.page.file, verdict.page)
        english = today.counterpart(page, "en")
        if page.edition == "en" or not english:
            continue
        if bad := sorted(str(other.page.file) for other in unsound if other.page.name == page.name):
            yield f"{page.file}: not marked as true to its English, for this does not pass otherwise: {', '.join(bad)}"
        else:
            yield from _mark_translated(page, english)


def _changed(page: Page) -> bool:
    try:
        return read_text(page.file) != page.source
    except Unreadable:
        return True


def _update(verdicts: list[Verdict]) -> Iterator[str]:
    results: dict[str, list[Result]] = {}
    passed = [verdict for verdict in verdicts if verdict.result and verdict.result.passed]
    yield from apply_edits(edit for verdict in passed for edit in verdict.edits)
    for verdict in passed:
        assert verdict.result
        results.setdefault(verdict.page.name, []).append(verdict.result)
    for name, of_editions in results.items():
        yield from keep_figures(name, of_editions)


def _mark_translated(page: Page, english: Page) -> Iterator[str]:
    """Record in the front matter of the Chinese page the digests of the English sections of today."""
    digests = "".join(f"  {id}: '{digest}'\n" for id, digest in section_digests(english).items())
    match = re.match(r"---\n(.*?\n)---\n(.*)", page.source, re.DOTALL)
    assert match, f"{page.file} has no front matter"
    front = re.sub(r"^english:\n(?:  .*\n)*", "", match[1], flags=re.MULTILINE)
    try:
        write_whole(ROOT / page.file, f"---\n{front}english:\n{digests}---\n{match[2]}".encode())
    except OSError as error:
        yield f"{page.file}: not written, the old file stays: {error.strerror}"
