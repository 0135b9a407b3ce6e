"""What figures say: how it is kept beside their pictures, and where another run says something else."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from course.files import write_whole

from tests.verify.run.result import Description, Drawing

# Of what an axis spans, or a scale of colours. On another instruction set the end of a failed training moved by 0.027;
# three points of accuracy on an axis from 0 to 1 are 0.03.
TOLERANCE = 0.028

Leaf = tuple[Any, Description | None]  # a text, a number or a list of them, and the axis that numbers are read on


def keep_drawing(drawing: Drawing, file: Path) -> None:
    """Write a picture into `file`, and beside it what it says, as a person can read it and a diff show it."""
    write_whole(file, drawing.picture)
    says = {"picture": digest_of(drawing.picture), **drawing.says}
    text = yaml.safe_dump(says, default_flow_style=None, width=110, allow_unicode=True, sort_keys=False)
    write_whole(file.with_suffix(".yml"), text.encode())


def kept_description(file: Path) -> Description:
    """Return what the picture in `file` says, and as “picture” its digest; {} if that is not known."""
    try:
        kept = yaml.safe_load(file.with_suffix(".yml").read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, yaml.YAMLError):
        kept = None
    return kept if isinstance(kept, dict) else {}


def digest_of(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()[:16]


def differences(kept: Description, drawn: Description) -> Iterator[str]:
    """Yield each place where `drawn` says something else than `kept`, and what both say there."""
    before, now = dict(_leaves(kept)), dict(_leaves(drawn))
    for place in before | now:
        old, axis = before.get(place, (None, None))
        new, _ = now.get(place, (None, None))
        if old is None or new is None:
            yield f"{place} " + (f"is new: {new}" if old is None else f"is gone: {old}")
        elif type(old) is not type(new) or (isinstance(old, list) and len(old) != len(new)):
            yield f"{place}: {old} became {new}"
        elif isinstance(old, list):
            for number, (one, other) in enumerate(zip(old, new), 1):
                if not _near(one, other, axis):
                    yield f"{place} {number} of {len(old)}: {one} became {other}"
                    break
        elif not _near(old, new, axis):
            yield f"{place}: {old} became {new}"


def _leaves(described: Description, place: str = "", axes: Description | None = None) -> Iterator[tuple[str, Leaf]]:
    """Yield what a description holds, by its place in it."""
    for name, content in described.items():
        here = f"{place}, {name}".removeprefix(", ")
        if isinstance(content, dict):
            yield from _leaves(content, here, axes)
        elif content and isinstance(content, list) and isinstance(content[0], dict):
            for number, item in enumerate(content, 1):
                yield from _leaves(item, f"{here.removesuffix('s')} {number}", item if name == "panels" else axes)
        else:
            yield here, (content, described if "scale" in described else (axes or {}).get(f"{name} axis"))


def _near(one: Any, other: Any, axis: Description | None) -> bool:
    if not isinstance(one, float) or str(one) == str(other):  # what is not a number does not equal itself
        return str(one) == str(other)
    return abs(_position(one, axis) - _position(other, axis)) <= TOLERANCE


def _position(number: float, axis: Description | None) -> float:
    """Return where a number stands on an axis that goes from 0 to 1."""
    if axis is None:
        return number
    number, low, high = (
        math.log(max(value, 1e-300)) if axis["scale"] == "log" else value for value in (number, *axis["limits"])
    )
    return (number - low) / ((high - low) or 1)
