"""What the passes decided and why, kept in the module itself.

Main's attribute ``dero.decisions`` is an array of plain maps, so it prints with the module and
survives every later pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import tvm

from .attributes import DECISIONS, main_attribute, with_main_attribute

LEFT_ALONE = "left alone"  # the action of a pass that refuses


@dataclass(frozen=True)
class Decision:
    """One pass's verdict on one join, or on another operator that it looked at."""

    pass_name: str  # the pass's `NAME`
    join: str  # the operator's variable
    action: str  # what was done: "accumulated", "in place", "removed", ..., or `LEFT_ALONE`
    reason: str


def decisions(mod: tvm.IRModule) -> tuple[Decision, ...]:
    """All decisions recorded in `mod`, in the order in which they were taken."""
    return tuple(
        Decision(str(m["pass"]), str(m["join"]), str(m["action"]), str(m["reason"]))
        for m in main_attribute(mod, DECISIONS, ())
    )


def record(mod: tvm.IRModule, new: Iterable[Decision]) -> tvm.IRModule:
    """`mod` with `new` decisions added.

    A decision replaces an earlier one of the same pass on the same join, in its place: running a
    pass twice leaves the same record.
    """
    merged = {(d.pass_name, d.join): d for d in decisions(mod)}
    merged |= {(d.pass_name, d.join): d for d in new}
    return with_decisions(mod, merged.values()) if merged else mod


def with_decisions(mod: tvm.IRModule, kept: Iterable[Decision]) -> tvm.IRModule:
    """`mod` with these decisions in place of those it has."""
    maps = []
    for decision in kept:
        plain = asdict(decision)
        maps.append({"pass": plain.pop("pass_name"), **plain})
    if not maps and not decisions(mod):
        return mod
    return with_main_attribute(mod, DECISIONS, maps)


def forget(mod: tvm.IRModule, passes: Iterable[str]) -> tvm.IRModule:
    """`mod` without the decisions of the named passes, because the network has changed since."""
    dropped = set(passes)
    kept = [d for d in decisions(mod) if d.pass_name not in dropped]
    if len(kept) == len(decisions(mod)):
        return mod
    return record(with_main_attribute(mod, DECISIONS, None), kept)
