"""The residual networks of the experiment, as He et al. (2016) built theirs for small images.

A convolution with stride 2, three stages of so many blocks each, a global average, a dense layer.
Both networks with their usual depth have 37 convolutions one after another.
"""

from __future__ import annotations

import logging
from typing import Any

import onnx
import torch
from torch import nn
from torch.nn import functional as F

import dero_tvm

from .families import Family, Form
from .images import CLASSES, SIDE


class Block(nn.Module):
    """relu(main(x) + shortcut(x)); the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.main(x) + self.shortcut(x))


class GlobalMean(nn.Module):
    """[N, C, H, W] -> [N, C], for any N also when exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def _normalized(channels: int, filters: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


def block(channels: int, filters: int, stride: int, bottleneck: bool) -> Block:
    """Two 3x3 convolutions, or a 3x3 between two pointwise ones."""
    if bottleneck:
        inside = filters // 4
        main = [*_normalized(channels, inside, 1), nn.ReLU()]
        main += [*_normalized(inside, inside, 3, stride), nn.ReLU()]
        main += _normalized(inside, filters, 1)
    else:
        main = [*_normalized(channels, filters, 3, stride), nn.ReLU()]
        main += _normalized(filters, filters, 3)
    shortcut: list[nn.Module] = []
    if stride != 1 or channels != filters:
        shortcut = _normalized(channels, filters, 1, stride)
    return Block(nn.Sequential(*main), nn.Sequential(*shortcut))


def original(family: Family, blocks: int) -> nn.Sequential:
    """[N, 1, 28, 28] grey values from 0 to 1 -> [N, 10] logits."""
    channels = family.widths[0]
    layers: list[nn.Module] = [*_normalized(1, channels, 3, stride=2), nn.ReLU()]
    for stage, width in enumerate(family.widths):
        for index in range(blocks):
            stride = 2 if stage and index == 0 else 1
            layers.append(block(channels, width, stride, family.is_bottleneck))
            channels = width
    return nn.Sequential(*layers, GlobalMean(), nn.Linear(channels, CLASSES))


def exported(network: nn.Module) -> onnx.ModelProto:
    """The network for one image."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages not needed here
    contiguous = network.to(memory_format=torch.contiguous_format)
    program = torch.onnx.export(
        contiguous.eval(),
        (torch.zeros(1, 1, SIDE, SIDE),),
        input_names=["image"],
        output_names=["logits"],
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def reorganized(network: nn.Module, form: Form, **choices: Any) -> nn.Module:
    """The plain twin or the reorganized network of an original, with the weights it inherits.

    Without a shortcut to fuse with, a normalisation in front of a convolution would cost memory,
    so the plain twin has them behind, where they are folded away.
    """
    plain = {"plain": True, "normalization": "after"} if form == "plain" else {}
    made: nn.Module = dero_tvm.reorganize(exported(network), **plain, **choices).network()
    return made


def fresh(network: nn.Module) -> nn.Module:
    """The network with random weights, as PyTorch draws them."""
    for module in network.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return network
