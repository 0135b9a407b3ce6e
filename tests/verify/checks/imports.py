"""What a page imports from a package that is installed here, its notebook tells readers to install."""

import functools
import importlib.metadata
from collections.abc import Iterator, Mapping

from course.packages import PACKAGES, imported_modules
from course.page import Page, Problem
from course.program import Program

from tests.verify.checks.outputs import problem_in


def import_problems(page: Page, program: Program) -> Iterator[Problem]:
    """Yield the imports that a notebook has no package for."""
    for module, imported in imported_modules(program.text):
        if module not in PACKAGES and module in installed_modules():
            number, line = program.locate(imported)
            message = f"a notebook cannot say what brings {module}: add it to docs/_src/course/packages.py"
            yield problem_in(page.runnable[number], page, line, message)


@functools.cache
def installed_modules() -> Mapping[str, list[str]]:
    """Map each module that is installed here to the distributions that bring it."""
    return importlib.metadata.packages_distributions()
