"""The whole of `Canonicalize` against programs that we did not write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tflite
import tvm
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from dero_tvm.frontends.tflite import load_tflite
from relax_passes.canonicalization.canonicalize import Canonicalize
from relax_passes.canonicalization.channels_last import INPUT_LAYOUTS
from relax_passes.ir.dataflow import NOTES, ROUNDING, with_operands
from tests.host_module import host_function, run_on_host
from tests.light_models import light_model
from tests.tflite_builder import TFLiteBuilder, run_litert_reference

GOLDEN = {
    "resnet8": "pretrainedResnet_quant",
    "vww": "vww_96_int8",
    "kws": "kws_ref_model",
    "ad": "ad01_int8",
    "str_ww": "str_ww_ref_model",
}


def tflite_module(data: bytes) -> tvm.IRModule:
    return load_tflite(data, label="model", name="model").module


def canonical(module: tvm.IRModule, input_layout: str = "model") -> tvm.IRModule:
    """The canonical module, after checking that a second run changes nothing."""
    after = Canonicalize(input_layout)(module)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(Canonicalize(input_layout)(after), after)
    return after


def operators(module: tvm.IRModule) -> list[str]:
    return [binding.value.op.name for binding in module["main"].body.blocks[0].bindings]


def with_all_values(module: tvm.IRModule) -> tvm.IRModule:
    """`module` with the value of every binding as a result."""
    builder = relax.BlockBuilder()
    function = module["main"]
    values: dict[relax.Var, relax.Var] = {}
    with builder.function("main", list(function.params)):
        for binding in function.body.blocks[0].bindings:
            call = with_operands(binding.value, lambda expr: values.get(expr, expr))
            values[binding.var] = builder.emit(call)
        builder.emit_func_output(relax.Tuple(list(values.values())))
    return builder.finalize()


# --- TFLite ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_int8_models_give_the_bytes_of_a_microcontroller(name: str, shared: Path) -> None:
    path = shared / "models" / "mlperf_tiny" / f"{GOLDEN[name]}.tflite"
    module = canonical(tflite_module(path.read_bytes()))
    assert all(operator.startswith("dero.") for operator in operators(module))
    golden = np.load(shared / "golden" / f"{name}.npz")
    shape = [int(d) for d in module["main"].params[0].ty.shape]
    run = host_function(module)
    for seed in range(5):
        (output,) = run(golden[f"input_q_seed{seed}"].reshape(shape))
        np.testing.assert_array_equal(output.ravel(), golden[f"output0_seed{seed}"].ravel())


def test_the_mcunet_model_gives_the_bytes_of_a_microcontroller(shared: Path) -> None:
    """Explicit padding, and transposes that cost nothing, between float ends."""
    data = (shared / "models" / "tinyengine" / "vww.tflite").read_bytes()
    module = canonical(tflite_module(data))
    assert "dero.transpose" not in operators(module)
    golden = np.load(shared / "golden" / "te_vww.npz")
    run = host_function(module)
    for seed in range(5):
        integers = golden[f"input_q_seed{seed}"].astype("float32") - golden["in_zp"]
        values = (integers * golden["in_scale"]).astype("float32").reshape(1, 80, 80, 3)
        np.testing.assert_array_equal(run(values)[0].ravel(), golden[f"output0_seed{seed}"].ravel())


@pytest.mark.parametrize("name", ["resnet8", "kws"])
def test_operators_keep_the_order_of_the_model(name: str, shared: Path) -> None:
    data = (shared / "models" / "mlperf_tiny" / f"{GOLDEN[name]}.tflite").read_bytes()
    module = canonical(tflite_module(data))
    golden = np.load(shared / "golden" / f"{name}.npz")
    values = np.load(shared / "golden" / "intermediates" / f"{name}.npz")
    graph = tflite.Model.GetRootAsModel(data, 0).Subgraphs(0)
    tensors = [graph.Operators(i).Outputs(0) for i in range(graph.OperatorsLength())]
    shape = [int(d) for d in module["main"].params[0].ty.shape]
    actual = run_on_host(with_all_values(module), [golden["input_q_seed0"].reshape(shape)])
    assert len(actual) == len(tensors)
    for value, tensor in zip(actual, tensors):
        np.testing.assert_array_equal(value.ravel(), values[f"t{tensor}"].ravel())


@pytest.mark.parametrize("name", ["pretrainedResnet", "vww_96_float"])
def test_float_models(name: str, shared: Path) -> None:
    data = (shared / "models" / "mlperf_tiny" / f"{name}.tflite").read_bytes()
    module = canonical(tflite_module(data))
    assert all(operator.startswith("dero.") for operator in operators(module))
    shape = [int(d) for d in module["main"].params[0].ty.shape]
    values = np.random.default_rng(0).uniform(0, 1, shape).astype("float32")
    graph = tflite.Model.GetRootAsModel(data, 0).Subgraphs(0)
    (expected,) = run_litert_reference(
        data, {graph.Tensors(graph.Inputs(0)).Name().decode(): values}
    )
    (actual,) = run_on_host(module, [values])
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def int8_network(rng: np.random.Generator) -> tuple[bytes, list[str]]:
    """Padding, depthwise, residual, gate, concatenation, pooling, dense, softmax; and its order."""
    b = TFLiteBuilder()

    def tensor(name, scale=0.05, zero_point=-2):
        return b.tensor(name, None, "int8", scale=scale, zero_point=zero_point)

    def layer(code, name, source, in_scale, shape, axis, out, **options):
        channels = shape[axis]
        scales = rng.uniform(0.005, 0.02, channels).astype("float32")
        weight = b.constant(
            f"{name}_w", rng.integers(-127, 128, shape, "int8"), scale=scales.tolist(), axis=axis
        )
        bias = b.constant(
            f"{name}_b",
            rng.integers(-500, 500, (channels,), "int32"),
            scale=(np.float32(in_scale) * scales).tolist(),
            axis=0,
        )
        b.operator(code, [source, weight, bias], [out], **options)
        return out

    x = b.input("x", (1, 9, 9, 6), "int8", scale=0.05, zero_point=-2)
    amounts = b.constant("amounts", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], "int32"))
    padded = tensor("padded")
    b.operator("PAD", [x, amounts], [padded])
    depthwise = layer(
        "DEPTHWISE_CONV_2D",
        "dw",
        padded,
        0.05,
        (1, 3, 3, 6),
        3,
        tensor("dw", 0.06, 4),
        padding="VALID",
        depth_multiplier=1,
        fused_activation_function="RELU6",
    )
    point = layer(
        "CONV_2D", "pw", depthwise, 0.06, (6, 1, 1, 6), 0, tensor("pw", 0.07, 1), padding="SAME"
    )
    joined = tensor("joined", 0.08, -9)
    b.operator("ADD", [x, point], [joined], fused_activation_function="RELU")
    swish = tensor("swish", 0.07, -110)
    b.operator("HARD_SWISH", [joined], [swish])
    gate = tensor("gate", 1 / 256, -128)
    b.operator("LOGISTIC", [joined], [gate])
    gated = tensor("gated", 0.07, -110)
    b.operator("MUL", [joined, gate], [gated])
    both = tensor("both", 0.07, -110)
    b.operator("CONCATENATION", [swish, gated], [both], axis=3)
    small = tensor("small", 0.07, -110)
    b.operator(
        "AVERAGE_POOL_2D",
        [both],
        [small],
        padding="SAME",
        stride_w=2,
        stride_h=2,
        filter_width=3,
        filter_height=3,
    )
    axes = b.constant("axes", np.array([1, 2], "int32"))
    mean = tensor("mean", 0.03, -100)
    b.operator("MEAN", [small, axes], [mean], keep_dims=False)
    logits = layer("FULLY_CONNECTED", "fc", mean, 0.03, (5, 12), 0, tensor("logits", 0.1, 3))
    y = tensor("y", 1 / 256, -128)
    b.operator("SOFTMAX", [logits], [y], beta=1.0)
    order = (
        "pad conv2d conv2d add lookup lookup multiply concat pool2d reduce dense softmax"
    ).split()
    return b.build(outputs=[y]), [f"dero.{name}" for name in order]


def test_an_int8_network_equals_litert_bit_by_bit() -> None:
    rng = np.random.default_rng(3)
    data, order = int8_network(rng)
    module = canonical(tflite_module(data))
    assert operators(module) == order
    assert NOTES not in (module["main"].attrs or {})
    run = host_function(module)
    for _ in range(10):
        values = rng.integers(-128, 128, (1, 9, 9, 6), "int8")
        (expected,) = run_litert_reference(data, {"x": values})
        np.testing.assert_array_equal(run(values)[0], expected)


# --- ONNX ------------------------------------------------------------------------------------


class _Calibration(CalibrationDataReader):
    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.batches = iter(
            [{"x": rng.normal(size=(1, 3, 16, 16)).astype("float32")} for _ in range(8)]
        )

    def get_next(self):
        return next(self.batches, None)


def residual_network() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def conv(source, name, shape, **attributes):
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        for suffix, array in (
            ("w", rng.normal(size=shape) * scale),
            ("b", rng.normal(size=shape[0]) * 0.1),
        ):
            weights.append(numpy_helper.from_array(array.astype("float32"), f"{name}_{suffix}"))
        nodes.append(
            helper.make_node("Conv", [source, f"{name}_w", f"{name}_b"], [name], name, **attributes)
        )
        return name

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    stem = node("Relu", [conv("x", "c1", (8, 3, 3, 3), pads=[1] * 4)], "r1")
    main = conv(stem, "c2", (8, 8, 3, 3), pads=[1] * 4)
    join = node("Relu", [node("Add", [main, stem], "a1")], "r2")
    left = conv(join, "c3", (16, 1, 3, 3), pads=[1] * 4, strides=[2, 2], group=8)
    pooled = node("MaxPool", [join], "p1", kernel_shape=[2, 2], strides=[2, 2])
    right = conv(pooled, "c4", (16, 8, 1, 1))
    both = node("Concat", [left, right], "cat", axis=1)
    silu = node("Mul", [both, node("Sigmoid", [both], "s1")], "silu")
    flat = node("Flatten", [node("GlobalAveragePool", [silu], "gap")], "flat")
    for name, array in (("fc_w", rng.normal(size=(10, 32)) / 6), ("fc_b", rng.normal(size=10))):
        weights.append(numpy_helper.from_array(array.astype("float32"), name))
    node("Gemm", [flat, "fc_w", "fc_b"], "y", transB=1)
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def onnx_module(model: onnx.ModelProto, rounding: str = "single") -> tvm.IRModule:
    module = from_onnx(model, keep_params_in_input=False)
    module["main"] = module["main"].with_attr(ROUNDING, rounding)
    return module


def session(model: onnx.ModelProto, *, plain: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if plain:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8])
def test_a_quantized_residual_network_is_one_step_from_onnxruntime(
    activations: QuantType, tmp_path: Path
) -> None:
    onnx.save(residual_network(), tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "quantized.onnx",
        _Calibration(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=activations,
        weight_type=QuantType.QInt8,
    )
    model = onnx.load(tmp_path / "quantized.onnx")
    module = canonical(onnx_module(model))
    order = (
        "quantize transpose conv2d conv2d add conv2d pool2d conv2d lookup concat lookup multiply "
        "reduce reshape dense dequantize"
    )
    assert operators(module) == [f"dero.{name}" for name in order.split()]
    step = next(
        numpy_helper.to_array(tensor).item()
        for tensor in model.graph.initializer
        if tensor.name == "y_scale"
    )
    run, reference = host_function(module), session(model, plain=True)
    differing = 0
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=(1, 3, 16, 16)).astype("float32")
        (expected,) = reference.run(None, {"x": values})
        steps = np.rint((run(values)[0] - expected) / step)
        assert np.abs(steps).max() <= 1
        differing += np.count_nonzero(steps)
    assert differing <= 20  # of 200


@pytest.mark.parametrize("name", ["light_squeezenet", "light_shufflenet"])
@pytest.mark.slow
def test_light_models_agree_with_onnxruntime(name: str) -> None:
    model = light_model(name)
    module = canonical(onnx_module(model), "nhwc")
    assert all(operator.startswith("dero.") for operator in operators(module))
    (layout,) = module["main"].attrs[INPUT_LAYOUTS]
    reference = session(model)
    (data,) = reference.get_inputs()
    values = np.random.default_rng(0).normal(size=data.shape).astype("float32")
    (expected,) = reference.run(None, {data.name: values})
    (actual,) = run_on_host(module, [values.transpose([int(axis) for axis in layout])])
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["light_inception_v1", "light_densenet121", "light_resnet50"])
def test_light_models_need_few_transposes(name: str) -> None:
    """Only local response normalization, which TVM averages in NCHW, moves elements inside."""
    module = canonical(onnx_module(light_model(name)))
    normalizations = operators(module).count("relax.nn.avg_pool3d")
    assert operators(module).count("dero.transpose") == 1 + 2 * normalizations
    left = {operator for operator in operators(module) if not operator.startswith("dero.")}
    assert left <= {"relax.nn.avg_pool3d"}


# --- errors ----------------------------------------------------------------------------------


def test_symbolic_sizes_are_refused() -> None:
    batch = tvm.tirx.Var("n", "int64")
    x = relax.Var("x", relax.TensorType((batch, 4), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(relax.op.add(x, relax.const(1.0)))
        builder.emit_func_output(output)
    with pytest.raises(ValueError, match="expected a static shape.*symbolic sizes first"):
        Canonicalize()(builder.finalize())


def test_a_module_without_main_is_refused() -> None:
    with pytest.raises(ValueError, match="no function `main`"):
        Canonicalize()(tvm.IRModule({}))
