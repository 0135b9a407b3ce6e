"""Numbers in sentences: each stands in an output, the code or a formula of its page, or its sentence has a proof."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from course.claims import Sentence, sentences_of
from course.page import Page, Problem

from tests.verify.checks.prose import FORMULA, INLINE_CODE
from tests.verify.run.result import Result

NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<decimals>\d+))?"
    r"(?:\s?(?P<unit>thousand|million|billion|万|亿|%|percent|个百分点|points?)|st|nd|rd|th)?(?![A-Za-z0-9_])"
)
POWERS = {"thousand": 3, "million": 6, "billion": 9, "万": 4, "亿": 8}
SHOWN = re.compile(r"\d+(?:_\d{3})*(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
IN_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|,|\{,\})(?=\d{3}(?!\d))")
VERSION = re.compile(r"(?:Keras|NumPy|Python|PyTorch|TensorFlow|scikit-learn)[ （(]*$")
SOURCE = re.compile(r"\]\(https?:")
SMALL = 12  # what is as small counts, more often than not, things that the reader sees
YEARS = range(1900, 2100)


class Number(NamedTuple):
    """A number in prose: as written, its value without a unit, the power of ten of its last digit."""

    text: str
    value: Decimal
    last_digit: int
    is_share: bool
    start: int


def numbers_in(text: str) -> Iterator[Number]:
    """Yield the numbers in a text, those in millions or 万 as what they are."""
    for match in NUMBER.finditer(text):
        decimals, unit = match["decimals"] or "", (match["unit"] or "").strip()
        power = POWERS.get(unit, 0)
        value = Decimal(f"{match['whole'].replace(',', '')}.{decimals or 0}").scaleb(power)
        yield Number(match[0], value, power - len(decimals), bool(unit) and not power, match.start())


def number_problems(page: Page, result: Result | None) -> Iterator[Problem]:
    """Yield the numbers in a lesson's sentences that nothing on the page shows; what was printed will be shown."""
    if len(page.file.parts) < 4 or not page.runnable:
        return
    shown = _shown(page, result)
    for sentence in _own_sentences(page):
        for number in _to_prove(sentence.text):
            if not any(_is(number, value) for value in shown):
                message = (
                    f"nothing on this page shows the number {number.text}: print it, compute it in a formula, mark the"
                    " sentence with its test, or link to the source in the sentence"
                )
                yield Problem(page.file, sentence.line, message)


def _own_sentences(page: Page) -> Iterator[Sentence]:
    """Yield the sentences that neither a test nor a source proves."""
    sources = [heading.line for heading in page.headings if heading.id == "sources"]
    for sentence in sentences_of(page):
        proved = sentence.claims or sentence.line in page.filled
        if not (proved or SOURCE.search(sentence.text) or any(line <= sentence.line for line in sources)):
            yield sentence


def _to_prove(sentence: str) -> Iterator[Number]:
    """Yield the numbers of a sentence but for small counts, years and versions."""
    text = re.sub(r"\]\([^)]*\)", "]", FORMULA.sub("", INLINE_CODE.sub("", sentence)))
    if text.startswith(("#", "|", "$$", "!!!", "???")):
        return
    for number in numbers_in(text):
        whole = number.value == int(number.value) and number.last_digit >= 0 and not number.is_share
        year = whole and int(number.value) in YEARS and "," not in number.text
        small = whole and number.value <= SMALL
        if not (year or small or VERSION.search(text[: number.start])):
            yield number


def _shown(page: Page, result: Result | None) -> set[Decimal]:
    """Return the numbers in code, outputs and formulas."""
    prose = "\n".join(line.text for line in page.prose)
    texts = [block.text for block in page.blocks]
    texts += [line for block in result.printed for statement in block for line in statement] if result else []
    texts += [match[0] for pattern in (INLINE_CODE, FORMULA) for match in pattern.finditer(prose)]
    return {Decimal(found.replace("_", "")) for found in SHOWN.findall(IN_THOUSANDS.sub("", "\n".join(texts)))}


def _is(number: Number, shown: Decimal) -> bool:
    """Tell whether a number is what is shown, rounded to as many digits as it has; a share may be one of 1."""
    half = Decimal(5).scaleb(number.last_digit - 1)
    return any(abs(shown * factor - number.value) <= half for factor in ((1, 100) if number.is_share else (1,)))
