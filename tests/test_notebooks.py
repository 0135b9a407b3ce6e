"""The notebooks are the lessons: valid, without a trace of the site's syntax, and they do what they show."""

import hashlib
import re
import tempfile
from pathlib import Path

import lxml.html
import nbformat
import pytest
from course import files, reading
from course import notebook as course_notebook
from course.lesson import Lesson, lessons_of
from course.outputs import split_statements, without_comments
from course.project import EDITIONS, ROOT
from course.reading import PageReader
from nbclient import NotebookClient

from tests.samples import sample
from tests.verify.run.runner import environment_digest

SITE = "https://example.org/course/"
LESSONS = {edition: lessons_of(edition, PageReader()) for edition in EDITIONS}
TIME_LIMIT = 300  # seconds a cell
RUN_EACH_DAY = 3  # of the lessons: their scripts, which hold the same code, are run all
SITE_SYNTAX = re.compile(r"^\s*(?:!!!|\?\?\?)|--8<--|\{\s*[#.][A-Za-z]|\]\((?![a-z]+:)", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[\d;]*m")
KEPT = ROOT / ".cache" / "executed-notebooks"
AS_ON_THE_PAGE = """\
def prepare():
    import warnings
    def show(message, category, *where, **more):
        print(f"{category.__name__}: {message}")
    warnings.showwarning = show
prepare()
del prepare
"""


def run_notebook(file):
    """Run a notebook from top to bottom in a fresh kernel and an empty folder; return it."""
    notebook = nbformat.read(file, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(AS_ON_THE_PAGE))
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=TIME_LIMIT, resources={"metadata": {"path": folder}})
        client.execute()
    del notebook.cells[0]
    return notebook


def run_or_recall(lesson, fresh):
    """Return the executed notebook of a lesson: that of an earlier run of the same code here, unless `fresh`."""
    text = course_notebook.notebook_of(lesson, SITE)
    code = [cell.source for cell in code_cells(nbformat.reads(text, as_version=4))]
    kept = KEPT / hashlib.sha256(repr((code, environment_digest())).encode()).hexdigest()
    if not fresh and kept.exists():
        return nbformat.read(kept, as_version=4)
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        file = Path(folder, "notebook.ipynb")
        file.write_text(text, encoding="utf-8")
        nbformat.write(run_notebook(file), file)
        file.replace(kept)
    return nbformat.read(kept, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def notebook_of(lesson):
    text = course_notebook.notebook_of(lesson, f"{SITE}{lesson.page.edition}/")
    return nbformat.reads(text, as_version=4)


def lines_printed(cell):
    """Return what a code cell that ran printed, but for empty lines and for what TensorFlow logs."""
    texts = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append(f"\n{output.ename}: {output.evalue}\n")
        elif output.output_type == "display_data" and "image/png" not in output.data:
            texts.append(f"\n{COLOUR.sub('', output.data['text/plain'])}\n")  # what `summary` shows
    lines = "".join(texts).splitlines()
    return [line.rstrip().expandtabs() for line in lines if line.strip() and not line.startswith("WARNING:tensorflow:")]


def difference(block, cell):
    """Return how what the cell printed departs from what the block announces, or ""."""
    announced = [line for statement in split_statements(block.text) for line in statement.printed if line.text]
    printed = lines_printed(cell)
    if len(announced) == len(printed) and all(map(lambda line, text: line.agrees_with(text), announced, printed)):
        return ""
    said, did = "\n  ".join(map(str, announced)), "\n  ".join(printed)
    return f"line {block.start_line} of the page says that this prints\n  {said}\nand it printed\n  {did}\n"


def pictures(cell):
    return sum(output.output_type == "display_data" and "image/png" in output.data for output in cell.outputs)


every_lesson = pytest.mark.parametrize(
    "lesson",
    [lesson for lessons in LESSONS.values() for lesson in lessons],
    ids=lambda lesson: f"{lesson.page.edition}/{lesson.page.name}",
)
every_english_lesson = pytest.mark.parametrize("lesson", LESSONS["en"], ids=lambda lesson: lesson.page.name)


@every_lesson
def test_notebook_is_valid_and_always_the_same(lesson):
    notebook = notebook_of(lesson)
    nbformat.validate(notebook)
    assert notebook == notebook_of(lesson)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@every_lesson
def test_notebook_holds_the_blocks_and_figures_of_the_page(lesson):
    cells = code_cells(notebook_of(lesson))
    assert [cell.source for cell in cells] == [
        without_comments(block.text).strip("\n") for block in lesson.page.runnable
    ]
    shown = {line for part in lesson.page.prose for line in re.findall(r"/figures/(\S+\.png)", part.text)}
    drawn = [output.metadata["image/png"]["src"] for cell in cells for output in cell.outputs if "data" in output]
    assert sorted(drawn) == sorted(f"{SITE}{lesson.page.edition}/assets/figures/{name}" for name in shown)


@every_lesson
def test_notebook_keeps_no_syntax_of_the_site(lesson):
    for cell in notebook_of(lesson).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", "", cell.source, flags=re.DOTALL)
            assert not SITE_SYNTAX.search(prose), cell.source


@every_lesson
def test_page_of_the_notebook_shows_its_cells_in_colour_under_the_lessons_headings(lesson, site):
    folder = site.folder / lesson.page.edition / lesson.notebook_page.removesuffix(".ipynb")
    article = lxml.html.parse(str(folder / "index.html")).getroot().cssselect("article")[0]
    shown = [code.text_content().strip("\n") for code in article.cssselect(".language-python code")]
    assert shown == [cell.source for cell in code_cells(notebook_of(lesson))]
    assert article.cssselect(".language-python code .kn"), "the code has no colours"
    ids = [heading.get("id") for heading in article.xpath(".//h1|.//h2|.//h3|.//h4")]
    assert ids == [heading.id for heading in lesson.page.headings]


@every_english_lesson
def test_both_editions_have_the_same_code(lesson):
    (chinese,) = [other for other in LESSONS["zh"] if other.page.name == lesson.page.name]
    assert chinese.notebook == lesson.notebook
    sources = [[cell.source for cell in code_cells(notebook_of(edition))] for edition in (lesson, chinese)]
    assert sources[0] == sources[1]


@pytest.mark.parametrize("lesson", sample(LESSONS["en"], RUN_EACH_DAY), ids=lambda lesson: lesson.page.name)
def test_notebook_runs_and_does_what_it_shows(lesson, pytestconfig):
    cells = code_cells(run_or_recall(lesson, pytestconfig.option.fresh))
    problems = [difference(block, cell) for block, cell in zip(lesson.page.runnable, cells, strict=True)]
    for block, shown, cell in zip(lesson.page.runnable, code_cells(notebook_of(lesson)), cells, strict=True):
        if pictures(shown) != pictures(cell):
            problems.append(f"line {block.start_line} draws {pictures(cell)} figures, not {pictures(shown)}\n")
    assert not any(problems), "\n".join(filter(None, problems))


PAGE = """\
---
title: Title
---

# Heading {#heading}

A [link](../other/index.md#there), [`code`](lesson.md) and `[0](x)`, $a_{.b}$.
{ .lesson-facts }

<!-- for editors -->

!!! note "Mind this"

    Some words.

    ```text
    shown only
    ```

```python
draw("curve")
print("<b>")
#> <b>
```

![It falls](../assets/figures/part/lesson/curve.png){ .photo }

*Caption.*

??? success "Solution"

    Because.

    ```python
    print(0.5)
    #~ 0.51
    ```

    So there.
"""


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """The cells of the notebook of a small page of its own."""
    file = Path("docs", "en", "part", "lesson.md")
    figure = tmp_path / "docs" / "assets" / "figures" / "part" / "lesson" / "curve.png"
    for path, content in ((tmp_path / file, PAGE.encode()), (figure, bytes(16) + b"\0\0\4\0")):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(reading, "ROOT", tmp_path)
    monkeypatch.setattr(course_notebook, "ROOT", tmp_path)
    page = PageReader().read(file)
    return notebook_of(Lesson(page, 3)).cells


def test_prose_becomes_plain_markdown_with_whole_addresses(cells):
    opening, prose, _, caption, *_ = cells
    assert f"[Title]({SITE}en/part/lesson/)" in opening.source
    assert prose.source == (
        f"# Heading\n\nA [link]({SITE}en/other/#there), [`code`]({SITE}en/part/lesson/) and `[0](x)`, $a_{{.b}}$.\n\n"
        "> **Mind this**\n>\n> Some words.\n>\n> ```text\n> shown only\n> ```"
    )
    assert caption.source.startswith("*Caption.*\n\n<details>")


def test_a_block_shows_what_it_printed_and_drew(cells):
    stream, figure = cells[2].outputs
    assert cells[2].source == 'draw("curve")\nprint("<b>")'
    assert (stream.name, stream.text) == ("stdout", "<b>\n")
    assert figure.metadata["image/png"] == {
        "alt": "It falls",
        "width": 512,
        "src": f"{SITE}en/assets/figures/part/lesson/curve.png",
        "class": "photo",
    }


def test_a_solution_is_folded(cells):
    *_, words, solution, more = cells
    assert words.source.endswith("<details>\n<summary>Solution</summary>\n\nBecause.\n\n</details>")
    assert solution.metadata.jupyter.source_hidden and solution.metadata.title == "Solution"
    assert solution.outputs[0].text == "0.51\n"
    assert more.source == "<details>\n<summary>Solution</summary>\n\nSo there.\n\n</details>"
