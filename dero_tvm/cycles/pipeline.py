"""Cycles of sequences of instructions by LLVM's model of a core's pipeline."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..runners.process import find_tool, output_of


class LlvmPipeline:
    """Cycles by llvm-mca, of LLVM 22 or later."""

    CORES = {  # LLVM's architecture of those whose pipelines it has a description of
        "cortex-m7": "thumbv7em",
        "cortex-m55": "thumbv8.1m.main",
        "cortex-m85": "thumbv8.1m.main",
    }

    def __init__(self, core: str) -> None:
        self.source = f"LLVM's pipeline model of {core}"
        self._tool = find_tool(["llvm-mca-22", "llvm-mca"], "llvm-22")
        self._options = [
            f"-mtriple={self.CORES[core]}-none-eabi",
            f"-mcpu={core}",
            "-iterations=1",
            "-call-latency=1",  # predicted like every branch
            "-skip-unsupported-instructions=lack-sched",  # IT, which the model of M7 has no cost of
            "-json",
            "-instruction-info=false",
            "-resource-pressure=false",
        ]

    def cycles(self, sequences: Sequence[Sequence[str]]) -> list[int]:
        """Of each sequence from the issue of its first instruction to the end of its last."""
        lines = [".syntax unified", ".thumb"]
        for number, sequence in enumerate(sequences):
            lines += [f"@ LLVM-MCA-BEGIN s{number}", *sequence, f"@ LLVM-MCA-END s{number}"]
        with tempfile.TemporaryDirectory(prefix="dero_tvm_cycles_") as folder:
            source = Path(folder) / "sequences.s"
            source.write_text("\n".join(lines) + "\n")
            result = Path(folder) / "result.json"
            command = [self._tool, *self._options, str(source), "-o", str(result)]
            output_of(command, Path(folder))
            regions = json.loads(result.read_text())["CodeRegions"]
        found = {region["Name"]: int(region["SummaryView"]["TotalCycles"]) for region in regions}
        # A sequence of nothing but instructions that are skipped has no region.
        return [found.get(f"s{number}", 0) for number in range(len(sequences))]
