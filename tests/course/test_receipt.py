"""A page shows the receipt of the run of its own blocks, and no other."""

from pathlib import Path

import jinja2
import pytest
from course import receipt
from course.page import Block, Line, Page
from course.project import ROOT

RUN = {"as_readers": True, "seconds": 12.34, "date": "2026-11-20", "versions": {"Python": "3.11.7", "Keras": "3.15.1"}}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(receipt, "RECEIPTS", tmp_path)


def page_of(*codes, edition="en"):
    """Return a page with one block a code."""
    blocks = [Block("python", (Line(code, number, None),), number, number) for number, code in enumerate(codes)]
    return Page(Path("docs", edition, "part", "lesson.md"), "", {}, blocks=blocks)


def shown(page):
    """Return what the page says of its receipt."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "docs" / "_theme"))
    template = environment.get_template("partials/take-away.html")
    return template.render(edition=page.edition, links={}, receipt=receipt.read_receipt(page))


def test_a_page_says_what_was_run_when_and_on_what():
    receipt.write_receipt(page_of("x = 1", "print(x)"), passed=True, **RUN)
    text = shown(page_of("x = 1", "print(x)"))
    assert 'Checked <time datetime="2026-11-20">2026-11-20</time>: 2 blocks ran' in text
    assert "Python 3.11.7, Keras 3.15.1, " in text and "took 12 s" in text


def test_a_chinese_page_says_it_in_chinese():
    page = page_of("x = 1", edition="zh")
    receipt.write_receipt(page, passed=True, **RUN)
    assert "</time> 已核对：1 段代码全部运行过" in shown(page) and "用时 12 秒" in shown(page)


@pytest.mark.parametrize("codes", [("x = 2",), ("x = 1", "x"), ("x = 1  ",)])
def test_a_receipt_of_other_blocks_verifies_nothing(codes):
    receipt.write_receipt(page_of("x = 1"), passed=True, **RUN)
    assert "Not checked yet" not in shown(page_of("x = 1"))
    assert "Not checked yet" in shown(page_of(*codes))


def test_a_run_that_did_not_do_what_the_page_shows_verifies_nothing():
    receipt.write_receipt(page_of("x = 1"), passed=False, **RUN)
    assert "Not checked yet" in shown(page_of("x = 1"))


def test_a_run_by_the_fork_server_alone_verifies_nothing():
    receipt.write_receipt(page_of("x = 1"), passed=True, **RUN | {"as_readers": False})
    assert "Not checked yet" in shown(page_of("x = 1"))


def test_a_receipt_verifies_its_own_edition_only():
    receipt.write_receipt(page_of("x = 1"), passed=True, **RUN)
    assert "尚未核对" in shown(page_of("x = 1", edition="zh"))


def test_a_page_without_a_receipt_is_not_verified():
    assert "Not checked yet" in shown(page_of("x = 1"))
