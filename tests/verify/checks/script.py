"""What the script printed, run as a reader runs it, is what its page announces, line by line and nothing else.

Empty lines are passed by: statement by statement, the outputs' check has compared them.
"""

import itertools
import re
from collections.abc import Iterator

from course.outputs import Printed, split_statements
from course.page import Page, Problem
from course.program import Program

from tests.verify.checks.outputs import problem_in
from tests.verify.run.reader import ScriptRun

RAISED_AT = re.compile(r'  File ".*?(?P<script>[^/\\"]+)", line (?P<line>\d+)')


def script_problems(page: Page, program: Program, run: ScriptRun) -> Iterator[Problem]:
    """Yield where a run of the script departs from the page."""
    yield from [*_ended(page, program, run), *_left(page, run)]
    if not run.ended:
        yield from itertools.islice(_departures(page, run), 1)


def _announced(page: Page) -> Iterator[tuple[int, int, Printed]]:
    """Yield each line that the page announces, with its block and its line there, counted from 1."""
    for number, block in enumerate(page.runnable):
        for statement in split_statements(block.text):
            for line, printed in enumerate(statement.printed, statement.last_line + 1):
                if printed.text:
                    yield number, line, printed


def _departures(page: Page, run: ScriptRun) -> Iterator[Problem]:
    block, line = len(page.runnable) - 1, len(page.runnable[-1].lines)
    for announced, said in itertools.zip_longest(_announced(page), run.lines):
        if announced:
            block, line, printed = announced
        if said is None or not announced or not printed.agrees_with(said):
            shown = printed if announced else "nothing more"
            came = "nothing more" if said is None else said
            message = f"the script says\n    {came}\n  where the page announces\n    {shown}"
            yield problem_in(page.runnable[block], page, line, message)


def _ended(page: Page, program: Program, run: ScriptRun) -> Iterator[Problem]:
    if run.ended:
        places = [int(match["line"]) for said in run.lines if (match := RAISED_AT.match(said))]
        lines = [line for line in places if line <= program.text.count("\n")]
        block, line = program.locate(lines[0]) if lines else (0, 1)
        last = run.lines[-1] if run.lines else ""
        message = f"the script fails ({run.ended}): {last}"
        yield problem_in(page.runnable[block], page, line, message)


def _left(page: Page, run: ScriptRun) -> Iterator[Problem]:
    if run.left_at_home:
        message = f"the script leaves files in the home folder: {', '.join(run.left_at_home)}"
        yield Problem(page.file, 1, message)
