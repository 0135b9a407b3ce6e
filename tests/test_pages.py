"""Each page, in each edition, is well formed, runs, and shows what it does."""

import pytest

from tests.harness import editions, glossary, prose
from tests.harness.judgement import judge, judge_figures, keep_figures
from tests.harness.program import Program
from tests.harness.receipts import write_receipt


def test_page_is_true(page_file, course, runner, tmp_path, pytestconfig):
    """One bad page is one failure, which names everything that is wrong with it."""
    page = course.pages[page_file]
    runner.judged.append(page)
    problems = judge_program(page, runner, tmp_path, pytestconfig.option.update) if page.program else []
    problems += [*page.problems, *prose.check(page, course), *glossary.check(page)]
    problems += editions.check_structure(page, course)
    if not pytestconfig.option.translated:
        problems += editions.check_digests(page, course)
    if problems:
        pytest.fail("\n".join(map(str, sorted(problems, key=lambda problem: problem.line))), pytrace=False)


def judge_program(page, runner, directory, update):
    """Run the page's program, write its receipt, and return its problems but for those that `update` mends."""
    program = Program.of(page)
    result = runner.submit(program).result()
    problems, mendable = judge(page, program, result)
    if update and result.passed:
        runner.edits.update(edit for _, edit in mendable)
        keep_figures(page, result)
    else:
        problems += [problem for problem, _ in mendable]
    if result.passed:
        problems += judge_figures(page, result, directory)
    write_receipt(page, result, passed=not problems)
    return problems
