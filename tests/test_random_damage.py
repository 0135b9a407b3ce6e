"""Whatever is damaged in a lesson at random, the check of its pages says so.

Each day other lessons of a copy get a damage each, of another kind, and the copy is judged.
"""

import ast
import random
import re

from course.outputs import NUMBER
from course.project import EDITIONS

from tests.copies import copy_project, judge_copy
from tests.samples import TODAY, sample
from tests.verify.checks.sections import MARKER, snippet_files

LESSONS = {file.stem: file for file in snippet_files()}
DAMAGED = 3  # lessons each day


def rename_an_api(lesson, chance):
    """Take a letter out of a name that is looked up in Keras."""
    file, lines = lesson.module()
    names = [
        node
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("keras.")
    ]
    if not names:
        return None
    node = chance.choice(names)
    line = lines[node.end_lineno - 1]
    lines[node.end_lineno - 1] = line[: node.end_col_offset - 2] + line[node.end_col_offset - 1 :]
    file.write_text("\n".join(lines), encoding="utf-8")
    return f"line {node.end_lineno}: {lines[node.end_lineno - 1].strip()}"


def change_a_number(lesson, chance):
    """Change a number in what a block says is printed, by more than any tolerance."""
    file, lines = lesson.module()
    shown = [number for number, line in enumerate(lines) if re.match(r"\s*#[>~] ", line) and NUMBER.search(line)]
    if not shown:
        return None
    number = chance.choice(shown)
    start, end = chance.choice([match.span() for match in NUMBER.finditer(lines[number])])
    line = lines[number]
    lines[number] = line[:start] + f"{3 * abs(float(line[start:end])) + 1:g}" + line[end:]
    file.write_text("\n".join(lines), encoding="utf-8")
    return f"line {number + 1}: {lines[number].strip()}"


def delete_a_line(lesson, chance):
    """Delete a statement that prints, or that gives a name to something for the first time."""
    file, lines = lesson.module()
    (main,) = [node for node in ast.parse("\n".join(lines)).body if getattr(node, "name", "") == "main"]
    seen, candidates = set(), []
    for node in main.body:
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
        prints = isinstance(node, ast.Expr) and ast.unparse(node).startswith("print(")
        if node.lineno == node.end_lineno and (prints or names - seen):
            candidates.append(node.lineno)
        seen |= names
    number = chance.choice(candidates)
    deleted = lines.pop(number - 1)
    file.write_text("\n".join(lines), encoding="utf-8")
    return f"line {number}, deleted: {deleted.strip()}"


def move_a_section(lesson, chance):
    """Exchange two neighbouring sections on the English page."""
    file, lines = lesson.english()
    places = [number for number, line in enumerate(lines) if "--8<--" in line]
    if len(places) < 2:
        return None
    first, second = chance.choice(list(zip(places, places[1:])))
    one, two = lines[first].strip(), lines[second].strip()
    lines[first], lines[second] = lines[first].replace(one, two), lines[second].replace(two, one)
    file.write_text("\n".join(lines), encoding="utf-8")
    return f"{one} and {two} exchanged"


def leave_the_translation_behind(lesson, chance):
    """Add a sentence to an English paragraph."""
    file, lines = lesson.english()
    body = lines.index("---", 1)
    paragraphs = [number for number, line in enumerate(lines) if number > body and re.match(r"[A-Z].*\.$", line)]
    number = chance.choice(paragraphs)
    lines[number] += " And there is more to it."
    file.write_text("\n".join(lines), encoding="utf-8")
    return f"line {number + 1}: {lines[number][-60:]}"


def lose_a_marker(lesson, chance):
    """Delete the line that begins or ends a section."""
    file, lines = lesson.module()
    number = chance.choice([number for number, line in enumerate(lines) if MARKER.match(line)])
    deleted = lines.pop(number)
    file.write_text("\n".join(lines), encoding="utf-8")
    return f"line {number + 1}, deleted: {deleted.strip()}"


DAMAGES = [
    rename_an_api,
    change_a_number,
    delete_a_line,
    move_a_section,
    leave_the_translation_behind,
    lose_a_marker,
]


class Lesson:
    """The files of a lesson in a copy of the project."""

    def __init__(self, project, stem):
        self.project = project
        self.path = LESSONS[stem]
        self.page = f"{self.path.parent.name}/{stem}".replace("_", "-")
        self.tests = [f"test_page_is_true[{edition}/{self.page}]" for edition in EDITIONS]
        self.tests.append(f"test_sections_are_sound_and_shown[{self.path}]")

    def module(self):
        return self._read(self.path)

    def english(self):
        return self._read(f"docs/en/{self.page}.md")

    def _read(self, name):
        file = self.project / name
        return file, file.read_text(encoding="utf-8").split("\n")


def damage(lesson, first, chance):
    """Damage a lesson in the first way, from number `first` on, that finds something to spoil; return what was done."""
    for number in range(len(DAMAGES)):
        way = DAMAGES[(first + number) % len(DAMAGES)]
        if place := way(lesson, chance):
            return f"{way.__name__}: {place}"


def test_damage_is_noticed(tmp_path):
    copy_project(tmp_path)
    done = {}
    for number, stem in enumerate(sample(list(LESSONS), DAMAGED)):
        lesson = Lesson(tmp_path, stem)
        done[lesson] = damage(lesson, number + TODAY, random.Random(f"{stem} {TODAY}"))
    failures, output = judge_copy(tmp_path, *(f"--page={lesson.page}" for lesson in done))
    unnoticed = [f"{lesson.page}: {what}" for lesson, what in done.items() if not any(map(failures.get, lesson.tests))]
    assert not unnoticed, "\n".join(unnoticed) + output
