"""Running sums and products, against NumPy and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.oracles.onnx_session import session
from tests.random_cases import cases

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)


@given(
    *(shapes, st.sampled_from(["sum", "product"]), st.booleans()),
    *(st.sampled_from(["float32", "int32", "int64"]), st.tuples(st.integers(0, 2), st.just(1))),
    st.integers(0, 2**32 - 1),
)
@cases(20)
def test_up_to_each_element(shape, kind, exclusive, dtype, gaps, seed):
    limit = 2**31 - 1 if dtype == "int32" else 9  # sums of int32 wrap around
    data = np.random.default_rng(seed).integers(-limit, limit, shape).astype(dtype)
    operation = np.add if kind == "sum" else np.multiply
    with np.errstate(over="ignore"):
        expected = operation.accumulate(data, axis=-1, dtype=dtype)
    if exclusive:
        first = np.full((*shape[:-1], 1), kind == "product", dtype)
        expected = np.concatenate([first, expected[..., :-1]], -1)
    check_kernel(
        *("cumulative", [data], expected),
        gaps=gaps[:1],
        out_gap=gaps[1],
        **{"kind": kind, "exclusive": exclusive},
    )


def test_onnx_along_any_axis(tmp_path):
    shape, networks = (1, 5, 6, 4), FrameworkNetworks()
    for axis, exclusive, reverse in ((1, 0, 0), (-2, 1, 0), (3, 0, 1), (2, 1, 1)):
        kind, dtype = (TensorProto.INT32, "int32") if axis == 1 else (TensorProto.FLOAT, "float32")
        node = helper.make_node("CumSum", ["x", "k"], ["y"], exclusive=exclusive, reverse=reverse)
        ports = [helper.make_tensor_value_info(n, kind, shape) for n in "xy"]
        constants = [numpy_helper.from_array(np.array(axis), "k")]
        graph = helper.make_graph([node], "sums", ports[:1], ports[1:], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        runtime = session(model)
        run = lambda x, r=runtime: r.run(None, {"x": x})[0]  # noqa: E731
        x = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
        network = Network(load(model), run, 0, x)
        called, _ = networks.add(f"axis{axis % 4}{exclusive}{reverse}", network)
        assert "dero.cumulative" in called and "relax.cumsum" not in called
    networks.check_outputs(tmp_path)


@pytest.mark.parametrize(
    ("dtype", "kind", "message"),
    [
        ("int8", "sum", "cumulative takes one tensor of float32, int32 or int64, got 2x3 int8"),
        ("int32", "mean", "kind must be one of sum, product, got 'mean'"),
    ],
)
def test_refusals(dtype, kind, message):
    with pytest.raises(ValueError, match=message):
        RowKernel("cumulative", [TensorSpec((2, 3), dtype)], kind=kind)
