"""Each page, in each edition, is well formed, runs, and shows what it does."""

import pytest

from tests.verify.checks.files import file_problems
from tests.verify.checks.sections import section_problems
from tests.verify.verdict import judge


def test_page_is_true(page_file, course, runner, verdicts, tmp_path, pytestconfig):
    """One bad page is one failure, which names everything that is wrong with it."""
    verdict = judge(course.pages[page_file], course, runner, tmp_path)
    verdicts.append(verdict)
    if problems := verdict.left(pytestconfig.option.update, pytestconfig.option.translated):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


def test_sections_are_sound_and_shown(snippet_file, course):
    if problems := list(section_problems(snippet_file, course)):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


def test_each_file_is_of_a_known_kind():
    if problems := list(file_problems()):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)
