"""Shortcuts in the spellings of `shortcut_idioms`: all are fused, and compute what PyTorch does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import dero_tvm  # noqa: E402
from dero_tvm.driver.dero_levels import Dero  # noqa: E402
from dero_tvm.driver.prepare import prepare  # noqa: E402
from relax_passes.ir.decisions import decisions  # noqa: E402
from relax_passes.shortcuts import fuse_shortcuts  # noqa: E402
from tests.compiled.c_batch import first_program, library_of  # noqa: E402
from tests.end_to_end.onnx_networks import quantized  # noqa: E402
from tests.end_to_end.oracles import onnx_runtime, relative_difference  # noqa: E402
from tests.end_to_end.shortcut_idioms import BLOCKS, MATCHES, POOLS, RARE_MATCHES  # noqa: E402
from tests.models.onnx_exports import exported_onnx  # noqa: E402

nn = torch.nn
CHANNELS, SIZE = 10, 8
# What the exporters cannot write: among them divisor_override, which they leave out without a word.
UNWRITTEN = {
    "legacy": {"divisor", *RARE_MATCHES} - {"linear", "pooled_along_channels"},
    "dynamo": {"divisor"},
    "export": {"added_by_index"},
}
# Of which a quantizer leaves sums of windows and channels, and no products of tensors.
ROUNDED = (
    "split_stack_sum",
    "split_stack_sum_padded",
    "sum_of_list",
    "grouped",
    "average_times_window",
    "halves_pooled_apart",
)
# Of which the project's own keeps the sums in one piece.
WHOLE = (
    *ROUNDED,
    "stack_last",
    "folding_matmul",
    "every_second_maximum",
    "every_second_convolved",
    "blocks_interpolated",
    "separable",
)
EXPORTERS = ("legacy", "dynamo", "export")


class Shortcut(nn.Module):
    """A convolution of one image and a shortcut over it, normalised before or behind the match."""

    def __init__(self, filters, kernel, stride, shortcut, groups=1):
        super().__init__()
        padding = kernel // 2
        self.conv = nn.Conv2d(CHANNELS, filters, kernel, stride, padding, groups=groups)
        self.norm, self.beside = nn.BatchNorm2d(CHANNELS), nn.BatchNorm2d(filters)
        self.shortcut = shortcut

    def forward(self, x):
        return self.beside(self.shortcut(x)) + torch.relu(self.conv(self.norm(x)))


def bank(exporter: str, names=None) -> nn.Module:
    """All spellings side by side."""
    layers = {}
    for name, match in MATCHES.items():
        # Folded with a rest; padded.
        layers[name] = Shortcut(4, 3, 1, lambda x, m=match: m(x, 4))
        layers[f"{name}_padded"] = Shortcut(12, 1, 1, lambda x, m=match: m(x, 12))
    for name, match in RARE_MATCHES.items():
        layers[name] = Shortcut(4, 3, 1, lambda x, m=match: m(x, 4))
    for name, pool in POOLS.items():
        sums = lambda x, p=pool: p(x, 3, 2, 1)  # noqa: E731
        layers[name] = Shortcut(CHANNELS, 3, 2, sums, groups=CHANNELS)
    for name, pool in BLOCKS.items():
        layers[name] = Shortcut(4, 1, 2, lambda x, p=pool: MATCHES["split_stack_sum"](p(x, 2), 4))
    unwritten = UNWRITTEN.get(exporter, set())
    layers = {
        name: layer
        for name, layer in layers.items()
        if name.removesuffix("_padded") not in unwritten and (names is None or name in names)
    }
    return settled(Bank(layers))


class Bank(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.layers = nn.ModuleDict(layers)

    def forward(self, x):
        x = self.first(x)
        return tuple(layer(x) for layer in self.layers.values())


def settled(model):
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.4, 1.2, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
        elif isinstance(module, nn.Conv2d):
            module.weight.data.normal_(generator=generator)
            module.weight.data /= module.weight[0].numel() ** 0.5
            module.bias.data.normal_(generator=generator)
    return model.eval()


def exported(model, exporter):
    image = torch.zeros(1, CHANNELS, SIZE, SIZE)
    if exporter == "export":
        return torch.export.export(model, (image,))
    return exported_onnx(model, image, exporter)


def images(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    shape = (1, CHANNELS, SIZE, SIZE)
    return [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def run_fused(program, model, arrays) -> list[dict[str, np.ndarray]]:
    """The C's outputs for each array, with whole tensors; all spellings in it are fused."""
    prepared = prepare(program, target="host")
    decided = decisions(prepared.canonical)
    found = {d.join: d for d in decided if d.pass_name == fuse_shortcuts.NAME}
    fused = sum(d.action == "fused" for d in found.values())
    assert fused == len(model.layers), [d.reason for d in found.values() if d.action != "fused"]
    library = library_of({"bank": first_program(prepared, Dero.NONE)})
    (port,) = library.programs["bank"].network.inputs
    return [library.run("bank", {port.name: array})[0] for array in arrays]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_spelling_is_fused(exporter: str) -> None:
    model = bank(exporter)
    program = exported(model, exporter)
    (feed,) = images(1, 1)
    (found,) = run_fused(program, model, [feed["x"]])
    with torch.no_grad():
        expected = model(torch.from_numpy(feed["x"]))
    for name, ours, theirs in zip(model.layers, found.values(), expected, strict=True):
        assert relative_difference(ours, theirs.numpy()) <= 1e-5, name


@pytest.mark.parametrize("quantizer", ["ONNX Runtime's defaults", "dero_tvm.quantize"])
def test_int8(quantizer: str) -> None:
    """As a quantizer leaves them, rounded after every operator or not: within one step."""
    own = quantizer == "dero_tvm.quantize"
    model = bank("legacy", WHOLE if own else ROUNDED)
    program = exported(model, "legacy")
    calibration = images(4, 2)
    if own:
        program = dero_tvm.quantize(program, calibration).model
    else:
        program = quantized(program, calibration)
    constants = {tensor.name: tensor for tensor in program.graph.initializer}
    steps = {
        node.output[0]: onnx.numpy_helper.to_array(constants[node.input[1]]).item()
        for node in program.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[1] in constants
        and constants[node.input[1]].dims == []
    }
    feeds = images(2, 3)
    found = run_fused(program, model, [feed["x"] for feed in feeds])
    for ours, theirs in zip(found, onnx_runtime(program, feeds), strict=True):
        for layer, (name, values) in zip(model.layers, theirs.items()):
            assert np.rint(np.abs(ours[name] - values).max() / steps[name]) <= 1, layer
