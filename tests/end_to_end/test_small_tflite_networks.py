"""TFLite networks with residuals, whole: bits, memory and devices, without any file."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

import dero_tvm
from dero_tvm.driver.compiler import CompiledModel
from tests.end_to_end.oracles import (
    MACHINES,
    extremes,
    litert,
    only,
    random_int8,
    relative_difference,
    skip_unless_runnable,
)
from tests.end_to_end.tflite_networks import SHAPE, gated_network, residual_network
from tests.oracles.tflite_micro_runner import run_tflite_micro

REWRITES = ("none", "accumulate", "stream")
DEVICES = ("host", "host-c", *MACHINES)
INPUTS = [*extremes(SHAPE), *random_int8(SHAPE, 44)]


@functools.cache
def compiled(dtype: str, dero: str) -> CompiledModel:
    return dero_tvm.compile(residual_network(dtype), dero=dero)


@pytest.mark.parametrize("dero", REWRITES)
@pytest.mark.parametrize("device", DEVICES)
def test_int8_is_litert(device: str, dero: str) -> None:
    skip_unless_runnable(device)
    expected = litert(residual_network("int8"), INPUTS)
    assert len(np.unique(np.concatenate(expected))) > 30  # not saturated
    result = compiled("int8", dero).measure([{"data": array} for array in INPUTS], device)
    assert result.guard_ok, result.guard_report
    found = np.concatenate([only(output) for output in result.outputs])
    np.testing.assert_array_equal(found, np.concatenate(expected))


@pytest.mark.parametrize(
    ("network", "device"),
    [(residual_network, "host-c"), *((gated_network, device) for device in DEVICES)],
)
def test_int16_is_tflite_micro(network: Callable[[str], bytes], device: str) -> None:
    """In the streamed arena, with the kernels of the device's core, and what streaming saves."""
    skip_unless_runnable(device)
    rng = np.random.default_rng(5)
    inputs = [rng.integers(-(1 << 15), 1 << 15, SHAPE).astype(np.int16) for _ in range(6)]
    target = device.removeprefix("qemu:") if device in MACHINES else "host"
    model = dero_tvm.compile(network("int16"), dero="stream", target=target, time_limit=2.0)
    assert model.report.arena_bytes < 0.6 * model.report.whole_bytes
    result = model.measure([{"data": array} for array in inputs], device)
    assert result.guard_ok, result.guard_report
    for output, array in zip(result.outputs, inputs, strict=True):
        expected = run_tflite_micro(network("int16"), [array])
        assert all(len(np.unique(values)) > 5 for values in expected)
        for found, wanted in zip(output.values(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("device", DEVICES)
def test_float32_is_litert_and_every_rewrite_the_same(device: str) -> None:
    skip_unless_runnable(device)
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(5)]
    feeds = [{"data": array} for array in inputs]
    first, *others = (
        [only(o) for o in compiled("float32", d).run(feeds, device)] for d in REWRITES
    )
    for output, expected in zip(first, litert(residual_network("float32"), inputs)):
        assert relative_difference(output, expected) <= 1e-5
    for other in others:
        np.testing.assert_array_equal(np.concatenate(other), np.concatenate(first))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_memory(dtype: str) -> None:
    none, accumulate, stream = (compiled(dtype, dero).report for dero in REWRITES)
    assert none.arena_bytes == none.whole_bytes
    assert stream.arena_bytes <= accumulate.arena_bytes < none.arena_bytes
    assert [residual.action for residual in accumulate.residuals[:3]] == ["accumulated"] * 3
    same = {(report.whole_bytes, report.plain_bytes) for report in (none, accumulate, stream)}
    assert len(same) == 1
