"""What runners need of generated code: any object with these members will do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ..boundary.errors import UserError


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
    @property
    def row_size(self) -> int: ...  # in bytes, where a function trades rows; else 0
    @property
    def context(self) -> str: ...  # member that is passed to that function


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

    @property
    def steps(self) -> Sequence[str]: ...  # asked for with a profile alone
    @property
    def counted(self) -> Sequence[str]: ...  # operators that a profile counts; asked for likewise

    def c_sources(self) -> Mapping[str, bytes]: ...  # file name -> content

    def c_headers(self) -> Mapping[str, bytes]: ...


def tensor_bytes(tensor: Tensor) -> int:
    """Size of a tensor's values in bytes."""
    return math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize


def workspace_symbols(archive: Archive) -> dict[str, str]:
    """The C name of each region's arena as the header declares it.

    On a board with several regions the region's name is part of it.  Raises UserError if the
    header declares no arena for one of the regions.
    """
    prefix = f"tvmgen_{archive.name}_workspace"
    declared = re.findall(rf"extern uint8_t ({prefix}\w*)\[", _header_text(archive))
    symbols = {}
    for region in archive.arena_bytes:
        names = [name for name in (f"{prefix}_{region}", prefix) if name in declared]
        if not names:
            raise UserError(f"The header tvmgen_{archive.name}.h declares no arena for '{region}'.")
        symbols[region] = names[0]
    return symbols


def maps_io(archive: Archive) -> bool:
    """Whether inputs and outputs that are arrays lie in the arena, to be used in place."""
    return f"tvmgen_{archive.name}_map_io(" in _header_text(archive)


def has_state(archive: Archive) -> bool:
    """Whether something lasts from one inference to the next."""
    return f"tvmgen_{archive.name}_reset(" in _header_text(archive)


def _header_text(archive: Archive) -> str:
    return "".join(text.decode(errors="replace") for text in archive.c_headers().values())
