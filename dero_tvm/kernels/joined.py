"""Kernels of joined operators: of two kernels, that of a convolution and that of an addition.

The convolution computes a block of pixels into scratch, the addition joins it with the same pixels
of the other operand, and so on along the row.  So there is one kernel for every pair of which both
parts have what that takes (see `PixelBlocks` and `ElementRun`), and it computes what they compute.
What differs from layer to layer is in a constant, so that layers of one kind share a function.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature, operator_of
from relax_passes.operators.joined import OTHER, PAIRS, Joined

from .c_kernel import CKernel, ElementRun, PixelBlocks, Request
from .fpu.elements import float_run
from .kernel_table import candidates, candidates_of_part, register_kernel

_BLOCK = 64  # bytes of results that are joined at a time: scratch against calls
_NUMBERS = """\
const int32_t most = blocks[2], channels = blocks[3];
const int32_t other_pixel = blocks[4], out_pixel = blocks[5];"""
_NUMBERS_OF_RUN = "const int32_t *const numbers = (const int32_t *)blocks + 6;"
_LOOP = """\
const int32_t pixels = blocks[0], first = blocks[1];
for (int32_t pixel = 0, count; pixel < pixels; pixel += count) {
  count = pixel > 0 ? most : first;
  count = count < pixels - pixel ? count : pixels - pixel;"""
_LOOP_OVER_COLUMNS = """\
for (int32_t pixel = column_begin, count; pixel < column_end; pixel += count) {
  count = most <= column_end - pixel ? most : 1;"""  # whole blocks, then single pixels


def joined(request: Request) -> CKernel | None:
    """The kernel of the operator's producer, joined block by block."""
    s = request.signature
    operator = operator_of(s.operator)
    assert isinstance(operator, Joined)
    producer = _preferred(operator.producer_of(s), request)
    if producer is None or producer.pixels is None:
        return None
    support: tuple[Path, ...] = ()
    if s.output.dtype == "float32":
        elements = float_run(operator.join_of(s))
    else:
        join = _preferred(operator.join_of(s), request)
        if join is None or join.elements is None:
            return None
        elements, support = join.elements, join.support
    blocks = _fitting(producer.pixels, s)
    body = _Body(s, blocks, elements, producer.scratch_end)
    return CKernel(
        f"{producer.name}_{operator.join.name}",
        body.text,
        {**producer.constants, "blocks": body.numbers},
        body.scratch + blocks.most * s.output.channels * s.output.itemsize,
        tuple(dict.fromkeys((*producer.support, *support))),
        producer.qualifiers,
        ranges=producer.ranges,
    )


for _pair in PAIRS.values():
    register_kernel(_pair)(joined)


def loses_kernels(request: Request) -> bool:
    """True for a joined operator without a kernel, though its two parts have one on this core."""
    operator = operator_of(request.signature.operator)
    if not isinstance(operator, Joined) or next(candidates(request), None) is not None:
        return False
    parts = operator.producer_of(request.signature), operator.join_of(request.signature)
    return any(_preferred(part, request) is not None for part in parts)


def _preferred(signature: Signature, request: Request) -> CKernel | None:
    """The kernel of one of the two operators, with pixels of the result side by side."""
    dense = replace(signature, output=replace(signature.output, pixel_stride=0))
    return next(candidates_of_part(request, dense), None)


def _fitting(blocks: PixelBlocks, signature: Signature) -> PixelBlocks:
    """`blocks` with a number of pixels; where any will do, one of which a row has a multiple."""
    output = signature.output
    if not (output.dense and signature.inputs[-1].dense):
        return replace(blocks, most=1, first=0)
    if blocks.most:
        return replace(blocks, most=min(blocks.most, output.pixels))
    most = min(max(1, _BLOCK // (output.channels * output.itemsize)), output.pixels)
    return replace(blocks, most=next(n for n in range(most, 0, -1) if output.pixels % n == 0))


@dataclass(frozen=True)
class _Body:
    """The text of the kernel."""

    signature: Signature
    blocks: PixelBlocks
    elements: ElementRun
    scratch: int  # bytes of the convolution's own, before those of a block

    @property
    def numbers(self) -> np.ndarray:
        """What `_NUMBERS` and `_LOOP` read, and what the run of elements does."""
        blocks, output = self.blocks, self.signature.output
        first = min(blocks.first or blocks.most, blocks.most)
        strides = self.signature.inputs[-1].pixel_stride, output.pixel_stride
        geometry = (output.pixels, first, blocks.most, output.channels, *strides)
        return np.array([*geometry, *self.elements.numbers], np.int32)

    def text(self, offsets: RowOffsets) -> str:
        """The statements, where the operands lie as `offsets` says."""
        a, b = (OTHER, "block") if self.signature["computed"] else ("block", OTHER)
        return "\n".join(
            [
                _NUMBERS,
                _NUMBERS_OF_RUN if self.elements.numbers else "",
                self.elements.before.strip(),
                self.blocks.before(offsets).strip(),
                self._pointers(offsets),
                _LOOP_OVER_COLUMNS if offsets.columns else _LOOP,
                _scope(self.blocks.block("pixel", "count", "block")),
                _scope(self.elements.run(a, b, "out", "count * channels")),
                f"  {OTHER} += count * other_pixel;",
                "  out += count * out_pixel;",
                "}",
            ]
        )

    def _pointers(self, offsets: RowOffsets) -> str:
        """Statements that declare the block, and move the other operand to its row."""
        s, spec = self.signature, self.signature.inputs[-1]
        place = f"scratch + {self.scratch}" if self.scratch else "scratch"
        row = offsets.first_at(OTHER, spec)
        if s.output.dtype == "int8":
            return f"int8_t *const block = {place};\n{OTHER} += {row};"
        return (
            f"arena_float *const block = (arena_float *)({place});\n"
            f"{OTHER} += ({row}) / {spec.itemsize};"
        )


def _scope(statements: str) -> str:
    """A scope of its own within the loop: both parts have names of their own choice."""
    return textwrap.indent(f"{{\n{textwrap.indent(statements.strip(), '  ')}\n}}", "  ")
