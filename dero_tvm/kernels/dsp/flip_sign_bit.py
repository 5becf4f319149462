"""uint8 to int8 and back."""

from __future__ import annotations

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .element_loop import element_loop


@register_kernel("flip_sign_bit", features={"dsp"})
def flip_sign_bit(request: Request) -> CKernel | None:
    """Eight elements at a time, as two words."""
    s = request.signature
    loop = element_loop("dsp_flip_sign_bits", s)
    return CKernel(
        "dsp_flip_sign_bits",
        lambda offsets: offsets.rows_of(s) + loop,
        support=(SUPPORT / "dsp_flip_sign_bits.h",),
    )
