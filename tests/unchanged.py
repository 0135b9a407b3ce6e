"""The tests that passed as they stand: the claims of lessons, and the tests of the machinery, which know no lesson.

Who changes a sentence need not wait until each kind of mistake was made and found again.
"""

import functools
import hashlib
from pathlib import Path

from course.claims import claim_tests, read_claims_receipt, test_module
from course.project import ROOT

from tests.verify.course import Course
from tests.verify.run.runner import environment_digest

TESTS = (
    "tests/course/",
    "tests/course_build/",
    "tests/test_bad_input.py",
    "tests/test_commands.py",
    "tests/test_figures.py",
    "tests/test_mistakes.py",
    "tests/test_new_lesson.py",
    "tests/test_random_damage.py",
    "tests/test_watch.py",
)
FOLDERS = ("docs/_src", "docs/_theme", "tests")
FILES = ("docs/glossary.csv", "mkdocs.yml", "pyproject.toml")
LESSONS = ROOT / "tests" / "snippets"


def machinery_passed(test: str) -> bool:
    """Tell whether a test, given by its id, is of the machinery, and this passed before as it stands."""
    return test.startswith(TESTS) and _receipt().exists()


def claim_held(test: str) -> bool:
    """Tell whether a test, given by its id, is of a lesson whose claims, as they stand, held here in their last run."""
    return Path(test.partition("::")[0]) in _lessons_that_held()


def passed() -> None:
    """Note that all tests passed."""
    _receipt().parent.mkdir(parents=True, exist_ok=True)
    _receipt().touch()


@functools.cache
def _lessons_that_held() -> set[Path]:
    held = set()
    for page in Course().pages.values():
        receipt = read_claims_receipt(page) if page.runnable else None
        if (
            receipt
            and receipt["environment"] == environment_digest()
            and receipt["claims"].keys() == {test.claim for test in claim_tests(page)}
            and all(run["passed"] for run in receipt["claims"].values())
        ):
            held.add(test_module(page))
    return held


@functools.cache
def _receipt() -> Path:
    found = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))
    files = sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)
    digest = hashlib.sha256(environment_digest().encode())
    for file in (*files, *(ROOT / name for name in FILES)):
        if LESSONS not in file.parents:
            digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return ROOT / ".cache" / "machinery" / digest.hexdigest()
