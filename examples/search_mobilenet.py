"""Widths and resolutions of MobileNetV2 that fit a board, found with Optuna.

Each candidate has random weights and is asked for its memory with `dero_tvm.estimate`, in processes
of their own: quickly, which gives an upper bound, and at the end in full for the best.  Memory
depends on shapes alone, so each width is quantized once, for every resolution.  What
is sought is the most multiply-accumulates, which stand for accuracy until something is trained,
within the RAM and the flash of the board::

    python examples/search_mobilenet.py
    python examples/search_mobilenet.py --board nucleo_l432kc --candidates 200 --jobs 8

Any executor does the work: Dask's, for a cluster, is ``Client(address).get_executor()``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Any

import onnx
from models.mobilenet_v2 import mobilenet_v2
from models.quantize import quantize
from models.random_images import random_inputs

import dero_tvm

WIDTHS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5]
RESOLUTIONS = list(range(48, 232, 8))
CLASSES = 10
Choice = tuple[float, int]


def evaluate(data: bytes, resolution: int, board: str, *, quick: bool = True) -> dero_tvm.Estimate:
    """The memory of the network `data` for images of that size; runs in a worker."""
    network = at_resolution(onnx.load_from_string(data), resolution)
    return dero_tvm.estimate(
        network, target=board, integer_io=True, input_layout="nhwc", quick=quick
    )


def quantized(width: float) -> bytes:
    """A quantized network of that width, for the smallest images; runs in a worker."""
    network = mobilenet_v2(width=width, resolution=RESOLUTIONS[0], classes=CLASSES)
    return quantize(network, random_inputs(network, 1)).SerializeToString()


def at_resolution(network: onnx.ModelProto, resolution: int) -> onnx.ModelProto:
    """The network, changed to take images of another size."""
    del network.graph.value_info[:]  # shapes between, which follow
    for axis in (2, 3):
        network.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = resolution
    return network


def search(
    board: str, candidates: int, executor: Executor, *, batch: int = 8, seed: int = 0
) -> dict[Choice, dero_tvm.Estimate]:
    """Estimates by choice; Optuna proposes what to look at, a batch at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    )
    found: dict[Choice, dero_tvm.Estimate] = {}
    networks: dict[float, Future[bytes]] = {}
    asked = 0
    while asked < candidates:
        trials = [study.ask() for _ in range(min(batch, candidates - asked))]
        asked += len(trials)
        choices = [_choice(trial) for trial in trials]
        new = [choice for choice in dict.fromkeys(choices) if choice not in found]
        for width, _ in new:
            if width not in networks:
                networks[width] = executor.submit(quantized, width)
        futures = [executor.submit(evaluate, networks[w].result(), r, board) for w, r in new]
        found.update(zip(new, (future.result() for future in futures)))
        for trial, choice in zip(trials, choices):
            study.tell(trial, score(found[choice]))
    return found


def score(estimate: dero_tvm.Estimate) -> float:
    """Multiply-accumulates, or what is lacking as a negative number."""
    if estimate.fits:
        return float(estimate.macs)
    return float(min(estimate.ram_free, estimate.flash_free, 0))


def _choice(trial: Any) -> Choice:
    width = WIDTHS[trial.suggest_int("width", 0, len(WIDTHS) - 1)]
    return width, RESOLUTIONS[trial.suggest_int("resolution", 0, len(RESOLUTIONS) - 1)]


def best(found: dict[Choice, dero_tvm.Estimate]) -> tuple[Choice, dero_tvm.Estimate]:
    """The choice with the highest score, the smaller arena of equal ones."""
    return max(found.items(), key=lambda item: (score(item[1]), -item[1].arena_bytes))


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, and print how many candidates a minute, and the best one."""
    parser = argparse.ArgumentParser(description="Search widths and resolutions of MobileNetV2.")
    parser.add_argument("--board", default="nucleo_f303re")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    with dero_tvm.processes(options.jobs) as executor:
        list(executor.map(abs, range(options.jobs)))  # started before the clock is
        began = time.monotonic()
        found = search(options.board, options.candidates, executor)
        seconds = time.monotonic() - began
    spent = os.times()  # of the processes, which have ended: their start is in it
    processor = (spent.children_user + spent.children_system) / len(found)
    (width, resolution), bound = best(found)
    memory = evaluate(quantized(width), resolution, options.board, quick=False)
    print(
        f"{len(found)} different candidates of {options.candidates} in {seconds:.0f} s: "
        f"{60 * len(found) / seconds:.0f} a minute with {options.jobs} processes, "
        f"{processor:.2f} s of a core each"
    )
    print(f"{sum(e.fits for e in found.values())} of them fit {options.board}")
    verdict = "best" if memory.fits else "none fits; the closest"
    print(
        f"{verdict}: width {width:g}, {resolution} px: {memory.macs:,} multiply-accumulates, "
        f"arena {memory.arena_bytes:,} bytes (quickly: at most {bound.arena_bytes:,}), "
        f"weights {memory.weights_bytes:,} bytes"
    )


if __name__ == "__main__":
    main()
