"""Elements at constant indices: rows against NumPy, networks in C against ONNX Runtime."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import Signature, TensorSpec, operator_of
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel, random_array
from tests.end_to_end.oracles import onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.random_cases import cases


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 3),
    st.lists(st.integers(0, 99), min_size=1, max_size=6),
    st.sampled_from(["float32", "int8"]),
    st.integers(0, 2),
)
@cases(25)
def test_rows(shape, axis, places, dtype, gap) -> None:
    axis %= len(shape)
    places = [place % shape[axis] for place in places]
    array = random_array(np.random.default_rng(axis), shape, dtype)
    indices = np.array(places, "int32")
    gap = gap if len(shape) > 2 else 0
    check_kernel("take", [array, indices], array.take(places, axis), gaps=[gap], out_gap=gap,
                 in_place=(), axis=axis, places=tuple(places))  # fmt: skip


def test_needed_rows_only_move_on() -> None:
    """Of mirrored borders a few rows, of a mirrored image all of them."""

    def spans(places: list[int]) -> list[tuple[int, int]]:
        inputs = TensorSpec((1, 5, 3, 2), "int8"), TensorSpec((len(places),), "int32")
        output = TensorSpec((1, len(places), 3, 2), "int8")
        attrs = {"axis": 1, "places": tuple(places)}
        signature = Signature("dero.take", inputs, output, attrs)
        take = operator_of("dero.take")
        return [take.needed_rows(signature, 0, row) for row in range(len(places))]

    assert spans([1, 0, 1, 2, 3, 4, 3]) == [(0, 2), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (3, 5)]
    assert spans([4, 3, 2, 1, 0]) == [(0, 5), (0, 5), (0, 5), (0, 5), (0, 5)]


@pytest.mark.parametrize(
    ("axis", "places", "message"),
    [
        (3, (0, 4), "there are no places"),
        (4, (0,), "do not fit"),
    ],
)
def test_refusals(axis, places, message) -> None:
    operator = operator_of("dero.take")
    specs = TensorSpec((1, 2, 3, 4), "int8"), TensorSpec((len(places),), "int32")
    with pytest.raises(ValueError, match=message):
        operator.infer(specs, {"axis": axis, "places": places})


SHUFFLED = [3, 1, 0, 2, 7, 6, 5, 4, 4]
MOVES = {
    "channels": ("Gather", [np.array(SHUFFLED)], {"axis": 1}),
    "negative": ("Gather", [np.array([-1, 2, -8])], {"axis": 1}),
    "columns": ("Gather", [np.array([5, 4, 4, 0, 9])], {"axis": 3}),
    "rows": ("Gather", [np.array([0, 0, 2, 5, 11])], {"axis": 2}),
    "unordered": ("Gather", [np.array([3, 0, 1, 11, 2])], {"axis": 2}),
    "tiled": ("Tile", [np.array([1, 3, 1, 2])], {}),
    "backwards": ("Slice", [np.array([-1, 6]), np.array([-99, -99]), np.array([2, 1]),
                            np.array([-1, -2])], {}),
    "reflected": ("Pad", [np.array([0, 0, 2, 1, 0, 0, 1, 3])], {"mode": "reflect"}),
    "repeated": ("Pad", [np.array([0, 0, 2, 0, 0, 0, 0, 3])], {"mode": "edge"}),
}  # fmt: skip


def network(name: str, integers: bool):
    rng = np.random.default_rng(0)
    operator, constants, attributes = MOVES[name]
    model = QDQModel()

    def conv(data: str, filters: int, channels: int) -> str:
        weight = rng.standard_normal((filters, channels, 3, 3)).astype("float32") / 8
        return model.node("Conv", data, model.constant(weight), pads=[1, 1, 1, 1])

    data = model.input("x", (1, 8, 12, 10))
    if integers:
        data = model.rounded(data, 0.05, np.int8(3))
        data = model.rounded(model.node("MaxPool", data, kernel_shape=[1, 1]), 0.05, np.int8(3))
    else:
        data = conv(data, 8, 8)
    data = model.node(operator, data, *map(model.constant, constants), **attributes)
    if integers:
        data = model.rounded(data, 0.05, np.int8(3))
        data = model.node("MaxPool", data, kernel_shape=[2, 2])
        data = model.rounded(data, 0.05, np.int8(3))
    else:
        channels = {"channels": 9, "negative": 3, "tiled": 24, "backwards": 4}.get(name, 8)
        data = conv(model.node("Relu", data), 1, channels)
    return model.build(y=(data, "float32"))


def test_networks_in_c(tmp_path) -> None:
    networks = FrameworkNetworks()
    x = np.random.default_rng(1).standard_normal((1, 8, 12, 10)).astype("float32")
    for name in MOVES:
        for integers in (False, True):
            label = f"{name}_{'int8' if integers else 'float32'}"
            model = network(name, integers)
            framework = partial(_onnx_runtime, model)
            compared = Network(load(model), framework, 0.0 if integers else 1e-5, x)
            called, _ = networks.add(label, compared)
            assert "dero.take" in called, (label, called)
            assert all(operator.startswith("dero.") for operator in called), (label, called)
    networks.check_outputs(tmp_path)


def _onnx_runtime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnx_runtime(model, [{"x": x}])[0]["y"]
