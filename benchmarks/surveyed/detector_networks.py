"""Detectors: a pyramid of maps, and heads that make boxes of them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .architecture import Family
from .image_networks import Residual, conv, separable

DETECTORS = Family()


class Cross(nn.Module):
    """The block of YOLO's backbones since v8: a split, residuals, and everything joined."""

    def __init__(self, given: int, made: int, blocks: int = 1):
        super().__init__()
        half = made // 2
        self.first, self.last = (
            conv(given, made, 1, act=nn.SiLU),
            conv((2 + blocks) * half, made, 1, act=nn.SiLU),
        )
        self.blocks = nn.ModuleList(
            Residual(
                nn.Sequential(conv(half, half, act=nn.SiLU), conv(half, half, act=nn.SiLU)),
                act=False,
            )
            for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Pyramid(nn.Module):
    """A backbone and a path up and down again: three maps of 16, 32 and 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        down = lambda a, b: nn.Sequential(conv(a, b, 3, 2, act=nn.SiLU), Cross(b, b))  # noqa: E731
        self.stem = conv(3, 8, 3, 2, act=nn.SiLU)
        self.c2, self.c3, self.c4, self.c5 = down(8, 8), down(8, 16), down(16, 32), down(32, 64)
        self.reduce = conv(64, 16, 1, act=nn.SiLU)
        self.spread = conv(64, 64, 1, act=nn.SiLU)
        self.up4, self.up3 = Cross(96, 32), Cross(48, 16)
        self.down4, self.down5 = (
            conv(16, 16, 3, 2, act=nn.SiLU),
            conv(32, 32, 3, 2, act=nn.SiLU),
        )
        self.out4, self.out5 = Cross(48, 32), Cross(96, 64)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        c3 = self.c3(self.c2(self.stem(x)))
        c4 = self.c4(c3)
        y = self.reduce(self.c5(c4))
        pooled = [y]
        for _ in range(3):
            pooled.append(F.max_pool2d(pooled[-1], 5, 1, 2))
        c5 = self.spread(torch.cat(pooled, 1))
        p4 = self.up4(torch.cat([F.interpolate(c5, scale_factor=2.0), c4], 1))
        p3 = self.up3(torch.cat([F.interpolate(p4, scale_factor=2.0), c3], 1))
        n4 = self.out4(torch.cat([self.down4(p3), p4], 1))
        n5 = self.out5(torch.cat([self.down5(n4), c5], 1))
        return [p3, n4, n5]


@DETECTORS.network("detector")
def yolo_maps() -> nn.Module:
    """The three maps of numbers, before any arithmetic of boxes."""

    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Pyramid()
            self.heads = nn.ModuleList(nn.Conv2d(width, 21, 1) for width in (16, 32, 64))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(head(y) for head, y in zip(self.heads, self.body(x)))

    return Maps()


def _grid(size: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([x, y], -1).reshape(1, size, size, 2).float()


@DETECTORS.network("detector")
def yolov5_head() -> nn.Module:
    """Boxes from anchors and a grid, joined along all scales."""

    class Boxes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Pyramid()
            self.heads = nn.ModuleList(nn.Conv2d(width, 3 * 7, 1) for width in (16, 32, 64))
            for level, size in enumerate((8, 4, 2)):
                self.register_buffer(f"grid{level}", _grid(size)[:, None])
            self.register_buffer("anchors", torch.rand(3, 1, 3, 1, 1, 2) * 30)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = []
            for level, (head, y) in enumerate(zip(self.heads, self.body(x))):
                y = head(y)
                n, _, h, w = y.shape
                y = y.view(n, 3, 7, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
                xy, wh, rest = y.split((2, 2, 3), 4)
                xy = (xy * 2 - 0.5 + getattr(self, f"grid{level}")) * (8 * 2**level)
                wh = (wh * 2) ** 2 * self.anchors[level]
                made.append(torch.cat([xy, wh, rest], 4).view(n, 3 * h * w, 7))
            return torch.cat(made, 1)

    return Boxes()


@DETECTORS.network("detector")
def yolov8_head() -> nn.Module:
    """Distances as means of distributions: softmax over bins, weighted by a convolution."""

    class Boxes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Pyramid()
            box = lambda w: nn.Sequential(conv(w, 16, act=nn.SiLU), nn.Conv2d(16, 64, 1))  # noqa: E731
            kind = lambda w: nn.Sequential(conv(w, 16, act=nn.SiLU), nn.Conv2d(16, 4, 1))  # noqa: E731
            self.boxes = nn.ModuleList(box(width) for width in (16, 32, 64))
            self.kinds = nn.ModuleList(kind(width) for width in (16, 32, 64))
            self.bins = nn.Conv2d(16, 1, 1, bias=False)
            self.bins.weight.data[:] = torch.arange(16.0).view(1, 16, 1, 1)
            points = [(_grid(size) + 0.5).view(-1, 2).T for size in (8, 4, 2)]
            self.register_buffer("points", torch.cat(points, 1)[None])
            strides = [torch.full((size * size,), 64.0 / size) for size in (8, 4, 2)]
            self.register_buffer("strides", torch.cat(strides)[None, None])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            joined = [
                torch.cat([box(y), kind(y)], 1).view(1, 68, -1)
                for box, kind, y in zip(self.boxes, self.kinds, self.body(x))
            ]
            boxes, kinds = torch.cat(joined, 2).split((64, 4), 1)
            bins = boxes.view(1, 4, 16, 84).transpose(2, 1).softmax(1)
            low, high = self.bins(bins).view(1, 4, 84).chunk(2, 1)
            first, last = self.points - low, self.points + high
            boxes = torch.cat([(first + last) / 2, last - first], 1) * self.strides
            return torch.cat([boxes, kinds.sigmoid()], 1)

    return Boxes()


@DETECTORS.network("detector")
def ssd() -> nn.Module:
    """Classes and boxes of several maps, channels last, joined."""

    class SSD(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(conv(3, 16, 3, 2), separable(16, 32, 2))
            self.parts = nn.ModuleList([separable(32, 32, 2), separable(32, 48, 2)])
            self.kinds = nn.ModuleList(nn.Conv2d(w, 4 * 5, 3, padding=1) for w in (32, 48))
            self.boxes = nn.ModuleList(nn.Conv2d(w, 4 * 4, 3, padding=1) for w in (32, 48))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x, kinds, boxes = self.stem(x), [], []
            for part, kind, box in zip(self.parts, self.kinds, self.boxes):
                x = part(x)
                kinds.append(kind(x).permute(0, 2, 3, 1).reshape(1, -1, 5))
                boxes.append(box(x).permute(0, 2, 3, 1).reshape(1, -1, 4))
            return F.softmax(torch.cat(kinds, 1), -1), torch.cat(boxes, 1)

    return SSD()


@DETECTORS.network("detector")
def centernet() -> nn.Module:
    """Peaks of a heat map: the pixels that are the largest around."""

    class Centers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(3, 16, 3, 2), separable(16, 32, 2), separable(32, 32))
            self.heat = nn.Sequential(conv(32, 16, norm=None), nn.Conv2d(16, 4, 1))
            self.size = nn.Sequential(conv(32, 16, norm=None), nn.Conv2d(16, 2, 1))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = self.body(x)
            heat = self.heat(y).sigmoid()
            peaks = (F.max_pool2d(heat, 3, 1, 1) == heat).float()
            return heat * peaks, self.size(y)

    return Centers()
