"""Reorganized networks written by hand, as the compiler sees them: the table in docs/dero.md.

    python benchmarks/handwritten_table.py [--models resnet50 ...] [--exports int8 ...]
                                           [--width 1.0] [--resolution 0] [--no-outputs]

The networks of examples/handwritten_networks.py are exported by torch.onnx.export (`legacy`:
dynamo=False, `dynamo`), by torch.export with windows summed by divisor_override=1 (`export`), and
quantized after the legacy export (`int8`).  The table says how many shortcuts are fused, which
arena is planned when rows stream, a fourth of a float32 network's, and the arena of the same
network as `tvmc reorganize` builds it; and how far outputs are from PyTorch's, relative to their
range.  Weights are random.  Needs PyTorch, onnxscript and ONNX Runtime.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import tvm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.driver.candidates import Candidates
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.driver.prepare import prepare
from dero_tvm.planning import Options
from examples.handwritten_networks import NETWORKS, settle
from examples.models import forms
from examples.models.random_images import random_images
from relax_passes.ir.decisions import decisions
from relax_passes.shortcuts.fuse_shortcuts import FuseShortcuts
from relax_passes.shortcuts.merge_means import MergeMeans

EXPORTS = ("legacy", "dynamo", "export", "int8")
RESOLUTIONS = {"mcunet_in3": 176}
_FLOAT = 4  # bytes of a float32, of which the tensors of an int8 network have one


@dataclass(frozen=True)
class Measured:
    """One network, exported in one way."""

    fused: int
    left: tuple[str, ...]  # reasons
    streamed: int  # bytes, as an int8 network
    difference: float | None  # of outputs from PyTorch's, relative to their range


@cache
def handwritten(name: str, divisor: bool, width: float, resolution: int) -> torch.nn.Module:
    """The network with norms settled on random images."""
    torch.manual_seed(0)
    images = torch.from_numpy(random_images(4, 3, resolution, seed=1))
    return settle(NETWORKS[name](width=width, divisor=divisor), images)


def exported(model: torch.nn.Module, image: torch.Tensor, how: str) -> Any:
    """The model in a form that `dero_tvm.compile` takes."""
    if how == "export":
        return torch.export.export(model, (image,))
    buffer = io.BytesIO()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            options = (
                {"dynamo": True} if how == "dynamo" else {"dynamo": False, "opset_version": 17}
            )
            torch.onnx.export(model, (image,), buffer, input_names=["x"], **options)
    finally:
        logging.disable(before)
    return onnx.load_from_string(buffer.getvalue())


def measure(
    name: str, how: str, *, width: float = 1.0, resolution: int = 0, outputs: bool = True
) -> Measured:
    """Export a network, compile it, and compare."""
    resolution = resolution or RESOLUTIONS.get(name, 224)
    images = torch.from_numpy(random_images(4, 3, resolution, seed=2))
    model = handwritten(name, how == "export", width, resolution)
    program = exported(model, images[:1], "legacy" if how == "int8" else how)
    if how == "int8":
        program = dero_tvm.quantize(program, {"x": images.numpy()[:, None]}).model
    prepared = prepare(program, input_layout="nhwc", integer_io=how == "int8", time_limit=5.0)
    taken = [d for d in decisions(prepared.canonical) if d.pass_name == "FuseShortcuts"]
    streamed = smallest(prepared.candidates(), Dero.STREAM).arena_bytes
    difference = None
    if outputs and how != "int8":
        difference = _difference(model, program, images[:1])
    return Measured(
        sum(d.action == "fused" for d in taken),
        tuple(d.reason for d in taken if d.action != "fused"),
        streamed if how == "int8" else streamed // _FLOAT,
        difference,
    )


def _difference(model: torch.nn.Module, program: Any, image: torch.Tensor) -> float:
    with torch.no_grad():
        expected = model(image).numpy()
    compiled = dero_tvm.compile(program, dero="none")
    (found,) = compiled.run({compiled.archive.inputs[0].name: image.numpy()}).values()
    return float(np.abs(found - expected).max() / (expected.max() - expected.min()))


def built(name: str) -> int:
    """Streamed bytes of the network as the reorganizing passes make it."""
    published = forms.NETWORKS[name]
    loaded = dero_tvm.load(published.build())
    module = forms.network(name, "reorganized", input_layout="nhwc")
    module = tvm.transform.Sequential([MergeMeans(), FuseShortcuts()])(module)
    planner = NetworkPlanner(loaded, loaded.name, load_board("host"), Options(), "table")
    return min(p.arena_bytes for p in Candidates(module, planner).of(Dero.STREAM)) // _FLOAT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--exports", nargs="+", choices=EXPORTS, default=EXPORTS)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--resolution", type=int, default=0, help="0: the published one")
    parser.add_argument("--no-outputs", action="store_true", help="do not run the networks")
    arguments = parser.parse_args()
    full = arguments.width == 1.0 and not arguments.resolution
    print("| network | exported | fused | left | streamed, bytes | built | outputs differ by |")
    print("|---|---|---:|---|---:|---:|---:|")
    for name in arguments.models:
        own = f"{built(name):,}" if full else ""
        for how in arguments.exports:
            found = measure(
                name,
                how,
                width=arguments.width,
                resolution=arguments.resolution,
                outputs=not arguments.no_outputs,
            )
            difference = "" if found.difference is None else f"{found.difference:.1e}"
            left = "; ".join(found.left)
            row = (name, how, found.fused, left, f"{found.streamed:,}", own, difference)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
