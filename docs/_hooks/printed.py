"""What a block printed (`#>` exact, `#~` approximate) is set apart from its code, its text unchanged."""

import re

PRINTED = re.compile(r'(?:^[ ]*<span class="c1">#(?:&gt;|~)[^\n]*</span>\n)+', re.MULTILINE)


def on_page_content(content, page, config, files):
    """Wrap each run of lines that a block printed."""
    return PRINTED.sub(lambda lines: f'<span class="printed">{lines[0]}</span>', content)
