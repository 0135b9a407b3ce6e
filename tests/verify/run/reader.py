"""Run a program as a reader does: the script that is taken away, in a plain interpreter and an empty folder.

The interpreter has the installed packages and nothing of the project, no settings of this machine, no network.
"""

import contextlib
import functools
import linecache
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
import venv
from pathlib import Path
from typing import NamedTuple

from course.program import Program

from tests.verify.run.start import without_start

FOLDER = "folder"  # of a directory: where a program runs
HASH_SEED = "0"  # another than that of the fork server (preload.py)
NO_NETWORK = "http://127.0.0.1:9"  # where programs that are not Python look for one
WARNING = re.compile(r"(?P<file>\S.*?):(?P<line>\d+): (?P<shown>[A-Za-z_]\w*: .*)")


class ScriptRun(NamedTuple):
    """One run of a script: what left its process by whatever way, line by line, and what it left at home.

    `ended` is why it did not come to its own end, or "".
    """

    lines: list[str]
    ended: str
    left_at_home: list[str]


def reader_environment(home: Path) -> dict[str, str]:
    """Return all of the environment that a program is given."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NO_NETWORK)
    return {
        "HOME": str(home),
        "PATH": os.defpath,
        "MPLBACKEND": "agg",  # nobody is there to close a window
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",  # so that both standard streams are in order
        **proxies,
    }


class Reader:
    """Has a home, and the interpreter that runs scripts for it; `time_limit` is in seconds."""

    def __init__(self, time_limit: float) -> None:
        self.time_limit = time_limit
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._settling = threading.Lock()

    @functools.cached_property
    def _python(self) -> Path:
        """An interpreter of its own: the installed packages are on its path, what their `.pth` files add is not."""
        environment = Path(self._folder.name, "python")
        venv.EnvBuilder(symlinks=os.name != "nt").create(environment)
        paths = {name: str(environment) for name in ("base", "platbase")}
        packages = Path(sysconfig.get_path("purelib", "venv", paths))
        shutil.copy(Path(__file__).with_name("without_network.py"), packages)
        installed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
        (packages / "reader.pth").write_text("\n".join([*installed, "import without_network\n"]), encoding="utf-8")
        return Path(sysconfig.get_path("scripts", "venv", paths), "python")

    @functools.cached_property
    def _home(self) -> Path:
        """A home in which what each program begins with has left what it leaves: settings and lists of fonts."""
        home = Path(self._folder.name, "home")
        home.mkdir()
        command = [str(self._python), "-c", "import keras, matplotlib.pyplot"]
        subprocess.run(command, cwd=home, env=reader_environment(home), capture_output=True)
        return home

    def run(self, program: Program, name: str, place: Path) -> ScriptRun:
        """Run the script `name` of `program` in the folder of the directory `place`, which is made."""
        with self._settling:
            self._home  # noqa: B018
        folder, home = place / FOLDER, place / "home"
        folder.mkdir()
        shutil.copytree(self._home, home)
        script = folder / name
        script.write_text(program.text, encoding="utf-8")
        said, ended = self._run_once(script, home)
        lines = without_start(without_places(said.splitlines(), folder))
        left = sorted(_files(home) - _files(self._home))
        return ScriptRun([line.rstrip().expandtabs() for line in lines if line.strip()], ended, left)

    def _run_once(self, script: Path, home: Path) -> tuple[str, str]:
        """Return all that a run of the script said, and why it did not end well."""
        process = subprocess.Popen(
            [self._python, script.name],
            cwd=script.parent,
            env={**reader_environment(home), "PYTHONHASHSEED": HASH_SEED},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        ended = ""
        try:
            said, _ = process.communicate(timeout=self.time_limit)
            if process.returncode:
                ended = f"exit code {process.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"no end within {self.time_limit} seconds"
            kill_with_children(process.pid)
            said, _ = process.communicate()
        return said.decode(errors="replace").replace("\r\n", "\n"), ended


def without_places(lines: list[str], folder: Path) -> list[str]:
    """Return the lines with each warning as `UserWarning: text`, without file, line, and what stands there."""
    kept: list[str] = []
    sources: list[str] = []
    for line in lines:
        if line in sources:
            sources.remove(line)
        elif warning := WARNING.fullmatch(line):
            source = linecache.getline(str(folder / warning["file"]), int(warning["line"])).strip()
            if source:
                sources.append(f"  {source}")
            kept.append(warning["shown"] if source else line)
        else:
            kept.append(line)
    return kept


def _files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def kill_with_children(process: int) -> None:
    """Kill a process that leads a group of its own, and all processes of the group."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGTERM)
