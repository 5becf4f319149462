"""Networks along one axis: their rows are steps of time, and they stream, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from dero_tvm.frontends import LoadedModel
from dero_tvm.frontends.load import load
from relax_passes.canonicalization.rows_along_time import RowsAlongTime
from relax_passes.operators import make_call
from relax_passes.pipeline import Canonicalize
from tests.compiled.c_batch import library_of, streamed_and_whole
from tests.end_to_end.oracles import litert
from tests.models.tflite_builder import TFLiteBuilder
from tests.relax_passes.network_parts import conv, network, random_inputs, run

LENGTH = 96


class Along(TFLiteBuilder):
    """A network as Keras writes it: each Conv1D between reshapes to images of one row."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.rng = np.random.default_rng(0)

    def own(self) -> dict[str, float]:
        return {"scale": 0.05, "zero_point": -4} if self.kind == "int8" else {}

    def shaped(self, data: int, shape: tuple[int, ...]) -> int:
        result = self.tensor("", shape, self.kind, **self.own())
        self.operator("RESHAPE", [data, self.constant("", np.array(shape), "int32")], [result])
        return result

    def conv(self, data: int, length: int, channels: tuple[int, int], size: int, **o: Any) -> int:
        given, filters = channels
        stride, dilation = o.get("stride", 1), o.get("dilation", 1)
        shape = (filters, 1, size, given)
        if self.kind == "int8":
            weight = self.rng.integers(-127, 128, shape)
            weight = self.constant("", weight, "int8", scale=0.02 / size)
            bias = self.rng.integers(-99, 99, filters)
            bias = self.constant("", bias, "int32", scale=0.05 * 0.02 / size)
        else:
            weight = self.rng.standard_normal(shape) / (size * given) ** 0.5
            weight = self.constant("", weight, "float32")
            bias = self.constant("", self.rng.standard_normal(filters), "float32")
        image = self.shaped(data, (1, 1, length, given))
        made = self.tensor("", (1, 1, -(-length // stride), filters), self.kind, **self.own())
        self.operator(
            "CONV_2D",
            [image, weight, bias],
            [made],
            padding="SAME",
            stride_w=stride,
            stride_h=1,
            dilation_w_factor=dilation,
            dilation_h_factor=1,
            fused_activation_function=o.get("activation", "RELU"),
        )
        return self.shaped(made, (1, -(-length // stride), filters))

    def block(self, data: int, length: int, channels: int, dilation: int = 1) -> int:
        made = self.conv(data, length, (channels, channels), 5, dilation=dilation)
        made = self.conv(made, length, (channels, channels), 3, activation="NONE")
        total = self.tensor("", (1, length, channels), self.kind, **self.own())
        self.operator("ADD", [data, made], [total], fused_activation_function="RELU")
        return total


def residual(kind: str) -> bytes:
    b = Along(kind)
    x = b.input("x", (1, LENGTH, 2), kind, **b.own())
    y = b.conv(x, LENGTH, (2, 8), 7, stride=2)
    y = b.block(b.block(y, LENGTH // 2, 8), LENGTH // 2, 8, dilation=2)
    image = b.shaped(y, (1, 1, LENGTH // 2, 8))
    pooled = b.tensor("", (1, 1, LENGTH // 4, 8), kind, **b.own())
    window = {"filter_width": 2, "filter_height": 1, "stride_w": 2, "stride_h": 1}
    b.operator("MAX_POOL_2D", [image], [pooled], padding="VALID", **window)
    y = b.conv(b.shaped(pooled, (1, LENGTH // 4, 8)), LENGTH // 4, (8, 12), 3)
    mean = b.tensor("mean", (1, 12), kind, **b.own())
    b.operator("MEAN", [y, b.constant("", np.array([1]), "int32")], [mean], keep_dims=False)
    return b.build([mean])


def sequence_to_sequence(kind: str) -> bytes:
    """Without an end that brings all steps together; the output is one row of many pixels."""
    b = Along(kind)
    x = b.input("x", (1, 1, LENGTH, 2), kind, **b.own())
    y = b.conv(x, LENGTH, (2, 6), 5)
    y = b.block(y, LENGTH, 6)
    return b.build([b.shaped(b.conv(y, LENGTH, (6, 3), 3), (1, 1, LENGTH, 3))])


@dataclass
class Case:
    loaded: LoadedModel
    x: np.ndarray
    expected: np.ndarray
    tolerance: float
    share: float  # of the bytes of whole tensors that streaming needs at most


def of_tflite(model: bytes, share: float) -> Case:
    loaded = load(model)
    (port,) = loaded.inputs
    rng = np.random.default_rng(3)
    x = rng.standard_normal(port.shape).astype("float32")
    if port.dtype == "int8":
        x = rng.integers(-128, 128, port.shape).astype("int8")
    tolerance = 0.0 if port.dtype == "int8" else 1e-5
    return Case(loaded, x, litert(model, [x])[0], tolerance, share)


def temporal_network() -> Case:
    """Causal convolutions with growing dilations, as PyTorch writes them."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, given: int, channels: int, dilation: int) -> None:
            super().__init__()
            self.pad = 2 * dilation
            self.a = nn.Conv1d(given, channels, 3, dilation=dilation)
            self.b = nn.Conv1d(channels, channels, 3, dilation=dilation)
            self.shortcut = nn.Conv1d(given, channels, 1) if given != channels else nn.Identity()

        def forward(self, x):
            y = torch.relu(self.a(nn.functional.pad(x, (self.pad, 0))))
            y = torch.relu(self.b(nn.functional.pad(y, (self.pad, 0))))
            return torch.relu(y + self.shortcut(x))

    torch.manual_seed(0)
    blocks = [Block(2, 8, 1), nn.AvgPool1d(2), Block(8, 8, 2), Block(8, 8, 4)]
    module = nn.Sequential(*blocks, nn.Conv1d(8, 3, 1)).eval()
    x = torch.randn(1, 2, LENGTH)
    loaded = load(torch.export.export(module, (x,)))
    return Case(loaded, x.numpy(), module(x).detach().numpy(), 1e-5, 0.6)


def test_in_c() -> None:
    """Streamed and whole, the bits of LiteRT for integers, in a part of the memory."""
    cases = {
        "residual_int8": of_tflite(residual("int8"), 0.6),
        "residual_float": of_tflite(residual("float32"), 0.6),
        "sequence_int8": of_tflite(sequence_to_sequence("int8"), 0.7),
        "temporal": temporal_network(),
    }
    programs = {}
    for name, case in cases.items():
        streamed, whole = streamed_and_whole(case.loaded)
        programs |= {f"{name}_streamed": streamed, f"{name}_whole": whole}
        assert streamed.plan.total_bytes <= case.share * whole.plan.total_bytes, name
    library = library_of(programs)
    for name, case in cases.items():
        for way in ("streamed", "whole"):
            inputs = {case.loaded.inputs[0].name: case.x}
            outputs, calls = library.run(f"{name}_{way}", inputs)
            (actual,) = outputs.values()
            if way == "whole" and name != "temporal":  # PyTorch's has no axis of one row
                cascades = programs[f"{name}_{way}"].network.cascades
                assert calls < 2 * len(cascades), "a kernel runs for a row at a time"
            np.testing.assert_allclose(
                actual, case.expected, rtol=case.tolerance, atol=case.tolerance, err_msg=name
            )


@I.ir_module
class Before:
    @R.function
    def main(x: R.Tensor((1, 1, 6, 2), "float32"), w: R.Tensor((3, 1, 3, 2), "float32")):
        with R.dataflow():
            y = R.nn.conv2d(x, w, padding=(0, 1, 0, 1), data_layout="NHWC", kernel_layout="OHWI")
            z = R.nn.relu(y)
            R.output(z)
        return z


def test_before_and_after() -> None:
    """Everything between input and output is turned, and turning it again changes nothing."""
    weight = np.arange(18, dtype="float32").reshape(3, 1, 3, 2)
    before = Canonicalize()(relax.transform.BindParams("main", {"w": weight})(Before))
    after = RowsAlongTime()(before)
    values = [b.value for block in after["main"].body.blocks for b in block.bindings]
    assert [call.op.name for call in values] == ["dero.reshape", "dero.conv2d", "dero.reshape"]
    conv = values[1]
    assert list(map(int, conv.ty.shape.values)) == [1, 6, 1, 3]
    assert list(map(int, conv.attrs["padding"])) == [1, 0, 1, 0]
    np.testing.assert_array_equal(conv.args[1].value.numpy(), weight.swapaxes(1, 2))
    tvm.ir.assert_structural_equal(RowsAlongTime()(after), after)


def test_images_stay_as_they_are() -> None:
    """With a height of more than 1, or a kernel of one pixel, there is no time."""
    for shape, kernel in (((1, 4, 6, 2), (3, 1, 3, 2)), ((1, 1, 6, 2), (3, 1, 1, 2))):
        builder = relax.BlockBuilder()
        x = relax.Var("x", relax.TensorType(shape, "float32"))
        weight = relax.const(np.ones(kernel, "float32"))
        layouts = {"data_layout": "NHWC", "kernel_layout": "OHWI"}
        with builder.function("main", [x]):
            with builder.dataflow():
                result = builder.emit_output(relax.op.nn.conv2d(x, weight, **layouts))
            builder.emit_func_output(result)
        module = Canonicalize()(builder.get())
        assert RowsAlongTime()(module).same_as(module)


@pytest.mark.parametrize(
    ("operator", "attrs"),
    [
        pytest.param("resize_bilinear", {"size": (1, 18), "scale": (1.0, 0.5)}, id="bilinear"),
        pytest.param("resize_bilinear", {"size": (1, 14), "scale": (1.0, 0.7)}, id="cut off"),
        pytest.param("resize2d", {"size": (1, 18), "scale": (1.0, 0.45)}, id="nearest"),
        pytest.param(
            "pool2d",
            {"pool_size": (1, 3), "strides": (1, 2), "padding": (0, 2, 0, 1), "kind": "average"},
            id="pool",
        ),
    ],
)
def test_what_an_operator_has_for_height_and_width_is_turned(
    operator: str, attrs: dict[str, Any]
) -> None:
    def build(emit: Any, x: relax.Expr) -> relax.Expr:
        y = emit(conv(x, 4), "y")
        return emit(conv(emit(make_call(operator, [y], **attrs), "z"), 4), "out")

    before = network(build, (1, 1, 9, 4))
    after = RowsAlongTime()(before)
    assert "(1, 9, 1, 4)" in str(after)
    inputs = random_inputs(before, 1)
    np.testing.assert_array_equal(run(before, inputs)[0], run(after, inputs)[0])
