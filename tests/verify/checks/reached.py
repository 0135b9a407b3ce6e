"""Each line of a page's blocks is reached when the page runs, or says why not."""

from collections.abc import Iterator

from course.page import Page, Problem
from course.program import Program

from tests.verify.checks.outputs import problem_in
from tests.verify.run.result import Result


def reach_problems(page: Page, program: Program, result: Result) -> Iterator[Problem]:
    """Yield the lines that no run reached, of those in a row the first."""
    for missed in result.missed:
        number, line = program.locate(missed)
        block = page.runnable[number]
        message = f"no run of the page reaches this line: {block.lines[line - 1].text.strip()}"
        yield problem_in(block, page, line, message)
