"""What pages say of the course without typing it: {{ time }}, {{ size }}, {{ lessons }} and {{ parts }}.

How long a lesson takes to read is computed from what stands in it, its exercises apart; each exercise takes
another few minutes to solve. Times are rounded to five minutes, those of a part to half an hour.
"""

import re
from collections.abc import Callable
from pathlib import Path

from course.navigation import navigation_of
from course.page import Page
from course.project import ROOT

PLACEHOLDER = re.compile(r"\{\{ (?P<name>time|size|lessons|parts) \}\}")
FACTS = re.compile(r"^(?P<level>[^·\n]+?) · .*\n\{ \.lesson-facts \}", re.MULTILINE)
WORD, CHARACTER = re.compile(r"[A-Za-z][A-Za-z'’-]*"), re.compile("[一-鿿]")
FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
SECONDS_A_WORD, SECONDS_A_CHARACTER, SECONDS_A_BLOCK, SECONDS_A_FORMULA = 60 / 200, 60 / 300, 20, 15
MINUTES_AN_EXERCISE = 3
WORDS = {
    "en": {
        "time": "{reading} minutes to read, {exercises} for the exercises",
        "size": "{count} lessons · {hours} hours with the exercises",
    },
    "zh": {"time": "阅读 {reading} 分钟，练习 {exercises} 分钟", "size": "{count} 课 · 连同练习 {hours} 小时"},
}

Read = Callable[[Path], Page]


def filled(text: str, page: Page, read: Read) -> str:
    """Return a text of `page` with what its placeholders stand for; one that has no sense there stays."""

    def fill(match: re.Match[str]) -> str:
        folder = page.file.parent
        match match["name"]:
            case "time" if page.file.stem != "index":
                return _time(page)
            case "size" if page.file.stem == "index":
                return _size(folder, read)
            case "lessons" if page.file.stem == "index" and len(page.file.parts) == 4:
                return "\n\n".join(_lesson(lesson) for lesson in _lessons(folder, read))
            case "parts" if len(page.file.parts) == 3:
                return "\n\n".join(_part(folder / name, read) for name in _folders(folder))
        return match[0]

    return PLACEHOLDER.sub(fill, text)


def minutes_of(page: Page) -> tuple[int, int]:
    """Return the minutes that a lesson takes to read, and those of its exercises."""
    exercises = [heading for heading in page.headings if (heading.id or "").startswith("exercise")]
    after = [heading for heading in page.headings if exercises and heading.line > exercises[-1].line]
    first = exercises[0].line if exercises else len(page.source)
    last = after[0].line if after else len(page.source)
    apart = range(first, last)
    solving = sum(heading.level > 2 for heading in exercises) * MINUTES_AN_EXERCISE
    reading = _seconds(page, lambda line: line not in apart) / 60
    return _rounded(reading), _rounded(solving + _seconds(page, lambda line: line in apart) / 60)


def _seconds(page: Page, counts: Callable[[int], bool]) -> float:
    own = [line for line in page.prose if line.page_line not in page.filled and counts(line.page_line)]
    text = "\n".join(line.text for line in own)
    prose = FORMULA.sub("", text)
    return (
        SECONDS_A_WORD * len(WORD.findall(prose)) * (page.edition == "en")
        + SECONDS_A_CHARACTER * len(CHARACTER.findall(prose))
        + SECONDS_A_BLOCK * sum(counts(block.start_line) for block in page.blocks)
        + SECONDS_A_FORMULA * len(FORMULA.findall(text))
    )


def _rounded(minutes: float) -> int:
    return 5 * max(1, round(minutes / 5))


def _time(page: Page) -> str:
    reading, exercises = minutes_of(page)
    return WORDS[page.edition]["time"].format(reading=reading, exercises=exercises)


def _lessons(folder: Path, read: Read) -> list[Page]:
    """Return the lessons of a part, in the order of its navigation."""
    listed = [folder / name for name in navigation_of(folder) or [] if name.endswith(".md") and name != "index.md"]
    return [page for file in listed if (ROOT / file).is_file() and (page := read(file)).runnable]


def _folders(folder: Path) -> list[str]:
    return [name for name in navigation_of(folder) or [] if (ROOT / folder / name / "index.md").is_file()]


def _size(folder: Path, read: Read) -> str:
    lessons = _lessons(folder, read)
    hours = round(sum(sum(minutes_of(lesson)) for lesson in lessons) / 30) / 2
    return WORDS[folder.parts[1]]["size"].format(count=len(lessons), hours=f"{hours:g}")


def _lesson(page: Page) -> str:
    facts = FACTS.search(page.source)
    level = f" · {facts['level'].lower()}" if facts else ""
    return _item(page, page.file.name, _time(page) + level)


def _part(folder: Path, read: Read) -> str:
    page = read(folder / "index.md")
    facts = FACTS.search(page.source)
    level = f"{facts['level']} · " if facts else ""
    return _item(page, f"{folder.name}/index.md", level + _size(folder, read))


def _item(page: Page, link: str, facts: str) -> str:
    return f"1.  [{page.title}]({link})\n\n    {page.front_matter.get('description', '')}\n\n    {facts}"
