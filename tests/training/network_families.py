"""Small networks of the families that people reorganize, as PyTorch modules with random weights.

Each has the published structure at a width of a few channels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

Act = Callable[[], nn.Module]


def conv(channels, filters, kernel=3, stride=1, groups=1, act: Act | None = nn.ReLU):
    """Convolution, batch norm and activation."""
    layers = [
        nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(filters),
    ]
    return nn.Sequential(*layers, *([] if act is None else [act()]))


class Add(nn.Module):
    """A residual connection around `main`."""

    def __init__(self, main, shortcut=None, act: Act = nn.Identity):
        super().__init__()
        self.main, self.shortcut, self.act = main, shortcut or nn.Identity(), act()

    def forward(self, x):
        return self.act(self.main(x) + self.shortcut(x))


def basic(channels, filters, stride=1, norm=nn.BatchNorm2d, act: Act = nn.ReLU):
    """ResNet's basic block."""
    main = nn.Sequential(
        nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
        norm(filters),
        act(),
        nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
        norm(filters),
    )
    same = (channels, 1) == (filters, stride)
    shortcut = None if same else conv(channels, filters, 1, stride, act=None)
    return Add(main, shortcut, act)


def classified(*layers, width=8, classes=3):
    """The layers, and a linear classifier."""
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


# --- gates -------------------------------------------------------------------------------------


class Gate(nn.Module):
    """Squeeze and excitation, of linear layers or of pointwise convolutions."""

    def __init__(self, channels, kind="conv", act: Act = nn.ReLU, squash: Act = nn.Sigmoid):
        super().__init__()
        self.kind = kind
        layer = nn.Linear if kind == "linear" else lambda a, b: nn.Conv2d(a, b, 1)
        self.excite = nn.Sequential(layer(channels, 4), act(), layer(4, channels), squash())

    def forward(self, x):
        if self.kind == "linear":
            return x * self.excite(x.mean((2, 3)))[:, :, None, None]
        return x * self.excite(functional.adaptive_avg_pool2d(x, 1))


class ChannelAttention(nn.Module):
    """ECA: a convolution along the channels makes the gate."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        gate = torch.sigmoid(self.conv(x.mean((2, 3))[:, None])[:, 0])
        return x * gate[:, :, None, None]


class TwoPoolings(nn.Module):
    """A gate of means and maxima, by the same layers."""

    def __init__(self, channels):
        super().__init__()
        self.excite = nn.Sequential(nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, channels, 1))

    def forward(self, x):
        pooled = (functional.adaptive_avg_pool2d(x, 1), functional.adaptive_max_pool2d(x, 1))
        return x * torch.sigmoid(sum(map(self.excite, pooled)))


class PixelGate(nn.Module):
    """A gate of one number a pixel and channel, from a convolution on the image."""

    def __init__(self, channels):
        super().__init__()
        self.conv = conv(channels, channels, 3, act=nn.Sigmoid)

    def forward(self, x):
        return x * self.conv(x)


def inverted(channels, filters, wide, gate, stride=1, kernel=3, act: Act = nn.Hardswish):
    """MobileNetV3's and EfficientNet's block."""
    layers = nn.Sequential(
        conv(channels, wide, 1, act=act),
        conv(wide, wide, kernel, stride, wide, act),
        gate,
        conv(wide, filters, 1, act=None),
    )
    return Add(layers) if (channels, stride) == (filters, 1) else layers


def mobilenet_v3():
    def gate(kind="conv"):
        return Gate(12, kind, squash=nn.Hardsigmoid)

    return nn.Sequential(
        conv(3, 8, stride=2, act=nn.Hardswish),
        inverted(8, 8, 8, Gate(8, squash=nn.Hardsigmoid), 2, act=nn.ReLU),
        inverted(8, 8, 12, nn.Identity(), act=nn.ReLU),
        inverted(8, 8, 12, gate(), kernel=5),
        inverted(8, 12, 12, gate(), 2, 5),
        conv(12, 16, 1, act=nn.Hardswish),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 12),
        nn.Hardswish(),
        nn.Dropout(0.2),
        nn.Linear(12, 3),
    )


def efficientnet():
    return classified(
        conv(3, 8, stride=2, act=nn.SiLU),
        inverted(8, 8, 8, Gate(8, act=nn.SiLU), act=nn.SiLU),
        inverted(8, 8, 16, Gate(16, act=nn.SiLU), 2, 5, nn.SiLU),
        inverted(8, 8, 16, Gate(16, act=nn.SiLU), 1, 5, nn.SiLU),
        conv(8, 16, 1, act=nn.SiLU),
        width=16,
    )


def gate_then_join(kind, squash: Act, act: Act = nn.ReLU):
    """SE-ResNet: the gate ends the main branch, the activation follows the sum."""
    main = nn.Sequential(conv(8, 8), conv(8, 8, act=None), Gate(8, kind, act, squash))
    return classified(conv(3, 8), Add(main, act=nn.ReLU), basic(8, 8))


# --- residual networks -------------------------------------------------------------------------


def preactivated(channels, filters, stride=1, act: Act = nn.ReLU):
    """ResNetV2's bottleneck; a strided one subsamples its shortcut by a pooling of one pixel."""
    main = nn.Sequential(
        nn.BatchNorm2d(channels),
        act(),
        conv(channels, 4, 1, act=act),
        conv(4, 4, 3, stride, act=act),
        nn.Conv2d(4, filters, 1),
    )
    shortcut = nn.MaxPool2d(1, stride) if stride > 1 else None
    if channels != filters:
        shortcut = nn.Conv2d(channels, filters, 1, stride)
    return Add(main, shortcut)


class Hourglass(nn.Module):
    def __init__(self, depth, channels=8):
        super().__init__()
        self.skip = preactivated(channels, channels)
        self.down = preactivated(channels, channels)
        self.inner = Hourglass(depth - 1) if depth > 1 else preactivated(channels, channels)
        self.up = preactivated(channels, channels)

    def forward(self, x):
        low = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.skip(x) + functional.interpolate(low, scale_factor=2, mode="nearest")


def hourglass(depth=2):
    return nn.Sequential(
        conv(3, 8, 7, 2),
        preactivated(8, 8),
        Hourglass(depth),
        preactivated(8, 8),
        conv(8, 8, 1),
        nn.Conv2d(8, 2, 1),
    )


def resnext_block():
    return Add(nn.Sequential(conv(8, 8, 1), conv(8, 8, groups=4), conv(8, 8, 1, act=None)))


class Res2Block(nn.Module):
    def __init__(self, channels=8, scale=4):
        super().__init__()
        width = channels // scale
        self.reduce, self.expand = (
            conv(channels, channels, 1),
            conv(channels, channels, 1, act=None),
        )
        self.convs = nn.ModuleList(conv(width, width) for _ in range(scale - 1))

    def forward(self, x):
        first, *rest = self.reduce(x).chunk(4, 1)
        parts, last = [first], None
        for part, layer in zip(rest, self.convs):
            last = layer(part if last is None else part + last)
            parts.append(last)
        return torch.relu(self.expand(torch.cat(parts, 1)) + x)


class Shuffle(nn.Module):
    def forward(self, x):
        _, channels, height, width = x.shape
        x = x.reshape(-1, 2, channels // 2, height, width).transpose(1, 2)
        return x.reshape(-1, channels, height, width)


def shuffle_block():
    """ShuffleNet's first: grouped convolutions with their channels shuffled."""
    main = nn.Sequential(
        conv(8, 4, 1, groups=2), Shuffle(), conv(4, 4, groups=4, act=None), conv(4, 8, 1, groups=2)
    )
    return Add(main, act=nn.ReLU)


class ShuffleUnit(nn.Module):
    """ShuffleNet V2's: half of the channels pass by."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(conv(4, 4, 1), conv(4, 4, groups=4, act=None), conv(4, 4, 1))

    def forward(self, x):
        by, through = x.chunk(2, 1)
        return Shuffle()(torch.cat([by, self.main(through)], 1))


class PooledShuffleUnit(nn.Module):
    """ShuffleNet's with a stride: concatenated with its pooled input."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            conv(8, 4, 1, groups=2), Shuffle(), conv(4, 4, 3, 2, 4, None), conv(4, 8, 1, groups=2)
        )

    def forward(self, x):
        return torch.cat([functional.avg_pool2d(x, 3, 2, 1), self.main(x)], 1)


def shufflenet():
    main = nn.Sequential(
        conv(16, 4, 1, groups=2), Shuffle(), conv(4, 4, groups=4), conv(4, 16, 1, groups=2)
    )
    layers = (conv(3, 8, stride=2), PooledShuffleUnit(), Add(main), basic(16, 16))
    return classified(*layers, conv(16, 8, 1))


class Ghost(nn.Module):
    def __init__(self, channels, filters, act: Act | None = nn.ReLU):
        super().__init__()
        half = filters // 2
        self.primary = conv(channels, half, 1, act=act)
        self.cheap = conv(half, half, 3, groups=half, act=act)

    def forward(self, x):
        own = self.primary(x)
        return torch.cat([own, self.cheap(own)], 1)


def ghost_block():
    return Add(nn.Sequential(Ghost(8, 16), Gate(16, squash=nn.Hardsigmoid), Ghost(16, 8, None)))


class C2f(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        half = channels // 2
        self.first = conv(channels, channels, 1, act=nn.SiLU)
        self.last = conv(3 * half, channels, 1, act=nn.SiLU)
        self.block = Add(
            nn.Sequential(conv(half, half, act=nn.SiLU), conv(half, half, act=nn.SiLU))
        )

    def forward(self, x):
        parts = list(self.first(x).chunk(2, 1))
        parts.append(self.block(parts[-1]))
        return self.last(torch.cat(parts, 1))


class C3(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        half = channels // 2
        self.left, self.right = (conv(channels, half, 1, act=nn.SiLU) for _ in range(2))
        self.last = conv(channels, channels, 1, act=nn.SiLU)
        layers = (conv(half, half, 1, act=nn.SiLU), conv(half, half, act=nn.SiLU))
        self.block = Add(nn.Sequential(*layers))

    def forward(self, x):
        return self.last(torch.cat([self.block(self.left(x)), self.right(x)], 1))


class UNet(nn.Module):
    def __init__(self, upsample=None):
        super().__init__()
        self.down1, self.down2 = conv(3, 4), nn.Sequential(conv(4, 8), conv(8, 8))
        self.upsample = upsample or nn.Upsample(scale_factor=2)
        self.up, self.out = conv(12, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        skip = self.down1(x)
        low = self.upsample(self.down2(functional.max_pool2d(skip, 2)))
        return self.out(self.up(torch.cat([low, skip], 1)))


class DnCNN(nn.Module):
    """The noise is what is predicted, and subtracted from the image (or added to it)."""

    def __init__(self, channels, sign=-1):
        super().__init__()
        self.sign = sign
        last = nn.Conv2d(8, channels, 3, padding=1)
        self.layers = nn.Sequential(conv(channels, 8), conv(8, 8), last)

    def forward(self, x):
        noise = self.layers(x)
        return x - noise if self.sign < 0 else x + noise


class SuperResolution(nn.Module):
    """EDSR: residual blocks inside a long skip, and a pixel shuffle."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        blocks = (Add(nn.Sequential(conv(8, 8), conv(8, 8, act=None))) for _ in range(2))
        self.body = Add(nn.Sequential(*blocks, nn.Conv2d(8, 8, 3, padding=1)))
        self.tail = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x):
        return self.tail(self.body(self.head(x)))


class RepBlock(nn.Module):
    """RepVGG while it is trained: three branches, one of them the input."""

    def __init__(self, channels=8):
        super().__init__()
        self.wide, self.narrow = (
            conv(channels, channels, act=None),
            conv(channels, channels, 1, act=None),
        )

    def forward(self, x):
        return torch.relu(self.wide(x) + self.narrow(x) + x)


class TemporalBlock(nn.Module):
    """A TCN's: dilated causal convolutions along one axis."""

    def __init__(self, channels=4, dilation=2):
        super().__init__()
        self.pad = 2 * dilation
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=self.pad, dilation=dilation) for _ in range(2)
        )

    def forward(self, x):
        y = x
        for layer in self.convs:
            y = torch.relu(layer(y)[:, :, : -self.pad])
        return torch.relu(x + y)


class Steps(nn.Module):
    """The mean of a sequence."""

    def forward(self, x):
        return x.mean(2)


def tcn():
    last = nn.Conv1d(4, 8, 1)
    return nn.Sequential(TemporalBlock(), TemporalBlock(dilation=4), last, Steps(), nn.Linear(8, 3))


class EverySecondPixel(nn.Module):
    """A YOLO's stem: four images of every second pixel, side by side, and a convolution."""

    def __init__(self, filters):
        super().__init__()
        self.conv = nn.Conv2d(12, filters, 3, padding=1)

    def forward(self, x):
        columns = x[..., ::2], x[..., 1::2]
        return self.conv(torch.cat([c[:, :, i::2] for c in columns for i in (0, 1)], 1))


class Mask(nn.Module):
    """A sequence times a mask that residual blocks make of it, as for separating voices."""

    def __init__(self, channels=4):
        super().__init__()
        layers = (nn.Conv1d(channels, channels, 3, padding=1), nn.ReLU())
        self.block = Add(nn.Sequential(*layers, nn.Conv1d(channels, channels, 1)))
        self.last = nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.last(self.block(x)))


def masked():
    """One channel in, one channel out."""
    return nn.Sequential(nn.Conv1d(1, 4, 5, padding=2), Mask(), nn.ConvTranspose1d(4, 1, 4, 2, 1))


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 16), nn.GELU(), nn.Linear(16, channels))
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        return x + (self.scale * self.mlp(self.norm(y))).permute(0, 3, 1, 2)


class LayerScale(nn.Module):
    """ReZero: the main branch is scaled by one trained number."""

    def __init__(self):
        super().__init__()
        self.main, self.alpha = (
            nn.Sequential(conv(8, 8), conv(8, 8)),
            nn.Parameter(torch.tensor(0.5)),
        )

    def forward(self, x):
        return x + self.alpha * self.main(x)


def group_norm(channels):
    return nn.GroupNorm(2, channels)


class DenseLayer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        convolution = nn.Conv2d(channels, 4, 3, padding=1, bias=False)
        self.main = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), convolution)

    def forward(self, x):
        return torch.cat([x, self.main(x)], 1)


def gated_densenet():
    """Gates on tensors that lose channels with the concatenations."""
    layers = (DenseLayer(8), DenseLayer(12), Gate(16), conv(16, 8, 1), Gate(8, "linear"))
    return classified(conv(3, 8), *layers, conv(8, 8))


class SelfAttention(nn.Module):
    def forward(self, x):
        flat = x.flatten(2)
        return x + (
            torch.softmax(flat.transpose(1, 2) @ flat, -1) @ flat.transpose(1, 2)
        ).transpose(1, 2).reshape(x.shape)


class Largest(nn.Module):
    """Which channel is the largest, for every pixel."""

    def forward(self, x):
        return x.argmax(1)
