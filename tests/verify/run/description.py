"""What a figure says: its texts, and what each panel shows, in numbers a person can read and another run repeat."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.quiver import Quiver
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator, LogFormatter, NullFormatter, ScalarFormatter
from matplotlib.transforms import Transform

from tests.verify.run.result import Description

PIECES = 50  # of a series of more than twice as many numbers, the least and the greatest of each piece are kept


def describe(figure: Figure) -> Description:
    """Return what `figure` says, made of dicts, lists, texts and numbers."""
    figure.draw_without_rendering()  # which gives ticks their labels and annotations their places
    return _without_empty(
        {
            "inches": [round(float(side), 2) for side in figure.get_size_inches()],
            "texts": [text.get_text() for text in figure.texts],
            "legends": [_legend(legend) for legend in figure.legends],
            "panels": [_panel(axes) for axes in figure.axes],
        }
    )


def _panel(axes: Axes) -> Description:
    legends = [artist for artist in (axes.get_legend(), *axes.artists) if isinstance(artist, Legend)]
    artists: dict[str, Any] = {
        "lines": axes.lines,
        "shapes": axes.patches,
        "collections": axes.collections,
        "images": axes.images,
        "texts": axes.texts,
        "others": [artist for artist in (*axes.tables, *axes.artists) if artist not in legends],
    }
    return _without_empty(
        {
            "hidden": [] if axes.axison else ["axes"],
            "titles": [title for place in ("left", "center", "right") if (title := axes.get_title(place))],
            "x axis": _axis(axes.xaxis, axes.axison),
            "y axis": _axis(axes.yaxis, axes.axison),
            "legends": [_legend(legend) for legend in legends],
            "drawn": _without_empty({kind: list(_drawn(found, axes)) for kind, found in artists.items()}),
        }
    )


def _axis(axis: Axis, shown: bool) -> Description:
    """Return an axis's label, scale and limits, and its ticks where somebody has set them."""
    described: Description = {"scale": axis.get_scale(), "limits": _rounded(axis.get_view_interval(), axis)}
    if not shown:
        return described
    if axis.get_label_text():
        described["label"] = axis.get_label_text()
    formatter = axis.get_major_formatter()
    usual = isinstance(formatter, (ScalarFormatter, LogFormatter, NullFormatter))
    if isinstance(axis.get_major_locator(), FixedLocator) or not usual:
        described["ticks"] = _rounded(axis.get_majorticklocs(), axis)
        described["tick labels"] = [label.get_text() for label in axis.get_ticklabels()]
    return described


def _legend(legend: Legend) -> Description:
    entries = zip(legend.legend_handles, legend.get_texts())
    described = [f"{_style(handle)}: {text.get_text()}" for handle, text in entries]
    return _without_empty({"title": legend.get_title().get_text(), "entries": described})


def _drawn(artists: Iterable[Artist], axes: Axes) -> Iterator[Description]:
    """Yield what each artist is, where, and how it looks; neighbouring bars of one look are one."""

    def series(numbered: tuple[int, Artist]) -> object:
        number, artist = numbered
        return _style(artist) if isinstance(artist, Rectangle) else number

    visible = enumerate(artist for artist in artists if artist.get_visible())
    for _, alike in groupby(visible, series):
        yield _one_drawn([artist for _, artist in alike], axes)


def _one_drawn(alike: list[Any], axes: Axes) -> Description:
    artist = alike[0]
    points = np.concatenate([*(part for one in alike for part in _points(one, axes)), np.empty((0, 2))])
    label = str(artist.get_label())
    described = {
        "kind": type(artist).__name__,
        "text": artist.get_text() if isinstance(artist, Text) else "",
        "label": "" if label.startswith("_") else label,
        "style": _style(artist),
        "points": len(points),
        "x": _rounded(_thinned(points[:, 0]), axes.xaxis),
        "y": _rounded(_thinned(points[:, 1]), axes.yaxis),
    }
    if isinstance(artist, Quiver):
        described |= {"arrows": _shares(np.concatenate([np.ravel(artist.U), np.ravel(artist.V)]))}
    sizes: Any = getattr(artist, "get_sizes", list)()
    if len(set(sizes)) > 1:
        described |= {"sizes": _shares(sizes)}
    if isinstance(artist, ScalarMappable) and artist.get_array() is not None:
        values: Any = np.ma.filled(np.ma.asarray(artist.get_array(), dtype=float), np.nan)
        if isinstance(artist, AxesImage) and values.ndim == 3:
            described |= {"values": _shares(values)}
        else:
            span = [float(limit) for limit in artist.get_clim()]
            described |= {
                "colours": {"scale": artist.get_cmap().name, "limits": [float(f"{limit:.4g}") for limit in span]},
                "values": _shares((values - span[0]) / ((span[1] - span[0]) or 1), 1.0),
            }
    return _without_empty(described)


def _points(artist: Any, axes: Axes) -> Iterator[np.ndarray]:
    """Yield the points that make an artist, in the units of the axes."""

    def in_units(points: Any, transform: Transform) -> np.ndarray:
        return np.asarray((transform - axes.transData).transform(np.asarray(points, dtype=float).reshape(-1, 2)))

    if isinstance(artist, Annotation):
        places = {"data": axes.transData, "axes fraction": axes.transAxes}
        if isinstance(artist.xycoords, str) and artist.xycoords in places:
            yield in_units(artist.xy, places[artist.xycoords])
    if isinstance(artist, Text):
        yield in_units(artist.get_position(), artist.get_transform())
    elif isinstance(artist, Line2D):
        yield in_units(artist.get_xydata(), artist.get_transform())
    elif isinstance(artist, Rectangle):
        yield in_units(artist.get_bbox().get_points(), artist.get_data_transform())
    elif isinstance(artist, Patch):
        yield in_units(artist.get_path().vertices, artist.get_transform())
    elif isinstance(artist, AxesImage):
        yield np.reshape(artist.get_extent(), (2, 2)).T
    elif isinstance(artist, Collection) and artist.get_offset_transform().contains_branch(axes.transData):
        yield in_units(artist.get_offsets(), artist.get_offset_transform())
    elif isinstance(artist, Collection):
        for path in artist.get_paths():
            yield in_units(path.vertices, artist.get_transform())


def _style(artist: Artist | None) -> str:
    """Return colours, the kind of line and the marker of an artist, as far as it has them."""
    if isinstance(artist, Line2D):
        look = [_colour(artist.get_color()), artist.get_linestyle(), artist.get_marker()]
        return " ".join(str(part) for part in look if part != "None")
    if isinstance(artist, Text):
        return _colour(artist.get_color())
    if isinstance(artist, Collection) and artist.get_array() is not None:
        return ""
    if isinstance(artist, (Patch, Collection)):
        colours = [*np.reshape(artist.get_facecolor(), (-1, 4)), *np.reshape(artist.get_edgecolor(), (-1, 4))]
        return " ".join(colour for colour, _ in groupby(_colour(colour) for colour in colours if colour[3]))
    return ""


def _colour(colour: Any) -> str:
    return to_hex(colour, keep_alpha=True).removesuffix("ff")


def _thinned(numbers: np.ndarray) -> np.ndarray:
    """Return `numbers`, or if they are many the least and the greatest of each of equal pieces."""
    if len(numbers) <= 2 * PIECES:
        return numbers
    return np.array([end.reduce(piece) for piece in np.array_split(numbers, PIECES) for end in (np.fmin, np.fmax)])


def _rounded(numbers: Iterable[float], axis: Axis) -> list[float]:
    """Return `numbers` with the digits that can be seen on `axis`."""
    if axis.get_scale() == "linear":
        low, high = axis.get_view_interval()
        digits = 3 - int(np.floor(np.log10(abs(high - low) or 1)))
        return [round(float(number), digits) + 0.0 for number in numbers]
    return [float(f"{number:.4g}") for number in numbers]


def _shares(numbers: Any, whole: float | None = None) -> list[float]:
    """Return `numbers` as shares of `whole`, or of the greatest of them."""
    flat = np.ravel(np.asarray(numbers, dtype=float))
    whole = whole or float(np.fmax.reduce(np.abs(flat), initial=0)) or 1.0
    return [round(float(number), 3) + 0.0 for number in _thinned(flat / whole)]


def _without_empty(described: Description) -> Description:
    return {name: content for name, content in described.items() if content not in ("", [], {}, None)}
