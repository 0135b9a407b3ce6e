"""One edition a language, all from the one `mkdocs.yml`.

A build makes the edition of its `docs_dir`, then loads the configuration afresh and builds the next, so that each
edition is an ordinary MkDocs build: its own pages, search index and language. What differs between editions stands
in `mkdocs.yml` under `extra.editions`. What they share, `docs/assets`, is added to each. Beside the editions come
the pages that belong to no language: the choice of a language, the page for a wrong address, the sitemap.
"""

from pathlib import Path
from urllib.parse import urljoin, urlsplit

from course.project import ROOT
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = ROOT / "docs"
PAGES_OF_NO_EDITION = {"index.html": "choice.html", "404.html": "missing.html", "sitemap.xml": "sitemaps.html"}


def configure(config: MkDocsConfig) -> None:
    """Make the configuration that of the edition whose pages `docs_dir` holds."""
    site_url = config.site_url or "/"
    edition = config.extra["edition"] = Path(config.docs_dir).name
    words = config.extra["editions"][edition]
    config.extra["site_url"] = site_url
    config.extra["scope"] = urlsplit(site_url).path  # light or dark is remembered for both editions
    config.site_url = urljoin(site_url, f"{edition}/")
    config.site_dir = str(Path(config.site_dir, edition))
    config.site_name, config.site_description = words["site_name"], words["site_description"]
    config.copyright = words["copyright"]
    config.theme["language"] = words["language"]
    config.theme.static_templates.discard("404.html")
    for palette, name in zip(config.theme["palette"], words["palette"]):
        palette["toggle"]["name"] = name
    config.plugins["material/search"].config["lang"] = [edition]
    config.mdx_configs["toc"]["permalink_title"] = words["permalink"]


def add_shared_files(files: Files, config: MkDocsConfig) -> None:
    """Add what both editions show: pages link to it as if it stood beside them."""
    for path in sorted((DOCS / "assets").rglob("*")):
        if path.is_file() and path.suffix != ".yml":  # which says what a figure says, for its check
            uri = path.relative_to(DOCS).as_posix()
            files.append(File(uri, str(DOCS), config.site_dir, config.use_directory_urls))


def build_following(config: MkDocsConfig) -> None:
    """Build the next edition, or, after the last, what belongs to none."""
    editions = list(config.extra["editions"])
    site = Path(config.site_dir).parent
    following = editions[editions.index(config.extra["edition"]) + 1 :]
    if following:
        afresh = load_config(
            config.config_file_path,
            docs_dir=str(DOCS / following[0]),
            site_dir=str(site),
            strict=config.strict,
        )
        afresh.site_url = config.extra["site_url"]  # `mkdocs serve` has its own
        build(afresh)
        return
    environment = config.theme.get_env()
    for name, template in PAGES_OF_NO_EDITION.items():
        text = environment.get_template(template).render(config=config)
        (site / name).write_text(text, encoding="utf-8")
