"""``metadata.json`` of a Model Library Format archive, as microTVM 0.18 laid it out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from dero_tvm.aot.versions import versions
from dero_tvm.schedule.network import Port

from .c_constants import array_names
from .header import Interface
from .program import Program

_VERSION = 7
_EPOCH = datetime(1980, 1, 1, tzinfo=timezone.utc)


def metadata(
    program: Program, interface: Interface, *, target: str, report: Mapping[str, Any]
) -> bytes:
    """Content of ``metadata.json``; `target` is the board's name, `report` any JSON data."""
    network, plan = program.network, program.plan
    inputs = _ports(program, interface, "inputs")
    outputs = _ports(program, interface, "outputs")
    io_bytes = sum(p.bytes for p in (*interface.inputs, *interface.outputs) if not p.row_streamed)
    # microTVM counted inputs and outputs apart from the workspace.
    inside = 0 if plan.options.external_io else io_bytes
    constants = sum(network.constants[name].nbytes for name in array_names(program, ""))
    main = {
        "constants_size_bytes": constants,
        "device": 1,
        "inputs": {p["name"]: {"dtype": p["dtype"], "size": p["size"]} for p in inputs},
        "io_size_bytes": io_bytes,
        "outputs": {p["name"]: {"dtype": p["dtype"], "size": p["size"]} for p in outputs},
        "workspace_size_bytes": max(plan.total_bytes - inside, 0),
    }
    functions = [
        {
            "function_name": f"{interface.prefix}_{step.name}",
            "workspace": [{"device": 1, "workspace_size_bytes": size}],
        }
        for step, size in zip(program.steps, plan.workspaces, strict=True)
    ]
    module = {
        "dero": {
            "counted": list(program.counted),
            # A list: the program expects its arenas in this order.
            "arenas": [{"region": region, "size": size} for region, _, size in interface.arenas],
            "inputs": inputs,
            "outputs": outputs,
            "report": dict(report),
            **({"states": states} if (states := _states(program)) else {}),
            "versions": versions(),
        },
        "executors": ["aot"],
        "export_datetime": _export_time(),
        "external_dependencies": [],
        "memory": {"functions": {"main": [main], "operator_functions": functions}},
        "model_name": network.name,
        "style": "full-model",
        "target": [target],
    }
    document = {"modules": {network.name: module}, "version": _VERSION}
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _ports(program: Program, interface: Interface, kind: str) -> list[dict[str, Any]]:
    ports: tuple[Port, ...] = getattr(program.network, kind)
    entries = []
    for port, c_port in zip(ports, getattr(interface, kind)):
        value = program.network.values[port.value]
        entry: dict[str, Any] = {
            "name": port.name,
            "c_name": c_port.member,
            "shape": list(value.spec.shape),
            "dtype": value.spec.dtype,
            "size": c_port.bytes,
        }
        if port.quantization is not None:
            entry |= port.quantization._asdict()
        if port.row_streamed:
            entry |= {"context": c_port.context, "row_size": c_port.row_bytes}
        elif not program.plan.options.external_io:
            placement = program.plan.placements[value.buffer]
            entry["region"] = placement.region
            entry["offset"] = placement.offset + value.offset
        entries.append(entry)
    return entries


def _states(program: Program) -> list[dict[str, Any]]:
    """What lasts from one inference to the next, and where it lies."""
    entries = []
    for state in program.network.states:
        value = program.network.values[state.value]
        placement = program.plan.placements[value.buffer]
        entries.append(
            {
                "name": state.name,
                "shape": list(value.spec.shape),
                "dtype": value.spec.dtype,
                "size": value.spec.bytes,
                "region": placement.region,
                "offset": placement.offset,
            }
        )
    return entries


def _export_time() -> str:
    """Constant unless SOURCE_DATE_EPOCH says otherwise, so that equal inputs give equal bytes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch.isdigit() else _EPOCH
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")
