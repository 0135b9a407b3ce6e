"""Each page, in each edition, is well formed, runs, and shows what it does."""

import pytest

from tests.harness.verdict import problems_of


def test_page_is_true(page_file, course, runner, tmp_path, pytestconfig):
    """One bad page is one failure, which names everything that is wrong with it."""
    page = course.pages[page_file]
    runner.judged.append(page)
    options = pytestconfig.option
    problems = problems_of(page, course, runner, tmp_path, options.update, options.translated)
    if problems:
        pytest.fail("\n".join(map(str, problems)), pytrace=False)
