"""Networks as residual reorganization leaves them, exported by PyTorch, beside ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import dero_tvm
from tests.end_to_end.onnx_networks import quantized
from tests.end_to_end.oracles import Feed, onnx_runtime, relative_difference, skip_unless_runnable
from tests.models.onnx_exports import exported_onnx

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn
CHANNELS, SIZE = 12, 10


class ShortcutConv(nn.Module):
    """One convolution with its own shortcut; `spelling` is how the shortcut is written."""

    def __init__(self, channels, filters, kernel, stride=1, groups=1, relu=True, *, norm, spelling):
        super().__init__()
        self.conv = nn.Conv2d(
            channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(channels if norm == "before" else filters)
        self.shortcut_norm = nn.BatchNorm2d(filters)
        self.before, self.relu, self.spelling = norm == "before", relu, spelling
        self.window = (kernel, stride, kernel // 2) if kernel > 1 else (stride, stride, 0)

    def forward(self, x):
        y = self.conv(self.norm(x)) if self.before else self.norm(self.conv(x))
        if self.relu:
            y = torch.relu(y)
        return y + self.shortcut_norm(self.match(x, self.conv.out_channels))

    def match(self, x, filters):
        if self.window[1] != 1:
            x = nn.functional.avg_pool2d(x, *self.window) * self.window[0] ** 2
        missing = -x.shape[1] % filters
        if missing and self.spelling == "concat":
            batch, _, height, width = x.shape
            x = torch.cat([x, torch.zeros(batch, missing, height, width)], 1)
        elif missing:
            x = nn.functional.pad(x, (0, 0, 0, 0, 0, missing))
        if x.shape[1] == filters:
            return x
        if self.spelling == "slice":
            total = x[:, :filters]
            for begin in range(filters, x.shape[1], filters):
                total = total + x[:, begin : begin + filters]
            return total
        return sum(torch.split(x, filters, 1))


class Bank(nn.Module):
    """Every kind of reorganized convolution, side by side on one input."""

    def __init__(self, **spelling):
        super().__init__()
        kinds = (
            (CHANNELS, 12, 3),
            (CHANNELS, 20, 3, 2),
            (CHANNELS, 8, 1),
            (CHANNELS, 4, 3, 2),
            (CHANNELS, 12, 5, 2, CHANNELS),
            (CHANNELS, 5, 1, 2, 1, False),
        )
        self.layers = nn.ModuleList(ShortcutConv(*kind, **spelling) for kind in kinds)

    def forward(self, x):
        return tuple(layer(x) for layer in self.layers)


def chain(**spelling):
    """A network of them, one after the other."""
    return nn.Sequential(
        ShortcutConv(CHANNELS, 16, 3, 2, **spelling),
        ShortcutConv(16, 16, 3, **spelling),
        ShortcutConv(16, 16, 3, groups=16, **spelling),
        ShortcutConv(16, 6, 1, relu=False, **spelling),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


def settled(model):
    """The model with random norms, as after training."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.weight, 0.4, 1.2),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
            ):
                values.data.uniform_(low, high, generator=generator)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            module.weight.data.normal_(generator=generator)
            module.weight.data /= module.weight[0].numel() ** 0.5
    return model.eval()


def exported(model, exporter: str) -> onnx.ModelProto:
    return exported_onnx(settled(model), torch.zeros(1, CHANNELS, SIZE, SIZE), exporter)


def feature_maps(count: int, seed: int) -> Iterator[Feed]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield {"x": rng.standard_normal((1, CHANNELS, SIZE, SIZE)).astype(np.float32)}


def all_fused(compiled) -> int:
    """The number of shortcuts, after asserting that none was left alone."""
    shortcuts = compiled.report.shortcuts
    assert {s.action for s in shortcuts} == {"fused"}, shortcuts
    return len(shortcuts)


FORMS = [
    ("before", "slice", "legacy"),
    ("after", "concat", "dynamo"),
]


@pytest.mark.parametrize(("norm", "spelling", "exporter"), FORMS)
def test_float32(norm: str, spelling: str, exporter: str) -> None:
    skip_unless_runnable("host-c")
    model = exported(Bank(norm=norm, spelling=spelling), exporter)
    compiled = dero_tvm.compile(model, dero="none")
    assert all_fused(compiled) == 6
    feeds = list(feature_maps(2, 1))
    for actual, expected in zip(compiled.run(feeds, "host-c"), onnx_runtime(model, feeds)):
        for name, values in expected.items():
            assert relative_difference(actual[name], values) <= 1e-5


@pytest.mark.parametrize(
    ("norm", "spelling", "quantizer"),
    [
        ("before", "slice", "ONNX Runtime's defaults"),
        ("after", "split", "ONNX Runtime's defaults"),
        ("before", "split", "dero_tvm.quantize"),
    ],
)
def test_int8(norm: str, spelling: str, quantizer: str, record_property) -> None:
    """Each kind of layer within one step of ONNX Runtime."""
    skip_unless_runnable("host-c")
    model = exported(Bank(norm=norm, spelling=spelling), "legacy")
    if quantizer == "dero_tvm.quantize":
        model = dero_tvm.quantize(model, feature_maps(6, 2)).model
    else:
        model = quantized(model, feature_maps(6, 2))
    compiled = dero_tvm.compile(model, dero="none")
    assert all_fused(compiled) == 6
    # That outputs are real numbers at the peak is no matter of fusing.
    assert not [note for note in compiled.report.notes if "--integer-io" not in note]
    steps = output_steps(model)
    feeds = list(feature_maps(8, 3))
    unequal = []
    for actual, expected in zip(compiled.run(feeds, "host-c"), onnx_runtime(model, feeds)):
        for name, values in expected.items():
            difference = np.rint(np.abs(actual[name] - values) / steps[name])
            assert difference.max() <= 1, name
            unequal.append(np.mean(difference > 0))
    share = float(np.mean(unequal))
    record_property("share of unequal values", share)
    print(f"{share:.5f} of all values differ by one step")
    assert share <= 2e-3


def output_steps(model: onnx.ModelProto) -> dict[str, float]:
    """The quantization step of each output, by name."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return {
        node.output[0]: numpy_helper.to_array(constants[node.input[1]]).item()
        for node in model.graph.node
        if node.output[0] in {value.name for value in model.graph.output}
    }


def test_streamed_networks_have_the_same_bits() -> None:
    """On the host and in generated C, and smaller than with every tensor whole."""
    model = exported(chain(norm="before", spelling="split"), "legacy")
    model = dero_tvm.quantize(model, feature_maps(6, 2)).model
    feeds = list(feature_maps(4, 3))
    options = {"integer_io": True, "input_layout": "nhwc"}
    whole = dero_tvm.compile(model, dero="none", **options)
    streamed = dero_tvm.compile(model, dero="stream", **options)
    assert all_fused(streamed) == 4
    # Input and output of the first convolution; nothing else is alive beside them.
    assert whole.report.arena_bytes == CHANNELS * SIZE * SIZE + 16 * 5 * 5
    assert streamed.report.arena_bytes < whole.report.arena_bytes
    rng = np.random.default_rng(4)
    name = whole.archive.inputs[0].name
    shape = whole.archive.inputs[0].shape
    feeds = [{name: rng.integers(-128, 128, shape, dtype=np.int8)} for _ in range(4)]
    first = whole.run(feeds)
    assert_same(streamed.run(feeds), first)
    skip_unless_runnable("host-c")
    assert_same(streamed.run(feeds, "host-c"), first)


def assert_same(outputs, expected) -> None:
    for ours, theirs in zip(outputs, expected, strict=True):
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)


def test_small_resnet_needs_input_and_output_of_a_convolution() -> None:
    """A reorganized ResNet of a sixteenth of the width, from stage 2 on."""
    from benchmarks import reorganized_resnet34 as resnet

    shape = (1, 4, 16, 16)
    model = resnet.network("before", 4, blocks=(1, 1, 1))
    resnet.settle(model, np.concatenate([feed["x"] for feed in resnet.feeds(shape, 4, 1)]))
    int8 = dero_tvm.quantize(resnet.exported(model, shape), resnet.feeds(shape, 4, 2)).model
    sizes = resnet.measured(int8)
    assert (sizes.shortcuts, sizes.found) == (6, 6)
    assert sizes.fused[0] == 4 * 16 * 16 + 8 * 8 * 8
    # As written, the normalised input and the padded shortcut are tensors beside these.
    assert sizes.unfused[0] >= sizes.fused[0] + 8 * 8 * 8
    assert sizes.fused[0] > sizes.fused[1] >= sizes.fused[2]
    agreement = resnet.agreement(int8, shape)
    print(agreement)
    assert agreement.startswith(("at most 0 LSB", "at most 1 LSB"))
    assert "9 layers alone: at most 0 LSB, in 0 of all values" in agreement
