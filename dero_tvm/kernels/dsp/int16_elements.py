"""Sums, differences and products of two int16 tensors of one shape, as 16x8 networks have them.

TFLite's int16 tensors have no zero points, and the factors of a sum's operands are at most a half.
"""

from __future__ import annotations

from math import prod

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature, TensorSpec
from relax_passes.operators.fixed_point import integer_limits

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .element_loop import element_loop

_ADDITION = """\
static const struct dsp16_addition with = {{
  .left = {left}, .a = {{{a}}}, .b = {{{b}}}, .out = {{{out}}},
  .sign = {sign}, .twice = {twice}, .minimum = {minimum}, .maximum = {maximum},
}};
"""
_MULTIPLICATION = """\
static const struct dsp16_multiplication with = {{
  .factor = {{{multiplier}, {right}}}, .twice = {twice}, .minimum = {minimum}, .maximum = {maximum},
}};
"""
_HALF = (1 << 30, 0)  # the largest multiplier at this shift that is no more


@register_kernel("subtract", features={"dsp"})
@register_kernel("add", features={"dsp"})
def add(request: Request) -> CKernel | None:
    """All by multiplications of which the high word is kept."""
    s = request.signature
    if not _is_int16(s) or any(spec.shape != s.output.shape for spec in s.inputs):
        return None
    pairs = list(zip(s["multipliers"], s["shifts"]))
    # An operand below 2^15 becomes one below 2^30, times a half; so the sum of two is below 2^30.
    if s["left_shift"] > 15 or not all(m <= _HALF[0] or shift < 0 for m, shift in pairs[:2]):
        return None
    if not all(-30 <= shift <= 0 for _, shift in pairs):
        return None
    factors = dict(zip(("a", "b", "out"), (f"{m}, {-shift}" for m, shift in pairs)))
    minimum, maximum = integer_limits(s, "int16")
    body = _ADDITION.format(
        **factors,
        left=s["left_shift"],
        sign=1 if s.operator == "dero.add" else -1,
        twice=int(s["rounding"] == "double"),
        minimum=minimum,
        maximum=maximum,
    )
    return _kernel("dsp16_add_elements", s, body, ranges=True)


@register_kernel("multiply", features={"dsp"})
def multiply(request: Request) -> CKernel | None:
    """A product and a high word of one an element; an operand may have a number a channel."""
    s = request.signature
    if not _is_int16(s) or not all(_fits(spec, s.output) for spec in s.inputs):
        return None
    if not -30 <= s["shift"] <= 0:
        return None
    minimum, maximum = integer_limits(s, "int16")
    body = _MULTIPLICATION.format(
        multiplier=s["multiplier"],
        right=-s["shift"],
        twice=int(s["rounding"] == "double"),
        minimum=minimum,
        maximum=maximum,
    )
    return _kernel("dsp16_multiply_elements", s, body)


def _is_int16(signature: Signature) -> bool:
    return (
        signature.output.dtype == "int16"
        and signature["rounding"] != "even"
        and not any(signature["zero_points"])
    )


def _fits(operand: TensorSpec, out: TensorSpec) -> bool:
    per_channel = operand.channels == out.channels and prod(operand.shape[:-1]) == 1
    return operand.shape == out.shape or per_channel


def _kernel(function: str, signature: Signature, body: str, ranges: bool = False) -> CKernel:
    def text(offsets: RowOffsets) -> str:
        loop = element_loop(function, signature, "&with", offsets if ranges else None)
        places = [
            f"{name} = (const void *)((const int8_t *){name} + {offsets.first_at(name, spec)});\n"
            for name, spec in zip("ab", signature.inputs)
        ]
        return "".join([body, *places, loop])

    return CKernel(function, text, support=(SUPPORT / "dsp16_elements.h",), ranges=ranges)
