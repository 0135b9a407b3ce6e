"""Names of libraries in sentences exist in what is installed, or are said to be gone: `tf.gone`{ .gone }.

Which names exist is asked of the libraries once, in a process of its own, and kept until another version is installed.
"""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

from course.files import write_whole
from course.page import Page, Problem
from course.project import ROOT

from tests.verify.checks.prose import INLINE_CODE
from tests.verify.course import Course
from tests.verify.run.runner import installed_distributions

KEPT = ROOT / ".cache" / "names.json"
ROOTS = {"keras": "keras", "tf": "tensorflow", "np": "numpy", "plt": "matplotlib.pyplot", "sklearn": "sklearn"}
ROOTS |= {name: name for name in ("tensorflow", "numpy", "matplotlib")}
SHORT = (  # modules of Keras, which a lesson may import by themselves
    "activations", "applications", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "ops",
    "optimizers", "regularizers", "saving", "utils",
)  # fmt: skip
ROOTS |= {name: f"keras.{name}" for name in SHORT}
DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(ROOTS)})(?:\.[A-Za-z_]\w*)+(?!\w*[./*-]\w)")
CALLED = re.compile(r"^[A-Z][a-z]\w+(?=\(|$)")  # a class alone: one of Keras, or of the page
ASK = """
import importlib, json, sys

def exists(name):
    found, *rest = name.split(".")
    for count in range(1, len(rest) + 2):
        try:
            found = importlib.import_module(".".join(name.split(".")[:count]))
        except ImportError:
            count -= 1
            break
    for part in name.split(".")[count:]:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True

json.dump({name: exists(name) for name in json.load(sys.stdin)}, sys.stdout)
"""


def name_problems(page: Page, course: Course) -> Iterator[Problem]:
    """Yield the names that the installed libraries do not have, and those that are there and said to be gone."""
    used = [
        (name, element.line, element.node.get("class") == "gone")
        for element in course.rendering(page).all("code")
        if element.node.getparent().tag != "pre"
        for name in _names_in(element.node.text_content(), page)
    ]
    known = _known({place for name, _, _ in used for place in _places(name)}, course)
    for name, line, gone in used:
        exists = any(known[place] for place in _places(name))
        if not exists and not gone:
            message = f"what is installed has no “{name}”; write {{ .gone }} behind the code if the text says so"
            yield Problem(page.file, line, message)
        elif exists and gone:
            yield Problem(page.file, line, f"“{name}” is not gone: it is there in what is installed")


def _names_in(text: str, page: Page) -> Iterator[str]:
    """Yield the names of libraries in a piece of inline code, beside those that the page's code has as well."""
    code = "\n".join(block.text for block in page.blocks)
    for match in (*DOTTED.finditer(text), *CALLED.finditer(text)):
        if not re.search(rf"\b{re.escape(match[0])}\b", code):
            yield match[0]


def _places(name: str) -> tuple[str, ...]:
    """Return where a name may be meant to stand, in full."""
    root, dot, rest = name.partition(".")
    return (f"{ROOTS[root]}.{rest}",) if dot else tuple(f"{ROOTS[module]}.{name}" for module in ("keras", "tf", *SHORT))


def _known(names: set[str], course: Course) -> dict[str, bool]:
    """Tell of each name whether it exists; when one is new, those of all pages are asked for at once."""
    known: dict[str, bool] = {}
    with contextlib.suppress(OSError, ValueError, KeyError):  # there is none, or it is broken
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
        known = kept["names"] if kept["installed"] == installed_distributions() else {}
    if names - known.keys():
        for page in course.pages.values():
            codes = [match[0].strip("`") for line in page.prose for match in INLINE_CODE.finditer(line.text)]
            names |= {place for code in codes for name in _names_in(code, page) for place in _places(name)}
        known |= _asked(sorted(names - known.keys()))
        write_whole(KEPT, json.dumps({"installed": installed_distributions(), "names": known}, indent=1).encode())
    return known


def _asked(names: Iterable[str]) -> dict[str, bool]:
    run = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps(names), capture_output=True, text=True, check=True
    )
    answer: dict[str, bool] = json.loads(run.stdout)
    return answer
