"""Marks, the sentences before them, the tests they name, and the receipt of a run of these."""

from pathlib import Path

import pytest
from course import claims, files, receipt
from course.page import Block, Line, Page

RUN = {"date": "2026-11-20", "versions": {"Keras": "3.15.1"}, "environment": "here"}
MODULE = '''\
"""What the lesson claims."""

import pytest

LIMIT = 3


@pytest.mark.parametrize("x", [1, 2])
def test_it_is_small(x):
    assert x < LIMIT


def helper():
    return 1


def test_it_is_one():
    assert helper() == 1
'''


@pytest.fixture
def marked(tmp_path, monkeypatch):
    """A page of a project that has the tests of its claims."""
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(receipt, "RECEIPTS", tmp_path)
    file = tmp_path / "tests/snippets/some_part/test_my_lesson.py"
    file.parent.mkdir(parents=True)
    file.write_text(MODULE)
    return page_of(
        "- It is *small.* [✓](claim:it_is_small) It is one. [✓](claim:it_is_one) [✓](claim:it_is_small) Or so."
    )


def page_of(*lines, edition="en"):
    page = Page(Path("docs", edition, "some-part", "my-lesson.md"), "", {})
    page.blocks = [Block("python", (), 1, 1)]
    page.prose = [Line(text, number, None) for number, text in enumerate(lines, 1)]
    return page


def test_a_mark_belongs_to_the_sentence_before_it(marked):
    assert [(mark.claim, mark.sentence) for mark in claims.marks_of(marked)] == [
        ("it_is_small", "It is *small.*"),
        ("it_is_one", "It is one."),
        ("it_is_small", "It is one."),
    ]


def test_chinese_sentences_need_no_space_between_them():
    page = page_of("前一句。它更快。[✓](claim:fast)后一句（真的）。", edition="zh")
    assert [sentence.text for sentence in claims.sentences_of(page)] == ["前一句。", "它更快。", "后一句（真的）。"]
    assert [mark.sentence for mark in claims.marks_of(page)] == ["它更快。"]


def test_tests_are_shown_as_they_stand_and_the_rest_beside_them(marked):
    small, one = claims.claim_tests(marked)
    assert (small.claim, small.line) == ("it_is_small", 8)
    assert small.source.startswith("@pytest.mark.parametrize") and small.source.endswith("assert x < LIMIT")
    assert one.source == "def test_it_is_one():\n    assert helper() == 1"
    shared = claims.shared_source(marked)
    assert "LIMIT = 3" in shared and "def helper" in shared and "def test_" not in shared


def test_a_receipt_counts_the_claims_that_are_marked_and_held(marked):
    runs = {"it_is_small": {"passed": True, "seconds": 1}, "it_is_one": {"passed": False, "seconds": 1}}
    claims.write_claims_receipt(marked, runs, **RUN)
    assert claims.claims_that_held(marked) == ["it_is_small"]


def test_a_receipt_of_other_code_holds_for_nothing(marked, tmp_path):
    claims.write_claims_receipt(marked, {"it_is_one": {"passed": True, "seconds": 1}}, **RUN)
    file = tmp_path / claims.test_module(marked)
    file.write_text(MODULE.replace("LIMIT = 3", "LIMIT = 4"))
    assert claims.read_claims_receipt(marked) is None
    assert claims.claims_that_held(marked) == []
