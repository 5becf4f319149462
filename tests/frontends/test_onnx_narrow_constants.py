"""Weights in types of 16 and 4 bits, as files hold them to be small: as ONNX Runtime reads them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from tests.compiled.c_batch import library_of, whole_program
from tests.frontends.onnx_runtime import run_plainly
from tests.models.tiny_models import model_of

SHAPE, WEIGHTS = (1, 4, 6, 5), (3, 4, 3, 3)
INTEGERS = np.random.default_rng(0).integers(0, 8, WEIGHTS)


def network(kind: int, values: np.ndarray, how: str, **attributes: object) -> onnx.ModelProto:
    nodes = [
        helper.make_node(
            how, ["w", *(["s", "z"] if "axis" in attributes else [])], ["v"], **attributes
        ),
        helper.make_node("Conv", ["x", "v"], ["y"]),
    ]
    model = model_of(nodes, {"x": SHAPE}, {"y": None}, opset=21)
    model.ir_version = 10
    model.graph.initializer.append(helper.make_tensor("w", kind, WEIGHTS, values.ravel().tolist()))
    if "block_size" in attributes:  # of the four channels
        scales, zeros = np.linspace(0.1, 0.4, 54), INTEGERS[:, :2] // 2
        for name, values, of in (("s", scales, TensorProto.FLOAT), ("z", zeros, kind)):
            model.graph.initializer.append(
                helper.make_tensor(name, of, (3, 2, 3, 3), values.ravel().tolist())
            )
    elif "axis" in attributes:
        model.graph.initializer.append(
            helper.make_tensor("s", TensorProto.FLOAT, (3,), [0.11, 0.07, 0.3])
        )
        model.graph.initializer.append(helper.make_tensor("z", kind, (3,), [0, 3, 7]))
    return model


CASES = {
    "float16": network(TensorProto.FLOAT16, INTEGERS / 7, "Cast", to=TensorProto.FLOAT),
    "bfloat16": network(TensorProto.BFLOAT16, INTEGERS / 7, "Cast", to=TensorProto.FLOAT),
    "int4": network(TensorProto.INT4, INTEGERS - 4, "DequantizeLinear", axis=0),
    "uint4": network(TensorProto.UINT4, INTEGERS + 8, "DequantizeLinear", axis=0),
    "int4_in_blocks": network(
        *(TensorProto.INT4, INTEGERS - 4, "DequantizeLinear"), axis=1, block_size=2
    ),
    "int8_in_blocks": network(
        *(TensorProto.INT8, INTEGERS * 9, "DequantizeLinear"), axis=-3, block_size=3
    ),
}


def test_weights() -> None:
    library = library_of({name: whole_program(load(model)) for name, model in CASES.items()})
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    for name, model in CASES.items():
        expected = run_plainly(model, {"x": x})
        assert expected is not None, name
        (found,) = library.run(name, {"x": x})[0].values()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_what_is_computed_with_is_refused() -> None:
    model = network(TensorProto.FLOAT16, INTEGERS / 7, "Identity")
    with pytest.raises(UserError, match="tensor 'w' has the unsupported type float16"):
        load(model)
