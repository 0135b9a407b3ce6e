"""What happens in the forked process of one page: run its blocks, keep what they print and draw.

Each block is handed to pytest-examples, with a loader that executes it statement by statement in the
one live `__main__` of the page.
"""

import ast
import contextlib
import datetime
import io
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

from course.outputs import Statement, split_statements
from course.program import Program

from tests.verify.run.result import Drawing, Failure, Result
from tests.verify.run.versions import installed_versions

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


def execute(program: Program, directory: str, connection: Any) -> None:
    """Run `program` in `directory`, in this process; send (“begun”, block) and at last a Result."""
    os.chdir(directory)
    log = os.open("native-output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    warnings.showwarning = _show_warning
    _prepare_figures()
    file = Path(directory, "program.py")
    file.write_text(program.text, encoding="utf-8")
    connection.send(("result", run_blocks(program, file, lambda block: connection.send(("begun", block)))))
    connection.close()


def run_blocks(program: Program, file: Path, begun: Callable[[int], None]) -> Result:
    """Run the blocks of `program`, whose text is in `file`; call `begun` with each block's number."""
    from pytest_examples import CodeExample
    from pytest_examples.config import ExamplesConfig
    from pytest_examples.run_code import run_code

    result = Result(date=datetime.datetime.now(datetime.UTC).date().isoformat(), versions=installed_versions())
    loader = BlockLoader(program, file, result)
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
    return result


class BlockLoader(Loader):
    """An import loader whose module is always the same live one, and whose code is the current block."""

    def __init__(self, program: Program, file: Path, result: Result) -> None:
        self.program = program
        self.file = file
        self.result = result
        self.block = 0
        self.module = ModuleType("__main__")

    def create_module(self, spec: Any) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        printed: list[list[str]] = []
        self.result.printed.append(printed)
        try:
            for statement, codes in self._compile():
                raises = any(line.kind == "!" for line in statement.printed)
                output = io.StringIO()
                try:
                    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                        for code in codes:
                            exec(code, module.__dict__)
                except Exception as error:
                    if not raises:
                        raise
                    output.write("".join(traceback.format_exception_only(error)))
                finally:
                    text = output.getvalue().rstrip("\n")
                    printed.append([line.rstrip() for line in text.split("\n")] if text else [])
        except BaseException as error:
            self.result.failure = self._describe(error)

    def _compile(self) -> Iterator[tuple[Statement, list[CodeType]]]:
        text = self.program.blocks[self.block]
        offset = self.program.first_line(self.block) - 1
        tree = ast.parse("\n" * offset + text, str(self.file))
        for statement in split_statements(text):
            last_line = statement.last_line + offset
            nodes = [node for node in tree.body if (node.end_lineno or 0) <= last_line]
            tree.body = tree.body[len(nodes) :]
            yield (
                statement,
                [compile(ast.Module([node], type_ignores=[]), str(self.file), "exec") for node in nodes],
            )

    def _describe(self, error: BaseException) -> Failure:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno or 1 for frame in frames if frame.filename == str(self.file)]
        if isinstance(error, SyntaxError) and not lines:
            return Failure(f"{type(error).__name__}: {error.msg}", (error.lineno or 1,))
        return Failure("".join(traceback.format_exception_only(error)).strip(), tuple(lines))


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
