"""Whatever a file holds, one clear error names it, all else is judged, and no traceback ends a build."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import course.files
import course.navigation
import pytest
from course import receipt
from course.files import Unreadable
from course.navigation import navigation_of
from course.reading import PageReader
from course_build.publishing import check_addresses
from mkdocs.exceptions import PluginError

from tests.built_site import build
from tests.copies import judge_copy, run_copy
from tests.test_mistakes import write_samples

BROKEN_RECEIPTS = [b"", b"{", b"[]", b"3", b"\xff", b'{"date": "2026-11-20"}', b'{"date": 1, "passed": true}']
SAMPLES = ["--page=sample/one", "--page=sample/two"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project."""
    monkeypatch.setattr(course.files, "ROOT", tmp_path)
    monkeypatch.setattr(course.navigation, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/one.md").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nav:\n  - one.md\n - two.md", "docs/.nav.yml:3: the file is not YAML"),
        ("nav: [one.md", "docs/.nav.yml:1: the file is not YAML"),
        ("nav:\n  - one.md\n  - gone.md", "docs/.nav.yml:3: the navigation lists gone.md, which is not there"),
        ("title: One", "docs/.nav.yml:1: the navigation lists no pages"),
        ("nav: one.md", "docs/.nav.yml:1: the navigation lists no pages"),
        ("- one.md", "docs/.nav.yml:1: the navigation lists no pages"),
        ("", "docs/.nav.yml:1: the navigation lists no pages"),
        ("nav:\n  - \udce9.md", "docs/.nav.yml:2: this line is not UTF-8"),
        ("\0", "docs/.nav.yml:1: the file is not YAML"),
    ],
)
def test_a_broken_navigation_is_named(text, problem, root):
    (root / "docs/.nav.yml").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(Unreadable, match=problem):
        navigation_of(Path("docs"))


def test_a_navigation_that_lists_what_is_there_is_right(root):
    (root / "docs/.nav.yml").write_text("nav:\n  - One: one.md\n")
    assert navigation_of(Path("docs")) == ["one.md"]


@pytest.mark.parametrize("broken", BROKEN_RECEIPTS)
def test_a_broken_receipt_is_none(broken, tmp_path):
    (tmp_path / "page.json").write_bytes(broken)
    assert receipt.load(tmp_path / "page.json", passed=bool) is None


def test_a_page_that_was_removed_meanwhile_is_a_problem():
    page = PageReader().read(Path("docs/en/removed.md"))
    assert str(page.problems[0]) == "docs/en/removed.md:1: this file cannot be read: No such file or directory"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with two sample lessons that were judged once."""
    project = tmp_path_factory.mktemp("project")
    write_samples(project, ["one", "two"])
    assert run_copy(project, *SAMPLES, "--update", "--translated").returncode == 0
    assert run_copy(project, *SAMPLES).returncode == 0
    return project


@pytest.fixture
def spoil(project):
    """A function that replaces text in a file; afterwards the file is as before."""
    before = {}

    def replace(file, old, new):
        data = before.setdefault(project / file, (project / file).read_bytes())
        text = data.decode()
        assert old in text
        spoilt = text.replace(old, new, 1) if old else text + new
        (project / file).write_bytes(spoilt.encode(errors="surrogateescape"))

    yield replace
    for file, data in before.items():
        file.write_bytes(data)


def test_what_an_earlier_run_left_broken_is_as_if_it_were_not_there(project):
    kept = [*project.glob(".cache/programs/*"), *project.glob(".receipts/**/*.json")]
    assert kept
    for number, file in enumerate(kept):
        file.write_bytes(BROKEN_RECEIPTS[number % len(BROKEN_RECEIPTS)])
    failures, _ = judge_copy(project, *SAMPLES)
    assert set(failures.values()) == {""}


def test_a_broken_glossary_is_named_and_the_rest_judged(project, spoil):
    spoil("docs/glossary.csv", "", "one,一\n")
    rows = (project / "docs/glossary.csv").read_text(encoding="utf-8").count("\n")
    failures, _ = judge_copy(project, *SAMPLES)
    assert failures["test_page_is_true[en/sample/one]"] == ""
    message = "a row of the glossary has three columns, en, zh and refused; this one is “one,一”"
    assert failures["test_page_is_true[zh/sample/one]"] == f"docs/glossary.csv:{rows}: {message}"


def test_a_broken_configuration_is_named(project, spoil):
    spoil("mkdocs.yml", "docs_dir: docs/en", "docs_dir: [docs/en")
    run = run_copy(project, *SAMPLES)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: mkdocs.yml:" in run.stderr and "the file is not YAML" in run.stderr


def test_a_backend_that_is_set_on_this_machine_and_does_not_exist_changes_nothing(project):
    run = run_copy(project, *SAMPLES, "--fresh", KERAS_BACKEND="no-such")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("docs/en/sample/one.md", "one.py:mean", "one.py:median", r"docs/en/sample/one.md:11: "),
        ("docs/zh/sample/one.md", "没有了", "\udce9", r"docs/zh/sample/one.md:"),
        ("docs/en/index.md", "", "\udce9", r"docs/en/index.md:"),
        ("snippets/sample/one.py", "A sample", "\udce9", r"snippets/sample/one.py:1: this line is not UTF-8"),
        ("docs/en/sample/.nav.yml", "- one.md", "- none.md", r"docs/en/sample/.nav.yml:2: the navigation lists"),
        ("docs/glossary.csv", "", "one\n", r"docs/glossary.csv:"),
        ("docs/assets/pictures/logo.svg", "<svg", "<sv", r"docs/assets/pictures/logo.svg:1: this is no picture"),
        ("docs/en/sample/one.md", "Nothing more.", "$\\frac{1$", r"the formula “\frac{1” cannot be converted"),
        ("tests/snippets/sample/test_one.py", "():", "(:", r"test_one.py:4: the module is not Python"),
        ("mkdocs.yml", "docs_dir: docs/en", "docs_dir: [docs/en", "mkdocs.yml"),
    ],
)
def test_what_an_editor_breaks_ends_a_build_with_a_line(file, old, new, message, project, spoil, tmp_path):
    if "logo" in file:
        spoil("docs/en/sample/one.md", "Nothing more.", "![a](../assets/pictures/logo.svg)")
    spoil(file, old, new)
    built = build(tmp_path, "http://127.0.0.1/", project)
    assert built.returncode and message in built.stderr and "Traceback" not in built.stderr, built.stderr


def publish(project, folder):
    """Build for publishing; return what is said."""
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    settings = {"PATH": "/usr/bin:/bin", "PUBLISH": "true", "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True)
    return run.stderr if run.returncode else ""


def test_only_what_was_shown_to_hold_is_published(project, spoil, tmp_path):
    assert run_copy(project, *SAMPLES, "--fresh").returncode == 0
    said = publish(project, tmp_path)
    assert "docs/en/index.md: no run of these very blocks and figures" in said  # which was not judged here
    assert "docs/zh/sample/one.md: no run has shown these claims to hold: mean_is_between" in said
    assert run_copy(project, tests="tests/snippets/sample").returncode == 0
    assert "sample" not in publish(project, tmp_path)
    figure = project / "docs/assets/figures/sample/one/line.png"
    figure.write_bytes(figure.read_bytes() + b" ")
    spoil("snippets/sample/two.py", "sum(values)", "0 + sum(values)")
    said = publish(project, tmp_path)
    assert [line.partition(":")[0] for line in said.splitlines() if "sample" in line] == [
        f"docs/{edition}/sample/{name}.md" for edition in ("en", "zh") for name in ("one", "two")
    ]


def configuration(site_url="http://127.0.0.1:8000/", repository=""):
    return SimpleNamespace(user_configs=[{"site_url": site_url}], extra={"repository": repository})


@pytest.mark.parametrize(
    "address", ["", None, "example.org/", "https://example.org", "https://example.org/a", "https:///a/", "/a/", "a b"]
)
def test_an_address_from_which_no_link_leads_anywhere_is_refused(address):
    with pytest.raises(PluginError, match="SITE_URL is .*; write the site's whole address"):
        check_addresses(configuration(site_url=address))


@pytest.mark.parametrize("repository", ["owner", "owner/", "https://github.com/owner/course", "a/b/c", "owner /course"])
def test_a_repository_that_is_none_is_refused(repository):
    with pytest.raises(PluginError, match=f"REPO is “{repository}”; write the owner"):
        check_addresses(configuration(repository=repository))


@pytest.mark.parametrize(
    "right", [{}, {"site_url": "https://owner.github.io/course/", "repository": "owner/course.git"}]
)
def test_what_publishing_needs_is_right(right):
    check_addresses(configuration(**right))
