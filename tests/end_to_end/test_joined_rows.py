"""Networks whose convolutions join their rows with residuals: memory, bits, decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm

import dero_tvm
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.generate import generate
from dero_tvm.driver.prepare import PreparedModel, prepare
from dero_tvm.driver.row_planner import plan_row_placement
from dero_tvm.kernels import CKernel, Request, register_kernel, unregister_kernel
from dero_tvm.planning import Options
from dero_tvm.planning.rows.plan import RowPlan
from dero_tvm.runners import run, run_host_c
from dero_tvm.schedule.extract import extract
from dero_tvm.schedule.to_problem import Sharing, to_problem
from relax_passes.ir.decisions import decisions
from relax_passes.residuals.fuse_joins import FUSED, FuseJoins, is_fused
from relax_passes.residuals.fuse_joins import NAME as FUSE_JOINS
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.streaming.stream_rows import StreamRows
from tests.end_to_end.oracles import MACHINES, skip_unless_runnable
from tests.models.small_networks import Builder, image_to_image, residual_network

SIZE = (1, 10, 10, 3)


def over_the_data() -> tvm.IRModule:
    """What is joined is what the convolution reads: its row must not be overwritten yet."""
    net = Builder(("x", SIZE))
    value = net.conv("stem", net.inputs[0], 8)
    for number in range(3):
        value = net.add(f"sum{number}", value, net.conv(f"conv{number}", value, 8, 1))
    return net.build(net.pool("pooled", value))


def projection() -> tvm.IRModule:
    """Both operands are made by convolutions; the projection's is read by the next block too."""
    net = Builder(("x", SIZE))
    stem = net.conv("stem", net.inputs[0], 8)
    shortcut = net.conv("shortcut", stem, 16, 1, 2)
    branch = net.conv("second", net.conv("first", stem, 16, 3, 2), 16)
    joined = net.add("joined", branch, shortcut)
    last = net.add("last", shortcut, net.conv("third", joined, 16))
    return net.build(net.pool("pooled", last))


NETWORKS: dict[str, tuple[tvm.IRModule, dict[str, Any]]] = {
    "over the data": (over_the_data(), {"target": "mps3-an547"}),
    "over the data, by rows": (over_the_data(), {"stream_input": True, "target": "mps2-an500"}),
    "projection": (projection(), {"target": "mps2-an500"}),
    "image to image": (image_to_image(10), {"stream_output": True, "target": "mps3-an547"}),
    "residual outside": (residual_network(10), {"external_io": True}),
    "residual, kept": (residual_network(10), {"keep_inputs": True}),
}


def joined(prepared: PreparedModel) -> Candidate:
    """The first candidate with joined rows."""
    candidates = prepared.candidates()
    return next(c for c in candidates._row_placed([], None) if is_fused(c.module))


@pytest.mark.parametrize("case", NETWORKS)
def test_bits_of_whole_tensors(case: str) -> None:
    module, options = NETWORKS[case]
    prepared = prepare(module, **options)
    whole = dero_tvm.compile(module, dero="none")
    data = random_inputs(whole.archive.inputs, np.random.default_rng(3))
    (expected,) = whole.run(data).values()
    archive = generate(prepared, joined(prepared), None)
    result = run_host_c(archive, [data], sanitize="data" in case)
    assert result.guard_ok, result.guard_report
    np.testing.assert_array_equal(*result.outputs[0].values(), expected)


def places(module: tvm.IRModule) -> RowPlan:
    """Where rows lie, with the joins fused."""
    passes = [IdentifyResiduals(), FuseJoins(), StreamRows(row_placement=True)]
    streamed = tvm.transform.Sequential(passes)(module)
    scheduled = to_problem(extract(streamed), sharing=Sharing.ROWS)
    plan = plan_row_placement(scheduled, Options(reorder=False))
    assert plan is not None and plan.rows is not None
    return plan.rows


def test_rows_take_the_place_of_what_they_are_joined_with() -> None:
    offsets = places(projection()).offsets
    assert offsets["joined"] != offsets["shortcut"]  # which is read again
    assert offsets["last"] == offsets["shortcut"]


def test_rows_of_the_data_are_not_written_over() -> None:
    plan = places(over_the_data())
    names = [tensor.name for tensor in plan.problem.tensors]
    writers = [call for call in plan.problem.calls if names[call.writes[0].tensor] == "sum1"]
    assert writers and not any(call.in_place for call in writers)


def test_a_core_keeps_its_kernels() -> None:
    """A convolution's that writes whole rows cannot be part of one for both operators."""

    @register_kernel("conv2d", features={"dsp"})
    def mine(request: Request) -> CKernel:
        return CKernel("mine", "(void)row;")

    try:
        candidates = prepare(residual_network(10), target="mps2-an500").candidates()
        (module,) = {candidate.module for candidate in candidates._row_placed([], None)}
    finally:
        unregister_kernel(mine)
    reasons = [d.reason for d in decisions(module) if d.pass_name == FUSE_JOINS]
    assert reasons == ["the core has kernels for the two operators, but none for both together"]


@pytest.fixture(scope="module")
def resnet8(shared: Path) -> Path:
    return shared / "models" / "mlperf_tiny" / "pretrainedResnet_quant.tflite"


@pytest.fixture(scope="module")
def whole_resnet8(resnet8: Path) -> dero_tvm.CompiledModel:
    return dero_tvm.compile(resnet8, dero="none", integer_io=True)


@pytest.mark.parametrize(
    ("device", "stream_input", "most"),  # bytes without the kernels' scratch
    [("host-c", False, 9_984), (MACHINES[1], True, 8_736), (MACHINES[2], False, 9_984)],
)
def test_resnet8_in_exactly_its_arena(
    resnet8: Path,
    whole_resnet8: dero_tvm.CompiledModel,
    device: str,
    stream_input: bool,
    most: int,
) -> None:
    skip_unless_runnable(device)
    board = device.removeprefix("qemu:") if device in MACHINES else "host"
    model = dero_tvm.compile(resnet8, integer_io=True, target=board, stream_input=stream_input)
    cascades = model.network.cascades
    scratch = max(op.scratch_bytes for cascade in cascades for op in cascade.operations)
    assert model.report.arena_bytes <= most + scratch
    decided = {(r.action, r.decided_by) for r in model.report.residuals}
    assert decided == {(FUSED, FUSE_JOINS)}
    rng = np.random.default_rng(8)
    inputs = [random_inputs(whole_resnet8.archive.inputs, rng) for _ in range(2)]
    if device == "host-c":
        result = run_host_c(model.archive, inputs, sanitize=True)
    else:
        result = run(model.archive, inputs, device)
    assert result.guard_ok, result.guard_report
    for data, found in zip(inputs, result.outputs, strict=True):
        np.testing.assert_array_equal(*found.values(), *whole_resnet8.run(data).values())
