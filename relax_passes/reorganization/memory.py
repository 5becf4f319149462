"""What a described network needs when every tensor is whole: elements alive at each operator.

The accounting is that of an interpreter with the usual fusions: operators in the order of the
description, activations and normalisations inside their convolutions, additions in place, a
concatenation no more than its operands, inputs and outputs counted.  An int8
network needs as many bytes as elements.

Shortcuts are counted in one of two ways:

* ``virtual``: they are computed while their convolution reads its input, and need nothing of their
  own; only the stem's, which goes around two operators, is a tensor of the result's shape;
* ``materialized``: each that pools or changes channels is a tensor of the result's shape, alive
  beside the convolution's input and result, as in a graph in which it is made of operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Literal

from ..residuals.graph_liveness import Schedule, Step, live_bytes
from .description import AnyNode, Architecture, Concat, Convolution, Elementwise, Flatten
from .give_shortcuts import image_shapes
from .stages import convolved


def live_elements(
    architecture: Architecture, shortcuts: Literal["virtual", "materialized"] = "virtual"
) -> dict[str, int]:
    """Elements alive during each step, in order; a step is called as the tensor it writes.

    That is a node's name; a convolution's own result, before its pooling, is ``<name>.conv`` and a
    materialized shortcut ``<name>.shortcut``.
    """
    shapes: dict[str, tuple[int, ...]] = image_shapes(architecture)
    buffer_of = {name: name for name in shapes}
    steps: list[Step] = []
    for node in architecture.nodes:
        for step, shape in _steps(node, shapes, shortcuts):
            steps.append(step)
            shapes[step.writes] = shape
            buffer_of.setdefault(step.writes, step.writes)
    bytes_of: dict[str, int] = {}
    for name, buffer in buffer_of.items():
        bytes_of[buffer] = max(bytes_of.get(buffer, 0), prod(shapes[name]))
    inputs = tuple(port.name for port in architecture.inputs)
    outputs = tuple(port.name for port in architecture.outputs)
    same = {n.name: n.inputs for n in architecture.nodes if isinstance(n, (Concat, Flatten))}
    plan = Schedule(tuple(steps), buffer_of, bytes_of, inputs, outputs)
    return live_bytes(without_tensors(plan, same))


def without_tensors(plan: Schedule, made_of: Mapping[str, tuple[str, ...]]) -> Schedule:
    """`plan` where the tensors `made_of` are nothing but the tensors that each is made of.

    Their steps go, and what read them reads those.
    """

    def read(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(part for n in names for part in (read(made_of[n]) if n in made_of else (n,)))

    steps = tuple(
        replace(step, reads=read(step.reads)) for step in plan.steps if step.writes not in made_of
    )
    return replace(plan, steps=steps, outputs=read(plan.outputs))


def _steps(
    node: AnyNode, shapes: Mapping[str, tuple[int, ...]], shortcuts: str
) -> list[tuple[Step, tuple[int, ...]]]:
    """The steps of a node, each with the shape of what it writes."""
    if isinstance(node, Elementwise):
        return [(Step(node.inputs, node.name, node.inputs), node.shape)]
    if not isinstance(node, Convolution):
        return [(Step(node.inputs, node.name), node.shape)]
    steps = []
    reads: tuple[str, ...] = node.inputs
    own = (*convolved(node, shapes[node.inputs[0]]), node.out_channels)
    stem = node.pool is not None
    changes = own != shapes[node.inputs[0]]
    if node.shortcut is not None and (stem or (shortcuts == "materialized" and changes)):
        made = f"{node.name}.shortcut"
        shape = node.shape if stem else own
        steps.append((Step(reads, made), shape))
        if not stem:
            return [*steps, *_pooled(node, own, (*reads, made))]
        steps.append((Step(reads, f"{node.name}.conv"), own))
        pooled = (f"{node.name}.conv", made)
        return [*steps, (Step(pooled, node.name), node.shape)]
    return _pooled(node, own, reads)


def _pooled(
    node: Convolution, own: tuple[int, ...], reads: tuple[str, ...]
) -> list[tuple[Step, tuple[int, ...]]]:
    """A convolution that reads `reads`, and the pooling after it."""
    if node.pool is None:
        return [(Step(reads, node.name), node.shape)]
    result = f"{node.name}.conv"
    return [(Step(reads, result), own), (Step((result,), node.name), node.shape)]
