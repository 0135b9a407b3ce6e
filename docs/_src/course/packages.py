"""The packages that a program needs: what it imports, by what each is installed as.

The build has none of them installed, so the names stand here; a test compares them with what is installed.
"""

import ast
import sys
from collections.abc import Iterator

from course.program import Program

# What a lesson may import beside the standard library, and what brings it; Keras runs on TensorFlow here.
PACKAGES = {
    "keras": ("keras", "tensorflow"),
    "matplotlib": ("matplotlib",),
    "numpy": ("numpy",),
    "PIL": ("pillow",),
    "sklearn": ("scikit-learn",),
    "tensorboard": ("tensorboard",),
    "tensorflow": ("tensorflow",),
}


def imported_modules(code: str) -> Iterator[tuple[str, int]]:
    """Yield the top-level name, and the line, of each import of `code` that is not of the standard library."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in (name.partition(".")[0] for name in names):
                if module and module not in sys.stdlib_module_names:
                    yield module, node.lineno


def packages_of(program: Program) -> list[str]:
    """Return what is to be installed for `program`, in the order in which it imports; [] if it is not Python."""
    try:
        modules = sorted(imported_modules(program.text), key=lambda found: found[1])
    except SyntaxError:
        return []
    return list(dict.fromkeys(package for module, _ in modules for package in PACKAGES.get(module, ())))
