"""Channels that become the pixels of a block.

- spelling: PyTorch's pixel shuffle, and the reshape, transpose and reshape with which TVM's
  importers write ONNX' and TFLite's operators, are `dero.depth_to_space`: as such it needs one
  row of its input for a row of its result, and the transpose would need the whole image;
- moves: always;
- element sums: always.

Does not handle: blocks that are not square.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import permutation
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...ir.dataflow import dtype_of, is_call, shape_of
from .. import attributes_of, make_call
from ..fixed_point import ACTIVATIONS

_FORMS = (  # layout, order, and what every axis of data and result is made of
    ("NCHW", "DCR", "n yxc h w", "n c hy wx"),
    ("NCHW", "CRD", "n cyx h w", "n c hy wx"),
    ("NHWC", "DCR", "n h w yxc", "n hy wx c"),
    ("NHWC", "CRD", "n h w cyx", "n hy wx c"),
)
_TYPES = ("float32", "uint8", *ACTIVATIONS)


@SPELLINGS.register("relax.nn.pixel_shuffle")
def _pixel_shuffle(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    if len(shape_of(call)) != 4 or dtype_of(call) not in _TYPES:
        return None
    return _written(rewriter, call.args[0], "NCHW", int(call.attrs.upscale_factor), "CRD")


@SPELLINGS.register("relax.reshape")
def _from_moves(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """``reshape(permute_dims(reshape(data)))``, if nothing else reads what lies between."""
    transpose = rewriter.old.definition(call.args[0])
    if not is_call(transpose, "relax.permute_dims") or dtype_of(call) not in _TYPES:
        return None
    split = rewriter.old.definition(transpose.args[0])
    between = (call.args[0], transpose.args[0])
    if not is_call(split, "relax.reshape") or not all(map(rewriter.old.sole_reader, between)):
        return None
    data, lengths = split.args[0], shape_of(split)
    for layout, order, before, after in _FORMS:
        letters, moved = before.replace(" ", ""), after.replace(" ", "")
        length = dict(zip(letters, lengths))
        if (
            len(lengths) == len(letters)
            and permutation(transpose) == tuple(letters.index(letter) for letter in moved)
            and shape_of(data) == tuple(prod(length[a] for a in axis) for axis in before.split())
            and shape_of(call) == tuple(prod(length[a] for a in axis) for axis in after.split())
            and length["y"] == length["x"] > 1
        ):
            return _written(rewriter, data, layout, length["y"], order)
    return None


def _written(
    rewriter: SpellingRewriter, data: relax.Expr, layout: str, block: int, order: str
) -> relax.Expr:
    image = rewriter.new(data)
    if layout == "NCHW":
        image = rewriter.emit(relax.op.permute_dims(image, [0, 2, 3, 1]))
    result = rewriter.emit(make_call("depth_to_space", [image], block_size=block, order=order))
    return relax.op.permute_dims(result, [0, 3, 1, 2]) if layout == "NCHW" else result


MOVES.register("dero.depth_to_space")(always)


@READERS.register("dero.depth_to_space")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    attrs, (n, h, w, _) = attributes_of(call), shape_of(call.args[0])
    block, channels = attrs["block_size"], shape_of(call)[-1]

    def move(array: np.ndarray) -> np.ndarray:
        if attrs["order"] == "DCR":
            split = array.reshape(n, h, w, block, block, channels)
        else:
            split = np.moveaxis(array.reshape(n, h, w, channels, block, block), 3, 5)
        return split.transpose(0, 1, 3, 2, 4, 5).reshape(shape_of(call))

    return reader.value(call.args[0]).moved(move)
