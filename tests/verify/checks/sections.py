"""The named sections of the snippets: each is closed, single, outside strings, and shown on a page."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from course.files import Unreadable, read_text
from course.page import Problem
from course.project import ROOT

from tests.verify.course import Course

MARKER = re.compile(r".*-{1,}8<-{1,}\s*\[\s*(?P<kind>start|end)\s*:\s*(?P<name>[\w-]+)\s*\]")


def snippet_files() -> list[Path]:
    """Return the modules of the lessons, relative to the project, sorted."""
    return sorted(file.relative_to(ROOT) for file in (ROOT / "snippets").glob("*/[!_]*.py"))


def section_problems(file: Path, course: Course) -> Iterator[Problem]:
    """Yield the problems of the sections of a module."""
    shown = {
        edition: {
            section
            for page in course.pages.values()
            if page.edition == edition
            for embedded, section, _ in page.embedded
            if Path(embedded) == file
        }
        for edition in ("en", "zh")
    }
    try:
        source = read_text(file)
        comments = _comment_lines(source)
    except Unreadable as error:
        yield error.problem
        return
    except (SyntaxError, tokenize.TokenError) as error:
        yield Problem(file, 1, f"the module is not Python: {error}")
        return
    opened: dict[str, int] = {}
    closed: set[str] = set()
    for number, text in enumerate(source.split("\n"), 1):
        marker = MARKER.match(text)
        if not marker:
            continue
        name = marker["name"]
        if number not in comments:
            yield Problem(
                file, number, f"the marker of the section {name!r} stands inside a string, where nothing runs"
            )
        elif marker["kind"] == "start" and name in opened:
            yield Problem(file, number, f"the section {name!r} was already begun in line {opened[name]}")
        elif marker["kind"] == "start":
            opened[name] = number
            for edition in shown:
                if name not in shown[edition]:
                    yield Problem(file, number, f"no page of docs/{edition} shows the section {name!r}")
        elif name not in opened or name in closed:
            yield Problem(file, number, f"the section {name!r} ends here without having begun")
        else:
            closed.add(name)
    for name in opened.keys() - closed:
        yield Problem(file, opened[name], f"the section {name!r} is not closed: add # --8<-- [end:{name}]")


def _comment_lines(source: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
