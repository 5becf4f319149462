"""Families of networks from export to compiled code: reorganized, trained, fused; or refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which PyTorch exports ONNX with, is missing")

import network_families as families  # noqa: E402
from torch import nn  # noqa: E402

import dero_tvm  # noqa: E402
from relax_passes.ir.decisions import decisions  # noqa: E402
from relax_passes.pipeline import canonicalize  # noqa: E402
from tests.compiled.host_module import run_on_host  # noqa: E402
from tests.models.onnx_exports import exported_onnx  # noqa: E402
from tests.models.tflite_builder import TFLiteBuilder  # noqa: E402
from tests.training import branched_networks  # noqa: E402
from tests.training.network_families import Add, Gate, basic, classified, conv, gate_then_join  # noqa: E402

IMAGE = (1, 3, 16, 16)


@pytest.fixture(autouse=True)
def without_plans(monkeypatch):
    """The report's arenas, which take half of the time and are looked at elsewhere."""
    monkeypatch.setattr("dero_tvm.training.reorganized_model.planned_arenas", lambda *_: {})


def exported(model, shape=IMAGE) -> onnx.ModelProto:
    return exported_onnx(model.eval(), torch.zeros(*shape), "legacy", "image")


def gates():
    """Every way to make a gate, on main branches and between blocks."""
    return classified(
        conv(3, 8, stride=2),
        Gate(8, "linear"),
        Add(nn.Sequential(conv(8, 8), conv(8, 8, act=None), Gate(8, "linear", nn.Hardswish))),
        Add(nn.Sequential(conv(8, 8), Gate(8, squash=nn.Hardsigmoid)), act=nn.ReLU),
        Add(nn.Sequential(conv(8, 8, act=None), Gate(8), nn.ReLU(), conv(8, 8, groups=8))),
        families.inverted(8, 8, 12, Gate(12, act=nn.SiLU), kernel=5),
        Add(nn.Sequential(conv(8, 8), families.PixelGate(8), conv(8, 8, act=None))),
    )


def residual_blocks():
    return classified(
        conv(3, 8, stride=2),
        families.preactivated(8, 8, 2),
        families.preactivated(8, 8),
        families.resnext_block(),
        families.RepBlock(),
        families.LayerScale(),
    )


def blocks_of_parts():
    return classified(
        conv(3, 8, stride=2),
        families.Res2Block(),
        families.shuffle_block(),
        families.ShuffleUnit(),
        families.C2f(),
        families.C3(),
        families.ghost_block(),
    )


def other_norms():
    """Normalisations by an image's own statistics, of several kinds."""
    return classified(
        conv(3, 8),
        basic(8, 8, norm=families.group_norm),
        basic(8, 8, norm=lambda channels: nn.InstanceNorm2d(channels, affine=True)),
        families.ConvNeXtBlock(),
        basic(8, 8, norm=nn.Identity),
    )


def kept_operators():
    """What has no node of its own stays: a gate along the channels, slopes, larger images."""
    return nn.Sequential(
        conv(3, 8, stride=2),
        basic(8, 8, act=lambda: nn.PReLU(8)),
        families.ChannelAttention(),
        nn.ConvTranspose2d(8, 8, 3, 2, 1, 1),
        basic(8, 8),
        nn.ConvTranspose2d(8, 8, 2, 1, groups=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        Add(nn.Sequential(conv(8, 8), conv(8, 8))),
        nn.Conv2d(8, 2, 1),
    )


def other_ways():
    """A gate of two poolings, uneven borders, attention."""
    return classified(
        conv(3, 8, stride=2),
        Add(nn.Sequential(conv(8, 8), conv(8, 8, act=None), families.TwoPoolings(8))),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        conv(8, 8),
        families.SelfAttention(),
    )


# Network -> convolutions with a shortcut, and without: of heads, and of gates on images.
REORGANIZED = {
    "gates": (gates, 11, 1),
    "MobileNetV3": (families.mobilenet_v3, 14, 0),
    "EfficientNet": (families.efficientnet, 11, 0),
    "residual blocks": (residual_blocks, 13, 0),
    "parts of channels": (blocks_of_parts, 25, 0),
    "ShuffleNet": (families.shufflenet, 10, 0),
    "hourglass": (families.hourglass, 29, 1),
    "U-Net": (families.UNet, 4, 1),
    "DenseNet with gates": (families.gated_densenet, 5, 0),
    "denoising, added to the image": (lambda: families.DnCNN(3, 1), 3, 0),
    "two heads": (branched_networks.TwoHeads, 5, 2),
    "two resolutions": (branched_networks.DualPath, 10, 0),
    "other norms": (other_norms, 10, 0),
    "denoising, subtracted from the image": (lambda: families.DnCNN(3), 3, 0),
    "super resolution": (families.SuperResolution, 6, 1),
    "kept operators": (kept_operators, 7, 1),
    "TCN": (families.tcn, 5, 0),
    "other ways": (other_ways, 4, 2),
}
SHAPES = {"TCN": (1, 4, 16)}


@pytest.mark.parametrize("name", REORGANIZED)
def test_reorganized(name) -> None:
    build, given, without = REORGANIZED[name]
    torch.manual_seed(0)
    shape = SHAPES.get(name, IMAGE)
    made = dero_tvm.reorganize(exported(build(), shape))
    assert len(made.report.shortcuts) == given
    assert len(made.report.without_shortcut) == without
    network = made.network().train()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    sum(
        output.square().mean() for output in tensors(network(torch.randn(4, *shape[1:])))
    ).backward()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in trained)
    optimizer.step()
    file = onnx.load_from_string(made.files()["network.onnx"])
    compiled = dero_tvm.compile(file, dero="stream", time_limit=0.2)
    assert [s.reason for s in compiled.report.shortcuts if s.action != "fused"] == []
    assert len(compiled.report.shortcuts) == given
    image = torch.randn(*shape)
    (outputs,) = compiled.run([{"image": image.numpy()}])
    fresh = made.network().eval()
    results = [list(outputs.values())]
    if name in ("parts of channels", "DenseNet with gates", "kept operators", "TCN"):
        results.append(run_on_host(made.module, [image.numpy()]))
    for actuals in results:
        for expected, actual in zip(tensors(fresh(image)), actuals, strict=True):
            expected = expected.detach().numpy()
            limit = 1e-5 * np.abs(expected).max()
            np.testing.assert_allclose(actual, expected, rtol=0, atol=limit)


STEMS = {  # the first layer, and the shape of its input
    "along time": (nn.Conv1d(6, 8, 5, padding=2), (1, 6, 16)),
    "one channel along time": (nn.Conv1d(1, 8, 5, padding=2), (1, 1, 16)),
    "one channel along time, with a stride": (nn.Conv1d(1, 8, 5, 2, 2), (1, 1, 16)),
    "every second pixel": (families.EverySecondPixel(8), (1, 3, 8, 8)),
}


@pytest.mark.parametrize("name", STEMS)
def test_shortcuts_of_stems_are_fused(name) -> None:
    """What is done to the network's input may be written in other axes than the rest."""
    stem, shape = STEMS[name]
    torch.manual_seed(0)
    along_time = len(shape) == 3
    block = families.TemporalBlock(8) if along_time else basic(8, 8)
    made = dero_tvm.reorganize(exported(nn.Sequential(stem, nn.ReLU(), block), shape))
    loaded = dero_tvm.load(onnx.load_from_string(made.files()["network.onnx"]))
    module = canonicalize()(loaded.module)
    assert len(made.report.shortcuts) == 3
    assert [decision.action for decision in decisions(module)] == ["fused"] * 3
    image = torch.randn(*shape)
    expected = made.network().eval()(image).detach().numpy()
    (actual,) = run_on_host(module, [image.numpy()])
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_shortcuts_in_windows_of_columns() -> None:
    torch.manual_seed(0)
    layers = conv(3, 16), basic(16, 16), conv(16, 8, stride=2)
    made = dero_tvm.reorganize(exported(classified(*layers), (1, 3, 16, 16)))
    file = onnx.load_from_string(made.files()["network.onnx"])
    rows = dero_tvm.compile(file, dero="stream")
    budget = rows.report.arena_bytes * 4 // 5
    compiled = dero_tvm.compile(file, memory_budget=budget)
    assert compiled.report.arena_bytes <= budget
    inside = [op.group for c in compiled.network.cascades for op in c.operations if op.group]
    assert any(
        "shortcut" in part.signature.operator for group in inside for part in group.operations
    )
    image = {"image": torch.randn(1, 3, 16, 16).numpy()}
    for expected, actual in zip(rows.run([image]), compiled.run([image]), strict=True):
        np.testing.assert_array_equal([*actual.values()], [*expected.values()])


def tensors(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def test_refused() -> None:
    """In one line, with the reason in the model's own names."""
    model = nn.Sequential(conv(3, 8), basic(8, 8), families.Largest())
    with pytest.raises(dero_tvm.UserError) as caught:
        dero_tvm.reorganize(exported(model))
    assert str(caught.value) == (
        "main_graph: ArgMax '/2/ArgMax' gives places, not values, through which nothing can be "
        "trained: end the network before it (--outputs)"
    )


def test_pytorch_programs_name_their_modules() -> None:
    model = gate_then_join("conv", nn.Sigmoid)
    model[1].main[0][1] = nn.GroupNorm(2, 8)
    program = torch.export.export(model.eval(), (torch.zeros(*IMAGE),))
    dropped = [d for d in dero_tvm.reorganize(program).report.decisions if d.action == "dropped"]
    assert [decision.join for decision in dropped] == ["native_group_norm '1.main.0.1'"]


def test_blocks_that_make_a_mask() -> None:
    """Reorganized like others, but the convolution that ends in the mask; of one channel."""
    made = dero_tvm.reorganize(exported(families.masked(), (1, 1, 32)))
    assert len(made.report.shortcuts) == 3
    assert len(made.report.without_shortcut) == 1
    signal = torch.randn(1, 1, 32)
    (actual,) = run_on_host(made.module, [signal.numpy()])
    expected = made.network().eval()(signal).detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_joins_that_cannot_go_stay_alone() -> None:
    """A concatenation whose channels a grouped convolution counts on, beside one that goes."""
    made = dero_tvm.reorganize(exported(families.shufflenet()))
    actions = {d.join: d for d in made.report.decisions}
    kept = actions["Concat '/1/Concat'"]
    assert kept.action == "left alone"
    assert "groups, which do not fit the" in kept.reason
    assert actions["Add '/2/Add'"].action == "removed"


def gated_tflite(enlarge: str) -> bytes:
    """A block whose main branch ends in a gate, and what makes the image larger."""
    rng = np.random.default_rng(0)
    b = TFLiteBuilder()
    same = {"padding": "SAME", "stride_w": 1, "stride_h": 1}

    def conv2d(source: int, name: str, kernel: int, channels: int = 8, **options: str) -> int:
        weight = rng.standard_normal((8, kernel, kernel, channels)).astype("float32") / 8
        operands = [
            source,
            b.constant(f"{name}/w", weight),
            b.constant(f"{name}/b", weight[:, 0, 0, 0]),
        ]
        result = b.tensor(name, None)
        b.operator("CONV_2D", operands, [result], **same, **options)
        return result

    def simple(code: str, name: str, *operands: int, **options: object) -> int:
        result = b.tensor(name, None)
        b.operator(code, list(operands), [result], **options)
        return result

    relu = {"fused_activation_function": "RELU"}
    stem = conv2d(b.input("image", (1, 8, 8, 3)), "stem", 3, 3, **relu)
    inner = conv2d(stem, "block/conv", 3, **relu)
    axes = b.constant("axes", [1, 2], "int32")
    squeezed = simple("MEAN", "block/squeeze", inner, axes, keep_dims=True)
    gate = conv2d(conv2d(squeezed, "block/reduce", 1, **relu), "block/expand", 1)
    gated = simple("MUL", "block/gated", inner, simple("LOGISTIC", "block/gate", gate))
    total = simple("ADD", "block/add", gated, stem)
    size = b.constant("size", [16, 16], "int32")
    return b.build([conv2d(simple(enlarge, "larger", total, size), "scores", 1)])


def test_tflite_gate() -> None:
    made = dero_tvm.reorganize(gated_tflite("RESIZE_NEAREST_NEIGHBOR"))
    assert len(made.report.shortcuts) == 2
    assert [(d.join, d.action) for d in made.report.decisions] == [
        ("MUL 'block/gated'", "left alone"),
        ("ADD 'block/add'", "removed"),
    ]
    assert made.report.decisions[1].reason.endswith("the shortcut was CONV_2D 'stem'")
    image = np.random.default_rng(1).standard_normal((1, 8, 8, 3)).astype(np.float32)
    (actual,) = run_on_host(made.module, [image])
    expected = made.network().eval()(torch.from_numpy(image.transpose(0, 3, 1, 2)))
    expected = expected.detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_tflite_tensor_in_a_refusal() -> None:
    with pytest.raises(dero_tvm.UserError) as caught:
        dero_tvm.reorganize(gated_tflite("RESIZE_BILINEAR"))
    assert str(caught.value) == (
        "model: RESIZE_BILINEAR 'larger': PyTorch has no bilinear resizing with the coordinates "
        "asymmetric by 2 and 2"
    )


def test_names_that_the_exporter_gives_itself() -> None:
    """Ports keep their names, whatever PyTorch calls the tensors inside."""
    model = exported(classified(conv(3, 8, stride=2), Add(nn.Sequential(conv(8, 8), conv(8, 8)))))
    renamed = {"image": "conv2d", model.graph.output[0].name: "relu"}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    model.graph.input[0].name, model.graph.output[0].name = "conv2d", "relu"
    files = dero_tvm.reorganize(model).files()
    written = onnx.load_from_string(files["network.onnx"])
    onnx.checker.check_model(written)
    assert [port.name for port in (*written.graph.input, *written.graph.output)] == [
        "conv2d",
        "relu",
    ]
    inside = {name for node in written.graph.node for name in node.output}
    assert "relu_inside" in inside
