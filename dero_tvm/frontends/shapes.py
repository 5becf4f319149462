"""Fixing the input shapes of a model that leaves some dimensions open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral

from dero_tvm.boundary.errors import UserError

Dimension = int | str | None  # a size, a symbol's name, or nothing known


class FixedShape(UserError):
    """A shape was asked for where the model's file has fixed another."""


def resolve_input_shapes(
    label: str,
    declared: Mapping[str, Sequence[Dimension] | None],
    given: Mapping[str, Sequence[int]] | None,
) -> dict[str, tuple[int, ...]]:
    """The fixed shape of every input.

    `declared` has the model's inputs in order (None: not even the rank is known), `given` what the
    user asked for.  A symbol that one given shape fixes is fixed everywhere.  Raises
    :class:`UserError` for an unknown name, a contradiction, or a dimension that stays open; `label`
    names the model in the message.
    """
    given = dict(given or {})
    for name in given:
        if name not in declared:
            known = ", ".join(f"{known} {format_shape(shape)}" for known, shape in declared.items())
            raise UserError(
                f"{label}: --input-shapes names {name!r}, but the model's inputs are: {known}"
            )

    symbols: dict[str, int] = {}
    for name, shape in given.items():
        _check_given(label, name, declared[name], shape)
        for open_dim, size in zip(declared[name] or (), shape, strict=False):
            if isinstance(open_dim, str) and symbols.setdefault(open_dim, size) != size:
                raise UserError(
                    f"{label}: --input-shapes gives the dimension {open_dim!r} two sizes, "
                    f"{symbols[open_dim]} and {size}"
                )

    resolved: dict[str, tuple[int, ...]] = {}
    for name, dims in declared.items():
        if name in given:
            resolved[name] = tuple(int(size) for size in given[name])
            continue
        filled = (
            None if dims is None else [symbols.get(d, d) if isinstance(d, str) else d for d in dims]
        )
        if filled is None or not all(isinstance(d, int) and d > 0 for d in filled):
            example = "1,3,224,224" if dims is None else _example(dims)
            raise UserError(
                f"{label}: input {name!r} has the open shape {format_shape(dims)}; fix it with "
                f'--input-shapes "{name}:[{example}]"'
            )
        resolved[name] = tuple(d for d in filled if isinstance(d, int))
    return resolved


def format_shape(dims: Sequence[Dimension] | None) -> str:
    """``[1, 3, height, ?]``, the way messages write a shape."""
    if dims is None:
        return "[unknown rank]"
    return "[" + ", ".join("?" if d is None or d == "" else str(d) for d in dims) + "]"


def _check_given(
    label: str, name: str, dims: Sequence[Dimension] | None, shape: Sequence[int]
) -> None:
    asked = format_shape(list(shape))
    if not all(isinstance(size, Integral) and size > 0 for size in shape):
        raise UserError(
            f"{label}: --input-shapes gives {name!r} the shape {asked}; sizes must be positive "
            "whole numbers"
        )
    if dims is None:
        return
    fits = len(dims) == len(shape) and all(
        not isinstance(dim, int) or dim <= 0 or dim == size
        for dim, size in zip(dims, shape, strict=True)
    )
    if not fits:
        raise FixedShape(
            f"{label}: --input-shapes gives {name!r} the shape {asked}, which contradicts the "
            f"model's {format_shape(dims)}"
        )


def _example(dims: Sequence[Dimension]) -> str:
    """A plausible shape: 1 for an open batch, 224 for other open dimensions of images."""
    sizes = []
    for position, dim in enumerate(dims):
        if isinstance(dim, int) and dim > 0:
            sizes.append(dim)
        else:
            sizes.append(224 if position > 0 and len(dims) == 4 else 1)
    return ",".join(str(size) for size in sizes)
