"""Channels that become the pixels of a block, and blocks of pixels that become channels.

- spelling: PyTorch's pixel shuffle; what frontends say with reshapes and transposes, see
  `element_moves`: as such it needs a row of its input for a row of its result, or the rows of a
  block, and a transpose would need the whole image;
- moves: always;
- element sums: always.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...ir.dataflow import dtype_of, shape_of
from .. import attributes_of, make_call
from ..depth_to_space import block_of
from ..fixed_point import ACTIVATIONS

_TYPES = ("float32", "uint8", *ACTIVATIONS)


@SPELLINGS.register("relax.nn.pixel_shuffle")
def _pixel_shuffle(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    if len(shape_of(call)) != 4 or dtype_of(call) not in _TYPES:
        return None
    block = int(call.attrs.upscale_factor)
    image = rewriter.emit(relax.op.permute_dims(rewriter.new(call.args[0]), [0, 2, 3, 1]))
    result = rewriter.emit(make_call("depth_to_space", [image], block_size=block, order="CRD"))
    return relax.op.permute_dims(result, [0, 3, 1, 2])


MOVES.register("dero.depth_to_space", "dero.space_to_depth")(always)


@READERS.register("dero.depth_to_space")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    attrs, (n, h, w, _) = attributes_of(call), shape_of(call.args[0])
    (rows, columns), channels = block_of(attrs), shape_of(call)[-1]

    def move(array: np.ndarray) -> np.ndarray:
        if attrs["order"] == "DCR":
            split = array.reshape(n, h, w, rows, columns, channels)
        else:
            split = np.moveaxis(array.reshape(n, h, w, channels, rows, columns), 3, 5)
        return split.transpose(0, 1, 3, 2, 4, 5).reshape(shape_of(call))

    return reader.value(call.args[0]).moved(move)


@READERS.register("dero.space_to_depth")
def _gathered(reader: RegionReader, call: Any) -> ElementSum:
    attrs, (n, h, w, channels) = attributes_of(call), shape_of(call)
    rows, columns = block_of(attrs)
    axes = (0, 1, 3, 2, 4, 5) if attrs["order"] == "DCR" else (0, 1, 3, 5, 2, 4)

    def move(array: np.ndarray) -> np.ndarray:
        split = array.reshape(n, h, rows, w, columns, channels // (rows * columns))
        return split.transpose(axes).reshape(n, h, w, channels)

    return reader.value(call.args[0]).moved(move)
