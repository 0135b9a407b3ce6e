"""The site's own Markdown, as `mkdocs.yml` configures it."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markdown import Markdown

from course.files import read_yaml
from course.project import ROOT


class _Configuration(yaml.SafeLoader):
    """Reads `mkdocs.yml`: a path relative to it is one relative to the project; the environment is left alone."""


_Configuration.add_constructor("!relative", lambda loader, node: str(ROOT))
_Configuration.add_constructor("!ENV", lambda loader, node: None)


@cache
def extensions() -> dict[str, dict[str, Any]]:
    """Map each Markdown extension of the site to its settings.

    Raises:
        Unreadable: if `mkdocs.yml` is no YAML.
    """
    configuration = read_yaml(Path("mkdocs.yml"), _Configuration)
    entries = [entry if isinstance(entry, dict) else {entry: None} for entry in configuration["markdown_extensions"]]
    return {name: settings or {} for entry in entries for name, settings in entry.items()}


def markdown_instance() -> Markdown:
    """Return a Markdown instance with the extensions of the site."""
    return Markdown(extensions=list(extensions()), extension_configs=extensions())
