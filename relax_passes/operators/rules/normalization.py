"""Batch normalizations and dropouts of trained networks.

- spelling: a factor and a summand for each channel; nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import TUPLE_SPELLINGS, SpellingRewriter
from ...ir.dataflow import shape_of


@TUPLE_SPELLINGS.register("relax.nn.batch_norm")
def _batch_norm(rewriter: SpellingRewriter, call: Any, index: int) -> relax.Expr | None:
    parameters = [rewriter.old.constant(arg) for arg in call.args[1:]]
    if index != 0 or call.attrs.training or any(p is None for p in parameters):
        return None
    gamma, beta, mean, variance = (p.real().astype(np.float64) for p in parameters if p)
    scale = 1.0 / np.sqrt(variance + call.attrs.epsilon)
    if call.attrs.scale:
        scale = scale * gamma
    offset = -mean * scale + (beta if call.attrs.center else 0.0)
    rank = len(shape_of(call.args[0]))
    shape = [1] * rank
    shape[call.attrs.axis] = -1
    factor, summand = (relax.const(v.astype("float32").reshape(shape)) for v in (scale, offset))
    product = rewriter.emit(relax.op.multiply(rewriter.new(call.args[0]), factor))
    return relax.op.add(product, summand)


@TUPLE_SPELLINGS.register("relax.nn.dropout")
def _dropout(rewriter: SpellingRewriter, call: Any, index: int) -> relax.Expr | None:
    return rewriter.new(call.args[0]) if index == 0 else None
