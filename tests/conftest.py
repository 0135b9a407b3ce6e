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
    course.addoption(
        "--fresh", action="store_true", help="run also what passed before and has not changed; so it is under CI"
    )
    course.addoption("--kept", action="store_true", help="under CI too, reuse the results of what has not changed")
    course.addoption(
        "--time-limit",
        type=float,
        default=240,
        metavar="SECONDS",
        help="what a page's program may take (default: 240)",
    )


def pytest_configure(config):
    config.stash[VERDICTS] = []
    config.option.fresh |= "CI" in os.environ and not config.option.kept
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


def pytest_xdist_auto_num_workers(config):
    """Use one process for named pages, where starting more takes longer than they save, else one for each core."""
    return 0 if config.option.page else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Keep together in one process what shares something dear: a built site, a page's program, a lesson's fixtures."""
    for item in items:
        if "site" in item.fixturenames:
            group = "site"
        elif "page_file" in item.fixturenames:
            group = Path(*item.callspec.params["page_file"].parts[2:]).as_posix()
        elif "lesson" in item.fixturenames:
            group = item.callspec.params["lesson"].page.name
        else:
            group = item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def runner(request, course):
    """Runs the pages' programs, each distinct one once.

    Where one process judges all pages, all that are asked for begin with the first test.
    """
    option = request.config.option
    runner = Runner(option.fresh, option.time_limit, as_readers=option.fresh or "CI" in os.environ)
    if "PYTEST_XDIST_WORKER" not in os.environ:
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


def pytest_terminal_summary(terminalreporter):
    """Say what was run, from what each page's test recorded, in whichever process it ran."""
    runs = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call" and dict(report.user_properties).get("edition")
    ]
    if not runs:
        return
    terminalreporter.section("what was run")
    for edition in EDITIONS:
        count = Counter()
        for run in runs:
            if run["edition"] == edition:
                count["pages"] += 1
                count.update({key: run[key] for key in ("blocks", "run", "seconds")})
        terminalreporter.line(
            f"{edition}: {count['pages']} pages, {count['blocks']} Python blocks, {count['run']} run,"
            f" {count['seconds']:.0f} s of programs"
        )
