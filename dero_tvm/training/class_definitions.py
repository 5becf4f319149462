"""The classes that a generated network is built from, as source text.

Only what a network needs is written: a parameter that would have its default everywhere is not
there.  The texts follow the formula in `relax_passes.reorganization.description`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relax_passes.reorganization.description import Activation

from .activations import activation_class
from .python_text import Call, statement

CONVOLUTION = "ReorganizedConv2d"
PLAIN_CONVOLUTION = "NormalizedConv2d"
BRANCHES = "Reorganized"


@dataclass(frozen=True)
class ConvolutionClass:
    """What the convolutions of one class have in common.

    `activation` is the default; `sides` says that padding is given for each side (left, right, top,
    bottom), `pairs` that some sizes differ in height and width, `identity_norm` that a shortcut
    which changes no shape is normalised, too.
    """

    shortcut: bool
    norm: Literal["before", "after"] | None
    bias: bool
    activation: Activation | None
    activations_differ: bool = False
    groups: bool = False
    dilation: bool = False
    sides: bool = False
    pairs: bool = False
    identity_norm: bool = True

    @property
    def name(self) -> str:
        """Of the class."""
        return CONVOLUTION if self.shortcut else PLAIN_CONVOLUTION

    @property
    def is_linear(self) -> bool:
        """Whether no convolution has an activation."""
        return self.activation is None and not self.activations_differ


def convolution_source(kind: ConvolutionClass) -> str:
    """The class for most convolutions of a network."""
    size = "int | tuple[int, int]" if kind.pairs else "int"
    padding = (
        "padding: tuple[int, int, int, int] = (0, 0, 0, 0)"
        if kind.sides
        else f"padding: {size} = 0"
    )
    parameters = [
        "in_channels: int",
        "out_channels: int",
        f"kernel_size: {size}",
        f"stride: {size} = 1",
        padding,
    ]
    if kind.dilation:
        parameters.append(f"dilation: {size} = 1")
    if kind.groups:
        parameters.append("groups: int = 1")
    if kind.activations_differ:
        default = activation_class(kind.activation).expression
        parameters.append(f"activation: type[nn.Module] = {default}")
    lines = [f"class {kind.name}(nn.Module):", *_docstring(kind), ""]
    lines += ["    def __init__(", "        self,"]
    lines += [f"        {parameter}," for parameter in parameters]
    lines += ["    ) -> None:", "        super().__init__()"]
    lines += _layers(kind)
    if kind.shortcut:
        lines += _shortcut_steps(kind)
    lines += _forward(kind)
    return "\n".join(lines)


def _docstring(kind: ConvolutionClass) -> list[str]:
    formula = _main_formula(kind)
    if not kind.shortcut:
        return [f'    """{formula}"""']
    text = [
        f'    """{formula} + shortcut(x)',
        "",
        "    The shortcut goes around this one convolution and has no weights but its norm's. It",
        "    adds up the pixels of each window where the convolution has a stride, and matches",
        "    the number of channels.",
    ]
    if kind.sides:
        text += ["", "    `padding` is left, right, top, bottom."]
    return [*text, '    """']


def _main_formula(kind: ConvolutionClass) -> str:
    inner = {"before": "conv(norm(x))", "after": "norm(conv(x))", None: "conv(x)"}[kind.norm]
    return inner if kind.is_linear else f"activation({inner})"


def _layers(kind: ConvolutionClass) -> list[str]:
    arguments = ["in_channels", "out_channels", "kernel_size", "stride"]
    if not kind.sides:
        arguments.append("padding")
    named = [("dilation", "dilation")] * kind.dilation + [("groups", "groups")] * kind.groups
    if not kind.bias:
        named.append(("bias", "False"))
    lines = []
    if kind.norm == "before":
        lines.append("        self.norm = nn.BatchNorm2d(in_channels)")
    if kind.sides:
        lines.append("        self.pad = nn.ZeroPad2d(padding)")
    conv = Call("nn.Conv2d", tuple(arguments), tuple(named))
    lines.append(statement("self.conv = ", conv, 2))
    if kind.norm == "after":
        lines.append("        self.norm = nn.BatchNorm2d(out_channels)")
    if not kind.is_linear:
        only = activation_class(kind.activation).expression
        chosen = "activation" if kind.activations_differ else only
        lines.append(f"        self.activation = {chosen}()")
    return lines


def _shortcut_steps(kind: ConvolutionClass) -> list[str]:
    padding = "" if kind.sides else ", padding"
    lines = [
        "        steps: list[nn.Module] = []",
        "        if stride != 1:",
        "            window = stride if kernel_size == 1 else kernel_size",
    ]
    if kind.sides:
        lines.append("            steps.append(nn.ZeroPad2d(padding))")
    lines += [
        f"            steps.append(SumPool2d(window, stride{padding}))",
        "        if in_channels != out_channels:",
        "            steps.append(MatchChannels(out_channels))",
    ]
    if kind.identity_norm:
        return [
            *lines,
            "        self.shortcut = nn.Sequential(*steps, nn.BatchNorm2d(out_channels))",
        ]
    return [
        *lines,
        "        if steps:",
        "            steps.append(nn.BatchNorm2d(out_channels))",
        "        self.shortcut = nn.Sequential(*steps)",
    ]


def _forward(kind: ConvolutionClass) -> list[str]:
    conv = "self.conv({})"
    if kind.sides:
        conv = "self.conv(self.pad({}))"
    main = {
        "before": conv.format("self.norm(x)"),
        "after": f"self.norm({conv.format('x')})",
        None: conv.format("x"),
    }[kind.norm]
    if not kind.is_linear:
        main = f"self.activation({main})"
    if not kind.shortcut:
        return ["", "    def forward(self, x: Tensor) -> Tensor:", f"        return {main}"]
    return [
        "",
        "    def main(self, x: Tensor) -> Tensor:",
        f"        return {main}",
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        "        return self.main(x) + self.shortcut(x)",
    ]


BRANCHES_SOURCE = f'''\
class {BRANCHES}(nn.Module):
    """main(x) + shortcut(x)"""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)'''

SUM_POOL_SOURCE = '''\
class SumPool2d(nn.AvgPool2d):
    """The sum of each window; padding counts as zeros."""

    def forward(self, x: Tensor) -> Tensor:
        # Not by divisor_override=1, which the ONNX exporter leaves out without a word.
        size = self.kernel_size
        height, width = size if isinstance(size, tuple) else (size, size)
        return super().forward(x) * (height * width)'''

AVERAGE_POOL_SOURCE = '''\
class AveragePool2d(nn.Module):
    """The mean of those pixels of each window that lie in the image."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int],
        padding: tuple[int, int, int, int],
    ) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d(padding)
        self.pool = nn.AvgPool2d(kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        share = self.pool(self.pad(torch.ones_like(x[:1, :1])))
        return self.pool(self.pad(x)) / share'''

MATCH_CHANNELS_SOURCE = '''\
class MatchChannels(nn.Module):
    """x with another number of channels, without weights.

    Where x has fewer, zeros are appended. Where it has more, channel i of the result is
    the sum of channels i, i + channels, i + 2 * channels and so on.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        missing = -x.shape[1] % self.channels
        if missing:
            x = functional.pad(x, (0, 0, 0, 0, 0, missing))
        if x.shape[1] == self.channels:
            return x
        if x.shape[1] > 32 * self.channels:  # too many chunks to be operands one by one
            return x.unflatten(1, (-1, self.channels)).sum(1)
        total, *others = x.split(self.channels, dim=1)
        for chunk in others:
            total = total + chunk
        return total'''

SHUFFLE_CHANNELS_SOURCE = '''\
class ShuffleChannels(nn.Module):
    """The first channel of each group of x, then the second of each, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        apart = x.unflatten(1, (self.groups, x.shape[1] // self.groups))
        return apart.transpose(1, 2).flatten(1, 2)'''
