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
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout

import numpy as np
import onnx
import onnxruntime
import torch
import tvm
from torch import nn
from tvm import relax

import dero_tvm
from dero_tvm.choose import smallest
from dero_tvm.dero import Dero
from dero_tvm.prepare import PreparedModel, prepare
from relax_passes.decisions import decisions

_BLOCKS = (4, 6, 3)  # of stages 2 to 4
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


def network(norm: str, width: int) -> nn.Module:
    """Stages 2 to 4 and a classifier, with random weights and statistics."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = width
    for stage, blocks in enumerate(_BLOCKS, 1):
        filters = width << stage
        for index in range(2 * blocks):
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
    print("| model | shortcuts found | whole tensors, not fused | fused | overlapped | streamed "
          "| beside ONNX Runtime |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---|")
    for name, proto in (("float32", float32), ("int8", int8)):
        print(row(f"{name}, norm {arguments.norm}", proto, shape), flush=True)


def row(name: str, model: onnx.ModelProto, shape: tuple[int, ...]) -> str:
    """One line of the table; sizes in KiB."""

    def prepared() -> PreparedModel:
        return prepare(model, input_layout="nhwc", integer_io=True, time_limit=5.0)

    with tvm.transform.PassContext(disabled_pass=["FuseShortcuts"]):
        unfused = prepared()
    fused = prepared()
    arenas = [smallest(unfused.candidates(), Dero.NONE)]
    arenas += [
        smallest(fused.candidates(), mode) for mode in (Dero.NONE, Dero.OVERLAP, Dero.STREAM)
    ]
    taken = [d for d in decisions(fused.canonical) if d.pass_name == "FuseShortcuts"]
    found = sum(d.action == "fused" for d in taken)
    cells = [f"{arena.arena_bytes / _KIB:.1f} KiB" for arena in arenas]
    cells = [f"{found} of {len(taken)}", *cells, agreement(model, shape)]
    return f"| {name} | " + " | ".join(cells) + " |"


def agreement(model: onnx.ModelProto, shape: tuple[int, ...]) -> str:
    """How the outputs of the fused module, run on this machine, compare with ONNX Runtime's."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    module = prepare(model).canonical
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    actual, expected = [], []
    for feed in feeds(shape, 2, 3):
        expected.append(session.run(None, feed)[0])
        actual.append(machine["main"](tvm.runtime.tensor(feed["x"])).numpy())
    difference = np.abs(np.stack(actual) - np.stack(expected))
    last = model.graph.node[-1]
    if last.op_type != "DequantizeLinear":
        return f"{float(difference.max() / np.abs(expected).max()):.1e} relative"
    step = next(i for i in model.graph.initializer if i.name == last.input[1])
    units = np.rint(difference / float(onnx.numpy_helper.to_array(step)))
    return f"at most {units.max():.0f} LSB, {100 * np.mean(units > 0):.1f} % unequal"


if __name__ == "__main__":
    main()
