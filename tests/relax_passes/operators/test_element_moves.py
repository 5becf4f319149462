"""Chains of moves, as PyTorch programs have them: few operators in C, the elements of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from dero_tvm.frontends.load import load
from relax_passes import pipeline
from tests.compiled.framework_networks import FrameworkNetworks, Network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

IMAGE = (1, 2, 12, 10)
CHAINS = {  # what is done with an image of 8 channels, and the operators that do it
    "shuffle": (nn.ChannelShuffle(4), ["take"]),
    "pixels": (lambda x: x.view(1, 8, 12, 5, 2).transpose(3, 4).reshape(1, 8, 12, 10), ["take"]),
    "interleaved": (lambda x: x.repeat_interleave(2, dim=2), ["take"]),
    "tiled": (lambda x: x.view(1, 8, 12, 1, 10).repeat(1, 1, 1, 2, 1).view(1, 8, 24, 10), ["take"]),
    "nearest": (lambda x: x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 3)
                .reshape(1, 8, 24, 30), ["take", "take"]),
    "shuffled_pixels": (nn.PixelShuffle(2), ["depth_to_space"]),
    "unshuffled_pixels": (nn.PixelUnshuffle(2), ["space_to_depth"]),
    "deep": (lambda x: x.view(1, 8, 4, 3, 5, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 48, 4, 5),
             ["space_to_depth"]),
    "permuted": (lambda x: x.view(1, 8, 6, 2, 5, 2).permute(0, 5, 3, 1, 2, 4).reshape(1, 32, 6, 5),
                 ["space_to_depth", "take"]),
    "wide": (lambda x: x.view(1, 2, 4, 1, 12, 10).permute(0, 1, 4, 2, 5, 3).reshape(1, 2, 48, 10),
             ["depth_to_space"]),
    "shuffled": (lambda x: x.view(1, 2, 2, 2, 12, 10).permute(0, 2, 4, 1, 5, 3)
                 .reshape(1, 2, 24, 20), ["take", "depth_to_space"]),
    "mirrored": (lambda x: torch.flip(x, [2, 3]), ["take", "take"]),
    "rolled": (lambda x: torch.roll(x, 3, 2), ["take"]),
    "reflected": (nn.ReflectionPad2d((1, 2, 2, 1)), ["take", "take"]),
    "from_the_other_end": (lambda x: nn.functional.pad(x, (1, 2, 3, 0), mode="circular"),
                           ["take", "take"]),
    "last": (lambda x: x[:, :, -1:].expand(1, 8, 12, 10), ["slice", "take"]),
    "one": (lambda x: torch.index_select(x, 2, torch.tensor([5])), ["slice"]),
    "normalised": (lambda x: x / x.sum(1, keepdim=True).abs().clip(1.0).expand_as(x),
                   ["reduce", "unary", "divide"]),
}  # fmt: skip


def network(name: str) -> Network:
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Conv2d(2, 8, 3, padding=1), nn.LazyConv2d(2, 1)

        def forward(self, x):
            return self.after(CHAINS[name][0](self.before(x)))

    torch.manual_seed(0)
    module, x = Between().eval(), torch.randn(IMAGE)
    module(x)
    program = torch.export.export(module, (x,))
    expected = lambda x: module(torch.from_numpy(x)).detach().numpy()  # noqa: E731
    return Network(load(program), expected, 1e-5, x.numpy())


def test_networks_in_c(tmp_path) -> None:
    """Nothing is left to TVM, and nothing is transposed but input and output."""
    networks = FrameworkNetworks()
    for name, (_, expected) in CHAINS.items():
        called, _ = networks.add(name, network(name))
        between = [operator.removeprefix("dero.") for operator in called]
        ends = ("conv2d", "transpose", "reshape")
        assert [o for o in between if o not in ends] == expected, (name, called)
        assert called.count("dero.transpose") <= 2, (name, called)
    networks.check_outputs(tmp_path)


def test_a_chain_that_others_read_stays() -> None:
    """What lies between is a tensor of its own where something else has a use for it."""

    class Twice(nn.Module):
        def forward(self, x):
            parts = x.view(1, 2, 4, 12, 10)
            return parts.transpose(1, 2).reshape(1, 8, 12, 10), parts * 2

    x = torch.randn(1, 8, 12, 10)
    networks = FrameworkNetworks()
    loaded = load(torch.export.export(Twice().eval(), (x,)))
    called, _ = networks.add("twice", Network(loaded, np.copy, 0.0, x.numpy()))
    assert "dero.take" not in called


def test_shuffled_channels_of_a_reorganized_network() -> None:
    """The description of a network has them as a shuffle, which is written as one again."""

    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.a = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1, groups=2)
            self.shuffle, self.b = nn.ChannelShuffle(2), nn.Conv2d(8, 8, 3, padding=1)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            x = torch.relu(self.stem(x))
            x = torch.relu(x + self.b(self.shuffle(torch.relu(self.a(x)))))
            return self.head(x.mean((2, 3)))

    loaded = load(torch.export.export(Shuffled().eval(), (torch.randn(1, 3, 8, 8),)))
    module = pipeline.reorganize()(pipeline.Canonicalize()(loaded.module))
    called = [binding.value.op.name for binding in module["main"].body.blocks[0].bindings]
    at = called.index("dero.reshape")
    assert called[at : at + 3] == ["dero.reshape", "dero.transpose", "dero.reshape"]
