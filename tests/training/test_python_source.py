"""Generated files of networks that are described by hand, against PyTorch's own functions."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.training.activations import activation_class
from dero_tvm.training.network_module import network_module
from dero_tvm.training.python_source import python_source
from relax_passes.reorganization.description import (
    Activate,
    Activation,
    Architecture,
    Block,
    Concat,
    Convolution,
    Dense,
    Elementwise,
    Flatten,
    GlobalPool,
    MatchChannels,
    Normalize,
    Pool,
    PoolWindow,
    Port,
    Shortcut,
    Stage,
    Upsample,
    Window,
)
from tests.campaigns.fuzzing.hostile_values import NAMES

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

RELU = Activation("clip", 0.0, None)
UNEVEN = Window((3, 3), (2, 2), (0, 0, 1, 1))


def network_of(nodes, inputs, outputs):
    """The generated network with random weights, these weights, and the source."""
    architecture = Architecture(
        "tiny", inputs, (Stage("stage1", (Block("block1", tuple(nodes)),)),), outputs
    )
    source = python_source(
        architecture,
        output_names=[port.name.replace(".", "_") for port in outputs],
        file_name="network.py",
        weights_name="weights.pt",
    )
    rng = np.random.default_rng(0)
    weights = {}
    for node in nodes:
        if isinstance(node, (Convolution, Dense)):
            shape = getattr(node, "weight_shape", (node.out_channels, node.in_channels))
            weights[f"{node.name}.weight"] = rng.standard_normal(shape).astype(np.float32)
            weights[f"{node.name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    return network_module(source, weights).network.eval(), weights, source.text


def conv(x, weights, name, **options):
    weight = torch.from_numpy(weights[f"{name}.weight"]).permute(0, 3, 1, 2)
    return functional.conv2d(x, weight, torch.from_numpy(weights[f"{name}.bias"]), **options)


def image(*shape):
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape).astype(np.float32))


def passes_ruff(text: str, path) -> None:
    path.write_text(text)
    for check in (["check", "--select", "E,F,I,B,UP,SIM,C4"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", check[0], "--isolated", *check[1:], str(path)]
        checked = subprocess.run(command, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_graph_that_is_no_chain(tmp_path) -> None:
    """A gate, a concatenation across resolutions, two outputs, an uneven padding."""
    a = Convolution("s.a", ("x",), (8, 8, 4), 3, 4, Window((1, 1)), activation=RELU)
    down = Convolution("s.down", ("s.a",), (4, 4, 6), 4, 6, UNEVEN, activation=Activation("silu"))
    gate = [
        GlobalPool("s.mean", ("s.down",), (6,)),
        Dense("s.gate", ("s.mean",), (6,), 6, 6, Activation("sigmoid")),
        Elementwise("s.gated", ("s.down", "s.gate"), (4, 4, 6), "multiply"),
    ]
    up = Upsample("s.up", ("s.gated",), (8, 8, 6), (2, 2))
    joined = Concat("s.joined", ("s.up", "s.a"), (8, 8, 10))
    pooled = Pool(
        "s.pooled",
        ("s.joined",),
        (4, 4, 10),
        PoolWindow("max", Window((3, 3), (2, 2), (0, 0, 1, 1))),
    )
    flat = Flatten("s.flat", ("s.pooled",), (160,), channels_first=False)
    last = Dense("s.last", ("s.flat",), (5,), 160, 5)
    nodes = [a, down, *gate, up, joined, pooled, flat, last]
    network, weights, text = network_of(
        nodes,
        (Port("x", (1, 3, 8, 8), "NCHW"),),
        (Port("s.last", (1, 5)), Port("s.gated", (1, 6, 4, 4), "NCHW")),
    )
    x = image(2, 3, 8, 8)
    first = conv(x, weights, "s.a").relu()
    second = functional.silu(conv(functional.pad(first, (0, 1, 0, 1)), weights, "s.down", stride=2))
    dense = {
        n: [torch.from_numpy(weights[f"s.{n}.{r}"]) for r in ("weight", "bias")]
        for n in ("gate", "last")
    }
    gated = (
        second * functional.linear(second.mean((2, 3)), *dense["gate"]).sigmoid()[..., None, None]
    )
    both = torch.cat([functional.interpolate(gated, scale_factor=2), first], 1)
    most = functional.max_pool2d(functional.pad(both, (0, 1, 0, 1), value=-math.inf), 3, 2)
    expected = functional.linear(most.permute(0, 2, 3, 1).flatten(1), *dense["last"])
    for actual, wanted in zip(network(x), (expected, gated), strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-5, atol=1e-5)
    passes_ruff(text, tmp_path / "network.py")


@pytest.mark.parametrize("channels", [(10, 4), (4, 10), (4, 4), (40, 1)])
@pytest.mark.parametrize("window", [Window((3, 3), (2, 2), (1, 1, 1, 1)), UNEVEN])
def test_shortcut(channels, window, tmp_path) -> None:
    """Sum pool and match against torch's own pooling with divisor 1 and a loop over channels."""
    narrow, wide = channels
    steps = [PoolWindow("sum", window)]
    if narrow != wide:
        steps.append(MatchChannels(narrow, wide))
    node = Convolution(
        "s.c",
        ("x",),
        (4, 4, wide),
        narrow,
        wide,
        window,
        norm="before",
        activation=RELU,
        shortcut=Shortcut((*steps, Normalize(wide))),
    )
    port = (Port("s.c", (1, wide, 4, 4), "NCHW"),)
    network, weights, text = network_of([node], (Port("x", (1, narrow, 8, 8), "NCHW"),), port)
    x = image(1, narrow, 8, 8)
    top, left, bottom, right = window.padding
    padded = functional.pad(x, (left, right, top, bottom))
    summed = functional.avg_pool2d(padded, 3, 2, divisor_override=1)
    matched = torch.zeros(1, wide, 4, 4)
    for channel in range(narrow):
        matched[:, channel % wide] += summed[:, channel]
    scale = 1 / math.sqrt(1 + 1e-5)
    expected = conv(padded * scale, weights, "s.c", stride=2).relu() + matched * scale
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)
    passes_ruff(text, tmp_path / "network.py")


ACTIVATIONS = {
    "relu6": (Activation("clip", 0.0, 6.0), lambda x: np.clip(x, 0, 6)),
    "clip": (Activation("clip", -0.5, 0.25), lambda x: np.clip(x, -0.5, 0.25)),
    "below": (Activation("clip", None, 1.0), lambda x: np.minimum(x, 1)),
    "none": (Activation("clip"), lambda x: x),
    "leaky": (Activation("leaky_relu", alpha=0.1), lambda x: np.where(x < 0, 0.1 * x, x)),
    "elu": (Activation("elu", alpha=0.5), lambda x: np.where(x < 0, 0.5 * np.expm1(x), x)),
    "silu": (Activation("silu"), lambda x: x / (1 + np.exp(-x))),
    "hard_swish": (Activation("hard_swish"), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hard_sigmoid": (
        Activation("hard_sigmoid", alpha=0.2, beta=0.5),
        lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    ),
    "gelu_tanh": (
        Activation("gelu_tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "clipped": (Activation("tanh", -0.5, None), lambda x: np.maximum(np.tanh(x), -0.5)),
    "infinite slope": (
        Activation("leaky_relu", alpha=math.inf),
        lambda x: np.where(x < 0, -np.inf, x),
    ),
    "negative": (Activation("negative"), lambda x: -x),
    "softmax": (
        Activation("softmax"),
        lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    ),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, tmp_path) -> None:
    activation, function = ACTIVATIONS[name]
    node = Activate("s.a", ("x",), (4, 4, 3), activation)
    port = Port("x", (1, 3, 4, 4), "NCHW")
    network, _, text = network_of([node], (port,), (Port("s.a", (1, 3, 4, 4), "NCHW"),))
    x = 4 * image(2, 3, 4, 4)
    np.testing.assert_allclose(network(x), function(x.numpy()), rtol=1e-5, atol=1e-6)
    passes_ruff(text, tmp_path / "network.py")


def test_what_pytorch_has_no_module_for() -> None:
    with pytest.raises(UserError, match="'warp' cannot be written as a PyTorch module"):
        activation_class(Activation("warp"))


def statements_of(name: str) -> Counter:
    """Of a file in which the network, its input and its output are called so: kinds of nodes."""
    node = Convolution("stage1.conv", (name,), (4, 4, 3), 2, 3, Window((1, 1)))
    stages = (Stage("stage1", (Block("block1", (node,)),)),)
    image, out = Port(name, (1, 2, 4, 4), "NCHW"), Port(node.name, (1, 3, 4, 4), "NCHW")
    architecture = Architecture(name, (image,), stages, (out,))
    source = python_source(
        architecture, output_names=[name], file_name="network.py", weights_name="weights.pt"
    )
    return Counter(type(node).__name__ for node in ast.walk(ast.parse(source.text)))


@pytest.mark.parametrize("name", [name for name in NAMES if name])
def test_names_end_no_string(name):
    assert statements_of(name) == statements_of("plain")
