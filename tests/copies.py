"""A copy of the project, to be spoiled and judged."""

import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

from course.project import EDITIONS, FIGURES, ROOT

from tests.verify.checks.sections import snippet_files

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


def multiply_lessons(project, times):
    """Add to the copy, for each lesson, lessons like it under other names until there are `times` of each.

    Each is whole, with its module, claims, figures and place in the navigation, and its program is its own.
    """
    for module in snippet_files():
        part, stem = module.parent.name, module.stem
        folder, name = part.replace("_", "-"), stem.replace("_", "-")
        for number in range(2, times + 1):
            copied = {
                f"snippets.{part}.{stem} ": f"snippets.{part}.{stem}_{number} ",
                f"snippets/{part}/{stem}.py": f"snippets/{part}/{stem}_{number}.py",
                f"figures/{folder}/{name}/": f"figures/{folder}/{name}-{number}/",
            }
            files = {
                f"snippets/{part}/{stem}.py": f"snippets/{part}/{stem}_{number}.py",
                f"tests/snippets/{part}/test_{stem}.py": f"tests/snippets/{part}/test_{stem}_{number}.py",
                f"docs/en/{folder}/{name}.md": f"docs/en/{folder}/{name}-{number}.md",
                f"docs/zh/{folder}/{name}.md": f"docs/zh/{folder}/{name}-{number}.md",
            }
            for old, new in files.items():
                text = (project / old).read_text(encoding="utf-8")
                for before, after in copied.items():
                    text = text.replace(before, after)
                text = re.sub(
                    r"^(\s*)(# --8<-- \[start:.*\n)", rf"\1\2\1# copy {number}\n", text, count=1, flags=re.MULTILINE
                )
                (project / new).write_text(text, encoding="utf-8")
            figures = project / FIGURES / folder
            if (figures / name).exists():
                shutil.copytree(figures / name, figures / f"{name}-{number}")
            for edition in EDITIONS:
                with (project / "docs" / edition / folder / ".nav.yml").open("a", encoding="utf-8") as navigation:
                    navigation.write(f"  - {name}-{number}.md\n")


def judge_copy(project, *options, tests="tests/test_pages.py"):
    """Run tests of the copy, those of its pages; return the failure of each test, "" if none, and the output."""
    report = project / "report.xml"
    run = run_copy(project, f"--junitxml={report}", *options, tests=tests)
    failures = {
        case.get("name"): "\n".join(failure.text or failure.get("message") for failure in case.iter("failure"))
        for case in ElementTree.parse(report).iter("testcase")
    }
    return failures, run.stdout


def run_copy(project, *options, tests="tests/test_pages.py", **environment):
    """Run tests of the copy, those of its pages and snippets; return the finished process."""
    command = ["pytest", "-q", "--numprocesses=0", "-p", "no:cacheprovider", tests, *options]
    here = {name: value for name, value in os.environ.items() if name != "CI"}  # use the kept results
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=here | environment, capture_output=True, text=True
    )
