"""Kept operators for which PyTorch has functions on images, channels first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dero_tvm.boundary.errors import UserError
from relax_passes.operators.depth_to_space import block_of
from relax_passes.operators.resize2d import nearest_table
from relax_passes.reorganization.description import KeptOperator

from .kept_in_layout import Attributes, numbers


def _conv2d(_node: KeptOperator, a: Attributes, x: str, constants: Sequence[str]) -> str:
    weight, bias = constants
    top, left, bottom, right = a["padding"]
    padding = f"({top}, {left})"
    if (top, left) != (bottom, right):
        x, padding = f"functional.pad({x}, ({left}, {right}, {top}, {bottom}))", "0"
    return (
        f"functional.conv2d({x}, {weight}.permute(0, 3, 1, 2), {bias}, {a['strides']}, "
        f"{padding}, {a['dilation']}, {a['groups']})"
    )


def _conv2d_transpose(node: KeptOperator, a: Attributes, x: str, constants: Sequence[str]) -> str:
    weight, bias = constants
    top, left, bottom, right = a["padding"]
    extra, groups = a["output_padding"], a["groups"]
    weight += (
        ".permute(3, 0, 1, 2)"
        if groups == 1
        else f".unflatten(0, ({groups}, -1)).permute(0, 4, 1, 2, 3).flatten(0, 1)"
    )
    same = (top, left) == (bottom, right)
    padding = (top, left) if same else (0, 0)
    result = (
        f"functional.conv_transpose2d({x}, {weight}, {bias}, {a['strides']}, {padding}, {extra}, "
        f"{groups}, {a['dilation']})"
    )
    height, width = node.literal_shape[1:3]
    return result if same else f"{result}[:, :, {top}:{top + height}, {left}:{left + width}]"


def _adaptive_pool2d(_node: KeptOperator, a: Attributes, x: str, _constants: Sequence[str]) -> str:
    return f"functional.adaptive_avg_pool2d({x}, {numbers(a['size'])})"


def _pool2d(node: KeptOperator, a: Attributes, x: str, _constants: Sequence[str]) -> str:
    top, left, bottom, right = a["padding"]
    window = f"{numbers(a['pool_size'])}, {numbers(a['strides'])}"

    def padded(image: str, value: str) -> str:
        if not any(a["padding"]):
            return image
        return f"functional.pad({image}, ({left}, {right}, {top}, {bottom}), value={value})"

    if a["kind"] == "max":
        x = padded(x, '-float("inf")')
        return f"functional.max_pool2d({x}, {window}, 0, {numbers(a['dilation'])})"
    if a["dilation"] != (1, 1):
        raise UserError(
            f"{node.title}: PyTorch has no {a['kind']} pooling with dilation {list(a['dilation'])}"
        )
    mean = f"functional.avg_pool2d({padded(x, '0.0')}, {window})"
    if a["kind"] == "sum":
        height, width = a["pool_size"]
        return f"{mean} * {height * width}"
    if a["count_include_pad"] or not any(a["padding"]):
        return mean
    return f"{mean} / functional.avg_pool2d({padded(f'torch.ones_like({x})', '0.0')}, {window})"


def _depth_to_space(node: KeptOperator, a: Attributes, x: str, _constants: Sequence[str]) -> str:
    rows, columns = block_of(a)
    channels = node.shape[-1]
    if a["order"] == "CRD":
        if rows == columns:
            return f"functional.pixel_shuffle({x}, {rows})"
        apart = f"{x}.unflatten(1, ({channels}, {rows}, {columns})).permute(0, 1, 4, 2, 5, 3)"
    else:
        apart = f"{x}.unflatten(1, ({rows}, {columns}, {channels})).permute(0, 3, 4, 1, 5, 2)"
    return f"{apart}.flatten(4).flatten(2, 3)"


def _space_to_depth(_node: KeptOperator, a: Attributes, x: str, _constants: Sequence[str]) -> str:
    rows, columns = block_of(a)
    if a["order"] == "CRD" and rows == columns:
        return f"functional.pixel_unshuffle({x}, {rows})"
    apart = f"{x}.unflatten(3, (-1, {columns})).unflatten(2, (-1, {rows}))"
    order = "0, 1, 3, 5, 2, 4" if a["order"] == "CRD" else "0, 3, 5, 1, 2, 4"
    return f"{apart}.permute({order}).flatten(1, 3)"


def _resize2d(node: KeptOperator, a: Attributes, x: str, _constants: Sequence[str]) -> str:
    """The pixels that are copied, one by one: PyTorch rounds in another way than most models."""
    scales = a["scale"] or (None, None)
    how = (a["coordinates"], a["rounding"], a["arithmetic"])
    rows, columns = (
        list(nearest_table(length, size, scale, *how))
        for length, size, scale in zip(node.input_shapes[0][1:3], a["size"], scales)
    )
    return f"{x}[:, :, {rows}][:, :, :, {columns}]"


def _resize_bilinear(node: KeptOperator, a: Attributes, x: str, _constants: Sequence[str]) -> str:
    old, size = node.input_shapes[0][1:3], tuple(a["size"])
    factors = tuple(new / length for new, length in zip(size, old))
    known = a["scale"] is None or tuple(a["scale"]) == factors
    corners = {"half_pixel": False, "pytorch_half_pixel": False, "align_corners": True}
    if a["coordinates"] not in corners or not known:
        raise UserError(
            f"{node.title}: PyTorch has no bilinear resizing with the coordinates "
            f"{a['coordinates']} by {factors[0]:g} and {factors[1]:g}"
        )
    aligned = corners[a["coordinates"]]
    return f'functional.interpolate({x}, {size}, mode="bilinear", align_corners={aligned})'


ON_IMAGES: dict[str, Callable[[KeptOperator, Attributes, str, Sequence[str]], str]] = {
    "conv2d": _conv2d,
    "conv2d_transpose": _conv2d_transpose,
    "pool2d": _pool2d,
    "adaptive_pool2d": _adaptive_pool2d,
    "depth_to_space": _depth_to_space,
    "space_to_depth": _space_to_depth,
    "resize2d": _resize2d,
    "resize_bilinear": _resize_bilinear,
}
