"""Pictures are what their names say, small, and draw: no picture runs a script or asks another host for something."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
from course.page import Problem
from course.project import ROOT
from lxml import etree

LARGEST = 400  # kilobytes
WIDEST = 4000  # pixels
SVG = "{http://www.w3.org/2000/svg}"
DRAWING = re.compile(
    re.escape(SVG) + "(svg|g|defs|symbol|use|title|desc|style|path|rect|circle|ellipse|line|polyline|polygon|text|tspan"
    "|textPath|marker|linearGradient|radialGradient|stop|clipPath|mask|pattern)"
)
ELSEWHERE = re.compile(r"""//|\\|@import|(?:javascript|data):|url\(\s*["']?(?!["'#])""", re.IGNORECASE)


def picture_problems() -> Iterator[Problem]:
    """Yield the problems of the pictures that both editions show."""
    suffixes = PIL.Image.registered_extensions().keys() | {".svg"}
    for file in sorted((ROOT / "docs").rglob("*")):
        if file.suffix.lower() in suffixes:
            yield from _problems(file.relative_to(ROOT), file.read_bytes())


def _problems(file: Path, data: bytes) -> Iterator[Problem]:
    if len(data) > LARGEST * 1000:
        message = f"the picture has {len(data) // 1000} kB; at most {LARGEST} are loaded in good time"
        yield Problem(file, 1, message)
    if file.suffix == ".svg":
        yield from _in_drawing(file, data)
        return
    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            kind, widest = image.format, max(image.size)
            image.load()
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        yield Problem(file, 1, f"the picture cannot be read: {error}")
        return
    if file.suffix != ".png" or kind != "PNG":
        yield Problem(file, 1, f"the picture is a {kind} and called {file.suffix}; pictures are .svg or .png")
    if widest > WIDEST:
        yield Problem(file, 1, f"the picture is {widest} pixels wide or high; at most {WIDEST} are shown")


def _in_drawing(file: Path, data: bytes) -> Iterator[Problem]:
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        yield Problem(file, error.lineno or 1, f"the picture cannot be read: {error.msg}")
        return
    if root.getroottree().docinfo.doctype:
        yield Problem(file, 1, "a drawing has no <!DOCTYPE>; remove it")
        return
    for part in [*root.itersiblings(preceding=True), *root.iter(), *root.itersiblings()]:
        line = part.sourceline or 1
        if part.tag is etree.Comment:
            continue
        if not (isinstance(part.tag, str) and DRAWING.fullmatch(part.tag)):
            name = etree.QName(part).localname if isinstance(part.tag, str) else f"?{part.target}"
            yield Problem(file, line, f"a drawing only draws; <{name}> is none of the elements for that")
            continue
        for name, value in part.attrib.items():
            local = etree.QName(name).localname.lower()
            if local.startswith("on") or ELSEWHERE.search(value) or (local == "href" and not value.startswith("#")):
                yield Problem(file, line, f"a drawing runs nothing and asks for nothing; remove {local}=“{value}”")
        if part.tag == f"{SVG}style" and (found := ELSEWHERE.search("".join(part.itertext()))):
            yield Problem(file, line, f"a drawing runs nothing and asks for nothing; remove “{found[0]}” in its style")
