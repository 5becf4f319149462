"""Convolution with a virtual shortcut: float32 against ONNX Runtime, int8 row by row, errors."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from relax_passes.operators import TensorSpec, operator_of
from relax_passes.operators.shortcut_steps import CONV, DATA, Affine, Lookup, Term, encode
from tests.operator_checks import check_kernel, random_array
from tests.random_cases import cases
from tests.row_kernel_runner import RowKernel

seeds = st.integers(0, 2**32 - 1)
gaps = st.integers(0, 2)


@st.composite
def layers(draw):
    """A convolution with "same" padding, and the shortcut that a reorganized network gives it."""
    kernel, stride = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    depthwise = draw(st.booleans())
    channels = draw(st.integers(1, 7))
    filters = channels if depthwise else draw(st.integers(1, 7))
    height, width = draw(st.integers(2, 7)), draw(st.integers(2, 7))
    # A strided pointwise convolution has a shortcut of 2 x 2 windows, of all pixels.
    assume(kernel > 1 or stride == 1 or (height % 2 == 0 and width % 2 == 0))
    size, padding = (kernel, kernel // 2) if kernel > 1 else (stride, 0)
    return {
        "data": (draw(st.integers(1, 2)), height, width, channels),
        "weight": (filters, kernel, kernel, 1 if depthwise else channels),
        "stride": stride,
        "groups": channels if depthwise else 1,
        "padding": kernel // 2,
        "pool": (size if stride > 1 else 1, padding if stride > 1 else 0),
        "fold": -(-channels // filters),
    }


def attributes(layer):
    size, padding = layer["pool"]
    return {
        "strides": (layer["stride"],) * 2,
        "padding": (layer["padding"],) * 4,
        "groups": layer["groups"],
        "pool_size": (size, size),
        "pool_padding": (padding,) * 4,
    }


def onnx_runtime(layer, tensors, activation):
    """Norm, convolution, activation; pool, pad, fold, norm; their sum."""
    nodes, (size, padding) = [], layer["pool"]

    def node(op, *inputs, **attrs):
        nodes.append(helper.make_node(op, inputs, [f"t{len(nodes)}"], **attrs))
        return nodes[-1].output[0]

    normal = node("Add", node("Mul", "x", "factor"), "summand")
    y = node("Conv", normal, "weight", "bias", strides=[layer["stride"]] * 2,
             pads=[layer["padding"]] * 4, group=layer["groups"])  # fmt: skip
    y = node(activation, y) if activation else y
    z = node("AveragePool", "x", kernel_shape=[size] * 2, strides=[layer["stride"]] * 2,
             pads=[padding] * 4, count_include_pad=1)  # fmt: skip
    z = node("Pad", node("Mul", z, "area"), "amounts")
    if layer["fold"] > 1:
        parts = [f"part{j}" for j in range(layer["fold"])]
        nodes.append(helper.make_node("Split", [z, "parts"], parts, axis=1))
        z = node("Sum", *parts)
    node("Add", y, node("Add", node("Mul", z, "scale"), "offset"))
    filters = layer["weight"][0]
    tensors = tensors | {
        "area": np.array([size * size], np.float32),
        "amounts": np.array([0] * 5 + [filters * layer["fold"] - layer["data"][3], 0, 0]),
        "parts": np.full(layer["fold"], filters),
    }
    types = {name: helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in tensors.items()}
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info(name, t, tensors[name].shape) for name, t in types.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (result,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, tensors)
    return np.ascontiguousarray(result.transpose(0, 2, 3, 1))


@given(layers(), gaps, gaps, st.sampled_from([None, "Relu", "Sigmoid"]), seeds)
@cases(10)
def test_float_equals_onnx_runtime(layer, gap, out_gap, activation, seed):
    """With a normalisation before the convolution, whose constant stops at the borders."""
    rng = np.random.default_rng(seed)
    data, weight = (random_array(rng, layer[name], "float32") for name in ("data", "weight"))
    filters, channels = weight.shape[0], data.shape[3]
    bias, scale, offset = (random_array(rng, (filters,), "float32") for _ in range(3))
    factor, summand = (random_array(rng, (channels,), "float32") for _ in range(2))
    tensors = {
        "x": np.ascontiguousarray(data.transpose(0, 3, 1, 2)),
        "weight": np.ascontiguousarray(weight.transpose(0, 3, 1, 2)),
        "bias": bias,
        **{
            name: vector.reshape(1, -1, 1, 1)
            for name, vector in (("factor", factor), ("summand", summand), ("scale", scale),
                                 ("offset", offset))
        },
    }  # fmt: skip
    expected = onnx_runtime(layer, tensors, activation)
    if layer["groups"] > 1:
        factor, summand = factor[:, None, None, None], summand[:, None, None, None]
    operands = [data, weight * factor, bias, scale, offset, (weight * summand).sum(-1)]
    bounds = {"minimum": 0.0} if activation == "Relu" else {}
    function = "sigmoid" if activation == "Sigmoid" else None
    check_kernel("shortcut_conv2d", operands, expected, gaps=[gap], out_gap=out_gap, rtol=2e-5,
                 in_place=(), function=function, fold=layer["fold"], **bounds,
                 **attributes(layer))  # fmt: skip


@given(layers(), gaps, gaps, seeds)
@cases(8)
def test_int8_equals_its_steps_one_by_one(layer, gap, out_gap, seed):
    """Normalised, requantized, folded and added as NumPy rounds float64 numbers."""
    rng = np.random.default_rng(seed)
    data, weight = (random_array(rng, layer[name], "int8") for name in ("data", "weight"))
    filters, channels, fold = weight.shape[0], data.shape[3], layer["fold"]
    bias = rng.integers(-5000, 5001, filters, dtype=np.int32)
    multiplier = np.full(filters, 1 << 30, np.int32)
    shift = np.full(filters, -9, np.int32)
    factors = rng.integers(1 << 28, 1 << 29, channels, dtype=np.int32)
    offsets = rng.integers(-(1 << 30), 1 << 30, channels, dtype=np.int32)
    table = rng.integers(-128, 128, 256, dtype=np.int8)
    size = layer["pool"][0]
    normal = Affine((Term(DATA, 3, 0, factors=0),), 0, 30, offsets=channels, offsets_shift=4)
    folded = Affine(
        (Term(DATA, 3, (1 << 29) // (size * size), count=fold, stride=filters, end=channels,
              guarded=int(filters * fold > channels)),), 5 << 30, 30, minimum=-100,
    )  # fmt: skip
    total = Affine((Term(CONV, -7, 1 << 29), Term(2, 5, 3 << 28)), -(9 << 30), 30, maximum=90)
    steps = (normal, folded, Lookup(1, 0), total)
    arrays = [data, weight, bias, multiplier, shift, np.concatenate([factors, offsets]), table]
    attrs = attributes(layer) | {
        "steps": encode(steps), "normalisation": 0, "input_zero_point": -4,
        "output_zero_point": -7, "minimum": -90,
    }  # fmt: skip

    normalised = rounded(
        (data.astype(np.int64) - 3) * factors.astype(np.int64) + offsets.astype(np.int64) * 16, 30
    )
    conv_attrs = {k: v for k, v in attrs.items() if k in ("strides", "padding", "groups",
                  "input_zero_point", "output_zero_point", "minimum")}  # fmt: skip
    conv = RowKernel("conv2d", [TensorSpec(a.shape, str(a.dtype)) for a in arrays[:5]],
                     rounding="single", **conv_attrs)  # fmt: skip
    conv = conv.run_rows(normalised.astype(np.int8), *arrays[1:5]).astype(np.int64)
    summed = window_sums(data.astype(np.int64) - 3, layer)
    summed = np.pad(summed, ((0, 0),) * 3 + ((0, filters * fold - channels),))
    summed = summed.reshape(*summed.shape[:3], fold, filters).sum(3)
    shortcut = rounded(summed * ((1 << 29) // (size * size)) + (5 << 30), 30, low=-100)
    shortcut = table[shortcut + 128].astype(np.int64)
    expected = rounded((conv + 7) * (1 << 29) + (shortcut - 5) * (3 << 28) - (9 << 30), 30, high=90)
    check_kernel("shortcut_conv2d", arrays, expected.astype(np.int8), gaps=[gap], out_gap=out_gap,
                 in_place=(), **attrs)  # fmt: skip


def rounded(total, shift, low=-128, high=127):
    """Ties to even; every total has fewer than 53 bits."""
    assert np.abs(total).max() < 1 << 52
    return np.clip(np.rint(np.ldexp(total.astype(np.float64), -shift)), low, high).astype(np.int64)


def window_sums(data, layer):
    (size, padding), stride = layer["pool"], layer["stride"]
    padded = np.pad(data, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return windows[:, ::stride, ::stride].sum((-2, -1))


SPECS = [TensorSpec((1, 4, 4, 3), "float32"), TensorSpec((2, 3, 3, 3), "float32")] + [
    TensorSpec((2,), "float32")
] * 3


def infer(specs, **attrs):
    operator = operator_of("dero.shortcut_conv2d")
    return operator.infer(tuple(specs), {**operator.defaults, "padding": (1, 1, 1, 1), **attrs})


@pytest.mark.parametrize(
    ("specs", "attrs", "message"),
    [
        (SPECS, {"pool_size": (2, 2)}, "the shortcut's window gives 3 x 3 pixels, the convolution "
         "4 x 4"),
        (SPECS, {"pool_size": (9, 9), "pool_padding": (9, 9, 0, 0)}, "windows lie outside"),
        (SPECS, {"fold": 0}, "fold must be at least 1"),
        (SPECS[:4], {}, "takes 5 or 6 float32 tensors, got 4"),
        ([*SPECS, TensorSpec((2, 3), "float32")], {}, r"tap_bias must be float32 \(2, 3, 3\)"),
    ],
)  # fmt: skip
def test_errors(specs, attrs, message):
    with pytest.raises(ValueError, match=message):
        infer(specs, **attrs)


def test_errors_of_steps():
    specs = [TensorSpec((1, 4, 4, 3), "int8"), TensorSpec((2, 3, 3, 3), "int8")]
    specs += [TensorSpec((2,), "int32")] * 3
    specs += [TensorSpec((4,), "int32"), TensorSpec((256,), "int8")]
    for steps, message in (
        ((), "needs steps"),
        ((Lookup(DATA, 1),), "refers to constants that are not there"),
        ((Affine((Term(DATA, 0, 0, factors=4),), 0, 8),), "refers to constants"),
        ((Lookup(1, 0), Lookup(0, 0)), "reads a step that comes after it"),
    ):
        with pytest.raises(ValueError, match=message):
            infer(specs, steps=encode(steps))
    with pytest.raises(ValueError, match="there is no step 1"):
        infer(specs, steps=encode([Lookup(DATA, 0)]), normalisation=1)
