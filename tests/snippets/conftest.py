"""The claims of the lessons: which sentences fall with a test, and the receipt of each run."""

import datetime
from dataclasses import dataclass, field

import pytest
from course.claims import claim_tests, marks_of, test_module, write_claims_receipt
from course.page import Page
from course.project import ROOT

from tests.verify.course import Course
from tests.verify.run.runner import environment_digest
from tests.verify.run.versions import installed_versions


@dataclass
class Lesson:
    """A lesson's pages, English first, and what came of its claims so far, by name."""

    pages: list[Page]
    runs: dict[str, dict[str, bool | float]] = field(default_factory=dict)


LESSONS = pytest.StashKey[dict[str, Lesson]]()


def lesson_of(item):
    """Return the lesson whose claim `item` tests."""
    stash = item.config.stash
    if LESSONS not in stash:
        stash[LESSONS] = {}
        for page in Course().pages.values():
            if page.runnable:
                stash[LESSONS].setdefault(str(ROOT / test_module(page)), Lesson([])).pages.append(page)
    return stash[LESSONS].get(str(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Note what came of a claim; with one that fails, say which sentences fall."""
    report = yield
    lesson = lesson_of(item)
    if lesson:
        claim = item.originalname.removeprefix("test_")
        run = lesson.runs.setdefault(claim, {"passed": True, "seconds": 0.0})
        run["passed"] = run["passed"] and report.passed
        run["seconds"] = round(run["seconds"] + report.duration, 2)
        fall = [
            f"{page.file}:{mark.line}: {mark.sentence}"
            for page in lesson.pages
            for mark in marks_of(page)
            if mark.claim == claim
        ]
        if report.failed and fall:
            report.sections.append(("sentences that fall with this", "\n".join(fall)))
    return report


def pytest_sessionfinish(session):
    """Write the receipt of each lesson whose claims were all run."""
    for lesson in session.config.stash.get(LESSONS, {}).values():
        page = lesson.pages[0]
        if lesson.runs and lesson.runs.keys() == {test.claim for test in claim_tests(page)}:
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            write_claims_receipt(page, lesson.runs, today, installed_versions(), environment_digest())
