"""From a rewritten module to a memory plan for one board."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import relax

from relax_passes.ir.origins import origin_of
from relax_passes.operators.signature import TensorSpec

from ..aot.kernels import makes_windows, takes_table
from ..boards.board import Board
from ..boards.regions import STACK_RESERVE, board_regions
from ..boundary.errors import UserError
from ..boundary.printable import printable
from ..frontends import LoadedModel
from ..kernels import Choice, preferred, with_kernels, without_kernels
from ..planning import DoesNotFit, MemoryPlan, Options, lower_bound, plan_memory
from ..planning.column_windows.grouping import Grouping
from ..planning.problem import Region
from ..planning.rows.problem import RowProblem
from ..schedule.buffers import TakesTable
from ..schedule.column_groups import in_column_windows
from ..schedule.constant_arrays import ConstantArrays
from ..schedule.extract import extract
from ..schedule.network import Network
from ..schedule.to_problem import Scheduled, Sharing, to_problem
from .row_planner import plan_row_placement, row_problem

_LARGEST_TENSOR = 2**31 - 1
_MOST_OPERATORS = 1_500  # several times as many as any network for a microcontroller has
_MOST_BINDINGS = 8_000  # of a model as it is read; quantized ones have several for an operator
_MOST_PORTS = 512  # all of them are alive at once, and each is compared with each
_MOST_ROWS_IN_ALL = 2**19
_MOST_ROWS = 2**17  # every one is a step of the simulation, and none runs on a microcontroller


@contextmanager
def naming(label: str) -> Iterator[None]:
    """Errors about an operator say in which model it is."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{label}: {error}") from error.__cause__


def refuse_sizes(model: str, tensors: Mapping[str, Any]) -> None:
    """Raises UserError for a tensor that is too large to be planned and addressed.

    `tensors` maps what a message calls a tensor to anything with ``shape`` and ``dtype``.
    """
    for name, spec in tensors.items():
        if isinstance(spec, TensorSpec) and spec.rows > _MOST_ROWS:
            raise UserError(
                f"{model}: tensor {name} of shape {list(spec.shape)} has {spec.rows:,} rows, more "
                f"than the {_MOST_ROWS:,} that can be planned; choose a smaller input "
                "(--input-shapes)"
            )
        _refuse_bytes(f"{model}: tensor {name}", spec.shape, spec.dtype)


def _refuse_bytes(what: str, shape: Sequence[int], dtype: str) -> None:
    """Generated code counts in int32."""
    size = math.prod(shape) * tvm.DataType(dtype).itemsize
    if size > _LARGEST_TENSOR:
        raise UserError(
            f"{what} of shape {list(shape)} has {size:,} bytes, more than the "
            f"{_LARGEST_TENSOR:,} that generated code can address; choose a smaller input "
            "(--input-shapes)"
        )


def refuse_length(model: str, module: tvm.IRModule) -> None:
    """Raises UserError for a file that is too large to be rewritten.

    It has so many operators, inputs or outputs that it would take minutes, or a result, whether it
    is stored in the end or not, that could not be addressed.
    """
    main = module["main"]
    outputs = getattr(main.ret_ty, "fields", [main.ret_ty])
    for kind, count in {"inputs": len(main.params), "outputs": len(outputs)}.items():
        if count > _MOST_PORTS:
            raise UserError(
                f"{model}: the model has {count:,} {kind}, more than the {_MOST_PORTS:,} that can "
                f"be planned; choose those that are needed (--{kind})"
            )
    bindings = [b for block in getattr(main.body, "blocks", ()) for b in block.bindings]
    if len(bindings) > _MOST_BINDINGS:
        raise UserError(
            f"{model}: the model has {len(bindings):,} operators, more than the "
            f"{_MOST_BINDINGS:,} that can be compiled; compile it in parts"
        )
    for binding in bindings:
        var, ty = binding.var, binding.var.ty
        if isinstance(ty, relax.TensorType) and ty.shape is not None:
            origin = origin_of(var)
            what = f"tensor {var.name!r}" if origin is None else f"the result of {origin}"
            _refuse_bytes(f"{model}: {what}", [int(n) for n in ty.shape], str(ty.dtype))


def refuse_work(model: str, network: Network) -> None:
    """Raises UserError for a network that no plan would be found for in a sensible time."""
    operations = network.operations
    if len(operations) > _MOST_OPERATORS:
        raise UserError(
            f"{model}: the network has {len(operations):,} operators, more than the "
            f"{_MOST_OPERATORS:,} that can be planned; compile it in parts"
        )
    rows = sum(op.signature.output.rows for op in operations if op.function is None)
    if rows > _MOST_ROWS_IN_ALL:
        raise UserError(
            f"{model}: the tensors of the network have {rows:,} rows together, more than the "
            f"{_MOST_ROWS_IN_ALL:,} that can be planned; choose a smaller input (--input-shapes)"
        )


@dataclass(frozen=True)
class NetworkPlanner:
    """Plans any rewriting of one model for one board.

    `label` is what messages call the model, `name` the C module's name.
    """

    loaded: LoadedModel
    label: str
    board: Board
    options: Options
    name: str
    reserve: int = STACK_RESERVE  # bytes of the board's first region that no arena takes
    choose: Choice = preferred  # of several kernels
    constants: ConstantArrays = field(default_factory=ConstantArrays)  # of all rewritings
    tables: TakesTable = takes_table  # which kernels look rows up
    board_called: str = ""  # by the user, if not by its name

    def network(self, module: tvm.IRModule) -> Network:
        """The operators and tensors of a module."""
        with naming(self.label):
            return extract(
                module,
                name=self.name,
                input_names=[spec.name for spec in self.loaded.inputs],
                output_names=[spec.name for spec in self.loaded.outputs],
                constants=self.constants,
            )

    def schedule(
        self, module: tvm.IRModule, sharing: Sharing, *, bounded: bool = True
    ) -> Scheduled:
        """The planning problem of a module; `bounded` by the board's memory or not at all.

        What is compiled is bounded, and has the kernels of the board's core with their scratch.
        """
        network = self.network(module)
        regions: Sequence[Region] = (Region("sram"),)
        if bounded:
            regions = self._regions()
            network = with_kernels(network, self.board.kernel_features, self.choose)
        return self._problem(network, sharing, regions)

    def schedule_in_windows(self, network: Network, grouping: Grouping) -> Scheduled:
        """The planning problem of a streamed network with groups in windows of columns.

        `network` is that of `schedule`, with the kernels of the board's core, in any cascades.
        Raises UserError for a group that cannot be computed so.
        """
        with naming(self.label):
            network = in_column_windows(network, grouping, makes_windows)
        return self._problem(network, Sharing.ROWS, self._regions())

    def _problem(self, network: Network, sharing: Sharing, regions: Sequence[Region]) -> Scheduled:
        return to_problem(
            network, sharing=sharing, alignment=self._alignment(), regions=tuple(regions)
        )

    def without_kernels(self, module: tvm.IRModule) -> list[str]:
        """The joined operators of a module that would cost the board's core a kernel."""
        features = self.board.kernel_features
        return without_kernels(self.network(module), features) if features else []

    def plan(self, scheduled: Scheduled, options: Options | None = None) -> MemoryPlan:
        """A verified plan; `options` stand in for the planner's own.

        Raises ``DoesNotFit`` if the problem's regions are too small.
        """
        return plan_memory(scheduled.problem, options or self.options)

    def plan_row_placement(
        self,
        scheduled: Scheduled,
        below: int | None = None,
        *,
        share: float = 1.0,
        seen: list[RowProblem] | None = None,
    ) -> MemoryPlan | None:
        """A verified plan with an address for every row; see `row_planner`."""
        return plan_row_placement(
            scheduled,
            self.options,
            alignment=self._alignment(),
            below=below,
            tables=self.tables,
            share=share,
            seen=seen,
        )

    def rows(self, scheduled: Scheduled, order: Sequence[int]) -> RowProblem:
        """The calls of row kernels that run `scheduled` with its cascades in `order`."""
        return row_problem(scheduled, order, self.options, self._alignment())

    def least_bytes(self, scheduled: Scheduled) -> int:
        """Bytes that no plan can go below."""
        return lower_bound(scheduled.problem, options=self.options)

    def too_large(
        self, error: DoesNotFit, network: Network, *, streamed: bool, with_budget: bool = False
    ) -> UserError:
        """What to tell the user when nothing fits the board.

        `streamed`: streaming was among what was tried; `with_budget` if one was given.
        """
        level = "" if streamed else "another --dero (stream needs least), "
        room = self._regions()[0].size
        twice = ""
        if room and not with_budget:
            twice = f"--memory-budget {room}, for which some things may be made twice, "
        words = ("tvmc", "advise", self.label, "--board", self.board_called or self.board.name)
        advise = printable(shlex.join(words), 400)
        return UserError(
            f"{self.label} does not fit {self.board.name}: operator "
            f"{_described(network, error.step)} needs {error.required:,} bytes of RAM, which is "
            f"{error.excess:,} bytes more than the {error.capacity:,} that are left beside the "
            f"stack; choose {level}{twice}a smaller input "
            f"(--input-shapes), or another board (tvmc fit); what else there is says `{advise}`"
        )

    def _regions(self) -> tuple[Region, ...]:
        return board_regions(self.board, self.reserve)

    def _alignment(self) -> int:
        return 4

    def check_flash(self, network: Network, table_bytes: int) -> None:
        """Raises UserError if the weights, and tables of rows, do not fit the board's flash."""
        if self.board.flash is None:
            return
        weights = network.c_constants_bytes + table_bytes
        if weights > self.board.flash.size:
            raise UserError(
                f"{self.label} does not fit {self.board.name}: its weights are {weights:,} "
                f"bytes, which is {weights - self.board.flash.size:,} bytes more than its flash of "
                f"{self.board.flash.size:,}; quantize the model to int8 or choose another board"
            )


def _described(network: Network, step: str) -> str:
    """A step's name with what a reader can look for in the model."""
    for cascade in network.cascades:
        if cascade.name == step:
            names = [op.signature.short_name for op in cascade.operations]
            what = " + ".join(names) if len(names) < 4 else f"{len(names)} operators to {names[-1]}"
            output = cascade.operations[-1].signature.output
            layers = network.layers_of(op.result for op in cascade.operations)
            layer = f" '{printable(layers[-1], 80)}'" if layers else ""
            return f"{step} ({what}{layer}, output {list(output.shape)} {output.dtype})"
    return step
