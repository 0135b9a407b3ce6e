"""What the program printed is what its page shows, in the editor's files and lines."""

from collections.abc import Iterator
from typing import NamedTuple

from course.outputs import Printed, Statement, misplaced_comments, split_statements
from course.page import Block, Page, Problem
from course.program import Program

from tests.verify.edits import Edit
from tests.verify.run.result import Failure, Result


class Difference(NamedTuple):
    """A place where the page shows another text than was printed, and the edit that mends it.

    `problem` is None where the text is near enough.
    """

    problem: Problem | None
    edit: Edit


def run_problems(page: Page, program: Program, result: Result, again: bool) -> Iterator[Problem]:
    """Yield what is wrong with a run and no edit of outputs mends; `again` says that the script ran before it."""
    before = ", run a second time in the same folder," if again else ""
    for block, statement, printed in _statements_run(page, result):
        if any("\r" in line or "\b" in line for line in printed):
            message = "this prints a progress bar, which cannot be shown; pass verbose=0"
            yield problem_in(block, page, statement.first_line, message)
    for block in page.runnable[: len(result.printed)]:
        if _is_python(block):
            for line in misplaced_comments(block.text):
                message = "an output comment stands after no top-level statement"
                yield problem_in(block, page, line, message)
    if result.failure:
        yield _failure_problem(page, program, result.failure, result.block, before)
    elif result.ended:
        yield problem_in(page.runnable[result.block], page, 1, f"this block{before} {result.ended}")


def output_differences(page: Page, result: Result) -> Iterator[Difference]:
    """Yield how each statement's output is to stand after it, with the problem where it does not."""
    for block, statement, printed in _statements_run(page, result):
        if any("\r" in line or "\b" in line for line in printed):
            continue
        near = len(printed) == len(statement.printed) and all(map(Printed.agrees_with, statement.printed, printed))
        problem = None if near else problem_in(block, page, statement.first_line, _difference(statement, printed))
        yield Difference(problem, _edit(page, block, statement, printed, needed=not near))


def problem_in(block: Block, page: Page, line: int, message: str) -> Problem:
    """Return a problem that stands in a `line` of `block`, counted from 1."""
    shown = block.lines[min(line, len(block.lines)) - 1]
    return Problem(page.file, shown.page_line, message, shown.source)


def _statements_run(page: Page, result: Result) -> Iterator[tuple[Block, Statement, list[str]]]:
    """Yield each statement that ran to its end, with its block and the lines that it printed."""
    for number, (block, printed) in enumerate(zip(page.runnable, result.printed)):
        if not _is_python(block):
            return
        if result.failure and number == result.block:
            printed = printed[:-1]  # of the statement that raised, the failure tells
        for statement, lines in zip(split_statements(block.text), printed):
            yield block, statement, lines


def _is_python(block: Block) -> bool:
    try:
        split_statements(block.text)
    except SyntaxError:
        return False  # the failure of the run says where
    return True


def _difference(statement: Statement, printed: list[str]) -> str:
    says = "\n".join(f"    {line}" for line in statement.printed) or "    nothing"
    does = "\n".join(f"    {line}" for line in printed) or "    nothing"
    message = f"the page says that this prints\n{says}\n  and it printed\n{does}"
    return message


def _edit(page: Page, block: Block, statement: Statement, printed: list[str], needed: bool) -> Edit:
    """Return the edit that puts `printed` after `statement`, each line of the kind it had."""
    announced = statement.printed or (Printed(">", ""),)
    kinds = [line.kind for line in announced] + [announced[-1].kind] * len(printed)
    outputs = [str(Printed(kind, text)) for kind, text in zip(kinds, printed)]
    shown = block.lines[statement.first_line - 1 : statement.last_line + len(statement.printed)]
    file, first = shown[0].source or (page.file, shown[0].page_line)
    texts, statement_lines = tuple(line.text for line in shown), len(shown) - len(statement.printed)
    return Edit(file, first, texts, statement_lines, tuple(outputs), f"{page.file}:{shown[0].page_line}", needed)


def _failure_problem(page: Page, program: Program, failure: Failure, block: int, before: str) -> Problem:
    places = [program.locate(line) for line in failure.lines] or [(block, 1)]
    outermost, *inner = [problem_in(page.runnable[block], page, line, "") for block, line in places]
    through = "".join(f"\n    through {str(problem).rstrip(': ')}" for problem in inner)
    return outermost._replace(message=f"this block{before} raises {failure.summary}{through}")
