"""The Chinese edition uses the terms of `docs/glossary.csv`, so that one thing has one name."""

import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from course.glossary import glossary
from course.page import Page, Problem
from course.project import ROOT

from tests.verify.checks.prose import IMAGE, INLINE_CODE, matches_in

PAIR = re.compile(r"(?P<zh>[\u4e00-\u9fff]+)（(?P<en>[A-Za-z][A-Za-z -]+?)(?:[，,][^）]*)?）")


def term_problems(page: Page) -> Iterator[Problem]:
    """Yield where a Chinese page departs from the glossary."""
    if page.edition != "zh":
        return
    terms, problems = glossary()
    yield from problems
    for line, text in _texts(page):
        for term in terms:
            for name in filter(None, term.refused.split("|")):
                if name in text:
                    message = f"“{name}” is not the term here; the glossary says “{term.zh}” ({term.en})"
                    yield Problem(page.file, line, message)
        for pair in PAIR.finditer(text):
            names = _chinese_names().get(pair["en"].strip().lower())
            if names and not pair["zh"].endswith(names):
                message = f"the glossary calls “{pair['en']}” {' or '.join(names)}, not “{pair['zh']}”"
                yield Problem(page.file, line, message)


def _texts(page: Page) -> Iterator[tuple[int, str]]:
    """Yield the texts of a page, those of its front matter and of its drawings included, with their lines."""
    for key in ("title", "description"):
        yield 1, str(page.front_matter.get(key, ""))
    for line in page.prose:
        yield line.page_line, INLINE_CODE.sub("", line.text)
    for line, image in matches_in(page, IMAGE):
        file = ROOT / "docs" / posixpath.normpath(posixpath.join(posixpath.dirname(page.name), image["target"]))
        if file.suffix == ".svg" and file.is_file():
            yield line.page_line, _words_in(file)


def _words_in(drawing: Path) -> str:
    texts = [
        element for element in ElementTree.parse(drawing).iter() if element.tag.endswith(("text", "title", "desc"))
    ]
    return "\n".join("".join(text.itertext()) for text in texts)


@cache
def _chinese_names() -> dict[str, tuple[str, ...]]:
    """Map each English term, in lower case, to the Chinese names that it may have."""
    names: dict[str, list[str]] = {}
    for term in glossary()[0]:
        chinese = [re.sub(r"（.*?）", "", name).strip() for name in term.zh.split(" / ")]
        chinese += re.findall(r"（([\u4e00-\u9fff]+)）", term.zh)
        for english in re.sub(r"\(.*?\)", "", term.en).split(" / "):
            names.setdefault(english.strip().lower(), []).extend(chinese)
    return {english: tuple(chinese) for english, chinese in names.items()}
