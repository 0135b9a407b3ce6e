"""Which tests stay in one process of pytest-xdist, those that share something dear, and which begin first.

That is the built site, a page's program, a lesson's claims, the fixtures of a file. pytest-xdist's own groups are
suffixes of a test's id, which pytest 9 does not take.
"""

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

SITE = re.compile(r"tests/test_(?:site|browser|notebooks)\.py::(?!test_notebook_runs)")
PAGE = re.compile(r"tests/test_(?:pages|notebooks)\.py::test_\w+\[(?:(?:en|zh)/)?(?P<name>[\w/-]+)\]")


def group_of(test: str) -> str:
    """Return the name of the group that a test, given by its id, belongs to."""
    if SITE.match(test):
        return "site"
    page = PAGE.match(test)
    return page["name"] if page else test.partition("::")[0]


def place_of(item: pytest.Item) -> tuple[int, int]:
    """Return what sorts tests so that nothing long begins last: the site's, then pages, the longest first, then all."""
    if group_of(item.nodeid) == "site":
        return 0, 0
    file = item.callspec.params.get("page_file") if hasattr(item, "callspec") else None
    return (1, -file.stat().st_size) if file else (2, 0)


class Together(LoadScopeScheduling):
    """Gives each process whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
