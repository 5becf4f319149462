"""The table's rules on sequences whose cycles the manual states, or follow from it."""

from __future__ import annotations

import pytest

from dero_tvm.cycles.issue_table import IssueTable

REFILL = 2


@pytest.mark.parametrize(
    ("sequence", "cycles"),
    [
        # The manual's examples of loads and stores behind one another
        ("ldr r0, [r1]; ldr r1, [r2]", 3),
        ("ldr r0, [r1, r2]; str r0, [r3, #20]", 3),
        ("ldr r0, [r1, r2]; str r1, [r3, r2]", 3),
        ("ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]", 4),
        # A load that needs what the one before has loaded waits for it
        ("ldr r0, [r1]; ldr r2, [r0]", 4),
        # So does an address that was computed just before
        ("adds r1, #4; ldr r0, [r1]", 4),
        ("adds r1, #4; nop; ldr r0, [r1]", 4),
        # A load that changes its base is no part of a pipeline
        ("ldr r0, [r1], #4; ldr r2, [r1]", 4),
        # Not every name with a b is a branch
        ("bic r0, r1, r2; ldr r3, [r0]", 4),
        ("bfi r0, r1, #4, #8; ldr r3, [r0]", 4),
        ("bls target; ldr r3, [r0]", 3),
        ("str r0, [r1, #4]", 1),
        ("str r0, [r1, r2]", 2),
        ("ldrd r0, r1, [r2]", 3),
        ("ldm r0, {r1, r2, r3}", 4),
        ("push.w {r4-r8, lr}", 7),
        ("pop {r4, pc}", 3 + REFILL),
        ("vldm r0!, {s0-s3}", 5),
        ("vldm r0!, {d0-d3}", 9),
        ("vldr s0, [r0]", 2),
        ("vfma.f32 s0, s1, s2", 3),
        ("vdiv.f32 s0, s1, s2", 14),
        ("vmov s0, r0", 2),
        ("vmov.f32 s0, s1", 1),
        ("smlad r0, r1, r2, r0; smlal r3, r4, r1, r2", 2),
        ("sdiv r0, r1, r2", 7),
        ("subs r0, #1; bne target", 2),
        ("subs r0, #1; bne target @ taken", 2 + REFILL),
        ("tbb [pc, r0] @ taken", 4 + REFILL),
    ],
)
def test_cycles_of_a_sequence(sequence, cycles) -> None:
    assert IssueTable("cortex-m4").cycles([sequence.split("; ")]) == [cycles]
