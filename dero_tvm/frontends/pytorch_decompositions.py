"""Operators of PyTorch in simpler ones: PyTorch's own table, and what it lacks or says otherwise.

What is written here in PyTorch's functions is taken apart further, down to operators that the
importer knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

_KEPT = (
    *("aten.lstm.input", "aten.gru.input"),  # would be one layer a step
    "aten.upsample_bicubic2d.vec",  # would be gathers of single pixels, without rows
)


def decompositions(known: Collection[str]) -> Any:
    """A table for ``ExportedProgram.run_decompositions``.

    known: names of operators, as ``add.Tensor``, that need not be taken apart.
    """
    import torch
    from torch._decomp import decomposition_table
    from torch.export import default_decompositions

    table = default_decompositions()
    for operator in list(table):
        if str(operator) in _KEPT:
            del table[operator]
    # PyTorch leaves some operators as they are, though it knows how to take them apart.
    for operator, function in decomposition_table.items():
        if operator not in table and getattr(operator, "namespace", "") == "aten":
            if str(operator).removeprefix("aten.") not in known and str(operator) not in _KEPT:
                table[operator] = function
    for name, function in _OWN.items():
        packet, _, overload = name.partition(".")
        table[getattr(getattr(torch.ops.aten, packet), overload)] = function
    return table


def _circular_pad(data: Any, amounts: Any, mode: str = "constant", value: Any = None) -> Any:
    """Borders from the other end by indices; PyTorch would write them into an empty tensor.

    Other borders are taken apart as PyTorch does.
    """
    import torch

    if mode != "circular":
        return NotImplemented
    for number, (before, after) in enumerate(zip(amounts[0::2], amounts[1::2])):
        axis = data.dim() - 1 - number
        places = torch.arange(-before, data.shape[axis] + after) % data.shape[axis]
        data = torch.index_select(data, axis, places)
    return data


def _windows(data: Any, dimension: int, size: int, step: int) -> Any:
    """``Tensor.unfold`` by indices; PyTorch would look at the same memory with other strides."""
    import torch

    axis = dimension % data.dim()
    count = (data.shape[axis] - size) // step + 1
    places = torch.arange(count)[:, None] * step + torch.arange(size)
    picked = torch.index_select(data, axis, places.flatten())
    return picked.unflatten(axis, (count, size)).movedim(axis + 1, -1)


def _group_norm(
    data: Any, weight: Any, bias: Any, batch: int, channels: int, area: int, groups: int, eps: float
) -> Any:
    """Without weights or without a bias: with those that change nothing, which importers want.

    The statistics, two more results, are of use in training alone.
    """
    if weight is not None and bias is not None:
        return NotImplemented
    import torch

    weight = torch.ones(channels) if weight is None else weight
    bias = torch.zeros(channels) if bias is None else bias
    return torch.ops.aten.native_group_norm(data, weight, bias, batch, channels, area, groups, eps)


def _extreme_along(kind: str) -> Callable[..., Any]:
    """``max.dim`` and ``min.dim``: the elements, and where they stand."""

    def both(data: Any, dim: int, keepdim: bool = False) -> Any:
        elements, places = getattr(data, f"a{kind}"), getattr(data, f"arg{kind}")
        return elements(dim, keepdim), places(dim, keepdim)

    return both


def _number_in_place_of(kind: str) -> Callable[..., Any]:
    """``fmax`` and ``fmin``: of a number and what is none, the number."""

    def extreme(left: Any, right: Any) -> Any:
        import torch

        both = getattr(torch, f"{kind}imum")(left, right)
        return torch.where(left != left, right, torch.where(right != right, left, both))

    return extreme


def _bounded_by_tensor(kind: str) -> Callable[..., Any]:
    """``clamp_max.Tensor`` and ``clamp_min.Tensor``, whose bounds are broadcast."""

    def bounded(data: Any, bound: Any) -> Any:
        import torch

        return getattr(torch, f"{kind}imum")(data, bound)

    return bounded


def _clamped_by_tensors(data: Any, least: Any = None, most: Any = None) -> Any:
    import torch

    data = data if least is None else torch.maximum(data, least)
    return data if most is None else torch.minimum(data, most)


def _power_of_two(data: Any) -> Any:
    import torch

    return torch.pow(2.0, data)


def _batches_added(
    summand: Any, left: Any, right: Any, *, beta: float = 1, alpha: float = 1
) -> Any:
    return beta * summand + alpha * (left @ right).sum(0)


def _mean_beside_variance(
    data: Any, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> Any:
    given = 1 if correction is None else correction
    axes = list(range(data.dim())) if dim is None else dim
    return data.var(axes, correction=given, keepdim=keepdim), data.mean(axes, keepdim)


def _scaled_by_powers(data: Any, exponents: Any) -> Any:
    return data * _power_of_two(exponents)


def _hypotenuse(left: Any, right: Any) -> Any:
    return (left * left + right * right).sqrt()


def _step(data: Any, at_zero: Any) -> Any:
    import torch

    steps = (data > 0).to(data.dtype)
    return torch.where(data == 0, at_zero, steps)


def _along_one_axis(function: str) -> Callable[..., Any]:
    """Adaptive pooling of one axis as that of images of width 1."""

    def pooled(data: Any, size: Any) -> Any:
        import torch

        made = getattr(torch.nn.functional, function)(data.unsqueeze(-1), (size[0], 1))
        return made.squeeze(-1)

    return pooled


def _of_a_batch(operator: str, rank: int) -> Callable[..., Any]:
    """An operator on data of this rank, which is one image without a batch, as on a batch of one.

    TVM's importer adds the axis itself, and what it gives then has no type.
    """

    def pooled(data: Any, *args: Any, **options: Any) -> Any:
        import torch

        if data.ndim != rank:
            return NotImplemented
        made = getattr(torch.ops.aten, operator)(data.unsqueeze(0), *args, **options)
        return made.squeeze(0)

    return pooled


_OWN: dict[str, Callable[..., Any]] = {
    "unfold.default": _windows,
    "pad.default": _circular_pad,
    "native_group_norm.default": _group_norm,
    "max.dim": _extreme_along("max"),
    "min.dim": _extreme_along("min"),
    "fmax.default": _number_in_place_of("max"),
    "fmin.default": _number_in_place_of("min"),
    "clamp.Tensor": _clamped_by_tensors,
    "clamp_max.Tensor": _bounded_by_tensor("min"),
    "clamp_min.Tensor": _bounded_by_tensor("max"),
    "exp2.default": _power_of_two,
    "addbmm.default": _batches_added,
    "var_mean.correction": _mean_beside_variance,
    "ldexp.Tensor": _scaled_by_powers,
    "hypot.default": _hypotenuse,
    "heaviside.default": _step,
    "avg_pool1d.default": _of_a_batch("avg_pool1d", 2),
    "avg_pool2d.default": _of_a_batch("avg_pool2d", 3),
    "avg_pool3d.default": _of_a_batch("avg_pool3d", 4),
    "_adaptive_avg_pool2d.default": _of_a_batch("_adaptive_avg_pool2d", 3),
    "_adaptive_avg_pool3d.default": _of_a_batch("_adaptive_avg_pool3d", 4),
    "adaptive_avg_pool1d.default": _along_one_axis("adaptive_avg_pool2d"),
}
