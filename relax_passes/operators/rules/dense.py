"""Products with matrices, and Einstein sums.

- layout: the rows of constant weights lie as memory holds the contracted axis, so ``flatten`` of an
  NCHW tensor costs nothing;
- selection: rows times constant weights, with a bias and a clamp, are `dero.dense`;
- integers: int8 weights with a scale for each output channel, or one;
- element sums: products with constant matrices;
- channel selection: absorbs the loss;
- the network's description: a dense layer.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.epilogue import float_epilogue
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_layers import are_unsigned, int8_weight, layer_operands
from ...canonicalization.integer_operand import integer_clamp
from ...canonicalization.product_layout import product_layout
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.select_operators import (
    SELECTION,
    SelectionRewriter,
    bias_vector,
    check_float32,
)
from ...ir.dataflow import shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, Kept, take, the_kept
from ...reorganization.partial_description import (
    DESCRIPTION,
    DescribedTensor,
    PartialDescription,
    add_dense,
    pointwise,
)
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from .. import quantized as factors
from ..fixed_point import ACTIVATIONS
from .registry import Refusal


@LAYOUT.register("relax.matmul")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """Rows of constant weights in the order in which memory holds the contracted axis."""
    data = call.args[0]
    left, weight = (rewriter.old.constant(arg) for arg in call.args)
    layout = rewriter.layout(data)
    if weight is None or len(weight.shape) != 2:
        return product_layout(rewriter, var, call)
    contracted = layout.axes[-1]
    lead = len(layout.sizes) - len(contracted)
    if sorted(contracted) != list(range(lead, len(layout.sizes))):
        raise Refusal("what it adds up does not lie side by side")
    rows = weight.reshape([*(layout.sizes[f] for f in contracted), weight.shape[1]])
    order = [contracted.index(factor) for factor in sorted(contracted)]
    moved = rows.transpose([*order, len(order)]).reshape(weight.shape)
    stored = rewriter.stored(data)
    leading = [f for axis in layout.axes[:-1] for f in axis]
    in_order = leading == sorted(leading)
    # Rows of several pixels stay what they are, so that they can be streamed.
    if shape_of(stored)[-1] != weight.shape[0] or (
        shape_of(stored) != layout.shape and not leading
    ):
        shape = layout.shape[:-1] if in_order else layout.sizes[:lead]
        stored = rewriter.emit(relax.op.reshape(stored, (*shape, weight.shape[0])))
    operand = call.args[1] if order == sorted(order) else None
    new_weight = rewriter.new(operand) if operand is not None else rewriter.weight(moved)
    new = relax.op.matmul(stored, new_weight, out_dtype=call.attrs.out_dtype or None)
    return rewriter.keep(var, new, layout.with_innermost(weight.shape[1]))


@SELECTION.register("relax.matmul")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    weight = rewriter.old.constant(call.args[1])
    if weight is None:
        raise Refusal("its second operand is computed, and a dense layer's weights are constant")
    if len(weight.shape) != 2 or len(shape_of(call.args[0])) < 2:
        ranks = f"{len(shape_of(call.args[0]))} and {len(weight.shape)}"
        raise Refusal(f"its operands have {ranks} axes; a dense layer takes rows times a matrix")
    check_float32(call.args[0])
    epilogue = float_epilogue(rewriter.old, var, bias=True)
    result = rewriter.dero(
        "dense",
        [
            rewriter.new(call.args[0]),
            relax.const(np.ascontiguousarray(weight.real().T)),
            bias_vector(epilogue, weight.shape[1]),
        ],
        **epilogue.clamp,
    )
    return rewriter.finish(result, epilogue.fused)


@INTEGERS.register("relax.matmul")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Product with a constant matrix, as a dense layer."""
    source = rewriter.quantized(call.args[0], ACTIVATIONS)
    if source is None:
        return None
    weight, weight_zero_point = int8_weight(rewriter, call.args[1])
    if len(weight.shape) != 2 or len(shape_of(call.args[0])) < 2:
        raise Refusal("it is not a matrix of weights times rows of data")
    weight = weight.transpose((1, 0))
    # LiteRT multiplies sums by the factor in float64 if the tensors are uint8.
    rounding = "away" if are_unsigned(rewriter) else rewriter.rounding
    factors_of = factors.convolution_factors if are_unsigned(rewriter) else factors.dense_factors
    epilogue = rewriter.epilogue(var, bias=True, dtype=source.dtype)
    operands, rounding = layer_operands(
        source, weight, weight_zero_point, epilogue, factors_of, rounding
    )
    return rewriter.dero(
        "dense",
        operands,
        epilogue.fused,
        input_zero_point=source.zero_point,
        weight_zero_point=weight_zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rounding,
        **integer_clamp(epilogue),
    )


@READERS.register("relax.matmul")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    """The product with a constant matrix from either side."""
    left, right = (reader.old.constant(arg) for arg in call.args)
    matrix, data = (left, call.args[1]) if left is not None else (right, call.args[0])
    if matrix is None:
        raise NotLinear("is multiplied with another tensor")
    numbers = matrix.real().astype(np.float64)
    while numbers.ndim > 2 and (numbers == numbers[:1]).all():  # an exporter repeats it
        numbers = numbers[0]
    value = reader.value(data)
    if numbers.ndim != 2 or len(value.shape) < 2:
        raise NotLinear("is multiplied with several matrices")
    if left is None:
        numbers = numbers.T
    axis = len(value.shape) - (2 if left is not None else 1)
    summands = int((numbers != 0).sum(1).max())
    reader.limit(value.cost * summands, len(value.terms) * summands)
    shape = shape_of(call)
    return value.mixed(numbers, axis).moved(lambda a: a.reshape(shape))


@READERS.register("relax.einsum")
def _einsum_elements(reader: RegionReader, call: Any) -> ElementSum:
    """One tensor, and at most vectors of constants along its axes; other axes are summed."""
    fields = reader.old.definition(call.args[0])
    operands, arrow, result = call.attrs.subscripts.replace(" ", "").partition("->")
    letters = operands.split(",")
    if not isinstance(fields, relax.Tuple) or "." in operands or not arrow:
        raise NotLinear("is an Einstein sum of another kind")
    moving = [i for i, f in enumerate(fields.fields) if reader.old.constant(f) is None]
    if len(moving) != 1 or len(set(letters[moving[0]])) != len(letters[moving[0]]):
        raise NotLinear("is an Einstein sum of several tensors")
    axes = letters[moving[0]]
    value = reader.value(fields.fields[moving[0]])
    for index, (field, names) in enumerate(zip(fields.fields, letters)):
        if index in moving:
            continue
        constant = reader.old.constant(field)
        assert constant is not None  # all but one are
        numbers = constant.real().astype(np.float64)
        if len(names) == 1 and names in axes:
            spread = [1] * len(axes)
            spread[axes.index(names)] = -1
            value = value.scaled(numbers.reshape(spread))
        elif len(names) == 2 and (names[1] in axes) != (names[0] in axes):
            inner = names[0] if names[0] in axes else names[1]
            outer = names[1] if inner == names[0] else names[0]
            matrix = numbers if inner == names[1] else numbers.T
            value = value.mixed(matrix, axes.index(inner))
            axes = axes.replace(inner, outer)
        else:
            raise NotLinear("is an Einstein sum of another kind")
    summed = prod(n for letter, n in zip(axes, value.shape) if letter not in result)
    reader.limit(value.cost * 2, len(value.terms) * summed)
    for axis in reversed(range(len(axes))):
        if axes[axis] not in result:
            value = value.summed(axis)
    axes = "".join(letter for letter in axes if letter in result)
    return value.moved(lambda a: a.transpose([axes.index(letter) for letter in result]))


@NARROWING.register("dero.dense")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    data, weight, *vectors = operands
    return [data, take(weight, the_kept(kept), 1), *vectors], attrs, None


def _channels(data: Node, shape: tuple[int, ...]) -> int:
    """Those of an image, of `shape` in the description, in the module."""
    return prod(data.signature.inputs[0].shape) // prod(shape[:2])


@DESCRIPTION.register("dero.dense")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    weight, bias = (description.constant(name, data, index) for index in (1, 2))
    (source,) = description.sources(name, data)
    shape = description.shape(source)
    last = data.signature.inputs[0].shape[-1]
    if len(shape) == 3 and weight.shape[1] == last == _channels(data, shape):
        return pointwise(description, name, data, source, weight, bias)
    if len(shape) != 1:
        raise no_counterpart(name, data, " on the pixels of an image")
    return add_dense(description, name, data, source, weight, bias)
