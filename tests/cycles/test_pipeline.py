"""LLVM's models, on sequences that two pipes run in half the time or cannot."""

from __future__ import annotations

import pytest

from dero_tvm.cycles.pipeline import LlvmPipeline
from tests.cycles.tools import needs_tools


def added(pipeline: LlvmPipeline, lines: list[str]) -> int:
    """The cycles that `lines` add to themselves."""
    once, twice = pipeline.cycles([lines, lines * 2])
    return twice - once


@needs_tools
@pytest.mark.parametrize(
    ("core", "lines", "cycles"),
    [
        ("cortex-m7", [f"add r{n}, r{n}, #1" for n in range(8)], 4),
        ("cortex-m7", ["add r0, r0, #1"] * 8, 8),
        ("cortex-m7", [f"smlad r{n}, r8, r9, r{n}" for n in range(8)], 8),  # one multiplier
        ("cortex-m55", ["vmladava.s8 r0, q0, q1"] * 8, 16),  # two beats each
    ],
)
def test_what_a_sequence_adds(core, lines, cycles) -> None:
    assert added(LlvmPipeline(core), lines) == cycles


@needs_tools
def test_a_call_is_predicted_and_if_then_costs_nothing_of_its_own_on_cortex_m7() -> None:
    pipeline = LlvmPipeline("cortex-m7")
    call, plain = pipeline.cycles([["bl target"] * 4, ["nop"] * 4])
    assert call <= plain + 4
    with_it, without = pipeline.cycles([["cmp r0, r1", "it lt", "movlt r2, #1"], ["cmp r0, r1"]])
    assert with_it <= without + 2


@needs_tools
def test_the_end_of_a_loop_alone_costs_nothing() -> None:
    """A block of an instruction that the model has no cost of, cut off from the others."""
    alone, other = LlvmPipeline("cortex-m55").cycles([["le lr, target"], ["add r0, r0, #1"]])
    assert alone == 0 < other
