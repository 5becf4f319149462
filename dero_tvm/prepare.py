"""What every compilation begins with: the model read, canonicalized, and a board to plan for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm

from relax_passes import pipeline

from .boards import Board, load_board
from .candidates import Candidates
from .errors import UserError
from .frontends import LoadedModel, load
from .network_planner import NetworkPlanner, refuse_huge
from .planning import Options


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A canonical module and the planner for its rewritings."""

    loaded: LoadedModel
    board: Board
    canonical: tvm.IRModule
    planner: NetworkPlanner

    def candidates(self, progress: Callable[[str], None] = lambda stage: None) -> Candidates:
        """The ways of laying the network out in memory."""
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
    name: str = "default",
    time_limit: float = 20.0,
    progress: Callable[[str], None] = lambda stage: None,
) -> PreparedModel:
    """Read and canonicalize a model; parameters and errors are those of `dero_tvm.compile`."""
    if not re.fullmatch(r"[A-Za-z0-9_]{1,48}", name):  # it stands behind "tvmgen_"
        raise UserError(
            f"module name {name!r}: use up to 48 letters, digits and underscores, as they become "
            "part of C names"
        )
    board = target if isinstance(target, Board) else load_board(str(target))
    progress("reading the model")
    loaded = model if isinstance(model, LoadedModel) else load(model, input_shapes=input_shapes)
    label = str(model) if isinstance(model, (str, Path)) else loaded.name
    ports = (*loaded.inputs, *loaded.outputs)
    refuse_huge(label, {repr(spec.name): spec for spec in ports})
    progress("canonicalizing")
    canonical = pipeline.canonicalize(input_layout, integer_io=integer_io)(loaded.module)
    options = Options(keep_inputs=keep_inputs, external_io=external_io, time_limit=time_limit)
    return PreparedModel(
        loaded, board, canonical, NetworkPlanner(loaded, label, board, options, name)
    )
