"""Kernels of int16 layers for Arm cores: the bits of the portable kernels, on random shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from relax_passes.operators.fixed_point import reduced_multiplier
from tests.compiled.kernel_batch import KernelBatch
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.kernels.core_cases import check_batch
from tests.kernels.test_dsp_kernels import constants, convolutions, seeds
from tests.random_cases import cases

CORES = [("dsp", "mps2-an386"), ("mve", "mps3-an547")]
limits = st.sampled_from([(None, None), (0, None), (-5000, 12000)])


def of_int16(case: dict[str, Any], rounding: str, bounds: tuple[Any, Any]) -> dict[str, Any]:
    """A case of int8 with int16 data, whose sums are 256 times as large; `wide` ones are int64."""
    wide, rounding = rounding == "wide", "reduced" if rounding == "wide" else rounding
    data, vectors = case["data"], dict(case["constants"])
    vectors["bias"] = (vectors["bias"] // 4).astype(np.int32)
    if rounding == "reduced":
        reduced = [reduced_multiplier(int(m)) for m in vectors["multiplier"]]
        vectors["multiplier"] = np.array(reduced, np.int32)
        vectors["shift"] = np.minimum(vectors["shift"], 7)
    sums = np.abs(vectors["weight"].astype(np.int64)).reshape(len(vectors["weight"]), -1).sum(1)
    greatest = sums * 2**15 + np.abs(vectors["bias"].astype(np.int64))
    assume(wide or (greatest * np.exp2(np.maximum(vectors["shift"], 0)) < 2**31).all())
    if wide:
        units = len(vectors["bias"])
        vectors["bias"] = case["rng"].integers(-(1 << 33), 1 << 33, units)
        vectors["shift"] = case["rng"].integers(-19, -16, units).astype(np.int32)
    attrs = case["attrs"] | {"input_zero_point": 0, "output_zero_point": 0, "rounding": rounding}
    attrs |= {"minimum": bounds[0], "maximum": bounds[1]}
    spec = TensorSpec(data.shape, "int16", data.pixel_stride)
    return case | {"data": spec, "constants": vectors, "attrs": attrs}


@st.composite
def dense_layers(draw: st.DrawFn) -> dict[str, Any]:
    rng = np.random.default_rng(draw(seeds))
    rows, depth, units = (draw(st.integers(1, most)) for most in (3, 1100, 9))
    data, vectors = TensorSpec((rows, depth), "int8"), constants(rng, (units, depth), "usual")
    return {"rng": rng, "data": data, "constants": vectors, "ring": 0, "attrs": {}}


@pytest.mark.parametrize(("core", "board"), CORES)
def test_bits(core: str, board: str, tmp_path: Path) -> None:
    """On the host under sanitizers, where plain C stands for instructions, and on a board."""
    drawn: list[tuple[NativeKernel, np.ndarray, np.ndarray, int]] = []

    def collect(name: str, case: dict[str, Any]) -> None:
        operands = list(case["constants"].values())
        specs = [case["data"], *(TensorSpec(array.shape, str(array.dtype)) for array in operands)]
        native = NativeKernel(name, specs, case["constants"], features={core}, **case["attrs"])
        assert native.kernel is not None
        data = case["rng"].integers(-(1 << 15), 1 << 15, case["data"].shape).astype(np.int16)
        expected = RowKernel(name, specs, **case["attrs"]).run_rows(data, *operands)
        drawn.append((native, data, expected, case["ring"]))

    narrow, any_sums = ["double", "reduced"], ["double", "reduced", "wide"]
    layers = [("conv2d", convolutions(), 12, any_sums), ("dense", dense_layers(), 5, any_sums)]
    if core == "dsp":
        layers.append(("conv2d", convolutions(depthwise=True), 8, narrow))
    for name, strategy, count, roundings in layers:

        @given(st.just(name), strategy, st.sampled_from(roundings), limits)
        @cases(count)
        def each(name: str, case: dict[str, Any], rounding: str, bounds: Any) -> None:
            collect(name, of_int16(case, rounding, bounds))

        each()
    batch = KernelBatch()
    for native, data, _, ring in drawn:
        batch.add(native, [data], ring)
    expected = [(native.signature, output) for native, _, output, _ in drawn]
    check_batch(batch, expected, board, tmp_path)
