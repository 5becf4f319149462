"""float32 kernels beside hand-written loops, as a Markdown table.

    python benchmarks/float_kernels.py [--boards BOARD,...] MODEL ...

Every convolution and dense layer of the models, each shape once, runs in QEMU on whole tensors:
with the kernel that a board gets at -O2, and with three plain loop orders in C, each at -O2 and at
-O3, multiplications and additions contracted to fused ones.  All sizes are literals in the plain
loops, so the compiler knows as much as it can.

    dot product      for each pixel, filter: sum over the window, channels innermost
    filters inside   for each pixel, tap: add to the sums of all filters; weights transposed
    pixel blocks     for each filter: four pixels of the row at a time share each weight
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from instructions import models_on_boards

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.kernels import CKernel, Request, candidates, requests_of
from dero_tvm.kernels.float_literals import float_literal
from dero_tvm.tuning.measure import measure, meter_of
from dero_tvm.tuning.trial import Trial, trial_of
from relax_passes.operators import Signature, operator_of

LEVELS = ("-O2", "-O3")
CONTRACT = "-ffp-contract=fast"  # which -std=c11 turns off

_DOT = """\
for (int x = 0; x < OUT_W; ++x) {
  for (int f = 0; f < FILTERS; ++f) {
    float sum = bias[f];
    for (int kh = 0; kh < KERNEL_H; ++kh) {
      int y = row * STRIDE_H - TOP + kh;
      if (y < 0 || y >= IN_H) continue;
      for (int kw = 0; kw < KERNEL_W; ++kw) {
        int at = x * STRIDE_W - LEFT + kw;
        if (at < 0 || at >= IN_W) continue;
        const float *in = (const float *)data + (y % data_rows * IN_W + at) * CHANNELS;
        const float *w = (const float *)weight + ((f * KERNEL_H + kh) * KERNEL_W + kw) * CHANNELS;
        for (int c = 0; c < CHANNELS; ++c) sum += in[c] * w[c];
      }
    }
    out[x * FILTERS + f] = LIMIT(sum);
  }
}
"""
_FILTERS = """\
for (int x = 0; x < OUT_W; ++x) {
  float sums[FILTERS];
  for (int f = 0; f < FILTERS; ++f) sums[f] = bias[f];
  for (int kh = 0; kh < KERNEL_H; ++kh) {
    int y = row * STRIDE_H - TOP + kh;
    if (y < 0 || y >= IN_H) continue;
    for (int kw = 0; kw < KERNEL_W; ++kw) {
      int at = x * STRIDE_W - LEFT + kw;
      if (at < 0 || at >= IN_W) continue;
      const float *in = (const float *)data + (y % data_rows * IN_W + at) * CHANNELS;
      const float *w = (const float *)weight + (kh * KERNEL_W + kw) * CHANNELS * FILTERS;
      for (int c = 0; c < CHANNELS; ++c) {
        for (int f = 0; f < FILTERS; ++f) sums[f] += in[c] * w[c * FILTERS + f];
      }
    }
  }
  for (int f = 0; f < FILTERS; ++f) out[x * FILTERS + f] = LIMIT(sums[f]);
}
"""
_PIXELS = """\
for (int f = 0; f < FILTERS; ++f) {
  for (int x = 0; x < OUT_W;) {
    int left = x * STRIDE_W - LEFT, step = STRIDE_W * CHANNELS;
    if (x + 4 <= OUT_W && left >= 0 && left + 3 * STRIDE_W + KERNEL_W <= IN_W) {
      float s0 = bias[f], s1 = s0, s2 = s0, s3 = s0;
      for (int kh = 0; kh < KERNEL_H; ++kh) {
        int y = row * STRIDE_H - TOP + kh;
        if (y < 0 || y >= IN_H) continue;
        const float *in = (const float *)data + (y % data_rows * IN_W + left) * CHANNELS;
        const float *w = (const float *)weight + (f * KERNEL_H + kh) * KERNEL_W * CHANNELS;
        for (int c = 0; c < KERNEL_W * CHANNELS; ++c) {
          s0 += in[c] * w[c];
          s1 += in[c + step] * w[c];
          s2 += in[c + 2 * step] * w[c];
          s3 += in[c + 3 * step] * w[c];
        }
      }
      out[x * FILTERS + f] = LIMIT(s0);
      out[(x + 1) * FILTERS + f] = LIMIT(s1);
      out[(x + 2) * FILTERS + f] = LIMIT(s2);
      out[(x + 3) * FILTERS + f] = LIMIT(s3);
      x += 4;
      continue;
    }
    float sum = bias[f];
    for (int kh = 0; kh < KERNEL_H; ++kh) {
      int y = row * STRIDE_H - TOP + kh;
      if (y < 0 || y >= IN_H) continue;
      for (int kw = 0; kw < KERNEL_W; ++kw) {
        if (left + kw < 0 || left + kw >= IN_W) continue;
        const float *in = (const float *)data + (y % data_rows * IN_W + left + kw) * CHANNELS;
        const float *w = (const float *)weight + ((f * KERNEL_H + kh) * KERNEL_W + kw) * CHANNELS;
        for (int c = 0; c < CHANNELS; ++c) sum += in[c] * w[c];
      }
    }
    out[x * FILTERS + f] = LIMIT(sum);
    ++x;
  }
}
"""
ORDERS = {"dot product": _DOT, "filters inside": _FILTERS, "pixel blocks": _PIXELS}


def main() -> None:
    """Print the table."""
    arguments = models_on_boards(__doc__).parse_args()
    networks = [
        dero_tvm.compile(path, target="host", dero="none").network for path in arguments.models
    ]
    print(
        "| layer | core | instructions | for each MAC | best plain loops | instructions | ratio |"
    )
    print("|---|---|---:|---:|---|---:|---:|")
    for name in arguments.boards.split(","):
        board = load_board(name)
        core = board.core.removeprefix("cortex-").upper()
        requests = {
            str((request.signature, request.signature.attrs)): request
            for network in networks
            for request in requests_of(network, board.features).values()
            if wanted(request)
        }
        rows = list(requests.values())
        own = [Trial(request, (next(candidates(request), None),)) for request in rows]
        best = [cost for (cost,) in measure(own, meter_of(board))]
        plain: list[dict[str, int]] = [{} for _ in rows]
        for level in LEVELS:
            meter = meter_of(replace(board, flags=(*board.flags, level, CONTRACT)))
            trials = [Trial(request, tuple(by_hand(request))) for request in rows]
            for found, costs in zip(plain, measure(trials, meter)):
                found.update({f"{order} {level}": c for order, c in zip(ORDERS, costs)})
        for request, cost, others in zip(rows, best, plain):
            order = min(others, key=others.__getitem__)
            operator = operator_of(request.signature.operator)
            macs = operator.macs(request.signature) if operator else 0
            described = trial_of(request).described.replace(" float32", "")
            cells = [described, core, f"{cost:,}", f"{cost / macs:.2f}", order]
            cells += [f"{others[order]:,}", f"{cost / others[order]:.2f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


def wanted(request: Request) -> bool:
    """Whether it is a float32 convolution of one group, or a dense layer."""
    s = request.signature
    return (
        s.operator in ("dero.conv2d", "dero.dense")
        and s.inputs[0].dtype == "float32"
        and s.attrs.get("groups", 1) == 1
    )


def by_hand(request: Request) -> Iterator[CKernel]:
    """The three loop orders for a layer."""
    weight = request.constants["weight"]
    if weight.ndim == 2:
        weight = weight[:, None, None, :]
    for name, body in ORDERS.items():
        packed = weight.transpose(1, 2, 3, 0) if body is _FILTERS else weight
        constants = {"weight": np.ascontiguousarray(packed), "bias": request.constants["bias"]}
        names = sizes(request.signature, weight.shape)
        for word, value in names.items():
            body = body.replace(word, str(value))
        body = limited(body, request.signature)
        yield CKernel(name.replace(" ", "_"), body, constants)


def sizes(s: Signature, weight: tuple[int, ...]) -> dict[str, int]:
    """What the names in the texts stand for."""
    data, out = s.inputs[0], s.output
    (stride_h, stride_w), padding = s.attrs.get("strides", (1, 1)), s.attrs.get("padding", (0, 0))
    return {
        **{"OUT_W": out.pixels, "IN_H": data.rows, "IN_W": data.pixels},
        **{"FILTERS": weight[0], "KERNEL_H": weight[1], "KERNEL_W": weight[2]},
        **{"CHANNELS": weight[3], "STRIDE_H": stride_h, "STRIDE_W": stride_w},
        **{"TOP": padding[0], "LEFT": padding[1]},
    }


def limited(body: str, s: Signature) -> str:
    """`body` with the clamp written out."""
    low, high = s["minimum"], s["maximum"]
    if high is not None:
        raise SystemExit("a clamp from above is not among the plain loops")
    bound = "" if low is None else float_literal(low, "float32")
    clamp = rf"\1 > {bound} ? \1 : {bound}" if bound else r"\1"
    return re.sub(r"LIMIT\((.*?)\);", clamp + ";", body)


if __name__ == "__main__":
    main()
