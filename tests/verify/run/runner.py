"""Run programs, each in a forked process of its own, and keep the results of those that passed.

The processes are forked by a server that has imported TensorFlow and run no operation of it. That is for speed. Where
`as_readers` says so, a reader has run the script before (reader.py), and the forked process is the second run in the
same folder, under another hash seed.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import multiprocessing
import os
import pickle
import re
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

import course
from course.files import write_whole
from course.program import Program
from course.project import ROOT

from tests.verify.run.execution import LOG, execute
from tests.verify.run.reader import Reader, ScriptRun, kill_with_children
from tests.verify.run.result import Result

CACHE = ROOT / ".cache" / "programs"
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class Runs(NamedTuple):
    """What came of a program, and of the script that was run in the same folder before, None if none was."""

    result: Result
    script: ScriptRun | None


class Runner:
    """Runs each distinct program once, one more at a time than there are cores: each now and then waits for itself.

    `fresh` says whether to run also the programs whose results were kept by an earlier run; `as_readers` whether
    to run each program also as readers do, which takes its time; `time_limit` is in seconds.
    """

    def __init__(self, fresh: bool, time_limit: float, as_readers: bool = False) -> None:
        self.fresh = fresh
        self.as_readers = as_readers
        self.time_limit = time_limit
        self.recalled = 0  # results kept by an earlier run
        self._context: Any = multiprocessing.get_context(START_METHOD)
        self._pool = ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1)
        self._starting = threading.Lock()
        self._futures: dict[tuple[Program, str], Future[Runs]] = {}
        self._kept_now: set[Path] = set()
        self._reader = Reader(time_limit)

    def submit(self, program: Program, script: str) -> Future[Runs]:
        """Begin to run `program`, whose script has the name `script`, unless it was submitted before."""
        if (program, script) not in self._futures:
            self._futures[program, script] = self._pool.submit(self._run_or_recall, program, script)
        return self._futures[program, script]

    @property
    def submitted(self) -> int:
        """The number of distinct programs submitted."""
        return len(self._futures)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _run_or_recall(self, program: Program, script: str) -> Runs:
        kept = CACHE / hashlib.sha256(f"{program.digest} {environment_digest()} {script}".encode()).hexdigest()
        recalled = self._recall(kept)
        if recalled and (recalled.script or not self.as_readers):
            self.recalled += 1
            return recalled
        runs = self._run(program, script)
        if runs.result.passed and not (runs.script and runs.script.ended):
            write_whole(kept, pickle.dumps(runs))
            self._kept_now.add(kept)
        return runs

    def _recall(self, kept: Path) -> Runs | None:
        """Return what was kept in the file; None if nothing was, or it is broken."""
        if kept in self._kept_now or not self.fresh:
            with contextlib.suppress(Exception):  # whatever a broken pickle says
                recalled = pickle.loads(kept.read_bytes())
                return recalled if isinstance(recalled, Runs) else None
        return None

    def _run(self, program: Program, script: str) -> Runs:
        with contextlib.ExitStack() as stack:
            place, another = (Path(stack.enter_context(_directory())) for _ in range(2))
            said = self._reader.run(program, script, place) if self.as_readers else None
            return Runs(self._fork(program, another if said and said.ended else place), said)

    def start(self) -> None:
        """Start the server, which imports TensorFlow by itself while the caller goes on."""
        if START_METHOD == "forkserver":
            with self._starting:
                _start_fork_server(self._context)

    def _fork(self, program: Program, place: Path) -> Result:
        """Run `program` in a process of its own, in `folder` of the directory `place`; return its Result."""
        self.start()
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=execute, args=(program, place, sender), daemon=False)
        process.start()
        sender.close()
        return self._await_result(process, receiver, place)

    def _await_result(self, process: Any, receiver: Any, directory: Path) -> Result:
        deadline = time.monotonic() + self.time_limit
        block = 0
        while True:
            if not receiver.poll(max(0, deadline - time.monotonic())):
                kill_with_children(process.pid)
                return Result(block=block, ended=f"did not end within {self.time_limit} seconds")
            try:
                kind, content = receiver.recv()
            except EOFError:
                process.join()
                log = directory / LOG
                said = log.read_text(errors="replace").strip()[-500:] if log.exists() else ""
                ended = f"ended the process with exit code {process.exitcode}" + (f": {said}" if said else "")
                return Result(block=block, ended=ended)
            if kind == "result":
                process.join(5)
                kill_with_children(process.pid)
                result: Result = content
                return result
            block = content


def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


@functools.cache
def _start_fork_server(context: Any) -> None:
    """Start the server; it looks for what it preloads in PYTHONPATH only."""
    context.set_forkserver_preload(["tests.verify.run.preload"])
    before = dict(os.environ)
    os.environ.update(PYTHONPATH=str(ROOT), PYTHONHASHSEED="1")  # another than a script's (reader.py)
    forkserver.ensure_running()
    os.environ.clear()
    os.environ.update(before)


@functools.cache
def installed_distributions() -> list[str]:
    """Return names and versions of all that is installed."""
    return sorted(f"{distribution.name} {distribution.version}" for distribution in importlib.metadata.distributions())


@functools.cache
def environment_digest() -> str:
    """Return a digest of all that a program's result depends on beside the program itself."""
    sources = [file.read_text(encoding="utf-8") for file in sorted(_files_that_run_programs())]
    return hashlib.sha256("\0".join([sys.version, *installed_distributions(), *sources]).encode()).hexdigest()


def _files_that_run_programs() -> set[Path]:
    """Return the files of this room, and those of the course that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(Path(__file__).parent.glob("*.py"))
    while waiting:
        file = waiting.pop()
        if file not in found and file.exists():
            found.add(file)
            imported = re.findall(r"^from course\.(\w+) import", file.read_text(encoding="utf-8"), re.MULTILINE)
            waiting += [Path(course.__path__[0], f"{name}.py") for name in imported]
    return found
