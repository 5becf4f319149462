"""The arguments of kernels that say where tensors and constants lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from dero_tvm.schedule.network import Cascade, NativeKernel
from relax_passes.operators import TensorSpec

from . import row_tables
from .row_places import Address, RowPlace, RowPlaces
from .stages import Argument


class Pointers:
    """Those of one program, which has these constants by name."""

    def __init__(self, places: RowPlaces, constant_values: Mapping[str, np.ndarray]) -> None:
        self.places = places
        self.constant_values = constant_values

    def rows(self, cascade: Cascade, name: str, spec: TensorSpec) -> Iterator[Argument | int]:
        """An operand that is read row by row: its base, and how its rows are found."""
        place = self.places.of(cascade, name)
        yield Argument(place.address, spec.dtype)
        if place.table:
            yield Argument(Address(f"constant:{place.table}"), row_tables.ENTRY, unit=place.unit)
        else:
            yield place.ring or spec.rows

    def constants(self, native: NativeKernel) -> Iterator[Argument]:
        """The packed constants of a native kernel."""
        for _, constant in native.constants:
            dtype = str(self.constant_values[constant].dtype)
            yield Argument(Address(f"constant:{constant}"), dtype)


def row_of(place: RowPlace, spec: TensorSpec) -> Argument:
    """The address of the row that is being made, or handed over."""
    return Argument(
        place.address, spec.dtype, spec.row_bytes, place.ring, place.table, place.unit, spec.rows
    )
