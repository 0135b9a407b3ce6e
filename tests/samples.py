"""Samples of a fixed size that move on day by day, for what is too much to do each time."""

import datetime
from collections.abc import Sequence

TODAY = datetime.datetime.now(datetime.UTC).date().toordinal()


def sample(items: Sequence, size: int, turn: int = TODAY) -> list:
    """Return `size` of `items`, the next ones with each turn, so that each comes once in so many days."""
    start = turn * size % max(1, len(items))
    return [*items[start:], *items[:start]][:size]
