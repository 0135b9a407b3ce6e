"""The Markdown of a page became what was meant: nothing of it stays as it stands in the text that a reader sees."""

import re
from collections.abc import Iterator
from typing import Any

from course.page import Page, Problem

from tests.verify.checks.prose import FORMULA, without_code
from tests.verify.rendering import BLOCK, Rendering

LITERAL = re.compile(
    r"^\s*(?:[-+]\s|\d+[.)]\s|#|>|!!|\?\?|///|:::)|={2,}|~~|~[^~\s]+~|--|\*|`|\$|\||\^|\{|\}|\+\+|\]\(|\]\[|\]:|\[[\^!]"
    r"|\[[ xX]?\]|:[a-z]\w+:|\\[A-Za-z]|__|\b_\w|\w_\s|#[>~]\s"
)
UNDEFINED = re.compile(r"\[(?P<text>[^\]\d][^\]]*[A-Za-z一-鿿][^\]]*)\]")
TAG = re.compile(r"</?(?P<name>[A-Za-z][\w-]*)(?=[\s/>])")
TAGS = ("br", "div", "sub", "sup")
BOX = re.compile(r"[\s>]*(?:!!!|\?\?\?\+?)\s+(?P<kind>\S+)")
KINDS = ("note", "success", "tip", "warning")  # of boxes: those that have a look and a title of their own
NUMBERED = re.compile(r"[\s>]*(?P<number>\d+)\.\s")
OUTPUT = re.compile(r"#[>~!]\s*\S")


def markdown_problems(page: Page, rendering: Rendering) -> Iterator[Problem]:
    """Yield what a reader would see otherwise than it was meant."""
    yield from _in_texts(page, rendering)
    yield from _in_tags(page)
    yield from _in_boxes(page)
    yield from _in_headings(page, rendering)
    yield from _in_lists(page, rendering)
    for element in rendering.all("strong", "em"):
        if _stays_literal_in_a_notebook(element.node):
            text = element.node.text_content()
            message = f"“{text}” is not emphasised in the notebook: move the punctuation beside the * out of it"
            yield Problem(page.file, element.line, message)
    for element in rendering.all("pre"):
        if element.node.text_content().strip() != BLOCK:
            message = "indented by four spaces this is shown as code, and never runs: use a fence, or indent less"
            yield Problem(page.file, element.line, message)


def _in_texts(page: Page, rendering: Rendering) -> Iterator[Problem]:
    for text in rendering.texts:
        if "code" in text.inside:
            if "pre" not in text.inside and OUTPUT.match(text.text):
                yield Problem(page.file, text.line, f"“{text.text}” looks like an output, and no block printed it")
        elif not text.inside & {"arithmatex", "pre"}:
            heading = text.inside & {"h2", "h3", "h4"}
            shown = re.sub(r"^\d+\. ", "", text.text) if heading else text.text
            in_address = "a" in text.inside and "/" in shown
            literal = LITERAL.search(shown) or UNDEFINED.search(shown)
            if literal and not in_address:
                message = (
                    f"“{literal[0].strip()}” stays as it is in “{_around(shown, literal)}”: close it, or put an"
                    " empty line before it; if it is meant, a backslash, or backquotes around code"
                )
                yield Problem(page.file, text.line, message)


def _around(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - 20) : match.end() + 20].strip()


def _in_tags(page: Page) -> Iterator[Problem]:
    for line in page.prose:
        for tag in TAG.finditer(FORMULA.sub("", without_code(line.text))):
            if tag["name"] not in TAGS:
                yield Problem(
                    page.file, line.page_line, f"the HTML <{tag['name']}>; write Markdown, or one of: br, div"
                )


def _in_boxes(page: Page) -> Iterator[Problem]:
    for line in page.prose:
        box = BOX.match(line.text)
        if box and box["kind"] not in KINDS:
            message = f"there is no box of the kind “{box['kind']}”; write one of: {', '.join(KINDS)}"
            yield Problem(page.file, line.page_line, message)


def _in_headings(page: Page, rendering: Rendering) -> Iterator[Problem]:
    written = {heading.id for heading in page.headings}
    for element in rendering.all("h1", "h2", "h3", "h4", "h5", "h6"):
        if None not in written and element.node.get("id") not in written:
            message = (
                f"“{element.text}” is shown as a heading; write “## Title {{#an-id}}”, or an empty line before ---"
            )
            yield Problem(page.file, element.line, message)


def _in_lists(page: Page, rendering: Rendering) -> Iterator[Problem]:
    numbers = [(int(match["number"]), line.page_line) for line in page.prose if (match := NUMBERED.match(line.text))]
    items = [element.node for element in rendering.all("li") if element.node.getparent().tag == "ol"]
    if len(numbers) != len(items):
        return  # what is no item stays literal
    for (number, line), item in zip(numbers, items):
        place = item.getparent().index(item) + 1
        if number not in (1, place) or (number == place == 1 and _follows_a_list_and_a_block(item)):
            message = f"this step is shown as number {place}: indent what stands between the steps by four spaces"
            yield Problem(page.file, line, message)


def _follows_a_list_and_a_block(item: Any) -> bool:
    block = item.getparent().getprevious()
    if block is None or "highlight" not in block.get("class", ""):
        return False
    above = block.getprevious()
    return above is not None and above.tag == "ol"


def _stays_literal_in_a_notebook(node: Any) -> bool:
    """Tell whether CommonMark, unlike the site, sees no emphasis: punctuation inside and a letter outside."""
    previous = node.getprevious()
    before = (previous.tail if previous is not None else node.getparent().text) or ""
    last = (node[-1].tail if len(node) else node.text) or "`"
    return (_is_sign((node.text or "`")[0]) and before[-1:].isalnum()) or (
        _is_sign(last[-1]) and (node.tail or "")[:1].isalnum()
    )


def _is_sign(character: str) -> bool:
    return not character.isalnum() and not character.isspace()
