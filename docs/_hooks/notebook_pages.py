"""The page that shows a lesson's notebook as it was run: mkdocs-jupyter writes it, and it looks like the site.

It stands outside the navigation and the search. Its headings, its table of contents and the colours of its code
are those of the lesson's page.
"""

import html
import re
from pathlib import Path

import mkdocs_jupyter.config
import mkdocs_jupyter.plugin
import nbconvert.exporters
from mkdocs.plugins import event_priority
from mkdocs.utils import get_relative_url
from page_model import ROOT

HEADING = re.compile(r"<h(?P<level>[1-6])[ >].*?</h(?P=level)>", re.DOTALL)
CODE = re.compile(r'(?<=<div class="language-python highlight"><pre><span></span><code>).*?(?=</code>)', re.DOTALL)
PRINTED = re.compile(r'^[ ]*<span class="c1">#(?:&gt;|~).*\n', re.MULTILINE)
SHOWN_ONLY = re.compile(r"<pre><span></span>(?!<code>)(?P<text>.*?)</pre>", re.DOTALL)
FORMULA = re.compile(
    r"(?P<other><pre.*?</pre>|<code.*?</code>|<[^>]*>)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+)\$", re.DOTALL
)
FOLDED_ON = re.compile(
    r"(?P<first>(?P<summary><summary>[^<]*</summary>)(?:(?!<summary>).)*)</details>\s*<details>\s*(?P=summary)",
    re.DOTALL,
)

# mkdocs-jupyter uses a template of ours, makes no table of contents, and validates a notebook once, not after
# each step.
mkdocs_jupyter.config.settings.templates_dir = str(Path(__file__).resolve().parents[1] / "_notebook")
mkdocs_jupyter.plugin._get_nb_toc_tokens = lambda file, depth: ([], None)
nbconvert.exporters.Exporter.optimistic_validation = True


def on_config(config):
    """Keep apart for each edition what mkdocs-jupyter made."""
    folder = ROOT / ".cache" / "mkdocs-jupyter" / config.extra["edition"]
    config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(folder)
    return config


def on_page_markdown(markdown, page, config, files):
    """Name the page of a notebook, and keep it out of the search."""
    if lesson := config.extra["notebooks"].get(page.file.src_uri):
        front_matter = lesson.page.front_matter
        title = f"{front_matter.get('title', lesson.page.name)} · Notebook"
        page.meta = {**front_matter, "title": title, "search": {"exclude": True}}


@event_priority(50)
def on_page_content(content, page, config, files):
    """Finish the page of a notebook before other hooks see it: the lesson's page came earlier."""
    if page.file.src_uri in config.extra["lessons"]:
        page.coloured = {_text(code): code for code in CODE.findall(PRINTED.sub("", content))}
    elif lesson := config.extra["notebooks"].get(page.file.src_uri):
        original = files.get_file_from_path(f"{lesson.page.name}.md").page
        page.toc = original.toc
        content = _like_the_lesson(content.partition("<!--")[2].partition("-->")[0], original)
        while (joined := FOLDED_ON.sub(r"\g<first>", content)) != content:
            content = joined
        return content.replace(f'="{config.site_url}', f'="{get_relative_url("./", page.url)}')
    return content


def _like_the_lesson(content, original):
    """Return the HTML of a notebook with what the lesson's page has better: headings, colours, formulas."""
    headings = HEADING.finditer(original.content)
    content = SHOWN_ONLY.sub(r"<pre><span></span><code>\g<text></code></pre>", content)
    content = CODE.sub(lambda code: original.coloured.get(_text(code[0]), code[0]), content)
    content = FORMULA.sub(_formula, content)
    content = HEADING.sub(lambda heading: next(headings, heading)[0], content)
    if 'class="lesson-facts"' in original.content:
        content = re.sub(r"(</h1>\s*)<p>", r'\1<p class="lesson-facts">', content, count=1)
    return content


def _formula(match):
    """Return a formula as Arithmatex writes it for the hook that makes MathML."""
    if match["block"]:
        return f'<div class="arithmatex">\\[{match["block"]}\\]</div>'
    return match["other"] or f'<span class="arithmatex">\\({match["inline"]}\\)</span>'


def _text(markup):
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip("\n")
