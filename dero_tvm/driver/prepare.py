"""What every compilation begins with: the model read, canonicalized, and a board to plan for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tvm

from relax_passes import pipeline
from relax_passes.canonicalization.bound_indices import IndexOutside
from relax_passes.ir.attributes import INPUT_LAYOUTS, NOTES, main_attribute, with_main_attribute
from relax_passes.streaming.stream_ports import CannotStream

from ..boards.board import Board
from ..boundary.errors import UserError, first_line
from ..boundary.printable import printable
from ..frontends import LoadedModel, load
from ..kernels import preferred
from ..tuning import Tuner
from .candidates import Candidates
from .dero_levels import Dero
from .network_planner import NetworkPlanner, refuse_length, refuse_sizes, refuse_work
from .options import CompileOptions
from .pass_runner import PassRunner, pass_runner
from .takes_options import takes_options


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A canonical module and the planner for its rewritings.

    `marked` is the same with the inputs and outputs marked that are row-streamed; None if
    there are none.  `tuner` measured the kernels, if the options ask for that.
    """

    loaded: LoadedModel
    options: CompileOptions
    canonical: tvm.IRModule
    planner: NetworkPlanner
    passes: PassRunner
    marked: tvm.IRModule | None = None
    tuner: Tuner | None = None

    def candidates(self) -> Candidates:
        """The ways of laying the network out in memory."""
        progress = self.options.progress
        if self.marked is not None:
            modes = (Dero.STREAM,)
            return Candidates(self.marked, self.planner, progress, modes, passes=self.passes)
        return Candidates(self.canonical, self.planner, progress, passes=self.passes)


@takes_options(CompileOptions)
def prepare(model: Any, options: CompileOptions) -> PreparedModel:
    """Read and canonicalize a model; parameters and errors are those of `dero_tvm.compile`."""
    tuner = None
    if options.tune is not False:
        cache = None if options.tune is True else Path(options.tune)
        tuner = Tuner(options.board, cache, progress=options.progress)
    passes = pass_runner(options.dump_ir)
    options.progress("reading the model")
    loaded = model
    if not isinstance(model, LoadedModel):
        loaded = load(
            model,
            input_shapes=options.input_shapes,
            inputs=options.inputs,
            outputs=options.outputs,
            signature=options.signature,
        )
    elif any(part is not None for part in (options.inputs, options.outputs, options.signature)):
        raise UserError(
            f"{model.name}: inputs, outputs and a signature are chosen as a model is read: give "
            "them to load"
        )
    label = str(model) if isinstance(model, (str, Path)) else loaded.name
    ports = (*loaded.inputs, *loaded.outputs)
    refuse_sizes(label, {repr(spec.name): spec for spec in ports})
    refuse_length(label, loaded.module)
    passes.add("imported", loaded.module)
    options.progress("canonicalizing")
    sequence = pipeline.canonicalize(options.input_layout, integer_io=options.integer_io)
    try:
        canonical = passes.run(sequence, loaded.module)
    except IndexOutside as error:
        raise UserError(f"{label}: {error}") from None
    except ValueError as error:  # control flow, and forms of operators that no pass foresees
        raise UserError(f"{label}: cannot be compiled: {first_line(error)}") from error
    if options.input_layout == "nhwc":
        notes = _unchanged_layouts(loaded, canonical)
        if notes:
            canonical = _with_notes(canonical, notes)
            passes.add("notes_on_layouts", canonical)
    loaded = replace(loaded, module=canonical)  # the weights as they were read can go
    planner = NetworkPlanner(
        loaded,
        label,
        options.board,
        options.planning,
        options.name,
        options.reserved,
        tuner.choose if tuner else preferred,
        board_called="" if isinstance(options.target, Board) else str(options.target),
    )
    network = planner.network(canonical)
    refuse_sizes(label, {name: value.spec for name, value in network.values.items()})
    refuse_work(label, network)
    inputs = _ports(loaded, "input", options.stream_input)
    outputs = _ports(loaded, "output", options.stream_output)
    marked = None
    if inputs or outputs:
        try:
            marked = passes.run(pipeline.stream_ports(inputs, outputs), canonical)
        except CannotStream as error:
            raise UserError(f"{label}: {error}") from None
    return PreparedModel(loaded, options, canonical, planner, passes, marked, tuner)


def _unchanged_layouts(loaded: LoadedModel, canonical: tvm.IRModule) -> list[str]:
    """A note for each input that ``--input-layout nhwc`` leaves as it is."""
    found = main_attribute(canonical, INPUT_LAYOUTS)
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
    before = main_attribute(module, NOTES, ())
    return with_main_attribute(module, NOTES, [*map(str, before), *notes])


def _ports(loaded: LoadedModel, kind: str, chosen: bool | Sequence[str]) -> list[int]:
    """Indices of the inputs or outputs that are to be row-streamed."""
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
