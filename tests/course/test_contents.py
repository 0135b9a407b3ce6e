"""What the pages say of the course follows from the lessons."""

from pathlib import Path

import pytest
from course.contents import minutes_of
from course.lesson import lessons_of
from course.project import EDITIONS
from course.reading import PageReader


@pytest.mark.parametrize("edition", EDITIONS)
def test_each_lesson_is_listed_with_its_time_and_counted(edition):
    reader = PageReader()
    first = shown(reader.read(Path("docs", edition, "index.md")))
    parts = {}
    for lesson in lessons_of(edition, reader):
        parts.setdefault(lesson.folder, []).append(lesson.page)
    for folder, lessons in parts.items():
        part = reader.read(Path("docs", edition, folder, "index.md"))
        assert f"[{part.title}]({folder}/index.md)" in first
        for page in lessons:
            entry = shown(part).partition(f"[{page.title}]({page.file.name})")[2]
            reading, exercises = minutes_of(page)
            assert page.front_matter["description"] in entry
            assert str(reading) in entry and str(exercises) in entry
        assert f"{len(lessons)} " in first.partition(f"({folder}/index.md)")[2]


def shown(page):
    return "\n".join(line.text for line in page.prose)
