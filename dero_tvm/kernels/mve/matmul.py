"""Products of two computed matrices, the right one transposed; others are left to DSP's kernel."""

from __future__ import annotations

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators.matmul import Product

from ..c_kernel import SUPPORT, CKernel, Request
from ..dsp.matmul import product_record, right_row
from ..kernel_table import register_kernel

_BODY = """\
const struct product *of = (const struct product *)product;
int32_t *begins = (int32_t *)(void *)scratch;
a += {a};
mve_product_begin(of, a, begins);
for (int32_t n = 0; n < of->count; ++n) {{
  mve_product_column(of, begins, a, b + {b}, out + n);
}}
"""


@register_kernel("matmul", features={"mve"})
def matmul(request: Request) -> CKernel | None:
    """16 products of one result at a time."""
    s = request.signature
    g = Product(s)
    if s.output.dtype != "int8" or g.b.pixels != 1 or not g.transposed:
        return None

    def text(offsets: RowOffsets) -> str:
        left = offsets.at("a", "row", g.a.spec.row_stride)
        return _BODY.format(a=left, b=right_row(g, offsets, "n"))

    record, rounding = product_record(s, g)
    return CKernel(
        "mve_matmul",
        text,
        {"product": record},
        scratch=4 * g.a.pixels * g.heads,
        support=(*rounding, SUPPORT / "mve_matmul.h"),
    )
