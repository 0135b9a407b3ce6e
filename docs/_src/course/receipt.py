"""The receipt of a page: what was run, when, on what, and whether it did what the page shows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course.page import Page
from course.project import ROOT

RECEIPTS = ROOT / ".receipts"


def read_receipt(page: Page) -> dict[str, Any] | None:
    """Return the receipt of a page that is verified: of the blocks as they stand, which did what they show, for
    readers too.

    Any other page has none to show, and gets None.
    """
    file = _receipt_file(page)
    if not file.exists():
        return None
    receipt: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    of_today = receipt["blocks"] == [block.digest for block in page.runnable]
    return receipt if receipt["passed"] and receipt.get("as_readers") and of_today else None


def write_receipt(
    page: Page, passed: bool, as_readers: bool, seconds: float, date: str, versions: Mapping[str, str]
) -> None:
    """Write the receipt of `page`, whose run was of that `date`.

    `passed` says whether all was as shown, `as_readers` whether it was run as its readers run it, too: else it is
    true enough to go on editing, and not to be published.
    """
    receipt = {
        "blocks": [block.digest for block in page.runnable],
        "passed": passed,
        "as_readers": as_readers,
        "seconds": round(seconds, 1),
        "date": date,
        "versions": versions,
    }
    write_whole(_receipt_file(page), receipt)


def write_whole(file: Path, receipt: Mapping[str, Any]) -> None:
    """Write a receipt so that a run that is cut off leaves a whole one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)


def _receipt_file(page: Page) -> Path:
    return RECEIPTS / page.edition / f"{page.name}.json"
