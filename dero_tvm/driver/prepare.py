"""What every compilation begins with: the model read, canonicalized, and a board to plan for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm

from relax_passes import pipeline
from relax_passes.canonicalization.bound_indices import IndexOutside
from relax_passes.canonicalization.channels_last import INPUT_LAYOUTS
from relax_passes.ir.dataflow import NOTES
from relax_passes.ir.decisions import with_main_attribute
from relax_passes.streaming.stream_ports import CannotStream

from ..boards.board import Board, load_board
from ..boards.memory_size import parse_size
from ..boundary.errors import UserError, first_line
from ..boundary.printable import printable
from ..frontends import LoadedModel, load
from ..kernels import Choice, preferred
from ..planning import Options
from .candidates import Candidates
from .dero_levels import Dero
from .network_planner import STACK_RESERVE, NetworkPlanner, refuse_length, refuse_sizes, refuse_work


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A canonical module and the planner for its rewritings.

    `marked` is the same with the inputs and outputs marked that are traded row by row; None if
    there are none.
    """

    loaded: LoadedModel
    board: Board
    canonical: tvm.IRModule
    planner: NetworkPlanner
    marked: tvm.IRModule | None = None

    def candidates(self, progress: Callable[[str], None] = lambda stage: None) -> Candidates:
        """The ways of laying the network out in memory."""
        if self.marked is not None:
            return Candidates(self.marked, self.planner, progress, modes=(Dero.STREAM,))
        return Candidates(self.canonical, self.planner, progress)


def prepare(
    model: Any,
    *,
    target: str | Path | Board = "host",
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    input_layout: str = "model",
    integer_io: bool = False,
    keep_inputs: bool = False,
    external_io: bool = False,
    stream_input: bool | Sequence[str] = False,
    stream_output: bool | Sequence[str] = False,
    name: str = "default",
    reserve: int | str = STACK_RESERVE,
    time_limit: float = 20.0,
    choose: Choice = preferred,
    progress: Callable[[str], None] = lambda stage: None,
) -> PreparedModel:
    """Read and canonicalize a model; parameters and errors are those of `dero_tvm.compile`.

    `choose` takes one of several kernels for each operation.
    """
    if not re.fullmatch(r"[A-Za-z0-9_]{1,48}", name):  # it stands behind "tvmgen_"
        raise UserError(
            f"module name {name!r}: use up to 48 letters, digits and underscores, as they become "
            "part of C names"
        )
    if not 0 <= time_limit < math.inf:  # nor is it NaN
        raise UserError(f"--time-limit {time_limit}: give a number of seconds, 0 or more")
    board = target if isinstance(target, Board) else load_board(str(target))
    progress("reading the model")
    loaded = model if isinstance(model, LoadedModel) else load(model, input_shapes=input_shapes)
    label = str(model) if isinstance(model, (str, Path)) else loaded.name
    ports = (*loaded.inputs, *loaded.outputs)
    refuse_sizes(label, {repr(spec.name): spec for spec in ports})
    refuse_length(label, loaded.module)
    progress("canonicalizing")
    try:
        canonical = pipeline.canonicalize(input_layout, integer_io=integer_io)(loaded.module)
    except IndexOutside as error:
        raise UserError(f"{label}: {error}") from None
    except ValueError as error:  # control flow, and forms of operators that no pass foresees
        raise UserError(f"{label}: cannot be compiled: {first_line(error)}") from error
    if input_layout == "nhwc":
        canonical = _with_notes(canonical, _unchanged_layouts(loaded, canonical))
    options = Options(keep_inputs=keep_inputs, external_io=external_io, time_limit=time_limit)
    kept = 0 if reserve == 0 else parse_size(reserve, "--reserve")
    planner = NetworkPlanner(loaded, label, board, options, name, kept, choose)
    network = planner.network(canonical)
    refuse_sizes(label, {name: value.spec for name, value in network.values.items()})
    refuse_work(label, network)
    inputs = _ports(loaded, "input", stream_input)
    outputs = _ports(loaded, "output", stream_output)
    marked = None
    if inputs or outputs:
        try:
            marked = pipeline.stream_ports(inputs, outputs)(canonical)
        except CannotStream as error:
            raise UserError(f"{label}: {error}") from None
    return PreparedModel(loaded, board, canonical, planner, marked)


def _unchanged_layouts(loaded: LoadedModel, canonical: tvm.IRModule) -> list[str]:
    """A note for each input that ``--input-layout nhwc`` leaves as it is."""
    attrs = canonical["main"].attrs
    found = attrs[INPUT_LAYOUTS] if attrs is not None and INPUT_LAYOUTS in attrs else None
    notes = []
    for index, spec in enumerate(loaded.inputs):
        if found is not None and list(map(int, found[index])) != sorted(map(int, found[index])):
            continue
        shape = list(spec.shape)
        if len(shape) != 4:
            reason = f"its shape is {shape}, and images have four dimensions"
        else:
            reason = f"its shape stays {shape}, for what reads it does not want it transposed"
        notes.append(
            f"--input-layout nhwc leaves the input {printable(spec.name, 60)} as it is: {reason}"
        )
    return notes


def _with_notes(module: tvm.IRModule, notes: Sequence[str]) -> tvm.IRModule:
    if not notes:
        return module
    attrs = module["main"].attrs
    before = [str(note) for note in attrs[NOTES]] if attrs is not None and NOTES in attrs else []
    return with_main_attribute(module, NOTES, [*before, *notes])


def _ports(loaded: LoadedModel, kind: str, chosen: bool | Sequence[str]) -> list[int]:
    """Indices of the inputs or outputs that are to be traded row by row."""
    names = [spec.name for spec in (loaded.inputs if kind == "input" else loaded.outputs)]
    if isinstance(chosen, bool):
        return list(range(len(names))) if chosen else []
    wanted = [chosen] if isinstance(chosen, str) else list(chosen)
    for name in wanted:
        if name not in names:
            raise UserError(
                f"--stream-{kind}={name}: {loaded.name} has no such {kind} (it has "
                f"{', '.join(names)})"
            )
    return [index for index, name in enumerate(names) if name in wanted]
