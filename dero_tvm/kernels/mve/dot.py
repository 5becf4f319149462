"""Sums over a run of data for four output channels at a time, by the functions of `c/mve_dot.h`."""

from __future__ import annotations

import numpy as np

from .requantization import Requantization, in_blocks

LANES = 16
_UNROLLED = 4  # steps of a loop's body
_STRAIGHT = 12  # steps that are no loop


def pack_weights(weight: np.ndarray) -> np.ndarray:
    """int8 weights [channels, runs, length] as int32 words in the order of reading.

    Channels in groups of four; for each run of data, 16 of each channel, the last continued with
    zeros.
    """
    channels, runs, length = weight.shape
    padded = np.pad(weight, ((0, -channels % 4), (0, 0), (0, -length % LANES)))
    vectors = padded.reshape(len(padded) // 4, 4, runs, -1, LANES)
    return np.ascontiguousarray(vectors.transpose(0, 2, 3, 1, 4)).view("<i4").astype(np.int32)


def pack_factors(to: Requantization) -> np.ndarray:
    """For each four channels four biases, four multipliers and four shifts."""
    return in_blocks([to.bias, to.multiplier, to.shift], 4)


def channels_loop(
    lines: list[str],
    length: int,
    readable: bool,
    channels: int,
    to: Requantization,
    out: str = "out",
) -> str:
    """Statements that compute all channels of a pixel from runs of `length` bytes.

    lines: C expressions of where the runs begin.
    readable: what lies behind a run, up to a multiple of 16, may be read.

    out: a C expression of where the results go.

    They take the names `weights` and `factors`.
    """
    body: list[str] = []
    fresh = True
    for line in lines:
        body.append(f"x = {line};" if body else f"const int8_t *x = {line};")
        body += _run(length, readable, fresh)
        fresh = False
    count = "4" if channels % 4 == 0 else f"{channels} - channel < 4 ? {channels} - channel : 4"
    statements = "\n".join(f"  {line}" for line in body)
    return f"""\
const int32_t *words = weights, *f = factors;
for (int32_t channel = 0; channel < {channels}; channel += 4) {{
  int32_t sums[4];
{statements}
  const mve_int32x4 total = mve_add(mve_join(sums), mve_load(f));
  const mve_int32x4 scaled = {to.scale}(total, mve_load(f + 4), mve_load(f + 8));
  mve_store({out} + channel, scaled, {to.limits}, {count});
  f += 12;
}}"""


def _run(length: int, readable: bool, fresh: bool) -> list[str]:
    """Steps along one run; with `fresh` the sums begin there."""
    whole, rest = divmod(length, LANES)
    if readable and rest:
        whole, rest = whole + 1, 0
    lines = []
    if fresh and whole:
        lines.append("mve_dot_start(sums, &x, &words);")
        whole -= 1
    step = "mve_dot(sums, &x, &words);"
    if whole > _STRAIGHT:
        lines.append(f"for (int32_t i = 0; i < {whole // _UNROLLED}; ++i) {{")
        lines += [f"  {step}"] * _UNROLLED + ["}"]
        whole %= _UNROLLED
    lines += [step] * whole
    if rest:
        start = "_start" if fresh and length < LANES else ""
        lines.append(f"mve_dot{start}_rest(sums, x, &words, {rest});")
    return lines
