"""Functions of one int8 variable, as tables."""

from __future__ import annotations

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .element_loop import element_loop


@register_kernel("lookup", features={"dsp"})
def lookup(request: Request) -> CKernel | None:
    """Eight elements at a time, whose loads and stores are words."""
    s = request.signature
    table = request.constants.get("table")
    if s.output.dtype != "int8" or table is None:
        return None
    return CKernel(
        "dsp_lookup",
        lambda offsets: offsets.rows_of(s) + element_loop("dsp_lookup", s, "table", offsets),
        {"table": table},
        support=(SUPPORT / "dsp_lookup.h",),
        ranges=True,
    )
