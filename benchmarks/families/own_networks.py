"""Architectures that neither torchvision nor timm has, in PyTorch, narrow ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.surveyed.detector_networks import Cross
from benchmarks.surveyed.image_networks import Residual, UNet, conv


def _classified(*layers: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


class _KerasV2(nn.Module):
    """ResNetV2's bottleneck as Keras has it: the last block of a stage has the stride."""

    def __init__(self, channels: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        filters = 4 * width
        self.before = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.main = nn.Sequential(
            conv(channels, width, 1),
            nn.ZeroPad2d(1),
            nn.Conv2d(width, width, 3, stride, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, filters, 1),
        )
        self.project = nn.Conv2d(channels, filters, 1) if project else None
        self.pool = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        shortcut = self.pool(x) if self.project is None else self.project(y)
        return self.main(y) + shortcut


def keras_resnet_v2() -> nn.Module:
    """ResNetV2 with three stages of two blocks."""
    blocks, channels = [], 16
    for width, stride in ((8, 2), (16, 2), (32, 1)):
        blocks += [_KerasV2(channels, width, 1, True), _KerasV2(4 * width, width, stride, False)]
        channels = 4 * width
    stem = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3), nn.MaxPool2d(3, 2, 1))
    return _classified(stem, *blocks, nn.BatchNorm2d(channels), nn.ReLU(), width=channels)


def group_norm_resnet() -> nn.Module:
    """Basic blocks with GroupNorm."""

    def block(channels: int, filters: int, stride: int) -> nn.Module:
        main = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
            nn.GroupNorm(4, filters),
            nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.GroupNorm(4, filters),
        )
        shortcut = None
        if (channels, stride) != (filters, 1):
            project = nn.Conv2d(channels, filters, 1, stride, bias=False)
            shortcut = nn.Sequential(project, nn.GroupNorm(4, filters))
        return Residual(main, shortcut)

    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.ReLU())
    return _classified(stem, block(16, 16, 1), block(16, 32, 2), block(32, 32, 1), width=32)


class _Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        x = x.view(n, self.groups, channels // self.groups, height, width)
        return x.transpose(1, 2).reshape(n, channels, height, width)


class _ShuffleUnit(nn.Module):
    """ShuffleNet's: a strided one is concatenated with its pooled input."""

    def __init__(self, channels: int, filters: int, stride: int, groups: int = 2) -> None:
        super().__init__()
        self.stride = stride
        out, mid = filters - channels * (stride > 1), filters // 4
        self.main = nn.Sequential(
            conv(channels, mid, 1, groups=groups),
            _Shuffle(groups),
            conv(mid, mid, 3, stride, groups=mid, act=None),
            conv(mid, out, 1, groups=groups, act=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            pooled = functional.avg_pool2d(x, 3, 2, 1)
            return torch.relu(torch.cat([pooled, self.main(x)], 1))
        return torch.relu(x + self.main(x))


def shufflenet_v1() -> nn.Module:
    """Two stages of ShuffleNet's first version."""
    units = (_ShuffleUnit(16, 48, 2), _ShuffleUnit(48, 48, 1), _ShuffleUnit(48, 96, 2))
    return _classified(conv(3, 16, 3, 2), *units, _ShuffleUnit(96, 96, 1), width=96)


class _Hourglass(nn.Module):
    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.skip, self.down, self.up = (_preactivated(channels) for _ in range(3))
        inner = _Hourglass(depth - 1, channels) if depth > 1 else _preactivated(channels)
        self.inner: nn.Module = inner

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.skip(x) + functional.interpolate(low, scale_factor=2.0, mode="nearest")


def _preactivated(channels: int) -> nn.Module:
    half = channels // 2
    before = (nn.BatchNorm2d(channels), nn.ReLU())
    convs = (conv(channels, half, 1), conv(half, half), nn.Conv2d(half, channels, 1))
    return Residual(nn.Sequential(*before, *convs), act=False)


def hourglass() -> nn.Module:
    """A stack of two hourglasses of depth 3."""
    inner = (_Hourglass(3, 16), _preactivated(16), _Hourglass(3, 16))
    return nn.Sequential(conv(3, 16, 7, 2), *inner, conv(16, 16, 1), nn.Conv2d(16, 4, 1))


_WIDTHS = (8, 16, 32)


def unet() -> nn.Module:
    """Concatenations across resolutions, transposed convolutions."""
    return UNet("transposed", _WIDTHS)


def unet_bilinear() -> nn.Module:
    """Concatenations across resolutions, interpolated."""
    return UNet("bilinear3", _WIDTHS)


def linknet() -> nn.Module:
    """Additions across resolutions."""
    return UNet("transposed", _WIDTHS, add=True)


class _Temporal(nn.Module):
    def __init__(self, channels: int, filters: int, dilation: int) -> None:
        super().__init__()
        self.pad = 2 * dilation
        self.first = nn.Conv1d(channels, filters, 3, padding=self.pad, dilation=dilation)
        self.second = nn.Conv1d(filters, filters, 3, padding=self.pad, dilation=dilation)
        self.project = nn.Conv1d(channels, filters, 1) if channels != filters else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x)[..., : -self.pad])
        y = torch.relu(self.second(y)[..., : -self.pad])
        return torch.relu(y + self.project(x))


class _LastStep(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)


def tcn() -> nn.Module:
    """A temporal convolutional network of four levels."""
    blocks = (_Temporal(a, 16, d) for a, d in ((6, 1), (16, 2), (16, 4), (16, 8)))
    return nn.Sequential(*blocks, _LastStep(), nn.Linear(16, 5))


def resnet_1d() -> nn.Module:
    """Residual blocks along one axis, as for electrocardiograms."""

    def block(channels: int, filters: int, stride: int) -> nn.Module:
        main = nn.Sequential(
            nn.Conv1d(channels, filters, 7, stride, 3, bias=False),
            nn.BatchNorm1d(filters),
            nn.ReLU(),
            nn.Conv1d(filters, filters, 7, 1, 3, bias=False),
            nn.BatchNorm1d(filters),
        )
        shortcut = nn.Conv1d(channels, filters, 1, stride) if stride > 1 else None
        return Residual(main, shortcut)

    stem = nn.Sequential(nn.Conv1d(2, 16, 15, 2, 7), nn.BatchNorm1d(16), nn.ReLU())
    pool = nn.MaxPool1d(3, 2, 1)
    blocks = (block(16, 16, 1), block(16, 32, 2), block(32, 32, 1))
    return nn.Sequential(stem, pool, *blocks, _LastStep(), nn.Linear(32, 5))


class _Minus(nn.Module):
    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        return x - self.main(x)


def dncnn() -> nn.Module:
    """The noise is predicted, and subtracted from the image."""
    inner = (conv(16, 16) for _ in range(5))
    layers = (nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), *inner, nn.Conv2d(16, 1, 3, padding=1))
    return _Minus(nn.Sequential(*layers))


def vdsr() -> nn.Module:
    """Details are predicted, and added to the enlarged image."""
    inner = [layer for _ in range(4) for layer in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())]
    layers = (nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), *inner, nn.Conv2d(16, 1, 3, padding=1))
    return Residual(nn.Sequential(*layers), act=False)


def edsr() -> nn.Module:
    """Residual blocks inside a long skip, and a pixel shuffle."""

    def block() -> nn.Module:
        convs = (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        return Residual(nn.Sequential(*convs), act=False)

    blocks = (block() for _ in range(3))
    body = Residual(nn.Sequential(*blocks, nn.Conv2d(16, 16, 3, padding=1)), act=False)
    tail = (nn.Conv2d(16, 64, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(16, 3, 3, padding=1))
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), body, *tail)


class _C3(nn.Module):
    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        half = channels // 2
        self.left, self.right = (conv(channels, half, 1, act=nn.SiLU) for _ in range(2))
        self.last = conv(channels, channels, 1, act=nn.SiLU)
        blocks = (
            Residual(
                nn.Sequential(conv(half, half, 1, act=nn.SiLU), conv(half, half, act=nn.SiLU)),
                act=False,
            )
            for _ in range(count)
        )
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([self.blocks(self.left(x)), self.right(x)], 1))


class _Pyramid(nn.Module):
    """Poolings one after another, all concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels // 2, 1, act=nn.SiLU)
        self.last = conv(channels * 2, channels, 1, act=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.last(torch.cat(parts, 1))


class _Detector(nn.Module):
    """A YOLO with two scales: backbone, pyramid of features, heads."""

    def __init__(self, block: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.low = nn.Sequential(
            conv(3, 8, 3, 2, act=nn.SiLU), conv(8, 16, 3, 2, act=nn.SiLU), block(16, 1)
        )
        self.high = nn.Sequential(conv(16, 32, 3, 2, act=nn.SiLU), block(32, 2), _Pyramid(32))
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.reduce, self.fused = conv(48, 16, 1, act=nn.SiLU), block(16, 1)
        self.heads = nn.ModuleList(nn.Conv2d(n, 12, 1) for n in (16, 32))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = self.low(x)
        high = self.high(low)
        fused = self.fused(self.reduce(torch.cat([self.up(high), low], 1)))
        return self.heads[0](fused), self.heads[1](high)


def yolo_c3() -> nn.Module:
    """Cross-stage blocks of YOLOv5."""
    return _Detector(_C3)


def yolo_c2f() -> nn.Module:
    """Cross-stage blocks of YOLOv8."""
    return _Detector(lambda channels, count: Cross(channels, channels, count))


def convnext_like() -> nn.Module:
    """Depthwise first, LayerNorm over the channels, linear layers on pixels."""
    blocks = (_Depthwise(16) for _ in range(2))
    return _classified(nn.Conv2d(3, 16, 4, 4), *blocks, width=16)


class _Depthwise(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        wide = 4 * channels
        self.mlp = nn.Sequential(nn.Linear(channels, wide), nn.GELU(), nn.Linear(wide, channels))
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).permute(0, 2, 3, 1)
        return x + (self.scale * self.mlp(self.norm(y))).permute(0, 3, 1, 2)
