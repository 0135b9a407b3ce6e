"""What MkDocs calls, and in which order: each event of a build, and the functions that answer it."""

from pathlib import Path
from typing import Any

from course.contents import filled
from course.files import Unreadable
from course.lesson import Lesson, lessons_of
from course.project import EDITIONS, ROOT, page_files
from course.reading import PageReader
from jinja2 import Environment, FileSystemBytecodeCache
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import MkDocsException, PluginError
from mkdocs.plugins import BasePlugin, event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from course_build import claims_page, edition, publishing, search, take_away
from course_build.accessible import with_names
from course_build.mathematics import FormulaError
from course_build.notebook_page import like_the_lesson, use_our_templates

CACHE = ROOT / ".cache"


class CoursePlugin(BasePlugin):  # type: ignore[type-arg, no-untyped-call]
    """Makes a site of the course; `mkdocs.yml` names it `course`."""

    reader: PageReader
    lessons: dict[str, Lesson]  # by the source of the lesson's page, and by that of its notebook's

    @event_priority(100)
    def on_config(self, config: MkDocsConfig) -> None:
        publishing.check_addresses(config)
        edition.configure(config)
        if config.extra["edition"] == "zh":
            search.teach_terms()
        use_our_templates()
        kept = CACHE / "mkdocs-jupyter" / config.extra["edition"]  # apart for each edition
        config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(kept)

    @event_priority(50)
    def on_files(self, files: Files, config: MkDocsConfig) -> None:
        """Add to the pages what comes with them, before mkdocs-jupyter looks for notebooks."""
        publishing.check_proof(config)
        edition.add_shared_files(files, config)
        self.reader = PageReader()
        lessons = lessons_of(config.extra["edition"], self.reader)
        take_away.add_files(lessons, files, config)
        claims_page.add_pages(lessons, files, config, config.theme.get_env())
        self.lessons = {f"{lesson.page.name}.md": lesson for lesson in lessons}
        self.lessons |= {lesson.notebook_page: lesson for lesson in lessons}
        self.offer = config.theme.get_env().get_template("partials/take-away.html")

    def on_env(self, env: Environment, config: MkDocsConfig, files: Files) -> None:
        """Keep what Jinja makes of the templates, for both editions and later builds."""
        folder = CACHE / "templates"
        folder.mkdir(parents=True, exist_ok=True)
        env.bytecode_cache = FileSystemBytecodeCache(str(folder))

    def on_page_markdown(self, markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
        """Fill in what the course says of itself; make links of a lesson's marks; name the page of its notebook."""
        source = Path("docs", config.extra["edition"], page.file.src_uri)
        if "{{" in markdown and (ROOT / source).exists():
            markdown = filled(markdown, self.reader.read(source), self.reader.read)
        lesson = self.lessons.get(page.file.src_uri)
        if not lesson:
            return markdown
        if page.file.src_uri == lesson.notebook_page:
            title = f"{lesson.page.title} · Notebook"
            page.meta = {**lesson.page.front_matter, "title": title, "search": {"exclude": True}}
            return markdown
        return claims_page.with_links(markdown, lesson)

    def on_page_content(self, html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
        """Finish the pages of a lesson; that of its notebook comes after its own."""
        lesson = self.lessons.get(page.file.src_uri)
        if not lesson:
            return html
        if page.file.src_uri == lesson.notebook_page:
            file = files.get_file_from_path(f"{lesson.page.name}.md")
            assert file and file.page
            page.toc = file.page.toc
            html = like_the_lesson(html, file.page)
            html = html.replace(f'="{config.site_url}', f'="{get_relative_url("./", page.url)}')
        html = take_away.with_offer(html, page, lesson, self.offer, config, files)
        part = self.reader.read(lesson.page.file.with_name("index.md")).title
        count = sum(other.folder == lesson.folder for other in self.lessons.values()) // 2
        return take_away.with_place(html, part, lesson.number, count, config.extra["edition"])

    @event_priority(-50)
    def on_page_context(self, context: Any, page: Page, config: MkDocsConfig, nav: Any) -> None:
        """Add to the search index, after Material has indexed the page."""
        index: Any = config.plugins["material/search"]
        search.add_title(index.search_index.entries, str(page.title), page.url)

    @event_priority(-100)
    def on_post_page(self, output: str, page: Page, config: MkDocsConfig) -> str:
        return with_names(output)

    @event_priority(-100)
    def on_post_build(self, config: MkDocsConfig) -> None:
        edition.build_following(config)

    def on_build_error(self, error: Exception) -> None:
        """Say in which line of an editor's file something broke the build, where it stands in one."""
        if isinstance(error, MkDocsException):
            return
        if isinstance(error, Unreadable | FormulaError | OSError):
            raise PluginError(str(error)) from None
        reader, files = PageReader(), [file for name in EDITIONS for file in page_files(name)]
        if problems := [problem for file in files for problem in reader.read(file).problems]:
            raise PluginError("\n".join(map(str, problems))) from None
