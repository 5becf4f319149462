"""Tables of rows: periods, rings that need none, and which heights of kernels do but find rows."""

from __future__ import annotations

import pytest

from dero_tvm.aot.row_tables import NoTable, TabledRows, read_by_rows, ring_of, row_table, tabled
from relax_passes.operators import Signature, TensorSpec, operator_of


@pytest.mark.parametrize(
    ("places", "unit", "expected"),
    [
        ([8, 0, 16, 8, 0, 16, 8], 4, [3, 2, 0, 4]),
        ([0, 12, 4], 1, [3, 0, 12, 4]),
        ([None, 12, None, 12], 2, [1, 6]),
    ],
)
def test_tables_hold_one_period(places, unit, expected) -> None:
    assert row_table(places, unit).tolist() == expected


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([8, 16, 24], (8, 3)),  # whole
        ([4, 12, 4, 12, 4], (4, 2)),
        ([None, 12, 4, None], None),  # nothing repeats
        ([4, 20, 4], None),
        ([12, 4, 12], None),  # a ring begins at its base
    ],
)
def test_rings_are_known(places, expected) -> None:
    found = ring_of(places, 8)
    assert found is None if expected is None else found is not None and found[0] == expected[0]
    if found is not None:
        base, height = found
        assert all(p is None or p == base + row % height * 8 for row, p in enumerate(places))


def kernel(name: str, *inputs: TensorSpec, **attrs):
    operator = operator_of(f"dero.{name}")
    assert operator is not None
    values = {**operator.defaults, **attrs}
    signature = Signature(f"dero.{name}", inputs, operator.infer(inputs, values), values)
    return signature, operator.row_kernel(signature)


@pytest.mark.parametrize("channels", [1, 3])
def test_heights_that_find_rows(channels: int) -> None:
    spec = TensorSpec((1, 4, 1, channels), "float32")
    signature, function = kernel("add", spec, spec)
    numbers = [n for n, p in enumerate(function.params) if p.name.endswith("_rows")]
    strides = dict.fromkeys(numbers, spec.row_stride)
    assert read_by_rows(function, strides) == frozenset(numbers)
    wrong = dict.fromkeys(numbers, spec.row_stride + 1)
    assert read_by_rows(function, wrong) == frozenset()
    rows = {n: TabledRows(4, spec.row_stride + 1, 4) for n in numbers}
    with pytest.raises(NoTable):
        tabled(function, rows)
