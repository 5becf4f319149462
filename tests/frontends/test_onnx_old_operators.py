"""Operators of old operator sets mean what they meant: as C, against ONNX Runtime or NumPy.

ONNX Runtime knows operator sets from 7 on; what older ones mean is written out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map

from dero_tvm.frontends.onnx.old_operators import RULES
from tests.c_batch import CBatch, CLibrary, streamed_program
from tests.frontends.onnx_runtime import run_plainly

SHAPE = (1, 3, 4, 5)
DATA = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")


_KINDS = {"ArgMax": TensorProto.INT64, "Cast": TensorProto.INT32, "Greater": TensorProto.BOOL}


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def model(
    opset: int, operator: str, *constants: Any, results: int = 1, **attributes: Any
) -> onnx.ModelProto:
    """One node on ``x`` of `SHAPE` and on constants."""
    held = [numpy_helper.from_array(np.asarray(c), f"c{i}") for i, c in enumerate(constants)]
    outputs = ["y", *(f"y{i}" for i in range(1, results))]
    node = helper.make_node(operator, ["x", *(c.name for c in held)], outputs, **attributes)
    graph = helper.make_graph(
        [node],
        "old",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", _KINDS.get(operator, TensorProto.FLOAT), None)],
        held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def scales(*values: float) -> np.ndarray:
    return np.array([1, 1, *values], "float32")


AGAINST_ONNX_RUNTIME = {
    "upsample-7-linear": model(7, "Upsample", mode="linear", scales=[1.0, 1.0, 2.0, 3.0]),
    "upsample-7-nearest": model(7, "Upsample", scales=[1.0, 1.0, 1.5, 2.0]),
    "upsample-9-linear": model(9, "Upsample", scales(2, 1.4), mode="linear"),
    "upsample-9-nearest": model(9, "Upsample", scales(2.5, 1.4)),
    "resize-10-linear": model(10, "Resize", scales(2, 3), mode="linear"),
    "resize-10-nearest": model(10, "Resize", scales(2.5, 1.4)),
    "resize-10-smaller": model(10, "Resize", scales(0.5, 0.4)),
    "resize-10-both": model(10, "Resize", scales(0.5, 2)),
    "resize-11": model(11, "Resize", np.zeros(0, "f"), scales(2, 2), mode="linear"),
    **{
        f"{operator.lower()}-11-axis-{axis}": model(11, operator, axis=axis)
        for operator in ("Softmax", "LogSoftmax", "Hardmax")
        for axis in (0, 1, 2, -1)
    },
    "softmax-9-default": model(9, "Softmax"),
    "pad-2": model(9, "Pad", pads=[0, 0, 1, 2, 0, 1, 3, 0], value=1.5),
    "pad-2-reflect": model(9, "Pad", pads=[0, 0, 1, 2, 0, 0, 3, 0], mode="reflect"),
    "pad-2-edge": model(9, "Pad", pads=[0, 0, 1, 2, 0, 0, 3, 0], mode="edge"),
    "pad-2-negative": model(9, "Pad", pads=[0, 0, -1, 2, 0, 0, 0, -1]),
    "slice-1": model(9, "Slice", starts=[1, -3], ends=[1 << 31, -1], axes=[2, 3]),
    "slice-1-all": model(9, "Slice", starts=[0, 1, 0, 0], ends=[1, 3, 9, 9]),
    "clip-6": model(10, "Clip", min=-0.5, max=0.25),
    "clip-6-below": model(10, "Clip", max=0.25),
    "clip-11": model(11, "Clip", np.float32(-0.5), np.float32(0.5)),
    "dropout-7": model(7, "Dropout", ratio=0.4, results=2),
    "dropout-10": model(10, "Dropout", ratio=0.4),
    "batch-normalization-7": model(7, "BatchNormalization", *[np.abs(array(3)) + 1] * 4),
    "batch-normalization-9": model(9, "BatchNormalization", *[np.abs(array(3)) + 1] * 4),
    "prelu-7": model(7, "PRelu", array(5)),
    "prelu-9": model(9, "PRelu", array(3, 1, 1)),
    "squeeze-1": model(11, "Squeeze", axes=[0]),
    "squeeze-11": model(11, "Squeeze", axes=[-4]),
    "unsqueeze-1": model(9, "Unsqueeze", axes=[0, 3]),
    "unsqueeze-11": model(11, "Unsqueeze", axes=[-1]),
    "reduce-sum-1": model(9, "ReduceSum", axes=[1, 3], keepdims=0),
    "reduce-sum-11": model(11, "ReduceSum", axes=[-1]),
    "reduce-mean-1": model(9, "ReduceMean", axes=[2]),
    "reduce-max-11": model(11, "ReduceMax", axes=[1]),
    "reduce-l2-13": model(13, "ReduceL2", axes=[-2], keepdims=0),
    "average-pool-7": model(
        7, "AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1
    ),
    "average-pool-10": model(10, "AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max-pool-8": model(8, "MaxPool", kernel_shape=[2, 3], auto_pad="SAME_LOWER", strides=[2, 2]),
    "lp-pool-2": model(9, "LpPool", kernel_shape=[2, 2], p=3),
    "split-2": model(9, "Split", axis=1, split=[1, 2], results=2),
    "split-11": model(11, "Split", axis=-1, split=[2, 3], results=2),
    "flatten-1": model(7, "Flatten", axis=2),
    "flatten-11": model(11, "Flatten", axis=-1),
    "tile-6": model(9, "Tile", np.array([1, 2, 1, 1])),
    "arg-max-1": model(9, "ArgMax", axis=1, keepdims=0),
    "arg-max-11": model(11, "ArgMax", axis=-1),
    "add-7": model(7, "Add", array(5)),
    "pow-7": model(7, "Pow", np.float32(2)),
    "concat-4": model(7, "Concat", array(1, 2, 4, 5), axis=1),
    "gather-1": model(9, "Gather", np.array([1, 0]), axis=1),
    "global-lp-pool-2": model(9, "GlobalLpPool", p=3),
    "sum-6": model(7, "Sum", array(*SHAPE), array(*SHAPE)),
    "mean-8": model(8, "Mean", array(3, 1, 1), array(5)),
    "transposed-1": model(9, "ConvTranspose", array(3, 2, 2, 2), strides=[2, 1]),
    "depth-to-space-1": model(9, "SpaceToDepth", blocksize=1),
}
CHANNELS = array(3)
BY_HAND = {
    "add-6-axis": (
        model(6, "Add", CHANNELS, broadcast=1, axis=1),
        DATA + CHANNELS[:, None, None],
    ),
    "mul-6-axes": (
        model(6, "Mul", array(3, 4), broadcast=1, axis=1),
        DATA * array(3, 4)[..., None],
    ),
    "sub-1-last": (model(1, "Sub", array(5), broadcast=1), DATA - array(5)),
    "div-6-negative-axis": (
        model(6, "Div", array(4) + 5, broadcast=1, axis=-2),
        DATA / (array(4) + 5)[:, None],
    ),
    "greater-1": (
        model(1, "Greater", CHANNELS, broadcast=1, axis=1),
        DATA > CHANNELS[:, None, None],
    ),
    "prelu-6-channels": (
        model(6, "PRelu", CHANNELS),
        np.where(DATA < 0, DATA * CHANNELS[:, None, None], DATA),
    ),
    "prelu-6-one": (model(6, "PRelu", np.float32([0.3])), np.where(DATA < 0, 0.3 * DATA, DATA)),
    "concat-1": (model(3, "Concat", DATA), np.concatenate([DATA, DATA], 1)),
    "cast-1": (model(5, "Cast", to="INT32"), DATA.astype("int32")),
    "pad-1": (
        model(1, "Pad", paddings=[0, 0, 1, 0, 0, 0, 0, 2], value=0.5),
        np.pad(DATA, [(0, 0), (0, 0), (1, 0), (0, 2)], constant_values=0.5),
    ),
    "reshape-1": (model(4, "Reshape", shape=[3, -1]), DATA.reshape(3, -1)),
    "selu-1": (
        model(5, "Selu"),
        1.0507 * np.where(DATA > 0, DATA, 1.6732 * (np.exp(DATA) - 1)),
    ),
    "tile-1": (model(5, "Tile", np.int64([2]), np.int64([3])), np.tile(DATA, (1, 1, 1, 2))),
    "split-1": (model(1, "Split", np.int64([1, 2]), axis=1, results=2), DATA[:, :1]),
    "upsample-1": (
        model(1, "Upsample", height_scale=2.0, width_scale=3.0, mode="nearest"),
        DATA.repeat(2, 2).repeat(3, 3),
    ),
    "batch-normalization-6-spatial": (
        model(6, "BatchNormalization", *[np.abs(array(3, 4, 5)) + 1] * 4, spatial=0),
        (DATA - (s := np.abs(array(3, 4, 5)) + 1)) / np.sqrt(s + 1e-5) * s + s,
    ),
    "gemm-6": (
        model(6, "MatMul", array(5, 2)),
        DATA @ array(5, 2),
    ),
}
CASES = {**AGAINST_ONNX_RUNTIME, **{name: case for name, (case, _) in BY_HAND.items()}}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> CLibrary:
    batch = CBatch()
    for name, case in CASES.items():
        batch.add(name.replace("-", "_"), streamed_program(case))
    return batch.build(tmp_path_factory.mktemp("old"))


@pytest.mark.parametrize("name", CASES)
def test_old_operator(name: str, library: CLibrary) -> None:
    expected = BY_HAND[name][1] if name in BY_HAND else run_plainly(CASES[name], {"x": DATA})
    assert expected is not None, "ONNX Runtime does not take the model"
    actual = library.run(name.replace("-", "_"), {"x": DATA})[0]["y"]
    assert (actual.dtype, actual.shape) == (
        expected.dtype if name not in BY_HAND else actual.dtype,
        expected.shape,
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


# Changed operators that need no rule, and why.
WITHOUT_RULE = {
    "Constant": "made an initializer",
    "Dropout": "is an identity",
    "Gemm": "broadcasting of the bias is that of NumPy in all sets",
    "GlobalLpPool": "its exponent became an integer",
    "LpPool": "its exponent became an integer",
    "GridSample": "modes have other names, which the importer knows",
    "BatchNormalization": "in the test mode that `is_test` asks for, as always here",
}


def changes() -> Iterator[tuple[str, int]]:
    """Operators that the importer reads alike in two forms, and the set of the second form."""
    history: dict[str, list[Any]] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema)
    for name, converter in sorted(_get_convert_map().items()):
        versions = sorted(history.get(name, []), key=lambda schema: schema.since_version)
        read = sorted(int(a[7:]) for a in dir(converter) if a.startswith("_impl_v"))
        for older, newer in zip(versions, versions[1:]):
            reader = [
                max([v for v in read if v <= schema.since_version], default=read[0])
                for schema in (older, newer)
            ]
            if reader[0] == reader[1] and form(older) - form(newer):
                yield name, newer.since_version


def form(schema: Any) -> set[Any]:
    """What a node of an operator says, and how."""
    said = {
        (name, str(a.type), str(helper.get_attribute_value(a.default_value)))
        if a.default_value.name
        else (name, str(a.type), a.required)
        for name, a in schema.attributes.items()
        if name != "consumed_inputs"
    }
    for place, operand in enumerate(schema.inputs):
        said.add((place, "given"))  # what may be given may be left out later
        if operand.option == defs.OpSchema.FormalParameterOption.Optional:
            said.add((place, "left out"))
    return said


def test_every_changed_operator_has_a_rule() -> None:
    found = list(changes())
    assert len(found) > 10
    for name, until in found:
        assert name in WITHOUT_RULE or RULES.get(name, (0,))[0] >= until, (name, until)
