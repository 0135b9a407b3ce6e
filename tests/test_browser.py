"""The site in a real browser, as its readers use it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from course.project import EDITIONS, ROOT
from playwright.sync_api import expect

from tests.node_tools import node_tool, unavailable
from tests.samples import sample

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1400, "height": 900}
LESSON = "keras-introduction/sequential-api/"
SAMPLED = 2  # pages generated from one template that are visited in each edition
SEARCHES = {
    ("zh", "回调"): "keras-introduction/callbacks/",
    ("zh", "早停"): "keras-introduction/callbacks/",
    ("zh", "损失函数"): "keras-introduction/compilation/",
    ("zh", "验证集"): "keras-introduction/training/",
    ("zh", "序贯模型"): "keras-introduction/sequential-api/",
    ("zh", "EarlyStopping"): "keras-introduction/callbacks/",
    ("zh", "函数式"): "keras-introduction/functional-api/",
    ("zh", "logits"): "keras-introduction/compilation/",
    ("en", "EarlyStopping"): "keras-introduction/callbacks/",
    ("en", "Functional"): "keras-introduction/functional-api/",
    ("en", "logits"): "keras-introduction/compilation/",
    ("en", "validation set"): "keras-introduction/training/",
    ("en", "Sequential"): "keras-introduction/sequential-api/",
    ("zh", "初始化"): "training-deep-networks/initialization/",
    ("zh", "批归一化"): "training-deep-networks/batch-norm/",
    ("zh", "权重衰减"): "training-deep-networks/optimizers/",
    ("zh", "正则化"): "training-deep-networks/dropout/",
    ("zh", "预热"): "training-deep-networks/lr-schedules/",
    ("zh", "梯度裁剪"): "training-deep-networks/gradient-clipping/",
    ("zh", "优化器"): "training-deep-networks/optimizers/",
    ("zh", "Dropout"): "training-deep-networks/dropout/",
    ("en", "He initialization"): "training-deep-networks/initialization/",
    ("en", "batch normalization"): "training-deep-networks/batch-norm/",
    ("en", "Dropout"): "training-deep-networks/dropout/",
    ("en", "CosineDecay"): "training-deep-networks/lr-schedules/",
    ("en", "clipnorm"): "training-deep-networks/gradient-clipping/",
    ("en", "Nesterov"): "training-deep-networks/optimizers/",
}


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args, browser_type):
    """Start Chromium: the system's, or else the one that Playwright installed."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found and not Path(browser_type.executable_path).exists():
        unavailable("there is no Chromium to test with")
    return {**browser_type_launch_args, "executable_path": found, "args": FLAGS}


@pytest.fixture
def open_page(new_context, site):
    """Return a function that opens a page of the site, in a context of its own."""

    def open_page(path, **options):
        page = new_context(**{"viewport": DESKTOP, **options}).new_page()
        page.goto(site.url + path)
        return page

    return open_page


def addresses(site):
    """Return the addresses of all HTML pages, below that of the site."""
    return [
        file.relative_to(site.folder).as_posix().removesuffix("index.html")
        for file in sorted(site.folder.rglob("*.html"))
    ]


@pytest.mark.parametrize(("edition", "query"), SEARCHES)
def test_search_finds_the_page_first_and_in_its_own_language(edition, query, open_page, site):
    page = open_page(f"{edition}/")
    search = page.locator(".md-search__input")
    search.click()
    search.fill(query)
    search.press("Shift")  # the search listens to keys
    first = page.locator(".md-search-result__link").first
    expect(first).to_be_attached(timeout=15_000)
    links = page.locator(".md-search-result__item > .md-search-result__link").evaluate_all(
        "links => links.map(link => link.href)"
    )
    assert links[0].startswith(f"{site.url}{edition}/{SEARCHES[edition, query]}"), links
    assert all(link.startswith(f"{site.url}{edition}/") for link in links)
    assert not any("/notebooks/" in link for link in links)


@pytest.mark.parametrize("edition", EDITIONS)
def test_switching_the_language_stays_on_the_page_and_at_the_heading(edition, open_page, site):
    other = "zh" if edition == "en" else "en"
    page = open_page(f"{edition}/{LESSON}#mistakes")
    page.locator(f'.md-header a[hreflang^="{other}"]').first.evaluate("link => link.click()")
    page.wait_for_url(f"{site.url}{other}/{LESSON}#mistakes")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans" if other == "zh" else "en")
    expect(page.locator("#mistakes")).to_be_in_viewport()


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_block_copied_with_what_it_needs_runs_in_an_empty_file(edition, open_page, course, tmp_path):
    page = open_page(f"{edition}/{LESSON}", permissions=["clipboard-read", "clipboard-write"])
    (lesson,) = [lesson for lesson in course.pages.values() if (lesson.edition, f"{lesson.name}/") == (edition, LESSON)]
    number = len(lesson.runnable) // 3
    page.locator("[data-copy-needed]").nth(number).click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert [line for line in copied.split("\n") if line.strip()] == [
        line for block in lesson.runnable[: number + 1] for line in block.text.split("\n") if line.strip()
    ]
    file = tmp_path / "pasted.py"
    file.write_text(copied, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, file.name],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_light_and_dark_are_a_choice_that_is_remembered(open_page, site):
    page = open_page(f"en/{LESSON}", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.locator("label.md-header__button[for^='__palette']:visible").click()
    dark = page.evaluate(background)
    assert light != dark
    page.goto(f"{site.url}zh/{LESSON}")
    assert page.evaluate(background) == dark


def test_without_javascript_a_lesson_is_readable(open_page, site):
    page = open_page(f"zh/{LESSON}", java_script_enabled=False)
    expect(page.locator("article h1")).to_be_visible()
    expect(page.locator("article math").first).to_be_visible()
    page.locator("article details summary").first.click()
    expect(page.locator("article details pre").first).to_be_visible()
    link = page.locator('.md-header a[hreflang^="en"]').first
    assert link.get_attribute("href"), "the switch of the language is a link"
    page.goto(site.url)
    page.locator("a[href*='en/']").first.click()
    expect(page).to_have_url(f"{site.url}en/")


def test_the_keyboard_alone_reaches_the_text_and_the_search(open_page):
    page = open_page(f"en/{LESSON}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.classList.contains('md-skip')")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#"))
    page.keyboard.press("/")
    expect(page.locator(".md-search__input")).to_be_focused()


class Visit:
    """One page in the browser, and all that a visit shows to be wrong with it."""

    def __init__(self, page, site):
        self.page, self.site = page, site
        self.address = ""
        self.problems = []
        page.on(
            "request", lambda request: request.url.startswith((site.url, "data:")) or self.note(f"asks {request.url}")
        )
        page.on("console", lambda message: message.type == "error" and self.note(f"logs {message.text}"))
        page.on("pageerror", lambda error: self.note(f"throws {error}"))

    def note(self, problem):
        self.problems.append(f"/{self.address} {problem}")

    def check(self, address, code_too):
        """Visit a page: it asks no other host, logs no error, keeps nobody out and is no wider than the window."""
        self.address = address
        self.page.set_viewport_size(DESKTOP)
        self.page.goto(self.site.url + address)
        self.page.add_style_tag(content="* { transition: none !important }")  # else a colour is on its way to another
        self.page.evaluate(node_tool("axe").read_text(encoding="utf-8"))
        self.keeps_out("default", code_too, {})
        self.keeps_out("slate", code_too, {"runOnly": ["color-contrast"]})
        for viewport in (DESKTOP, PHONE):
            self.page.set_viewport_size(viewport)
            width = self.page.evaluate("document.documentElement.scrollWidth")
            if width > viewport["width"]:
                self.note(f"is {width} pixels wide in a window of {viewport['width']}")

    def keeps_out(self, scheme, code_too, options):
        """Note what axe, which checks what WCAG asks for, finds in the colours of `scheme`."""
        self.page.evaluate("scheme => document.body.setAttribute('data-md-color-scheme', scheme)", scheme)
        where = {} if code_too else {"exclude": [["article pre"]]}
        run = "([where, options]) => axe.run(where.exclude ? where : document, options)"
        for violation in self.page.evaluate(run, [where, {"resultTypes": ["violations"], **options}])["violations"]:
            nodes = "; ".join(str(node["target"]) + " " + node["html"][:120] for node in violation["nodes"][:3])
            self.note(f"{violation['id']} in {scheme}: {nodes}")


@pytest.mark.parametrize("edition", [*EDITIONS, ""])
def test_each_page_serves_every_reader(edition, new_context, site):
    """Each page is visited once; of notebooks and of pages of claims, which have a template each, some; and the
    colours of code, which are the same everywhere, are looked at on one lesson."""
    every = [address for address in addresses(site) if address.partition("/")[0] == edition or not edition]
    if not edition:
        every = [address for address in every if not address.startswith(EDITIONS) and address != "404.html"]
    generated = [address for address in every if "/notebooks/" in address or "/claims/" in address]
    lessons = [address for address in every if address.count("/") == 3 and address not in generated]
    whole = sample(lessons, 1)
    visit = Visit(new_context(color_scheme="light").new_page(), site)
    for address in [*(address for address in every if address not in generated), *sample(generated, SAMPLED)]:
        visit.check(address, code_too=address in whole)
    assert not visit.problems, "\n".join(visit.problems)


@pytest.mark.parametrize(("language", "age"), [("en", "(31 days ago)"), ("zh-Hans", "（31 天前）")])
def test_a_receipt_says_its_age_and_turns_grey_after_30_days(language, age, page):
    page.clock.set_fixed_time("2026-12-21T12:00:00Z")
    times = [f'<p class="receipt"><time datetime="2026-11-{day}">…</time></p>' for day in (20, 21)]
    page.set_content(f'<html lang="{language}">{"".join(times)}</html>')
    page.add_script_tag(path=str(ROOT / "docs/assets/javascripts/receipt.js"))
    old, fresh = page.locator(".receipt").all()
    expect(old).to_contain_text(age)
    expect(old).to_have_class("receipt receipt--old")
    expect(fresh).to_have_class("receipt")
