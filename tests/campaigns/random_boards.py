"""Random networks with the kernels of Arm cores, as written and streamed.

    python -m tests.campaigns.random_boards 100               seeds 0 to 99
    python -m tests.campaigns.random_boards 20 --first 400
    python -m tests.campaigns.random_boards 100 --record      also writes a row of docs/trust.md

Each network of `random_networks` is compiled for boards whose cores take kernels of their own.  The
C runs on the host under AddressSanitizer and UndefinedBehaviorSanitizer, where plain C stands for
the instructions, and on the emulated board between guard bytes.  Outputs are compared with those of
portable kernels and whole tensors as `compared_outputs` does it.
Exits with 1 if anything was found.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import RunResult, run_host_c, run_qemu
from tests.campaigns.by_seed import run_by_seed
from tests.campaigns.compared_outputs import assert_equal_outputs, guarded_outputs
from tests.models.random_networks import random_network

BOARDS = ("mps2-an386", "mps3-an547")  # Cortex-M4 with DSP and FPU, Cortex-M55 with MVE
MODES = ("none", "stream")


def check_network(seed: int, counts: Counter[str]) -> None:
    """AssertionError or RunError at the first difference or report."""
    network = random_network(seed)
    portable = dero_tvm.compile(network, dero="none").archive
    inputs = random_inputs(portable.inputs, np.random.default_rng(seed))
    expected = guarded_outputs("portable", run_host_c(portable, [inputs]))

    def look_at(label: str, result: RunResult) -> None:
        assert_equal_outputs(label, guarded_outputs(label, result), expected)

    for board in BOARDS:
        # The host, with the kernels that the board's core takes.
        host = replace(load_board("host"), features=load_board(board).features)
        for mode in MODES:
            label = f"{board}, --dero {mode}"
            model = dero_tvm.compile(network, target=host, dero=mode)
            counts["operators with kernels of their own"] += sum(
                operation.native is not None
                for cascade in model.network.cascades
                for operation in cascade.operations
            )
            result = run_host_c(model.archive, [inputs], sanitize=True)
            look_at(f"{label}, sanitized", result)
            counts["sanitized programs"] += 1
            archive = dero_tvm.compile(network, target=board, dero=mode).archive
            look_at(label, run_qemu(archive, [inputs], machine=board))
            counts["guarded runs in QEMU"] += 1


def main() -> int:
    """The command line."""
    return run_by_seed(
        "random_boards",
        check_network,
        about=__doc__.splitlines()[0],
        claim="The kernels of Arm cores, in networks as written and streamed, give the outputs"
        " of portable ones with whole tensors, do nothing undefined under AddressSanitizer and"
        " UndefinedBehaviorSanitizer, and on emulated boards write nothing outside the arena.",
        faults="gcc 12 warned of the depthwise float32 kernel where there are fewer than four"
        " channels: of reads behind the bias that are not done",
    )


if __name__ == "__main__":
    sys.exit(main())
