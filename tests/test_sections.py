"""Each named section of a lesson's module is sound, and a page of each edition shows it."""

import pytest

from tests.harness.sections import check, snippet_files


@pytest.mark.parametrize("file", snippet_files(), ids=str)
def test_sections_are_sound_and_shown(file, course):
    problems = list(check(file, course))
    if problems:
        pytest.fail("\n".join(map(str, problems)), pytrace=False)
