"""Files of the project: what cannot be read is named with its line, what is written is written whole."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from course.page import Problem
from course.project import ROOT


class Unreadable(Exception):
    """A file that cannot be read: `problem` says where and why, `text` is what could be read all the same."""

    def __init__(self, problem: Problem, text: str = "") -> None:
        super().__init__(str(problem))
        self.problem, self.text = problem, text


def read_text(file: Path) -> str:
    """Return the text of `file`, relative to the project.

    Raises:
        Unreadable: if it is gone, or no UTF-8.
    """
    try:
        data = (ROOT / file).read_bytes()
    except OSError as error:
        message = f"this file cannot be read: {error.strerror}"
        raise Unreadable(Problem(file, 1, message)) from error
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        message = "this line is not UTF-8: save the file in that encoding"
        problem = Problem(file, data.count(b"\n", 0, error.start) + 1, message)
        raise Unreadable(problem, data.decode(errors="replace").replace("\r\n", "\n")) from error


def read_yaml(file: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return what the YAML in `file`, relative to the project, says.

    Raises:
        Unreadable: if it is gone, or no YAML.
    """
    try:
        return yaml.load(read_text(file), Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"the file is not YAML: {getattr(error, 'problem', error)}"
        raise Unreadable(Problem(file, mark.line + 1 if mark else 1, message)) from error


def write_whole(file: Path, data: bytes) -> None:
    """Write `file` whole or not at all: where the disk is full, or the run cut off, the old one stays.

    Raises:
        OSError: if it could not be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as partial:
        try:
            partial.write(data)
            partial.close()
            if file.exists():
                shutil.copymode(file, partial.name)
            else:
                os.chmod(partial.name, 0o644)
            os.replace(partial.name, file)
        except BaseException:
            Path(partial.name).unlink(missing_ok=True)
            raise
