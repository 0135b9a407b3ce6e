"""What happens in the forked process of one page: run its blocks, keep what they print and draw.

Each block is handed to pytest-examples, with a loader that executes it statement by statement in the
one live `__main__` of the page.
"""

import __future__

import ast
import contextlib
import datetime
import io
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from importlib.abc import Loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import course
from course.outputs import split_statements
from course.program import Program
from course.project import ROOT

from tests.verify.run.reached import Reached
from tests.verify.run.reader import FOLDER
from tests.verify.run.result import Drawing, Failure, Result
from tests.verify.run.start import without_start
from tests.verify.run.versions import installed_versions

LOG = "said.txt"
FIGURE_STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.max_open_warning": 0,
    "font.size": 11,
    "legend.frameon": False,
    "savefig.bbox": "tight",
    "savefig.dpi": 200,
}


def execute(program: Program, directory: Path, connection: Any) -> None:
    """Run `program` in the folder of `directory`, in this process; send (“begun”, block) and at last a Result."""
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    if hasattr(os, "setsid"):
        os.setsid()  # to be ended with all its children
    multiprocessing.set_start_method(None, force=True)  # that of a process which nothing forked
    os.environ["HOME"] = str(directory)
    log = Log(directory / LOG)
    warnings.showwarning = _show_warning
    _prepare_figures()
    file = directory / "program.py"
    file.write_text(program.text, encoding="utf-8")
    _leave_the_project(folder)
    connection.send(("result", run_blocks(program, file, log, lambda block: connection.send(("begun", block)))))
    connection.close()


class Log:
    """The file that receives what leaves this process, and its children, by the standard streams."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), encoding="utf-8", write_through=True)
            for descriptor in (1, 2)
        )

    def said(self, whole_lines: bool) -> list[str]:
        """Return the lines that came since this was last asked; a line not yet ended may wait for its end."""
        with open(self._file, "rb") as log:
            log.seek(self._read)
            said = log.read()
        if whole_lines:
            said = said[: said.rfind(b"\n") + 1]
        self._read += len(said)
        text = said.decode(errors="replace").rstrip("\n")
        return without_start([line.rstrip().expandtabs() for line in text.split("\n")]) if text else []


def run_blocks(program: Program, file: Path, log: Log, begun: Callable[[int], None]) -> Result:
    """Run the blocks of `program`, whose text is in `file`; call `begun` with each block's number."""
    from pytest_examples import CodeExample
    from pytest_examples.config import ExamplesConfig
    from pytest_examples.run_code import run_code

    result = Result(date=datetime.datetime.now(datetime.UTC).date().isoformat(), versions=installed_versions())
    loader = BlockLoader(program, file, log, result)
    start = time.perf_counter()
    for number, text in enumerate(program.blocks):
        begun(number)
        result.block = loader.block = number
        run_code(
            example=CodeExample.create(text, path=file, start_line=program.first_line(number)),
            python_file=file,
            loader=loader,
            config=ExamplesConfig(),
            enable_print_mock=False,
            print_callback=None,
            include_print=None,
            module_globals=None,
            call=None,
        )
        if result.failure:
            break
        _collect_figures(result, number)
    result.seconds = time.perf_counter() - start
    if result.passed and loader.reached:
        result.missed = list(loader.reached.missed())
    return result


class BlockLoader(Loader):
    """An import loader whose module is always the same live one, and whose code is the current block."""

    def __init__(self, program: Program, file: Path, log: Log, result: Result) -> None:
        self.program = program
        self.file = file
        self.log = log
        self.result = result
        self.block = 0
        self.module = ModuleType("__main__")
        self.reached: Reached | None = None
        self._futures = 0  # the flags of what was imported from __future__
        with contextlib.suppress(SyntaxError):  # of which running the block tells
            self.reached = Reached(program.text, str(file))

    def create_module(self, spec: Any) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = None  # as for a script, which processes that it starts may run as well
        printed: list[list[str]] = []
        self.result.printed.append(printed)
        try:
            for codes in self._compile():
                try:
                    for code in codes:
                        exec(code, module.__dict__)
                finally:
                    printed.append(self.log.said(whole_lines=True))
        except BaseException as error:
            self.result.failure = self._describe(error)
        if printed:
            printed[-1] += self.log.said(whole_lines=False)

    def _compile(self) -> Iterator[Iterator[CodeType]]:
        """Yield what each statement of the block compiles to; those that share a line are one."""
        text = self.program.blocks[self.block]
        offset = self.program.first_line(self.block) - 1
        tree = ast.parse("\n" * offset + text, str(self.file))
        for statement in split_statements(text):
            last_line = statement.last_line + offset
            nodes = [node for node in tree.body if (node.end_lineno or 0) <= last_line]
            tree.body = tree.body[len(nodes) :]
            yield map(self._compile_one, nodes)

    def _compile_one(self, node: ast.stmt) -> CodeType:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for name in node.names:
                self._futures |= getattr(__future__, name.name, __future__.annotations).compiler_flag
        tree = ast.Module([node], type_ignores=[])
        if self.reached:
            self.reached.mark(tree)
        code: CodeType = compile(tree, str(self.file), "exec", self._futures, dont_inherit=True)
        return code

    def _describe(self, error: BaseException) -> Failure:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno or 1 for frame in frames if frame.filename == str(self.file)]
        if isinstance(error, SyntaxError) and not lines:
            return Failure(f"{type(error).__name__}: {error.msg}", (error.lineno or 1,))
        return Failure("".join(traceback.format_exception_only(error)).strip(), tuple(lines))


def _leave_the_project(folder: Path) -> None:
    """Let imports find what a reader's find: the folder that the program runs in, then what is installed."""
    project = (ROOT, Path(course.__path__[0]).parent)
    sys.path[:] = [str(folder), *(path for path in sys.path if Path(path).resolve() not in project)]


def _show_warning(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
    print(f"{category.__name__}: {message}", file=sys.stderr)


def _prepare_figures() -> None:
    import matplotlib
    import matplotlib.pyplot

    matplotlib.use("agg")
    matplotlib.rcParams.update(FIGURE_STYLE)
    matplotlib.pyplot.show = lambda *arguments, **options: None


def _collect_figures(result: Result, block: int) -> None:
    from matplotlib import pyplot

    from tests.verify.run.description import describe

    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
        result.figures.append(Drawing(str(figure.get_label()), block, picture.getvalue(), describe(figure)))
    pyplot.close("all")
