"""Blocks of code as they are shown, their text unchanged: a Markdown extension.

What a block printed (`#>` exact, `#~` approximate) is set apart from its code. Names, operators and punctuation
have the colour of the text: without an element for each, a lesson is half as large.
"""

import re

from course_build.finishing import FinishingExtension

PRINTED_COMMENTS = re.compile(r'(?:^[ ]*<span class="c1">#(?:&gt;|~)[^\n]*</span>\n)+', re.MULTILINE)
COLOURLESS = re.compile(r'<span(?: class="(?:n|p|o|w|nb|bp|vm)")?>([^<]*)</span>')
SET_APART = re.compile(r'<span class="printed">(?:[ ]*<span class="c1">[^\n]*</span>\n)+</span>')


def with_outputs_set_apart(content: str) -> str:
    """Wrap each run of lines that a block printed; unwrap what has no colour."""
    content = PRINTED_COMMENTS.sub(lambda lines: f'<span class="printed">{lines[0]}</span>', content)
    return COLOURLESS.sub(r"\1", content)


def without_outputs(content: str) -> str:
    """Remove what was set apart."""
    return SET_APART.sub("", content)


def makeExtension() -> FinishingExtension:
    return FinishingExtension("printed", with_outputs_set_apart)
