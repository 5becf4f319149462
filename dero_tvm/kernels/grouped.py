"""Convolutions of several groups of channels: the core's kernel for one group, group by group.

A group is a convolution of its own, of some channels of the data into some of the result: its
pixels lie as far apart as those of all groups.  The kernels of all groups are one text, and their
constants stand one behind the other.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import OperatorClass, Signature, TensorSpec, implementation

from .c_kernel import CKernel, Request
from .kernel_table import candidates_of_part, register_kernel

_MOST_PADDING = 2048  # bytes by which constants of all groups may grow beyond twice their own
_LOOP = """\
{saved}
for (int32_t group = 0; group < {groups}; ++group) {{
{moved}
{body}
}}"""
_SAVED = "{kind}void *const first_{name} = {name};"
_MOVED = "{name} = ({kind}void *)(({kind}int8_t *)first_{name} + group * {distance});"


@register_kernel(
    "conv2d", classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE, OperatorClass.DEPTHWISE}
)
def grouped(request: Request) -> CKernel | None:
    """The first kernel of one group that all groups have, without too much padding."""
    s = request.signature
    groups = s["groups"]
    one_each = s.inputs[0].channels == groups == s.output.channels
    if groups == 1 or one_each or s.output.channels % groups:
        return None
    parts = list(_parts(request))
    offered = [list(candidates_of_part(part, part.signature)) for part in parts]
    for first in offered[0]:
        kernels = [next((k for k in of_part if _alike(k, first)), None) for of_part in offered]
        constants = {
            name: np.concatenate([k.constants[name].reshape(-1) for k in kernels if k])
            for name in first.constants
        }
        support = dict.fromkeys(file for k in kernels if k for file in k.support)
        growth = sum(array.nbytes for array in constants.values()) - 2 * _bytes(request)
        if all(kernels) and growth <= _MOST_PADDING:
            return _kernel(s, parts[0].signature, first, constants, tuple(support))
    return None


def _kernel(
    s: Signature,
    part: Signature,
    first: CKernel,
    constants: dict[str, np.ndarray],
    support: tuple[Path, ...],
) -> CKernel:
    """The kernel of the first group, and what all groups have."""
    distances = {
        "data": part.inputs[0].channels * s.inputs[0].itemsize,
        **{name: array.nbytes for name, array in first.constants.items()},
        "out": part.output.channels * s.output.itemsize,
    }
    return CKernel(
        f"{first.name}_groups",
        lambda offsets: _loop(first, s["groups"], distances, offsets),
        constants,
        first.scratch,
        support,
        first.qualifiers,
        ranges=first.ranges,
    )


def _parts(request: Request) -> Iterator[Request]:
    """A request of its own for each group."""
    s = request.signature
    groups = s["groups"]
    data, out = s.inputs[0], s.output
    image = _slice(data, data.channels // groups)
    result = _slice(out, out.channels // groups)
    own = implementation(s).argument_names(s)  # what is joined to it may have others
    pieces = {
        name: np.split(array, groups) for name, array in request.constants.items() if name in own
    }
    operands = [
        TensorSpec((spec.shape[0] // groups, *spec.shape[1:]), spec.dtype) for spec in s.inputs[1:]
    ]
    signature = Signature(s.operator, (image, *operands), result, {**s.attrs, "groups": 1})
    for group in range(groups):
        constants = {name: arrays[group] for name, arrays in pieces.items()}
        yield replace(request, signature=signature, constants=constants)


def _slice(spec: TensorSpec, channels: int) -> TensorSpec:
    """Some channels of a tensor, where they lie in it."""
    return TensorSpec((*spec.shape[:-1], channels), spec.dtype, spec.pixel_stride)


def _alike(one: CKernel, other: CKernel) -> bool:
    """Whether two kernels are one function with constants of one layout."""
    return (
        (one.name, one.scratch, one.qualifiers, one.ranges, one.text())
        == (other.name, other.scratch, other.qualifiers, other.ranges, other.text())
    ) and _layout(one) == _layout(other)


def _layout(kernel: CKernel) -> Sequence[tuple[str, str, int]]:
    return [(name, str(array.dtype), array.size) for name, array in kernel.constants.items()]


def _bytes(request: Request) -> int:
    return sum(array.nbytes for array in request.constants.values())


def _loop(kernel: CKernel, groups: int, distances: dict[str, int], offsets: RowOffsets) -> str:
    kinds = {name: "" if name == "out" else "const " for name in distances}
    saved = [_SAVED.format(kind=kinds[name], name=name) for name in distances]
    moved = [
        _MOVED.format(kind=kinds[name], name=name, distance=distance)
        for name, distance in distances.items()
    ]
    return _LOOP.format(
        saved="\n".join(saved),
        groups=groups,
        moved=textwrap.indent("\n".join(moved), "  "),
        body=textwrap.indent(kernel.text(offsets).strip(), "  "),
    )
