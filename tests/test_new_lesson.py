"""A lesson that was just begun lacks what its writer has to write, and nothing else."""

import re
import subprocess
import sys

import pytest

from tests.copies import copy_project, run_copy

PAGES = ["docs/en/keras-introduction/a-new-lesson.md", "docs/zh/keras-introduction/a-new-lesson.md"]
LESSON = "--page=keras-introduction/a-new-lesson"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    copy_project(project)
    assert begin(project, "keras-introduction/a-new-lesson") == ""
    return project


def begin(project, *names):
    """Begin a lesson; return what is said if that is refused."""
    command = [sys.executable, "-m", "tests.new_lesson", *names]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert bool(run.returncode) == bool(run.stderr)
    return run.stderr


def test_what_is_to_be_written_is_named_and_nothing_else(project):
    run_copy(project, LESSON, "--update", "--translated")
    said = [line for line in run_copy(project, LESSON).stdout.splitlines() if line.startswith("docs/")]
    rest = [line for line in said if "this is still to be written: “" not in line]
    assert rest == [
        f"{PAGES[1]}:1: this page is new: see that it says what {PAGES[0]} says, and run the check of this"
        " page with --translated"
    ]
    todo = [re.findall("TODO", (project / page).read_text(encoding="utf-8")) for page in PAGES]
    assert len(said) > 30 and len(todo[0]) + 2 == len(todo[1])


def test_a_lesson_whose_writer_has_written_passes(project):
    for page, word in zip(PAGES, ("Written", "写好")):
        text = (project / page).read_text(encoding="utf-8")
        (project / page).write_text(text.replace("TODO", word).replace("A New Lesson", "News"), encoding="utf-8")
    written = run_copy(project, LESSON, "--update", "--translated")
    assert written.returncode == 0, written.stdout
    judged = run_copy(project, LESSON)
    assert judged.returncode == 0, judged.stdout
    claims = run_copy(project, tests="tests/snippets/keras_introduction/test_a_new_lesson.py")
    assert claims.returncode == 0, claims.stdout


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["keras-introduction/training"], "there is such a lesson already: docs/en/keras-introduction/training.md"),
        (["keras-introduction/index"], "there is such a lesson already"),
        (["keras-introduction/Training"], "is no name of a lesson"),
        (["keras-introduction/two_words"], "is no name of a lesson"),
        (["keras-introduction/two--words"], "is no name of a lesson"),
        (["keras-introduction/../x"], "is no name of a lesson"),
        (["keras-introduction/"], "is no name of a lesson"),
        (["keras-introduction/class"], "is no name of a lesson"),
        (["training"], "there is no part training; name one of: keras-introduction/"),
        (["no-part/training"], "name one of: keras-introduction/training, training-deep-networks/training"),
        ([], "part/lesson-name"),
        (["a/b", "c/d"], "part/lesson-name"),
    ],
)
def test_what_cannot_be_begun_is_refused(project, names, message):
    assert message in begin(project, *names)
