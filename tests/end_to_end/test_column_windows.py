"""Groups of operations in windows of columns, from the model file to what boards compute."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm import UserError
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.planning.column_windows.grouping import Group
from dero_tvm.runners import run_host_c, run_qemu
from dero_tvm.schedule.column_groups import extra_macs
from tests.campaigns.compared_outputs import assert_equal_outputs, guarded_outputs

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "models" / "digits_int8.onnx"
# Two residual blocks and a half, from one cascade into the next; what windows share is made again
# in one group and kept in the other.
GROUPING = (Group(0, 2, 3, 2), Group(3, 7, 2, 3, keeps_columns=True))


QEMU = shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")


def compiled(**options):
    return dero_tvm.compile(DIGITS, integer_io=True, **options)


@pytest.fixture(scope="module")
def reference():
    """An image, and what the network makes of it with whole tensors."""
    archive = compiled(dero="none").archive
    image = random_inputs(archive.inputs, np.random.default_rng(7))
    return image, guarded_outputs("whole", run_host_c(archive, [image]))


def test_on_the_host(reference):
    image, expected = reference
    model = compiled(windows=GROUPING)
    streamed = compiled()
    assert model.network.macs == streamed.network.macs + extra_macs(model.network)
    assert extra_macs(model.network) > 0
    groups = [op.group for c in model.network.cascades for op in c.operations if op.group]
    assert [bool(group.keeping) for group in groups] == [False, True]
    assert "some rows are made several times" in model.report.rows_proof
    assert_equal_outputs("JIT", model.run(image), expected)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize(
    "options", [{}, {"external_io": True}, {"stream_input": True, "input_layout": "nhwc"}]
)
def test_as_c_under_sanitizers(reference, options):
    image, expected = reference
    grouping = GROUPING
    if "stream_input" in options:  # the application's rows are the first operation
        grouping = tuple(replace(g, first=g.first + 1, last=g.last + 1) for g in GROUPING)
    archive = compiled(windows=grouping, **options).archive
    ((name, array),) = image.items()  # of one channel, so that it is the same in both layouts
    image = {name: array.reshape(archive.inputs[0].shape)}
    result = run_host_c(archive, [image], sanitize=True)
    assert_equal_outputs("windows", guarded_outputs("windows", result), expected)


@pytest.mark.skipif(not QEMU, reason="needs qemu-system-arm and arm-none-eabi-gcc")
@pytest.mark.parametrize("board", ["mps2-an500", "mps3-an547"])  # Cortex-M7, Cortex-M55
def test_on_boards(reference, board):
    image, expected = reference
    model = compiled(target=board, windows=GROUPING)
    groups = [op.group for c in model.network.cascades for op in c.operations if op.group]
    assert all(part.native for group in groups for part in group.operations)
    result = run_qemu(model.archive, [image], machine=board)
    assert_equal_outputs(board, guarded_outputs(board, result), expected)


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ((Group(0, 2, 3, 2), Group(2, 4, 3, 2)), "overlap"),
        ((Group(0, 12, 3, 2),), "number them from 0"),
        ((Group(0, 2, 0, 2),), "at least one of each"),
        ((Group(10, 11, 1, 1),), "takes a tensor whole"),
        ((Group(1, 3, 3, 2),), "its result is read outside of the group"),
    ],
)
def test_refused_groups(windows, reason):
    with pytest.raises(UserError, match=reason):
        compiled(windows=windows)


def test_windows_are_streamed():
    with pytest.raises(UserError, match="windows of columns need --dero stream"):
        compiled(windows=GROUPING, dero="none")
