"""Formulas become MathML while the site is built, so that they are read without JavaScript.

A Markdown extension: `$…$` and `$$…$$` come from Arithmatex as `\\(…\\)` and `\\[…\\]`.
"""

import html
import re
from xml.etree import ElementTree

from math_core import LatexError, LatexToMathML

from course_build.finishing import FinishingExtension

ARITHMATEX = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>'
    r"(?P<punctuation>[,.;:?!)，。、；：？！）]*)",
    re.DOTALL,
)
HTML_ENTITY = re.compile(r"&(?!lt;|gt;|amp;|quot;|#)\w+;")  # what XML does not know, such as &ApplyFunction;
_converter = LatexToMathML(fancy_error=False)


class FormulaError(ValueError):
    """Formulas of a page that cannot be converted."""


def with_mathml(content: str) -> str:
    """Replace each formula in the HTML `content`.

    Raises:
        FormulaError: naming each formula that cannot be converted.
    """
    errors = []

    def convert(match: re.Match[str]) -> str:
        latex = html.unescape(match["latex"]).strip()
        try:
            mathml: str = _converter.convert_with_local_state(latex, displaystyle=match["kind"] == "[")
        except LatexError as error:
            errors.append(f"the formula “{latex}” cannot be converted: {error}")
            return ""
        mathml = _as_checked(mathml)
        # A browser would begin a line with the comma that follows a formula.
        return f'<span class="unbroken">{mathml}{match["punctuation"]}</span>' if match["punctuation"] else mathml

    content = ARITHMATEX.sub(convert, content)
    if errors:
        raise FormulaError("\n".join(errors))
    return content


def _as_checked(mathml: str) -> str:
    """Return the same formula with the styles where HTML's checker knows them: on `mstyle` and `mtable` alone."""
    characters = HTML_ENTITY.sub(lambda entity: html.unescape(entity[0]), mathml)
    formula = ElementTree.fromstring(characters)
    for element in [*formula.iter()]:
        element.attrib.pop("scriptlevel", None)  # 0 always, which is so anyhow
        if "displaystyle" in element.attrib and element.tag != "mtable":
            style = {"displaystyle": element.attrib.pop("displaystyle")}
            inner = ElementTree.Element(element.tag, element.attrib)
            inner.extend(element)
            element[:], element.tag, element.attrib = [inner], "mstyle", style
    return ElementTree.tostring(formula, encoding="unicode", short_empty_elements=False)


def makeExtension() -> FinishingExtension:
    return FinishingExtension("mathml", with_mathml)
