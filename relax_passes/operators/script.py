"""Row kernels in TVMScript, whose parameters follow from the operator.

``@script.row_kernel(signature)`` reads the body of a function as ``T.prim_func`` does, with the
numbers of the moment in its closure.  The function names, in the order of `Operator`'s contract,
the buffers behind the kernel's pointers, and the ring heights between them::

    @script.row_kernel(signature)
    def dense_row(row, X, data_rows, W, B, *factors, O):

With a star before it, a name is a list of the buffers that not every operation has.
The pointers' names and types, and how long the buffers are, the signature says: operands are as
long as all their rows, the output is one row, gaps between pixels included.

``T.prim_func`` walks the whole stack of callers with their source lines, and finds and parses the
function's source, every time: more than half of what a kernel takes, for one of some ten sources.
Here a source is parsed once, and only the names that stand in it are looked up.  It does not check
that the function is well-formed; tests do, for each operator.
"""

from __future__ import annotations

import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.script.parser.core import doc
from tvm.script.parser.core.diagnostics import Source
from tvm.script.parser.core.error import ParserError
from tvm.script.parser.core.parser import Parser
from tvm.tirx import PrimFunc, Var
from tvm.tirx.script import builder as T

from .indexing import buffer_elements
from .operator import Operator
from .registry import implementation
from .signature import Signature


def row_kernel(signature: Signature) -> Callable[[Callable], PrimFunc]:
    """Decorator: the portable row kernel of an operation."""
    operator = implementation(signature)
    scratch = operator.scratch_bytes(signature)
    last = [_Pointer("scratch", "int8", scratch)] if scratch else []
    return _kernel(operator, signature, *last)


def running_kernel(signature: Signature) -> Callable[[Callable], PrimFunc]:
    """Decorator: the kernel that takes the rows of an operation into its state, one by one."""
    operator = implementation(signature)
    state = operator.running_state(signature)
    assert state is not None
    return _kernel(operator, signature, _Pointer("state", state.dtype, state.elements))


@dataclass(frozen=True)
class _Pointer:
    """A parameter of a kernel, and how many elements are behind it; a ring has a height too."""

    name: str
    dtype: str
    elements: int
    is_ring: bool = False


def _kernel(
    operator: Operator, signature: Signature, *last: _Pointer
) -> Callable[[Callable], PrimFunc]:
    scope = sys._getframe(2)
    output, rings = signature.output, operator.row_arguments(signature)
    operands = zip(operator.argument_names(signature), signature.inputs)
    pointers = [
        _Pointer(name, spec.dtype, buffer_elements(spec), index in rings)
        for index, (name, spec) in enumerate(operands)
    ]
    pointers += [_Pointer("out", output.dtype, output.row_stride), *last]

    def parse(function: Callable) -> PrimFunc:
        source = _source(function.__code__)
        visible = function.__globals__ | scope.f_locals
        names = {name: visible[name] for name in source.names if name in visible}
        parser = _Parser(source, {})
        with IRBuilder() as builder:
            try:
                parser.parse_kernel(pointers, names)
            except ParserError as error:
                parser.report_error(error.node, error.args[0])
        return builder.get()

    return parse


class _Parser(Parser):
    """A parser that does not note in every expression where it was written.

    Nobody reads that: what is wrong in a row kernel is found here, and reported with its place.
    """

    def parse_kernel(self, pointers: Sequence[_Pointer], names: Mapping[str, Any]) -> None:
        """Give the builder the kernel with these parameters, whose body sees `names`."""
        (function,) = self.diag.source.as_ast().body
        own = function.args
        with ExitStack() as stack:
            stack.enter_context(self.var_table.with_frame())
            for name, value in names.items():
                self.var_table.add(name, value)
            stack.enter_context(self.var_table.with_frame())
            stack.enter_context(T.prim_func(is_private=True, s_tir=True))
            T.func_name(function.name)
            parameters: list[tuple[Any, _Pointer | None]] = []
            parameters.append((T.arg("row", Var("row", "int32")), None))
            for pointer in pointers:
                parameters.append((T.arg(pointer.name, T.handle(pointer.dtype)), pointer))
                if pointer.is_ring:
                    height = f"{pointer.name}_rows"
                    parameters.append((T.arg(height, Var(height, "int32")), None))
            first, last = ([name.arg for name in part] for part in (own.args, own.kwonlyargs))
            between = len(parameters) - len(first) - len(last)
            if between < 0 or (between > 0 and own.vararg is None):
                wanted = ", ".join(value.name for value, _ in parameters)
                raise TypeError(f"{function.name} has to take {wanted}, in whatever names")
            several = []
            for name, (value, behind) in zip([*first, *[None] * between, *last], parameters):
                if behind is not None:
                    value = T.decl_buffer((behind.elements,), behind.dtype, data=value)
                    IRBuilder.name(name or behind.name, value)
                if name is None:
                    several.append(value)
                else:
                    self.var_table.add(name, value)
            if own.vararg is not None:
                self.var_table.add(own.vararg.arg, several)
            with self.with_dispatch_token("tirx"):
                self.visit_body(function.body)

    def with_source_span(self, node: doc.AST) -> AbstractContextManager[None]:
        return nullcontext()

    def annotate_current_source_span(self, value: Any) -> Any:
        return value


class _ParsedSource(Source):
    """The source of a function, parsed at most once.

    It is found by the function's own file: `inspect` looks through all modules for it first.
    """

    def __init__(self, code: CodeType) -> None:
        lines = linecache.getlines(code.co_filename)
        if not lines:  # in an archive, say
            super().__init__(code)
            return
        first = code.co_firstlineno - 1
        block = inspect.getblock(lines[first:])
        self.source_name = code.co_filename
        self.start_line = code.co_firstlineno
        self.start_column = len(block[0]) - len(block[0].lstrip())
        self.source = textwrap.dedent("".join(block))
        self.full_source = "".join(lines)

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
