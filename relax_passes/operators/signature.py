"""What one operator call looks like to a kernel: shapes, types, attributes, and nothing else.

A :class:`Signature` is a value.  Two calls with equal signatures are served by one kernel, so it
doubles as the key under which kernels are cached and shared in the generated code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """Shape, type and memory layout of one operand.

    Tensors are channels-last.  The unit of execution is a **row**: all elements that share the
    indices up to the row axis, which is axis 1 for rank 3 and more (``N, H, W, C`` has ``N * H``
    rows of ``W * C`` elements), and axis 0 below (``M, K`` has ``M`` rows of ``K`` elements).

    A row is made of pixels, runs of ``channels`` elements (the last axis).  ``pixel_stride`` is
    the distance in elements between two pixels; it exceeds ``channels`` where the tensor is a
    slice of a wider one, as the operands of a concatenation in place are.
    """

    shape: tuple[int, ...]
    dtype: str
    pixel_stride: int = 0  # 0 stands for "dense" and is replaced by `channels`

    def __post_init__(self) -> None:
        if self.pixel_stride == 0:
            object.__setattr__(self, "pixel_stride", self.channels)

    @property
    def row_axis(self) -> int:
        return 1 if len(self.shape) >= 3 else 0

    @property
    def rows(self) -> int:
        """Number of rows (the height, for a batch of one)."""
        return prod(self.shape[: self.row_axis + 1]) if len(self.shape) > 1 else 1

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def pixels(self) -> int:
        """Pixels in a row (the width, for rank 4)."""
        return prod(self.shape[self.row_axis + 1 : -1]) if len(self.shape) > 2 else 1

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def dense(self) -> bool:
        """True if pixels follow each other without a gap."""
        return self.pixel_stride == self.channels

    @property
    def row_stride(self) -> int:
        """Distance between the starts of two rows, in elements."""
        return self.pixels * self.pixel_stride

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return np.dtype(self.dtype).itemsize

    @cached_property
    def row_bytes(self) -> int:
        """Bytes from the start of one row to the start of the next."""
        return self.row_stride * self.itemsize

    @property
    def bytes(self) -> int:
        """Bytes of the tensor when it is dense."""
        return self.elements * self.itemsize

    @property
    def described(self) -> str:
        """Shape and type as texts have them: ``1x8x8x16 int8``."""
        return f"{'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


@dataclass(frozen=True)
class Signature:
    """An operator's name, operands, result and attributes.

    ``inputs`` lists every tensor argument in call order, constants included.
    """

    operator: str
    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)
    _key: tuple = field(default=(), repr=False)

    def __post_init__(self) -> None:
        key = tuple(sorted((name, _freeze(value)) for name, value in self.attrs.items()))
        object.__setattr__(self, "_key", key)

    @property
    def short_name(self) -> str:
        """The operator's name without what it is registered under: ``conv2d``."""
        return self.operator.split(".")[-1]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # A network's signatures are looked up again and again.
        return hash((self.operator, self.inputs, self.output, self._key))

    def __getitem__(self, attribute: str) -> Any:
        return self.attrs[attribute]


def _freeze(value: Any) -> Any:
    return tuple(_freeze(v) for v in value) if isinstance(value, (list, tuple)) else value
