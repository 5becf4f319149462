"""A remark for quantized networks whose float32 inputs or outputs are in the arena at the peak.

An image of real numbers is four times as large as its integers, and may well be all of the peak.
What ``--integer-io`` would make of the arena is planned as the network itself was, and said where
it is less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import tvm

from dero_tvm.boundary.printable import printable
from relax_passes.canonicalization.integer_interface import IntegerInterface
from relax_passes.ir.port_quantization import Kind, port_quantization

from ..report import Report
from ..schedule.network import Port
from .candidates import Candidate, Candidates
from .dero_levels import Dero
from .prepare import PreparedModel

_TIME_LIMIT = 2.0  # seconds for a plan that nobody has asked for


def integer_ports_note(prepared: PreparedModel, chosen: Candidate, report: Report) -> str | None:
    """One line with the bytes that ``--integer-io`` gives, if they are fewer."""
    options = prepared.options
    if options.integer_io or options.external_io or prepared.marked is not None:
        return None
    module = tvm.transform.Sequential([IntegerInterface()])(prepared.canonical)
    ports = list(_at_peak(prepared.canonical, module, chosen, report))
    if not ports:
        return None
    least = _least(prepared, chosen, module)
    if least is None or least.arena_bytes >= chosen.arena_bytes:
        return None
    named = " and ".join(f"the float32 {kind} {printable(port.name, 60)}" for kind, port in ports)
    most = "" if least.arena_bytes == least.plan.lower_bound else "at most "
    return (
        f"{named} {'is' if len(ports) == 1 else 'are'} in the arena at the peak, though the "
        f"network is quantized: with --integer-io it has {most}{least.arena_bytes:,} bytes"
    )


def _at_peak(
    before: tvm.IRModule, after: tvm.IRModule, chosen: Candidate, report: Report
) -> Iterator[tuple[Kind, Port]]:
    """Inputs and outputs that `after` has as integers, and that are alive at the peak."""
    network, timeline = chosen.scheduled.network, report.timeline
    if not timeline.steps:
        return
    alive = {timeline.buffers[index].name for index in timeline.alive(timeline.peak)}
    ends: tuple[tuple[Kind, tuple[Port, ...]], ...]
    ends = (("input", network.inputs), ("output", network.outputs))
    for kind, ports in ends:
        changed = port_quantization(after, kind).keys() - port_quantization(before, kind).keys()
        for index in sorted(changed):
            if network.values[ports[index].value].buffer in alive:
                yield kind, ports[index]


def _least(prepared: PreparedModel, chosen: Candidate, module: tvm.IRModule) -> Candidate | None:
    """A plan of `module` that goes as far as the chosen one: the smallest, or one near it."""
    prepared.options.progress("planning with integers at the ends")
    planner = prepared.planner
    limit = min(_TIME_LIMIT, planner.options.time_limit)
    quick = replace(planner, options=replace(planner.options, time_limit=limit))
    ways = Candidates(module, quick)
    found = ways.likely() if chosen.mode is Dero.STREAM else ways.of(chosen.mode)
    return min(found, key=lambda candidate: candidate.arena_bytes, default=None)
