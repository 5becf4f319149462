"""int8 TFLite operators that move values: cases as those of `tflite_sweep`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.frontends.tflite_sweep import Case
from tests.models.tflite_builder import TFLiteBuilder

SHAPE = (1, 6, 8, 4)
IN = {"scale": 0.05, "zero_point": -3}


def move(code: str, *, operands: tuple = (), **options: Any) -> Case:
    """An operator that moves values; its operands are int32 constants."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", SHAPE, "int8", **IN)
        constants = [b.constant(f"c{i}", v, "int32") for i, v in enumerate(operands)]
        y = b.tensor("y", None, "int8", **IN)
        b.operator(code, [x, *constants], [y], **options)
        return [y]

    return build


MOVES = {
    "pad": move("PAD", operands=([[0, 0], [1, 2], [0, 1], [3, 0]],)),
    "mirror_pad": move("MIRROR_PAD", operands=([[0, 0], [1, 2], [0, 1], [0, 0]],), mode="REFLECT"),
    "mirror_pad_edge_twice": move(
        "MIRROR_PAD", operands=([[0, 0], [6, 2], [0, 1], [1, 4]],), mode="SYMMETRIC"
    ),
    "transpose": move("TRANSPOSE", operands=([0, 3, 1, 2],)),
    "squeeze_all": move("SQUEEZE"),
    "squeeze_axis": move("SQUEEZE", squeeze_dims=[0]),
    "expand_dims": move("EXPAND_DIMS", operands=([-2],)),
    "reshape": move("RESHAPE", operands=([-1, 16],)),
    "slice": move("SLICE", operands=([0, 1, 2, 0], [1, 3, -1, 2])),
    "strided_slice": move("STRIDED_SLICE", operands=([0, 1, -1, 0], [1, 6, 0, 4], [1, 2, -2, 1])),
    "strided_slice_reversed": move(
        "STRIDED_SLICE", operands=([0, 5, 0, 0], [1, 0, 8, 4], [1, -2, 1, 1]), end_mask=0b0010
    ),
    "strided_slice_masks": move(
        "STRIDED_SLICE",
        operands=([0, 1, 2, 3], [0, 5, 0, 0], [1, 1, 1, 1]),
        begin_mask=0b0001,
        end_mask=0b0101,
        shrink_axis_mask=0b1000,
    ),
    "strided_slice_ellipsis": move(
        "STRIDED_SLICE", operands=([0, -1], [0, 4], [1, 1]), ellipsis_mask=1, shrink_axis_mask=2
    ),
    "gather": move("GATHER", operands=([3, 0, 0],), axis=3),
    "resize_nearest": move("RESIZE_NEAREST_NEIGHBOR", operands=([12, 16],)),
    "resize_nearest_down": move("RESIZE_NEAREST_NEIGHBOR", operands=([4, 5],)),
    "resize_nearest_half_pixel": move(
        "RESIZE_NEAREST_NEIGHBOR", operands=([9, 13],), half_pixel_centers=True
    ),
    "resize_nearest_align_corners": move(
        "RESIZE_NEAREST_NEIGHBOR", operands=([11, 15],), align_corners=True
    ),
    "space_to_depth": move("SPACE_TO_DEPTH", block_size=2),
    "depth_to_space": move("DEPTH_TO_SPACE", block_size=2),
    "tile": move("TILE", operands=([1, 2, 1, 3],)),
    "broadcast_to": move("BROADCAST_TO", operands=([2, 6, 8, 4],), version=2),
    "reverse": move("REVERSE_V2", operands=([2],)),
    "space_to_batch": move("SPACE_TO_BATCH_ND", operands=([3, 2], [[1, 2], [2, 0]])),
}
