"""MLPerf Tiny's ResNet-8, int8: memory as promised, the bits of the reference kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tflite

import dero_tvm
from dero_tvm.driver.compiler import CompiledModel
from tests.end_to_end.oracles import (
    MACHINES,
    cut_before,
    extremes,
    litert,
    only,
    random_int8,
    skip_unless_runnable,
    tflite_micro,
)

SHAPE = (1, 32, 32, 3)
INPUTS = [*extremes(SHAPE), *random_int8(SHAPE, 994)]
KIB = 1024


@pytest.fixture(scope="module")
def path(shared: Path) -> Path:
    return shared / "models" / "mlperf_tiny" / "pretrainedResnet_quant.tflite"


@pytest.fixture(scope="module")
def accumulated(path: Path) -> CompiledModel:
    return dero_tvm.compile(path, dero="accumulate")


@pytest.fixture(scope="module")
def expected(path: Path) -> list[np.ndarray]:
    return tflite_micro(path.read_bytes(), INPUTS)


def test_memory(accumulated: CompiledModel) -> None:
    report = accumulated.report
    assert report.whole_bytes == 48 * KIB
    assert report.plain_bytes == 32 * KIB
    assert 0 < report.scratch_bytes <= KIB
    assert report.arena_bytes <= 32 * KIB + report.scratch_bytes
    assert [residual.action for residual in report.residuals] == ["accumulated"] * 3


@pytest.mark.parametrize("device", ["host", "host-c"])
def test_a_thousand_inputs(
    device: str, accumulated: CompiledModel, expected: list[np.ndarray]
) -> None:
    skip_unless_runnable(device)
    check(accumulated, device, expected)


def test_two_hundred_inputs_up_to_the_classifier(path: Path) -> None:
    """All but the fully connected layer, which LiteRT rescales in floating point.

    In about four of a thousand inputs that makes a logit differ by one; TensorFlow Lite Micro
    rescales it as it does all others.
    """
    content = cut_before(path.read_bytes(), tflite.BuiltinOperator.FULLY_CONNECTED)
    model = dero_tvm.compile(dero_tvm.load(content), dero="accumulate")
    check(model, "host", litert(content, INPUTS[:200]))


@pytest.mark.parametrize("device", MACHINES)
def test_twenty_inputs_on_a_microcontroller(
    device: str, path: Path, accumulated: CompiledModel
) -> None:
    skip_unless_runnable(device)
    check(accumulated, device, litert(path, INPUTS[:20]))


@pytest.mark.parametrize("dero", ["none", "stream"])
def test_other_rewrites_give_the_same_bits(dero: str, path: Path) -> None:
    check(dero_tvm.compile(path, dero=dero), "host", litert(path, INPUTS[:20]))


def check(model: CompiledModel, device: str, expected: list[np.ndarray]) -> None:
    (port,) = model.archive.inputs
    feeds = [{port.name: array} for array in INPUTS[: len(expected)]]
    result = model.measure(feeds, device)
    assert result.guard_ok, result.guard_report
    found = np.concatenate([only(output) for output in result.outputs])
    np.testing.assert_array_equal(found, np.concatenate(expected))
