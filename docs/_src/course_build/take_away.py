"""What a reader can take away from a lesson: its script and its notebook, beside the receipt of its run.

Both files are generated with each build. The line that offers them stands below the lesson's facts, on the
lesson's page and on that of its notebook.
"""

import re

from course.claims import claims_that_held
from course.lesson import Lesson
from course.notebook import notebook_of
from course.program import Program
from course.project import ROOT
from course.receipt import read_receipt
from jinja2 import Template
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

FACTS = re.compile(r'</h1>(?:\s*<p class="lesson-facts">.*?</p>)?', re.DOTALL)
COLAB = "https://colab.research.google.com/github"


def add_files(lessons: list[Lesson], files: Files, config: MkDocsConfig) -> None:
    """Add each lesson's script and notebook, and the notebook again as the source of a page."""
    folder = ROOT / ".cache" / "notebooks" / config.extra["edition"]
    for lesson in lessons:
        text = notebook_of(lesson, config.site_url or "")
        kept = folder / lesson.notebook_page
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, encoding="utf-8")
        files.append(File.generated(config, lesson.script, content=Program.of(lesson.page).text))
        files.append(File.generated(config, lesson.notebook, content=text))
        files.append(File(lesson.notebook_page, str(folder), config.site_dir, config.use_directory_urls))


def with_place(content: str, part: str, number: int, count: int, edition: str) -> str:
    """Say above the title that the page is the lesson `number` of the `count` lessons of `part`."""
    place = {"en": f"{part} · {number} of {count}", "zh": f"{part} · 第 {number} 课，共 {count} 课"}[edition]
    return f'<p class="place" data-search-exclude>{place}</p>\n{content}'


def with_offer(content: str, page: Page, lesson: Lesson, template: Template, config: MkDocsConfig, files: Files) -> str:
    """Offer on a page of `lesson`, in its HTML `content`, what there is to take away, and show the receipt."""
    kind, path = ("lesson", f"{lesson.page.name}.md")
    if page.file.src_uri == path:
        kind, path = ("as_notebook", lesson.notebook_page)
    other = files.get_file_from_path(path)
    assert other
    links = {kind: get_relative_url(other.url, page.url)}
    if repository := config.extra["repository"]:
        links["colab"] = f"{COLAB}/{repository}/blob/notebooks/{config.extra['edition']}/{lesson.notebook}"
    links["notebook"] = get_relative_url(lesson.notebook, page.url)
    links["script"] = get_relative_url(lesson.script, page.url)
    offer = template.render(
        edition=config.extra["edition"],
        links=links,
        how=f"{get_relative_url('overview/', page.url)}#proof",
        receipt=read_receipt(lesson.page),
        claims=len(claims_that_held(lesson.page)),
    )
    return FACTS.sub(lambda facts: facts[0] + offer, content, count=1)
