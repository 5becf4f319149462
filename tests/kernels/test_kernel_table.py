"""Which kernel an operation gets, and that the rest of the compiler follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tvm

import dero_tvm
from dero_tvm.driver.compiler import CompiledModel
from dero_tvm.kernels import (
    CKernel,
    Request,
    candidates,
    register_kernel,
    registered,
    unregister_kernel,
)
from dero_tvm.kernels.c_kernel import SUPPORT
from dero_tvm.kernels.support import support_code
from dero_tvm.runners import run_host_c
from relax_passes.operators import OperatorClass, Signature, TensorSpec
from tests.models.small_networks import Builder


def network() -> tvm.IRModule:
    b = Builder(("x", (1, 9, 9, 3)))
    x = b.conv("first", b.inputs[0], 8)
    y = b.conv("second", x, 8)
    y = b.add("sum", y, x)
    return b.build(b.pool("mean", y))


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return dero_tvm.compile(network(), target="mps2-an500", dero="none")


@pytest.fixture(scope="module")
def portable() -> CompiledModel:
    return dero_tvm.compile(network(), target="host", dero="none")


@pytest.fixture
def own_pool(tmp_path: Path) -> Iterator[list[Request]]:
    """A user's kernel that gives a pooled map the value 42, and what it was asked."""
    support = tmp_path / "own.h"
    support.write_text(
        "#pragma once\n#include <stdint.h>\n"
        "static int8_t own_value(int32_t scale) { return (int8_t)(scale * 2); }\n"
    )
    asked: list[Request] = []

    @register_kernel("pool2d", features={"dsp"})
    def pool(request: Request) -> CKernel:
        asked.append(request)
        body = "for (int32_t i = 0; i < 8; ++i) {\n  out[i] = own_value(scale[i]);\n}\n"
        scale = np.full(8, 21, np.int16)
        return CKernel("own_pool", body, {"scale": scale}, scratch=16, support=(support,))

    yield asked
    unregister_kernel(pool)


def test_a_support_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(dero_tvm.UserError, match="mine.h of a kernel cannot be read: No such file"):
        support_code([tmp_path / "mine.h"])


def feeds(seed: int) -> dict[str, np.ndarray]:
    data = np.random.default_rng(seed).integers(-128, 128, (1, 9, 9, 3))
    return {"x": data.astype(np.int8)}


def test_a_board_with_features_gets_kernels_and_the_same_bits(
    model: CompiledModel, portable: CompiledModel
):
    names = [op.native and op.native.name for c in model.network.cascades for op in c.operations]
    assert names == ["dsp_conv2d_gather", "dsp_conv2d", "dsp_add", "dsp_totals"]
    assert all(op.native is None for c in portable.network.cascades for op in c.operations)
    inputs = [feeds(seed) for seed in range(3)]
    expected = portable.run(inputs)
    for result in (
        model.run(inputs),
        run_host_c(model.archive, inputs, sanitize=True).outputs,
        dero_tvm.compile(network(), target="mps2-an500", dero="stream").run(inputs, "host-c"),
    ):
        for found, wanted in zip(result, expected):
            np.testing.assert_array_equal(found["output"], wanted["output"])


def test_scratch_and_packed_constants_are_counted(model: CompiledModel, portable: CompiledModel):
    scratch = 28  # the 27 bytes of a window of the first layer, in words
    buffers = {b.label: b.size for b in model.plan.problem.buffers}
    assert scratch in buffers.values()
    assert model.report.scratch_bytes >= portable.report.scratch_bytes
    network_ = model.network
    packed = [name for name in network_.c_constants if name.startswith("packed_")]
    held = sum(network_.constants[name].nbytes for name in network_.c_constants)
    assert packed and model.report.constants_bytes == held
    assert (
        model.archive.metadata["modules"]["default"]["memory"]["functions"]["main"][0][
            "constants_size_bytes"
        ]
        == held
    )
    # Weights lie in flash once, in the kernels' order; the rest is geometry and padding.
    assert held < 1.1 * portable.report.constants_bytes + 200


def test_a_kernel_registered_later_goes_first(own_pool: list[Request]):
    model = dero_tvm.compile(network(), target="mps2-an500", dero="none")
    output = model.run([feeds(0)], "host-c")[0]["output"]
    assert (output == 42).all()
    assert (model.run(feeds(0))["output"] != 42).any()  # the portable kernel
    assert own_pool[0].signature.operator == "dero.pool2d" and not own_pool[0].constants
    source = model.archive.c_sources()["default_lib1.c"].decode()
    assert source.count("own_value(int32_t scale)") == 1
    own_pool.clear()
    dero_tvm.compile(network(), target="host", dero="none")
    assert not own_pool  # it wants a feature that the host does not have


def test_a_generator_may_decline(own_pool: list[Request]):
    @register_kernel("pool2d", features={"dsp"})
    def decline(request: Request) -> None:
        return None

    try:
        model = dero_tvm.compile(network(), target="mps2-an500", dero="none")
    finally:
        unregister_kernel(decline)
    assert model.network.cascades[-1].operations[-1].native.name == "own_pool"
    assert all(entry.generator is not decline for entry in registered())


def test_a_kernel_that_rounds_has_every_way_or_those_it_names():
    request = Request(
        Signature("dero.pad", (TensorSpec((1, 8), "int8"),), TensorSpec((1, 8), "int8"), {}),
        OperatorClass.LAYOUT,
        {},
        frozenset({"dsp"}),
    )
    support: list[str] = []

    @register_kernel("pad", features={"dsp"})
    def rounding(request: Request) -> CKernel:
        return CKernel("rounding", "", support=tuple(SUPPORT / name for name in support))

    try:
        for files, ways in (
            (["dsp_run.h"], {"any", "once", "twice"}),
            (["rounds_once.h", "dsp_run.h"], {"once"}),
            (["dsp_pool.h"], set()),
        ):
            support[:] = files
            code = support_code(next(candidates(request)).support)
            first = [text for text in code if "#define WITH_ROUNDS_" in text]
            assert {text.split("ROUNDS_")[1].split()[0].lower() for text in first} == ways
            assert code[1 : 1 + len(ways)] == first, "in front of what they are for"
    finally:
        unregister_kernel(rounding)


def test_unknown_operator():
    with pytest.raises(ValueError, match="no operator 'conv3d' to register a kernel for"):
        register_kernel("conv3d")


def test_computed_weights_have_no_kernel():
    from tvm import relax

    from relax_passes.operators import make_call

    b = Builder(("x", (1, 8)), ("w", (4, 8)))
    vectors = [relax.const(np.full(4, value, "int32")) for value in (0, 1 << 30, -8)]
    y = b.emit("y", make_call("dense", [*b.inputs, *vectors]))
    model = dero_tvm.compile(b.build(y), target="mps2-an500", dero="none")
    assert model.network.cascades[0].operations[0].native is None
