"""Each page, in each edition, is well formed, runs, and shows what it does."""

import pytest
from course.project import EDITIONS, ROOT

from tests.verify.checks.files import file_problems
from tests.verify.checks.pictures import picture_problems
from tests.verify.checks.sections import section_problems
from tests.verify.run.start import START
from tests.verify.verdict import judge


def test_page_is_true(page_file, course, runner, verdicts, tmp_path, pytestconfig, record_property):
    """One bad page is one failure, which names everything that is wrong with it."""
    page = course.pages.get(page_file)
    if not page:
        pytest.fail(f"{page_file}:1: this page was removed while the pages were judged", pytrace=False)
    verdict = judge(page, course, runner, tmp_path)
    verdicts.append(verdict)
    result = verdict.result
    record_property("edition", verdict.page.edition)
    record_property("blocks", sum(block.language == "python" for block in verdict.page.blocks))
    record_property("run", len(result.printed) - bool(result.failure) if result else 0)
    record_property("seconds", result.seconds if result else 0)
    if problems := verdict.left(pytestconfig.option.update, pytestconfig.option.translated):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


def test_pictures_are_small_and_only_draw():
    if problems := list(picture_problems()):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


def test_sections_are_sound_and_shown(snippet_file, course):
    if problems := list(section_problems(snippet_file, course)):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


@pytest.mark.parametrize("edition", EDITIONS)
def test_readers_are_told_what_tensorflow_writes_when_it_starts(edition):
    overview = (ROOT / "docs" / edition / "overview.md").read_text(encoding="utf-8")
    for words in (
        "All log messages before absl::InitializeLog() is called are written to STDERR",
        "oneDNN custom operations are on",
        "This TensorFlow binary is optimized to use available CPU instructions",
    ):
        assert words in overview and words in START.pattern.replace("\\", "")


def test_each_file_is_of_a_known_kind():
    if problems := list(file_problems()):
        pytest.fail("\n".join(map(str, problems)), pytrace=False)
