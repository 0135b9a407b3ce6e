"""All that is wrong with a page: its Markdown, its words, its program, its figures, its translation."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from course.files import Unreadable
from course.page import Page, Problem
from course.program import Program
from course.receipt import write_receipt

from tests.verify.checks.chinese import chinese_problems
from tests.verify.checks.claims import claim_problems
from tests.verify.checks.fences import fence_problems
from tests.verify.checks.figures import figure_differences, figure_problems
from tests.verify.checks.files import place_problems
from tests.verify.checks.imports import import_problems
from tests.verify.checks.markdown import markdown_problems
from tests.verify.checks.names import name_problems
from tests.verify.checks.numbers import number_problems
from tests.verify.checks.outputs import output_differences, run_problems
from tests.verify.checks.prose import prose_problems
from tests.verify.checks.reached import reach_problems
from tests.verify.checks.script import script_problems
from tests.verify.checks.terms import term_problems
from tests.verify.checks.translation import digest_problems, structure_problems
from tests.verify.checks.typography import typography_problems
from tests.verify.course import Course
from tests.verify.edits import Edit
from tests.verify.run.result import Result
from tests.verify.run.runner import Runner


@dataclass
class Verdict:
    """What is wrong with a page, by what mends it.

    `outdated` is mended by --update, `untranslated` by --translated, the other `problems` by hand alone.
    """

    page: Page
    result: Result | None = None
    problems: list[Problem] = field(default_factory=list)
    outdated: list[Problem] = field(default_factory=list)
    untranslated: list[Problem] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    def left(self, update: bool = False, translated: bool = False) -> list[Problem]:
        """Return the problems that stay after --update and --translated, in the order of the page's lines."""
        left = list(self.problems)
        if not (update and self.result and self.result.passed):
            left += self.outdated
        if not translated:
            left += self.untranslated
        return sorted(left, key=lambda problem: problem.line)


def judge(page: Page, course: Course, runner: Runner, directory: Path) -> Verdict:
    """Return the verdict on `page`; `directory` receives the figures that differ."""
    verdict = Verdict(page)
    if page.runnable:
        _judge_run(verdict, runner, directory)
    verdict.problems += page.problems
    verdict.problems += _found(
        fence_problems(page),
        place_problems(page),
        markdown_problems(page, course.rendering(page)),
        prose_problems(page, course),
        name_problems(page, course),
        number_problems(page, verdict.result),
        term_problems(page),
        typography_problems(page),
        chinese_problems(page, course),
        structure_problems(page, course),
        claim_problems(page),
    )
    verdict.untranslated += digest_problems(page, course)
    return verdict


def _found(*checks: Iterator[Problem]) -> Iterator[Problem]:
    """Yield what the checks find; a file that one of them cannot read is a problem, and ends this check alone."""
    for check in checks:
        try:
            yield from check
        except Unreadable as error:
            yield error.problem


def _judge_run(verdict: Verdict, runner: Runner, directory: Path) -> None:
    page, program = verdict.page, Program.of(verdict.page)
    result, script = runner.submit(program, f"{page.module}.py").result()
    verdict.result = result
    verdict.problems += run_problems(page, program, result, again=bool(script and not script.ended))
    for difference in output_differences(page, result):
        verdict.edits.append(difference.edit)
        if difference.problem:
            verdict.outdated.append(difference.problem)
    if result.passed:
        verdict.problems += [*reach_problems(page, program, result), *import_problems(page, program)]
        verdict.problems += figure_problems(page, result)
        verdict.outdated += figure_differences(page, result, directory)
    if script and result.passed and not verdict.outdated:  # else there is enough to mend
        verdict.outdated += script_problems(page, program, script)
    write_receipt(page, not verdict.left(), bool(script), result.seconds, result.date, result.versions)
