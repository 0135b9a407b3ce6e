"""A picture that stands by itself becomes a figure, its caption the italic line after it: a Markdown extension.

Its size is read from the file, so that the text below does not jump when the picture arrives.
"""

import re
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import unquote

from course.files import Unreadable
from course.page import Problem
from course.project import ROOT

from course_build.finishing import FinishingExtension

ALONE = re.compile(
    r"<p>(?P<image><img [^>]*>)(?:\s*(?:</p>\s*<p>\s*)?<em>(?P<caption>(?:(?!</?p>).)*?)</em>)?\s*</p>", re.DOTALL
)
SOURCE = re.compile(r'src="(?:[^"]*/)?(?P<asset>assets/[^"]+\.(?:png|svg))"')
INCH = 120  # pixels on the page for an inch of a drawing


def size_of(file: Path) -> tuple[int, int]:
    """Return the width and height, in pixels of the page, at which a PNG or SVG is shown."""
    if file.suffix == ".svg":
        sides = map(float, ElementTree.parse(file).getroot().attrib["viewBox"].split()[2:])
        width, height = map(round, sides)
        return width, height
    start = file.read_bytes()[:4096]
    pixels: tuple[int, int] = struct.unpack(">II", start[16:24])
    density = start.find(b"pHYs")
    per_metre = struct.unpack(">I", start[density + 4 : density + 8])[0] if density > 0 else INCH / 0.0254
    width, height = (round(side / (per_metre * 0.0254) * INCH) for side in pixels)
    return width, height


def with_figures(content: str) -> str:
    """Wrap each picture of the HTML `content` that stands by itself.

    Raises:
        Unreadable: if one is no picture.
    """

    def figure(match: re.Match[str]) -> str:
        image = match["image"]
        source = SOURCE.search(image)
        file = ROOT / "docs" / unquote(source["asset"]) if source else None
        if file and file.is_file():
            try:
                width, height = size_of(file)
            except (ElementTree.ParseError, KeyError, ValueError, struct.error) as error:
                message = f"this is no picture whose size can be read: {error}"
                raise Unreadable(Problem(file.relative_to(ROOT), 1, message)) from error
            sizes = f'<img width="{width}" height="{height}" loading="lazy" decoding="async" '
            image = image.replace("<img ", sizes, 1)
        caption = f"<figcaption>{match['caption']}</figcaption>" if match["caption"] else ""
        return f"<figure>{image}{caption}</figure>"

    return ALONE.sub(figure, content)


def makeExtension() -> FinishingExtension:
    return FinishingExtension("figures", with_figures)
