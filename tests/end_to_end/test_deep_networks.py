"""Work on a chain of residual blocks grows with the number of blocks."""

from __future__ import annotations

import sys
from collections import Counter
from types import CodeType, FrameType

import pytest

import dero_tvm
from dero_tvm.frontends import load
from dero_tvm.schedule.extract import extract
from examples.models.residual_chain import residual_chain
from relax_passes.ir.operator_graph import graph_of
from relax_passes.ir.straight_line import read_function, write_function
from relax_passes.streaming.row_schedule import simulate

COUNTED = (graph_of, read_function, write_function, extract, simulate)


@pytest.fixture(scope="module")
def calls() -> dict[int, Counter[CodeType]]:
    """By blocks: how often each Python function is called."""
    _calls_of_compiling(1)  # what is done once a process
    return {blocks: _calls_of_compiling(blocks) for blocks in (10, 40)}


def _calls_of_compiling(blocks: int) -> Counter[CodeType]:
    loaded = load(residual_chain(blocks, width=4, resolution=8))
    found: Counter[CodeType] = Counter()

    def counting(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            found[frame.f_code] += 1

    sys.setprofile(counting)
    try:
        dero_tvm.compile(loaded, dero="stream")
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize("function", COUNTED, ids=lambda function: function.__name__)
def test_each_rewriting_and_simulation_once_a_block(
    function: object, calls: dict[int, Counter[CodeType]]
) -> None:
    code = function.__code__  # type: ignore[attr-defined]
    few, many = calls[10][code], calls[40][code]
    assert 0 < few and many <= 4.5 * few


def test_all_work_is_in_proportion(calls: dict[int, Counter[CodeType]]) -> None:
    ten, forty = (sum(calls[blocks].values()) for blocks in (10, 40))
    assert forty <= 4.5 * ten
