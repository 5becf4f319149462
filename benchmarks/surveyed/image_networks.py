"""Networks from images to images, maps, points and boxes, as they are published, but narrow."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .architecture import Family

IMAGES = Family()


def conv(
    given: int,
    made: int,
    size: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
    norm: type[nn.Module] | None = nn.BatchNorm2d,
) -> nn.Sequential:
    """A convolution with its normalisation and its function."""
    layers: list[nn.Module] = [
        nn.Conv2d(given, made, size, stride, size // 2, groups=groups, bias=norm is None)
    ]
    layers += [] if norm is None else [norm(made)]
    layers += [] if act is None else [act()]
    return nn.Sequential(*layers)


def separable(given: int, made: int, stride: int = 1) -> nn.Sequential:
    """A depthwise and a pointwise convolution."""
    return nn.Sequential(conv(given, given, 3, stride, groups=given), conv(given, made, 1))


class Residual(nn.Module):
    """``body(x) + shortcut(x)``, and a function."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: bool = True):
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Bilinear(nn.Module):
    """Twice as large, or larger, bilinearly."""

    def __init__(self, factor: int = 2, align_corners: bool = False):
        super().__init__()
        self.factor, self.align_corners = factor, align_corners

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(
            x, scale_factor=self.factor, mode="bilinear", align_corners=self.align_corners
        )


class UNet(nn.Module):
    """Contracting and expanding paths with concatenations, or additions, between them."""

    def __init__(self, up: str, widths: tuple[int, ...] = (8, 16, 32, 64), add: bool = False):
        super().__init__()
        self.add = add
        double = lambda a, b: nn.Sequential(conv(a, b), conv(b, b))  # noqa: E731
        self.down = nn.ModuleList(double(a, b) for a, b in zip((3, *widths), widths))
        ways = {
            "transposed": lambda a, b: nn.ConvTranspose2d(a, b, 2, 2),
            "transposed3": lambda a, b: nn.ConvTranspose2d(a, b, 3, 2, 1, 1),
            "transposed4": lambda a, b: nn.ConvTranspose2d(a, b, 4, 2, 1),
            "bilinear": lambda a, b: nn.Sequential(Bilinear(), conv(a, b, 1)),
            "bilinear3": lambda a, b: nn.Sequential(Bilinear(), conv(a, b)),
            "corners": lambda a, b: nn.Sequential(Bilinear(2, True), conv(a, b, 1)),
            "nearest": lambda a, b: nn.Sequential(nn.Upsample(scale_factor=2), conv(a, b)),
            "shuffle": lambda a, b: nn.Sequential(conv(a, 4 * b, 1), nn.PixelShuffle(2)),
        }
        pairs = list(zip(widths[:0:-1], widths[-2::-1]))
        self.up = nn.ModuleList(ways[up](a, b) for a, b in pairs)
        self.merge = nn.ModuleList(double(b if add else 2 * b, b) for _, b in pairs)
        self.head = nn.Conv2d(widths[0], 2, 1)

    def joined(self, level: int, skip: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """A skip with what comes from below, of a level counted from the lowest."""
        return y + skip if self.add else torch.cat([skip, y], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for layers in self.down:
            x = layers(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = skips.pop()
        for level, (up, merge) in enumerate(zip(self.up, self.merge)):
            x = merge(self.joined(level, skips.pop(), up(x)))
        return self.head(x)


for _up in "transposed transposed3 transposed4 bilinear corners nearest shuffle".split():
    IMAGES.add(f"unet_{_up}", "segmenter", lambda up=_up: UNet(up))
IMAGES.add("linknet", "segmenter", lambda: UNet("transposed3", add=True))


class AttentionUNet(UNet):
    """Whose skips are weighted by a gate made of the deeper map."""

    def __init__(self) -> None:
        super().__init__("bilinear")
        widths = (32, 16, 8)
        self.gate = nn.ModuleList(
            nn.Sequential(conv(2 * w, w // 2, 1), conv(w // 2, 1, 1, act=nn.Sigmoid))
            for w in widths
        )

    def joined(self, level: int, skip: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([skip * self.gate[level](torch.cat([skip, y], 1)), y], 1)


IMAGES.add("attention_unet", "segmenter", AttentionUNet)


@IMAGES.network("segmenter")
def fast_scnn() -> nn.Module:
    """With a pyramid of pooled maps of several sizes."""

    class FastSCNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(conv(3, 16, 3, 2), separable(16, 24, 2))
            self.deep = nn.Sequential(separable(24, 32, 2), separable(32, 32))
            self.parts = nn.ModuleList(conv(32, 8, 1) for _ in range(3))
            self.merge = conv(56, 32, 1)
            self.fuse = conv(24, 32, 1, act=None)
            self.head = nn.Sequential(separable(32, 32), nn.Conv2d(32, 4, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            low = self.stem(x)
            high = self.deep(low)
            size = high.shape[2:]
            pooled = [
                F.interpolate(part(F.adaptive_avg_pool2d(high, bins)), size, mode="bilinear")
                for part, bins in zip(self.parts, (1, 2, 4))
            ]
            high = self.merge(torch.cat([high, *pooled], 1))
            high = F.interpolate(high, low.shape[2:], mode="bilinear", align_corners=True)
            x = self.head(F.relu(self.fuse(low) + high))
            return F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=True)

    return FastSCNN()


SMALL = (1, 1, 32, 32)


@IMAGES.network("super resolution", SMALL)
def srcnn() -> nn.Module:
    """On an enlarged image."""
    return nn.Sequential(
        *(Bilinear(2), conv(1, 32, 9, norm=None), conv(32, 16, 5, norm=None)),
        nn.Conv2d(16, 1, 5, padding=2),
    )


@IMAGES.network("super resolution", SMALL)
def espcn() -> nn.Module:
    """Sub-pixel convolution."""
    return nn.Sequential(
        *(conv(1, 32, 5, act=nn.Tanh, norm=None), conv(32, 16, act=nn.Tanh, norm=None)),
        *(nn.Conv2d(16, 9, 3, padding=1), nn.PixelShuffle(3)),
    )


@IMAGES.network("super resolution", SMALL)
def fsrcnn() -> nn.Module:
    """PReLU and one transposed convolution of 9 x 9."""
    body = [layer for _ in range(3) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.PReLU(8))]
    return nn.Sequential(
        *(nn.Conv2d(1, 24, 5, padding=2), nn.PReLU(24), nn.Conv2d(24, 8, 1), nn.PReLU(8), *body),
        *(nn.Conv2d(8, 24, 1), nn.PReLU(24)),
        nn.ConvTranspose2d(24, 1, 9, 2, 4, output_padding=1),
    )


def _residual_body(width: int, blocks: int, norm: type[nn.Module] | None = None) -> list[nn.Module]:
    return [
        Residual(
            nn.Sequential(conv(width, width, norm=norm), conv(width, width, norm=norm, act=None)),
            act=False,
        )
        for _ in range(blocks)
    ]


@IMAGES.network("super resolution", (1, 3, 32, 32))
def edsr() -> nn.Module:
    """A residual body without normalisation."""
    body = Residual(
        nn.Sequential(*_residual_body(16, 4), nn.Conv2d(16, 16, 3, padding=1)), act=False
    )
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), body, nn.Conv2d(16, 64, 3, padding=1)),
        *(nn.PixelShuffle(2), nn.Conv2d(16, 3, 3, padding=1)),
    )


@IMAGES.network("super resolution", (1, 3, 32, 32))
def unshuffled() -> nn.Module:
    """An image made four times as deep first."""
    return nn.Sequential(
        *(nn.PixelUnshuffle(2), conv(12, 24), conv(24, 24)),
        *(nn.Conv2d(24, 48, 3, padding=1), nn.PixelShuffle(4)),
    )


@IMAGES.network("denoiser", SMALL)
def dncnn() -> nn.Module:
    """The noise, subtracted."""

    class Difference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            middle = [conv(16, 16) for _ in range(4)]
            self.body = nn.Sequential(
                conv(1, 16, norm=None), *middle, nn.Conv2d(16, 1, 3, padding=1)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - self.body(x)

    return Difference()


class Hourglass(nn.Module):
    """Maps that become smaller and larger again, with a residual at every size."""

    def __init__(self, depth: int, width: int):
        super().__init__()
        block = lambda: Residual(  # noqa: E731
            nn.Sequential(
                conv(width, width // 2, 1), conv(width // 2, width // 2), conv(width // 2, width, 1)
            )
        )
        self.skip, self.low1, self.low3 = block(), block(), block()
        self.low2 = Hourglass(depth - 1, width) if depth > 1 else block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(low, scale_factor=2, mode="nearest")


@IMAGES.network("pose")
def hourglass() -> nn.Module:
    """One hourglass of three levels."""
    return nn.Sequential(conv(3, 16, 7, 2), conv(16, 32), Hourglass(3, 32), nn.Conv2d(32, 8, 1))


@IMAGES.network("pose")
def simple_baseline() -> nn.Module:
    """A residual network, and three transposed convolutions of 4 x 4."""
    down = [
        Residual(nn.Sequential(conv(a, b, 3, 2), conv(b, b, act=None)), conv(a, b, 1, 2, act=None))
        for a, b in ((16, 24), (24, 32), (32, 48))
    ]
    up: list[nn.Module] = []
    for a, b in ((48, 32), (32, 32), (32, 32)):
        up += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(conv(3, 16, 3, 2), *down, *up, nn.Conv2d(32, 8, 1))


@IMAGES.network("pose")
def refined_pose() -> nn.Module:
    """Heat maps and affinity fields that a second stage reads together with the features."""

    class Pose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                conv(3, 16, 3, 2), separable(16, 32, 2), separable(32, 32)
            )
            self.first = nn.Sequential(conv(32, 32), nn.Conv2d(32, 12, 1))
            self.second = nn.Sequential(conv(44, 32, 7), conv(32, 32, 1), nn.Conv2d(32, 12, 1))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = self.features(x)
            maps = self.first(features)
            return maps, self.second(torch.cat([features, maps], 1))

    return Pose()


@IMAGES.network("pose")
def coordinates() -> nn.Module:
    """Points as the means of heat maps: softmax over all pixels."""

    class Points(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Sequential(conv(3, 16, 3, 2), separable(16, 32, 2), nn.Conv2d(32, 8, 1))
            self.register_buffer("place", torch.linspace(-1, 1, 16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.maps(x)
            heat = F.softmax(maps.flatten(2), -1).view(maps.shape)
            return torch.stack(
                [(heat.sum(2) * self.place).sum(-1), (heat.sum(3) * self.place).sum(-1)], -1
            )

    return Points()


@IMAGES.network("autoencoder")
def autoencoder() -> nn.Module:
    """Four strides, and their mirror."""
    widths = (8, 16, 32, 64)
    up: list[nn.Module] = []
    for a, b in ((64, 32), (32, 16), (16, 8)):
        up += [nn.ConvTranspose2d(a, b, 3, 2, 1, 1), nn.ReLU()]
    return nn.Sequential(
        *(conv(a, b, 3, 2, norm=None) for a, b in zip((3, *widths), widths)),
        *(*up, nn.ConvTranspose2d(8, 3, 3, 2, 1, 1), nn.Sigmoid()),
    )


@IMAGES.network("autoencoder", (1, 1, 32, 32))
def dense_autoencoder() -> nn.Module:
    """With a vector in its middle."""
    return nn.Sequential(
        *(conv(1, 8, 3, 2), conv(8, 16, 3, 2), nn.Flatten(), nn.Linear(1024, 32)),
        *(nn.Linear(32, 1024), nn.ReLU(), nn.Unflatten(1, (16, 8, 8))),
        *(nn.ConvTranspose2d(16, 8, 2, 2), nn.LeakyReLU(0.1), nn.ConvTranspose2d(8, 1, 2, 2)),
    )


@IMAGES.network("generator", (1, 32, 1, 1))
def dcgan() -> nn.Module:
    """From one pixel to an image."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(32, 64, 4, 1, 0, bias=False)]
    for a, b in ((64, 32), (32, 16)):
        layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
    return nn.Sequential(
        *(*layers, nn.BatchNorm2d(16), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh())
    )


@IMAGES.network("generator")
def style_transfer() -> nn.Module:
    """Reflected borders and normalisation by each image's own statistics."""

    def layer(a: int, b: int, size: int, stride: int = 1) -> list[nn.Module]:
        return [
            *(nn.ReflectionPad2d(size // 2), nn.Conv2d(a, b, size, stride)),
            *(nn.InstanceNorm2d(b, affine=True), nn.ReLU()),
        ]

    return nn.Sequential(
        *(*layer(3, 8, 9), *layer(8, 16, 3, 2), *layer(16, 32, 3, 2)),
        Residual(nn.Sequential(*layer(32, 32, 3), *layer(32, 32, 3)), act=False),
        *(nn.Upsample(scale_factor=2), *layer(32, 16, 3), nn.Upsample(scale_factor=2)),
        *(*layer(16, 8, 3), nn.ReflectionPad2d(4), nn.Conv2d(8, 3, 9)),
    )


@IMAGES.network("classifier")
def group_norm_resnet() -> nn.Module:
    """Groups of channels, normalised."""
    norm = lambda width: nn.GroupNorm(4, width)  # noqa: E731
    blocks = _residual_body(16, 2, norm)  # type: ignore[arg-type]
    return nn.Sequential(
        *(conv(3, 16, 3, 2, norm=norm), *blocks, conv(16, 32, 3, 2, norm=norm)),  # type: ignore[arg-type]
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


class Weighted(nn.Module):
    """Attention to channels, then to pixels: CBAM."""

    def __init__(self, width: int):
        super().__init__()
        self.channels = nn.Sequential(
            nn.Conv2d(width, width // 4, 1), nn.ReLU(), nn.Conv2d(width // 4, width, 1)
        )
        self.pixels = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.channels(F.adaptive_avg_pool2d(x, 1)) + self.channels(
            F.adaptive_max_pool2d(x, 1)
        )
        x = x * torch.sigmoid(gate)
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.pixels(both))


@IMAGES.network("classifier")
def cbam() -> nn.Module:
    """A residual network with attention to channels and pixels."""
    return nn.Sequential(
        *(conv(3, 16, 3, 2), Residual(nn.Sequential(conv(16, 16), conv(16, 16), Weighted(16)))),
        *(conv(16, 32, 3, 2), Residual(nn.Sequential(conv(32, 32), conv(32, 32), Weighted(32)))),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


@IMAGES.network("classifier")
def vgg() -> nn.Module:
    """Chains of convolutions, pooled."""
    layers: list[nn.Module] = []
    for a, b in ((3, 16), (16, 32), (32, 64)):
        layers += [conv(a, b), conv(b, b), nn.MaxPool2d(2)]
    return nn.Sequential(
        *(*layers, nn.Flatten(), nn.Linear(4096, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10))
    )
