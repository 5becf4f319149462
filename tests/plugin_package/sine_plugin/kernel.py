"""The sine in C, for cores with a floating-point unit."""

from dero_tvm.kernels import CKernel, Request, register_kernel

from . import operator  # noqa: F401 (what the kernel is for)


@register_kernel("sine", features={"fpu"})
def sine(request: Request) -> CKernel | None:
    """Rows without gaps."""
    data, out = request.signature.inputs[0], request.signature.output
    if not (data.dense and out.dense):
        return None
    body = (
        f"data += row % data_rows * {data.row_stride};\n"
        f"for (int32_t i = 0; i < {data.row_stride}; ++i) {{\n"
        "  out[i] = sinf(data[i]);\n"
        "}\n"
    )
    return CKernel("sine_fpu", body)
