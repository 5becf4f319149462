"""The memory timeline in the Trace Event Format, for Perfetto and Chrome's tracing page.

Each plan is a process: its steps are slices of one thread, buffers are asynchronous slices over
their life, and the bytes alive are a counter.  Nothing has been measured: an operator lasts one
millisecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dero_tvm.printable import printable

from .data import Report
from .timeline import Timeline

_OPERATOR = 1000  # microseconds, the format's unit
_LONGEST_NAME = 120

Event = dict[str, Any]


def chrome_trace(report: Report) -> str:
    """The report's three plans as JSON text."""
    plans = (
        (f"compiled, --dero {report.dero}", report.timeline),
        ("as written, every tensor whole", report.whole),
        ("plain twin, residuals removed", report.plain),
    )
    events = [
        event
        for process, (name, timeline) in enumerate(plans, 1)
        for event in _process(process, f"{name}: {timeline.arena_bytes:,} bytes", timeline)
    ]
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "model": _name(report.model),
            "target": _name(report.target),
            "time": "one millisecond an operator; not measured",
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _process(process: int, name: str, timeline: Timeline) -> Iterator[Event]:
    about = {"ph": "M", "pid": process, "tid": 1}
    yield {**about, "name": "process_name", "args": {"name": name}}
    yield {**about, "name": "process_sort_index", "args": {"sort_index": process}}
    yield {**about, "name": "thread_name", "args": {"name": "steps"}}
    times = [start * _OPERATOR for start in timeline.starts]
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
                "bytes alive": step.live_bytes,
                "MACs": step.macs,
            },
        }
    yield from _counters(process, timeline, times)
    for number, buffer in enumerate(timeline.buffers):
        common = {
            "cat": "buffer",
            "name": _name(buffer.label),
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
        yield {"ph": "b", "ts": times[max(buffer.first_step, 0)], "args": args, **common}
        yield {"ph": "e", "ts": times[buffer.last_step + 1], **common}


def _counters(process: int, timeline: Timeline, times: list[int]) -> Iterator[Event]:
    for number, step in enumerate(timeline.steps):
        by_role = dict.fromkeys(timeline.roles, 0)
        for layer in timeline.layers(number):
            by_role[timeline.buffers[layer.index].role(number)] += layer.own
        common = {"ph": "C", "pid": process, "tid": 1, "ts": times[number]}
        yield {**common, "name": "arena", "args": {"bytes alive": step.live_bytes}}
        yield {**common, "name": "arena by kind", "args": by_role}
    end = {"ph": "C", "pid": process, "tid": 1, "ts": times[-1]}
    yield {**end, "name": "arena", "args": {"bytes alive": 0}}
    yield {**end, "name": "arena by kind", "args": dict.fromkeys(timeline.roles, 0)}


def _name(text: str) -> str:
    return printable(text, _LONGEST_NAME)
