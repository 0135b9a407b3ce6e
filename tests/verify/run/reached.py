"""Which lines of a program no run reaches: each statement within another is preceded by a mark.

The marks stand in the syntax tree alone, so text, lines and tracebacks of the program stay, and whatever thread or
forked process comes by is counted. AutoGraph compiles a copy of a function from its text: it is given them too.
"""

import ast
import builtins
import mmap
import re
import sys
from collections.abc import Iterator
from typing import Any

NOT_RUN = re.compile(r"#\s*Not run: \S")  # declares a line, with all that stands within it
SILENT = (ast.Pass, ast.Global, ast.Nonlocal)


class Reached:
    """The statements of one program that were reached, in memory that forked processes share."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._tree = ast.parse(text)
        self._lines = text.split("\n")
        self._seen = mmap.mmap(-1, 2 * len(self._lines) + 2)
        vars(builtins)["__reached__"] = self._seen.__setitem__
        if "tensorflow" in sys.modules:
            self._mark_what_autograph_compiles()

    def mark(self, node: ast.AST, lines_before: int = 0) -> None:
        """Put a mark before each statement within a statement of `node`, a tree without the first lines."""
        for suite in _suites(node):
            marked: list[ast.stmt] = []
            for statement in suite:
                self.mark(statement, lines_before)
                if self._is_marked(node, statement, lines_before):
                    key = _key(node, statement) + 2 * lines_before
                    mark = ast.parse(f"__reached__({key}, 1)").body[0]
                    for part in ast.walk(mark):
                        ast.copy_location(part, statement)
                    marked.append(mark)
                marked.append(statement)
            suite[:] = marked

    def missed(self, node: ast.AST | None = None) -> Iterator[int]:
        """Yield the lines of the statements that were not reached, of those in a row the first."""
        node = node or self._tree
        for suite in _suites(node):
            for statement in suite:
                if self._is_marked(node, statement) and not self._seen[_key(node, statement)]:
                    yield statement.lineno
                    break
                if not self._is_declared(statement):
                    yield from self.missed(statement)

    def _is_marked(self, parent: ast.AST, statement: ast.stmt, lines_before: int = 0) -> bool:
        says_nothing = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        runs_with_parent = isinstance(parent, (ast.Module, ast.ClassDef))
        silent = says_nothing or runs_with_parent or isinstance(statement, SILENT)
        return not silent and not self._is_declared(statement, lines_before)

    def _is_declared(self, statement: ast.stmt, lines_before: int = 0) -> bool:
        return bool(NOT_RUN.search(self._lines[statement.lineno + lines_before - 1]))

    def _mark_what_autograph_compiles(self) -> None:
        import gast
        from tensorflow.python.autograph.pyct import parser

        parse_entity = parser.parse_entity

        def parse_and_mark(entity: Any, future_features: Any) -> Any:
            node, source = parse_entity(entity, future_features)
            code = getattr(entity, "__code__", None)
            if code and code.co_filename == self.file and isinstance(node, gast.FunctionDef):
                tree = ast.parse(source)
                self.mark(tree, code.co_firstlineno - 1 - len(future_features))
                node = gast.ast_to_gast(tree).body[-1]
            return node, source

        parser.parse_entity = parse_and_mark


def _suites(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        suite = getattr(node, name, None)
        if isinstance(suite, list):
            yield suite
    for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
        yield from _suites(part)


def _key(parent: ast.AST, statement: ast.stmt) -> int:
    """Return what tells a statement from others, also from that on whose line it stands, as in `if x: y()`."""
    return 2 * statement.lineno + (getattr(parent, "lineno", None) == statement.lineno)
