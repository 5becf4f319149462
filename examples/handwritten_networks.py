"""Reorganized networks as somebody writes them by hand: PyTorch modules that pass on pairs.

A layer takes the sum of the pair before it and gives a new pair, the convolution's result and its
shortcut, as in the public code of the method's authors.  Channels are matched with `split`, `stack`
and `sum`, windows are summed by an average pooling, and at the transitions of a DenseNet both of a
pair are pooled.  Nothing here is the compiler's: `tvmc reorganize` writes other modules.

    from examples.handwritten_networks import NETWORKS, settle
    model = settle(NETWORKS["resnet50"](), images)

`width` scales the channels, for networks that are quick to try.  `divisor` has windows summed by
``divisor_override=1``: torch.export keeps it; torch.onnx.export leaves it out without a word, so
that the ONNX file is another function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .models.mcunet_in3 import BLOCKS as MCUNET_BLOCKS
from .models.mcunet_in3 import STEM as MCUNET_STEM
from .models.mobilenet_v2 import HEAD, STAGES, STEM

Pair = tuple[torch.Tensor, torch.Tensor]
Activation = Callable[[torch.Tensor], torch.Tensor]

RESNET50_BLOCKS = ((64, 3), (128, 4), (256, 6), (512, 3))
DENSENET121_STAGES = ((76, 6, 128), (92, 12, 256), (116, 24, 512), (112, 16, 1024))


class SumPool(nn.Module):
    """The sum of each window, zeros around the image."""

    def __init__(self, kernel: int, stride: int, padding: int, divisor: bool) -> None:
        super().__init__()
        self.area = 1 if divisor else kernel * kernel
        self.pool = nn.AvgPool2d(kernel, stride, padding, divisor_override=1 if divisor else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x) if self.area == 1 else self.pool(x) * self.area


class PairConv(nn.Module):
    """The normalised input's convolution, and beside it what becomes of the input itself."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        activation: Activation = functional.relu,
        divisor: bool = False,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        self.activation = activation
        self.outputs = outputs
        self.missing = -inputs % outputs
        self.pool: nn.Module = nn.Identity()
        if stride > 1:
            window = (kernel, stride, kernel // 2) if kernel > 1 else (stride, stride, 0)
            self.pool = SumPool(*window, divisor)
        changed = stride > 1 or inputs != outputs
        self.beside = nn.BatchNorm2d(outputs) if normalize or changed else nn.Identity()

    def forward(self, pair: Pair | torch.Tensor) -> Pair:
        x = pair if isinstance(pair, torch.Tensor) else pair[0] + pair[1]
        out = self.activation(self.conv(self.norm(x)))
        res = self.pool(x)
        if self.missing:
            res = functional.pad(res, (0, 0, 0, 0, 0, self.missing))
        if res.shape[1] > self.outputs:
            res = torch.stack(torch.split(res, self.outputs, dim=1)).sum(dim=0)
        return out, self.beside(res)


class Transition(nn.Module):
    """A pointwise convolution whose pair is pooled."""

    def __init__(self, inputs: int, outputs: int, pool: bool, divisor: bool) -> None:
        super().__init__()
        self.conv = PairConv(inputs, outputs, 1, divisor=divisor)
        self.pool = nn.AvgPool2d(2, 2) if pool else nn.Identity()
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, pair: Pair) -> Pair:
        out, res = self.conv(pair)
        return self.pool(out), self.norm(self.pool(res))


class Stem(nn.Module):
    """A convolution and a pooling, with one shortcut around both."""

    def __init__(self, outputs: int, divisor: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 7, 2, 3)
        self.maximum = nn.MaxPool2d(3, 2, 1)
        self.window = SumPool(7, 2, 3, divisor)
        self.missing = outputs - 3
        self.beside = nn.Sequential(
            nn.BatchNorm2d(outputs), SumPool(3, 2, 1, divisor), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: torch.Tensor) -> Pair:
        res = functional.pad(self.window(x), (0, 0, 0, 0, 0, self.missing))
        return self.maximum(torch.relu(self.conv(x))), self.beside(res)


class Classifier(nn.Module):
    """Layers, an average of each half of the last pair, and a linear layer."""

    def __init__(self, layers: Iterator[nn.Module], channels: int, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        out, res = self.features(image)
        out = functional.adaptive_avg_pool2d(out, 1) + functional.adaptive_avg_pool2d(res, 1)
        return self.linear(torch.flatten(out, 1))


def resnet50(*, width: float = 1.0, divisor: bool = False) -> nn.Module:
    """Bottlenecks of three convolutions, each with its shortcut."""
    channels = round(64 * width)

    def layers() -> Iterator[nn.Module]:
        yield Stem(channels, divisor)
        inputs = channels
        for stage, (wide, blocks) in enumerate(RESNET50_BLOCKS):
            inner = round(wide * width)
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                yield PairConv(inputs, inner, 1, divisor=divisor)
                yield PairConv(inner, inner, 3, stride, divisor=divisor)
                inputs = 4 * inner
                yield PairConv(inner, inputs, 1, divisor=divisor)

    return Classifier(layers(), round(2048 * width))


def _inverted_residuals(
    blocks: Iterator[tuple[int, int, int, int]], inputs: int, divisor: bool
) -> Iterator[nn.Module]:
    """Expansion, channels, stride and kernel of each block."""
    relu6: dict[str, Any] = {"activation": functional.relu6, "divisor": divisor}
    for expansion, channels, stride, kernel in blocks:
        hidden = inputs * expansion
        if expansion > 1:
            yield PairConv(inputs, hidden, 1, **relu6)
        depthwise: dict[str, Any] = {"groups": hidden, **relu6}
        yield PairConv(hidden, hidden, kernel, stride, **depthwise)
        yield PairConv(hidden, channels, 1, activation=nn.Identity(), divisor=divisor)
        inputs = channels


def mobilenet_v2(*, width: float = 1.0, divisor: bool = False) -> nn.Module:
    """Every convolution with its shortcut, the first and the linear ones too."""

    def scaled(channels: int) -> int:
        return max(8, round(channels * width / 8) * 8)

    def blocks() -> Iterator[tuple[int, int, int, int]]:
        for expansion, channels, repeats, stride in STAGES:
            for index in range(repeats):
                yield expansion, scaled(channels), stride if index == 0 else 1, 3

    relu6: dict[str, Any] = {"activation": functional.relu6, "divisor": divisor}

    def layers() -> Iterator[nn.Module]:
        yield PairConv(3, scaled(STEM), 3, 2, **relu6)
        yield from _inverted_residuals(blocks(), scaled(STEM), divisor)
        yield PairConv(scaled(STAGES[-1][1]), scaled(HEAD), 1, **relu6)

    return Classifier(layers(), scaled(HEAD))


def mcunet_in3(*, width: float = 1.0, divisor: bool = False) -> nn.Module:
    """Inverted residuals with kernels of 3, 5 and 7."""
    blocks = ((e, max(4, round(c * width)), s, k) for e, c, s, k in MCUNET_BLOCKS)

    def layers() -> Iterator[nn.Module]:
        yield PairConv(3, MCUNET_STEM, 3, 2, activation=functional.relu6, divisor=divisor)
        yield from _inverted_residuals(blocks, MCUNET_STEM, divisor)

    return Classifier(layers(), max(4, round(MCUNET_BLOCKS[-1][1] * width)))


def densenet121(*, width: float = 1.0, divisor: bool = False) -> nn.Module:
    """No longer dense: stages of one width, each followed by a transition."""

    def layers() -> Iterator[nn.Module]:
        inputs = round(64 * width)
        yield Stem(inputs, divisor)
        for stage, (growth, repeats, outputs) in enumerate(DENSENET121_STAGES):
            for _ in range(repeats):
                for kernel in (1, 3):
                    channels = round(growth * width)
                    yield PairConv(inputs, channels, kernel, divisor=divisor, normalize=False)
                    inputs = channels
            yield Transition(inputs, round(outputs * width), stage < 3, divisor)
            inputs = round(outputs * width)

    return Classifier(layers(), round(1024 * width))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "mcunet_in3": mcunet_in3,
    "densenet121": densenet121,
}


def settle(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """The model ready to use, its norms as `images` leave them; weights stay random."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
                module.weight.uniform_(0.4, 0.8)
                module.bias.uniform_(-0.2, 0.2)
        model.train()(images)
    return model.eval()
