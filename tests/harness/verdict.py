"""All that is wrong with a page: its Markdown, its words, its program, its figures, its translation."""

from tests.harness import editions, glossary, prose, typography
from tests.harness.judgement import judge, judge_figures, keep_figures
from tests.harness.program import Program
from tests.harness.receipts import write_receipt


def problems_of(page, course, runner, directory, update=False, translated=False):
    """Return the problems of `page`, in the order of its lines.

    `directory` receives the figures that differ. With `update` what the page says is printed is not judged
    but noted in `runner.edits`, and its figures are kept; with `translated` the Chinese sections count as
    true to the English.
    """
    problems = _judge_program(page, runner, directory, update) if page.program else []
    problems += [*page.problems, *prose.check(page, course), *glossary.check(page), *typography.check(page)]
    problems += editions.check_structure(page, course)
    if not translated:
        problems += editions.check_digests(page, course)
    return sorted(problems, key=lambda problem: problem.line)


def _judge_program(page, runner, directory, update):
    program = Program.of(page)
    result = runner.submit(program).result()
    problems, mendable = judge(page, program, result)
    if update and result.passed:
        runner.edits.update(edit for _, edit in mendable)
        keep_figures(page, result)
    else:
        problems += [problem for problem, _ in mendable if problem]
    if result.passed:
        problems += judge_figures(page, result, directory)
    write_receipt(page, result, passed=not problems)
    return problems
