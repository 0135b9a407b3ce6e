"""What the search knows beyond the text of the pages.

The short terms of the glossary are words to the Chinese search: 验证集上 holds 验证集, not 验证 and 集上. Longer
terms stay in parts, so that 函数 finds 损失函数 as well. And a page is found by its title in the navigation, not
only by its first heading.
"""

import csv
import logging
import re
from pathlib import Path

import jieba
from mkdocs.plugins import event_priority

GLOSSARY = Path(__file__).resolve().parents[1] / "glossary.csv"


def on_config(config):
    """Teach the terms to the segmenter that Material's search uses."""
    jieba.setLogLevel(logging.WARNING)
    if config.extra["edition"] == "zh":
        with GLOSSARY.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for word in re.findall("[一-鿿]+", row["zh"]):
                    if len(word) <= 3:
                        jieba.add_word(word)


@event_priority(-50)
def on_page_context(context, page, config, nav):
    """Put the page's title before its first heading, after Material has indexed the page."""
    index = config.plugins["material/search"].search_index
    entry = next((entry for entry in reversed(index.entries) if entry["location"] == page.url), None)
    if entry and page.title not in entry["title"].replace("\u200b", ""):
        entry["title"] = f"{index._segment_chinese(page.title)} · {entry['title']}"
