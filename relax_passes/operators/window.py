"""Sliding windows along one spatial axis: sizes and the rows they cover."""

from __future__ import annotations

from collections.abc import Callable

from .signature import Signature


def output_length(length: int, kernel: int, stride: int, before: int, after: int, dilation: int):
    """Number of window positions.  Raises ``ValueError`` if the window does not fit once."""
    span = (kernel - 1) * dilation + 1
    if length + before + after < span:
        raise ValueError(
            f"a window of {span} does not fit an axis of {length} padded by {before} and {after}"
        )
    return (length + before + after - span) // stride + 1


def window_rows(
    row: int,
    height: int,
    out_height: int,
    *,
    kernel: int,
    stride: int,
    before: int,
    dilation: int,
) -> tuple[int, int]:
    """Half-open range of input rows under the window of output row `row`, clipped to the input.

    Rows count through the batch: row ``n * out_height + y`` reads image ``n``.  A window that
    lies in the padding alone gives an empty range inside the input.
    """
    image, y = divmod(row, out_height)
    top = y * stride - before
    # The first and the last tap k with 0 <= top + k * dilation < height.
    first = max(-(top // dilation), 0)
    last = min((height - 1 - top) // dilation, kernel - 1)
    base = image * height
    if last < first:
        edge = base + min(max(top, 0), height)
        return edge, edge
    return base + top + first * dilation, base + top + last * dilation + 1


def transposed_length(
    length: int, kernel: int, stride: int, before: int, after: int, dilation: int, extra: int
) -> int:
    """Results of a transposed convolution along an axis, `before` and `after` cut off its ends.

    `extra` are the positions added at the end, which no window need reach.  Raises ``ValueError``
    if nothing is left.
    """
    whole = (length - 1) * stride + (kernel - 1) * dilation + 1
    if whole + extra - before - after < 1:
        raise ValueError(f"nothing is left of {whole} + {extra} without {before} and {after}")
    return whole + extra - before - after


def transposed_rows(
    row: int,
    height: int,
    out_height: int,
    *,
    kernel: int,
    stride: int,
    before: int,
    dilation: int,
) -> tuple[int, int]:
    """Half-open range of input rows that reach output row `row` of a transposed convolution.

    Input row i, times kernel row k, is added to output row ``i * stride + k * dilation - before``.
    Rows count through the batch, as for `window_rows`; a row that none reaches has an empty range.
    """
    image, y = divmod(row, out_height)
    first = min(max(-(((kernel - 1) * dilation - y - before) // stride), 0), height)
    last = max(min((y + before) // stride + 1, height), first)
    base = image * height
    return base + first, base + last


def needed_along(
    axis: int,
    place: int,
    signature: Signature,
    *,
    kernel: int,
    needed: Callable[..., tuple[int, int]] = window_rows,
) -> tuple[int, int]:
    """What an operator with a window needs of its data for one row, axis 0, or one column, axis 1.

    `needed` is the function of its kind: `window_rows` or `transposed_rows`.
    """
    return needed(
        place,
        signature.inputs[0].shape[1 + axis],
        signature.output.shape[1 + axis],
        kernel=kernel,
        stride=signature["strides"][axis],
        before=signature["padding"][axis],
        dilation=signature["dilation"][axis],
    )
