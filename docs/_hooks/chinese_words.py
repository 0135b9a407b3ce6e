"""The short terms of the glossary are words to the Chinese search: 验证集上 holds 验证集, not 验证 and 集上.

Longer terms stay in parts, so that 函数 finds 损失函数 as well.
"""

import csv
import logging
import re
from pathlib import Path

import jieba

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
