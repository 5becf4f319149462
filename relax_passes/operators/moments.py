"""Mean and deviation of groups of channels over an image, and the normalization with them.

Two operators, because the second needs the whole image before its first row: `moments` takes the
rows as they are made, `normalize` reads them again.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from . import normalized_type as types
from .layer_norm import check_vectors
from .normalized_type import f32
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@register
class Moments(Operator):
    """Mean and ``1 / sqrt(variance + epsilon)`` of each of `groups` groups of adjacent channels.

    ``data`` is [N, ..., C]; the result, float32, is [N, 1, 2, groups]: means, then reciprocals.
    int8 data stands for ``(data - input_zero_point) * input_scale``.

    A row's mean and sum of squared differences are joined with those of the rows before it, by
    Chan, Golub and LeVeque's formula for two sets: no cancellation, whatever the mean.
    """

    name = "moments"
    memory_class = OperatorClass.REDUCTION
    arguments = ("data",)
    defaults = {"groups": REQUIRED, "epsilon": REQUIRED, **types.INPUT}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 1 or len(inputs[0].shape) < 3:
            raise ValueError(f"moments takes one tensor of at least three axes, got {inputs}")
        (data,) = inputs
        types.check_types("moments", data, attrs)
        if attrs["groups"] < 1 or data.channels % attrs["groups"]:
            raise ValueError(f"moments: {data.channels} channels are not {attrs['groups']} groups")
        return TensorSpec((data.shape[0], 1, 2, attrs["groups"]), "float32")

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        height = signature.inputs[0].shape[1]
        return row * height, (row + 1) * height

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = _Groups(signature)
        height = g.height

        @script.row_kernel(signature)
        def moments_row(row, X, data_rows, O):
            for k in range(g.groups):
                mean = T.alloc_buffer((1,), "float32")
                total = T.alloc_buffer((1,), "float32")
                of_row = T.alloc_buffer((1,), "float32")
                change = T.alloc_buffer((1,), "float32")
                O[k] = T.float32(0)
                O[g.groups + k] = T.float32(0)
                for y in range(height):
                    of_row[0] = T.float32(0)
                    for p in range(g.pixels):
                        for c in range(g.size):
                            of_row[0] += types.real(
                                signature, X[g.index(row * height + y, p, k, c, data_rows)]
                            )
                    of_row[0] = of_row[0] * g.share
                    total[0] = T.float32(0)
                    for p in range(g.pixels):
                        for c in range(g.size):
                            change[0] = (
                                types.real(
                                    signature, X[g.index(row * height + y, p, k, c, data_rows)]
                                )
                                - of_row[0]
                            )
                            total[0] += change[0] * change[0]
                    mean[0] = O[k]
                    change[0] = of_row[0] - mean[0]
                    O[g.groups + k] = g.joined(O[g.groups + k], total[0], change[0], y)
                    O[k] = mean[0] + change[0] / T.cast(y + 1, "float32")
                O[g.groups + k] = g.reciprocal(O[g.groups + k])

        return moments_row

    def running_state(self, signature: Signature) -> TensorSpec | None:
        data = signature.inputs[0]
        if data.shape[0] != 1 or data.rows == 1:
            return None
        return TensorSpec((2, signature["groups"]), "float32")

    def running_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = _Groups(signature)
        last_row = g.height - 1

        @script.running_kernel(signature)
        def moments_absorb(row, X, data_rows, O, S):
            for k in range(g.groups):
                mean = T.alloc_buffer((1,), "float32")
                total = T.alloc_buffer((1,), "float32")
                of_row = T.alloc_buffer((1,), "float32")
                change = T.alloc_buffer((1,), "float32")
                if row == 0:
                    S[k] = T.float32(0)
                    S[g.groups + k] = T.float32(0)
                of_row[0] = T.float32(0)
                for p in range(g.pixels):
                    for c in range(g.size):
                        of_row[0] += types.real(signature, X[g.index(row, p, k, c, data_rows)])
                of_row[0] = of_row[0] * g.share
                total[0] = T.float32(0)
                for p in range(g.pixels):
                    for c in range(g.size):
                        change[0] = (
                            types.real(signature, X[g.index(row, p, k, c, data_rows)]) - of_row[0]
                        )
                        total[0] += change[0] * change[0]
                mean[0] = S[k]
                change[0] = of_row[0] - mean[0]
                S[g.groups + k] = g.joined(S[g.groups + k], total[0], change[0], row)
                S[k] = mean[0] + change[0] / T.cast(row + 1, "float32")
                if row == last_row:
                    O[k] = S[k]
                    O[g.groups + k] = g.reciprocal(S[g.groups + k])

        return moments_absorb


class _Groups:
    """Loop bounds, index arithmetic and the joining of two sets, of a kernel of `moments`."""

    def __init__(self, signature: Signature) -> None:
        self.data = signature.inputs[0]
        self.groups = signature["groups"]
        self.size = self.data.channels // self.groups
        self.pixels = self.data.pixels
        self.height = self.data.shape[1]
        self.in_row = self.pixels * self.size
        self.share = f32(1 / self.in_row)
        self.epsilon = f32(signature["epsilon"])

    def index(self, row: Any, pixel: Any, group: Any, channel: Any, ring: Any) -> Any:
        """Offset of one element."""
        inner = pixel * self.data.pixel_stride + group * self.size + channel
        return indexing.ring_offset(self.data, row, inner, ring)

    def joined(self, before: Any, of_row: Any, change: Any, row: Any) -> Any:
        """Sum of squared differences of `row` + 1 rows from that of the earlier ones and this."""
        rows = T.cast(row, "float32")
        return before + of_row + change * change * f32(self.in_row) * rows / (rows + f32(1))

    def reciprocal(self, total: Any) -> Any:
        """What a group is divided by, as a factor."""
        variance = total * f32(1 / (self.in_row * self.height))
        return f32(1) / T.sqrt(variance + self.epsilon)


@register
class Normalize(Operator):
    """``(data - mean) * reciprocal * weight + bias``, with the `moments` of the data.

    ``data`` is [N, ..., C], ``moments`` [N, 1, 2, groups], ``weight`` and ``bias`` have a float32
    number a channel.  Scales and bounds are those of `layer_norm`.
    """

    name = "normalize"
    memory_class = OperatorClass.ELEMENTWISE
    arguments = ("data", "moments", "weight", "bias")
    read_by_rows = (0, 1)
    defaults = {**types.INPUT, **types.OUTPUT}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape."""
        if len(inputs) != 4 or len(inputs[0].shape) < 3:
            raise ValueError(f"normalize takes data, moments, weight and bias, got {inputs}")
        data, moments, *vectors = inputs
        types.check_types("normalize", data, attrs)
        check_vectors("normalize", data, vectors)
        batch, one, two, groups = moments.shape if len(moments.shape) == 4 else (0, 0, 0, 1)
        if (batch, one, two) != (data.shape[0], 1, 2) or data.channels % groups:
            raise ValueError(f"normalize: moments of shape {moments.shape} for {data.shape}")
        return TensorSpec(data.shape, types.output_type(attrs))

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        first = row if argument == 0 else row // signature.inputs[0].shape[1]
        return first, first + 1

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        data, out = signature.inputs[0], signature.output
        alike = data.itemsize == out.itemsize and data.pixel_stride == out.pixel_stride
        return (0,) if alike else ()

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, moments_spec, spec_out = signature.inputs[0], signature.inputs[1], signature.output
        groups = moments_spec.channels
        size, channels = spec.channels // groups, spec.channels

        def moment(row: Any, channel: Any, kind: int, ring: Any) -> Any:
            image = 0 if spec.shape[0] == 1 else T.truncdiv(row, spec.shape[1])
            group = 0 if groups == 1 else T.truncdiv(channel, size)
            return indexing.ring_offset(moments_spec, image, kind * groups + group, ring)

        def element(row: Any, pixel: Any, channel: Any, ring: Any) -> Any:
            return indexing.ring_offset(spec, row, pixel * spec.pixel_stride + channel, ring)

        @script.row_kernel(signature)
        def normalize_row(row, X, data_rows, M, moments_rows, W, B, O):
            for p in range(spec.pixels):
                for c in range(channels):
                    O[p * spec_out.pixel_stride + c] = types.written(
                        signature,
                        (
                            types.real(signature, X[element(row, p, c, data_rows)])
                            - M[moment(row, c, 0, moments_rows)]
                        )
                        * M[moment(row, c, 1, moments_rows)]
                        * W[c]
                        + B[c],
                    )

        return normalize_row
