"""What the search knows beyond the text of the pages.

The short terms of the glossary are words to the Chinese search: 验证集上 holds 验证集, not 验证 and 集上. Longer
terms stay in parts, so that 函数 finds 损失函数 as well. And a page is found by its title in the navigation, not
only by its first heading.
"""

import logging
import re
from typing import Any

import jieba
from course.files import Unreadable
from course.glossary import glossary

SEPARATOR = "\u200b"  # what Material puts between Chinese words


def teach_terms() -> None:
    """Teach the terms to the segmenter that Material's search uses.

    Raises:
        Unreadable: if a row of the glossary is broken.
    """
    terms, problems = glossary()
    for problem in problems:
        raise Unreadable(problem)
    jieba.setLogLevel(logging.WARNING)
    for term in terms:
        for word in re.findall("[一-鿿]+", term.zh):
            if len(word) <= 3:
                jieba.add_word(word)


def add_title(entries: list[dict[str, Any]], title: str, url: str) -> None:
    """Put a page's title before its first heading among the entries of the search index."""
    entry = next((entry for entry in reversed(entries) if entry["location"] == url), None)
    if entry and title not in entry["title"].replace(SEPARATOR, ""):
        entry["title"] = f"{_in_words(title)} · {entry['title']}"


def _in_words(text: str) -> str:
    words = re.sub("[一-鿿]+", lambda run: SEPARATOR + SEPARATOR.join(jieba.cut(run[0])) + SEPARATOR, text)
    return words.strip(SEPARATOR)
