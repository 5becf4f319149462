"""Steps with scratch, with eight-byte elements, and with rows needed that follow no line."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tvm import relax

import dero_tvm
from dero_tvm.boundary.errors import UserError
from dero_tvm.runners.host_c import run_host_c
from relax_passes.operators import make_call
from tests.aot.networks import module_of
from tests.compiled.host_module import run_on_host

SHAPE = (1, 6, 5, 4)
rng = np.random.default_rng(3)
GAMMA, BETA = (relax.const(rng.standard_normal(4).astype("float32")) for _ in range(2))
OPAQUE = {
    "layer_norm": lambda b, x: relax.op.nn.layer_norm(x, GAMMA, BETA, axes=[-1]),
    "softmax over rows": lambda b, x: relax.op.nn.softmax(x, axis=1),
    "deviation over rows": lambda b, x: relax.op.std(x, axis=[1]),
    "deviation over columns": lambda b, x: relax.op.std(x, axis=[2]),
    "deviation of relu": lambda b, x: relax.op.std(b.emit(relax.op.nn.relu(x)), axis=[1]),
}

SCRATCH = [name for name in OPAQUE if name.startswith("deviation")]  # have memory of their own


@pytest.mark.parametrize("device", ["host", "host-c"])
@pytest.mark.parametrize("case", OPAQUE)
def test_opaque_operators_agree_with_tvm(case: str, device: str) -> None:
    module = module_of(SHAPE, "float32", OPAQUE[case])
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    (expected,) = run_on_host(module, [x])
    found = dero_tvm.compile(module, dero="stream").run({"x": x}, device)["output"]
    assert found.dtype == expected.dtype and found.std() > 0
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("case", SCRATCH)
def test_pointers_are_aligned_and_stay_inside(case: str) -> None:
    module = module_of((1, 3, 3, 3), "float32", OPAQUE[case])
    archive = dero_tvm.compile(module, dero="stream").archive
    x = np.random.default_rng(0).standard_normal((1, 3, 3, 3)).astype("float32")
    expected = run_on_host(module, [x])[0]
    found = run_host_c(archive, [{"x": x}], sanitize=True).outputs[0]["output"]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("case", SCRATCH)
def test_no_plain_pointer_in_a_kernel(case: str) -> None:
    archive = dero_tvm.compile(module_of(SHAPE, "float32", OPAQUE[case])).archive
    source = archive.c_sources()["default_lib1.c"].decode()
    assert "scratch" in source
    assert not re.search(r"\b(?:float|double|u?int\d+_t) ?\*", source.replace("uint8_t *)", ""))


def test_a_kernel_of_another_type_than_declared_is_refused() -> None:
    """TVM declares an average of int32 as int32 and computes int64, twice the bytes."""

    def average(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        return relax.op.nn.avg_pool2d(x, pool_size=(2, 2), layout="NHWC")

    with pytest.raises(UserError, match="avg_pool2d.* int64 of shape .* declares int32.*replace"):
        dero_tvm.compile(module_of(SHAPE, "int32", average))


@pytest.mark.parametrize("device", ["host", "host-c"])
def test_rows_needed_from_a_table(device: str) -> None:
    """Rows 0, 0, 1, 2, 2, ... of the operand: no straight line."""
    weight = np.random.default_rng(1).standard_normal((3, 3, 3, 2)).astype("float32")
    bias = np.zeros(3, "float32")
    same = {"padding": (1, 1, 1, 1)}

    def body(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        y = builder.emit(make_call("conv2d", [x, relax.const(weight), relax.const(bias)], **same))
        z = builder.emit(make_call("resize2d", [y], size=(13, 8)))
        return make_call("pool2d", [z], kind="max", pool_size=(13, 8))

    module = module_of((1, 8, 8, 2), "float32", body)
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 2)).astype("float32")
    model = dero_tvm.compile(module, dero="stream")
    source = model.archive.c_sources()["default_lib1.c"].decode()
    assert re.search(r"static const int32_t \w+\[13\] = \{", source)
    (expected,) = run_on_host(module, [x])
    np.testing.assert_allclose(model.run({"x": x}, device)["output"], expected, rtol=1e-5)
