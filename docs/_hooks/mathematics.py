"""Formulas become MathML while the site is built, so that they are read without JavaScript.

`$…$` and `$$…$$` come from Arithmatex as `\\(…\\)` and `\\[…\\]`; a formula that cannot be converted is an error.
"""

import html
import logging
import re

from math_core import LatexError, LatexToMathML

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>'
    r"(?P<punctuation>[,.;:?!)，。、；：？！）]*)",
    re.DOTALL,
)
converter = LatexToMathML(fancy_error=False)
log = logging.getLogger("mkdocs.hooks.mathematics")


def on_page_content(content, page, config, files):
    """Replace each formula of a page."""

    def convert(match):
        latex = html.unescape(match["latex"]).strip()
        try:
            mathml = converter.convert_with_local_state(latex, displaystyle=match["kind"] == "[")
        except LatexError as error:
            log.error("%s: the formula '%s' cannot be converted: %s", page.file.src_uri, latex, error)
            return f"<code>{html.escape(latex)}</code>"
        mathml = mathml.replace(' scriptlevel="0"', "")  # which is so anyhow, and the HTML checker does not know it
        # A browser would begin a line with the comma that follows a formula.
        return f'<span class="unbroken">{mathml}{match["punctuation"]}</span>' if match["punctuation"] else mathml

    return FORMULA.sub(convert, content)
