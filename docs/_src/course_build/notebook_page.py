"""The page that shows a lesson's notebook: mkdocs-jupyter writes it, and it looks like the site.

It stands outside the navigation and the search. Its headings, its table of contents and the colours of its code
are those of the lesson's page. The templates are ours; that for Markdown, from which mkdocs-jupyter would make a
table of contents, is empty.
"""

import html
import re
from pathlib import Path
from typing import Any

import mkdocs_jupyter.config

from course_build.figures import with_figures
from course_build.mathematics import with_mathml
from course_build.printed import with_outputs_set_apart, without_outputs

HTML_HEADING = re.compile(r"<h(?P<level>[1-6])[ >].*?</h(?P=level)>", re.DOTALL)
PYTHON = re.compile(
    r'(?P<opening><div class="language-python highlight"><pre>(?:<span></span>)?<code>)(?P<code>.*?)(?=</code>)',
    re.DOTALL,
)
SHOWN_ONLY = re.compile(r"<pre><span></span>(?!<code>)(?P<text>.*?)</pre>", re.DOTALL)
DOLLARS = re.compile(
    r"(?P<other><pre.*?</pre>|<code.*?</code>|<[^>]*>)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+)\$", re.DOTALL
)
FOLDED_ON = re.compile(
    r"(?P<first>(?P<summary><summary>[^<]*</summary>)(?:(?!<summary>).)*)</details>\s*<details>\s*(?P=summary)",
    re.DOTALL,
)


def use_our_templates() -> None:
    """Let mkdocs-jupyter write notebooks by our templates: it has no setting for that in `mkdocs.yml`."""
    mkdocs_jupyter.config.settings.templates_dir = str(Path(__file__).parent / "notebook_templates")


def like_the_lesson(content: str, lesson: Any) -> str:
    """Return the HTML of a notebook with what the lesson's page, which MkDocs rendered, has better."""
    content = content.partition("<!--")[2].partition("-->")[0]
    coloured = {_text(block["code"]): block["code"] for block in PYTHON.finditer(without_outputs(lesson.content))}
    headings = HTML_HEADING.finditer(lesson.content)
    content = SHOWN_ONLY.sub(r"<pre><span></span><code>\g<text></code></pre>", content)
    content = PYTHON.sub(lambda block: block["opening"] + coloured.get(_text(block["code"]), block["code"]), content)
    content = DOLLARS.sub(_as_arithmatex, content)
    content = HTML_HEADING.sub(lambda heading: next(headings, heading)[0], content)
    if 'class="lesson-facts"' in lesson.content:
        content = re.sub(r"(</h1>\s*)<p>", r'\1<p class="lesson-facts">', content, count=1)
    while (joined := FOLDED_ON.sub(r"\g<first>", content)) != content:
        content = joined
    return with_figures(with_outputs_set_apart(with_mathml(content)))


def _as_arithmatex(match: re.Match[str]) -> str:
    """Return a formula as Arithmatex writes it."""
    if match["block"]:
        return f'<div class="arithmatex">\\[{match["block"]}\\]</div>'
    return match["other"] or f'<span class="arithmatex">\\({match["inline"]}\\)</span>'


def _text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip("\n")
