"""The terms of the Chinese edition, so that one thing has one name: `docs/glossary.csv`."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from course.files import Unreadable, read_text
from course.page import Problem

GLOSSARY = Path("docs", "glossary.csv")


class Term(NamedTuple):
    """A row: English, Chinese, and, between bars, the other Chinese names that are refused."""

    en: str
    zh: str
    refused: str


@cache
def glossary() -> tuple[list[Term], list[Problem]]:
    """Return the sound rows of the glossary, and what is wrong with the others."""
    terms, problems = [], []
    try:
        text = read_text(GLOSSARY)
    except Unreadable as error:
        text, problems = error.text, [error.problem]
    rows = csv.reader(text.splitlines())
    for row in rows:
        if rows.line_num == 1 and row == list(Term._fields):
            continue
        if len(row) == len(Term._fields) and row[0] and row[1]:
            terms.append(Term(*row))
        else:
            message = f"a row of the glossary has three columns, en, zh and refused; this one is “{','.join(row)}”"
            problems.append(Problem(GLOSSARY, rows.line_num, message))
    return terms, problems
