"""Padding, slicing, transposing and reshaping against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import OperatorClass, TensorSpec, operator_of
from tests.compiled.operator_checks import check_kernel, random_array
from tests.random_cases import cases

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)
dtypes = st.sampled_from(["float32", "int8"])
gaps = st.integers(0, 2)
seeds = st.integers(0, 2**32 - 1)


@given(shapes, dtypes, gaps, gaps, st.data(), seeds)
@cases(25)
def test_pad(shape, dtype, gap, out_gap, data, seed):
    amounts = st.lists(st.integers(0, 3), min_size=len(shape), max_size=len(shape))
    before, after = data.draw(amounts), data.draw(amounts)
    value = data.draw(st.integers(-128, 127))
    array = random_array(np.random.default_rng(seed), shape, dtype)
    expected = np.pad(array, list(zip(before, after)), constant_values=value)
    check_kernel("pad", [array], expected, gaps=[gap], out_gap=out_gap, in_place=(),
                 pad_before=tuple(before), pad_after=tuple(after), value=value)  # fmt: skip


def test_rows_of_padding_need_nothing():
    array = random_array(np.random.default_rng(1), (2, 2, 3, 4), "int8")
    expected = np.pad(array, [(0, 1), (1, 2), (0, 0), (0, 0)], constant_values=-5)
    kernel = check_kernel(
        "pad", [array], expected, pad_before=(0, 1, 0, 0), pad_after=(1, 2, 0, 0), value=-5
    )
    needed = [kernel.operator.needed_rows(kernel.signature, 0, row) for row in range(15)]
    assert needed[:10] == [(0, 0), (0, 1), (1, 2), (2, 2), (2, 2)] + [
        (2, 2),
        (2, 3),
        (3, 4),
        (4, 4),
        (4, 4),
    ]
    assert needed[10:] == [(4, 4)] * 5


@given(shapes, dtypes, gaps, gaps, st.data(), seeds)
@cases(25)
def test_slice(shape, dtype, gap, out_gap, data, seed):
    begin = [data.draw(st.integers(0, length - 1)) for length in shape]
    end = [data.draw(st.integers(b + 1, length)) for b, length in zip(begin, shape)]
    strides = [data.draw(st.integers(1, 3)) for _ in shape]
    array = random_array(np.random.default_rng(seed), shape, dtype)
    expected = array[tuple(slice(*bounds) for bounds in zip(begin, end, strides))]
    kernel = check_kernel("slice", [array], expected, gaps=[gap], out_gap=out_gap, in_place=(),
                          begin=begin, end=end, strides=tuple(strides))  # fmt: skip
    for row in range(kernel.signature.output.rows):
        first, last = kernel.operator.needed_rows(kernel.signature, 0, row)
        assert last - first == 1


@given(shapes, dtypes, gaps, gaps, st.data(), seeds)
@cases(25)
def test_transpose(shape, dtype, gap, out_gap, data, seed):
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    array = random_array(np.random.default_rng(seed), shape, dtype)
    check_kernel("transpose", [array], array.transpose(axes), gaps=[gap], out_gap=out_gap,
                 in_place=(), axes=axes)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "axes", "needed"),
    [
        ((1, 3, 4, 5), (0, 2, 3, 1), [(0, 3)] * 4),  # NCHW to NHWC: every channel
        ((1, 3, 4, 5), (0, 1, 3, 2), [(0, 1), (1, 2), (2, 3)]),
        ((2, 3, 4, 5), (0, 2, 1, 3), [(0, 3)] * 4 + [(3, 6)] * 4),
        ((4, 5), (1, 0), [(0, 4)] * 5),
    ],
)
def test_rows_of_a_transpose(shape, axes, needed):
    array = random_array(np.random.default_rng(2), shape, "int8")
    kernel = check_kernel("transpose", [array], array.transpose(axes), axes=axes)
    rows = range(kernel.signature.output.rows)
    assert [kernel.operator.needed_rows(kernel.signature, 0, row) for row in rows] == needed


@given(shapes, dtypes, gaps, gaps, st.data(), seeds)
@cases(25)
def test_reshape(shape, dtype, gap, out_gap, data, seed):
    array = random_array(np.random.default_rng(seed), shape, dtype)
    # Split the elements anew: a random factorization of their number.
    rest, new_shape = array.size, []
    while rest > 1 and len(new_shape) < 4:
        factor = data.draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0]))
        new_shape.append(factor)
        rest //= factor
    new_shape = (*new_shape, rest)
    check_kernel("reshape", [array], array.reshape(new_shape), gaps=[gap], out_gap=out_gap,
                 shape=new_shape)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "new_shape", "needed", "in_place"),
    [
        ((1, 2, 3, 4), (1, 24), [(0, 2)], ()),
        ((1, 24), (1, 2, 3, 4), [(0, 1), (0, 1)], ()),
        ((1, 4, 1, 6), (1, 3, 2, 4), [(0, 2), (1, 3), (2, 4)], ()),
        ((2, 2, 3, 4), (1, 4, 4, 3), [(0, 1), (1, 2), (2, 3), (3, 4)], (0,)),
    ],
)
def test_rows_of_a_reshape(shape, new_shape, needed, in_place):
    array = random_array(np.random.default_rng(3), shape, "int8")
    kernel = check_kernel(
        "reshape", [array], array.reshape(new_shape), shape=new_shape, in_place=in_place
    )
    rows = range(kernel.signature.output.rows)
    assert [kernel.operator.needed_rows(kernel.signature, 0, row) for row in rows] == needed
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.LAYOUT


@pytest.mark.parametrize(
    ("name", "attrs", "message"),
    [
        ("pad", {"pad_before": (0,), "pad_after": (0, 0)}, "one entry for each axis"),
        ("pad", {"pad_before": (0, -1), "pad_after": (0, 0)}, "must not be negative"),
        ("pad", {"pad_before": (0, 1), "pad_after": (0, 0), "value": 200}, "not an int8"),
        ("slice", {"begin": (0,), "end": (1,)}, "one entry for each axis"),
        ("slice", {"begin": (0, 2), "end": (1, 2)}, "2:2:1 is not a forward slice"),
        ("slice", {"begin": (0, 0), "end": (1, 4)}, "not a forward slice of an axis of 3"),
        ("slice", {"begin": (0, 0), "end": (1, 3), "strides": (1, -1)}, "not a forward slice"),
        ("transpose", {"axes": (0, 0)}, "not a permutation"),
        ("reshape", {"shape": (7,)}, "cannot become"),
        ("reshape", {"shape": (-1, 3)}, "cannot become"),
    ],
)
def test_refusals(name, attrs, message):
    operator = operator_of(f"dero.{name}")
    with pytest.raises(ValueError, match=message):
        operator.infer((TensorSpec((2, 3), "int8"),), {**operator.defaults, **attrs})


@pytest.mark.parametrize("name", ["pad", "slice", "transpose", "reshape"])
def test_other_types_are_refused(name):
    operator = operator_of(f"dero.{name}")
    with pytest.raises(ValueError, match="float32"):
        operator.infer((TensorSpec((2, 3), "float64"),), dict(operator.defaults))
