"""The loop over one row, pixel by pixel, that operators with row-to-row data flow share."""

from __future__ import annotations

from tvm.script import tirx as T

from .signature import TensorSpec


class PixelLoop:
    """Loop bounds and index arithmetic of a kernel that reads pixel p to write pixel p.

    Where `merge` allows it and neither tensor has gaps, a row counts as one long pixel, which
    leaves the kernel a single loop.
    """

    def __init__(self, data: TensorSpec, out: TensorSpec, merge: bool = False) -> None:
        self.pixels, self.channels = data.pixels, data.channels
        if merge and data.dense and out.dense:
            self.pixels, self.channels = 1, data.pixels * data.channels
        self.data_row, self.data_pixel = data.row_stride, data.pixel_stride
        self.out_channels, self.out_pixel = out.channels, out.pixel_stride

    def data_index(self, row, data_rows, pixel, channel):
        """Offset of an input element in a ring of `data_rows` rows."""
        return T.truncmod(row, data_rows) * self.data_row + pixel * self.data_pixel + channel

    def out_index(self, pixel, channel):
        """Offset of an output element in the output row."""
        return pixel * self.out_pixel + channel
