"""A TFLite file's own shapes, types and quantization: compared, or, as in LiteRT, not looked at."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from tvm import relax

from dero_tvm.boundary.errors import InternalError
from dero_tvm.frontends import load
from dero_tvm.frontends.declared_types import check_declared
from dero_tvm.frontends.tflite import converter
from tests.host_module import run_on_host
from tests.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.tflite_micro_runner import run_tflite_micro

QUANTIZED = {"scale": 0.1, "zero_point": 2}


def one_operator(
    code: str, declared: tuple[int, ...], dtype: str = "int8", **quantization: object
) -> bytes:
    """An operator on int8 of shape [1, 4, 1, 6], with this declaration of its output."""
    b = TFLiteBuilder()
    x = b.input("x", (1, 4, 1, 6), "int8", **QUANTIZED)
    y = b.tensor("y", declared, dtype, **(quantization or QUANTIZED))
    b.operator(code, [x], [y])
    return b.build([y])


def test_a_misread_shape_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever operator is misread: here one whose converter drops the wrong axis."""
    model = one_operator("SQUEEZE", (4, 6))
    (squeezed,) = load(model).outputs
    assert squeezed.shape == (4, 6)

    def misread(self: object, op: object) -> relax.Expr:
        return relax.op.reshape(self.get_expr(op.Inputs(0)), (6, 4))  # type: ignore[attr-defined]

    monkeypatch.setitem(converter.MOVE_RULES, "SQUEEZE", misread)
    with pytest.raises(InternalError) as caught:
        load(model)
    assert str(caught.value).startswith(
        "internal error: the model in memory: the operator SQUEEZE that computes 'y': tensor 'y' "
        "is declared as int8 [4, 6] and was imported as int8 [6, 4]: "
    )


def test_a_misread_type_is_an_internal_error() -> None:
    b = TFLiteBuilder()
    x = b.input("x", (1, 4), "float32")
    y = b.tensor("y", (1, 4), "int32")
    b.operator("RELU", [x], [y])
    with pytest.raises(InternalError, match=r"int32 \[1, 4\] and was imported as float32"):
        load(b.build([y]))


@pytest.mark.parametrize(
    "declared", [(), (4, 1, 6), (1, 1, 4, 1, 6)], ids=["unknown", "without batch", "one more"]
)
def test_shapes_that_lie_harmlessly(declared: tuple[int, ...]) -> None:
    """LiteRT computes shapes anew, whatever the file says."""
    model = one_operator("RELU", declared)
    (output,) = load(model).outputs
    x = np.arange(24, dtype="int8").reshape(1, 4, 1, 6)
    (expected,) = run_litert_reference(model, {"x": x})
    assert output.shape == expected.shape == (1, 4, 1, 6)


def test_open_dimensions_are_not_compared() -> None:
    b = TFLiteBuilder()
    x = b.input("x", (1, 4), "float32", shape_signature=(-1, 4))
    y = b.tensor("y", (9, 4), "float32", shape_signature=(-1, 4))
    b.operator("RELU", [x], [y])
    assert load(b.build([y])).outputs[0].shape == (1, 4)


def test_shapes_hold_for_the_files_own_inputs_alone() -> None:
    model = one_operator("RELU", (1, 4, 1, 6))
    b = TFLiteBuilder()
    x = b.input("x", (1, 4), "float32", shape_signature=(-1, 4))
    y = b.tensor("y", (1, 4), "float32")
    b.operator("RELU", [x], [y])
    assert load(b.build([y]), input_shapes={"x": (3, 4)}).outputs[0].shape == (3, 4)
    assert load(model, input_shapes={"x": (1, 4, 1, 6)}).outputs[0].shape == (1, 4, 1, 6)


@pytest.mark.parametrize(
    ("shape", "dtype", "agrees"),
    [
        ([2, 3], "int8", True),
        ([2, None], "int8", True),
        (None, None, True),
        ([2, 3], "uint8", False),
        ([3, 2], "int8", False),
        ([2, 3, 1], "int8", False),
    ],
)
def test_declarations(shape: list[int | None] | None, dtype: str | None, agrees: bool) -> None:
    compare = functools.partial(check_declared, "a tensor", shape, dtype)
    compare(relax.TensorType(None, dtype or "int8"))  # of no known rank
    if agrees:
        compare(relax.TensorType((2, 3), "int8"))
    else:
        with pytest.raises(InternalError, match="a tensor is declared as"):
            compare(relax.TensorType((2, 3), "int8"))
    with pytest.raises(InternalError, match="no tensor"):
        compare(relax.TupleType([]))


@pytest.mark.parametrize("code", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize(
    ("scales", "axis"), [(1, 0), (4, 0), (4, 3)], ids=["one", "many", "of no axis"]
)
def test_the_quantization_of_a_bias_is_not_looked_at(code: str, scales: int, axis: int) -> None:
    """LiteRT refuses an axis that a bias has not; TensorFlow Lite Micro does not look either."""
    rng = np.random.default_rng(axis)
    b = TFLiteBuilder()
    dense, depthwise = code == "FULLY_CONNECTED", code == "DEPTHWISE_CONV_2D"
    shape = (1, 4) if dense else (1, 5, 5, 4)
    x = b.input("x", shape, "int8", **QUANTIZED)
    weights = rng.integers(-127, 128, (4, 4) if dense else (1 if depthwise else 4, 3, 3, 4), "int8")
    weight_scales = [0.01] if dense else [0.01, 0.02, 0.005, 0.01]
    w = b.constant("w", weights, scale=weight_scales, axis=3 if depthwise else 0)
    values = rng.integers(-3000, 3000, 4, "int32")
    odd = [0.001] if dense else [0.37] * scales  # of a dense layer it is compared with the product
    bias = b.constant("b", values, scale=odd, axis=axis if len(odd) > 1 else 0)
    y = b.tensor("y", (1, 4) if dense else (1, 3, 3, 4), "int8", scale=0.3, zero_point=1)
    b.operator(code, [x, w, bias], [y])
    model = b.build([y])
    data = rng.integers(-128, 128, shape, "int8")
    (expected,) = run_tflite_micro(model, [data])
    np.testing.assert_array_equal(run_on_host(load(model).module, [data])[0], expected)
