"""What the integers of a network's inputs and outputs stand for.

    real value = scale * (integer - zero point)

``main`` has the attributes ``dero.input_quantization`` and ``dero.output_quantization``: arrays of
maps with ``index`` (among the parameters, or the results), ``scale`` and ``zero_point``.  Ports
that hold real numbers, or integers of an origin that says nothing about them, have no entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import tvm

from .decisions import with_main_attribute

Kind = Literal["input", "output"]


class PortQuantization(NamedTuple):
    """Of all elements of one tensor."""

    scale: float
    zero_point: int


def port_quantization(mod: tvm.IRModule, kind: Kind) -> dict[int, PortQuantization]:
    """By position; empty if nothing is known."""
    attributes = mod["main"].attrs
    name = f"dero.{kind}_quantization"
    records = attributes[name] if attributes is not None and name in attributes else ()
    return {
        int(record["index"]): PortQuantization(float(record["scale"]), int(record["zero_point"]))
        for record in records
    }


def with_port_quantization(
    mod: tvm.IRModule, kind: Kind, found: Mapping[int, PortQuantization]
) -> tvm.IRModule:
    """`mod` with further entries; those of the same position are replaced."""
    if not found:
        return mod
    merged = {**port_quantization(mod, kind), **found}
    records = [
        {"index": index, "scale": scale, "zero_point": zero_point}
        for index, (scale, zero_point) in sorted(merged.items())
    ]
    return with_main_attribute(mod, f"dero.{kind}_quantization", records)
