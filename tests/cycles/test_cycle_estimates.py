"""Estimates of programs whose instructions and cycles are known."""

from __future__ import annotations

import numpy as np
import pytest

from dero_tvm.boards.board import load_board
from dero_tvm.boundary.errors import UserError
from dero_tvm.cycles import estimate_cycles, pipeline_of
from dero_tvm.runners import run_qemu
from tests.cycles.tools import needs_tools
from tests.runners.fake_archive import FakeArchive


def loop(instructions: str) -> FakeArchive:
    """A model that runs some instructions as often as its input says."""
    return FakeArchive(
        body="int n; memcpy(&n, arena + 16, 4);"
        f'__asm__ volatile("1: subs %0, %0, #1\\n\\t{instructions}\\n\\tbne 1b"'
        ' : "+l"(n) : : "r4", "r5", "r6", "r8", "cc");'
    )


def rounds(n: int) -> dict[str, np.ndarray]:
    return {"serving:x": np.zeros((2, 4), np.int8), "bias": np.array([n, 0, 0, 0], np.int32)}


@needs_tools
@pytest.mark.parametrize(
    ("board", "instructions", "cycles"),
    [
        # Two additions, the counter, and a branch that refills the pipeline
        ("mps2-an386", "add.w r4, r4, #1\\n\\tadd.w r5, r5, #1", 2 + 1 + 3),
        ("mps2-an386", "smlad r4, r8, r8, r4", 1 + 1 + 3),
        # Two of them at a time, and what the model lets pass behind a branch
        ("mps2-an500", "add.w r4, r4, #1\\n\\tadd.w r5, r5, #1", 2 + 1),
        # One multiplier
        ("mps2-an500", "\\n\\t".join(["smlad r4, r8, r8, r4"] * 4), 4 + 1),
    ],
)
def test_cycles_of_a_known_loop(board, instructions, cycles) -> None:
    archive = loop(instructions)
    few, many = (estimate_cycles(archive, [rounds(n)], board) for n in (100, 1100))
    assert many.cycles - few.cycles == pytest.approx(1000 * cycles, abs=10)
    length = instructions.count("\\n") + 3
    assert many.instructions - few.instructions == 1000 * length
    assert sum(cycles for cycles, _ in many.functions.values()) == pytest.approx(many.cycles, abs=2)


@needs_tools
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an500", "mps3-an547"])
def test_instructions_are_those_that_the_counter_shows(board) -> None:
    archive, inputs = loop("add.w r4, r4, #1"), [rounds(1000), rounds(3000)]
    counted = run_qemu(archive, inputs, machine=board).instructions
    estimate = estimate_cycles(archive, inputs, board)
    assert counted is not None
    tick = load_board(board).qemu.instructions_per_tick
    assert estimate.instructions == pytest.approx(np.mean(counted), abs=2 * tick)
    assert estimate.source


def test_a_core_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match=r"no model of the pipeline of cortex-m0; .*cortex-m4"):
        pipeline_of("cortex-m0")


def test_a_board_that_is_not_emulated_is_refused() -> None:
    with pytest.raises(UserError, match=r"no \[qemu\] table"):
        estimate_cycles(loop("nop"), [rounds(1)], "nucleo_f446re")
