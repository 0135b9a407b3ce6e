"""What publishes the course is sound: the workflows, the command that they call, and the drift watch."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from course.project import ROOT

from tests import drift
from tests.copies import copy_project, run_copy
from tests.node_tools import node_tool, system_command

WORKFLOWS = ROOT / ".github/workflows"
TEST_COMMAND = "uv run --group test pytest"
DOCUMENTS = ["README", "CONTRIBUTING"]
IDENTITY = ["-c", "user.name=editor", "-c", "user.email=editor@example.org"]


def jobs(workflow):
    return yaml.safe_load((WORKFLOWS / workflow).read_text(encoding="utf-8"))["jobs"]


def run(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def actionlint(root=ROOT):
    """Return what actionlint finds in the workflows of the project at `root`."""
    files = sorted(str(file.relative_to(root)) for file in (root / ".github/workflows").glob("*.yml"))
    script = ROOT / "tests/actionlint.cjs"
    return run(system_command("node"), str(script), str(node_tool("actionlint")), *files, cwd=root)


def zizmor(root=ROOT):
    """Return what zizmor finds in the workflows of the project at `root`."""
    executable = shutil.which("zizmor", path=Path(sys.executable).parent)
    options = ["--offline", "--quiet", "--strict-collection", "--persona=pedantic", "--format=github"]
    return run(executable, *options, ".github", cwd=root)


def unpinned(root=ROOT):
    """Return each action that is not pinned by a full digest with its version beside it."""
    pinned = re.compile(r"uses: (?:\./|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$)")
    return [
        f"{file.name}:{number}: {line.strip()}"
        for file in sorted((root / ".github/workflows").glob("*.yml"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\buses:", line) and not pinned.search(line)
    ]


@pytest.fixture
def project(tmp_path):
    """Return a copy of what is checked, to make mistakes in."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_actionlint_finds_nothing():
    assert actionlint() == ""


def test_zizmor_finds_nothing():
    assert zizmor() == ""


def test_every_action_is_pinned_by_its_digest():
    assert unpinned() == []


@pytest.mark.parametrize(
    ("check", "file", "right", "wrong", "message"),
    [
        (actionlint, "drift.yml", "github.run_id", "github.run_idd", '"run_idd" is not defined'),
        (actionlint, "drift.yml", "      day: ${{ needs", "      date: ${{ needs", 'input "date" is not defined'),
        (actionlint, "drift.yml", "needs: [releases, test]", "needs: [test]", '"releases" is not defined'),
        (actionlint, "publish.yml", "needs: build", "needs: biuld", "biuld"),
        (zizmor, "test.yml", "persist-credentials: false", "fetch-depth: 1", "artipacked"),
        (zizmor, "test.yml", "pull_request:", "pull_request_target:", "dangerous-triggers"),
        (zizmor, "test.yml", "run: .ci/run", "run: .ci/run ${{ github.head_ref }}", "template-injection"),
        (zizmor, "publish.yml", "\npermissions: {}", "\npermissions: write-all", "excessive-permissions"),
        (unpinned, "test.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "checkout@v7"),
        (unpinned, "test.yml", "ba90b1 # v7.0.1", "ba90b1", "checkout@3d3c42"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_each_check_sees_the_mistake_it_is_for(project, check, file, right, wrong, message):
    path = project / ".github/workflows" / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    assert message in str(check(project))


@pytest.mark.parametrize("workflow", sorted(file.name for file in WORKFLOWS.glob("*.yml")))
def test_no_job_may_do_or_take_more_than_it_says(workflow):
    assert yaml.safe_load((WORKFLOWS / workflow).read_text(encoding="utf-8"))["permissions"] == {}
    for name, job in jobs(workflow).items():
        assert job["permissions"], name
        assert "uses" in job or job["timeout-minutes"] <= 60, name


def test_pull_requests_reuse_what_only_main_writes():
    steps = jobs(ROOT / ".github/workflows/test.yml")["test"]["steps"]
    (restore,) = [step for step in steps if "actions/cache/restore" in step.get("uses", "")]
    (save,) = [step for step in steps if "actions/cache/save" in step.get("uses", "")]
    assert restore["if"] == "github.event_name == 'pull_request'"
    assert save["if"] == "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    assert restore["with"]["path"] == save["with"]["path"]
    assert save["with"]["key"].startswith(restore["with"]["restore-keys"])
    assert not any("actions/cache" in step.get("uses", "") for step in steps if step not in (restore, save))


def test_pull_requests_are_given_no_secret():
    assert "secrets" not in (WORKFLOWS / "test.yml").read_text(encoding="utf-8")


def test_what_is_published_is_what_was_tested():
    publish = jobs("publish.yml")
    assert publish["build"]["needs"] == "test"
    assert publish["notebooks"]["needs"] == "build"
    assert publish["deploy"]["needs"] == "notebooks"
    downloads = [step for step in publish["build"]["steps"] if "download-artifact" in step.get("uses", "")]
    assert [step["with"] for step in downloads] == [{"name": "receipts", "path": ".receipts"}]
    (build,) = (step for step in publish["build"]["steps"] if "mkdocs build" in step.get("run", ""))
    assert build["env"]["PUBLISH"] == "true"


def test_the_commands_are_those_of_the_readme():
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert ci[-1].startswith(TEST_COMMAND)
    assert ci_options() == ["--config-file=pyproject.toml", "tests"]  # whatever pytest.ini stands beside it
    assert any(step.get("run") == ".ci/run" for step in jobs("test.yml")["test"]["steps"])
    for readme in ("README.md", "README.zh.md"):
        commands = shell_lines(ROOT / readme)
        assert {"pip install uv", "uv run mkdocs serve", TEST_COMMAND} <= set(commands)


@pytest.mark.parametrize(
    ("options", "conftest"),
    [
        ("-k test_a_table", ""),
        ("--collect-only", ""),
        ("", "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]"),
        ("", "collect_ignore = ['tests/test_pages.py']"),
    ],
)
def test_ci_sees_that_tests_were_left_out(options, conftest, tmp_path):
    copy_project(tmp_path)
    for file in (tmp_path / "tests").rglob("test_*.py"):
        if file.name != "test_pages.py":
            file.unlink()
    (tmp_path / "tests/test_a_table.py").write_text("def test_a_table():\n    pass\n")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = docs\n")
    command = TEST_COMMAND.removeprefix("uv run --group test ").split()
    done = subprocess.run(
        [sys.executable, "-m", *command, *ci_options()],
        cwd=tmp_path,
        env=os.environ | {"CI": "true", "PYTEST_ADDOPTS": f"--numprocesses=0 {options}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode and "not run, as CI has to" in done.stdout, done.stdout + done.stderr
    assert "tests/test_pages.py::test_page_is_true" in done.stdout


def test_a_pull_request_tests_the_machinery_again_only_where_that_changed(tmp_path):
    copy_project(tmp_path)
    for file in (tmp_path / "tests").rglob("test_*.py"):
        file.unlink()
    (tmp_path / "tests/test_mistakes.py").write_text("def test_machinery():\n    pass\n")
    (tmp_path / "tests/test_sentences.py").write_text("def test_sentences():\n    pass\n")

    def outcome(*options):
        done = run_copy(tmp_path, *options, tests="tests", CI="true")
        return done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]

    assert [outcome("--kept"), outcome("--kept"), outcome()] == [
        (0, "2 passed"),
        (0, "1 passed, 1 deselected"),
        (0, "2 passed"),
    ]
    with (tmp_path / "tests/verify/verdict.py").open("a") as verdict:
        verdict.write("# changed\n")
    assert outcome("--kept") == (0, "2 passed")


def test_a_pull_request_tests_the_claims_again_only_where_their_lesson_changed(tmp_path):
    copy_project(tmp_path)
    for file in (tmp_path / "tests").rglob("test_*.py"):
        file.unlink()
    claims = tmp_path / "tests/snippets/training_deep_networks/test_dropout.py"
    claims.write_text("def test_one_claim():\n    pass\n\n\ndef test_another():\n    pass\n")
    (tmp_path / "tests/test_sentences.py").write_text("def test_sentences():\n    pass\n")

    def outcome(*options):
        done = run_copy(tmp_path, *options, tests="tests", CI="true")
        return done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]

    assert [outcome("--kept"), outcome("--kept"), outcome()] == [
        (0, "3 passed"),
        (0, "1 passed, 2 deselected"),
        (0, "3 passed"),
    ]
    claims.write_text("def test_one_claim():\n    pass\n\n\ndef test_another():\n    assert False\n")
    assert [outcome("--kept"), outcome("--kept")] == [(1, "1 failed, 2 passed")] * 2


def ci_options():
    """Return the options with which CI calls pytest."""
    last = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1]
    return last.removeprefix(TEST_COMMAND).split()


def test_the_container_of_an_editor_has_what_the_tests_need():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert ".ci/install" in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert container["postCreateCommand"].split(" && ")[0] == ".ci/install"
    assert os.access(ROOT / ".ci/install", os.X_OK)
    (port,) = container["forwardPorts"]
    assert f"http://127.0.0.1:{port}/" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_hooks_before_a_commit_are_the_projects_own():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"uv run --group test {hook['name']}" for hook in hooks]


@pytest.mark.parametrize("file", [".ci/install", ".ci/run", ".devcontainer/devcontainer.json", "tests/package.json"])
def test_what_installs_names_no_host(file):
    assert "://" not in (ROOT / file).read_text(encoding="utf-8")


def test_the_course_is_cited_as_it_is():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["abstract"].startswith(project["description"])
    assert f"# {citation['title']}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_says_the_same_in_both_languages(document):
    english, chinese = ROOT / f"{document}.md", ROOT / f"{document}.zh.md"
    assert shell_lines(english) == shell_lines(chinese)
    assert outline(english) == outline(chinese)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_programs_and_files_that_exist(document):
    text = (ROOT / f"{document}.md").read_text(encoding="utf-8")
    modules = re.findall(r"python -m (tests\.\w+)", text)
    links = re.findall(r"\]\(([^)#:]+)[)#]", text)
    files = [module.replace(".", "/") + ".py" for module in modules] + links
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_contributing_has_each_message_of_the_checks_and_no_other():
    english, chinese = (messages_in(ROOT / f"CONTRIBUTING{suffix}.md") for suffix in ("", ".zh"))
    assert english == chinese
    given = messages_given()
    assert [message for message in given if not any(same(message, known) for known in english)] == []
    assert [message for message in english if not any(same(message, known) for known in given)] == []


def messages_in(file):
    """Return the messages in the table of `file`, with … for what differs from time to time."""
    rows = re.findall(r"^\|[^|]+\|(.*)\|$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return [message for row in rows for message in re.findall("`([^`]+)`", row)]


def messages_given():
    """Return the messages that the checks give, read from their code, with … for what differs."""
    files = [*(ROOT / "docs/_src/course").glob("*.py"), *(ROOT / "tests/verify").rglob("*.py")]
    texts = []
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        match node:
            case (
                ast.Call(func=ast.Name("Problem"), args=[_, _, message, *_])
                | ast.Call(func=ast.Name("problem_in"), args=[*_, message])
            ):
                texts.append(message)
            case ast.Assign(targets=[ast.Name("message")]) | ast.keyword(arg="message"):
                texts.append(node.value)
    parts = [text.values if isinstance(text, ast.JoinedStr) else [text] for text in texts]
    given = ["".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in text) for text in parts]
    return [message for message in given if message.strip("… ")]


def same(one, other):
    """Tell whether two messages can be one, … standing for anything."""
    return any(
        re.fullmatch(re.escape(" ".join(first.split())).replace("…", ".*"), " ".join(second.split()))
        for first, second in ((one, other), (other, one))
    )


def shell_lines(file):
    """Return the commands in the blocks of `file`, without the comments beside them."""
    blocks = re.findall(r"^```bash\n(.*?)^```", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"\s*#.*", "", line) for line in "".join(blocks).splitlines()]
    return [line for line in lines if line]


def outline(file):
    """Return the level of each heading of `file`, and how many list items and table rows stand below it."""
    parts = re.split(r"^(#+) ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = [len(re.findall(r"^(?:\d+\.|-|\|)", text, re.MULTILINE)) for text in parts[2::2]]
    return list(zip(parts[1::2], rows, strict=True))


RESULTS = """<testsuites><testsuite>
<testcase classname="tests.test_pages" name="test_page_is_true[en/keras-introduction/training]">
<failure message="">docs/en/keras-introduction/training.md:31: prints 0.7</failure></testcase>
<testcase classname="tests.test_pages" name="test_page_is_true[zh/keras-introduction/training]"/>
<testcase classname="tests.test_site" name="test_links"><error message="no browser"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def github(tmp_path, monkeypatch):
    """Stand in for gh: remember what it was asked, and answer with the open issues in `issues.json`."""
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(
        f'#!{sys.executable}\nimport pathlib, sys\nhere = pathlib.Path("{tmp_path}")\n'
        'text = sys.stdin.read() if "--body-file=-" in sys.argv else ""\n'
        'with (here / "asked").open("a") as asked: print(*sys.argv[1:], text, file=asked)\n'
        'if sys.argv[2] == "list": print((here / "issues.json").read_text())\n'
    )
    gh.chmod(0o755)
    path = [str(gh.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    monkeypatch.setattr(drift, "pythons", lambda: ["3.11", "3.12", "3.13"])
    return tmp_path


WELL = re.sub(r"<(failure|error).*?(/>|</\1>)", "", RESULTS)


def report(github, results, issues):
    """Return what gh was asked for after the drift watch reported `results` while `issues` were open.

    They are of all the versions of Python, or by version.
    """
    if not isinstance(results, dict):
        results = dict.fromkeys(drift.pythons(), results)
    folder = github / "results"
    folder.mkdir(exist_ok=True)
    for python, text in results.items():
        (folder / f"{python}.xml").write_text(text)
    (folder / "releases.txt").write_text("Updated keras v3.15.1 -> v3.16.0\n")
    (github / "issues.json").write_text(json.dumps([{"number": number} for number in issues]))
    drift.report(folder, "run 7")
    return (github / "asked").read_text()


def test_the_drift_watch_opens_one_issue_that_names_the_broken_pages(github):
    asked = report(github, RESULTS, issues=[])
    assert asked.count("issue create") == 1
    assert asked.count("docs/en/keras-introduction/training.md:31: prints 0.7") == 1
    assert "`test_page_is_true[en/keras-introduction/training]`, on Python 3.11, 3.12, 3.13\n" in asked
    assert "## `tests/test_site.py`" in asked
    assert "Updated keras v3.15.1 -> v3.16.0" in asked
    assert "docs/zh" not in asked


def test_the_drift_watch_says_on_which_python_a_page_broke(github):
    other = RESULTS.replace("prints 0.7", "prints 0.6")
    asked = report(github, {"3.11": WELL, "3.12": RESULTS, "3.13": other}, issues=[])
    assert re.findall(r"training\]`, on Python (.*)\n\n~~~~text\n.*(prints .*)", asked) == [
        ("3.12", "prints 0.7"),
        ("3.13", "prints 0.6"),
    ]
    assert asked.count("## `docs/en/keras-introduction/training.md`") == 1
    assert "test_links`, on Python 3.12, 3.13\n" in asked
    assert "No test ran" not in asked


def test_the_drift_watch_updates_the_issue_that_is_open(github):
    asked = report(github, RESULTS, issues=[7])
    assert "issue edit 7" in asked
    assert "issue create" not in asked


def test_the_drift_watch_closes_the_issue_when_all_is_well(github):
    assert "issue close 7" in report(github, WELL, issues=[7])
    (github / "asked").unlink()
    assert report(github, WELL, issues=[]).splitlines() == ["issue list --state=open --label=drift --json=number "]


@pytest.mark.parametrize("results", ["", "<testsuites><testsuite/></testsuites>"])
def test_a_run_without_tests_is_no_good_news(github, results):
    asked = report(github, results, issues=[])
    assert "issue create" in asked
    assert "No test ran on Python 3.11, 3.12, 3.13**" in asked


def test_what_ran_on_some_of_the_pythons_is_no_good_news(github):
    asked = report(github, {"3.11": WELL, "3.12": WELL}, issues=[7])
    assert "issue edit 7" in asked
    assert "No test ran on Python 3.13**" in asked


def test_the_tests_run_on_each_python_that_is_promised():
    promised = drift.pythons()
    job = jobs("test.yml")["test"]
    assert job["strategy"] == {"fail-fast": False, "matrix": {"python": promised}}
    setup = [step["with"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert setup == [{"python-version": "${{ matrix.python }}"}]
    assert job["env"]["UV_PYTHON"] == "${{ matrix.python }}"
    for readme in ("README.md", "README.zh.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert re.findall(r"Python (3\.\d+) (?:to|到) (3\.\d+)", text) == [(promised[0], promised[-1])]


def test_the_tests_run_on_the_python_that_was_asked_for():
    asked = re.fullmatch(r"3\.(\d+)", os.environ.get("UV_PYTHON", ""))
    assert not asked or sys.version_info[:2] == (3, int(asked[1]))


def test_each_python_has_results_of_its_own_and_one_of_them_uploads_the_receipts():
    steps = jobs("test.yml")["test"]["steps"]
    (test,) = (step for step in steps if step.get("run") == ".ci/run")
    assert test["env"]["PYTEST_ADDOPTS"].startswith("--junit-xml=results/${{ matrix.python }}.xml ")
    uploads = {step["with"]["name"]: step for step in steps if "upload-artifact" in step.get("uses", "")}
    assert list(uploads) == ["results-${{ matrix.python }}", "receipts"]
    assert uploads["receipts"]["if"] == f"${{{{ !cancelled() && matrix.python == '{drift.pythons()[0]}' }}}}"


def test_the_drift_watch_is_given_the_results_of_all_and_the_releases():
    watch = jobs("drift.yml")
    steps = [*jobs("test.yml")["test"]["steps"], *watch["releases"]["steps"], *watch["report"]["steps"]]
    uploads = [step["with"] for step in steps if "upload-artifact" in step.get("uses", "")]
    assert [upload["name"] for upload in uploads if upload["path"] == "results/"] == [
        "results-${{ matrix.python }}",
        "results-releases",
    ]
    (download,) = (step["with"] for step in steps if "download-artifact" in step.get("uses", ""))
    assert download == {"pattern": "results-*", "path": "results", "merge-multiple": True}
    assert steps[-1]["run"] == "python3 -m tests.drift report results"


def run_step(workflow, job, name, directory, **environment):
    """Run a step of a workflow as GitHub would; what it pushes goes to the repository in `directory`."""
    (step,) = (step for step in jobs(workflow)[job]["steps"] if step.get("name") == name)
    where = {"GITHUB_SERVER_URL": str(directory), "GITHUB_REPOSITORY": "owner/course.git"}
    subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=directory / step.get("working-directory", "course"),
        env=os.environ | where | environment,
        check=True,
    )


@pytest.fixture
def repository(github):
    """Return where a repository like the project's is, with a clone of it beside."""
    course, pushed = github / "course", github / "owner/course.git"
    (course / "tests").mkdir(parents=True)
    shutil.copy(ROOT / "tests/drift.py", course / "tests")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (course / "pyproject.toml").write_text(drift.DATE.sub("2026-01-02", text), encoding="utf-8")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=course)
    run("git", "add", ".", cwd=course)
    run("git", *IDENTITY, "commit", "--quiet", "--message=Begin", cwd=course)
    run("git", "clone", "--quiet", "--bare", str(course), str(pushed), cwd=github)
    return github


def test_the_notebooks_replace_the_branch(repository):
    for name in ("training", "callbacks"):
        shutil.rmtree(repository / "notebooks", ignore_errors=True)
        (repository / "notebooks/en").mkdir(parents=True)
        (repository / f"notebooks/en/{name}.ipynb").write_text("{}")
        run_step("publish.yml", "notebooks", "Replace the branch", repository, GITHUB_SHA="0123abc")
    pushed = repository / "owner/course.git"
    assert run("git", "ls-tree", "-r", "--name-only", "notebooks", cwd=pushed) == "en/callbacks.ipynb\n"
    assert run("git", "log", "--format=%s", "notebooks", cwd=pushed) == "Notebooks of 0123abc\n"


def push_the_date(repository, day):
    run_step("drift.yml", "move", "Push the moved date", repository, DAY=day)


def test_the_tested_date_is_pushed_once(repository):
    pushed = repository / "owner/course.git"
    before = run("git", "show", "main:pyproject.toml", cwd=pushed)
    for _ in range(2):
        push_the_date(repository, "2026-01-09")
    assert subjects(repository) == ["Move to the releases of 2026-01-09", "Begin"]
    assert run("git", "diff", "--shortstat", "main~", "main", cwd=pushed).startswith(" 1 file changed, 1 insertion")
    assert run("git", "show", "main:pyproject.toml", cwd=pushed) == drift.DATE.sub("2026-01-09", before)


def commit(repository, name, text="something else"):
    """Move main on by a commit from another clone."""
    clone = repository / f"clone-{name}"
    run("git", "clone", "--quiet", str(repository / "owner/course.git"), str(clone), cwd=repository)
    (clone / name).write_text(text, encoding="utf-8")
    run("git", "add", name, cwd=clone)
    run("git", *IDENTITY, "commit", "--quiet", f"--message=Change {name}", cwd=clone)
    run("git", "push", "--quiet", "origin", "main", cwd=clone)


def subjects(repository):
    return run("git", "log", "--format=%s", "main", cwd=repository / "owner/course.git").splitlines()


def hook(folder, name, script):
    (folder / "hooks" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / "hooks" / name).chmod(0o755)


def test_the_tested_date_is_pushed_to_a_main_that_has_moved_on(repository):
    commit(repository, "README.md")
    push_the_date(repository, "2026-01-09")
    assert subjects(repository) == ["Move to the releases of 2026-01-09", "Change README.md", "Begin"]


def test_the_tested_date_is_pushed_to_a_main_that_moves_on_meanwhile(repository):
    clone = repository / "clone"
    run("git", "clone", "--quiet", str(repository / "owner/course.git"), str(clone), cwd=repository)
    run("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "--message=Just then", cwd=clone)
    # The step has fetched main and is about to push, and another does so first.
    hook(repository / "course/.git", "pre-push", f"git -C '{clone}' push --quiet origin main")
    push_the_date(repository, "2026-01-09")
    assert subjects(repository) == ["Move to the releases of 2026-01-09", "Just then", "Begin"]


def test_no_date_is_pushed_over_a_later_one(repository, capfd):
    text = (repository / "course/pyproject.toml").read_text(encoding="utf-8")
    commit(repository, "pyproject.toml", drift.DATE.sub("2026-01-16", text))
    with pytest.raises(subprocess.CalledProcessError):
        push_the_date(repository, "2026-01-09")
    assert "2026-01-09 is before 2026-01-16" in capfd.readouterr().err
    assert subjects(repository) == ["Change pyproject.toml", "Begin"]


def test_a_push_that_is_refused_fails_the_job(repository, capfd):
    hook(repository / "owner/course.git", "pre-receive", "echo may not push; exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        push_the_date(repository, "2026-01-09")
    assert "may not push" in capfd.readouterr().err
    assert subjects(repository) == ["Begin"]


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ("", "“” is no date"),
        ("2026-02-30", "“2026-02-30” is no date"),
        ("20260109", "“20260109” is no date"),
        ('2026-01-09"\nindex-url = "', "is no date"),
        ("2999-01-09", "2999-01-09 has not come yet"),
        ("2026-01-01", "2026-01-01 is before 2026-01-02"),
    ],
)
def test_no_other_date_is_pushed(repository, capfd, day, message):
    with pytest.raises(subprocess.CalledProcessError):
        push_the_date(repository, day)
    assert message in capfd.readouterr().err
    assert subjects(repository) == ["Begin"]


@pytest.fixture
def uv(github):
    """Stand in for uv, for which one release is newer."""
    uv = github / "bin/uv"
    uv.write_text('#!/bin/sh\n[ "$2" = --quiet ] || echo "Updated keras v3.15.1 -> v3.16.0" >&2\n')
    uv.chmod(0o755)


def test_the_drift_watch_decides_once_which_day_is_tested_and_moved_to(uv, repository):
    output = repository / "output"
    run_step("drift.yml", "releases", "Look which they are, as of which day", repository, GITHUB_OUTPUT=str(output))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert output.read_text() == f"day={yesterday}\n"
    assert (repository / "course/results/releases.txt").read_text() == "Updated keras v3.15.1 -> v3.16.0\n"
    found = "${{ needs.releases.outputs.day }}"
    assert jobs("drift.yml")["releases"]["outputs"] == {"day": "${{ steps.look.outputs.day }}"}
    assert jobs("drift.yml")["test"]["with"] == {"day": found}
    assert jobs("drift.yml")["move"]["needs"] == ["releases", "test"]
    assert jobs("drift.yml")["move"]["steps"][-1]["env"]["DAY"] == found


def test_the_tests_run_as_of_the_day_that_was_decided(repository):
    run_step("test.yml", "test", "Move to the releases of the day", repository, DAY="2026-01-09")
    assert drift.present_day(repository / "course/pyproject.toml") == "2026-01-09"


@pytest.mark.parametrize("ahead", [0, -1, -300])
def test_the_drift_watch_moves_the_date_forward_and_nothing_else(uv, repository, ahead):
    pyproject = repository / "course/pyproject.toml"
    today = datetime.now(UTC).date()
    present, yesterday = (today + timedelta(days=ahead)).isoformat(), (today - timedelta(days=1)).isoformat()
    before = drift.DATE.sub(present, pyproject.read_text(encoding="utf-8"))
    pyproject.write_text(before, encoding="utf-8")
    assert drift.move(pyproject) == ["Updated keras v3.15.1 -> v3.16.0"]
    assert pyproject.read_text(encoding="utf-8") == drift.DATE.sub(max(present, yesterday), before)
