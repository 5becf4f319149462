r"""Start weights with which a reorganized network computes nearly what the original computed.

Layer after layer, in order of execution, on calibration inputs:

* normalisations get the mean and variance that they meet, with the scale and shift that undo
  both: they begin as identities, in training as in inference;
* the convolution's weights W and bias b are solved for, so that they give, of what the reorganized
  network has computed up to there, the original's tensor in front of the activation.  That is the
  least squares problem

      sum over sampled pixels of |W patch(x) + b - original|^2  +  ridge |W - inherited W|^2

* the shortcut's normalisation is the method's freedom.  Within a block from which a residual was
  removed, the shortcuts pass on what they get: so the block's input travels along, and the last
  convolution of the block can take it from there.  Elsewhere each channel's scale and shift are
  those with which the sum is nearest to the original's tensor; where no channel of the shortcut
  helps, the scale comes out as zero.

Does not handle: layers whose width was refined and convolutions in gates stay as they were, and
so do the weights of a convolution with its pooling (a stem's); dense layers keep the original's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from relax_passes.reorganization.description import Architecture, Convolution

from .original_tensors import Samples
from .pytorch import require_pytorch

_RIDGE = 1e-3  # of the mean square of the patches' values
_ROWS = 2048  # of the matrix of patches that are multiplied at a time


def solved_start(
    network: Any,
    architecture: Architecture,
    modules: Mapping[str, str],
    samples: Mapping[str, Samples],
    images: Sequence[np.ndarray],
    progress: Callable[[str], None],
) -> None:
    """Give `network`, which has the inherited weights, the solved ones.

    `modules` has the path of each node's module, `samples` the original's tensors by name;
    `images` are the inputs as the network takes them, [N, ...] each; `progress` is told how many
    layers are solved for.
    """
    torch = require_pytorch()
    hooks: list[Any] = []

    def begun(number: int) -> None:
        progress(f"solving for start weights ({number} of {len(hooks)} layers)")

    for block in (block for stage in architecture.stages for block in stage.blocks):
        ends = [index for index, node in enumerate(block.nodes) if node.ends_join]
        for index, node in enumerate(block.nodes):
            if not isinstance(node, Convolution) or node.replaces not in samples:
                continue
            path, *inside = modules[node.name].split(".main")  # of convolution, pooling, shortcut
            layer, known = network.get_submodule(path), samples[node.replaces]
            if known.after.shape[-1] != node.out_channels:
                continue
            if not (inside or hasattr(layer, "conv")):
                continue
            passes_on = index not in ends and bool(ends) and index < ends[-1]
            first = next(layer.children())  # called first, also where main path is called alone
            solve = _Layer(layer, node, known, passes_on, partial(begun, len(hooks) + 1))
            hooks.append(first.register_forward_pre_hook(solve))
    was_training = network.training
    network.eval()
    with torch.no_grad():
        network(*(torch.from_numpy(np.ascontiguousarray(image)) for image in images))
    network.train(was_training)
    for hook in hooks:
        hook.remove()


class _Layer:
    """A convolution with its shortcut, solved for when it is called for the first time."""

    def __init__(
        self,
        layer: Any,
        node: Convolution,
        samples: Samples,
        passes_on: bool,
        begun: Callable[[], None],
    ) -> None:
        self.begun = begun
        self.layer, self.node, self.samples, self.passes_on = layer, node, samples, passes_on
        self.solved = False

    def __call__(self, _first: Any, inputs: tuple[Any, ...]) -> None:
        if self.solved:
            return
        self.solved = True  # the module itself is called below
        self.begun()
        torch, (x,) = require_pytorch(), inputs
        layer, node = self.layer, self.node
        steps = list(getattr(layer, "shortcut", ()))
        normalized = bool(steps) and isinstance(steps[-1], torch.nn.BatchNorm2d)
        before, after = (
            torch.from_numpy(values).transpose(1, 2)  # [N, channels, P]
            for values in (self.samples.before, self.samples.after)
        )
        if hasattr(layer, "conv"):
            self._convolution(x, before, after, normalized)
        else:
            _through_identities(layer.main, x)
        if normalized:
            self._shortcut(x, steps, after if node.final_activation is None else before)

    def _convolution(self, x: Any, before: Any, after: Any, normalized: bool) -> None:
        """Solve for the convolution, and set its normalisation."""
        layer, node = self.layer, self.node
        if node.norm == "before":
            _identity(layer.norm, x)
        target = before
        if node.shortcut is not None and not normalized:  # what it adds is fixed
            target = after - self._at(layer.shortcut(x))
        bias = self._solve(x, target)
        if node.norm == "after":
            padded = layer.pad(x) if hasattr(layer, "pad") else x
            _identity(layer.norm, layer.conv(padded))
            layer.norm.bias += bias
        elif layer.conv.bias is not None:
            layer.conv.bias.copy_(bias)

    def _at(self, image: Any) -> Any:
        """The sampled pixels of an image, [N, channels, P]."""
        rows, columns = self.samples.pixels.T
        return image[:, :, rows, columns]

    def _solve(self, x: Any, target: Any) -> Any:
        """Set the convolution's weights; returns the bias that belongs to them."""
        torch, conv, node = require_pytorch(), self.layer.conv, self.node
        inside, outside = node.in_channels // node.groups, node.out_channels // node.groups
        bias = []
        for group in range(node.groups):
            wanted = target[:, group * outside : (group + 1) * outside].transpose(1, 2)
            wanted = wanted.reshape(-1, outside)
            patches = self._patches(x[:, group * inside : (group + 1) * inside])
            part = conv.weight[group * outside : (group + 1) * outside]
            weight = part.reshape(outside, -1)
            mean, wanted_mean = patches.mean(0), wanted.mean(0)
            square = torch.zeros(patches.shape[1], patches.shape[1], dtype=torch.float64)
            product = torch.zeros(patches.shape[1], outside, dtype=torch.float64)
            for begin in range(0, len(patches), _ROWS):
                rows = patches[begin : begin + _ROWS] - mean
                missing = wanted[begin : begin + _ROWS] - wanted_mean - rows @ weight.T
                square += (rows.T @ rows).double()
                product += (rows.T @ missing).double()
            square.diagonal().add_(_RIDGE * square.diagonal().mean() + 1e-12)
            weight = weight + torch.linalg.solve(square, product).T.float()
            part.copy_(weight.reshape(part.shape))
            bias.append(wanted_mean - weight @ mean)
        return torch.cat(bias)

    def _patches(self, x: Any) -> Any:
        """What the convolution sees at the sampled pixels, [N * P, channels * window]."""
        torch, window = require_pytorch(), self.node.window
        top, left, bottom, right = window.padding
        padded = torch.nn.functional.pad(x, (left, right, top, bottom))
        pixels = torch.from_numpy(self.samples.pixels)
        rows, columns = (pixels[:, axis] * window.strides[axis] for axis in (0, 1))
        seen = [
            padded[:, :, rows + y * window.dilation[0], columns + z * window.dilation[1]]
            for y in range(window.kernel[0])
            for z in range(window.kernel[1])
        ]
        patches = torch.stack(seen, dim=-1)  # [N, channels, P, window]
        return patches.transpose(1, 2).reshape(-1, x.shape[1] * len(seen))

    def _shortcut(self, x: Any, steps: Sequence[Any], target: Any) -> None:
        """Set the shortcut's normalisation, its last step."""
        norm, image = steps[-1], _through_identities(steps[:-1], x)
        _identity(norm, image)
        if self.passes_on:
            return
        missing = target - self._at(self.layer.main(x))
        missing_mean = missing.mean((0, 2))
        spread = (norm.running_var + norm.eps).sqrt()[:, None]
        shortcut = (self._at(image) - norm.running_mean[:, None]) / spread
        centred = shortcut - shortcut.mean((0, 2))[:, None]
        scale = (centred * (missing - missing_mean[:, None])).mean((0, 2))
        scale = scale / (centred.square().mean((0, 2)) + 1e-6)
        norm.weight.copy_(scale)
        norm.bias.copy_(missing_mean - scale * shortcut.mean((0, 2)))


def _through_identities(steps: Iterable[Any], image: Any) -> Any:
    """What modules make of `image`, their normalisations adding no more than their shifts."""
    for step in steps:
        if isinstance(step, require_pytorch().nn.BatchNorm2d):
            shift = step.bias.clone()
            _identity(step, image)
            step.bias += shift
        image = step(image)
    return image


def _identity(norm: Any, image: Any) -> None:
    """Let a normalisation know the statistics of `image` and give it back as it is."""
    norm.running_mean.copy_(image.mean((0, 2, 3)))
    norm.running_var.copy_(image.var((0, 2, 3), unbiased=False))
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(norm.running_mean)
