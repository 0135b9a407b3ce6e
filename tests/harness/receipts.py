"""Write the receipt of a page: what was run, when, on what, and whether it held; estimate the next run by the last."""

import json
import math

from receipts import receipt_file


def write_receipt(page, result, passed):
    """Write the receipt of `page`, whose program gave `result`; `passed` says whether all was as shown."""
    receipt = {
        "blocks": [block.digest for block in page.program],
        "passed": passed,
        "seconds": round(result.seconds, 1),
        "date": result.date,
        "versions": result.versions,
    }
    file = receipt_file(page.edition, page.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")


def expected_cost(page):
    """Return what sorts pages by how long their programs will run.

    The seconds of the last run, or, before all of those, the length of a program that never ran here.
    """
    file = receipt_file(page.edition, page.name)
    seconds = json.loads(file.read_text(encoding="utf-8"))["seconds"] if file.exists() else math.inf
    return seconds, sum(len(block.text) for block in page.program)
