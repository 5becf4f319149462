"""Clip as `maximum` and `minimum`, which later passes know.

TVM's importer makes TIR functions of it, which no pass can look into; and every ReLU6 that PyTorch
exports is a Clip.  As in ONNX Runtime, nothing is beyond a bound of NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import relax
from tvm.ir import GenericConst


def clip(inputs: Sequence[relax.Expr | None]) -> relax.Expr | None:
    """The converted operator, of data, lower and upper bound; None if there is no bound."""
    data, *bounds = inputs
    assert data is not None
    if not any(bound is not None for bound in bounds):
        return None
    low, high, *_ = [None if _is_nan(bound) else bound for bound in bounds] + [None]
    result = data if low is None else relax.op.maximum(data, low)
    return result if high is None else relax.op.minimum(result, high)


def _is_nan(bound: relax.Expr | None) -> bool:
    return isinstance(bound, GenericConst) and bool(np.isnan(bound.value.numpy()).all())
