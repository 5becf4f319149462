"""Random operations on every core that has kernels: bits on this machine and on emulated boards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.compiled.kernel_batch import KernelBatch
from tests.compiled.native_kernel_runner import NativeKernel
from tests.kernels.mve_cases import Case

CORES = {
    "mps2-an386": {"dsp", "one-pipe"},
    "mps2-an500": {"dsp"},
    "mps3-an547": {"dsp", "mve"},
}


def check_batch(
    batch: KernelBatch, expected: Sequence[tuple[Any, np.ndarray]], board: str, folder: Path
) -> None:
    """The outputs of a batch on the host and, where the tools are installed, on a board.

    `expected` has for each kernel of the batch what a message calls it, and its output.
    """
    results = [batch.run_on_host()]
    if shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm"):
        results.append(batch.run_on_board(board, folder))
    for outputs in results:
        for (name, wanted), output in zip(expected, outputs, strict=True):
            np.testing.assert_array_equal(output, wanted, err_msg=str(name))


def check_on_cores(drawn: Sequence[tuple[Case, int]], folder: Path) -> list[list[Case]]:
    """Cases, each with the rows that its rings have more, against portable kernels.

    Gives for each core the cases that it has a kernel for.
    """
    wanted = [case.expected() for case, _ in drawn]
    found = []
    for board, features in CORES.items():
        batch, expected = KernelBatch(), []
        for (case, ring), output in zip(drawn, wanted):
            native = NativeKernel(
                case.name, case.specs, case.constants, features=features, **case.attrs
            )
            if native.kernel is not None:
                batch.add(native, case.data, ring)
                expected.append((case, output))
        check_batch(batch, expected, board, folder)
        found.append([case for case, _ in expected])
    return found
