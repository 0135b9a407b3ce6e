"""Compare what a program printed and drew with what its page shows, in the editor's files and lines."""

from pathlib import Path
from typing import NamedTuple

from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure
from outputs import Printed, misplaced_comments, split_statements
from page_model import ROOT, Problem

from tests.harness.prose import IMAGE

FIGURES = Path("docs", "assets", "figures")
# Root mean square of the grey levels, 0 to 255. On other instruction sets a point moves by one image in a
# hundred, which gives 7; a word that changed in a label gives 12.
FIGURE_TOLERANCE = 10


class Edit(NamedTuple):
    """The `count` lines after the statement that stands from line `first` to `last` become `lines`."""

    file: Path
    first: int
    last: int
    count: int
    lines: tuple[str, ...]


def judge(page, program, result):
    """Return the problems of a page's run: those that stay, and (problem, edit) where an edit mends it.

    Where something else was printed, but near enough, the edit has the problem None.
    """
    problems, mendable = [], []
    for number, (block, printed) in enumerate(zip(page.program, result.printed)):
        if result.failure and number == result.block:
            printed = printed[:-1]  # of the statement that raised, the failure below tells
        try:
            statements = split_statements(block.text)
        except SyntaxError:
            break  # the failure below says where
        for line in misplaced_comments(block.text):
            problems.append(_problem(page, block, line, "an output comment stands after no top-level statement"))
        for statement, lines in zip(statements, printed):
            if any("\r" in line or "\b" in line for line in lines):
                message = "this prints a progress bar, which cannot be shown; pass verbose=0"
                problems.append(_problem(page, block, statement.first_line, message))
            elif [line.text for line in statement.printed] != lines:
                near = len(lines) == len(statement.printed) and all(map(Printed.agrees_with, statement.printed, lines))
                problem = _problem(page, block, statement.first_line, _difference(statement, lines))
                mendable.append((None if near else problem, _edit(page, block, statement, lines)))
    if result.failure:
        problems.append(_failure(page, program, result))
    elif result.ended:
        block = page.program[result.block]
        problems.append(_problem(page, block, 1, f"this block {result.ended}"))
    return problems, mendable


def judge_figures(page, result, directory):
    """Return the problems of the figures that the program drew, against those in the repository.

    `directory` receives the new pictures and their differences, for an editor to look at.
    """
    problems = []
    shown = shown_figures(page)
    for name, (number, picture) in result.figures.items():
        block = page.program[number]
        expected = ROOT / FIGURES / page.name / f"{name}.png"
        if not name:
            message = 'a figure without a name; write plt.subplots(num="what-it-shows")'
        elif expected.name not in shown:
            message = f"the figure {name!r} is drawn here and shown nowhere on the page"
        elif not expected.exists():
            message = f"the figure {name!r} is new; look at it and keep it with --update"
        else:
            message = _compare(picture, expected, directory)
        if message:
            problems.append(_problem(page, block, 1, message))
    drawn = {f"{name}.png" for name in result.figures}
    for name, line in shown.items():
        if name not in drawn:
            problems.append(Problem(page.file, line, f"no block of the page draws the figure {name} shown here"))
    for file in (ROOT / FIGURES / page.name).glob("*.png"):
        if file.name not in drawn | shown.keys():
            message = f"no block draws {file.relative_to(ROOT)} any more; remove it with --update"
            problems.append(Problem(page.file, 1, message))
    return problems


def shown_figures(page):
    """Map the file name of each figure that the page's prose shows to the line where it does."""
    folder = f"/figures/{page.name}/"
    return {
        match["target"].rpartition("/")[2]: line.page_line
        for line in page.prose
        for match in IMAGE.finditer(line.text)
        if folder in match["target"]
    }


def keep_figures(page, result):
    """Write the figures that the program drew into the repository; remove those it no longer draws."""
    folder = ROOT / FIGURES / page.name
    for name, (_, picture) in result.figures.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(picture)
    for file in folder.glob("*.png"):
        if file.stem not in result.figures:
            file.unlink()


def apply_edits(edits):
    """Rewrite the files; what both editions ask for is done once."""
    for file in {edit.file for edit in edits}:
        lines = (ROOT / file).read_text(encoding="utf-8").split("\n")
        for edit in sorted(edits, key=lambda edit: -edit.last):
            if edit.file != file:
                continue
            statement = lines[edit.first - 1]
            indentation = statement[: len(statement) - len(statement.lstrip())]
            lines[edit.last : edit.last + edit.count] = [indentation + text for text in edit.lines]
        (ROOT / file).write_text("\n".join(lines), encoding="utf-8")


def _difference(statement, printed):
    says = "\n".join(f"    {line}" for line in statement.printed) or "    nothing"
    does = "\n".join(f"    {line}" for line in printed) or "    nothing"
    return f"the page says that this prints\n{says}\n  and it printed\n{does}"


def _edit(page, block, statement, printed):
    """Return the edit that puts `printed` after `statement`, each line of the kind it had."""
    announced = statement.printed or (Printed(">", ""),)
    kinds = [line.kind for line in announced] + [announced[-1].kind] * len(printed)
    lines = [str(Printed(kind, text)) for kind, text in zip(kinds, printed)]
    (file, first), (_, last) = (
        block.lines[number - 1].source or (page.file, block.lines[number - 1].page_line)
        for number in (statement.first_line, statement.last_line)
    )
    return Edit(file, first, last, len(statement.printed), tuple(lines))


def _problem(page, block, line, message):
    shown = block.lines[min(line, len(block.lines)) - 1]
    return Problem(page.file, shown.page_line, message, shown.source)


def _failure(page, program, result):
    places = [program.locate(line) for line in result.failure.lines] or [(result.block, 1)]
    outermost, *inner = [_problem(page, page.program[block], line, "") for block, line in places]
    through = "".join(f"\n    through {str(problem).rstrip(': ')}" for problem in inner)
    return outermost._replace(message=f"this block raises {result.failure.summary}{through}")


def _compare(picture, expected, directory):
    if picture == expected.read_bytes():
        return None
    actual = directory / expected.name
    actual.write_bytes(picture)
    copy = directory / f"{expected.stem}-expected.png"
    copy.write_bytes(expected.read_bytes())
    try:
        difference = compare_images(str(copy), str(actual), FIGURE_TOLERANCE)
    except ImageComparisonFailure as error:
        difference = str(error)
    if difference:
        kept = expected.relative_to(ROOT)
        return f"the figure {expected.stem!r} changed; compare {kept} with {actual}; keep the new one with --update"
