"""The sentences of a page that somebody should try to break: `python -m tests.unmarked NAME [NAME …]`.

It lists those that compare, generalise, explain or advise and carry neither a mark, nor a number that an output of
the page shows, nor a source. It is a list for whoever reads a lesson to break it, and no check.
"""

import re
import sys

from course.claims import sentences_of
from course.outputs import COMMENT, NUMBER
from course.page import Page

from tests.verify.course import Course

TELLING = {
    "en": re.compile(
        r"\b(always|never|only|nothing|nobody|none|every|each|all|any|no|most|best|worst|better|worse|faster|slower"
        r"|more|less|fewer|larger|smaller|higher|lower|than|helps?|hurts?|buys?|gains?|fails?|works?|because|since"
        r"|reason|so that|therefore|use|prefer|avoid|should|must|need not|do not|don’t|cannot|exactly|equal|same)\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(
        "总是|从不|从来|永远|只有|只要|只能|任何|所有|每个|每次|全部|都|没有|不会|不能|最|更|比|快|慢|好于|优于|不如"
        "|因为|所以|因此|原因|导致|用处|应该|应当|必须|不要|不必|不用|建议|请用|完全|相同|一样|等于"
    ),
}
SOURCE = re.compile(r"\]\(https?:")


def unmarked(page: Page):
    """Yield the sentences of a page for the reader to break."""
    lines = [line.text.strip() for block in page.blocks for line in block.lines]
    shown = set(NUMBER.findall("\n".join(line for line in lines if COMMENT.match(line))))
    for sentence in sentences_of(page):
        proved = sentence.claims or SOURCE.search(sentence.text) or shown & set(NUMBER.findall(sentence.text))
        is_prose = not sentence.text.startswith(("#", "!!!", "???"))
        if is_prose and not proved and TELLING[page.edition].search(sentence.text):
            yield sentence


def main(names):
    """Print them with file and line, for each page named exactly."""
    pages = [page for page in Course().pages.values() if any(f"/{page.name}".endswith(f"/{name}") for name in names)]
    if not pages:
        sys.exit(__doc__)
    for page in pages:
        found = list(unmarked(page))
        for sentence in found:
            print(f"{page.file}:{sentence.line}: {sentence.text}")
        print(f"{page.file}: {len(found)} of {len(sentences_of(page))} sentences")


if __name__ == "__main__":
    main(sys.argv[1:])
