"""The memory timeline in the Trace Event Format, for Perfetto and Chrome's tracing page.

Each plan is a process: its steps are slices of one thread, buffers are asynchronous slices over
their life, and the bytes alive are a counter; where each row has an address, of every call of a row
kernel.  Without a profile nothing has been measured, and an operator lasts one millisecond.  With
one, the compiled plan stands alone, and its steps last as long as they took, one microsecond an
instruction where those were counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from dero_tvm.boundary.printable import printable
from dero_tvm.runners import Profile

from .data import Report
from .timeline import Timeline

_OPERATOR = 1000  # microseconds, the format's unit
_LONGEST_NAME = 120
_MOST_COUNTS = 2000

Event = dict[str, Any]


def chrome_trace(report: Report, profile: Profile | None = None) -> str:
    """The report's three plans as JSON text, or the compiled one as `profile` measured it."""
    *others, compiled = report.plans
    plans = [(title, plan, _nominal(plan)) for _, title, plan in (compiled, *others)]
    time = "one millisecond an operator; not measured"
    if profile is not None:
        scale = 1e-3 if profile.unit == "ns" else 1
        steps = (scale * mean for mean in profile.means())
        plans = [(compiled[1], report.timeline, list(accumulate(steps, initial=0)))]
        time = "measured" if profile.unit == "ns" else "one microsecond an instruction"
    events = [
        event
        for process, (name, timeline, times) in enumerate(plans, 1)
        for event in _process(process, f"{name}: {timeline.arena_bytes:,} bytes", timeline, times)
    ]
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "model": _name(report.model),
            "target": _name(report.target),
            "time": time,
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _nominal(timeline: Timeline) -> list[float]:
    """When each step begins, and the last one ends."""
    return [start * _OPERATOR for start in timeline.starts]


def _process(
    process: int, name: str, timeline: Timeline, times: Sequence[float]
) -> Iterator[Event]:
    about = {"ph": "M", "pid": process, "tid": 1}
    yield {**about, "name": "process_name", "args": {"name": name}}
    yield {**about, "name": "process_sort_index", "args": {"sort_index": process}}
    yield {**about, "name": "thread_name", "args": {"name": "steps"}}
    for number, step in enumerate(timeline.steps):
        yield {
            "ph": "X",
            "cat": "step",
            "name": _name(step.name),
            "pid": process,
            "tid": 1,
            "ts": times[number],
            "dur": times[number + 1] - times[number],
            "args": {
                "operators": step.summary,
                "output": step.output,
                "layers": [_name(layer) for layer in step.layers],
                "bytes alive": step.live_bytes,
                "MACs": step.macs,
            },
        }
    yield from _counters(process, timeline, times)
    calls = timeline.of_calls(times)
    for number, buffer in enumerate(timeline.buffers):
        common = {
            "cat": "buffer",
            "name": _name(buffer.title),
            "pid": process,
            "tid": 1,
            "id": f"{process}.{number}",
        }
        args = {
            "kind": buffer.kind,
            "bytes": buffer.size,
            "region": buffer.region,
            "offset": buffer.offset,
            "tensors": [_name(tensor) for tensor in buffer.tensors],
            "shares bytes with": [_name(b.label) for b in timeline.sharers(number)],
        }
        begin, end = times[max(buffer.first_step, 0)], times[buffer.last_step + 1]
        if buffer.cells:
            begin = calls[min(cell.first_call for cell in buffer.cells)]
            end = calls[max(cell.last_call for cell in buffer.cells) + 1]
        yield {"ph": "b", "ts": begin, "args": args, **common}
        yield {"ph": "e", "ts": end, **common}


def _counters(process: int, timeline: Timeline, times: Sequence[float]) -> Iterator[Event]:
    calls = timeline.of_calls(times)
    for column in timeline.columns(_MOST_COUNTS):
        by_role = dict.fromkeys(timeline.roles, 0)
        for layer in column.layers:
            by_role[layer.role] += layer.own
        begin = calls[column.calls[0]] if timeline.by_rows else times[column.step]
        common = {"ph": "C", "pid": process, "tid": 1, "ts": begin}
        yield {**common, "name": "arena", "args": {"bytes alive": sum(by_role.values())}}
        yield {**common, "name": "arena by kind", "args": by_role}
    end = {"ph": "C", "pid": process, "tid": 1, "ts": times[-1]}
    yield {**end, "name": "arena", "args": {"bytes alive": 0}}
    yield {**end, "name": "arena by kind", "args": dict.fromkeys(timeline.roles, 0)}


def _name(text: str) -> str:
    return printable(text, _LONGEST_NAME)
