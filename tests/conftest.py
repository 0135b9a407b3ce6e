"""Options and fixtures of the tests, and the account of what was run that they close with."""

import math
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from page_model import EDITIONS, page_files
from receipts import read_receipt

from tests.harness.course import Course
from tests.harness.editions import mark_translated
from tests.harness.judgement import apply_edits
from tests.harness.program import Program
from tests.harness.runner import Runner
from tests.harness.site import build, free_port, serve

PAGES = [file for edition in EDITIONS for file in page_files(edition)]


def pytest_addoption(parser):
    course = parser.getgroup("course")
    course.addoption("--update", action="store_true", help="rewrite what the pages say is printed, and their figures")
    course.addoption(
        "--translated", action="store_true", help="mark the Chinese sections as true to the English of today"
    )
    course.addoption("--fresh", action="store_true", help="run also the programs whose results were kept")
    course.addoption(
        "--time-limit",
        type=float,
        default=240,
        metavar="SECONDS",
        help="what a page's program may take; a lesson takes at most 30 on two quiet cores (default: 240)",
    )


def pytest_generate_tests(metafunc):
    if "page_file" in metafunc.fixturenames:
        ids = [file.relative_to("docs").with_suffix("").as_posix() for file in PAGES]
        metafunc.parametrize("page_file", PAGES, ids=ids)


def pytest_collection_finish(session):
    """Begin to run the programs of all pages that were asked for; the tests then wait for theirs."""
    files = [
        item.callspec.params["page_file"]
        for item in session.items
        if "runner" in item.fixturenames and "page_file" in item.callspec.params
    ]
    if not files or session.config.option.collectonly:
        return
    fresh = session.config.option.fresh or "CI" in os.environ
    session.config.runner = Runner(fresh, session.config.option.time_limit)
    if fresh:
        session.config.runner.start()
    session.config.course = Course()
    pages = [session.config.course.pages[file] for file in files]
    for page in sorted(pages, key=expected_cost, reverse=True):  # so that no long one ends alone
        if page.program:
            session.config.runner.submit(Program.of(page))


def expected_cost(page):
    """Return what sorts pages by how long their programs will run.

    That is the seconds of the last run; a program that changed since, or failed, comes before those that did
    not, the longest text first.
    """
    receipt = read_receipt(page)
    return receipt["seconds"] if receipt else math.inf, sum(len(block.text) for block in page.program)


@pytest.fixture(scope="session")
def runner(pytestconfig):
    """Runs the pages' programs, each distinct one once."""
    yield pytestconfig.runner
    pytestconfig.runner.close()


@pytest.fixture(scope="session")
def course(pytestconfig):
    """All pages of both editions."""
    return getattr(pytestconfig, "course", None) or Course()


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


def pytest_sessionfinish(session):
    """Write what --update and --translated ask for, when all pages are judged."""
    runner = getattr(session.config, "runner", None)
    if runner is None:
        return
    apply_edits(runner.edits)
    if session.config.option.translated:
        course = Course()
        for page in runner.judged:
            if page.edition == "zh" and course.counterpart(page, "en"):
                mark_translated(course.pages[page.file], course)


def pytest_terminal_summary(terminalreporter, config):
    runner = getattr(config, "runner", None)
    if runner is None:
        return
    terminalreporter.section("what was run")
    for edition in EDITIONS:
        pages = [page for page in runner.judged if page.edition == edition]
        count = Counter()
        for page in pages:
            result = runner.submit(Program.of(page)).result() if page.program else None
            count["pages"] += 1
            count["blocks"] += sum(block.language == "python" for block in page.blocks)
            count["run"] += len(result.printed) - bool(result.failure) if result else 0
            count["seconds"] += result.seconds if result else 0
        terminalreporter.line(
            f"{edition}: {count['pages']} pages, {count['blocks']} Python blocks, {count['run']} run,"
            f" {count['seconds']:.0f} s of programs"
        )
    terminalreporter.line(f"{runner.programs} distinct programs, {runner.recalled} recalled from earlier runs")
