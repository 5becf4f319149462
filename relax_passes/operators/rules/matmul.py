"""Products of two computed tensors, which the layout has made `dero.matmul`.

- integers: int8 operands with one scale each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp, integer_factors, refuse_overflow
from .. import attributes_of, signature_of
from .. import quantized as factors
from ..fixed_point import onnx_rounding
from ..sum_range import SumRange
from .registry import Refusal


@INTEGERS.register("dero.matmul")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    if not any(rewriter.is_quantized(arg) for arg in call.args):
        return None
    a, b = (rewriter.quantized(arg) for arg in call.args)
    if a is None or b is None:
        raise Refusal("one of its operands is not quantized to int8 with one scale")
    epilogue = rewriter.epilogue(var)
    signature = signature_of(call)
    depth = signature.inputs[0].channels
    if not signature["apart"][0]:
        depth //= signature["heads"]
    multiplier, shift = (
        int(array[0])
        for array in integer_factors(factors.dense_factors, a.scale, b.scale, epilogue.scale, 1)
    )
    furthest = max(abs(end - b.zero_point) for end in (-128, 127))
    sums = SumRange.of(np.full((1, depth), furthest), a.zero_point)
    refuse_overflow(sums, np.asarray(multiplier), np.asarray(shift))
    return rewriter.dero(
        "matmul",
        [a.data, b.data],
        epilogue.fused,
        **attributes_of(call)
        | {
            "zero_points": (a.zero_point, b.zero_point, epilogue.zero_point),
            "multiplier": multiplier,
            "shift": shift,
            "rounding": onnx_rounding(rewriter.rounding, multiplier, shift, sums.greatest),
            **integer_clamp(epilogue),
        },
    )
