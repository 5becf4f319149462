"""Inputs and outputs of the network, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dero_tvm.schedule.network import Network


@dataclass(frozen=True)
class ReportedPort:
    """An input or output; integers stand for `scale` * (q - `zero_point`), if that is known."""

    kind: str  # input, output
    name: str
    shape: tuple[int, ...]
    dtype: str
    by_rows: bool  # row-streamed
    scale: float | None = None
    zero_point: int | None = None

    @property
    def type(self) -> str:
        """Shape and type of the elements: ``1x8x8x1 int8``."""
        return f"{'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"

    @property
    def meaning(self) -> str:
        """What an integer q stands for: ``0.00392157 * (q + 128)``; "" if that is not known."""
        if self.scale is None or self.zero_point is None:
            return ""
        if not self.zero_point:
            return f"{self.scale:.6g} * q"
        sign = "+" if self.zero_point < 0 else "-"
        return f"{self.scale:.6g} * (q {sign} {abs(self.zero_point)})"


def ports(network: Network) -> Iterator[ReportedPort]:
    """Inputs, then outputs, in the model's order."""
    for kind, members in (("input", network.inputs), ("output", network.outputs)):
        for port in members:
            spec = network.values[port.value].spec
            scale, zero_point = port.quantization or (None, None)
            yield ReportedPort(
                kind, port.name, spec.shape, spec.dtype, port.row_streamed, scale, zero_point
            )
