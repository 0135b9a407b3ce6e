"""The marks of a page name tests of its lesson, and each test is named."""

from collections.abc import Iterator

from course.claims import MARK, claim_tests, marks_of, test_module
from course.page import Page, Problem
from course.project import ROOT


def claim_problems(page: Page) -> Iterator[Problem]:
    """Yield the marks that name no test, and the tests that no sentence of the page names."""
    for line in page.prose:
        if "](claim:" in MARK.sub("", line.text):
            message = "a mark is written [✓](claim:name), behind the sentence that the test of this name tests"
            yield Problem(page.file, line.page_line, message)
    if len(page.file.parts) < 4 or not page.runnable:
        return
    module = test_module(page)
    if not (ROOT / module).exists():
        yield Problem(page.file, 1, f"the claims of this lesson have no tests: write {module}")
        return
    tests = claim_tests(page)
    known = {test.claim for test in tests}
    marks = marks_of(page)
    for mark in marks:
        if mark.claim not in known:
            message = f"this sentence is marked as tested, and {module} has no test_{mark.claim}"
            yield Problem(page.file, mark.line, message)
    named = {mark.claim for mark in marks}
    for test in tests:
        if test.claim not in named:
            message = f"no sentence of {page.file} names this test: mark one with [✓](claim:{test.claim})"
            yield Problem(module, test.line, message)
