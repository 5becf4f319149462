"""Convolutions and dense layers that join their result: the bits of the two operators in turn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import OperatorClass, TensorSpec, operator_of
from relax_passes.operators.joined import PAIRS, joined_attributes
from tests.compiled.operator_checks import check_kernel, random_array
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases

JOINS = ("add", "subtract", "multiply")
zero_points = st.sampled_from([-128, -3, 0, 90])
int8_limits = st.sampled_from([(None, None), (-128, 100), (-20, 30)])
float_limits = st.sampled_from([(None, None), (0.0, None), (-0.5, 0.5)])


@st.composite
def pairs(draw) -> dict[str, Any]:
    """A producer and a join of one type, with their constants and attributes."""
    dtype = draw(st.sampled_from(["float32", "int8", "int8"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    limits = float_limits if dtype == "float32" else int8_limits
    low, high = draw(limits)
    join_low, join_high = draw(limits)
    producer: dict[str, Any] = {"minimum": low, "maximum": high}
    join: dict[str, Any] = {"minimum": join_low, "maximum": join_high}
    if draw(st.booleans()):
        name, shape, weight = "dense", (3, 2, 5), (4, 5)
    else:
        groups = draw(st.sampled_from([1, 2, 4]))
        name, shape, weight = "conv2d", (1, 4, 5, 4), (4, *draw(kernels), 4 // groups)
        producer |= {"groups": groups, "strides": draw(strides), "padding": draw(paddings)}
    kind = draw(st.sampled_from(JOINS))
    constants = [random_array(rng, weight, dtype)]
    if dtype == "int8":
        rounding, join_rounding = draw(roundings), draw(roundings)
        producer |= {
            "rounding": rounding,
            "input_zero_point": draw(zero_points),
            "output_zero_point": draw(zero_points),
        }
        join |= {"rounding": join_rounding, "zero_points": tuple(draw(zero_points) for _ in "abo")}
        join |= _factors(kind, rng)
        filters = weight[0]
        constants += [
            rng.integers(-3000, 3000, filters).astype(np.int32),
            rng.integers(2**30, 2**31, filters).astype(np.int32),
            rng.integers(-11, -6, filters).astype(np.int32),
        ]
    else:
        constants.append(random_array(rng, weight[:1], dtype))
    return {
        "names": (name, kind),
        "data": random_array(rng, shape, dtype),
        "constants": constants,
        "producer": producer,
        "join": join,
        "computed": draw(st.integers(0, 1)),
        "gaps": draw(st.tuples(*[st.sampled_from([0, 0, 3])] * 3)),
        "rng": rng,
    }


kernels = st.sampled_from([(1, 1), (3, 3), (1, 3)])
strides = st.sampled_from([(1, 1), (2, 1), (2, 2)])
paddings = st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (2, 0, 1, 1)])
roundings = st.sampled_from(["double", "double", "single", "even"])


def _factors(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    multipliers = tuple(rng.integers(2**30, 2**31, 3).tolist())
    if kind == "multiply":
        return {"multiplier": multipliers[0], "shift": -7}
    return {"multipliers": multipliers, "shifts": (-1, -int(rng.integers(0, 3)), -18)}


@given(pairs())
@cases(12)
def test_bits_of_the_pair(case: dict[str, Any]) -> None:
    name, kind = case["names"]
    operands = [case["data"], *case["constants"]]
    specs = [TensorSpec(array.shape, str(array.dtype)) for array in operands]
    first = RowKernel(name, specs, **case["producer"])
    result = first.run_rows(*operands)
    other = random_array(case["rng"], result.shape, str(result.dtype))
    both = [result, other][:: -1 if case["computed"] else 1]
    second = RowKernel(kind, [first.signature.output] * 2, **case["join"])
    expected = second.run_rows(*both)

    data_gap, other_gap, out_gap = case["gaps"]
    attrs = joined_attributes(case["producer"], case["join"], case["computed"])
    last = len(operands)
    joined = check_kernel(
        PAIRS[f"dero.{name}", f"dero.{kind}"],
        [*operands, other],
        expected,
        gaps=[data_gap, *[0] * (last - 1), other_gap],
        out_gap=out_gap,
        in_place=[last] if other_gap >= out_gap else [],
        **attrs,
    )
    assert joined.operator.row_arguments(joined.signature) == (0, last)
    assert joined.operator.macs(joined.signature) == first.operator.macs(first.signature)


def test_class_of_the_convolution() -> None:
    spec = TensorSpec((1, 4, 4, 8), "float32")
    constants = [TensorSpec((8, 3, 3, 1), "float32"), TensorSpec((8,), "float32")]
    kernel = RowKernel("conv2d_add", [spec, *constants, spec], groups=8, padding=(1, 1, 1, 1))
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.DEPTHWISE


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [((1, 4, 4, 1), "float32", "one shape"), ((1, 4, 4, 8), "int8", "one shape and type")],
)
def test_refused_operands(shape: tuple[int, ...], dtype: str, reason: str) -> None:
    operator = operator_of("dero.conv2d_add")
    assert operator is not None
    inputs = [((1, 4, 4, 2), "float32"), ((8, 1, 1, 2), "float32"), ((8,), "float32")]
    specs = tuple(TensorSpec(*spec) for spec in [*inputs, (shape, dtype)])
    with pytest.raises(ValueError, match=reason):
        operator.infer(specs, operator.defaults)
