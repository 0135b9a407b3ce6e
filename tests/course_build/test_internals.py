"""What is built on parts of other packages that they do not promise to keep: each part is still as it was."""

import inspect
import re
from pathlib import Path

import material
import mkdocs_jupyter.config
import mkdocs_jupyter.nbconvert2
from course_build.accessible import AUTOCOMPLETE, NAVIGATION_TITLE, with_names
from pymdownx.superfences import SuperFencesBlockPreprocessor
from pytest_examples.run_code import run_code

TEMPLATES = Path(material.__file__).parent / "templates"


def template(name):
    return (TEMPLATES / name).read_text(encoding="utf-8")


def test_material_still_lacks_what_is_put_right():
    assert re.search(r'class="md-search" [^>]*role="dialog"', template("partials/search.html"))
    assert "aria-label" not in re.search(r'<div class="md-search"[^>]*>', template("partials/search.html"))[0]
    item = re.sub(r"{{ path }}|{{ _id }}", "__nav_1", template("partials/nav-item.html"))
    assert 'aria-labelledby="__nav_1_label"' in item
    assert NAVIGATION_TITLE.search(item)
    assert AUTOCOMPLETE.search(re.sub(r'autocomplete="\w+"', 'autocomplete="off"', template("base.html")))


def test_what_material_lacks_is_put_right():
    page = (
        '<div class="md-search" role="dialog"><input name="query" aria-label="Search">'
        '<input type="checkbox" id="__drawer" autocomplete="off"><label for="__toc" tabindex="">'
        '<nav aria-labelledby="__nav_1_label"><label class="md-nav__title" for="__nav_1">'
    )
    assert with_names(page) == (
        '<div class="md-search" aria-label="Search" role="dialog"><input name="query" aria-label="Search">'
        '<input type="checkbox" id="__drawer"><label>'
        '<nav aria-labelledby="__nav_1_title"><label class="md-nav__title" for="__nav_1" id="__nav_1_title">'
    )


def test_mkdocs_jupyter_takes_its_templates_from_the_folder_that_is_set():
    assert hasattr(mkdocs_jupyter.config.settings, "templates_dir")
    source = inspect.getsource(mkdocs_jupyter.nbconvert2)
    for name in ("mkdocs_html/notebook.html.j2", "mkdocs_md/md-no-codecell.md.j2"):
        assert name in source


def test_fences_hand_each_block_to_one_method():
    parameters = inspect.signature(SuperFencesBlockPreprocessor.process_nested_block).parameters
    assert list(parameters) == ["self", "ws", "content", "start", "end"]


def test_pytest_examples_runs_what_a_loader_loads():
    """`EvalExample` would make a module of each block; `run_code` takes the loader that keeps one for a page."""
    assert {"example", "python_file", "loader", "config"} <= inspect.signature(run_code).parameters.keys()
