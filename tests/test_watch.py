"""The watcher judges all pages whose verdict a save may change, and survives what cannot be read."""

from pathlib import Path

import pytest

from tests.verify.course import Course
from tests.watch import affected, report, state

EN, ZH = Path("docs/en/keras-introduction/training.md"), Path("docs/zh/keras-introduction/training.md")


@pytest.fixture
def course():
    return Course()


def states(course):
    return {file: state(page) for file, page in course.pages.items()}


def files(pages):
    return {page.file for page in pages}


@pytest.mark.parametrize(("changed", "judged"), [(EN, {EN, ZH}), (ZH, {ZH})])
def test_a_chinese_page_is_judged_with_its_english(changed, judged, course):
    assert files(affected(course, states(course) | {changed: None})) == judged


@pytest.mark.parametrize("removed", [EN, ZH])
def test_pages_that_link_to_one_that_went_or_came_are_judged(removed, course):
    known = states(course)
    page = course.pages.pop(removed)
    index = removed.with_name("index.md")
    went = files(affected(course, known))
    assert {index, ZH if removed == EN else EN} <= went and removed not in went
    known = states(course)
    course.pages[removed] = page
    assert {removed, index} <= files(affected(course, known))


def test_a_page_that_cannot_be_read_is_one_error(course, capsys):
    page = course._reader.read(Path("docs/en/gone.md"))
    report([page], course, runner=None)
    assert "docs/en/gone.md:1: this file cannot be read" in capsys.readouterr().out
