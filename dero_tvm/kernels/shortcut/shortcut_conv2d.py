"""Int8 convolutions with a virtual shortcut: the core's convolution, then the shortcut.

The kernel of the convolution writes its row where the result goes; element by element the steps of
the shortcut follow, the last of which takes the convolution's place.  Where the network normalises
what the convolution reads, and that alone, the convolution goes by blocks of pixels, each from a
patch in scratch (see `patches`).
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.conv2d import Conv2D
from relax_passes.operators.registry import PREFIX
from relax_passes.operators.shortcut_steps import CONV, DATA, Term, decode

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import candidates_of_part, register_kernel
from .patches import Patches
from .steps import NUMBERS, PER_CHANNEL, TABLES, Numbers, StepText, less
from .window import ShortcutWindow

_CONSTANTS = {PER_CHANNEL: "constants", TABLES: "tables"}  # the operator's own names of them


@register_kernel("shortcut_conv2d")
def shortcut_conv2d(request: Request) -> CKernel | None:
    """The kernel of the convolution on this core, and the shortcut's steps behind it."""
    s = request.signature
    if s.inputs[0].dtype != "int8" or s.inputs[0].shape[0] != 1:
        return None
    kernel = _kernel(request)
    if kernel is None:
        return None
    text, numbers = kernel.build(RowOffsets())
    constants = {NUMBERS: numbers.array()}
    constants |= {
        name: request.constants[own] for name, own in _CONSTANTS.items() if f"{name}[" in text
    }
    producer = kernel.producer
    return CKernel(
        f"{producer.name}_shortcut",
        lambda offsets: kernel.build(offsets)[0],
        {**producer.constants, **constants},
        kernel.scratch,
        (*producer.support, SUPPORT / "shortcut.h"),
        producer.qualifiers,
    )


def _kernel(request: Request) -> _Kernel | None:
    signature, constants = request.signature, request.constants["constants"]
    convolution = convolution_of(signature)
    if signature["normalisation"] < 0:
        producer = next(candidates_of_part(request, convolution), None)
        return None if producer is None else _Kernel(signature, constants, producer, None)
    most = 0
    while True:
        patches = Patches.of(convolution, most)
        kernels = candidates_of_part(request, patches.convolution)
        producer = next((k for k in kernels if k.pixels and not k.pixels.first), None)
        if producer is None or producer.pixels is None:
            return None
        if not producer.pixels.most or patches.pixels <= producer.pixels.most:
            return _Kernel(signature, constants, producer, patches)
        most = producer.pixels.most


def convolution_of(signature: Signature) -> Signature:
    """The convolution alone, of the same data into the same result."""
    attrs = {name: signature[name] for name in Conv2D.defaults}
    operands = signature.inputs[: len(Conv2D.arguments)]
    return Signature(PREFIX + Conv2D.name, operands, signature.output, attrs)


@dataclass(frozen=True)
class _Kernel:
    """A kernel of the convolution, and what comes before and behind it."""

    signature: Signature
    constants: np.ndarray  # what the steps have for each channel
    producer: CKernel
    patches: Patches | None

    @property
    def scratch(self) -> int:
        """Bytes, those of the convolution's kernel among them."""
        if self.patches is None:
            return self.producer.scratch
        return self.patches.scratch(self.producer)

    def build(self, offsets: RowOffsets) -> tuple[str, Numbers]:
        """The statements, where the rows lie as `offsets` says, and the numbers they read."""
        numbers = Numbers()
        if self.patches is None:
            convolution = self.producer.text(offsets)
        else:
            convolution = self.patches.text(
                self.signature, self.constants, self.producer, offsets, numbers
            )
        parts = [_scope(convolution), self._shortcut(offsets, numbers)]
        start = "const int8_t *const image = data;\nint8_t *const result = out;"
        return "\n".join([start, numbers.declarations(), *parts]), numbers

    def _shortcut(self, offsets: RowOffsets, numbers: Numbers) -> str:
        """The loops over the elements of the result."""
        s = self.signature
        window = ShortcutWindow(s, numbers)
        steps = decode(s["steps"])

        def convolved(term: Term, channel: str, before: list[str]) -> str:
            return less(f"to[{channel}]", term.zero, numbers)

        sources = {DATA: window.sum, CONV: convolved}
        text = StepText(steps, numbers, sources, window.taps, self.constants)
        lines: list[str] = []
        value = text.value(len(steps) - 1, "channel", lines)
        each = "\n".join([*lines, f"to[channel] = (int8_t){value};"])
        output = s.output
        return "\n".join(
            [
                window.rows(offsets),
                f"for (int32_t pixel = 0; pixel < {numbers.name(output.pixels)}; ++pixel) {{",
                _indented(window.columns()),
                f"  int8_t *const to = result + pixel * {numbers.name(output.pixel_stride)};",
                f"  for (int32_t channel = 0; channel < {numbers.name(output.channels)}; "
                "++channel) {",
                _indented(_indented(each)),
                "  }",
                "}",
            ]
        )


def _indented(text: str) -> str:
    return textwrap.indent(text, "  ")


def _scope(text: str) -> str:
    """A scope of its own: both parts have names of their own choice."""
    return f"{{\n{_indented(text.strip())}\n}}"
