"""What runners need of generated code: any object with these members will do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class Tensor(Protocol):
    """An input or output of the model."""

    @property
    def name(self) -> str: ...
    @property
    def c_name(self) -> str: ...  # field of the struct in C
    @property
    def shape(self) -> Sequence[int]: ...
    @property
    def dtype(self) -> str: ...  # as NumPy calls it


class Archive(Protocol):
    """Generated C sources with the interface of the Model Library Format."""

    @property
    def name(self) -> str: ...  # of the module: functions are called tvmgen_<name>_…
    @property
    def inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...
    @property
    def arena_bytes(self) -> Mapping[str, int]: ...  # by region of the board

    def c_sources(self) -> Mapping[str, bytes]: ...  # path in the archive -> content

    def c_headers(self) -> Mapping[str, bytes]: ...


def tensor_bytes(tensor: Tensor) -> int:
    """Size of a tensor's values in bytes."""
    return math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize


def workspace_symbols(archive: Archive) -> dict[str, str]:
    """The C name of each region's arena; the region's name is part of it if there are several."""
    prefix = f"tvmgen_{archive.name}_workspace"
    if len(archive.arena_bytes) == 1:
        return {region: prefix for region in archive.arena_bytes}
    return {region: f"{prefix}_{region}" for region in archive.arena_bytes}
