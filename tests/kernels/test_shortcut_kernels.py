"""Kernels of convolutions with a shortcut: the portable kernels' bits, on the host and on cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from relax_passes.operators import operator_of
from relax_passes.operators.shortcut_steps import (
    CONV,
    DATA,
    SCALAR,
    Affine,
    Lookup,
    ShortcutStep,
    Term,
    encode,
)
from tests.kernels import mve_cases
from tests.kernels.core_cases import check_on_cores
from tests.kernels.mve_cases import Case
from tests.random_cases import cases

shifts = st.sampled_from([9, 30, 31, 32, 34])


def _factor(parts: int, shift: int) -> int:
    """Eighths, as a factor in units of 2**-shift, or the largest that fits."""
    return min(parts << shift - 3, 2**31 - 1)


@st.composite
def layers(draw) -> Case:
    """A convolution, the steps of a shortcut around it, and in some a normalisation before it."""
    kind = draw(st.sampled_from(["convolution", "convolution", "depthwise convolution"]))
    layer = draw(mve_cases.KINDS[kind])
    rng = np.random.default_rng(layer.seed)
    spec = layer.inputs[0]
    filters, out_size = layer.constants["weight"].shape[0], _out_size(layer)
    pool = [_pool(draw, layer, axis, out_size[axis]) for axis in (0, 1)]
    vectors: list[np.ndarray] = []
    steps: list[ShortcutStep] = []
    normalisation = -1
    if draw(st.booleans()):
        normalisation = 0
        steps.append(_normalisation(draw, rng, spec.channels, vectors))
    fold = -(-spec.channels // filters)
    taps = pool[0][0] * pool[1][0]
    shift = draw(shifts)
    term = Term(
        DATA, 3, _factor(4, shift) // taps, count=fold, stride=filters, end=spec.channels,
        guarded=int(filters * fold > spec.channels),
    )  # fmt: skip
    steps.append(Affine((term,), -5 << shift, shift, minimum=-100))
    if draw(st.booleans()):
        steps.append(Lookup(len(steps) - 1, 256 * draw(st.integers(0, 1))))
    if draw(st.booleans()):  # channels of a step folded, some of which are none
        shift = draw(shifts)
        term = Term(len(steps) - 1, 2, _factor(2, shift), SCALAR, -1, 2, 2, 0, filters, 1)
        steps.append(Affine((term,), 1 << shift - 1, shift))
    shift = draw(shifts)
    terms = (Term(CONV, -7, _factor(2, shift)), Term(len(steps) - 1, 5, _factor(3, shift)))
    steps.append(Affine(terms, -9 << shift - 1, shift, maximum=90))
    constants = layer.constants | {
        "constants": np.concatenate([*vectors, np.zeros(0, np.int32)]).astype(np.int32),
        "tables": rng.integers(-128, 128, 512).astype(np.int8),
    }
    attrs: dict[str, Any] = layer.attrs | {
        "pool_size": tuple(size for size, _, _ in pool),
        "pool_padding": (*(first for _, first, _ in pool), *(last for _, _, last in pool)),
        "steps": encode(steps),
        "normalisation": normalisation,
    }
    return Case("shortcut_conv2d", layer.inputs, constants, attrs, layer.seed)


def _out_size(layer: Case) -> tuple[int, int]:
    """Height and width of the convolution's result."""
    operator = operator_of("dero.conv2d")
    assert operator is not None
    attrs = {name: value for name, value in layer.attrs.items() if name != "out_pixel_stride"}
    result = operator.infer(tuple(layer.specs), {**operator.defaults, **attrs})
    return result.shape[1], result.shape[2]


def _pool(draw, layer: Case, axis: int, length: int) -> tuple[int, int, int]:
    """A window with as many positions as the convolution's: its size, the padding on both sides."""
    size, stride = layer.inputs[0].shape[1 + axis], layer.attrs["strides"][axis]
    window = draw(st.sampled_from([1, 1, 2, 3]))
    padding = (length - 1) * stride + window - size
    before = draw(st.integers(0, min(window - 1, max(padding, 0))))
    after = max(padding - before, 0)
    assume(after < window and (size + before + after - window) // stride + 1 == length)
    return window, before, after


def _normalisation(draw, rng, channels: int, vectors: list[np.ndarray]) -> Affine:
    if draw(st.booleans()):
        return Affine((Term(DATA, 3, 5 << 26),), -7 << 30, 29, minimum=-120)
    vectors.append(rng.integers(1 << 28, 1 << 29, channels))
    vectors.append(rng.integers(-(1 << 30), 1 << 30, channels))
    return Affine((Term(DATA, 3, 0, factors=0),), 0, 30, offsets=channels, offsets_shift=4)


def test_bits(tmp_path: Path) -> None:
    drawn: list[tuple[Case, int]] = []

    @given(layers(), st.integers(0, 2))
    @cases(16)
    def collect(layer: Case, ring: int) -> None:
        drawn.append((layer, ring))

    collect()
    for with_kernel in check_on_cores(drawn, tmp_path):
        normalised = sum(case.attrs["normalisation"] >= 0 for case in with_kernel)
        assert len(with_kernel) > len(drawn) / 2 and normalised > len(drawn) / 8
