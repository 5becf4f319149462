"""`MakeAgain`: a tensor that waits long is made a second time where it is read again.

    a = f(x);  b = g(a);  c = h(b);  d = join(c, a)
        ->
    a = f(x);  b = g(a);  c = h(b);  a_again = f(x);  d = join(c, a_again)

Of a tensor that is made by a chain of operators of one operand each, the copies may make the first
columns alone; the others are cut off while they are there, and wait:

    a = f(x);  kept = a[:, :, 5:];  b = g(a);  c = h(b)
    a_again = f'(x[:, :, :6]);  a_joined = concat(a_again, kept);  d = join(c, a_joined)

Operators are pure, so a copy of one has the same bits.  What is made again, and for whom, is the
planner's choice (`Again`); the names of the copies are left in main's attribute
``dero.made_again``, for their work to be counted as what it is.

Preconditions: the tensor and what makes it are bindings of ``main`` before its readers.  Does not
handle the network's results: who reads them is the application.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.attributes import MADE_AGAIN, main_attribute, with_main_attribute
from ..ir.decisions import Decision, record
from ..ir.straight_line import (
    StraightLine,
    read_function,
    substitute,
    unique_names,
    write_function,
)
from ..operators import make_call, operator_of, signature_of, spec_of
from .first_columns import first_columns

NAME = "MakeAgain"
ACTION = "made again"

_Binding = tuple[relax.Var, relax.Expr]


@dataclass(frozen=True)
class Again:
    """The bindings of `chain` are repeated before the first of `readers`, which read the copy.

    The last of the chain is the tensor that waits.  With `columns` so many of the first columns of
    its rows are made again; with 0, whole rows.
    """

    chain: tuple[str, ...]
    readers: tuple[str, ...]
    columns: int = 0

    @property
    def tensor(self) -> str:
        """The tensor that waits."""
        return self.chain[-1]


@tvm.transform.module_pass(opt_level=0, name=NAME)
class MakeAgain:
    """The pass; see the module's docstring.

    What is `chosen` is made again in that order; later ones may name the copies of earlier ones.
    Raises ``ValueError`` for names that ``main`` does not bind, or binds behind a reader.
    """

    def __init__(self, chosen: Sequence[Again]) -> None:
        self.chosen = tuple(chosen)

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with the copies, and a decision on each copy that is read."""
        if not self.chosen:
            return mod
        mod = unique_names(mod)
        line, copies, decided = read_function(mod), list(made_again(mod)), []
        for again in self.chosen:
            line, made = _with_copies(line, again)
            copies += made
            decided.append(Decision(NAME, made[-1], ACTION, _story(again)))
        mod = write_function(mod, line)
        return record(with_main_attribute(mod, MADE_AGAIN, copies), decided)


def made_again(mod: tvm.IRModule) -> tuple[str, ...]:
    """The names of the bindings that repeat others."""
    return tuple(map(str, main_attribute(mod, MADE_AGAIN, ())))


def _with_copies(line: StraightLine, again: Again) -> tuple[StraightLine, list[str]]:
    """The straight line with one tensor made again, and the names of the copies."""
    position = {var.name: number for number, (var, _) in enumerate(line.bindings)}
    for name in (*again.chain, *again.readers):
        if name not in position:
            raise ValueError(f"{name} is to be made or read again, but main has no such binding")
    begin = min(position[reader] for reader in again.readers)
    chain = [line.bindings[number] for number in sorted(position[name] for name in again.chain)]
    waiting = chain[-1][0]
    made = position[waiting.name] + 1
    if made > begin:
        raise ValueError(f"{waiting.name} is made behind what is to read it")
    names = _Names({*position, *(var.name for var in line.parameters)})
    kept: list[_Binding] = []
    joined: list[_Binding] = []
    if again.columns:
        copies, kept, joined = _first_columns_again(chain, again.columns, names)
    else:
        copies = _rows_again(chain, names)
    read, _ = (*copies, *joined)[-1]
    bindings = [
        (var, substitute(value, {waiting: read} if var.name in again.readers else {}))
        for var, value in line.bindings
    ]
    bindings[begin:begin] = [*copies, *joined]
    bindings[made:made] = kept
    repeated = [var.name for var, _ in copies]
    return StraightLine(line.parameters, tuple(bindings), line.result), repeated


def _rows_again(chain: Sequence[_Binding], names: _Names) -> list[_Binding]:
    copies: dict[relax.Var, relax.Expr] = {}
    repeated = []
    for var, value in chain:
        copy = relax.Var(names.new(f"{var.name}_again"), var.ty, var.span)
        repeated.append((copy, substitute(value, copies)))
        copies[var] = copy
    return repeated


def _first_columns_again(
    chain: Sequence[_Binding], columns: int, names: _Names
) -> tuple[list[_Binding], list[_Binding], list[_Binding]]:
    """The copies of a chain for some columns, the binding of the others, and that of both."""
    waiting = chain[-1][0]
    rows, width = spec_of(waiting.ty).shape[1:3]
    steps: list[tuple[relax.Var, Call, dict[str, Any]]] = []
    wanted = columns
    for number, (var, value) in reversed(list(enumerate(chain))):
        found = first_columns(signature_of(value), wanted) if operator_of(value) else None
        if found is None or (number and not value.args[0].same_as(chain[number - 1][0])):
            raise ValueError(f"{var.name} cannot be made for some columns alone")
        attrs, wanted = found
        steps.append((var, value, attrs))
    data = steps[-1][1].args[0]
    made: list[_Binding] = []
    if wanted < spec_of(data.ty).shape[2]:
        made.append(_named(names.new(f"{waiting.name}_columns"), _columns_of(data, 0, wanted)))
        data = made[-1][0]
    for var, value, attrs in reversed(steps):
        short = value.op.name.removeprefix("dero.")
        call = make_call(short, [data, *value.args[1:]], **attrs)
        made.append(_named(names.new(f"{var.name}_again"), call, var.span))
        data = made[-1][0]
    others = _named(names.new(f"{waiting.name}_kept"), _columns_of(waiting, columns, width))
    whole = make_call("concat", [data, others[0]], axis=2)
    return made, [others], [_named(names.new(f"{waiting.name}_joined"), whole)]


def _columns_of(data: relax.Expr, begin: int, end: int) -> Call:
    first, last = [0] * 4, list(spec_of(data.ty).shape)
    first[2], last[2] = begin, end
    return make_call("slice", [data], begin=tuple(first), end=tuple(last))


def _named(name: str, call: Call, span: Any = None) -> _Binding:
    output = signature_of(call).output
    return relax.Var(name, relax.TensorType(list(output.shape), output.dtype), span), call


class _Names:
    """Gives names that are not `taken`."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def new(self, name: str) -> str:
        found = name if name not in self._taken else self._numbered(name)
        self._taken.add(found)
        return found

    def _numbered(self, name: str) -> str:
        return next(found for n in count(2) if (found := f"{name}_{n}") not in self._taken)


def _story(again: Again) -> str:
    part = f"the first {again.columns} columns of " if again.columns else ""
    first = f"{part}{again.tensor} need not wait for {again.readers[0]}"
    return f"{first}: the same bits, more multiply-accumulates"
