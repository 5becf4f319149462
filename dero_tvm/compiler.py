"""The driver: from a model file to generated code and its report, one stage after the other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm

from relax_passes import pipeline

from .aot import ModelArchive
from .aot.emit import emit
from .aot.program import build_program
from .boards import Board, load_board
from .dero import BARE, Dero, parse_dero
from .errors import UserError
from .frontends import LoadedModel, load
from .planning import DoesNotFit, MemoryPlan, Options, plan_memory, verify
from .planning.problem import Region
from .report import Report
from .report.build import build_report
from .runners import RunResult, run
from .schedule.extract import extract
from .schedule.network import Network
from .schedule.to_problem import Scheduled, Sharing, to_problem

STACK_RESERVE = 8 * 1024
"""Bytes of a board's first memory region that are left to the stack and other variables."""

_LARGEST_TENSOR = 2**31 - 1


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A compiled model: the rewritten module, its memory plan, the generated code, the report."""

    module: tvm.IRModule
    network: Network
    plan: MemoryPlan
    archive: ModelArchive
    report: Report
    board: Board

    def save(self, path: str | Path) -> None:
        """Write the Model Library Format archive (``.tar``, ``.tar.gz``), whole or not at all."""
        self.archive.save(path)

    def run(
        self,
        inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        device: str = "host",
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Outputs by name for one inference, or a list of them for a list of inputs.

        `inputs` maps input names (as in the model file) to arrays.  `device` is ``host`` (LLVM
        JIT), ``host-c`` (a C compiler) or ``qemu:<machine>``.
        """
        if isinstance(inputs, Mapping):
            return self.measure([inputs], device).outputs[0]
        return self.measure(inputs, device).outputs

    def measure(self, inputs: Sequence[Mapping[str, Any]], device: str = "host") -> RunResult:
        """Like `run`, with what the run measured: stack, code size, instructions."""
        return run(self.archive, inputs, device)


def compile(
    model: Any,
    *,
    target: str | Path | Board = "host",
    dero: str | Dero = BARE,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    input_layout: str = "model",
    integer_io: bool = False,
    keep_inputs: bool = False,
    external_io: bool = False,
    name: str = "default",
    time_limit: float = 20.0,
    progress: Callable[[str], None] = lambda stage: None,
) -> CompiledModel:
    """Compile a trained network for a microcontroller.

    Parameters
    ----------
    model
        Path of an ONNX, TFLite or PyTorch ``.pt2`` file, a `LoadedModel`, or one of the objects
        that `dero_tvm.load` accepts.
    target
        A board's name (see `dero_tvm.list_boards`), the path of a board file, or a `Board`.
    dero
        ``none``, ``accumulate`` or ``stream``; see `Dero`.
    input_shapes
        Shapes by input name, for models whose shapes are symbolic.
    input_layout
        ``model`` keeps the layout of the model file; ``nhwc`` declares four-dimensional NCHW
        inputs channels-last, which saves their transposition on the device.
    integer_io
        A quantized network takes and gives the integers themselves, without conversions from and
        to float.
    keep_inputs
        Inputs still hold their values after a run.
    external_io
        Inputs and outputs lie in the caller's memory, outside the arena.
    name
        Module name: ``default`` gives ``tvmgen_default_run``.
    time_limit
        Seconds that the search for an order and for addresses may take.
    progress
        Called with the name of each stage as it begins.

    Raises
    ------
    UserError
        With one line that says what is wrong and what to do.
    """
    dero = parse_dero(dero)
    if not re.fullmatch(r"[A-Za-z0-9_]{1,48}", name):  # it stands behind "tvmgen_"
        raise UserError(
            f"module name {name!r}: use up to 48 letters, digits and underscores, as they become "
            "part of C names"
        )
    board = target if isinstance(target, Board) else load_board(str(target))
    progress("reading the model")
    loaded = model if isinstance(model, LoadedModel) else load(model, input_shapes=input_shapes)
    label = str(model) if isinstance(model, (str, Path)) else loaded.name
    _refuse_huge(label, {f"{spec.name!r}": spec for spec in (*loaded.inputs, *loaded.outputs)})
    progress("canonicalizing")
    canonical = pipeline.canonicalize(input_layout, integer_io=integer_io)(loaded.module)
    options = Options(keep_inputs=keep_inputs, external_io=external_io, time_limit=time_limit)
    compiler = _Compiler(loaded, label, board, name)
    progress("planning the network as written")
    before = compiler.plan(
        canonical, Sharing.NONE, Options(keep_inputs, external_io, False, time_limit), bounded=False
    )
    progress("planning the plain network")
    plain_module = pipeline.plain()(canonical)
    plain = compiler.plan(plain_module, Sharing.NONE, options, bounded=False)
    progress("rewriting and planning")
    if dero is Dero.NONE:
        rewritten, sharing = pipeline.analyze()(canonical), Sharing.NONE
    elif dero is Dero.ACCUMULATE:
        rewritten, sharing = (
            pipeline.accumulate(keep_inputs=keep_inputs)(canonical),
            Sharing.IN_PLACE,
        )
    else:
        rewritten, sharing = pipeline.stream(keep_inputs=keep_inputs)(canonical), Sharing.ROWS
    after = compiler.plan(rewritten, sharing, options, bounded=True)
    progress("generating code")
    program = build_program(*after)
    report = build_report(
        model=loaded.name,
        board=board,
        dero=dero.value,
        module=rewritten,
        after=after,
        before=before,
        plain=plain,
        plain_module=plain_module,
    )
    with _naming(label):
        archive = emit(
            program, target=board.name, report=report.to_dict(), source_ir=rewritten.script()
        )
    return CompiledModel(rewritten, after[0].network, after[1], archive, report, board)


@contextmanager
def _naming(label: str) -> Iterator[None]:
    """Errors about an operator say in which model it is."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{label}: {error}") from error.__cause__


def _refuse_huge(model: str, tensors: Mapping[str, Any]) -> None:
    """Generated code counts bytes in int32; and planning as many rows would take forever."""
    for name, spec in tensors.items():
        size = math.prod(spec.shape) * tvm.DataType(spec.dtype).itemsize
        if size > _LARGEST_TENSOR:
            raise UserError(
                f"{model}: tensor {name} of shape {list(spec.shape)} has {size:,} bytes, more than "
                f"the {_LARGEST_TENSOR:,} that generated code can address; choose a smaller input "
                "(--input-shapes)"
            )


@dataclass(frozen=True)
class _Compiler:
    loaded: LoadedModel
    label: str  # what messages call the model
    board: Board
    name: str

    def plan(
        self, module: tvm.IRModule, sharing: Sharing, options: Options, *, bounded: bool
    ) -> tuple[Scheduled, MemoryPlan]:
        """Extract, schedule and plan; `bounded` by the board's memory or not at all."""
        with _naming(self.label):
            network = extract(
                module,
                name=self.name,
                input_names=[spec.name for spec in self.loaded.inputs],
                output_names=[spec.name for spec in self.loaded.outputs],
            )
        _refuse_huge(self.label, {n: value.spec for n, value in network.values.items()})
        regions = self._regions() if bounded else (Region("sram"),)
        scheduled = to_problem(
            network, sharing=sharing, alignment=self._alignment(), regions=regions
        )
        try:
            plan = plan_memory(scheduled.problem, options)
        except DoesNotFit as error:
            raise UserError(
                f"{self.label} does not fit {self.board.name}: operator "
                f"{_described(network, error.step)} needs {error.required:,} bytes of RAM, which "
                f"is {error.excess:,} bytes more than the {error.capacity:,} that are left beside "
                "the stack; choose another --dero (stream needs least), a smaller input "
                "(--input-shapes), or another board"
            ) from None
        verify(plan)
        if bounded:
            self._check_flash(network)
        return scheduled, plan

    def _regions(self) -> tuple[Region, ...]:
        if not self.board.ram:
            return (Region("sram"),)
        sizes = [ram.size for ram in self.board.ram]
        sizes[0] = max(sizes[0] - STACK_RESERVE, 0)
        return tuple(
            Region(ram.name, size, ram.section) for ram, size in zip(self.board.ram, sizes)
        )

    def _alignment(self) -> int:
        return 4

    def _check_flash(self, network: Network) -> None:
        if self.board.flash is None:
            return
        weights = sum(array.nbytes for array in network.constants.values())
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
            names = [op.signature.operator.split(".")[-1] for op in cascade.operations]
            what = " + ".join(names) if len(names) < 4 else f"{len(names)} operators to {names[-1]}"
            output = cascade.operations[-1].signature.output
            return f"{step} ({what}, output {list(output.shape)} {output.dtype})"
    return step
