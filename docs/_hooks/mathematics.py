"""Formulas become MathML while the site is built, so that they are read without JavaScript.

`$…$` and `$$…$$` come from Arithmatex as `\\(…\\)` and `\\[…\\]`; a formula that cannot be converted is an error.
"""

import html
import logging
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
log = logging.getLogger("mkdocs.hooks.mathematics")


def on_page_content(content, page, config, files):
    """Replace each formula of a page."""

    def mathml(match):
        latex = html.unescape(match["latex"]).strip()
        block = match["kind"] == "["
        try:
            return convert(latex.replace("{aligned}", "{align*}"), display="block" if block else "inline")
        except Exception as error:
            log.error("%s: the formula %r cannot be converted: %r", page.file.src_uri, latex, error)
            return f"<code>{html.escape(latex)}</code>"

    return FORMULA.sub(mathml, content)
