"""Transposed convolutions of one group: each phase as the convolution that it is.

As in `conv2d`, the taps of one row of a window are one run of bytes, and a window that reaches
beyond the image is copied to scratch, with the zero point in place of what is missing.  Each phase
has weights of its own, and so biases in which the zero point is.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..transposed_phases import Phase, phases_of
from .dot import pack_factors, pack_weights
from .requantization import Requantization, requantization


@register_kernel("conv2d_transpose", features={"mve"})
def conv2d_transpose(request: Request) -> CKernel | None:
    """One pixel by four filters at a time."""
    s = request.signature
    phases = phases_of(s, request.constants)
    if phases is None:
        return None
    weight = request.constants["weight"]
    factors = []
    for phase in phases:
        sums = phase.weight.sum(axis=(1, 2, 3), dtype=np.int64)
        to = requantization(s, request.constants, sums)
        if to is None:
            return None
        factors.append(to)
    packed = [_packed(phase) for phase in phases]
    places = [
        (phase.first * s.output.pixel_stride, phase.columns, -phase.signature["padding"][1], start)
        for phase, start in zip(phases, np.cumsum([0, *(part.size for part in packed)]))
    ]
    shapes = [(*phase.kernel, phase.kernel[1] * weight.shape[3]) for phase in phases]
    constants = {
        "weights": np.concatenate(packed),
        "factors": np.concatenate([pack_factors(to).reshape(-1) for to in factors]),
        "places": np.array([p + s for p, s in zip(places, shapes)], np.int32),
    }
    scratch = max(rows * length for rows, _, length in shapes)
    support = tuple(SUPPORT / f"mve_{name}.h" for name in ("dot", "requantize", "window"))
    body = partial(_body, s, factors[0], max(rows for rows, _, _ in shapes))
    return CKernel("mve_conv2d_transpose", body, constants, max(scratch, 4), support)


def _packed(phase: Phase) -> np.ndarray:
    filters, rows, columns, channels = phase.weight.shape
    if not phase.weight.size:
        return np.zeros(0, np.int32)
    return pack_weights(phase.weight.reshape(filters, rows, columns * channels)).reshape(-1)


def _body(s: Signature, to: Requantization, most_rows: int, offsets: RowOffsets) -> str:
    """The statements of the kernel."""
    data, output = s.inputs[0], s.output
    (stride_h, stride_w), channels = s["strides"], output.channels
    height, width = data.shape[1:3]
    records = 12 * -(-channels // 4)
    count = "4" if channels % 4 == 0 else f"{channels} - channel < 4 ? {channels} - channel : 4"
    joined = "" if data.dense else " && g.kernel_w <= 1"
    return f"""\
const int32_t place = row + {s["padding"][0]}, remainder = place % {stride_h};
const int32_t *p = places + remainder * {7 * stride_w};
const int32_t *f = factors + remainder * {stride_w * records};
const int32_t top = place / {stride_h} - p[4] + 1;
const struct taps vertical = taps_inside(top, {height}, p[4], 1);
const int32_t inside = vertical.last - vertical.first == p[4];
const int8_t *rows[{max(most_rows, 1)}] = {{data}};
for (int32_t i = vertical.first; i < vertical.last; ++i) {{
  const int32_t y = top + i;
  rows[i] = data + {offsets.at("data", "y", data.row_stride)};
}}
for (int32_t phase = 0; phase < {stride_w}; ++phase, p += 7, f += {records}) {{
  const struct window g = {{
    .in_width = {width}, .channels = {data.channels}, .in_pixel = {data.pixel_stride},
    .kernel_h = (int16_t)p[4], .kernel_w = (int16_t)p[5], .dilation_w = 1,
    .zero_point = {s["input_zero_point"]},
  }};
  int8_t *pixel = out + p[0];
  for (int32_t left = p[2]; left < p[2] + p[1]; ++left) {{
    const int32_t read = inside && left >= 0 && left + g.kernel_w <= {width}{joined};
    if (!read) {{
      mve_copy_window(scratch, rows, &vertical, left, &g);
    }}
    const int32_t *w = weights + p[3], *to = f;
    for (int32_t channel = 0; channel < {channels}; channel += 4, to += 12) {{
      int32_t sums[4] = {{0, 0, 0, 0}};
      for (int32_t i = 0; i < g.kernel_h; ++i) {{
        const int8_t *x = read ? rows[i] + left * {data.pixel_stride} : scratch + i * p[6];
        int32_t length = p[6];
        for (; length >= 16; length -= 16) {{
          mve_dot(sums, &x, &w);
        }}
        if (length > 0) {{
          mve_dot_rest(sums, x, &w, length);
        }}
      }}
      const mve_int32x4 total = mve_add(mve_join(sums), mve_load(to));
      const mve_int32x4 scaled = {to.scale}(total, mve_load(to + 4), mve_load(to + 8));
      mve_store(pixel + channel, scaled, {to.limits}, {count});
    }}
    pixel += {stride_w * output.pixel_stride};
  }}
}}"""
