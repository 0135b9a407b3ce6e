"""What the program drew is what its page shows."""

from collections.abc import Iterator
from pathlib import Path

from course.page import Page, Problem
from course.project import FIGURES, ROOT
from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure

from tests.verify.checks.outputs import problem_in
from tests.verify.checks.prose import IMAGE
from tests.verify.run.result import Result

# Root mean square of the grey levels, 0 to 255. On other instruction sets a point moves by one image in a
# hundred, which gives 7; a word that changed in a label gives 12.
TOLERANCE = 10


def figure_problems(page: Page, result: Result) -> Iterator[Problem]:
    """Yield each figure without a name, drawn and not shown, or shown and not drawn."""
    shown = _shown_figures(page)
    for name, (number, _) in result.figures.items():
        if not name:
            message = 'a figure without a name; write plt.subplots(num="what-it-shows")'
        elif f"{name}.png" not in shown:
            message = f"the figure {name!r} is drawn here and shown nowhere on the page"
        else:
            continue
        yield problem_in(page.runnable[number], page, 1, message)
    for file_name, line in shown.items():
        if file_name.removesuffix(".png") not in result.figures:
            yield Problem(page.file, line, f"no block of the page draws the figure {file_name} shown here")


def figure_differences(page: Page, result: Result, directory: Path) -> Iterator[Problem]:
    """Yield where the figures in the repository are not those that the program drew.

    `directory` receives the new pictures and their differences, for an editor to look at.
    """
    folder = ROOT / FIGURES / page.name
    for name, (number, picture) in result.figures.items():
        kept = folder / f"{name}.png"
        if not name:
            continue
        if not kept.exists():
            message = f"the figure {name!r} is new; look at it and keep it with --update"
        elif actual := _differs(picture, kept, directory):
            message = (
                f"the figure {name!r} changed; compare {kept.relative_to(ROOT)} with {actual};"
                " keep the new one with --update"
            )
        else:
            continue
        yield problem_in(page.runnable[number], page, 1, message)
    for file in sorted(folder.glob("*.png")):
        if file.stem not in result.figures and file.name not in _shown_figures(page):
            message = f"no block draws {file.relative_to(ROOT)} any more; remove it with --update"
            yield Problem(page.file, 1, message)


def _shown_figures(page: Page) -> dict[str, int]:
    """Map the file name of each figure that the page's prose shows to the line where it does."""
    folder = f"/figures/{page.name}/"
    return {
        match["target"].rpartition("/")[2]: line.page_line
        for line in page.prose
        for match in IMAGE.finditer(line.text)
        if folder in match["target"]
    }


def _differs(picture: bytes, expected: Path, directory: Path) -> Path | None:
    """Return the file in `directory` that holds `picture` if it is another than the one expected."""
    if picture == expected.read_bytes():
        return None
    actual = directory / expected.name
    actual.write_bytes(picture)
    copy = directory / f"{expected.stem}-expected.png"
    copy.write_bytes(expected.read_bytes())
    try:
        differs = bool(compare_images(str(copy), str(actual), TOLERANCE))
    except ImageComparisonFailure:  # of another size
        differs = True
    return actual if differs else None
