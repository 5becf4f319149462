"""The ends of transposed convolutions, in the form that TVM's operator takes.

It adds less than a stride to a result.  Zeros behind the data say the rest: each brings a stride
more, in which nothing is added up.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import relax


def split_extra(extra: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """By axis, the zeros behind the data and the output padding of a result `extra` longer."""
    return (
        [more // stride for more, stride in zip(extra, strides)],
        [more % stride for more, stride in zip(extra, strides)],
    )


def reaching(
    data: relax.Expr, axes: Sequence[int], extra: Sequence[int], strides: Sequence[int]
) -> tuple[relax.Expr, list[int]]:
    """`data` with zeros behind its spatial `axes`, and the output padding that remains."""
    zeros, rest = split_extra(extra, strides)
    if not any(zeros):
        return data, rest
    width = [0] * (2 * len(data.ty.shape))
    for axis, count in zip(axes, zeros):
        width[2 * axis + 1] = count
    return relax.op.nn.pad(data, width), rest
