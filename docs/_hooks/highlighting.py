"""The colours of a block are found once: both editions show it, and `mkdocs serve` shows it again and again.

This is no hook: a hook is loaded anew for each build, and what is remembered here has to outlive that.
"""

from pymdownx.highlight import Highlight


def remembering(highlight):
    """Return the method `highlight` with its strings remembered; the number of the block does not change them."""
    known = {}

    def highlight_once(self, src, language, *arguments, code_block_count=0, **options):
        key = repr((src, language, arguments, options))
        if key in known:
            return known[key]
        result = highlight(self, src, language, *arguments, code_block_count=code_block_count, **options)
        if isinstance(result, str):
            known[key] = result
        return result

    return highlight_once


Highlight.highlight = remembering(Highlight.highlight)
