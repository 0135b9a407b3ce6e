"""`--update` and `--translated` lose nothing: what they do not write they name, with the reason."""

import re
import subprocess

import course.files
import pytest
from filelock import FileLock

from tests.copies import run_copy
from tests.test_mistakes import write_samples
from tests.verify import edits
from tests.verify.edits import Edit, apply_edits, keep_figures
from tests.verify.run.result import Drawing, Result

MODULE = "def main():\n    x = '''a  \n    b'''\n    print(x)\n    #> old\n    print(2)\n"
FIRST = {"file": "snippets/m.py", "first": 4, "shown": ("print(x)", "#> old"), "statement": 1, "outputs": ("#> new",)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with a module and a figure, which is that of the commands."""
    monkeypatch.setattr(course.files, "ROOT", tmp_path)
    monkeypatch.setattr(edits, "ROOT", tmp_path)
    for file, text in (("snippets/m.py", MODULE), ("docs/assets/figures/part/lesson/line.png", "line")):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(project, *command):
    identity = ["-c", "user.name=editor", "-c", "user.email=editor@example.org"]
    subprocess.run(["git", *identity, *command], cwd=project, check=True, capture_output=True)


def commit(project):
    git(project, "add", "--all", "--force", "docs", "snippets")
    git(project, "commit", "--quiet", "--message=Write")


def edit(**differences):
    wanted = FIRST | {"place": "docs/en/part/lesson.md:9", "needed": True} | differences
    return Edit(**wanted | {"file": course.files.Path(wanted["file"])})


def module(project):
    return (project / "snippets/m.py").read_text(encoding="utf-8")


def test_an_edit_keeps_all_else_to_the_letter(project):
    assert list(apply_edits([edit(), edit(place="docs/zh/part/lesson.md:9")])) == []
    assert module(project) == MODULE.replace("old", "new")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    print(x)\n", "    print(x + x)\n"),  # the statement
        ("#> old", "#> older"),  # its output
        ("def main", "# a line more\ndef main"),  # its place
        ("    print(x)\n    #> old", "    for x in y:\n        print(x)"),  # all of it
        (MODULE, ""),
    ],
)
def test_a_file_that_changed_meanwhile_is_left_alone(project, before, after):
    (project / "snippets/m.py").write_text(MODULE.replace(before, after), encoding="utf-8")
    (refused,) = apply_edits([edit()])
    assert refused.startswith("snippets/m.py:4: not written, for the file has changed")
    assert module(project) == MODULE.replace(before, after)


def test_a_file_that_is_gone_is_not_written_anew(project):
    (project / "snippets/m.py").unlink()
    (refused,) = apply_edits([edit()])
    assert refused == "snippets/m.py:1: this file cannot be read: No such file or directory; not written"
    assert not (project / "snippets/m.py").exists()


@pytest.mark.parametrize(
    "other",
    [
        {"outputs": ("#> another",)},  # shown twice, with different outputs
        {"outputs": ("#> old",), "needed": False},  # right in one of its places
        {"first": 1, "shown": ("def main():", "    x = 1", "    y = 2", "    print(x)"), "statement": 4, "outputs": ()},
    ],
)
def test_places_that_need_different_lines_refuse_each_other_and_nothing_else(project, other):
    second = edit(first=6, shown=("print(2)",), outputs=("#> 2",))
    refused = list(apply_edits([edit(), edit(place="docs/en/part/lesson.md:30", **other), second]))
    assert refused[0].startswith("snippets/m.py:")
    assert "lesson.md:9" in refused[0] and "lesson.md:30" in refused[0]
    assert module(project) == MODULE + "    #> 2\n"


def test_places_that_are_near_enough_ask_for_nothing(project):
    near = [edit(outputs=(text,), needed=False) for text in ("#~ 0.1", "#~ 0.2")]
    assert list(apply_edits(near)) == []
    assert module(project) == MODULE


def test_a_full_disk_leaves_the_old_files(project, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(course.files.os, "replace", fail)
    drawn = Result(figures=[Drawing("line", 0, b"new", {})])
    refused = [*apply_edits([edit()]), *keep_figures("part/lesson", [drawn])]
    assert [text.partition(": ")[2] for text in refused] == [
        "not written, the old file stays: No space left on device"
    ] * 2
    assert module(project) == MODULE
    assert [file.name for file in project.rglob("*") if file.name.startswith(".") and file.name != ".git"] == []
    assert (project / "docs/assets/figures/part/lesson/line.png").read_bytes() == b"line"


def test_a_figure_is_removed_only_where_git_has_it(project):
    folder = project / "docs/assets/figures/part/lesson"
    for name in ("kept", "mine", "changed", "ignored"):
        (folder / f"{name}.png").write_text("line")
    git(project, "add", str(folder / "changed.png"))
    commit(project)
    (folder / "changed.png").write_text("another")
    for name in ("mine", "ignored"):
        git(project, "rm", "--cached", "--quiet", str(folder / f"{name}.png"))
    (project / ".gitignore").write_text("ignored.png\n")
    refused = list(keep_figures("part/lesson", [Result(figures=[Drawing("new", 0, b"new", {})])]))
    left = sorted(file.name for file in folder.iterdir())
    assert left == ["changed.png", "ignored.png", "mine.png", "new.png", "new.yml"]
    assert [text.split(":")[0].rpartition("/")[2] for text in refused] == ["changed.png", "ignored.png", "mine.png"]


def test_editions_that_draw_different_figures_lose_none(project):
    (refused,) = keep_figures("part/lesson", [Result(figures=[Drawing("line", 0, b"line", {})]), Result()])
    assert "the editions draw different figures" in refused
    assert (project / "docs/assets/figures/part/lesson/line.png").exists()


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """A project of sample lessons, and what --translated says of them once the English of each has moved on."""
    project = tmp_path_factory.mktemp("project")
    names = ["changed", "new-section", "new-page", "failing", "unknown"]
    write_samples(project, names)
    git(project, "init", "--quiet")
    pages = [f"--page=zh/sample/{name}" for name in names]
    first = run_copy(project, "--update", "--translated", *pages)
    commit(project)
    more = {"changed": "Nothing less.", "failing": "Nothing less.\n\n[a](nowhere.md)"}
    for name in ("changed", "failing"):
        spoil(project, f"en/sample/{name}", "Nothing more.", more[name])
    for edition in ("en", "zh"):
        spoil(project, f"{edition}/sample/new-section", "", "\n## 1 {#one}\n\n1\n")
    file = project / "docs/zh/sample/new-page.md"
    file.write_text(file.read_text(encoding="utf-8").replace("\nenglish:\n", "\nold:\n"), encoding="utf-8")
    file = project / "docs/zh/sample/unknown.md"
    text = file.read_text(encoding="utf-8")
    start = text.index("  end: '") + 8
    file.write_text(text[:start] + "01234567" + text[start + 8 :], encoding="utf-8")
    return project, first, run_copy(project, *pages), run_copy(project, "--translated", *pages)


def spoil(project, page, old, new):
    file = project / f"docs/{page}.md"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")


def test_what_is_asked_for_is_written(translated):
    _, first, _, _ = translated
    assert first.returncode == 0, first.stdout


def test_what_is_new_is_not_said_to_have_changed(translated):
    _, _, judged, _ = translated
    assert "zh/sample/new-page.md:1: this page is new" in judged.stdout
    assert re.search(r"the English section #one \(docs/en/sample/new-section\.md:\d+\) is new", judged.stdout)
    assert judged.stdout.count("has changed since") == 3, judged.stdout


def test_what_changed_in_the_english_is_shown(translated):
    _, _, _, marked = translated
    assert "docs/en/sample/changed.md:29: #end, changed:\nNothing [-more.-]{+less.+}" in marked.stdout, marked.stdout
    assert "docs/zh/sample/new-page.md is new: it was not marked" in marked.stdout
    assert re.search(r"docs/en/sample/new-section\.md:\d+: #one, new:\n## 1 \{#one}\n\n1\n", marked.stdout)
    assert "#end, changed from a text that git does not have; today:\n## The end" in marked.stdout


def test_a_page_is_marked_only_if_all_else_passes_in_both_editions(translated):
    project, _, _, marked = translated
    assert marked.returncode == 1
    reason = "not marked as true to its English, for this does not pass otherwise: docs/en/sample/failing.md"
    assert f"docs/zh/sample/failing.md: {reason}" in marked.stdout
    again = run_copy(project, "--page=sample/changed", "--page=sample/unknown", "--page=zh/sample/failing")
    assert again.stdout.count("has changed since") == 1, again.stdout


def test_two_do_not_write_at_once(translated):
    project, *_ = translated
    with FileLock(project / ".cache/writing.lock"):
        second = run_copy(project, "--page=sample/changed", "--update")
    assert second.returncode == pytest.ExitCode.USAGE_ERROR
    assert "another --update or --translated is running here" in second.stderr
