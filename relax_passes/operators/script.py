"""TVMScript for functions that are made again and again from the same source.

``@script.prim_func(private=True, s_tir=True)`` reads a row kernel as ``T.prim_func`` does, with the
numbers of the moment in its closure.  ``T.prim_func`` walks the whole stack of callers with their
source lines, and finds and parses the function's source, every time: more than half of what a
kernel takes, for one of some ten sources.  Here a source is parsed once.  It does not check that
the function is well-formed; tests do, for each operator.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.script.parser.core import doc
from tvm.script.parser.core.diagnostics import Source
from tvm.script.parser.core.error import ParserError
from tvm.script.parser.core.parser import Parser
from tvm.script.parser.core.utils import inspect_function_capture
from tvm.tirx import PrimFunc


def prim_func(*, private: bool, s_tir: bool) -> Callable[[Callable], PrimFunc]:
    """Decorator; TVM's parser finds the two arguments in the source."""
    scope = sys._getframe(1).f_locals

    def parse(function: Callable) -> PrimFunc:
        source = _source(function.__code__)
        names: dict[str, Any] = inspect_function_capture(function)
        # Annotations are text; what they alone use is not in the closure.
        names |= {name: scope[name] for name in source.annotated if name in scope}
        parser = Parser(source, {function.__name__: function.__annotations__})
        with IRBuilder() as builder:
            try:
                parser.parse(extra_vars=names)
            except ParserError as error:
                parser.report_error(error.node, error.args[0])
        return builder.get()

    parse.dispatch_token = "tirx"  # type: ignore[attr-defined]
    return parse


class _ParsedSource(Source):
    """The source of a function, parsed at most once."""

    @cached_property
    def _ast(self) -> doc.AST:
        return super().as_ast()

    def as_ast(self) -> doc.AST:
        return self._ast

    @cached_property
    def annotated(self) -> frozenset[str]:
        """Names in the annotations of the function's parameters."""
        (function,) = ast.parse(self.source).body
        assert isinstance(function, ast.FunctionDef)
        annotations = [arg.annotation for arg in function.args.args if arg.annotation]
        nodes = [node for annotation in annotations for node in ast.walk(annotation)]
        return frozenset(node.id for node in nodes if isinstance(node, ast.Name))


@lru_cache(maxsize=256)
def _source(code: CodeType) -> _ParsedSource:
    return _ParsedSource(code)
