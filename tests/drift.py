"""The weekly drift watch: does everything still hold on the newest releases?

`python -m tests.drift move` moves `exclude-newer` in `pyproject.toml` to yesterday, a day that is over and
so will always install the same, and prints which releases that changes. `python -m tests.drift to DAY` moves
it to a day that was found so. `python -m tests.drift report FOLDER` turns what the tests left there, a file of
results for each Python such as `3.11.xml`, and `releases.txt`, into one issue: opened or updated when pages
broke, closed when all is well. Needs nothing but the standard library, uv for `move` and gh for `report`.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

TITLE = "The newest releases break the course"
DATE = re.compile(r'(?<=^exclude-newer = ")[^"]*(?="$)', re.MULTILINE)
PYTHONS = re.compile(r">=3\.(\d+)[.\d]*,<3\.(\d+)")
PAGE = re.compile(r"\[((?:en|zh)/[^\]]+)\]$")
MESSAGE_LINES = 12


def move(pyproject=Path("pyproject.toml")):
    """Move the date in `pyproject`, and return a line for each release that is another from then on."""
    subprocess.run(["uv", "lock", "--quiet"], cwd=pyproject.parent, check=True)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    move_to(max(yesterday, present_day(pyproject)), pyproject)
    done = subprocess.run(["uv", "lock", "--upgrade"], cwd=pyproject.parent, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return re.findall(r"^(?:Updated|Added|Removed) .+$", done.stderr, re.MULTILINE)


def move_to(day, pyproject=Path("pyproject.toml")):
    """Move the date in `pyproject` to `day`; end where that is no date, not yet come, or a step back."""
    present = present_day(pyproject)
    if not is_date(day):
        sys.exit(f"“{day}” is no date like 2026-11-20")
    if day > datetime.now(UTC).date().isoformat():
        sys.exit(f"{day} has not come yet")
    if day < present:
        sys.exit(f"{day} is before {present}, where {pyproject} is")
    pyproject.write_text(DATE.sub(day, pyproject.read_text(encoding="utf-8")), encoding="utf-8")


def present_day(pyproject):
    """Return the date in `pyproject`."""
    days = DATE.findall(pyproject.read_text(encoding="utf-8"))
    if len(days) != 1:
        sys.exit(f"{pyproject}: expected one line exclude-newer = “…”, found {len(days)}")
    return days[0]


def is_date(text):
    """Return whether `text` is a day of the calendar, written in the one way that can be compared as text."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def pythons(pyproject=Path("pyproject.toml")):
    """Return the versions of Python that `pyproject` promises, such as `3.11`."""
    promised = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["requires-python"]
    first, end = map(int, PYTHONS.fullmatch(promised).groups())
    return [f"3.{minor}" for minor in range(first, end)]


def broken(results):
    """Return what failed by page, or by test file where it is no page's; None where no test ran."""
    try:
        cases = list(ElementTree.parse(results).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return None
    failures = defaultdict(list)
    for case in cases:
        page = PAGE.search(case.get("name"))
        name = f"docs/{page[1]}.md" if page else f"{case.get('classname').replace('.', '/')}.py"
        for failure in [*case.findall("failure"), *case.findall("error")]:
            lines = (failure.text or failure.get("message") or "").strip().splitlines()
            shown = lines[:MESSAGE_LINES] + (["…"] if len(lines) > MESSAGE_LINES else [])
            failures[name].append((case.get("name"), "\n".join(shown)))
    return dict(failures) if cases else None


def by_page(failures):
    """Return for each page or file what failed, and on which of the Pythons, from what failed on each."""
    pages = defaultdict(lambda: defaultdict(list))
    for python, found in failures.items():
        for name, cases in (found or {}).items():
            for case in cases:
                pages[name][case].append(python)
    return pages


def body(failures, releases, run):
    """Return the issue's text."""
    parts = [f"[The weekly run]({run}) installed the newest releases, and this no longer holds."]
    silent = [python for python, found in failures.items() if found is None]
    if silent:
        parts.append(f"**No test ran on Python {', '.join(silent)}**: the run says why.")
    for name, cases in sorted(by_page(failures).items()):
        parts.append(f"## `{name}`")
        for (test, shown), on in cases.items():
            parts.append("\n".join([f"`{test}`, on Python {', '.join(on)}", "", "~~~~text", shown, "~~~~"]))
    parts.append("## Releases that changed")
    parts.append("\n".join(f"- {line}" for line in releases) or "None.")
    parts.append("Until this is mended the course stays on the releases it was last tested with.")
    return "\n\n".join(parts)[:60_000]


def gh(*arguments, text=None):
    """Call GitHub's command-line program and return what it prints."""
    done = subprocess.run(["gh", *arguments], input=text, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def report(folder, run):
    """Open, update or close the one issue, and return what was done."""
    failures = {python: broken(folder / f"{python}.xml") for python in pythons()}
    found = json.loads(gh("issue", "list", "--state=open", "--label=drift", "--json=number"))
    number = str(found[0]["number"]) if found else None
    if all(found == {} for found in failures.values()):
        if not number:
            return "all is well"
        gh("issue", "close", number, f"--comment=All is well again: {run}")
        return f"closed {number}"
    text = body(failures, lines_of(folder / "releases.txt"), run)
    if number:
        gh("issue", "edit", number, "--body-file=-", text=text)
        return f"updated {number}"
    gh("label", "create", "drift", "--force", "--description=Broken by a new release of a dependency")
    return gh("issue", "create", f"--title={TITLE}", "--label=drift", "--body-file=-", text=text).strip()


def lines_of(file):
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["move"]:
            print("\n".join(move()))
        case ["to", day]:
            move_to(day)
        case ["report", folder]:
            print(report(Path(folder), os.environ["RUN"]))
        case _:
            sys.exit(__doc__)
