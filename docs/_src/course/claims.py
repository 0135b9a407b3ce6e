"""Claims: the sentences of a page that carry a mark, and the tests of its lesson that the marks name.

`[✓](claim:name)` behind a sentence names `test_name` in the lesson's test module.
"""

import ast
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from course import receipt as receipts
from course.files import Unreadable, read_text
from course.page import Page, Problem
from course.project import ROOT

MARK = re.compile(r"[ ]?\[✓\]\(claim:(?P<claim>\w+)\)")
# Between sentences; a mark, as it stands between \x02 and \x03, belongs to the sentence before it.
BETWEEN = re.compile(r"(?<=[.!?:])\s+|(?<=[.!?:][”’)*`])\s+|(?<=[。！？])(?![”）*\x02])|(?<=\x03)(?!\x02)\s*")
FOLDED = re.compile(r"\x02(\w+)\x03")
BULLET = re.compile(r"^\s*(?:[-*>]|\d+\.|\|)\s+")


class Mark(NamedTuple):
    """A mark: the claim that it names, the line where it stands, and the sentence before it."""

    claim: str
    line: int
    sentence: str


class ClaimTest(NamedTuple):
    """A test of a lesson's module: the claim it tests, its first line, its source as it stands."""

    claim: str
    line: int
    source: str


class Sentence(NamedTuple):
    """A sentence of a page, its line, and the claims that its marks name."""

    text: str
    line: int
    claims: list[str]


def sentences_of(page: Page) -> list[Sentence]:
    """Return the sentences of a page's prose, in order, without their marks."""
    sentences = []
    for line in page.prose:
        text = MARK.sub("\x02\\g<claim>\x03", BULLET.sub("", line.text))
        for sentence in BETWEEN.split(text):
            if sentence.strip():
                claims = FOLDED.findall(sentence)
                sentences.append(Sentence(FOLDED.sub("", sentence).strip(), line.page_line, claims))
    return sentences


def marks_of(page: Page) -> list[Mark]:
    """Return the marks of a page, in order."""
    return [Mark(claim, sentence.line, sentence.text) for sentence in sentences_of(page) for claim in sentence.claims]


def test_module(page: Page) -> Path:
    """Return the module of the tests of a lesson's claims, relative to the project."""
    *folders, name = page.name.replace("-", "_").split("/")
    return Path("tests", "snippets", *folders, f"test_{name}.py")


def claim_tests(page: Page) -> list[ClaimTest]:
    """Return the tests of the claims of a lesson, as they stand in its module; none if there is no module.

    Raises:
        Unreadable: if the module is no Python.
    """
    file = test_module(page)
    if not (ROOT / file).exists():
        return []
    source = read_text(file)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise Unreadable(Problem(file, error.lineno or 1, f"the module is not Python: {error.msg}")) from error
    lines = source.split("\n")
    tests = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            text = "\n".join(lines[first - 1 : node.end_lineno])
            tests.append(ClaimTest(node.name.removeprefix("test_"), first, text))
    return tests


def shared_source(page: Page) -> str:
    """Return what stands in the module of a lesson's tests beside the tests."""
    lines = (ROOT / test_module(page)).read_text(encoding="utf-8").split("\n")
    for test in reversed(claim_tests(page)):
        del lines[test.line - 1 : test.line + test.source.count("\n")]
    return re.sub(r"\n{3,}", "\n\n\n", "\n".join(lines)).strip()


def read_claims_receipt(page: Page) -> dict[str, Any] | None:
    """Return the receipt of the last run of a lesson's claims, if it was of the code as it stands.

    `claims` maps each claim to `passed` and `seconds`.
    """
    receipt = receipts.load(_receipt_file(page), digest=str, environment=str, versions=dict, claims=dict)
    if not receipt or receipt["digest"] != code_digest(page):
        return None
    runs = [run if isinstance(run, dict) else {} for run in receipt["claims"].values()]
    return receipt if all({"passed", "seconds"} <= run.keys() for run in runs) else None


def claims_that_held(page: Page) -> list[str]:
    """Return the claims that a lesson's marks name and that held in their last run, if it was of today's code."""
    receipt = read_claims_receipt(page)
    held = {claim for claim, run in receipt["claims"].items() if run["passed"]} if receipt else set()
    return sorted({mark.claim for mark in marks_of(page)} & held)


def claims_not_held(page: Page) -> list[str]:
    """Return the claims that a lesson's tests are of, and that no run of today's code showed to hold."""
    receipt = read_claims_receipt(page)
    runs = receipt["claims"] if receipt else {}
    return [test.claim for test in claim_tests(page) if not runs.get(test.claim, {}).get("passed")]


def write_claims_receipt(
    page: Page, claims: Mapping[str, Mapping[str, Any]], date: str, versions: Mapping[str, str], environment: str
) -> None:
    """Write the receipt of a run of all claims of a lesson; `environment` is a digest of what they ran in."""
    receipt = {
        "digest": code_digest(page),
        "environment": environment,
        "date": date,
        "versions": versions,
        "claims": claims,
    }
    receipts.keep(_receipt_file(page), receipt)


def code_digest(page: Page) -> str:
    """Return a digest of the code that says whether a lesson's claims hold."""
    tests = test_module(page)
    snippets = Path(*tests.parts[1:-1], tests.name.removeprefix("test_"))
    files = [ROOT / file for file in (tests, snippets) if (ROOT / file).exists()]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _receipt_file(page: Page) -> Path:
    return receipts.RECEIPTS / "claims" / f"{page.name}.json"
