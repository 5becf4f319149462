"""`MakeAgain`: a tensor that waits long is made a second time where it is read again.

    a = f(x);  b = g(a);  c = h(b);  d = join(c, a)
        ->
    a = f(x);  b = g(a);  c = h(b);  a_again = f(x);  d = join(c, a_again)

Operators are pure, so a copy of one has the same bits.  What is made again, and for whom, is the
planner's choice (`Again`); the names of the copies are left in main's attribute
``dero.made_again``, for their work to be counted as what it is.

Preconditions: the tensor and what makes it are bindings of ``main`` before its readers.  Does not
handle the network's results: who reads them is the application.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tvm
from tvm import relax

from ..ir.attributes import MADE_AGAIN, main_attribute, with_main_attribute
from ..ir.decisions import Decision, record
from ..ir.straight_line import (
    StraightLine,
    read_function,
    substitute,
    unique_names,
    write_function,
)

NAME = "MakeAgain"
ACTION = "made again"


@dataclass(frozen=True)
class Again:
    """The bindings of `chain` are repeated before the first of `readers`, which read the copy.

    The last of the chain is the tensor that waits.
    """

    chain: tuple[str, ...]
    readers: tuple[str, ...]

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
    chain = sorted(position[name] for name in again.chain)
    if chain[-1] >= begin:
        raise ValueError(f"{line.bindings[chain[-1]][0].name} is made behind what is to read it")
    taken = {*position, *(var.name for var in line.parameters)}
    copies: dict[relax.Var, relax.Expr] = {}
    repeated = []
    for number in chain:
        var, value = line.bindings[number]
        copy = relax.Var(_unused(f"{var.name}_again", taken), var.ty, var.span)
        taken.add(copy.name)
        repeated.append((copy, substitute(value, copies)))
        copies[var] = copy
    waiting = line.bindings[position[again.tensor]][0]
    bindings = [
        (var, substitute(value, {waiting: copies[waiting]} if var.name in again.readers else {}))
        for var, value in line.bindings
    ]
    bindings[begin:begin] = repeated
    made = [copy.name for copy, _ in repeated]
    return StraightLine(line.parameters, tuple(bindings), line.result), made


def _unused(name: str, taken: set[str]) -> str:
    def names() -> Iterator[str]:
        yield name
        number = 1
        while True:
            number += 1
            yield f"{name}_{number}"

    return next(found for found in names() if found not in taken)


def _story(again: Again) -> str:
    first = f"{again.tensor} need not wait for {again.readers[0]}"
    return f"{first}: the same bits, more multiply-accumulates"
