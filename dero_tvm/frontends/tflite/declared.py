"""Outputs of imported operators against the shapes and types that the file gives its tensors.

LiteRT computes shapes anew when it loads a file, so some tools write them carelessly, which does
no harm: an empty shape stands for one that was not known as well as for a scalar's, and a batch of
one may be missing in front.  Sizes marked as open hold no number.
"""

from __future__ import annotations

from collections.abc import Sequence

import tflite
from tvm import relax

from dero_tvm.boundary.errors import UserError

from ..declared_types import Declared, check_declared
from .reader import NamedSubGraph, shape_of

_QUANTIZED = (tflite.TensorType.INT8, tflite.TensorType.UINT8, tflite.TensorType.INT16)


def check_outputs(
    where: str,
    graph: NamedSubGraph,
    outputs: Sequence[int],
    types: Sequence[relax.Type],
    names: Sequence[str],
    *,
    shapes: bool,
) -> None:
    """Raises :class:`InternalError` where an output differs from its declaration.

    :class:`UserError` where it is integers in the file whose scale is missing there.

    where: the model and the operator, for the message.
    types, names: of the imported outputs, and of the file's types, in the order of `outputs`.
    shapes: whether to compare shapes, which hold for the file's own shapes of inputs alone.
    """
    for index, actual, dtype in zip(outputs, types, names, strict=True):
        tensor = graph.Tensors(index)
        computed = str(getattr(actual, "dtype", dtype))
        if tensor.Type() in _QUANTIZED and tensor.Quantization() is None and "float" in computed:
            raise UserError(
                f"{where}: tensor {graph.names[index]!r} is {dtype} without a scale; convert the "
                "model again, with all of its tensors quantized or none"
            )
        shape = _declared(tensor) if shapes else None
        if shape is not None and isinstance(actual, relax.TensorType) and actual.shape is not None:
            shape = _with_rank(shape, len(actual.shape))
        check_declared(f"{where}: tensor {graph.names[index]!r}", shape, dtype, actual)


def _declared(tensor: tflite.Tensor) -> Declared | None:
    shape = shape_of(tensor)
    signature = [int(tensor.ShapeSignature(i)) for i in range(tensor.ShapeSignatureLength())]
    if len(signature) != len(shape):
        signature = list(shape)
    return [None if mark < 0 or size < 0 else size for size, mark in zip(shape, signature)] or None


def _with_rank(shape: Declared, rank: int) -> Declared:
    """`shape` with ones in front, or without some that are there, to have `rank` axes."""
    extra = len(shape) - rank
    if extra < 0:
        return [*[1] * -extra, *shape]
    return shape[extra:] if all(size == 1 for size in shape[:extra]) else shape
