"""A block that does not run looks like none that did: it shows no output, says why, or is a command to type."""

import re
from collections.abc import Iterator

from course.outputs import COMMENT
from course.page import Block, Page, Problem

from tests.verify.checks.outputs import problem_in

# What a reader types in a terminal; `python -c` would hold code that nothing runs.
COMMAND = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:cd|export|git|jupyter|mkdir|pip|python(?! -c)|source|tensorboard|uv) \S|#(?![>~!])|$"
)
REASON = {"en": ("Not run: ", re.compile(r"Not run: \w.*\w")), "zh": ("未运行：", re.compile(r"未运行：\w.*\w"))}


def fence_problems(page: Page) -> Iterator[Problem]:
    """Yield the blocks that do not run and could be taken for others."""
    for block in page.blocks:
        if block.language == "bash":
            yield from _in_commands(page, block)
        if block.not_run is None:
            continue
        begins, reason = REASON[page.edition]
        if block.not_run and not reason.match(block.not_run):
            message = f"the title of a block that is not run begins with “{begins}”, and says why"
            yield Problem(page.file, block.start_line, message)
        for number, line in enumerate(block.lines, 1):
            if COMMENT.match(line.text.strip()):
                yield problem_in(block, page, number, "a block that is not run has printed nothing; remove its outputs")
                break


def _in_commands(page: Page, block: Block) -> Iterator[Problem]:
    continued = False
    for number, line in enumerate(block.lines, 1):
        if not continued and not COMMAND.match(line.text.strip()):
            message = f"“{line.text.strip()}” is no command that a reader types; Python is shown in a block that runs"
            yield problem_in(block, page, number, message)
        continued = line.text.endswith("\\")
