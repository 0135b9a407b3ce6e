"""Where the receipts of the tests' runs are kept, and what the site says of them on each page."""

import json

from page_model import ROOT

RECEIPTS = ROOT / ".receipts"


def receipt_file(edition, name):
    """Return the file of the receipt of the page `name` of an edition."""
    return RECEIPTS / edition / f"{name}.json"


def read_receipt(page):
    """Return the receipt of a page: None where there is none, or it is of other blocks than the page's."""
    file = receipt_file(page.edition, page.name)
    if not file.exists():
        return None
    receipt = json.loads(file.read_text(encoding="utf-8"))
    return receipt if receipt["blocks"] == [block.digest for block in page.program] else None
