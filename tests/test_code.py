"""The code keeps its rules: ruff's, those of its types, and which room may depend on which."""

import subprocess
import sys
from pathlib import Path

import pytest
from course.project import ROOT

COMMANDS = ["ruff check", "ruff format --check", "mypy", "lint-imports"]


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_found(command):
    name, *options = command.split()
    executable = Path(sys.executable).parent / name
    run = subprocess.run([executable, *options], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
