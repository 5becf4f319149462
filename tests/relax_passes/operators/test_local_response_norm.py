"""Normalization by neighbouring channels, against its definition and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.oracles.onnx_session import session
from tests.random_cases import cases

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@given(
    *(shapes, st.integers(0, 4), st.integers(0, 4), st.floats(0.5, 2.0), st.floats(0.0, 1.0)),
    st.integers(0, 2**32 - 1),
)
@cases(20)
def test_squares_of_neighbours(shape, before, after, bias, exponent, seed):
    data = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    squares = data.astype(np.float64) ** 2
    totals = np.stack(
        [squares[..., max(0, c - before) : c + after + 1].sum(-1) for c in range(shape[-1])], -1
    )
    expected = (data / (bias + 0.3 * totals) ** exponent).astype("float32")
    check_kernel(
        *("local_response_norm", [data], expected),
        **{"before": before, "after": after, "bias": bias, "factor": 0.3, "exponent": exponent},
        rtol=1e-5,
    )


def test_onnx(tmp_path):
    shape, networks = (1, 5, 4, 3), FrameworkNetworks()
    for size in (1, 3, 9):  # ONNX Runtime takes no even ones
        node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=0.3, beta=0.6, bias=1.5)
        ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in "xy"]
        graph = helper.make_graph([node], "norm", ports[:1], ports[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        runtime = session(model)
        run = lambda x, r=runtime: r.run(None, {"x": x})[0]  # noqa: E731
        x = np.random.default_rng(0).standard_normal(shape).astype("float32")
        called, _ = networks.add(f"size{size}", Network(load(model), run, 1e-5, x))
        assert "dero.local_response_norm" in called
        assert not any(name.startswith("relax.") for name in called)
    networks.check_outputs(tmp_path)


def test_refusal():
    with pytest.raises(ValueError, match="before and after must not be negative, got -1 and 2"):
        RowKernel(
            "local_response_norm", [TensorSpec((2, 3), "float32")], before=-1, after=2, factor=1.0
        )
