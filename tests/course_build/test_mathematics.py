"""Formulas become MathML, and one that cannot be read stops the build."""

import pytest
from course.markdown import markdown_instance


@pytest.fixture(scope="module")
def render():
    return markdown_instance().convert


def test_a_formula_becomes_mathml(render):
    assert "<mi>x</mi>" in render("So $x = 1$ holds.")
    assert 'display="block"' in render("$$\nx < 1\n$$")


def test_styles_stand_where_html_allows_them(render):
    html = render(r"$\tfrac{1}{2}$, $\displaystyle\sum x$")
    assert '<mstyle displaystyle="false"><mfrac><mn>1</mn><mn>2</mn></mfrac></mstyle>' in html
    assert '<mstyle displaystyle="true"><mrow>' in html and "scriptlevel" not in html


def test_functions_and_signs_of_comparison_survive(render):
    html = render(r"$\log a < \max(b, c) \text{ and } d > e$")
    assert "<mo>\u2061</mo>" in html and "<mo>&lt;</mo>" in html


def test_punctuation_stays_with_its_formula(render):
    html = render("For $x$, and 对 $y$。")
    assert "</math>,</span>" in html and "</math>。</span>" in html


def test_code_and_prices_are_no_formulas(render):
    assert "<math" not in render("`$x$` for $5 and $6 here")


def test_each_formula_that_cannot_be_read_is_named(render):
    with pytest.raises(ValueError, match=r"(?s)frac\{1.*unknowncommand"):
        render(r"$\frac{1$ and $\unknowncommand$")
