"""Layouts against NumPy: relabelling must agree with moving elements."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.canonicalization.layout import Layout
from tests.random_cases import cases

SHAPES = ((1, 6, 4, 5), (2, 12, 1, 3), (24,), (4, 6), (1, 1, 8, 1))


def arrange(memory: np.ndarray, layout: Layout, axes: tuple[int, ...]) -> np.ndarray:
    """The elements in the order of `axes`, as `ChannelsLast` moves them."""
    shape, order = layout.runs(axes)
    moved = memory.reshape(shape).transpose(order)
    return moved.reshape([layout.shape[axis] for axis in axes])


@cases(80)
@given(st.data())
def test_a_chain_of_transposes_and_reshapes_moves_elements_once(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(SHAPES))
    native = np.arange(math.prod(shape)).reshape(shape)
    order = data.draw(st.permutations(range(len(shape))))
    layout = Layout.permuted(shape, order)
    memory = native.transpose(order).reshape(-1)
    for _ in range(data.draw(st.integers(0, 4))):
        if data.draw(st.booleans()):
            axes = tuple(data.draw(st.permutations(range(native.ndim))))
            native, layout = native.transpose(axes), layout.transposed(axes)
        else:
            target = data.draw(st.sampled_from(_shapes_of(native.size)))
            changed = layout.reshaped(target)
            if changed is None:
                continue
            native, layout = native.reshape(target), changed
        assert layout.shape == native.shape
    final = tuple(data.draw(st.permutations(range(native.ndim))))
    np.testing.assert_array_equal(arrange(memory, layout, final), native.transpose(final))
    if layout.is_stored_in(final):
        np.testing.assert_array_equal(
            memory.reshape(native.transpose(final).shape), native.transpose(final)
        )


def _shapes_of(size: int) -> list[tuple[int, ...]]:
    pairs = [(a, size // a) for a in range(1, size + 1) if size % a == 0]
    triples = [(a, b, 1, c // b) for a, c in pairs for b in range(1, c + 1) if c % b == 0]
    return [(size,), *pairs, *triples]


def test_a_reshape_across_a_factor_is_refused() -> None:
    stored_by_columns = Layout.permuted((4, 6), (1, 0))
    assert stored_by_columns.reshaped((6, 4)) is None
    assert stored_by_columns.reshaped((2, 2, 6)) is not None


def test_channel_shuffle_is_one_transpose_of_the_two_parts_of_the_channels() -> None:
    nchw = Layout.permuted((1, 12, 5, 5), (0, 2, 3, 1))
    split = nchw.reshaped((1, 3, 4, 5, 5))
    assert split is not None
    shuffled = split.transposed((0, 2, 1, 3, 4)).reshaped((1, 12, 5, 5))
    assert shuffled is not None
    assert shuffled.runs((0, 2, 3, 1)) == ([25, 3, 4], [0, 2, 1])


@pytest.mark.parametrize(
    ("stored", "expected"),
    [((1, 5, 7, 3), (0, 2, 3, 1)), ((1, 3, 5, 7), None), ((5, 7, 3), None)],
)
def test_the_order_of_axes_is_read_off_the_stored_shape(stored, expected) -> None:
    layout = Layout.permuted((1, 3, 5, 7), (0, 2, 3, 1))
    assert layout.permutation(stored) == expected
