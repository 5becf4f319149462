"""Real networks on an emulated Cortex-M55: bits, instructions, scratch, packed weights."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import dero_tvm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BOARD = "mps3-an547"
ROOT = Path(__file__).resolve().parents[2]
MODELS = {  # name of the expected outputs -> file
    "resnet8": "pretrainedResnet_quant",
    "kws": "kws_ref_model",
    "ad": "ad01_int8",
}


@pytest.mark.parametrize("name", MODELS)
def test_network(name: str, shared: Path) -> None:
    golden = np.load(shared / "golden" / f"{name}.npz")
    path = shared / "models" / "mlperf_tiny" / f"{MODELS[name]}.tflite"
    model = dero_tvm.compile(path, target=BOARD, dero="stream")
    operations = [op for cascade in model.network.cascades for op in cascade.operations]
    for op in operations:
        if op.signature.operator in ("dero.conv2d", "dero.dense", "dero.add"):
            assert op.native is not None and op.native.name.startswith("mve_"), op.name

    constants = model.network.constants
    plain = {name for op in operations for name in op.operands if name in constants}
    packed = sum(constants[name].nbytes for name in model.network.c_constants)
    assert packed <= 1.1 * sum(constants[name].nbytes for name in plain)
    if name == "resnet8":
        assert max(op.scratch_bytes for op in operations) <= 1024

    if not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")):
        pytest.skip("needs the Arm compiler and QEMU")
    (port,) = model.archive.inputs
    feed = {port.name: golden["input_q_seed0"].reshape(port.shape)}
    result = model.measure([feed], f"qemu:{BOARD}")
    (output,) = result.outputs[0].values()
    np.testing.assert_array_equal(output.ravel(), golden["output0_seed0"].ravel())
    bar = tomllib.loads((ROOT / "benchmarks" / "cmsis_nn.toml").read_text())
    assert result.instructions is not None
    assert result.instructions[0] <= 1e6 * bar[MODELS[name]]["cortex-m55"]
