"""Where the receipts of the tests' runs are kept, and which page may show one."""

import json

from page_model import ROOT

RECEIPTS = ROOT / ".receipts"


def receipt_file(edition, name):
    """Return the file of the receipt of the page `name` of an edition."""
    return RECEIPTS / edition / f"{name}.json"


def read_receipt(page):
    """Return the receipt of a page that is verified: of the blocks as they stand, which did what they show.

    Any other page has none to show, and gets None.
    """
    file = receipt_file(page.edition, page.name)
    if not file.exists():
        return None
    receipt = json.loads(file.read_text(encoding="utf-8"))
    holds = receipt["passed"] and receipt["blocks"] == [block.digest for block in page.program]
    return receipt if holds else None
