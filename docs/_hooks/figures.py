"""A picture that stands by itself becomes a figure, its caption the italic line after it.

Its size is read from the file, so that the text below does not jump when the picture arrives.
"""

import re
import struct
import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote, urljoin

from mkdocs.plugins import event_priority

FIGURE = re.compile(
    r"<p>(?P<image><img [^>]*>)(?:\s*(?:</p>\s*<p>\s*)?<em>(?P<caption>(?:(?!</?p>).)*?)</em>)?\s*</p>", re.DOTALL
)
INCH = 120  # pixels on the page for an inch of a drawing


def size_of(path):
    """Width and height at which a PNG or SVG is shown."""
    if path.endswith(".svg"):
        return [round(float(number)) for number in ElementTree.parse(path).getroot().get("viewBox").split()[2:]]
    with open(path, "rb") as file:
        start = file.read(4096)
    width, height = struct.unpack(">II", start[16:24])
    density = start.find(b"pHYs")
    per_metre = struct.unpack(">I", start[density + 4 : density + 8])[0] if density > 0 else INCH / 0.0254
    return [round(pixels / (per_metre * 0.0254) * INCH) for pixels in (width, height)]


@event_priority(-50)
def on_page_content(content, page, config, files):
    """Wrap each picture of a page."""

    def figure(match):
        image = match["image"]
        source = re.search(r'src="([^"]+)"', image)[1]
        file = files.get_file_from_path(urljoin(page.url, unquote(source)))
        if file and file.abs_src_path.endswith((".png", ".svg")):
            width, height = size_of(file.abs_src_path)
            image = image.replace(
                "<img ", f'<img width="{width}" height="{height}" loading="lazy" decoding="async" ', 1
            )
        caption = f"<figcaption>{match['caption']}</figcaption>" if match["caption"] else ""
        return f"<figure>{image}{caption}</figure>"

    return FIGURE.sub(figure, content)
