"""Under CI, that each test there is was run, whatever configuration, option or conftest.py stands in its way."""

import ast

from course.project import ROOT


def not_run(reports):
    """Return the tests, by file and name, that none of the reports is of."""
    calls = [report for report in reports if getattr(report, "when", "") == "call" and not report.skipped]
    ran = {report.nodeid.partition("[")[0] for report in calls}
    return sorted(_tests() - ran)


def _tests():
    """Return the name of each test as pytest gives it, without parameters."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    trees = {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}
    return {
        f"{file}::{node.name}"
        for file, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
