"""Real models: int8 as TensorFlow Lite Micro computed them on a Cortex-M7, float32 as LiteRT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm.driver.compiler import CompiledModel
from tests.end_to_end.oracles import Feed, litert, only, relative_difference, skip_unless_runnable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BOARD = "mps2-an500"
SEEDS = range(5)
REWRITES = ("none", "accumulate", "stream")
INT8 = {
    "resnet8": "mlperf_tiny/pretrainedResnet_quant.tflite",
    "vww": "mlperf_tiny/vww_96_int8.tflite",
    "kws": "mlperf_tiny/kws_ref_model.tflite",
    "ad": "mlperf_tiny/ad01_int8.tflite",
    "str_ww": "mlperf_tiny/str_ww_ref_model.tflite",
    "te_vww": "tinyengine/vww.tflite",
}
# Path -> greatest value of the network's input.
FLOAT32 = {
    "mlperf_tiny/pretrainedResnet.tflite": 255.0,
    "mlperf_tiny/vww_96_float.tflite": 1.0,
}


@pytest.mark.parametrize("name", INT8)
def test_int8(name: str, shared: Path) -> None:
    golden = np.load(shared / "golden" / f"{name}.npz")
    loaded = dero_tvm.load(shared / "models" / INT8[name])
    by_rewrite = {dero: dero_tvm.compile(loaded, dero=dero) for dero in REWRITES}
    (port,) = by_rewrite["none"].archive.inputs
    feeds: list[Feed] = []
    for seed in SEEDS:
        values = golden[f"input_q_seed{seed}"]
        if port.dtype == "float32":
            steps = values.astype(np.int32) - int(golden["in_zp"])
            values = steps * golden["in_scale"].astype(np.float32)
        feeds.append({port.name: values.reshape(port.shape).astype(port.dtype)})
    expected = [golden[f"output0_seed{seed}"].ravel() for seed in SEEDS]

    def check(model: CompiledModel, device: str, count: int = len(SEEDS)) -> None:
        outputs = model.run(feeds[:count], device)
        for output, values in zip(outputs, expected):
            np.testing.assert_array_equal(only(output).ravel(), values)

    for model in by_rewrite.values():
        check(model, "host")
    arenas = [model.report.arena_bytes for model in by_rewrite.values()]
    assert arenas == sorted(arenas, reverse=True)
    skip_unless_runnable("host-c")
    check(by_rewrite["accumulate"], "host-c")
    # With the kernels of a core: their C on this machine, and on the core.
    native = dero_tvm.compile(loaded, dero="stream", target=BOARD)
    check(native, "host-c")
    skip_unless_runnable(f"qemu:{BOARD}")
    result = native.measure(feeds[:1], f"qemu:{BOARD}")
    np.testing.assert_array_equal(only(result.outputs[0]).ravel(), expected[0])
    assert result.instructions is not None
    assert result.instructions[0] <= cmsis_nn(Path(INT8[name]).stem)


def cmsis_nn(model: str) -> float:
    """Instructions of an inference with CMSIS-NN on the board's core."""
    reference = tomllib.loads((BENCHMARKS / "cmsis_nn.toml").read_text())
    return reference[model]["cortex-m7"] * 1e6


@pytest.mark.parametrize("path", FLOAT32)
def test_float32(path: str, shared: Path) -> None:
    file = shared / "models" / path
    loaded = dero_tvm.load(file)
    by_rewrite = {dero: dero_tvm.compile(loaded, dero=dero) for dero in REWRITES}
    (port,) = by_rewrite["none"].archive.inputs
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(0, FLOAT32[path], port.shape).astype(np.float32) for _ in range(3)]
    expected = litert(file, inputs)
    feeds = [{port.name: array} for array in inputs]
    first = [only(output) for output in by_rewrite["none"].run(feeds)]
    for output, values in zip(first, expected):
        assert relative_difference(output, values) <= 1e-5
    for dero in ("accumulate", "stream"):
        for output, values in zip(by_rewrite[dero].run(feeds), first):
            np.testing.assert_array_equal(only(output), values)
    for device in ("host-c", "qemu:mps2-an500"):
        skip_unless_runnable(device)
        (output,) = by_rewrite["accumulate"].run(feeds[:1], device)
        assert relative_difference(only(output), expected[0]) <= 1e-5
