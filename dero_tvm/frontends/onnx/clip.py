"""Clip as `maximum` and `minimum`, which later passes know.

TVM's importer makes TIR functions of it, which no pass can look into; and every ReLU6 that PyTorch
exports is a Clip.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import relax


def clip(inputs: Sequence[relax.Expr | None]) -> relax.Expr | None:
    """The converted operator, of data, lower and upper bound; None if there is no bound."""
    data, low, high = (inputs[i] if i < len(inputs) else None for i in range(3))
    assert data is not None
    if low is None and high is None:
        return None
    result = data if low is None else relax.op.maximum(data, low)
    return result if high is None else relax.op.minimum(result, high)
