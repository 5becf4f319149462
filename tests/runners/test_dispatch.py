from __future__ import annotations

import shutil

import numpy as np
import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.runners import run
from tests.runners.fake_archive import FakeArchive, expected_output, some_inputs


@pytest.mark.parametrize(
    ("device", "tools", "counts"),
    [
        ("host-c", ("gcc",), False),
        ("qemu:mps2-an386", ("arm-none-eabi-gcc", "qemu-system-arm"), True),
    ],
)
def test_devices(device, tools, counts):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    inputs = some_inputs(2)
    result = run(FakeArchive(), inputs, device)
    np.testing.assert_array_equal(result.outputs[1]["y"], expected_output(inputs[1]))
    assert (result.instructions is not None) is counts


@pytest.mark.parametrize("device", ["gpu", "qemu", "qemu:", "host-c:gcc"])
def test_unknown_devices(device):
    with pytest.raises(UserError, match=f"Unknown device '{device}': known are host, host-c, qemu"):
        run(FakeArchive(), some_inputs(1), device)


def test_unknown_board():
    with pytest.raises(UserError, match="Unknown board 'stm32'"):
        run(FakeArchive(), some_inputs(1), "qemu:stm32")
