"""Write the receipt of a page: what was run, when, on what, and whether it held."""

import json

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
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)  # a run that is cut off leaves a whole receipt
