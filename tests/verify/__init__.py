"""The path from a page to its proof: run the page's program, compare, report, keep a receipt."""
