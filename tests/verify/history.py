"""What changed in the English since a Chinese page was written from it, as git remembers it."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from course.page import Page
from course.project import ROOT
from course.reading import PageReader

from tests.verify.checks.translation import recorded_digests, section_digests, section_texts


def changes(page: Page, english: Page) -> Iterator[str]:
    """Yield, for each section that `page` was written from another English of, what changed there.

    Words between [- and -] went, those between {+ and +} came. Where git has no such English, it is that of today.
    """
    recorded, today = recorded_digests(page), section_texts(english)
    if not recorded:
        yield f"{page.file} is new: it was not marked as true to any English before"
        return
    missed = {id: recorded.get(id) for id, digest in section_digests(english).items() if recorded.get(id) != digest}
    earlier = _earlier_sections(english, {id: digest for id, digest in missed.items() if digest})
    lines = {heading.id: heading.line for heading in english.headings}
    for id, digest in missed.items():
        place, text = f"{english.file}:{lines.get(id, 1)}: #{id}", today.get(id, "")
        if id in earlier:
            yield f"{place}, changed:\n{_difference(earlier[id], text)}"
        else:
            why = "changed from a text that git does not have; today" if digest else "new"
            yield f"{place}, {why}:\n{text}"


def _earlier_sections(english: Page, wanted: dict[str, str]) -> dict[str, str]:
    """Return the text that each wanted section had when its digest was the one given, where git has it."""
    found: dict[str, str] = {}
    reader = PageReader()
    for commit in _git("log", "--format=%H", "--", str(english.file)).split() if wanted else ():
        page = reader.read(english.file, _git("show", f"{commit}:./{english.file}"))
        digests, sections = section_digests(page), section_texts(page)
        found |= {id: sections[id] for id, digest in wanted.items() if digests.get(id) == digest}
        if found.keys() == wanted.keys():
            break
    return found


def _difference(old: str, new: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "old"), Path(folder, "new")]
        for file, text in zip(files, (old, new)):
            file.write_text(text + "\n", encoding="utf-8")
        difference = _git("diff", "--no-index", "--no-color", "--word-diff", "--unified=0", *map(str, files))
    return "\n".join(line for line in difference.split("\n")[4:] if line and not line.startswith("@@"))


def _git(*command: str) -> str:
    """Return what a git command prints; nothing outside a repository, or where there is no git."""
    with contextlib.suppress(FileNotFoundError):
        run = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace")
        return run.stdout
    return ""
