"""What a reader can take away from a lesson: its script and its notebook, beside the receipt of its run.

Both files are generated with each build. The line that offers them stands below the lesson's facts, on the
lesson's page and on that of its notebook.
"""

import re

from lessons import lessons_of
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url
from notebooks import notebook_of
from page_model import ROOT, markdown_instance
from receipts import read_receipt

FACTS = re.compile(r'</h1>(?:\s*<p class="lesson-facts">.*?</p>)?', re.DOTALL)
COLAB = "https://colab.research.google.com/github"


@event_priority(50)
def on_files(files, config):
    """Add each lesson's script and notebook, before mkdocs-jupyter looks for notebooks."""
    lessons = lessons_of(config.extra["edition"], markdown_instance(config))
    config.extra["lessons"] = {f"{lesson.page.name}.md": lesson for lesson in lessons}
    config.extra["notebooks"] = {lesson.notebook_page: lesson for lesson in lessons}
    config.extra["take_away"] = config.theme.get_env().get_template("partials/take-away.html")
    folder = ROOT / ".cache" / "notebooks" / config.extra["edition"]
    for lesson in lessons:
        text = notebook_of(lesson, config.site_url)
        kept = folder / lesson.notebook_page
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, encoding="utf-8")
        files.append(File.generated(config, lesson.script, content=lesson.program))
        files.append(File.generated(config, lesson.notebook, content=text))
        files.append(File(lesson.notebook_page, str(folder), config.site_dir, config.use_directory_urls))
    return files


def on_page_content(content, page, config, files):
    """Offer what there is to take away, and show the receipt."""
    extra = config.extra
    links = {}
    if lesson := extra["lessons"].get(page.file.src_uri):
        links["executed"] = get_relative_url(files.get_file_from_path(lesson.notebook_page).url, page.url)
    elif lesson := extra["notebooks"].get(page.file.src_uri):
        links["lesson"] = get_relative_url(files.get_file_from_path(f"{lesson.page.name}.md").url, page.url)
    else:
        return content
    if extra["repository"]:
        links["colab"] = f"{COLAB}/{extra['repository']}/blob/notebooks/{extra['edition']}/{lesson.notebook}"
    links["notebook"] = get_relative_url(lesson.notebook, page.url)
    links["script"] = get_relative_url(lesson.script, page.url)
    offer = extra["take_away"].render(edition=extra["edition"], links=links, receipt=read_receipt(lesson.page))
    return FACTS.sub(lambda facts: facts[0] + offer, content, count=1)
