"""What the passes decided and why, kept in the module itself.

Main's attribute ``dero.decisions`` is an array of plain maps, so it prints with the module and
survives every later pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import tvm

ATTRIBUTE = "dero.decisions"


@dataclass(frozen=True)
class Decision:
    """One pass's verdict on one join."""

    pass_name: str
    join: str  # the join's variable
    action: str  # what was done: "accumulated", "in place", "removed", or "left alone"
    reason: str


def decisions(mod: tvm.IRModule) -> tuple[Decision, ...]:
    """All decisions recorded in `mod`, in the order in which they were taken."""
    attrs = mod["main"].attrs
    if attrs is None or ATTRIBUTE not in attrs:
        return ()
    return tuple(
        Decision(str(m["pass"]), str(m["join"]), str(m["action"]), str(m["reason"]))
        for m in attrs[ATTRIBUTE]
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
    return with_main_attribute(mod, ATTRIBUTE, maps)


def forget(mod: tvm.IRModule, passes: Iterable[str]) -> tvm.IRModule:
    """`mod` without the decisions of the named passes, because the network has changed since."""
    dropped = set(passes)
    kept = [d for d in decisions(mod) if d.pass_name not in dropped]
    if len(kept) == len(decisions(mod)):
        return mod
    copy = mod.clone()
    copy["main"] = mod["main"].without_attr(ATTRIBUTE)
    return record(copy, kept)


def with_main_attribute(mod: tvm.IRModule, name: str, value: object) -> tvm.IRModule:
    """A copy of `mod` in which ``main`` has one more attribute."""
    copy = mod.clone()
    copy["main"] = mod["main"].with_attr(name, value)
    return copy
