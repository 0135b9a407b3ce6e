"""What the build that publishes asks for: addresses that lead somewhere, and a proof of each page."""

import re
from collections.abc import Iterator

from course.claims import claims_not_held
from course.project import EDITIONS, page_files
from course.reading import PageReader
from course.receipt import read_receipt
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError


def check_addresses(config: MkDocsConfig) -> None:
    """Refuse a SITE_URL or a REPO from which links would be made that lead nowhere."""
    site_url = next(settings["site_url"] for settings in config.user_configs if "site_url" in settings)
    if not re.fullmatch(r"https?://[^/\s?#]+/([^\s?#]+/)?", str(site_url or "")):
        expected = "the site's whole address, with a slash at its end: https://owner.github.io/course/"
        raise PluginError(f"SITE_URL is “{site_url or ''}”; write {expected}")
    repository = config.extra["repository"]
    if repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", str(repository)):
        raise PluginError(f"REPO is “{repository}”; write the owner and the name of the repository: owner/course")


def check_proof(config: MkDocsConfig) -> None:
    """Refuse to publish a page that was not shown to do what it says."""
    if config.extra["publish"] and (unproved := "\n".join(_unproved())):
        raise PluginError(f"these pages are not to be published as they stand:\n{unproved}")


def _unproved() -> Iterator[str]:
    reader = PageReader()
    for file in (file for edition in EDITIONS for file in page_files(edition)):
        page = reader.read(file)
        if page.runnable and not read_receipt(page):
            yield f"{file}: no run of these very blocks and figures has done what the page shows"
        elif page.runnable and (claims := claims_not_held(page)):
            yield f"{file}: no run has shown these claims to hold: {', '.join(claims)}"
