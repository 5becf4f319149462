"""A reorganized ResNet-34 from PyTorch, from stage 2 on: arena bytes, and results beside ONNX
Runtime's.

    python benchmarks/reorganized_resnet34.py [--norm after] [--width 64] [--resolution 224]

Stage 2 takes 56 x 56 x 64 and begins with the largest pair of tensors, 196 and 98 KiB in int8.
The network is written to ONNX by torch.onnx.export, quantized by ONNX Runtime, and compiled with
and without the pass FuseShortcuts.  Weights and statistics are random.  Needs PyTorch and ONNX
Runtime.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import tvm
from torch import nn
from tvm import relax

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

import dero_tvm
from benchmarks.layer_by_layer import layer_results, quantized_activations
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.prepare import PreparedModel, prepare
from dero_tvm.quantization.onnx_runtime import quantize_static
from dero_tvm.schedule.to_problem import Sharing
from relax_passes.ir.decisions import decisions

BLOCKS = (4, 6, 3)  # of stages 2 to 4
LAYERS = ("Add", "Gemm", "GlobalAveragePool", "ReduceMean")  # whose results are tensors once fused
_KIB = 1024


class ShortcutConv(nn.Module):
    """One convolution with its own shortcut, as residual reorganization leaves it."""

    def __init__(self, channels: int, filters: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels if norm == "before" else filters)
        self.shortcut_norm = nn.BatchNorm2d(filters)
        self.before = norm == "before"
        self.pool = nn.AvgPool2d(3, stride, 1) if stride != 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(self.norm(x)) if self.before else self.norm(self.conv(x))
        shortcut = x if self.pool is None else 9 * self.pool(x)
        missing = y.shape[1] - x.shape[1]
        if missing:
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, missing))
        return torch.relu(y) + self.shortcut_norm(shortcut)


def network(norm: str, width: int, blocks: Sequence[int] = BLOCKS) -> nn.Module:
    """Stages 2 to 4 and a classifier, with random weights."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = width
    for stage, count in enumerate(blocks, 1):
        filters = width << stage
        for index in range(2 * count):
            layers.append(ShortcutConv(channels, filters, 2 if index == 0 else 1, norm))
            channels = filters
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.3, 0.7)
                module.bias.uniform_(-0.3, 0.3)
                # As training would leave it, each norm sees mean 0 and variance 1.
                module.momentum = None
    return model


def settle(model: nn.Module, images: np.ndarray) -> None:
    """Let every norm measure the mean and variance that `images` give it."""
    model.train()
    with torch.no_grad():
        model(torch.from_numpy(images))
    model.eval()


def exported(model: nn.Module, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The model as torch.onnx.export writes it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.zeros(shape),), buffer, input_names=["x"], output_names=["y"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def feeds(shape: tuple[int, ...], count: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Feature maps with detail at several scales."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        total = np.zeros(shape, np.float32)
        for grain in (1, 2, 4, 8):
            cells = tuple(-(-n // grain) for n in shape[2:])
            noise = rng.standard_normal((*shape[:2], *cells), dtype=np.float32)
            total += noise.repeat(grain, 2).repeat(grain, 3)[:, :, : shape[2], : shape[3]]
        yield {"x": total / 2}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norm", choices=("before", "after"), default="before",
                        help="normalisation before the convolution or after it")  # fmt: skip
    parser.add_argument("--width", type=int, default=64, help="channels of stage 1")
    parser.add_argument("--resolution", type=int, default=224, help="of the whole network's image")
    arguments = parser.parse_args()
    shape = (1, arguments.width, arguments.resolution // 4, arguments.resolution // 4)
    model = network(arguments.norm, arguments.width)
    settle(model, np.concatenate([feed["x"] for feed in feeds(shape, 4, 1)]))
    float32 = exported(model, shape)
    int8 = dero_tvm.quantize(float32, feeds(shape, 4, 2)).model
    print("| model | shortcuts fused | not fused: as written | best order | fused | overlapped "
          "| streamed | beside ONNX Runtime |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    rounded = quantize_static(float32, list(feeds(shape, 4, 2)), linear_in_float=False)
    for name, proto in (
        ("float32", float32),
        ("int8, ONNX Runtime's defaults", rounded),
        ("int8, tvmc compile --quantize", int8),
    ):
        sizes = measured(proto)
        cells = [f"{size / _KIB:.1f} KiB" for size in (*sizes.unfused, *sizes.fused)]
        cells = [f"{sizes.found} of {sizes.shortcuts}", *cells, agreement(proto, shape)]
        print(f"| {name}, norm {arguments.norm} | " + " | ".join(cells) + " |", flush=True)


@dataclass(frozen=True)
class Sizes:
    """Arena bytes with every shortcut a tensor and without, and how many were fused."""

    shortcuts: int
    found: int
    unfused: tuple[int, int]  # whole tensors: in the written order, in the best one
    fused: tuple[int, int, int]  # whole tensors, overlapped, streamed


def measured(model: onnx.ModelProto) -> Sizes:
    """Plans of the network, with integers as inputs and outputs where it is quantized."""

    def prepared() -> PreparedModel:
        return prepare(model, input_layout="nhwc", integer_io=True, time_limit=5.0)

    with tvm.transform.PassContext(disabled_pass=["FuseShortcuts"]):
        unfused = prepared()
    fused = prepared()
    planner = unfused.planner
    schedule = planner.schedule(unfused.canonical, Sharing.NONE, bounded=False)
    written = planner.plan(schedule, replace(planner.options, reorder=False))
    modes = (Dero.NONE, Dero.OVERLAP, Dero.STREAM)
    whole, overlapped, streamed = (smallest(fused.candidates(), mode) for mode in modes)
    taken = [d for d in decisions(fused.canonical) if d.pass_name == "FuseShortcuts"]
    return Sizes(
        len(taken),
        sum(d.action == "fused" for d in taken),
        (written.total_bytes, smallest(unfused.candidates(), Dero.NONE).arena_bytes),
        (whole.arena_bytes, overlapped.arena_bytes, streamed.arena_bytes),
    )


def agreement(model: onnx.ModelProto, shape: tuple[int, ...]) -> str:
    """How the outputs of the fused module, run on this machine, compare with ONNX Runtime's.

    A deep int8 network with random weights magnifies every tie that is rounded otherwise, so the
    difference between ONNX Runtime's own levels of optimization is given as well.
    """
    level = onnxruntime.GraphOptimizationLevel
    expected, optimized = (
        outputs(model, shape, chosen) for chosen in (level.ORT_DISABLE_ALL, level.ORT_ENABLE_ALL)
    )
    machine = relax.VirtualMachine(tvm.compile(prepare(model).canonical, "llvm"), tvm.cpu())
    results = [machine["main"](tvm.runtime.tensor(feed["x"])) for feed in feeds(shape, 2, 3)]
    actual = np.stack([result.numpy() for result in results])
    last = model.graph.node[-1]
    if last.op_type != "DequantizeLinear":
        return f"{float(np.abs(actual - expected).max() / np.abs(expected).max()):.1e} relative"
    constant = next(i for i in model.graph.initializer if i.name == last.input[1])
    step = float(onnx.numpy_helper.to_array(constant))
    ours, own = (np.rint(np.abs(o - expected).max() / step) for o in (actual, optimized))
    return (
        f"at most {ours:.0f} LSB (its own levels of optimization: {own:.0f}); "
        f"{layers_agreement(model, shape)}"
    )


def layers_agreement(model: onnx.ModelProto, shape: tuple[int, ...]) -> str:
    """The same for single layers, each given what ONNX Runtime computed before it."""
    layers = unequal = values = largest = 0
    canonical = prepare(model).canonical
    for feed in feeds(shape, 2, 3):
        recorded = quantized_activations(model, feed, LAYERS)
        for found, expected in zip(*layer_results(canonical, feed["x"], recorded)):
            difference = np.abs(found.astype(int) - expected)
            layers, values = layers + 1, values + difference.size
            unequal += np.count_nonzero(difference)
            largest = max(largest, int(difference.max()))
    share = unequal / values
    return f"{layers // 2} layers alone: at most {largest} LSB, in {share:.2g} of all values"


def outputs(model: onnx.ModelProto, shape: tuple[int, ...], level: object) -> np.ndarray:
    """ONNX Runtime's outputs for two inputs."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return np.stack([session.run(None, feed)[0] for feed in feeds(shape, 2, 3)])


if __name__ == "__main__":
    main()
