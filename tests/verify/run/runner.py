"""Run programs, each in a forked process of its own, and keep the results of those that passed.

The processes are forked by a server that has imported TensorFlow and run no operation of it.
"""

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
from typing import Any

import course
from course.program import Program
from course.project import ROOT

from tests.verify.run.execution import execute
from tests.verify.run.result import Result

CACHE = ROOT / ".cache" / "programs"
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class Runner:
    """Runs each distinct program once, one more at a time than there are cores: each now and then waits for itself.

    `fresh` says whether to run also the programs whose results were kept by an earlier run;
    `time_limit` is in seconds.
    """

    def __init__(self, fresh: bool, time_limit: float) -> None:
        self.fresh = fresh
        self.time_limit = time_limit
        self.recalled = 0  # results kept by an earlier run
        self._context: Any = multiprocessing.get_context(START_METHOD)
        self._pool = ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1)
        self._starting = threading.Lock()
        self._futures: dict[Program, Future[Result]] = {}
        self._kept_now: set[Path] = set()

    def submit(self, program: Program) -> Future[Result]:
        """Begin to run `program`, unless it was submitted before; return the future of its Result."""
        if program not in self._futures:
            self._futures[program] = self._pool.submit(self._run_or_recall, program)
        return self._futures[program]

    @property
    def submitted(self) -> int:
        """The number of distinct programs submitted."""
        return len(self._futures)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _run_or_recall(self, program: Program) -> Result:
        kept = CACHE / hashlib.sha256(f"{program.digest} {environment_digest()}".encode()).hexdigest()
        if kept in self._kept_now or (not self.fresh and kept.exists()):
            self.recalled += 1
            recalled: Result = pickle.loads(kept.read_bytes())
            return recalled
        result = self.run(program)
        if result.passed:
            CACHE.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(f".{os.getpid()}")
            partial.write_bytes(pickle.dumps(result))
            partial.replace(kept)
            self._kept_now.add(kept)
        return result

    def start(self) -> None:
        """Start the server, which imports TensorFlow by itself while the caller goes on."""
        if START_METHOD == "forkserver":
            with self._starting:
                _start_fork_server(self._context)

    def run(self, program: Program) -> Result:
        """Run `program` in a process and a directory of its own; return its Result."""
        self.start()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            receiver, sender = self._context.Pipe(duplex=False)
            process = self._context.Process(target=execute, args=(program, directory, sender), daemon=True)
            process.start()
            sender.close()
            return self._await_result(process, receiver, Path(directory))

    def _await_result(self, process: Any, receiver: Any, directory: Path) -> Result:
        deadline = time.monotonic() + self.time_limit
        block = 0
        while True:
            if not receiver.poll(max(0, deadline - time.monotonic())):
                process.kill()
                return Result(block=block, ended=f"did not end within {self.time_limit} seconds")
            try:
                kind, content = receiver.recv()
            except EOFError:
                process.join()
                log = directory / "native-output.txt"
                said = log.read_text(errors="replace").strip()[-500:] if log.exists() else ""
                ended = f"ended the process with exit code {process.exitcode}" + (f": {said}" if said else "")
                return Result(block=block, ended=ended)
            if kind == "result":
                process.join(5)
                process.kill()
                result: Result = content
                return result
            block = content


@functools.cache
def _start_fork_server(context: Any) -> None:
    """Start the server; it looks for what it preloads in PYTHONPATH only."""
    context.set_forkserver_preload(["tests.verify.run.preload"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    forkserver.ensure_running()
    del os.environ["PYTHONPATH"]
    if before is not None:
        os.environ["PYTHONPATH"] = before


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
