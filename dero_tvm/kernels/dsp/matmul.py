"""Products of two computed matrices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.fixed_point import int8_limits
from relax_passes.operators.matmul import Product
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .factors import pack_factors

_MOST_SUMS = 4096  # bytes of int32 sums that wait for the right operand's rows
_BEGIN = """\
const struct product *of = (const struct product *)product;
int32_t *words = (int32_t *)(void *)scratch;
a += {a};
dsp_product_widen(of, a, {split}, words);
"""
_COLUMNS = """\
for (int32_t n = 0; n < of->count; ++n) {{
  dsp_product_column(of, words, b + {b}, out + n);
}}
"""
_TERMS = """\
int32_t *sums = words + of->pixels * of->heads * dsp_product_words(of);
(void)memset(sums, 0, (uint32_t)(of->pixels * of->heads * of->units) * 4u);
for (int32_t k = 0; k < of->count; k += 2) {{
  int32_t last = k + 1 < of->count ? k + 1 : k;
  dsp_product_terms(of, words, k, b + {b}, b + {c}, sums);
}}
dsp_product_results(of, sums, out);
"""


@register_kernel("matmul", features={"dsp"})
def matmul(request: Request) -> CKernel | None:
    """A row of the left operand by one row of the right one, or two, at a time."""
    s = request.signature
    g = Product(s)
    if s.output.dtype != "int8" or g.b.pixels != 1:
        return None
    vectors = g.a.pixels * g.heads
    words = vectors * -(-g.depth // 4) * 8
    sums = 0 if g.transposed else vectors * g.units * 4
    if sums > _MOST_SUMS:
        return None

    def text(offsets: RowOffsets) -> str:
        def row_of_b(index: str) -> str:
            return right_row(g, offsets, index)

        begin = _BEGIN.format(
            a=offsets.at("a", "row", g.a.spec.row_stride), split=int(g.transposed)
        )
        if g.transposed:
            return begin + _COLUMNS.format(b=row_of_b("n"))
        return begin + _TERMS.format(b=row_of_b("k"), c=row_of_b("last"))

    record, rounding = product_record(s, g)
    name = "dsp_matmul" if g.transposed else "dsp_matmul_terms"
    return CKernel(
        name,
        text,
        {"product": record},
        scratch=words + sums,
        support=(*rounding, SUPPORT / f"{name}.h"),
    )


def right_row(g: Product, offsets: RowOffsets, index: str) -> str:
    """Where a row of the right operand lies, of the part that goes with the left one's."""
    row = f"(row / of->rows * of->count + {index})" if g.outer > 1 else f"({index})"
    return offsets.at("b", row, g.b.spec.row_stride)


def product_record(s: Signature, g: Product) -> tuple[np.ndarray, tuple[Path, ...]]:
    """A ``struct product``, and the file of its way of rounding."""
    a_zero, b_zero, out_zero = s["zero_points"]
    constants = {
        "bias": np.array([0]),
        "multiplier": np.array([s["multiplier"]]),
        "shift": np.array([s["shift"]]),
    }
    furthest = max(abs(end - b_zero) for end in (-128, 127))
    ends = SumRange.of(np.full((1, g.depth), furthest), a_zero)
    reached = SumRange(-ends.greatest, ends.greatest)
    factors = pack_factors(
        constants, replace(s, attrs={**s.attrs, "output_zero_point": out_zero}), reached
    )
    out = s.output
    split_out = s["apart"][2]
    values = (
        *(g.a.pixels, g.heads, g.depth, g.units),
        *(g.a.in_row(1, 0, 0), g.a.in_row(0, 1, 0), g.b.in_row(0, 1, 0)),
        *(g.heads * out.pixel_stride if split_out else out.pixel_stride,),
        *(out.pixel_stride if split_out else g.units,),
        *(g.a.rows, g.b.rows, a_zero, b_zero, factors.rounding, *int8_limits(s)),
        *factors.records[0],
    )
    return np.array(values, np.int32), factors.support
