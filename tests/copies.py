"""A copy of the project, to be spoiled and judged."""

import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree

from course.project import ROOT

COPIED = ("docs", "snippets", "tests", ".cache/names.json", ".cache/programs", "mkdocs.yml", "pyproject.toml")


def copy_project(project, *ignored):
    """Copy what is judged, with the results kept until now, into `project`, without the names `ignored`."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", *ignored)
            shutil.copytree(source, project / name, ignore=ignore)
        elif source.exists():
            (project / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, project / name)


def judge_copy(project, *options):
    """Judge the pages and snippets of the copy; return the failure of each test, "" if none, and the output."""
    report = project / "report.xml"
    options = ["tests/test_pages.py", f"--junitxml={report}", *options]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}  # use the kept results
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    failures = {
        case.get("name"): "\n".join(failure.text or failure.get("message") for failure in case.iter("failure"))
        for case in ElementTree.parse(report).iter("testcase")
    }
    return failures, run.stdout
