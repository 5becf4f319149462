"""What is known of a network's joins, as plain data that travels in the module.

Main's attribute ``dero.residuals`` is an array of plain maps; :class:`Residual` is a view of one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import tvm

from ..ir.attributes import RESIDUALS, main_attribute, with_main_attribute

IDENTITY = "identity"  # the fork itself, untouched
PROJECTION = "projection"  # brought to the join's shape: a strided or pointwise convolution, a pool
MAIN = "main"  # what the shortcut goes around
PARALLEL = "parallel"  # one of several equals, as in Inception
NONE = "none"


@dataclass(frozen=True)
class Branch:
    """One operand of a join and how it comes from the fork."""

    operand: str
    kind: str  # IDENTITY, PROJECTION, MAIN or PARALLEL
    operators: tuple[str, ...]  # between fork and join, the operand's own included, written order


@dataclass(frozen=True)
class Residual:
    """A join, the fork its branches start from, and what its shortcut costs."""

    join: str  # variable
    operator: str  # "dero.add", ...
    fork: str  # nearest common dominator; "" where branches start at different network inputs
    shortcut: str  # IDENTITY, PROJECTION or NONE
    branches: tuple[Branch, ...]
    bytes: int  # of the shortcut operands, kept alive beside the main branch
    steps: int  # operators that run while they are: the main branch's and the join
    producers: tuple[str, ...] = ()  # class of each operand's operator, from ClassifyOperators
    consumers: tuple[str, ...] = ()  # class of each operator that reads the join

    @property
    def shortcuts(self) -> tuple[Branch, ...]:
        """The branches that a plain network would not have."""
        return tuple(b for b in self.branches if b.kind in (IDENTITY, PROJECTION))


def read_residuals(mod: tvm.IRModule, *, only_shortcuts: bool = False) -> tuple[Residual, ...]:
    """The joins that ``IdentifyResiduals`` found, in written order; empty if it did not run.

    With `only_shortcuts` without their other branches, which in a network of hundreds of joins
    have a hundred thousand operators.
    """
    kinds = (IDENTITY, PROJECTION) if only_shortcuts else (IDENTITY, PROJECTION, MAIN, PARALLEL)
    return tuple(_from_map(entry, kinds) for entry in main_attribute(mod, RESIDUALS, ()))


def edit_residuals(
    mod: tvm.IRModule, edit: Callable[[str, tuple[str, ...]], Mapping[str, Any] | None]
) -> tvm.IRModule:
    """A copy of `mod` with other findings, of which only what changes is read and written.

    `edit` takes a join and its operands and gives the fields to change, or None to drop the join.
    """
    entries = main_attribute(mod, RESIDUALS, ())
    if not entries:
        return mod
    edited = []
    for entry in entries:
        operands = tuple(str(branch["operand"]) for branch in entry["branches"])
        changes = edit(str(entry["join"]), operands)
        if changes is not None:
            edited.append({**entry, **changes})
    return with_main_attribute(mod, RESIDUALS, edited)


def write_residuals(mod: tvm.IRModule, residuals: Iterable[Residual]) -> tvm.IRModule:
    """A copy of `mod` that carries `residuals`."""
    return with_main_attribute(mod, RESIDUALS, [_to_map(residual) for residual in residuals])


def _to_map(residual: Residual) -> dict[str, Any]:
    branches = [
        {"operand": b.operand, "kind": b.kind, "operators": list(b.operators)}
        for b in residual.branches
    ]
    plain = {field.name: getattr(residual, field.name) for field in fields(residual)}
    lists = {key: list(value) for key, value in plain.items() if isinstance(value, tuple)}
    return plain | lists | {"branches": branches}


def _from_map(entry: Mapping[str, Any], kinds: Collection[str]) -> Residual:
    branches = tuple(
        Branch(str(b["operand"]), str(b["kind"]), _strings(b["operators"]))
        for b in entry["branches"]
        if str(b["kind"]) in kinds
    )
    return Residual(
        join=str(entry["join"]),
        operator=str(entry["operator"]),
        fork=str(entry["fork"]),
        shortcut=str(entry["shortcut"]),
        branches=branches,
        bytes=int(entry["bytes"]),
        steps=int(entry["steps"]),
        producers=_strings(entry["producers"]),
        consumers=_strings(entry["consumers"]),
    )


def _strings(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
