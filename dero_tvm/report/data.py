"""What a compilation reports.  All sizes are in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dero_tvm.boundary.structured import structured
from dero_tvm.schedule.recompute_ratio import described_ratio, ratio_of

from .layer_names import layers_by_tensor
from .measured import Measured
from .operators import ReportedOperator
from .ports import ReportedPort
from .timeline import ReportedBuffer, ReportedStep, Timeline
from .tuning import ReportedTuning

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LiveBuffer:
    """A buffer that is alive at the peak."""

    label: str
    kind: str  # input, output, intermediate, ring, scratch, patch, state
    size: int
    region: str
    offset: int
    layers: tuple[str, ...] = ()  # of the model file, whose tensors lie in it


@dataclass(frozen=True)
class ReportedResidual:
    """A residual join and what was done to it."""

    join: str
    operator: str
    shortcut: str
    bytes: int  # of the tensor it keeps alive
    action: str
    reason: str
    shortcuts: tuple[tuple[str, ...], ...] = ()  # operators of each, from the fork to the join
    decided_by: str = ""  # the pass, or the planner


@dataclass(frozen=True)
class RegionUse:
    """A memory region of the board and what of it the arena takes."""

    name: str
    capacity: int
    reserved: int  # left to the stack and the application
    used: int  # by the arena

    @property
    def headroom(self) -> int:
        """Bytes that neither the arena nor the reserve takes."""
        return self.capacity - self.reserved - self.used


@dataclass(frozen=True)
class ReportedShortcut:
    """A shortcut over one convolution, as reorganized networks have them, and what became of it."""

    join: str
    action: str  # "fused" or "left alone"
    reason: str
    decided_by: str = ""  # the pass


@dataclass(frozen=True)
class Report:
    """The result of one compilation.

    `whole_bytes` is the arena with every tensor whole and operators in written order, as
    interpreters plan it.  `plain_bytes` is the same measure of the plain network, residuals
    removed: a different function, given as a baseline.
    """

    model: str
    target: str
    dero: str
    chosen: str  # what of it was used: what does not make the arena smaller is left out
    arena_bytes: int
    whole_bytes: int
    plain_bytes: int
    plain_refusals: tuple[str, ...]  # residuals that the plain network still has, with the reason
    regions: Mapping[str, int]
    split: Mapping[str, int]  # bytes alive at the peak, by kind of buffer; shared ones once
    peak_bytes: int  # their sum
    scratch_bytes: int  # the most that one step needs of rings or rows of its own, and scratch
    lower_bound: int
    order_proof: str
    placement_proof: str
    peak_step: str
    peak_buffers: tuple[LiveBuffer, ...]
    steps: tuple[ReportedStep, ...]
    buffers: tuple[ReportedBuffer, ...]
    residuals: tuple[ReportedResidual, ...]
    notes: tuple[str, ...]
    macs: int
    constants_bytes: int
    operators: tuple[ReportedOperator, ...]
    whole: Timeline  # of the network as written
    plain: Timeline  # of the plain network
    memory_budget: int | None = None  # what the user allowed the arena to have
    memory: tuple[RegionUse, ...] = ()  # of the board; empty for the host
    flash_capacity: int = 0  # of the board; 0 if it is not known
    shortcuts: tuple[ReportedShortcut, ...] = ()
    tuning: ReportedTuning | None = None  # if kernels were measured
    ports: tuple[ReportedPort, ...] = ()  # inputs, then outputs
    rows_proof: str = ""  # whether any order of rows could need less
    state_bytes: int = 0  # of the arena, what lasts from one inference to the next
    table_bytes: int = 0  # of `constants_bytes`, what says where rows lie and in which order
    macs_again: int = 0  # of `macs`, what is made a second time to need less memory
    measured: Measured | None = None  # if a run with a profile gave it

    @property
    def flash_reads(self) -> int:
        """Bytes of weights and tables that an inference reads from flash, each call's once."""
        calls = sum(step.call_bytes for step in self.steps)
        return sum(operator.flash_reads for operator in self.operators) + calls

    @property
    def proofs(self) -> tuple[tuple[str, str], ...]:
        """What is known of how small the arena could be, each with what it is about."""
        if not self.rows_proof:
            return (("Order of operators", self.order_proof), ("Placement", self.placement_proof))
        return (
            ("Bound", self.rows_proof),
            ("Order of the chosen cascades", self.order_proof),
            ("Placement in this order", self.placement_proof),
        )

    @property
    def recompute(self) -> str:
        """What is made twice, ``1.07x multiply-accumulates``; "" if nothing is."""
        return described_ratio(ratio_of(self.macs, self.macs_again)) if self.macs_again else ""

    def layer(self, tensor: str) -> str:
        """The layer of the model file that a tensor is named after; "" if none is known."""
        return next(iter(self._layers.get(tensor, ())), "")

    @cached_property
    def _layers(self) -> dict[str, tuple[str, ...]]:
        return layers_by_tensor(self.operators)

    @property
    def timeline(self) -> Timeline:
        """Of the plan that the code is generated from."""
        return Timeline(self.arena_bytes, self.regions, self.steps, self.buffers)

    @property
    def plans(self) -> tuple[tuple[str, str, Timeline], ...]:
        """What charts compare, with a key and a title each: as written, plain, compiled."""
        return (
            ("whole", "as written, every tensor whole", self.whole),
            ("plain", "plain network, residuals removed", self.plain),
            ("after", f"compiled, --dero {self.dero}", self.timeline),
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON data."""
        return asdict(self)

    def to_json(self) -> str:
        """`to_dict` as text, with a final newline."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_html(self) -> str:
        """Charts, graph and tables as one HTML file that needs no network."""
        from .html import html_page

        return html_page(self)

    def plot(self) -> Figure:
        """Bytes alive at each step as a matplotlib figure; UserError if that is not installed."""
        from .timeline_plot import timeline_figure

        return timeline_figure(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .html import notebook_frame

        return notebook_frame(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Report:
        """The report that `to_dict` wrote; TypeError or ValueError if it is none."""
        report = structured(Report, data)
        for timeline in (report.timeline, report.whole, report.plain):
            timeline.check()
        return report
