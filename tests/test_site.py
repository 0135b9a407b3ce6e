"""The built site shows just the blocks that ran, every link in it leads somewhere, and its HTML is valid."""

import subprocess
from urllib.parse import unquote, urljoin, urlsplit

import lxml.html
import pytest

from tests.built_site import html_file
from tests.node_tools import node_tool, system_command


def test_site_shows_just_the_blocks_of_the_page(page_file, course, site):
    page = course.pages[page_file]
    document = lxml.html.parse(str(html_file(site.folder, page))).getroot()
    shown = [block.text_content().strip("\n") for block in document.cssselect("article pre")]
    assert shown == [block.text.strip("\n") for block in page.blocks]


def test_each_page_of_the_site_is_a_judged_page_or_made_of_one(course, site):
    known = {site.folder / "index.html", site.folder / "404.html"}
    for page in course.pages.values():
        file = html_file(site.folder, page)
        part, lesson = file.parent.parent, file.parent.name
        known |= {file, part / "claims" / lesson / "index.html"}
        known |= set(part.glob(f"notebooks/[0-9][0-9]_{lesson.replace('-', '_')}/index.html"))
    unknown = [str(file.relative_to(site.folder)) for file in site.folder.rglob("*.html") if file not in known]
    assert not unknown, "\n".join(sorted(unknown))


def code_around_the_article(document):
    """Return the code that a template shows: what stands in an article, the tests of the pages know."""
    shown = document.cssselect("pre, samp, kbd, textarea")
    return [element.text_content().strip()[:60] for element in shown if not element.xpath("ancestor::article")]


def test_no_template_shows_code(site):
    files = sorted(site.folder.rglob("*.html"))
    shown = {file: code_around_the_article(lxml.html.parse(str(file)).getroot()) for file in files}
    found = [f"{file.relative_to(site.folder)}: {code}" for file, code in shown.items() if code]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("tag", ["pre", "samp", "kbd", "textarea"])
def test_code_in_a_template_is_noticed(tag):
    page = lxml.html.fromstring(f"<main><article><pre>1</pre></article><div><{tag}>2</{tag}></div></main>")
    assert code_around_the_article(page) == ["2"]


def test_a_block_that_is_not_run_says_why(page_file, course, site):
    page = course.pages[page_file]
    html = html_file(site.folder, page).read_text(encoding="utf-8")
    reasons = [block.not_run for block in page.blocks if block.not_run is not None]
    assert all(f'<span class="filename">{reason}</span>' in html for reason in reasons)


def test_every_link_leads_somewhere(site):
    documents = {file: lxml.html.parse(str(file)).getroot() for file in sorted(site.folder.rglob("*.html"))}
    anchors = {
        file: {element.get("id") or element.get("name") for element in document.cssselect("[id], a[name]")}
        for file, document in documents.items()
    }
    broken = []
    for file, document in documents.items():
        address = urljoin(site.url, file.relative_to(site.folder).as_posix())
        for element, attribute, link, _ in document.iterlinks():
            target = urlsplit(urljoin(address, link))
            if not target.geturl().startswith(site.url) or element.tag == "form":
                continue
            path = site.folder / unquote(urlsplit(target.geturl()[len(site.url) :]).path)
            path = path / "index.html" if path.is_dir() else path
            if not path.is_file() or (
                target.fragment and path in anchors and unquote(target.fragment) not in anchors[path]
            ):
                broken.append(f"{file.relative_to(site.folder)}: {attribute}={link}")
    assert not broken, "\n".join(broken)


def test_no_page_asks_another_host_for_anything(site):
    """Links may lead elsewhere; what a page loads by itself may not come from there."""
    foreign = []
    for file in sorted(site.folder.rglob("*.html")):
        for element, attribute, link, _ in lxml.html.parse(str(file)).getroot().iterlinks():
            loads = attribute == "src" or (element.tag == "link" and element.get("rel") in ("stylesheet", "icon"))
            if loads and urlsplit(link).netloc and not link.startswith(site.url):
                foreign.append(f"{file.relative_to(site.folder)}: {link}")
    assert not foreign, "\n".join(foreign)


def test_html_is_valid(site):
    run = subprocess.run(
        [system_command("java"), "-jar", str(node_tool("vnu")), "--errors-only", "--skip-non-html", str(site.folder)],
        capture_output=True,
        text=True,
    )
    errors = [line.replace(f'"file:{site.folder}/', '"') for line in run.stderr.splitlines()]
    assert not errors, "\n".join(errors[:40])


def test_page_is_in_the_sitemap_of_its_edition_with_the_other_beside_it(page_file, course, site):
    page = course.pages[page_file]
    sitemap = (site.folder / page.edition / "sitemap.xml").read_text(encoding="utf-8")
    address = f"{site.url}{page.edition}/{page.name.removesuffix('index')}".rstrip("/") + "/"
    assert f"<loc>{address}</loc>" in sitemap
    assert f'href="{address.replace(f"/{page.edition}/", "/en/", 1)}"' in sitemap
    assert f'href="{address.replace(f"/{page.edition}/", "/zh/", 1)}"' in sitemap


@pytest.mark.parametrize("file", ["index.html", "404.html"])
def test_pages_without_a_language_lead_to_both_editions(file, site):
    links = lxml.html.parse(str(site.folder / file)).getroot().xpath("//a/@href")
    assert any("en/" in link for link in links) and any("zh/" in link for link in links)
