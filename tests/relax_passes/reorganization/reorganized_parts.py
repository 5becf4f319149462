"""What reorganized networks are spelled out with, and a second implementation in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from tvm import relax

from relax_passes.operators import make_call, spec_of
from relax_passes.reorganization.description import (
    Activate,
    Concat,
    Convolution,
    Dense,
    Elementwise,
    Flatten,
    GlobalPool,
    MatchChannels,
    Normalize,
    Pool,
    Reorganization,
    Upsample,
)

FRESH = np.float32(1 / np.sqrt(1 + 1e-5))  # the factor of a batch norm before any training


def scaled(x, factor=FRESH):
    """The factor of a fresh normalisation."""
    shape = (1, 1, 1, spec_of(x.ty).channels)
    return make_call("multiply", [x, relax.const(np.full(shape, factor, np.float32))])


def shifted(x, **attrs):
    """The summand of a fresh normalisation."""
    shape = (1, 1, 1, spec_of(x.ty).channels)
    return make_call("add", [x, relax.const(np.zeros(shape, np.float32))], **attrs)


def sum_pool(x, kernel, stride, padding):
    return make_call(
        "pool2d",
        [x],
        kind="sum",
        pool_size=(kernel, kernel),
        strides=(stride, stride),
        padding=padding,
    )


def filled(x, channels):
    """Zero channels at the end."""
    return make_call("pad", [x], pad_before=(0, 0, 0, 0), pad_after=(0, 0, 0, channels))


def mean(x):
    return make_call("reduce", [x], kind="mean", axes=(1, 2))


def run_in_torch(network: Reorganization, *inputs: np.ndarray) -> list[np.ndarray]:
    """The network's outputs as PyTorch's functions compute them; inputs as the model has them."""
    architecture = network.architecture
    weights = {key: torch.from_numpy(np.array(a)) for key, a in network.weights.items()}
    values = {}
    for port, array in zip(architecture.inputs, inputs, strict=True):
        image = torch.from_numpy(array)
        values[port.name] = image.permute(0, 3, 1, 2) if port.layout == "NHWC" else image
    for node in architecture.nodes:
        values[node.name] = _node(node, [values[name] for name in node.inputs], weights)
    results = []
    for port in architecture.outputs:
        value = values[port.name]
        value = value.permute(0, 2, 3, 1) if port.layout == "NHWC" else value
        results.append(value.reshape(port.shape).numpy())
    return results


def _node(node, operands, weights):
    x = operands[0]
    if isinstance(node, Convolution):
        return _convolution(node, x, weights)
    if isinstance(node, Pool):
        return _pool(node.pool, x)
    if isinstance(node, Upsample):
        return F.interpolate(x, scale_factor=node.factor, mode="nearest")
    if isinstance(node, Concat):
        return torch.cat(operands, 1)
    if isinstance(node, GlobalPool):
        return x.mean((2, 3))
    if isinstance(node, Flatten):
        return (x if node.channels_first else x.permute(0, 2, 3, 1)).flatten(1)
    if isinstance(node, Dense):
        layer = (weights[f"{node.name}.weight"], weights[f"{node.name}.bias"])
        return _activate(node.activation, F.linear(x, *layer))
    if isinstance(node, Elementwise):
        operands = [v[:, :, None, None] if v.ndim < len(node.shape) + 1 else v for v in operands]
        function = {"add": torch.add, "multiply": torch.mul}[node.function]
        return _activate(node.activation, function(*operands))
    assert isinstance(node, Activate)
    return _activate(node.activation, x)


def _convolution(node, x, weights):
    y = _normalize(x) if node.norm == "before" else x
    top, left, bottom, right = node.window.padding
    y = F.conv2d(
        F.pad(y, (left, right, top, bottom)),
        weights[f"{node.name}.weight"].permute(0, 3, 1, 2),
        weights[f"{node.name}.bias"] if node.bias else None,
        node.window.strides,
        0,
        node.window.dilation,
        node.groups,
    )
    if node.norm == "after":
        y = _normalize(y, weights[f"{node.name}.shift"])
    y = _activate(node.activation, y)
    if node.pool is not None:
        y = _pool(node.pool, y)
    if node.shortcut is not None:
        for step in node.shortcut.steps:
            if isinstance(step, Normalize):
                x = _normalize(x)
            elif isinstance(step, MatchChannels):
                x = F.pad(x, (0, 0, 0, 0, 0, -step.in_channels % step.out_channels))
                x = torch.stack(torch.split(x, step.out_channels, 1)).sum(0)
            else:
                x = _pool(step, x)
        y = y + x
    return _activate(node.final_activation, y)


def _normalize(x, shift=None):
    zeros, ones = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
    return F.batch_norm(x, zeros, ones, ones, zeros if shift is None else shift, eps=1e-5)


def _pool(pool, x):
    top, left, bottom, right = pool.window.padding
    x = F.pad(x, (left, right, top, bottom), value=-torch.inf if pool.kind == "max" else 0.0)
    if pool.kind == "max":
        return F.max_pool2d(x, pool.window.kernel, pool.window.strides)
    divisor = 1 if pool.kind == "sum" else None
    assert pool.kind == "sum" or not any(pool.window.padding)
    return F.avg_pool2d(x, pool.window.kernel, pool.window.strides, divisor_override=divisor)


def _activate(activation, x):
    if activation is None:
        return x
    if activation.function == "clip":
        return torch.clamp(x, activation.minimum, activation.maximum)
    return {"silu": F.silu, "sigmoid": torch.sigmoid, "hard_swish": F.hardswish}[
        activation.function
    ](x)
