"""Batch normalizations and dropouts of trained networks.

- spelling: a factor and a summand for each channel; nothing.

A batch normalization in training takes mean and variance of its data.  Trained networks have it on
weights that they standardize, which are constants then.
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
    if index != 0:
        return None
    if any(p is None for p in parameters):
        return None if call.attrs.training else _by_computed_parameters(rewriter, call)
    if call.attrs.training:
        gamma, beta, *_ = (p.real() for p in parameters if p)
        return _by_own_statistics(rewriter, call, gamma, beta)
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


def _by_computed_parameters(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    """The normalization with parameters that are tensors of the network."""
    shape = [1] * len(shape_of(call.args[0]))
    shape[call.attrs.axis] = -1
    data, gamma, beta, mean, variance = (
        rewriter.emit(relax.op.reshape(rewriter.new(arg), shape)) if number else rewriter.new(arg)
        for number, arg in enumerate(call.args)
    )
    centered = rewriter.emit(relax.op.subtract(data, mean))
    sure = rewriter.emit(relax.op.add(variance, relax.const(call.attrs.epsilon, "float32")))
    result = rewriter.emit(relax.op.divide(centered, rewriter.emit(relax.op.sqrt(sure))))
    if call.attrs.scale:
        result = rewriter.emit(relax.op.multiply(result, gamma))
    return relax.op.add(result, beta) if call.attrs.center else result


def _by_own_statistics(
    rewriter: SpellingRewriter, call: Any, gamma: np.ndarray, beta: np.ndarray
) -> relax.Expr:
    """The normalization with mean and variance of the data."""
    data = rewriter.new(call.args[0])
    rank, axis = len(shape_of(call.args[0])), call.attrs.axis
    axes = [other for other in range(rank) if other != axis % rank]
    shape = [1] * rank
    shape[axis] = -1
    mean = rewriter.emit(relax.op.mean(data, axes, keepdims=True))
    centered = rewriter.emit(relax.op.subtract(data, mean))
    squares = rewriter.emit(relax.op.multiply(centered, centered))
    variance = rewriter.emit(relax.op.mean(squares, axes, keepdims=True))
    sure = rewriter.emit(relax.op.add(variance, relax.const(call.attrs.epsilon, "float32")))
    result = rewriter.emit(relax.op.divide(centered, rewriter.emit(relax.op.sqrt(sure))))
    if call.attrs.scale:
        factor = relax.const(gamma.astype("float32").reshape(shape))
        result = rewriter.emit(relax.op.multiply(result, factor))
    if call.attrs.center:
        summand = relax.const(beta.astype("float32").reshape(shape))
        result = rewriter.emit(relax.op.add(result, summand))
    return result


@TUPLE_SPELLINGS.register("relax.nn.dropout")
def _dropout(rewriter: SpellingRewriter, call: Any, index: int) -> relax.Expr | None:
    return rewriter.new(call.args[0]) if index == 0 else None
