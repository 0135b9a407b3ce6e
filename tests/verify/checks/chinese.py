"""A Chinese page says in Chinese, and in full, what the English page says."""

import re
from collections.abc import Iterator
from functools import cache

from course.glossary import glossary
from course.page import Page, Problem

from tests.verify.checks.prose import IMAGE, matches_in
from tests.verify.course import Course
from tests.verify.rendering import Element

TEXTS = ("h1", "h2", "h3", "h4", "p", "li", "th", "td", "dt", "dd", "summary", "figcaption")
CHINESE = re.compile("[\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
BESIDE = re.compile(r"（[^）]*）|“[^”]*”|《[^》]*》")  # the English of a term, what somebody said, a title
ENGLISH = re.compile(r"\b[a-z]{2,}(?:[ ,;:]+[a-z]+)+")
WRITTEN_IN_PICTURES = 4  # as many English words an alt text may repeat
# A Chinese text has at least as many characters as the English has words; half of that lacks something.
SHARE, ENOUGH_WORDS = 0.5, 8


def chinese_problems(page: Page, course: Course) -> Iterator[Problem]:
    """Yield what a Chinese page left in English, or left out."""
    english = course.counterpart(page, "en")
    if page.edition == "en" or english is None:
        return
    for key in ("title", "description"):
        yield from _left_in_english(page, 1, str(page.front_matter.get(key, "")))
    for line, image in matches_in(page, IMAGE):
        yield from _left_in_english(page, line.page_line, image["alt"], WRITTEN_IN_PICTURES)
    here, there = (list(course.rendering(each).all(*TEXTS)) for each in (page, english))
    for element in here:
        if not (element.section == "sources" and element.node.tag == "li"):
            yield from _left_in_english(page, element.line, element.text)
    if [element.node.tag for element in here] == [element.node.tag for element in there]:
        for chinese, original in zip(here, there):
            if _says_less(chinese, original):
                message = f"this says much less than the English ({english.file}:{original.line})"
                yield Problem(page.file, chinese.line, message)


def _left_in_english(page: Page, line: int, text: str, allowed: int = 0) -> Iterator[Problem]:
    if CHINESE.search(text):
        runs = [match[0] for match in ENGLISH.finditer(BESIDE.sub("", text))]
        found = [run for run in runs if len(run.split()) > allowed]
    else:
        found = [text] if any(not _is_name(word) for word in WORD.findall(text)) else []
    for english in found:
        yield Problem(page.file, line, f"“{english}” is left in English")


def _is_name(word: str) -> bool:
    """Tell whether a word is one in Chinese as well: an abbreviation, CamelCase, or a name of the glossary."""
    return bool(re.search(r".[A-Z]", word)) or word in _names() or len(word) == 1


@cache
def _names() -> set[str]:
    return {word for term in glossary()[0] for word in WORD.findall(term.zh) if word[0].isupper()}


def _says_less(chinese: Element, english: Element) -> bool:
    said = " ".join(chinese.node.text_content().split())
    words = len(WORD.findall(english.text))
    if not said or words < ENOUGH_WORDS:
        return not said and bool(english.node.text_content().strip())
    return len(CHINESE.findall(said)) + len(WORD.findall(said)) < SHARE * words
