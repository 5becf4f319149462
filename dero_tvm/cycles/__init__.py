"""Estimates of the cycles of generated code, by models of the cores' pipelines.

    trace        which blocks of instructions ran, behind which (QEMU, a plugin of ours)
    disassembly  the instructions of a block, as text
    pipeline     cycles of a sequence of instructions by LLVM's model of a core (llvm-mca)
    issue_table  the same by the manual's table of a core that issues one instruction at a time
    estimate     the three together

A block costs what it adds to the one that ran before it: cycles(A B) - cycles(A).  Memories answer
at once, branches are predicted, caches always hit: what is left out makes a device slower, never
quicker.  It is what the core itself needs for the work.
"""

from .estimate import (
    ASSUMPTIONS,
    Estimate,
    Pipeline,
    estimate_cycles,
    pipeline_of,
    step_cycles,
    why_no_estimate,
)

__all__ = [
    "ASSUMPTIONS",
    "Estimate",
    "Pipeline",
    "estimate_cycles",
    "pipeline_of",
    "step_cycles",
    "why_no_estimate",
]
