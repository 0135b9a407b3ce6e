"""The receipt of a page: what was run, when, on what, and whether it did what the page shows."""

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course.files import write_whole
from course.page import Page
from course.project import FIGURES, ROOT

RECEIPTS = ROOT / ".receipts"


def read_receipt(page: Page) -> dict[str, Any] | None:
    """Return the receipt of a page that is verified: of blocks and figures as they stand, which did what they show,
    for readers too.

    Any other page has none to show, and gets None.
    """
    receipt = load(_receipt_file(page), blocks=list, figures=dict, passed=bool, seconds=(int, float), versions=dict)
    shown = {"blocks": [block.digest for block in page.runnable], "figures": _figure_digests(page)}
    verified = shown | {"passed": True, "as_readers": True}
    return receipt if receipt and receipt | verified == receipt else None


def write_receipt(
    page: Page, passed: bool, as_readers: bool, seconds: float, date: str, versions: Mapping[str, str]
) -> None:
    """Write the receipt of `page`, whose run was of that `date`.

    `passed` says whether all was as shown, `as_readers` whether it was run as its readers run it, too: else it is
    true enough to go on editing, and not to be published.
    """
    receipt = {
        "blocks": [block.digest for block in page.runnable],
        "figures": _figure_digests(page),
        "passed": passed,
        "as_readers": as_readers,
        "seconds": round(seconds, 1),
        "date": date,
        "versions": versions,
    }
    keep(_receipt_file(page), receipt)


def load(file: Path, **kinds: Any) -> dict[str, Any] | None:
    """Return the receipt in `file`; None if there is none, or it is broken: without a date, or one of `kinds`."""
    try:
        receipt: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        datetime.date.fromisoformat(receipt["date"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return receipt if all(isinstance(receipt.get(name), kind) for name, kind in kinds.items()) else None


def keep(file: Path, receipt: Mapping[str, Any]) -> None:
    """Write a receipt."""
    write_whole(file, json.dumps(receipt, indent=1).encode() + b"\n")


def _figure_digests(page: Page) -> dict[str, str]:
    """Map each figure of the page that the repository has to what changes with it."""
    files = sorted((ROOT / FIGURES / page.name).glob("*"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files if file.is_file()}


def _receipt_file(page: Page) -> Path:
    return RECEIPTS / page.edition / f"{page.name}.json"
