"""The windows of convolutions and poolings: their padding resolved, once, as ONNX defines it.

ONNX says in three ways where windows lie: by amounts (`pads`), by a rule (`auto_pad`) or, for
ConvTranspose, by the size of the result; and `ceil_mode` adds a window that hangs over the end.
All become amounts here, so that what TVM's importer makes of the rules does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tvm import relax

from ..transposed_windows import split_extra

POOLS = ("AveragePool", "LpPool", "MaxPool")
WINDOWS = ("Conv", "ConvTranspose", *POOLS)
_RULES = ("NOTSET", "SAME_LOWER", "SAME_UPPER", "VALID")


class _Axis(NamedTuple):
    """What windows see of one axis: elements of the data, from window to window, of a window."""

    length: int
    stride: int
    span: int

    @property
    def lacking(self) -> int:
        """What padding has to add for a window every `stride` elements; below 0: what is left."""
        return (-(-self.length // self.stride) - 1) * self.stride + self.span - self.length


def resolve_padding(
    name: str, inputs: Sequence[relax.Expr | None], attrs: dict[str, Any]
) -> list[tuple[int, int]]:
    """Replaces what says the padding in `attrs` by `pads`.

    Returns the zeros that the data must get before, by axis: those that are elements for an
    operator, not padding.  Raises ``ValueError`` for attributes that make no sense together.
    """
    data = inputs[0]
    assert data is not None
    lengths = [int(length) for length in data.ty.shape][2:]
    kernel = attrs.get("kernel_shape")
    if kernel is None:
        weight = inputs[1] if len(inputs) > 1 else None
        if name in POOLS or weight is None:
            raise ValueError("it has no kernel_shape")
        kernel = [int(length) for length in weight.ty.shape][2:]
        attrs["kernel_shape"] = kernel
    if len(kernel) == len(lengths) + 1:
        raise ValueError(
            f"windows of {len(kernel)} axes do not fit data of {len(lengths) + 2}, of which ONNX "
            "takes two for batch and channels; export the model with an axis for the batch"
        )
    strides = _numbers(attrs, "strides", len(lengths))
    dilations = _numbers(attrs, "dilations", len(lengths))
    if len(kernel) != len(lengths) or min(kernel, default=1) < 1:
        raise ValueError(f"the kernel_shape {list(kernel)} does not fit {len(lengths)} axes")
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations)]
    axes = list(map(_Axis, lengths, strides, spans))
    rule = attrs.pop("auto_pad", b"NOTSET").decode()
    if rule not in _RULES:
        raise ValueError(f"the auto_pad {rule!r} is none of {', '.join(_RULES)}")
    pads = _amounts(attrs, len(lengths)) if rule == "NOTSET" else [(0, 0)] * len(lengths)
    zeros = [(0, 0)] * len(lengths)
    if name == "ConvTranspose":
        pads = _transposed(attrs, rule, pads, axes)
        behind, attrs["output_padding"] = split_extra(_extra(attrs, axes), strides)
        zeros = [(0, count) for count in behind]
    elif rule.startswith("SAME"):
        pads = [_shared(axis.lacking, rule) for axis in axes]
        _refuse_cropping(name, rule, axes)
        dense = map(_Axis, lengths, strides, kernel)
        if name in POOLS and pads != [_shared(axis.lacking, rule) for axis in dense]:
            raise ValueError(
                f"ONNX defines the {rule} padding of dilated windows otherwise than ONNX Runtime "
                "computes it; export the model with pads in place of auto_pad"
            )
    if name in POOLS:
        pads, zeros = _pooled(name, attrs, pads, axes)
    attrs["pads"] = [before for before, _ in pads] + [after for _, after in pads]
    return zeros


def with_zeros(data: relax.Expr, zeros: Sequence[tuple[int, int]]) -> relax.Expr:
    """`data` with zeros before and after its last axes."""
    width = [0, 0] * (len(data.ty.shape) - len(zeros)) + [n for pair in zeros for n in pair]
    return relax.op.nn.pad(data, width) if any(width) else data


def _numbers(attrs: dict[str, Any], name: str, axes: int) -> list[int]:
    numbers = [int(number) for number in attrs.get(name) or [1] * axes]
    if len(numbers) != axes or min(numbers, default=1) < 1:
        raise ValueError(f"{name}={numbers} does not fit {axes} axes")
    attrs[name] = numbers
    return numbers


def _amounts(attrs: dict[str, Any], axes: int) -> list[tuple[int, int]]:
    pads = [int(number) for number in attrs.get("pads") or [0] * 2 * axes]
    if len(pads) != 2 * axes or min(pads, default=0) < 0:
        raise ValueError(f"pads={pads} does not fit {axes} axes")
    return list(zip(pads[:axes], pads[axes:]))


def _refuse_cropping(name: str, rule: str, axes: Sequence[_Axis]) -> None:
    """Windows that leave out elements between them.

    None is padded there, says ONNX.  ONNX Runtime pads by less than none: its averages and norms
    begin behind the first element where two or more are left out at the end, its convolutions where
    three are, with SAME_UPPER alone.
    """
    least = {"AveragePool": -1, "Conv": -2 if rule == "SAME_UPPER" else None, "LpPool": -1}.get(
        name
    )
    for axis in axes:
        if least is not None and axis.lacking < least:
            raise ValueError(
                f"ONNX defines the {rule} padding of {axis.length} elements for windows of "
                f"{axis.span} that are {axis.stride} apart otherwise than ONNX Runtime computes "
                "it; export the model with pads in place of auto_pad"
            )


def _shared(total: int, rule: str) -> tuple[int, int]:
    """An amount before and after; the odd one goes where the rule says."""
    total = max(total, 0)
    less = total // 2
    return (less, total - less) if rule == "SAME_UPPER" else (total - less, less)


def _transposed(
    attrs: dict[str, Any], rule: str, pads: list[tuple[int, int]], axes: Sequence[_Axis]
) -> list[tuple[int, int]]:
    """What is cut off the result of a ConvTranspose."""
    more = _extra(attrs, axes)
    wanted = attrs.pop("output_shape", None)
    if wanted is None:
        if not rule.startswith("SAME"):
            return pads
        # A result of `length * stride`, if the windows reach as far.
        return [_shared(extra + a.span - a.stride, rule) for extra, a in zip(more, axes)]
    wanted = [int(size) for size in wanted][-len(axes) :]
    pads = []
    for axis, (length, stride, span) in enumerate(axes):
        total = (length - 1) * stride + more[axis] + span - wanted[axis]
        if total < 0:
            more[axis] -= total
        pads.append(_shared(total, rule))
    attrs["output_padding"] = more
    return pads


def _extra(attrs: dict[str, Any], axes: Sequence[_Axis]) -> list[int]:
    more = [int(number) for number in attrs.get("output_padding") or [0] * len(axes)]
    if len(more) != len(axes) or min(more) < 0:
        raise ValueError(f"output_padding={more} does not fit {len(axes)} axes")
    return more


def _pooled(
    name: str, attrs: dict[str, Any], pads: Sequence[tuple[int, int]], axes: Sequence[_Axis]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Padding after which every window is whole, and zeros to add to the data before.

    Elements of `pads` count in an average if it says so, those under the part of a last window
    that hangs over the end never do.
    """
    ceil = attrs.pop("ceil_mode", 0)
    counted = name == "LpPool" or (name == "AveragePool" and attrs.get("count_include_pad"))
    ends = []
    for (length, stride, span), (before, after) in zip(axes, pads):
        steps = length + before + after - span
        # Towards 0: ONNX Runtime has one window that is larger by less than a stride.
        count = (-(-steps // stride) if ceil or steps < 0 else steps // stride) + 1
        if ceil and (count - 1) * stride >= length + before:
            count -= 1  # a window that begins behind the data
        if count < 1:
            raise ValueError(f"its window of {span} is larger than {length} with their padding")
        ends.append(max((count - 1) * stride + span - length - before, 0))
    hangs_over = any(end > after for end, (_, after) in zip(ends, pads))
    if name == "LpPool":  # the importer would divide by elements, and multiply by them again
        return [(0, 0)] * len(pads), [(before, end) for (before, _), end in zip(pads, ends)]
    if counted and hangs_over:
        attrs["count_include_pad"] = 0
        extra = [(0, max(end - after, 0)) for end, (_, after) in zip(ends, pads)]
        inside = [(before, min(end, after)) for end, (before, after) in zip(ends, pads)]
        return extra, inside
    return [(before, end) for (before, _), end in zip(pads, ends)], [(0, 0)] * len(pads)
