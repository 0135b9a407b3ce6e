"""What the program drew is what its page shows."""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from course.page import Page, Problem
from course.project import FIGURES, ROOT
from PIL import Image

from tests.verify.checks.descriptions import differences, digest_of, kept_description
from tests.verify.checks.outputs import problem_in
from tests.verify.checks.prose import IMAGE
from tests.verify.run.execution import FIGURE_STYLE
from tests.verify.run.result import Drawing, Result

WIDTH = 5.25  # inches, with the margin around what was drawn
WEIGHT = 250_000  # bytes


def figure_problems(page: Page, result: Result) -> Iterator[Problem]:
    """Yield each figure that no page could show, or that is drawn and not shown, or shown and not drawn."""
    shown = _shown_figures(page)
    drawn = Counter(drawing.name for drawing in result.figures)
    for drawing in result.figures:
        for message in _not_to_be_shown(drawing):
            yield problem_in(page.runnable[drawing.block], page, 1, message)
        if not drawing.name:
            message = 'a figure without a name; write plt.subplots(num="what-it-shows")'
        elif drawn[drawing.name] > 1:
            message = f"{drawn[drawing.name]} figures of the page have the name {drawing.name!r}; give each its own"
        elif f"{drawing.name}.png" not in shown:
            message = f"the figure {drawing.name!r} is drawn here and shown nowhere on the page"
        else:
            continue
        yield problem_in(page.runnable[drawing.block], page, 1, message)
    for file_name, line in shown.items():
        if file_name.removesuffix(".png") not in drawn:
            yield Problem(page.file, line, f"no block of the page draws the figure {file_name} shown here")


def figure_differences(page: Page, result: Result, directory: Path) -> Iterator[Problem]:
    """Yield where the figures in the repository do not say what those say that the program drew.

    `directory` receives the new pictures, for an editor to look at.
    """
    folder = ROOT / FIGURES / page.name
    for drawing in result.figures:
        if drawing.name and (message := _difference(drawing, folder / f"{drawing.name}.png", directory)):
            yield problem_in(page.runnable[drawing.block], page, 1, message)
    drawn = {drawing.name for drawing in result.figures}
    for file in sorted((*folder.glob("*.png"), *folder.glob("*.yml"))):
        if file.stem not in drawn and f"{file.stem}.png" not in _shown_figures(page):
            message = f"no block draws {file.relative_to(ROOT)} any more; remove it with --update"
            yield Problem(page.file, 1, message)


def _not_to_be_shown(drawing: Drawing) -> Iterator[str]:
    """Yield what is wrong with a figure whatever it should show."""
    panels = drawing.says.get("panels", [])
    width = Image.open(io.BytesIO(drawing.picture)).width / FIGURE_STYLE["savefig.dpi"]
    weight = len(drawing.picture)
    if not panels or any("drawn" not in panel and "hidden" not in panel for panel in panels):
        message = f"the figure {drawing.name!r} has nothing in it, or in one of its panels"
        yield message
    if width > WIDTH:
        message = f"the figure {drawing.name!r} is {width:.1f} inches wide; a page has room for 5"
        yield message
    if weight > WEIGHT:
        message = f"the figure {drawing.name!r} weighs {weight // 1000} kB; at most {WEIGHT // 1000}: draw less in it"
        yield message


def _difference(drawing: Drawing, kept: Path, directory: Path) -> str | None:
    """Return what is wrong with the picture `kept`, and the description beside it, or None."""
    says = kept_description(kept)
    if not kept.exists() or not says:
        message = f"the figure {drawing.name!r} is new, or was not kept whole; look at it and keep it with --update"
        return message
    if says.pop("picture", None) != digest_of(kept.read_bytes()):
        message = f"{kept.relative_to(ROOT)} is not the picture that its description was kept with; draw it by --update"
        return message
    if not (found := list(differences(says, drawing.says))):
        return None
    actual = directory / kept.name
    actual.write_bytes(drawing.picture)
    first = "".join(f"\n    {difference}" for difference in found[:5])
    message = (
        f"the figure {drawing.name!r} changed; compare {kept.relative_to(ROOT)} with {actual};"
        f" keep the new one with --update{first}"
    )
    return message


def _shown_figures(page: Page) -> dict[str, int]:
    """Map the file name of each figure that the page's prose shows to the line where it does."""
    folder = f"/figures/{page.name}/"
    return {
        match["target"].rpartition("/")[2]: line.page_line
        for line in page.prose
        for match in IMAGE.finditer(line.text)
        if folder in match["target"]
    }
