"""Small networks with several branches of their own, as PyTorch modules with random weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.training.network_families import basic, conv


class TwoHeads(nn.Module):
    """Detection heads on two resolutions of a residual backbone."""

    def __init__(self):
        super().__init__()
        self.low, self.high = nn.Sequential(conv(3, 8), basic(8, 8)), basic(8, 8, 2)
        self.heads = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in range(2))

    def forward(self, x):
        low = self.low(x)
        return self.heads[0](low), self.heads[1](self.high(low))


class DualPath(nn.Module):
    """The pyramid of resolutions of an HRNet, fused by addition."""

    def __init__(self):
        super().__init__()
        self.stem, self.down, self.back = conv(3, 8), conv(8, 8, stride=2), conv(8, 8, 1, act=None)
        self.high, self.low = basic(8, 8), basic(8, 8)
        self.across = conv(8, 8, stride=2, act=None)
        self.last = conv(8, 8)

    def forward(self, x):
        x = self.stem(x)
        high, low = self.high(x), self.low(self.down(x))
        up = functional.interpolate(self.back(low), scale_factor=2, mode="nearest")
        fused = torch.relu(high + up)
        down = torch.relu(low + self.across(high))
        return self.last(fused).mean((2, 3)) + self.last(down).mean((2, 3))
