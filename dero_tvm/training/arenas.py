"""The planned memory of a network, its plain baseline and the reorganized one, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tvm

from dero_tvm.boards.board import load_board
from dero_tvm.driver.candidates import Candidates
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.frontends import LoadedModel
from dero_tvm.planning import Options
from relax_passes import pipeline

_SECONDS = 5.0  # for the search of each plan


def planned_arenas(
    modules: Mapping[str, tvm.IRModule],
    loaded: LoadedModel,
    progress: Callable[[str], None],
) -> dict[str, int]:
    """Arena bytes by name: float32, everything counted, each addition in its operand's place.

    `loaded` has the names of inputs and outputs, which all the modules share.
    """
    options = Options(keep_inputs=False, external_io=False, time_limit=_SECONDS)
    planner = NetworkPlanner(loaded, loaded.name, load_board("host"), options, "default")
    arenas = {}
    for name, module in modules.items():
        progress(f"planning the {name} network")
        candidates = Candidates(pipeline.canonicalize()(module), planner)
        (candidate,) = candidates.of(Dero.ACCUMULATE)
        arenas[name] = candidate.arena_bytes
    return arenas
