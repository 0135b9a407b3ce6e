"""Speed and size, as ratios measured in one run: `python -m tests.benchmark [part …]`.

Each line says what was measured, the ratio or size, the limit it is held to, and whether it holds. Times
are of this machine at this moment; only their ratios mean something.
"""

import contextlib
import functools
import gzip
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml
from course.program import Program
from course.project import EDITIONS, ROOT

from tests.built_site import build, free_port
from tests.copies import copy_project, multiply_lessons
from tests.node_tools import node_tool
from tests.verify.checks.sections import snippet_files
from tests.verify.course import Course
from tests.verify.run.runner import Runner
from tests.verify.verdict import judge

CORES = os.cpu_count()
TIME_LIMIT = 300


def say(what, measured, limit, unit="", at_least=False):
    """Print one line of the result."""
    holds = measured >= limit if at_least else measured <= limit
    bound = "at least" if at_least else "at most"
    verdict = "holds" if holds else "DOES NOT HOLD"
    print(f"{what}: {measured:.2f}{unit} ({bound} {limit:g}{unit}): {verdict}", flush=True)


def timed(command, cwd=ROOT, **options):
    """Run a command; return the seconds it took."""
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter() - start


def judging(*options, project=ROOT):
    """Return the seconds of the command that judges pages as somebody edits them."""
    command = [sys.executable, "-m", "pytest", "-q", "--numprocesses=0", "tests/test_pages.py", *options]
    return timed(command, cwd=project)


def judging_cold(*options):
    """Return the same where no result of a program was kept."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        project.mkdir()
        copy_project(project)
        shutil.rmtree(project / ".cache", ignore_errors=True)
        return judging(*options, project=project)


def lessons():
    """Return the English pages that have a program of some length."""
    return [page for page in Course().pages.values() if page.edition == "en" and len(page.runnable) > 1]


@functools.cache
def alone():
    """Return a warm runner and, by page name, the seconds of each lesson's program run alone in it."""
    runner = Runner(fresh=True, time_limit=TIME_LIMIT)
    _seconds(runner, Program(("import keras",)))
    return runner, {page.name: _seconds(runner, Program.of(page)) for page in lessons()}


def _seconds(runner, program):
    return runner.submit(program, "lesson.py").result().result.seconds


def speed():
    """All programs of both editions, against their sum."""
    _, seconds = alone()
    everything = judging_cold()
    total = sum(seconds.values())
    print(f"programs alone: {', '.join(f'{name} {value:.1f} s' for name, value in seconds.items())}")
    say("slowest program", max(seconds.values()), 60, " s")
    print(f"all programs of both editions, cold, against the sum of the distinct ones: {everything / total:.2f}")
    say("the same for each core used", everything * CORES / total, 1.3)


def page():
    """One page that changed: cold, with the watcher warm, and where a sentence changed."""
    runner, seconds = alone()
    name = min(seconds, key=seconds.get)
    importing = timed([sys.executable, "-c", "import tensorflow"], stderr=subprocess.DEVNULL)
    cold = judging_cold(f"--page=en/{name}")
    say(
        "one changed page, cold, beyond TensorFlow's import and its own time", cold - importing - seconds[name], 1, " s"
    )
    course = Course()
    pages = {page.name: page for page in course.pages.values() if page.edition == "en"}
    lesson = pages[name]
    with tempfile.TemporaryDirectory() as directory:
        fresh = Runner(fresh=True, time_limit=TIME_LIMIT)
        judge(pages["index"], course, fresh, Path(directory))  # as the watcher begins
        start = time.perf_counter()
        (ROOT / lesson.file).touch()
        course.reread()
        judge(lesson, course, fresh, Path(directory))
        warm = time.perf_counter() - start
    own = fresh.submit(Program.of(lesson), f"{lesson.module}.py").result().result.seconds
    say("one changed page, warm, beyond its own time", warm - own, 0.5, " s")
    judging(f"--page=en/{name}")
    say("a changed sentence", judging(f"--page=en/{name}"), 2, " s")


def site():
    """The build against a bare Material build of the same Markdown, and its growth."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        full, bare = [], []
        for _ in range(3):
            full.append(_build_time(ROOT, folder / "full"))
            bare.append(_bare_build_time(folder))
        say("a build against a bare one of Material", min(full) / min(bare), 1.5)
        sizes = {times: _multiplied_build_time(folder / f"times-{times}", times) for times in (1, 10, 20)}
    pages = {times: count for times, (count, _) in sizes.items()}
    per_page = (sizes[20][1] - sizes[10][1]) / (pages[20] - pages[10])
    before = (sizes[10][1] - sizes[1][1]) / (pages[10] - pages[1])
    print("build: " + ", ".join(f"{count} pages {seconds:.1f} s" for count, seconds in sizes.values()))
    say("seconds a page from 10 to 20 times the pages, against from 1 to 10 times", per_page / before, 1.3)


def _build_time(project, folder):
    with _processor_time() as seconds:
        built = build(folder, "http://127.0.0.1:8000/", project)
    assert built.returncode == 0, built.stderr
    return seconds()


@contextlib.contextmanager
def _processor_time():
    """Give a function that returns the processor seconds of the commands run in the context.

    A build is one thread that waits for nothing, so other work on the machine does not disturb this.
    """

    def spent():
        times = os.times()
        return times.children_user + times.children_system

    before = spent()
    yield lambda: spent() - before


def _bare_build_time(folder):
    configuration = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Tagless)
    extensions = [
        {"pymdownx.snippets": {"base_path": str(ROOT), "dedent_subsections": True}}
        if isinstance(extension, dict) and "pymdownx.snippets" in extension
        else extension
        for extension in configuration["markdown_extensions"]
        if not str(extension).startswith("course_build.")
    ]
    for edition in EDITIONS:
        file = folder / f"bare-{edition}.yml"
        bare = {
            "site_name": "bare",
            "docs_dir": str(ROOT / "docs" / edition),
            "site_dir": str(folder / "bare" / edition),
            "theme": {"name": "material", "font": False, "language": edition},
            "markdown_extensions": extensions,
        }
        file.write_text(yaml.safe_dump(bare), encoding="utf-8")
    with _processor_time() as seconds:
        for edition in EDITIONS:
            file = folder / f"bare-{edition}.yml"
            timed([sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(file)], stderr=subprocess.DEVNULL)
    return seconds()


class _Tagless(yaml.SafeLoader):
    """Reads mkdocs.yml without what its tags (!ENV, !relative) stand for."""


_Tagless.add_multi_constructor("!", lambda loader, suffix, node: None)


def _multiplied_build_time(project, times):
    """Return the pages of a copy with every lesson `times` times, and the seconds of its build."""
    copy_project(project)
    multiply_lessons(project, times)
    count = sum(1 for _ in (project / "docs").rglob("*.md"))
    return count, _build_time(project, project / "site")


def suite():
    """Everything that the README's test command runs, afresh, with the lessons there are and with some forty.

    What fails in the copies because they are copies (their Chinese is not confirmed) does not change the time.
    """
    for times in (1, 4):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder, "project")
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
            multiply_lessons(project, times)
            (project / ".cache").mkdir()
            shutil.copytree(ROOT / ".cache" / "node", project / ".cache" / "node")
            start = time.perf_counter()
            command = [sys.executable, "-m", "pytest", "-q"]
            subprocess.run(command, cwd=project, stdout=subprocess.DEVNULL, env={**os.environ, "CI": "true"})
            minutes = (time.perf_counter() - start) / 60
        count = times * len(snippet_files())
        say(f"a full run on {CORES} cores with {count} lessons", minutes, 10 if times == 1 else 30 * count / 40, " min")


def weight():
    """What a lesson weighs over the wire, and what Lighthouse says of the home page and the longest lesson."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}/"
        built = build(folder, url)
        assert built.returncode == 0, built.stderr
        with _serve_compressed(Path(folder), port):
            longest = max(lessons(), key=lambda page: len(page.source)).name
            for edition in EDITIONS:
                say(f"{edition}/{longest}, without its pictures", _weight(f"{url}{edition}/{longest}/"), 200, " kB")
                for address in (f"{edition}/", f"{edition}/{longest}/"):
                    for device in ("phone", "desktop"):
                        _lighthouse(f"{url}{address}", f"/{address} on a {device}", device)


@contextlib.contextmanager
def _serve_compressed(folder, port):
    """Serve `folder` as a web host does: compressed, and to be kept by the browser."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_GET(self):
            file = Path(self.translate_path(self.path))
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file():
                self.send_error(404)
                return
            body = gzip.compress(file.read_bytes())
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(file))
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Cache-Control", "max-age=600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()


def _weight(address):
    """Return the kB that a page and all it loads, but for pictures, take over the wire."""
    from playwright.sync_api import sync_playwright

    sizes = []

    def count(request):
        if request.resource_type != "image":
            parts = request.sizes()
            sizes.append(parts["responseBodySize"] + parts["responseHeadersSize"])

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page()
        opened.on("requestfinished", count)
        opened.goto(address, wait_until="networkidle")
        browser.close()
    return sum(sizes) / 1000


def _lighthouse(address, name, device):
    limits = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}
    command = [
        "node",
        str(node_tool("lighthouse")),
        address,
        "--quiet",
        "--output=json",
        "--chrome-flags=--headless --no-sandbox --disable-gpu --disable-background-networking",
        f"--only-categories={','.join(limits)}",
        *(["--preset=desktop"] if device == "desktop" else []),
    ]
    environment = {**os.environ, "CHROME_PATH": shutil.which("chromium") or ""}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    for category, result in json.load(io.StringIO(run.stdout))["categories"].items():
        say(f"Lighthouse, {name}, {category}", 100 * result["score"], limits[category], at_least=True)


PARTS = {"speed": speed, "page": page, "site": site, "weight": weight, "suite": suite}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
