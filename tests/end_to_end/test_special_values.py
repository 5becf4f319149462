"""Infinities, NaN, the largest and the smallest float32 through the generated C.

The judge is ONNX Runtime.  It does not agree with itself on which operand a maximum of
NaN is, so that is looked at apart; nor is a sum that overflows defined without its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import helper

from tests.compiled.c_batch import CLibrary, streamed_library
from tests.models.tiny_models import model_of
from tests.random_cases import cases

ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

INF, NAN = [float("inf"), float("-inf")], float("nan")
EXTREMES = [3.4e38, -3.4e38, 1.2e-38, 1e-45, -1e-45, 0.0, -0.0]
ORDINARY = st.floats(-100, 100, width=32)
ANY = ORDINARY | st.sampled_from([*INF, NAN, *EXTREMES])
NUMBERS = ORDINARY | st.sampled_from([*INF, *EXTREMES])
NO_OVERFLOW = ORDINARY | st.sampled_from([*INF, NAN])
LINE, IMAGE = (1, 24), (1, 2, 5, 6)


def model(
    operator: str, shapes: Sequence[tuple[int, ...]], constants: Sequence = (), **attributes
) -> onnx.ModelProto:
    """A network of one operator of inputs a, b, ... and of constants."""
    inputs = dict(zip("ab", shapes))
    held = {f"c{i}": np.asarray(value) for i, value in enumerate(constants)}
    node = helper.make_node(operator, [*inputs, *held], ["y"], **attributes)
    return model_of([node], inputs, {"y": None}, held, opset=18)


WEIGHT = np.random.default_rng(0).normal(size=(2, 2, 3, 3)).astype("float32")
WINDOW = {"kernel_shape": [3, 3]}
CASES = {
    **{
        name.lower(): (model(name, [LINE]), ANY)
        for name in (
            *("LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Exp", "Sqrt", "Abs", "Neg"),
            *("Erf", "Floor", "Ceil", "Reciprocal", "Softsign", "Round"),
        )
    },
    **{name.lower(): (model(name, [LINE, LINE]), ANY) for name in ("Add", "Sub", "Mul", "Div")},
    "softmax": (model("Softmax", [LINE]), ANY),
    "concat": (model("Concat", [IMAGE, IMAGE], axis=1), ANY),
    "transpose": (model("Transpose", [IMAGE], perm=[0, 2, 3, 1]), ANY),
    "resize": (
        model("Resize", [IMAGE], [np.float32([]), np.float32([1, 1, 3, 0.5])], mode="nearest"),
        ANY,
    ),
    "pad": (
        model("Pad", [IMAGE], [np.int64([0, 0, 1, 1, 0, 0, 0, 2]), np.float32(np.inf)]),
        ANY,
    ),
    # The limit for -inf is 0, which the formula of ONNX does not give.
    "hard_swish": (model("HardSwish", [LINE]), ORDINARY | st.sampled_from([INF[0], NAN])),
    "relu": (model("Relu", [LINE]), NUMBERS),
    "hard_sigmoid": (model("HardSigmoid", [LINE]), NUMBERS),
    "elu": (model("Elu", [LINE]), NUMBERS),
    "clip": (model("Clip", [LINE], [np.float32(-1), np.float32(6)]), NUMBERS),
    "clip_above_nan": (model("Clip", [LINE], [np.float32(NAN), np.float32(6)]), NUMBERS),
    "clip_below_nan": (model("Clip", [LINE], [np.float32(-1), np.float32(NAN)]), NUMBERS),
    "max": (model("Max", [LINE, LINE]), NUMBERS),
    "min": (model("Min", [LINE, LINE]), NUMBERS),
    "max_pool": (model("MaxPool", [IMAGE], **WINDOW), NUMBERS),
    "reduce_max": (model("ReduceMax", [IMAGE], [np.int64([2, 3])]), NUMBERS),
    "conv": (model("Conv", [IMAGE], [WEIGHT], pads=[1, 1, 1, 1]), NO_OVERFLOW),
    "depthwise": (model("Conv", [IMAGE], [WEIGHT[:, :1]], group=2), NO_OVERFLOW),
    "gemm": (model("Gemm", [LINE], [WEIGHT.reshape(-1)[:24].reshape(24, 1)]), NO_OVERFLOW),
    "average_pool": (model("AveragePool", [IMAGE], **WINDOW), NO_OVERFLOW),
    "global_average_pool": (model("GlobalAveragePool", [IMAGE]), NO_OVERFLOW),
    "reduce_mean": (model("ReduceMean", [IMAGE], [np.int64([1])]), NO_OVERFLOW),
}
COMPARING = ("relu", "clip", "max", "min", "max_pool", "reduce_max")


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of all cases."""
    return streamed_library({name: network for name, (network, _) in CASES.items()})


@cache
def session(name: str):
    return ort.InferenceSession(CASES[name][0].SerializeToString())


def inputs(name: str, values: st.SearchStrategy) -> st.SearchStrategy:
    """Arrays by name for a case."""
    ports = {
        port.name: tuple(d.dim_value for d in port.type.tensor_type.shape.dim)
        for port in CASES[name][0].graph.input
    }
    return st.fixed_dictionaries(
        {port: arrays.arrays("float32", shape, elements=values) for port, shape in ports.items()}
    )


def tolerance(name: str, given_arrays: dict[str, np.ndarray]) -> float:
    """Of sums what their operands' size asks for; ONNX Runtime approximates some functions."""
    if name in ("sigmoid", "softplus", "tanh", "erf"):
        return 1e-6
    if CASES[name][1] is not NO_OVERFLOW:
        return 1e-37
    return 1e-5 * max(np.abs(a[np.isfinite(a)]).max(initial=0) for a in given_arrays.values())


@pytest.mark.parametrize("name", CASES)
def test_special_values(library: CLibrary, name: str) -> None:
    @cases()
    @given(inputs(name, CASES[name][1]))
    def agree(given_arrays: dict[str, np.ndarray]) -> None:
        outputs, _ = library.run(name, given_arrays)
        (expected,) = session(name).run(None, given_arrays)
        np.testing.assert_allclose(
            outputs["y"], expected, rtol=1e-5, atol=tolerance(name, given_arrays)
        )

    agree()


@pytest.mark.parametrize("name", COMPARING)
def test_nan_in_a_comparison(library: CLibrary, name: str) -> None:
    """It gives NaN or a value that it is compared with, and nothing else."""

    @cases()
    @given(inputs(name, st.sampled_from([NAN, -1.0, 2.0, 5.0])))
    def one_of_them(given_arrays: dict[str, np.ndarray]) -> None:
        outputs, _ = library.run(name, given_arrays)
        known = np.isin(outputs["y"], [-1.0, 0.0, 2.0, 5.0, 6.0]) | np.isnan(outputs["y"])
        assert (known | np.isneginf(outputs["y"])).all()  # where nothing was a number

    one_of_them()
