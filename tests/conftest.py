"""Options and fixtures of the tests, and the account of what was run that they close with."""

import difflib
import math
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from course.page import Page
from course.program import Program
from course.project import EDITIONS, page_files
from course.receipt import read_receipt

from tests.built_site import build, free_port, serve
from tests.verify.checks.sections import snippet_files
from tests.verify.course import Course
from tests.verify.edits import apply_edits, keep_figures, mark_translated
from tests.verify.run.runner import Runner
from tests.verify.verdict import Verdict

PAGES = {
    file.relative_to("docs").with_suffix("").as_posix(): file for edition in EDITIONS for file in page_files(edition)
}
VERDICTS = pytest.StashKey[list[Verdict]]()
RUNNER = pytest.StashKey[Runner]()


def pytest_addoption(parser):
    course = parser.getgroup("course")
    course.addoption(
        "--page",
        action="append",
        default=[],
        metavar="NAME",
        help="judge this page in both editions, with its snippets: training, keras-introduction/training;"
        " or in one: zh/keras-introduction/training. May be given more than once",
    )
    course.addoption(
        "--update", action="store_true", help="rewrite what the named pages say is printed, and their figures"
    )
    course.addoption(
        "--translated",
        action="store_true",
        help="mark the Chinese sections of the named pages as true to the English of today",
    )
    course.addoption("--fresh", action="store_true", help="run also the programs whose results were kept")
    course.addoption(
        "--time-limit",
        type=float,
        default=240,
        metavar="SECONDS",
        help="what a page's program may take (default: 240)",
    )


def pytest_configure(config):
    config.stash[VERDICTS] = []
    for option in ("update", "translated"):
        if getattr(config.option, option) and not config.option.page:
            raise pytest.UsageError(f"--{option} writes: name each page that it may write with --page")
    for name in config.option.page:
        if not any(is_named(name, page) for page in PAGES):
            names = [page.rpartition("/")[2] for page in PAGES]
            near = difflib.get_close_matches(name.rpartition("/")[2], names, n=1)
            raise pytest.UsageError(f"there is no page {name}" + (f"; is it {near[0]}?" if near else ""))


def is_named(name, page):
    """Tell whether `name` is that of a page given as `zh/part/lesson`: the whole of it, or from a folder on."""
    return f"/{page}".endswith(f"/{name}")


def page_of(snippet_file):
    """Return the English page, given like that, of a lesson's module."""
    return f"en/{snippet_file.relative_to('snippets').with_suffix('').as_posix().replace('_', '-')}"


def asked_for(config, page):
    """Tell whether the page `zh/part/lesson` is to be judged."""
    return not config.option.page or any(is_named(name, page) for name in config.option.page)


def pytest_generate_tests(metafunc):
    if "page_file" in metafunc.fixturenames:
        pages = {name: file for name, file in PAGES.items() if asked_for(metafunc.config, name)}
        metafunc.parametrize("page_file", pages.values(), ids=pages.keys())
    if "snippet_file" in metafunc.fixturenames:
        files = [file for file in snippet_files() if asked_for(metafunc.config, page_of(file))]
        metafunc.parametrize("snippet_file", files, ids=str)


def expected_cost(page: Page):
    """Return what sorts pages by how long their programs will run.

    That is the seconds of the last run; a program that changed since, or failed, comes before those that did
    not, the longest text first.
    """
    receipt = read_receipt(page)
    return receipt["seconds"] if receipt else math.inf, sum(len(block.text) for block in page.runnable)


@pytest.fixture(scope="session")
def runner(request, course):
    """Runs the pages' programs, each distinct one once: all that are asked for begin with the first test."""
    option = request.config.option
    fresh = option.fresh or "CI" in os.environ
    runner = request.config.stash[RUNNER] = Runner(fresh, option.time_limit, as_readers=fresh)
    files = [item.callspec.params["page_file"] for item in request.session.items if "runner" in item.fixturenames]
    pages = [page for file in files if (page := course.pages[file]).runnable]
    for page in sorted(pages, key=expected_cost, reverse=True):  # so that no long one ends alone
        runner.submit(Program.of(page))
        runner.submit_script(Program.of(page), f"{page.module}.py")
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def course():
    """All pages of both editions."""
    return Course()


@pytest.fixture(scope="session")
def verdicts(request):
    """The verdicts on the pages, as they come; at the end what --update and --translated ask for is written."""
    verdicts = request.config.stash[VERDICTS]
    yield verdicts
    option = request.config.option
    if option.update:
        passed = [verdict for verdict in verdicts if verdict.result and verdict.result.passed]
        apply_edits(edit for verdict in passed for edit in verdict.edits)
        for verdict in passed:
            keep_figures(verdict.page, verdict.result)
    if option.translated:
        today = Course()
        for verdict in verdicts:
            page, english = today.pages[verdict.page.file], today.counterpart(verdict.page, "en")
            if page.edition == "zh" and english and not verdict.left(option.update, translated=True):
                mark_translated(page, english)


class Site(NamedTuple):
    """The built site: the folder that holds it and the address that serves it while the tests run."""

    folder: Path
    url: str


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Both editions, built by the command that publishes them, and served."""
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    url = f"http://127.0.0.1:{port}/"
    built = build(folder, url)
    if built.returncode:
        pytest.fail(f"the site could not be built:\n{built.stdout}{built.stderr}", pytrace=False)
    with serve(folder, port):
        yield Site(folder, url)


def pytest_terminal_summary(terminalreporter, config):
    verdicts = config.stash[VERDICTS]
    if not verdicts:
        return
    terminalreporter.section("what was run")
    for edition in EDITIONS:
        count = Counter()
        for verdict in verdicts:
            if verdict.page.edition == edition:
                result = verdict.result
                count["pages"] += 1
                count["blocks"] += sum(block.language == "python" for block in verdict.page.blocks)
                count["run"] += len(result.printed) - bool(result.failure) if result else 0
                count["seconds"] += result.seconds if result else 0
        terminalreporter.line(
            f"{edition}: {count['pages']} pages, {count['blocks']} Python blocks, {count['run']} run,"
            f" {count['seconds']:.0f} s of programs"
        )
    runner = config.stash[RUNNER]
    terminalreporter.line(f"{runner.submitted} distinct programs, {runner.recalled} recalled from earlier runs")
