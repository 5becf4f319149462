"""The largest and smallest elements in order, against ONNX Runtime and NumPy, with ties."""

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
    *(shapes, st.booleans(), st.sampled_from(["values", "indices"])),
    *(st.sampled_from(["float32", "int8"]), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    st.integers(0, 2**32 - 1),
)
@cases(30)
def test_the_first_of_equals_comes_first(shape, largest, result, dtype, gaps, seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(-3, 4, shape).astype(dtype)
    k = int(rng.integers(1, shape[-1] + 1))
    keys = -data.astype(int) if largest else data.astype(int)
    order = np.argsort(keys, axis=-1, kind="stable")[..., :k]
    expected = order if result == "indices" else np.take_along_axis(data, order, -1)
    check_kernel(
        *("top_k", [data], expected),
        gaps=gaps[:1],
        out_gap=gaps[1],
        **{"k": k, "largest": largest, "result": result},
    )


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_onnx_along_any_axis(tmp_path, axis):
    shape, networks = (1, 5, 6, 4), FrameworkNetworks()
    kept = [3 if i == axis else length for i, length in enumerate(shape)]
    for largest in (0, 1):
        for output, kind in (("values", TensorProto.FLOAT), ("indices", TensorProto.INT64)):
            results = ["values", "indices"]
            node = helper.make_node("TopK", ["x", "k"], results, axis=axis, largest=largest)
            graph = helper.make_graph(
                [node],
                "top",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                [helper.make_tensor_value_info(output, kind, kept)],
                [numpy_helper.from_array(np.array([3]), "k")],
            )
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
            model.ir_version = 9
            runtime = session(model)
            run = lambda x, r=runtime: r.run(None, {"x": x})[0]  # noqa: E731
            x = np.random.default_rng(0).integers(-2, 3, shape).astype("float32")
            called, _ = networks.add(f"{output}{largest}", Network(load(model), run, 0, x))
            assert "dero.top_k" in called and "relax.topk" not in called
    networks.check_outputs(tmp_path)


@pytest.mark.parametrize(
    ("dtype", "attrs", "message"),
    [
        ("int32", {"k": 1}, "takes one tensor of float32 or int8, got 2x3 int32"),
        ("int8", {"k": 4}, "4 is not one of 1 to 3 elements"),
        ("int8", {"k": 1, "result": "both"}, "result must be one of values, indices, got 'both'"),
    ],
)
def test_refusals(dtype, attrs, message):
    with pytest.raises(ValueError, match=message):
        RowKernel("top_k", [TensorSpec((2, 3), dtype)], **attrs)
