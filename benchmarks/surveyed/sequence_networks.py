"""Networks along time: sound, sensors, lines of text."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .architecture import Family
from .image_networks import Residual, conv

SEQUENCES = Family()
SIGNAL = (1, 3, 256)


def conv1d(given: int, made: int, size: int, stride: int = 1, act: bool = True) -> nn.Sequential:
    """A convolution along time with its normalisation."""
    layers = [nn.Conv1d(given, made, size, stride, size // 2, bias=False), nn.BatchNorm1d(made)]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


@SEQUENCES.network("along time", SIGNAL)
def resnet_1d() -> nn.Module:
    """Residual blocks, as for electrocardiograms."""
    blocks = [
        Residual(
            nn.Sequential(conv1d(a, b, 7, 2), conv1d(b, b, 5, act=False)),
            conv1d(a, b, 1, 2, act=False),
        )
        for a, b in ((16, 24), (24, 32), (32, 48))
    ]
    return nn.Sequential(
        *(conv1d(3, 16, 15, 2), nn.MaxPool1d(3, 2, 1), *blocks),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, 5)),
    )


@SEQUENCES.network("along time", SIGNAL)
def inception_time() -> nn.Module:
    """Kernels of three lengths side by side, and a pooling."""

    class Block(nn.Module):
        def __init__(self, given: int) -> None:
            super().__init__()
            self.narrow = nn.Conv1d(given, 8, 1, bias=False)
            self.wide = nn.ModuleList(nn.Conv1d(8, 8, k, padding=k // 2) for k in (39, 19, 9))
            self.pooled = nn.Sequential(nn.MaxPool1d(3, 1, 1), nn.Conv1d(given, 8, 1))
            self.norm = nn.BatchNorm1d(32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.narrow(x)
            parts = [wide(y) for wide in self.wide]
            return F.relu(self.norm(torch.cat([*parts, self.pooled(x)], 1)))

    return nn.Sequential(
        *(Residual(nn.Sequential(Block(3), Block(32)), conv1d(3, 32, 1, act=False)), Block(32)),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 5)),
    )


class Causal(nn.Module):
    """Two causal convolutions with a dilation, and a shortcut."""

    def __init__(self, given: int, made: int, dilation: int):
        super().__init__()
        self.pad = 2 * dilation
        self.a = nn.Conv1d(given, made, 3, dilation=dilation)
        self.b = nn.Conv1d(made, made, 3, dilation=dilation)
        self.shortcut = nn.Conv1d(given, made, 1) if given != made else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.a(F.pad(x, (self.pad, 0))))
        y = F.relu(self.b(F.pad(y, (self.pad, 0))))
        return F.relu(y + self.shortcut(x))


@SEQUENCES.network("along time", SIGNAL)
def tcn() -> nn.Module:
    """Causal convolutions whose dilations double; the last step alone is read."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(Causal(3, 16, 1), Causal(16, 16, 2), Causal(16, 16, 4))
            self.head = nn.Linear(16, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(x)[:, :, -1])

    return Last()


@SEQUENCES.network("along time", SIGNAL)
def tcn_cropped() -> nn.Module:
    """Padded on both sides and cropped, as weight-normalised networks are written."""

    class Cropped(nn.Module):
        def __init__(self, given: int, made: int, dilation: int) -> None:
            super().__init__()
            self.cut = 2 * dilation
            self.a = nn.Conv1d(given, made, 3, padding=self.cut, dilation=dilation)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(self.a(x)[:, :, : -self.cut].contiguous())

    return nn.Sequential(
        Cropped(3, 16, 1), Cropped(16, 16, 2), Cropped(16, 16, 4), Cropped(16, 5, 8)
    )


@SEQUENCES.network("along time", (1, 1, 256))
def wavenet() -> nn.Module:
    """Gated dilated convolutions whose skips are added up."""

    class Wave(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv1d(1, 8, 1)
            self.gates = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=d) for d in (1, 2, 4, 8))
            self.skips = nn.ModuleList(nn.Conv1d(8, 12, 1) for _ in range(4))
            self.mixes = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))
            self.head = nn.Sequential(
                nn.ReLU(), nn.Conv1d(12, 12, 1), nn.ReLU(), nn.Conv1d(12, 4, 1)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x, total = self.first(x), 0
            for gate, skip, mix in zip(self.gates, self.skips, self.mixes):
                a, b = gate(F.pad(x, (gate.dilation[0], 0))).chunk(2, 1)
                y = torch.tanh(a) * torch.sigmoid(b)
                total, x = total + skip(y), x + mix(y)
            return self.head(total)

    return Wave()


@SEQUENCES.network("along time", (1, 1, 1024))
def m5() -> nn.Module:
    """Raw sound, by large strides."""
    layers: list[nn.Module] = [nn.Conv1d(1, 16, 80, 4), nn.BatchNorm1d(16), nn.ReLU()]
    for a, b in ((16, 16), (16, 32)):
        layers += [nn.MaxPool1d(4), nn.Conv1d(a, b, 3), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 8), nn.LogSoftmax(-1)
    )


@SEQUENCES.network("along time", SIGNAL)
def unet_1d() -> nn.Module:
    """Transposed convolutions along time."""

    class Along(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = conv1d(3, 8, 5), conv1d(8, 16, 5), conv1d(16, 32, 5)
            self.up1 = nn.ConvTranspose1d(32, 16, 4, 2, 1)
            self.up2 = nn.ConvTranspose1d(16, 8, 2, 2)
            self.d1, self.d2 = conv1d(32, 16, 3), conv1d(16, 8, 3)
            self.head = nn.Conv1d(8, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a = self.a(x)
            b = self.b(F.max_pool1d(a, 2))
            c = self.c(F.max_pool1d(b, 2))
            y = self.d1(torch.cat([self.up1(c), b], 1))
            return self.head(self.d2(torch.cat([self.up2(y), a], 1)))

    return Along()


@SEQUENCES.network("along time", SIGNAL)
def autoencoder_1d() -> nn.Module:
    """Along time to a short sequence, and back by bilinear steps."""
    return nn.Sequential(
        *(conv1d(3, 8, 7, 2), conv1d(8, 16, 5, 2), nn.Upsample(scale_factor=2, mode="linear")),
        *(conv1d(16, 8, 5), nn.Upsample(scale_factor=2), nn.Conv1d(8, 3, 3, padding=1)),
    )


@SEQUENCES.network("along time", (1, 40, 101))
def matchbox() -> nn.Module:
    """Separable convolutions along time, residual."""

    def separable(given: int, made: int, size: int, act: bool = True) -> nn.Sequential:
        across = nn.Conv1d(given, given, size, padding=size // 2, groups=given, bias=False)
        return nn.Sequential(across, conv1d(given, made, 1, act=act))

    def block(width: int, size: int) -> nn.Module:
        body = nn.Sequential(
            separable(width, width, size), separable(width, width, size, act=False)
        )
        return Residual(body, conv1d(width, width, 1, act=False))

    return nn.Sequential(
        *(separable(40, 32, 11), block(32, 13), block(32, 15)),
        *(nn.Conv1d(32, 12, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
    )


@SEQUENCES.network("spoken words", (1, 1, 49, 10))
def ds_cnn() -> nn.Module:
    """Depthwise separable, on a spectrogram."""
    body = [nn.Sequential(conv(32, 32, groups=32), conv(32, 32, 1)) for _ in range(4)]
    stem = nn.Sequential(
        nn.Conv2d(1, 32, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(32), nn.ReLU()
    )
    return nn.Sequential(
        stem, *body, nn.AvgPool2d((25, 5)), nn.Flatten(), nn.Linear(32, 12), nn.Softmax(1)
    )


@SEQUENCES.network("spoken words", (1, 1, 40, 64))
def bc_resnet() -> nn.Module:
    """A mean over frequencies goes on along time, and is added to all of them."""

    class Broadcast(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.two = nn.Sequential(
                nn.Conv2d(width, width, (3, 1), padding=(1, 0), groups=width), nn.BatchNorm2d(width)
            )
            self.one = nn.Sequential(
                nn.Conv2d(width, width, (1, 3), padding=(0, 1), groups=width),
                *(nn.BatchNorm2d(width), nn.SiLU(), nn.Conv2d(width, width, 1)),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.two(x)
            return F.relu(x + y + self.one(y.mean(2, keepdim=True)))

    return nn.Sequential(
        *(conv(1, 16, 5, 2), Broadcast(16), Broadcast(16), nn.Conv2d(16, 8, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


@SEQUENCES.network("recurrent", (1, 1, 32, 96))
def crnn() -> nn.Module:
    """Convolutions over a line of text, and a recurrent layer along it."""

    class CRNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *(conv(1, 16), nn.MaxPool2d(2), conv(16, 24), nn.MaxPool2d(2)),
                *(conv(24, 32), nn.MaxPool2d((2, 1)), nn.Conv2d(32, 32, (4, 1))),
            )
            self.lstm = nn.LSTM(32, 24, bidirectional=True, batch_first=True)
            self.head = nn.Linear(48, 20)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.body(x).squeeze(2).permute(0, 2, 1)
            return F.log_softmax(self.head(self.lstm(y)[0]), -1)

    return CRNN()


@SEQUENCES.network("recurrent", (1, 1, 64, 32))
def crnn_gru() -> nn.Module:
    """Sound events: convolutions over frequencies, then a GRU along time."""

    class Events(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                conv(1, 8), nn.MaxPool2d((1, 4)), conv(8, 16), nn.MaxPool2d((1, 4))
            )
            self.gru = nn.GRU(32, 16, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.body(x).permute(0, 2, 1, 3).flatten(2)
            return torch.sigmoid(self.head(self.gru(y)[0]))

    return Events()


@SEQUENCES.network("recurrent", (1, 64, 6))
def lstm_classifier() -> nn.Module:
    """Activities from sensors: the last step of two layers."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(6, 16, 2, batch_first=True)
            self.head = nn.Linear(16, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(x)[0][:, -1])

    return Last()


@SEQUENCES.network("along time", (1, 1, 256))
def conv_tasnet() -> nn.Module:
    """Sources by masks: one normalisation of all steps, and a decoder that overlaps and adds."""

    class Separation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Conv1d(1, 16, 16, 8, bias=False)
            self.norm = nn.GroupNorm(1, 16)
            self.body = nn.Sequential(
                *(nn.Conv1d(16, 16, 1), nn.PReLU()),
                *(nn.Conv1d(16, 16, 3, padding=2, dilation=2, groups=16), nn.PReLU()),
                nn.Conv1d(16, 32, 1),
            )
            self.decoder = nn.ConvTranspose1d(16, 1, 16, 8, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            w = F.relu(self.encoder(x))
            masks = torch.sigmoid(self.body(self.norm(w)))
            return torch.cat([self.decoder(w * mask) for mask in masks.chunk(2, 1)], 1)

    return Separation()
