"""TVMScript for functions that are made again and again from the same source.

``@script.prim_func(private=True, s_tir=True)`` reads a row kernel as ``T.prim_func`` does, with the
numbers of the moment in its closure.  ``T.prim_func`` walks the whole stack of callers with their
source lines, and finds and parses the function's source, every time: more than half of what a
kernel takes, for one of some ten sources.  Here a source is parsed once, and only the names that
stand in it are looked up.  It does not check that the function is well-formed; tests do, for each
operator.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.script.parser.core import doc
from tvm.script.parser.core.diagnostics import Source
from tvm.script.parser.core.error import ParserError
from tvm.script.parser.core.parser import Parser
from tvm.tirx import PrimFunc


def prim_func(*, private: bool, s_tir: bool) -> Callable[[Callable], PrimFunc]:
    """Decorator; TVM's parser finds the two arguments in the source."""
    scope = sys._getframe(1)

    def parse(function: Callable) -> PrimFunc:
        source = _source(function.__code__)
        # Annotations are text; what they alone use is in the scope, but not in the closure.
        visible = function.__globals__ | scope.f_locals
        names = {name: visible[name] for name in source.names if name in visible}
        parser = _Parser(source, {function.__name__: function.__annotations__})
        with IRBuilder() as builder:
            try:
                parser.parse(extra_vars=names)
            except ParserError as error:
                parser.report_error(error.node, error.args[0])
        return builder.get()

    parse.dispatch_token = "tirx"  # type: ignore[attr-defined]
    return parse


class _Parser(Parser):
    """A parser that does not note in every expression where it was written.

    Nobody reads that: what is wrong in a row kernel is found here, and reported with its place.
    """

    def with_source_span(self, node: doc.AST) -> AbstractContextManager[None]:
        return nullcontext()

    def annotate_current_source_span(self, value: Any) -> Any:
        return value


class _ParsedSource(Source):
    """The source of a function, parsed at most once."""

    @cached_property
    def _ast(self) -> doc.AST:
        return super().as_ast()

    def as_ast(self) -> doc.AST:
        return self._ast

    @cached_property
    def names(self) -> frozenset[str]:
        """All names in the function, those in annotations among them."""
        return frozenset(node.id for node in _nodes(self._ast) if isinstance(node, doc.Name))


@lru_cache(maxsize=256)
def _source(code: CodeType) -> _ParsedSource:
    return _ParsedSource(code)


def _nodes(tree: Any) -> Iterator[doc.AST]:
    """The nodes of a syntax tree."""
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _nodes(part)
    elif isinstance(tree, doc.AST):
        yield tree
        for field in tree._FIELDS:
            yield from _nodes(getattr(tree, field, None))
