"""Quantized ONNX models, made by ONNX Runtime's own quantizer, against ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tvm import relax

from dero_tvm.frontends import load
from dero_tvm.frontends.onnx.qoperators import qoperators_to_qdq
from relax_passes.pipeline import Canonicalize
from tests.compiled.compiled_c import CompiledModel, run_in_c
from tests.end_to_end.qdq_models import QDQModel
from tests.oracles.onnx_session import session

IMAGE = (1, 3, 10, 8)


def network(opset: int = 13) -> onnx.ModelProto:
    """Convolutions, a residual, a concatenation, poolings, gates and two dense layers."""
    rng = np.random.default_rng(7)
    weights: list[onnx.TensorProto] = []

    def weight(name: str, *shape: int) -> str:
        values = rng.standard_normal(shape).astype("float32") / np.sqrt(np.prod(shape[1:]))
        weights.append(numpy_helper.from_array(values.astype("float32"), name))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes)

    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    weights.append(numpy_helper.from_array(np.array([1, 12], "int64"), "flat"))
    nodes = [
        node("Conv", ["image", weight("w1", 6, 3, 3, 3), weight("b1", 6)], "c1", **same),
        node("Relu", ["c1"], "r1"),
        node("Conv", ["r1", weight("w2", 6, 1, 3, 3), weight("b2", 6)], "c2", group=6, **same),
        node("LeakyRelu", ["c2"], "l2", alpha=0.1),
        node("Add", ["r1", "l2"], "sum"),
        node("MaxPool", ["sum"], "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", ["sum"], "a", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["m", "a"], "cat", axis=1),
        node("Sigmoid", ["cat"], "gate"),
        node("Mul", ["cat", "gate"], "silu"),
        node("GlobalAveragePool", ["silu"], "g"),
        node("Reshape", ["g", "flat"], "f"),
        node("Gemm", ["f", weight("w3", 8, 12), weight("b3", 8)], "d", transB=1),
        node("MatMul", ["d", weight("w4", 8, 5)], "logits"),
        node("Softmax", ["logits"], "probabilities", axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, IMAGE)],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, (1, 5)),
            helper.make_tensor_value_info("silu", TensorProto.FLOAT, (1, 12, 5, 4)),
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


class Images(CalibrationDataReader):
    """A few random images."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self._images = [rng.standard_normal(IMAGE).astype("float32") for _ in range(8)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"image": self._images.pop()} if self._images else None


def quantized(
    folder: Path, form: QuantFormat, activation: QuantType, weight: QuantType, per_channel: bool
) -> onnx.ModelProto:
    source, target = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(network(), source)
    quantize_static(
        source,
        target,
        Images(),
        quant_format=form,
        activation_type=activation,
        weight_type=weight,
        per_channel=per_channel,
    )
    return onnx.load(target)


def run_onnx(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return session(model).run(None, inputs)


def relax_operators(module) -> set[str]:
    found: set[str] = set()

    def visit(expr: relax.Expr) -> None:
        if hasattr(expr, "op") and hasattr(expr.op, "name"):
            found.add(expr.op.name)

    relax.analysis.post_order_visit(module["main"], visit)
    return found


def constant_types(module) -> Counter[str]:
    types: Counter[str] = Counter()

    def visit(expr: relax.Expr) -> None:
        if hasattr(expr, "value") and hasattr(expr.value, "numpy"):
            types[str(expr.value.numpy().dtype)] += 1

    relax.analysis.post_order_visit(module["main"], visit)
    return types


TYPES = {
    "int8": (QuantType.QInt8, QuantType.QInt8),
    "uint8-int8": (QuantType.QUInt8, QuantType.QInt8),
    "uint8": (QuantType.QUInt8, QuantType.QUInt8),
}


@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("form", [QuantFormat.QOperator, QuantFormat.QDQ], ids=["qop", "qdq"])
def test_quantized_network_agrees_with_onnxruntime(
    tmp_path: Path, form: QuantFormat, types: str, per_channel: bool
) -> None:
    model = quantized(tmp_path, form, *TYPES[types], per_channel)
    operators = {node.op_type for node in model.graph.node}
    if form is QuantFormat.QOperator:
        assert {"QLinearConv", "QLinearAdd", "QLinearMul", "QLinearConcat"} <= operators
    loaded = load(model)
    assert loaded.format == "onnx"
    assert loaded.module["main"].attrs["dero.rounding"] == "single"
    assert [spec.name for spec in loaded.outputs] == ["probabilities", "silu"]
    # What remains is float arithmetic between int8 tensors.
    assert {"relax.quantize", "relax.dequantize"} <= relax_operators(loaded.module)
    assert constant_types(Canonicalize()(loaded.module))["uint8"] == 0

    scales = {
        node.output[0]: next(
            numpy_helper.to_array(t) for t in model.graph.initializer if t.name == node.input[1]
        )
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.output[0] in ("probabilities", "silu")
    }
    assert set(scales) == {"probabilities", "silu"}
    rng = np.random.default_rng(11)
    run = CompiledModel(loaded).run
    for _ in range(3):
        image = rng.standard_normal(IMAGE).astype("float32")
        expected = run_onnx(model, {"image": image})
        computed = run([image])
        for want, have, name in zip(expected, computed, ("probabilities", "silu"), strict=True):
            steps = np.abs(want - have) / scales[name]
            assert steps.max() <= 2.01
            if name == "silu":
                assert np.mean(steps > 0.5) < 0.05


def small(
    op: str,
    inputs: list[str],
    constants: dict[str, np.ndarray],
    shape: tuple[int, ...],
    *,
    domain: str = "com.microsoft",
    kind: int = TensorProto.INT8,
    out_kind: int | None = None,
    **attributes: object,
) -> onnx.ModelProto:
    """One operator on quantized tensors; its first input "x" is the model's."""
    node = helper.make_node(op, inputs, ["y"], name="it", domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "small",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", out_kind or kind, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _quantization(kind: type) -> dict[str, np.ndarray]:
    zero = kind(3) if kind is np.int8 else kind(131)
    return {
        "xs": np.array(0.05, "float32"),
        "xz": np.array(zero, kind),
        "ys": np.array(0.04, "float32"),
        "yz": np.array(zero - 5, kind),
    }


UNARY = ["x", "xs", "xz", "ys", "yz"]
_RNG = np.random.default_rng(5)
_GEMM = {
    "w": _RNG.integers(-127, 128, (6, 12)).astype("int8"),
    "ws": np.full(6, 0.001, "float32") * np.arange(1, 7, dtype="float32"),
    "wz": np.zeros(6, "int8"),
    "c": _RNG.integers(-500, 500, 6).astype("int32"),
}
_CHANNELS = {
    "w": _RNG.integers(-127, 128, (12, 6)).astype("int8"),
    "ws": np.full(6, 0.001, "float32") * np.arange(1, 7, dtype="float32"),
    "wz": np.zeros(6, "int8"),
}
SMALL = {
    "QLinearSigmoid": lambda q: small("QLinearSigmoid", UNARY, q, (2, 50)),
    "QLinearLeakyRelu": lambda q: small("QLinearLeakyRelu", UNARY, q, (2, 50), alpha=0.2),
    "QLinearSoftmax": lambda q: small(
        "QLinearSoftmax",
        UNARY,
        {**q, "ys": np.array(1 / 256, "float32"), "yz": np.array(-128, "int8")},
        (3, 10),
        axis=-1,
        opset=13,
    ),
    **{
        f"QLinearSoftmax of set {opset} from axis {axis}": lambda q, opset=opset, axis=axis: small(
            "QLinearSoftmax",
            UNARY,
            {**q, "ys": np.array(1 / 256, "float32"), "yz": np.array(-128, "int8")},
            (2, 3, 4),
            opset=opset,
            **({} if axis is None else {"axis": axis}),
        )
        for opset, axis in ((12, 1), (12, -2), (12, 0), (12, None), (13, 1))
    },
    "QLinearGlobalAveragePool": lambda q: small(
        "QLinearGlobalAveragePool", UNARY, q, (1, 4, 6, 5), channels_last=0
    ),
    "QLinearAveragePool": lambda q: small(
        "QLinearAveragePool", UNARY, q, (1, 4, 6, 5), kernel_shape=[3, 2], pads=[1, 0, 1, 1]
    ),
    "QLinearGlobalAveragePool of NHWC": lambda q: small(
        "QLinearGlobalAveragePool", UNARY, q, (1, 4, 3, 5), channels_last=1
    ),
    "QLinearAveragePool of NHWC": lambda q: small(
        "QLinearAveragePool",
        UNARY,
        q,
        (1, 6, 5, 4),
        kernel_shape=[3, 2],
        pads=[1, 0, 1, 1],
        channels_last=1,
    ),
    "NhwcMaxPool": lambda q: small(
        "NhwcMaxPool", ["x"], {}, (1, 6, 5, 4), kernel_shape=[3, 2], pads=[1, 0, 1, 1]
    ),
    "QLinearConv of NHWC": lambda q: small(
        "QLinearConv",
        ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "c"],
        {**q, **_GEMM, "w": _GEMM["w"].reshape(6, 3, 2, 2)},
        (1, 5, 4, 3),
        strides=[2, 1],
        channels_last=1,
    ),
    "QGemm": lambda q: small(
        "QGemm",
        ["x", "xs", "xz", "w", "ws", "wz", "c", "ys", "yz"],
        {**q, **_GEMM},
        (2, 12),
        transB=1,
        alpha=1.0,
    ),
    "QLinearMatMul": lambda q: small(
        "QLinearMatMul",
        ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"],
        {**q, **_CHANNELS},
        (2, 12),
        domain="",
    ),
    "QLinearWhere": lambda q: small(
        "QLinearWhere",
        ["c", "x", "xs", "xz", "b", "bs", "bz", "ys", "yz"],
        {
            **q,
            "c": _RNG.integers(0, 2, (2, 50)).astype(bool),
            "b": _RNG.integers(-128, 128, 50).astype("int8"),
            "bs": np.array(0.03, "float32"),
            "bz": np.array(-9, "int8"),
        },
        (2, 50),
    ),
}


@pytest.mark.parametrize("op", SMALL)
def test_single_qoperator(op: str) -> None:
    model = SMALL[op](_quantization(np.int8))
    loaded = load(model)
    data = np.random.default_rng(2).integers(-128, 128, loaded.inputs[0].shape).astype("int8")
    (expected,) = run_onnx(model, {"x": data})
    (computed,) = run_in_c(loaded, [data])
    assert computed.dtype == expected.dtype == np.int8
    assert len(np.unique(expected)) > 3
    difference = np.abs(expected.astype(int) - computed.astype(int))
    assert difference.max() <= 1


def test_gemm_without_output_scale_is_float() -> None:
    q = _quantization(np.int8)
    model = small(
        "QGemm",
        ["x", "xs", "xz", "w", "ws", "wz", "c"],
        {**{k: q[k] for k in ("xs", "xz")}, **_GEMM},
        (2, 12),
        out_kind=TensorProto.FLOAT,
        transB=1,
    )
    loaded = load(model)
    data = np.random.default_rng(2).integers(-128, 128, (2, 12)).astype("int8")
    (expected,) = run_onnx(model, {"x": data})
    (computed,) = run_in_c(loaded, [data])
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5)


def test_conv_integer_and_matmul_integer_are_exact() -> None:
    rng = np.random.default_rng(9)
    data = rng.integers(0, 256, (1, 3, 7, 6)).astype("uint8")
    model = small(
        "ConvInteger",
        ["x", "w", "xz", "wz"],
        {
            "w": rng.integers(0, 256, (4, 3, 3, 3)).astype("uint8"),
            "xz": np.array(120, "uint8"),
            "wz": np.array(131, "uint8"),
        },
        data.shape,
        domain="",
        kind=TensorProto.UINT8,
        out_kind=TensorProto.INT32,
        pads=[1, 1, 1, 1],
    )
    (computed,) = run_in_c(load(model), [data])
    np.testing.assert_array_equal(computed, run_onnx(model, {"x": data})[0])

    data = rng.integers(-128, 128, (3, 12)).astype("int8")
    model = small(
        "MatMulInteger",
        ["x", "w", "xz", "wz"],
        {"w": _CHANNELS["w"], "xz": np.array(7, "int8"), "wz": np.array(0, "int8")},
        data.shape,
        domain="",
        out_kind=TensorProto.INT32,
    )
    (computed,) = run_in_c(load(model), [data])
    np.testing.assert_array_equal(computed, run_onnx(model, {"x": data})[0])


def test_rewriting_to_qdq_keeps_the_graph_valid(tmp_path: Path) -> None:
    model = quantized(
        tmp_path, QuantFormat.QOperator, QuantType.QUInt8, QuantType.QInt8, per_channel=True
    )
    image = np.random.default_rng(1).standard_normal(IMAGE).astype("float32")
    expected = run_onnx(model, {"image": image})
    qoperators_to_qdq(model.graph)
    onnx.checker.check_model(model)
    assert {n.op_type for n in model.graph.node if n.op_type.startswith("QLinear")} == set()
    for before, after in zip(expected, run_onnx(model, {"image": image}), strict=True):
        np.testing.assert_allclose(after, before, atol=0.05)


def test_unsigned_model_inputs_stay_unsigned() -> None:
    """uint8 that the caller passes in cannot be shifted; what follows still is."""
    q = _quantization(np.uint8)
    model = small("QLinearSigmoid", UNARY, q, (2, 50), kind=TensorProto.UINT8)
    loaded = load(model)
    assert loaded.inputs[0].dtype == loaded.outputs[0].dtype == "uint8"
    data = np.random.default_rng(2).integers(0, 256, (2, 50)).astype("uint8")
    (computed,) = run_in_c(loaded, [data])
    expected = run_onnx(model, {"x": data})[0]
    assert np.abs(expected.astype(int) - computed.astype(int)).max() <= 1


def test_padding_of_shifted_tensors() -> None:
    """Pad's value is a quantized number too, stated or not."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("Pad", ["q", "pads"], ["p"]),
        helper.make_node("Pad", ["p", "pads", "v"], ["pp"]),
        helper.make_node("DequantizeLinear", ["pp", "s", "z"], ["y"]),
    ]
    constants = {
        "s": np.array(0.05, "float32"),
        "z": np.array(100, "uint8"),
        "v": np.array(7, "uint8"),
        "pads": np.array([0, 1, 0, 2], "int64"),
    }
    graph = helper.make_graph(
        nodes,
        "pad",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 5))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 11))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    loaded = load(model)
    assert constant_types(Canonicalize()(loaded.module))["uint8"] == 0
    data = np.random.default_rng(4).standard_normal((2, 5)).astype("float32")
    np.testing.assert_allclose(
        run_in_c(loaded, [data])[0], run_onnx(model, {"x": data})[0], atol=1e-6
    )


def _int64(*values: int) -> np.ndarray:
    return np.array(values, "int64")


MOVES: dict[str, tuple[list[np.ndarray], dict[str, object]]] = {  # operands behind the data
    "Concat": ([np.arange(120, dtype="uint8").reshape(1, 4, 6, 5)], {"axis": 1}),
    "DepthToSpace": ([], {"blocksize": 2}),
    "Expand": ([_int64(2, 4, 6, 5)], {}),
    "Flatten": ([], {"axis": 2}),
    "Gather": ([_int64(2, 0, -1)], {"axis": 2}),
    "MaxPool": ([], {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]}),
    "Pad": ([_int64(0, 0, 1, 2, 0, 1, 0, 1)], {}),
    "Pad of 7": ([_int64(0, 0, 1, 2, 0, 1, 0, 1), np.array(7, "uint8")], {}),
    "Pad by edges": ([_int64(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "edge"}),
    "Pad by mirror": ([_int64(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "reflect"}),
    "Reshape": ([_int64(1, 24, 5)], {}),
    "Slice": ([_int64(5), _int64(-9), _int64(2), _int64(-2)], {}),
    "SpaceToDepth": ([], {"blocksize": 1}),
    "Split": ([], {"axis": 1, "num_outputs": 1}),
    "Squeeze": ([_int64(0)], {}),
    "Tile": ([_int64(1, 2, 1, 2)], {}),
    "Transpose": ([], {"perm": [0, 2, 3, 1]}),
    "Unsqueeze": ([_int64(0)], {}),
}


def test_moves_of_unsigned_tensors_work_on_signed_ones() -> None:
    """None asks for its uint8 back, and none changes a value."""
    model = QDQModel()
    q = model.quantize(model.input("x", (1, 4, 6, 5)), 0.05, np.uint8(100))
    outputs = {}
    for move, (operands, attributes) in MOVES.items():
        moved = model.node(move.split()[0], q, *map(model.constant, operands), **attributes)
        outputs[f"y{len(outputs)}"] = (model.dequantize(moved, 0.05, np.uint8(100)), "float32")
    proto = model.build(**outputs)
    loaded = load(proto)
    assert "uint8" not in Canonicalize()(loaded.module).script()
    data = np.random.default_rng(4).normal(size=(1, 4, 6, 5)).astype("float32") * 4
    computed, expected = run_in_c(loaded, [data]), run_onnx(proto, {"x": data})
    for move, have, want in zip(MOVES, computed, expected, strict=True):
        np.testing.assert_array_equal(have, want, err_msg=move)
