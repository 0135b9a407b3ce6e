"""Judge each page as it is saved, with a fork server that stays warm: `python -m tests.watch`."""

import queue
import tempfile
import time
from pathlib import Path

from course.program import Program
from course.project import ROOT
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

from tests.verify.checks.prose import linked_pages
from tests.verify.course import Course
from tests.verify.run.runner import Runner
from tests.verify.verdict import judge

WATCHED = ("docs/en", "docs/zh", "snippets")
TIME_LIMIT = 120  # seconds for a page's program


class Saved(FileSystemEventHandler):
    """Puts a token into a queue whenever a page or a snippet was written."""

    def __init__(self, tokens):
        self.tokens = tokens

    def on_any_event(self, event):
        if event.event_type in ("created", "modified", "moved", "deleted"):
            self.tokens.put(event.src_path)


def wait_for_a_save(tokens):
    """Return when something was saved and nothing more follows at once."""
    tokens.get()
    while True:
        try:
            tokens.get(timeout=0.05)
        except queue.Empty:
            return


def state(page):
    """Return what a page's verdict depends on."""
    return page.source, tuple(block.text for block in page.blocks)


def affected(course, known):
    """Return the pages whose verdict may be another than when their states were those `known`.

    These are the pages that changed, the Chinese of an English one that did, the other edition of one that came or
    went, and those that link to that.
    """
    changed = {file for file, page in course.pages.items() if known.get(file) != state(page)}
    moved = known.keys() ^ course.pages.keys()
    others = {Path("docs", "zh" if file.parts[1] == "en" else "en", *file.parts[2:]) for file in moved}
    others |= {Path("docs", "zh", *file.parts[2:]) for file in changed}
    linking = {file for file, page in course.pages.items() if moved & linked_pages(page)}
    return [page for file, page in course.pages.items() if file in changed | others | linking]


def report(pages, course, runner):
    """Judge `pages` and print what is wrong with them."""
    for page in pages:
        start = time.perf_counter()
        directory = Path(tempfile.gettempdir(), "figures-that-changed", page.edition, page.name)
        directory.mkdir(parents=True, exist_ok=True)
        problems = judge(page, course, runner, directory).left()
        for problem in problems:
            print(problem)
        verdict = f"{len(problems)} problems" if problems else "true"
        print(f"{page.file}: {verdict}, {time.perf_counter() - start:.1f} s", flush=True)


def main():
    course = Course()
    runner = Runner(fresh=False, time_limit=TIME_LIMIT)
    runner.submit(Program(("",)), "empty.py").result()  # starts the fork server
    report([page for page in course.pages.values() if page.name == "index"], course, runner)  # loads the checks
    known = {page.file: state(page) for page in course.pages.values()}
    tokens = queue.Queue()
    observer = Observer()
    for folder in WATCHED:
        observer.schedule(Saved(tokens), str(ROOT / folder), recursive=True)
    observer.start()
    print(f"watching {len(known)} pages; save one of them, or a snippet", flush=True)
    while True:
        wait_for_a_save(tokens)
        course.reread()
        pages = affected(course, known)
        known = {page.file: state(page) for page in course.pages.values()}
        report(pages, course, runner)


if __name__ == "__main__":
    main()
