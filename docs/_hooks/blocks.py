"""Blocks of code as they are shown, their text unchanged.

What a block printed (`#>` exact, `#~` approximate) or raised (`#!`) is set apart from its code. Names, operators
and punctuation have the colour of the text: without an element for each, a lesson is half as large.
"""

import re

import highlighting  # noqa: F401

PRINTED = re.compile(r'(?:^[ ]*<span class="c1">#(?:&gt;|[~!])[^\n]*</span>\n)+', re.MULTILINE)
COLOURLESS = re.compile(r'<span(?: class="(?:n|p|o|w|nb|bp|vm)")?>([^<]*)</span>')


def on_page_content(content, page, config, files):
    """Wrap each run of lines that a block printed; unwrap what has no colour."""
    content = PRINTED.sub(lambda lines: f'<span class="printed">{lines[0]}</span>', content)
    return COLOURLESS.sub(r"\1", content)
