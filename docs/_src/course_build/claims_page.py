"""The marks behind tested sentences, and the page of a lesson's claims that they lead to.

The page is made as Markdown with each build, in either language: each test as it stands, with the sentences that
name it and what came of its last run. It stands outside the navigation and the search.
"""

import re

from course.claims import MARK, claim_tests, marks_of, read_claims_receipt, shared_source, test_module
from course.lesson import Lesson
from jinja2 import Environment
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

LINK = re.compile(r"\[(?P<text>[^\]]*)\]\([^)]*\)")  # what a link in a sentence leads to is relative to its page
LABEL = {"en": "See the test of this sentence", "zh": "查看检验这句话的测试"}


def claims_page(lesson: Lesson) -> str:
    """Return the source of the page of a lesson's claims, relative to the edition."""
    return f"{lesson.folder}/claims/{lesson.page.file.name}"


def with_links(markdown: str, lesson: Lesson) -> str:
    """Turn the marks in the Markdown of a lesson's page into links that say where they lead."""
    label = LABEL[lesson.page.edition]
    target = f"claims/{lesson.page.file.name}"
    attributes = f'{{ .claim data-search-exclude aria-label="{label}" title="{label}" }}'
    return MARK.sub(lambda mark: f"[✓]({target}#{anchor(mark['claim'])}){attributes}", markdown)


def anchor(claim: str) -> str:
    """Return the id of a claim's heading."""
    return claim.replace("_", "-")


def add_pages(lessons: list[Lesson], files: Files, config: MkDocsConfig, environment: Environment) -> None:
    """Add the page of the claims of each lesson that has marks."""
    template = environment.get_template("claims.md")
    for lesson in lessons:
        marks = marks_of(lesson.page)
        if marks:
            text = template.render(
                page=lesson.page,
                tests=claim_tests(lesson.page),
                marks=marks,
                shared=shared_source(lesson.page),
                module=test_module(lesson.page).as_posix(),
                receipt=read_claims_receipt(lesson.page),
                anchor=anchor,
                without_links=lambda sentence: LINK.sub(r"\g<text>", sentence),
                section_of=lambda line, headings=lesson.page.headings: next(
                    (heading.id for heading in reversed(headings) if heading.line <= line), headings[0].id
                ),
            )
            uri = claims_page(lesson)
            files.append(File.generated(config, uri, content=text, inclusion=InclusionLevel.NOT_IN_NAV))
