"""Scales of resizing that TVM's importers do not pass on.

They keep the size of the result alone, and take the quotient of the sizes for the scale.  ONNX and
PyTorch look for pixels with the scale itself: 5 pixels times 2.5 are 12, at steps of 1/2.5 pixels,
not of 5/12.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relax_passes.operators.resize2d import nearest_table

MOST_PIXELS = 1 << 24  # along an axis: float32 has all positions up to it


def check_scales(lengths: Sequence[int], scales: Sequence[float]) -> None:
    """Raises ``ValueError`` if an axis would be resized to nothing, or to more than is supported.

    lengths, scales: of each axis, in pixels, and float32 pixels of the result by pixel.
    """
    if len(scales) != len(lengths):
        raise ValueError(f"{len(scales)} scales for {len(lengths)} axes")
    for length, scale in zip(lengths, scales):
        if not 1 <= np.float32(scale) * length <= MOST_PIXELS:  # NaN is outside, too
            raise ValueError(
                f"scaling {length} pixels by {scale:g} does not give 1 to {MOST_PIXELS:,} pixels"
            )


def loses_scales(
    lengths: Sequence[int], scales: Sequence[float], *, coordinates: str, rounding: str | None
) -> bool:
    """Whether an axis would be resized otherwise without its scale.

    coordinates: ONNX' name of how positions are computed.
    rounding: as in `operators.resize2d`; None where pixels are mixed.
    """
    return any(
        _is_lost(length, scale, coordinates, rounding) for length, scale in zip(lengths, scales)
    )


def _is_lost(length: int, scale: float, coordinates: str, rounding: str | None) -> bool:
    out_length = int(np.float32(scale) * length)
    if np.float32(out_length / length) == np.float32(scale):
        return False
    if rounding is None or coordinates not in ("asymmetric", "half_pixel"):
        return not np.isclose(out_length, scale * length, rtol=1e-6)
    asked, imported = (
        nearest_table(length, out_length, step, coordinates, rounding, "divide")
        for step in (1 / float(scale), None)
    )
    return asked != imported
