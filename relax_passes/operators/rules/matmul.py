"""Products of two computed tensors, which the layout has made `dero.matmul`.

- spelling: Einstein sums of two tensors are matrix products;
- integers: int8 operands with one scale each.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp, integer_factors, refuse_overflow
from ...ir.dataflow import shape_of
from .. import attributes_of, signature_of
from .. import quantized as factors
from ..fixed_point import onnx_rounding
from ..sum_range import SumRange
from .registry import Refusal


@SPELLINGS.register("relax.einsum")
def _einstein_sum(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """``bhnd,bhmd->bhnm`` and the like: letters of both operands, of one, and summed ones."""
    fields = rewriter.old.definition(call.args[0])
    operands, arrow, result = str(call.attrs.subscripts).replace(" ", "").partition("->")
    letters = operands.split(",")
    if not isinstance(fields, relax.Tuple) or len(letters) != 2 or not arrow or "." in operands:
        return None
    if any(rewriter.old.constant(field) is not None for field in fields.fields):
        return None
    a, b = letters
    if any(len(set(names)) != len(names) for names in (a, b, result)):
        return None
    batch = [n for n in a if n in b and n in result]
    summed = [n for n in a if n in b and n not in result]
    rows, columns = ([n for n in own if n in result and n not in batch] for own in letters)
    if len(batch) + len(rows) + len(summed) != len(a):
        return None  # a letter that only one of them has is summed
    if len(batch) + len(columns) + len(summed) != len(b):
        return None
    lengths = {
        n: size for own, f in zip(letters, fields.fields) for n, size in zip(own, shape_of(f))
    }

    def matrix(index: int, *groups: list[str]) -> relax.Expr:
        order = [letters[index].index(n) for group in (batch, *groups) for n in group]
        moved = rewriter.emit(relax.op.permute_dims(rewriter.new(fields.fields[index]), order))
        shape = [*(lengths[n] for n in batch), *(prod(lengths[n] for n in g) for g in groups)]
        return rewriter.emit(relax.op.reshape(moved, shape))

    product = relax.op.matmul(matrix(0, rows, summed), matrix(1, summed, columns))
    made = [*batch, *rows, *columns]
    product = relax.op.reshape(rewriter.emit(product), [lengths[n] for n in made])
    return relax.op.permute_dims(rewriter.emit(product), [made.index(n) for n in result])


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
