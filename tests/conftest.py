"""Options and fixtures of the tests, and the account of what was run that they close with."""

import difflib
import math
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from course.files import Unreadable
from course.markdown import extensions
from course.page import Page
from course.program import Program
from course.project import EDITIONS, ROOT, page_files
from course.receipt import read_receipt
from filelock import FileLock, Timeout

from tests import unchanged
from tests.built_site import build, free_port, serve
from tests.completeness import not_run
from tests.together import Together, place_of
from tests.verify import commands
from tests.verify.checks.sections import snippet_files
from tests.verify.course import Course
from tests.verify.history import changes
from tests.verify.run.runner import Runner
from tests.verify.verdict import Verdict

PAGES = {
    file.relative_to("docs").with_suffix("").as_posix(): file for edition in EDITIONS for file in page_files(edition)
}
VERDICTS = pytest.StashKey[list[Verdict]]()
CHANGES = pytest.StashKey[list[str]]()  # in the English, for --translated
REFUSED = pytest.StashKey[list[str]]()  # what was not written, and why
LEFT_OUT = pytest.StashKey[list[str]]()  # the tests that CI did not run
WRITING = pytest.StashKey[FileLock]()


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
    course.addoption(
        "--kept",
        action="store_true",
        help="under CI too, reuse the results of what has not changed, the tests of the machinery among them",
    )
    course.addoption(
        "--time-limit",
        type=float,
        default=240,
        metavar="SECONDS",
        help="what a page's program may take (default: 240)",
    )


def pytest_configure(config):
    config.stash[VERDICTS], config.stash[CHANGES], config.stash[REFUSED] = [], [], []
    config.stash[LEFT_OUT] = []
    try:
        extensions()
    except Unreadable as error:
        raise pytest.UsageError(str(error)) from error
    config.option.fresh |= "CI" in os.environ and not config.option.kept
    for option in ("update", "translated"):
        if getattr(config.option, option):
            if not config.option.page:
                raise pytest.UsageError(f"--{option} writes: name each page that it may write with --page")
            if config.option.numprocesses:
                raise pytest.UsageError(f"--{option} writes, in one process: leave --numprocesses away")
            write_alone(config)
    for name in config.option.page:
        if not any(is_named(name, page) for page in PAGES):
            names = [page.rpartition("/")[2] for page in PAGES]
            near = difflib.get_close_matches(name.rpartition("/")[2], names, n=1)
            raise pytest.UsageError(f"there is no page {name}" + (f"; is it {near[0]}?" if near else ""))


def write_alone(config):
    """Hold, until this run ends, what lets one run at a time write into the project."""
    config.stash[WRITING] = FileLock(ROOT / ".cache" / "writing.lock")
    try:
        config.stash[WRITING].acquire(timeout=0)
    except Timeout as error:
        raise pytest.UsageError("another --update or --translated is running here: wait until it has ended") from error


def is_named(name, page):
    """Tell whether `name` is that of a page given as `zh/part/lesson`: the whole of it, or from a folder on."""
    return f"/{page}".endswith(f"/{name}")


def page_of(snippet_file):
    """Return the English page, given like that, of a lesson's module."""
    return f"en/{snippet_file.relative_to('snippets').with_suffix('').as_posix().replace('_', '-')}"


def asked_for(config, page):
    """Tell whether the page `zh/part/lesson` is to be judged: with --translated, also the English of what is named."""
    also = [f"zh/{page[3:]}"] if config.option.translated else []
    return not config.option.page or any(is_named(name, one) for name in config.option.page for one in (page, *also))


def pytest_generate_tests(metafunc):
    if "page_file" in metafunc.fixturenames:
        pages = {name: file for name, file in PAGES.items() if asked_for(metafunc.config, name)}
        metafunc.parametrize("page_file", pages.values(), ids=pages.keys())
    if "snippet_file" in metafunc.fixturenames:
        files = [file for file in snippet_files() if asked_for(metafunc.config, page_of(file))]
        metafunc.parametrize("snippet_file", files, ids=str)


def pytest_collection_modifyitems(config, items):
    passed_by = [item for item in items if is_passed_by(config, item.nodeid)]
    config.hook.pytest_deselected(items=passed_by)
    items[:] = sorted((item for item in items if item not in passed_by), key=place_of)


def is_passed_by(config, test):
    """Tell whether a test, given by its id, is left out because it passed before and nothing changed."""
    machinery = config.option.kept and unchanged.machinery_passed(test)
    return machinery or (not config.option.fresh and unchanged.claim_held(test))


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


def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)


@pytest.fixture(scope="session")
def runner(request, course):
    """Runs the pages' programs, each distinct one once.

    Where one process judges all pages, all that are asked for begin with the first test.
    """
    option = request.config.option
    runner = Runner(option.fresh, option.time_limit, as_readers=option.fresh or "CI" in os.environ)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        files = [item.callspec.params["page_file"] for item in request.session.items if "runner" in item.fixturenames]
        pages = [page for file in files if (page := course.pages.get(file)) and page.runnable]
        for page in sorted(pages, key=expected_cost, reverse=True):  # so that no long one ends alone
            runner.submit(Program.of(page), f"{page.module}.py")
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def course():
    """All pages of both editions."""
    return Course()


@pytest.fixture(scope="session")
def verdicts(request):
    """The verdicts on the pages, as they come."""
    return request.config.stash[VERDICTS]


def pytest_sessionfinish(session, exitstatus):
    """Write what --update and --translated ask for; what is refused fails the run, and under CI what is not run."""
    option, stash = session.config.option, session.config.stash
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if "CI" in os.environ and terminal:  # a process of pytest-xdist has none, and runs a part only
        missing = not_run([report for reports in terminal.stats.values() for report in reports])
        stash[LEFT_OUT] = [test for test in missing if not is_passed_by(session.config, test)]
        if stash[LEFT_OUT] and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif exitstatus == pytest.ExitCode.OK and not missing:
            unchanged.passed()
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    if option.translated:
        course = Course()
        stash[CHANGES] = [
            change
            for verdict in stash[VERDICTS]
            if verdict.untranslated and (english := course.counterpart(verdict.page, "en"))
            for change in changes(verdict.page, english)
        ]
    stash[REFUSED] = list(commands.write(stash[VERDICTS], option.update, option.translated))
    if stash[REFUSED]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
    """Say what was written and run, the latter from what each page's test recorded, in whichever process it ran."""
    for title, kept in (("the English", CHANGES), ("not written", REFUSED), ("not run, as CI has to", LEFT_OUT)):
        if config.stash[kept]:
            terminalreporter.section(title)
            terminalreporter.line("\n\n".join(config.stash[kept]))
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
