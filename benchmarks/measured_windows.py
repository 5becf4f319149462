"""Plans with windows of columns, run in exactly their arenas: what they take and what they cost."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

import dero_tvm
from dero_tvm.aot import ModelArchive
from dero_tvm.aot.column_ranges import END, FIRST
from dero_tvm.aot.kernels import Kernel
from dero_tvm.aot.program import Program
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.driver.choose_plan import plans_in_windows
from dero_tvm.driver.generate import generate, program_of
from dero_tvm.driver.prepare import prepare
from dero_tvm.runners import RunResult, run_host_c, run_qemu
from dero_tvm.runners.result import equal_outputs
from dero_tvm.schedule.column_groups import recompute_ratio

_TIME_LIMIT = 600.0  # seconds a run
_COUNT = "kernel_macs"
_PRINTED = "macs.txt"


@dataclass(frozen=True)
class MeasuredPlan:
    """`macs` that the kernels counted as they ran, or `instructions` of the emulated core."""

    arena_bytes: int
    ratio: float  # as planned
    macs: float | None = None
    instructions: int | None = None


def measured_plans(
    model: Path | onnx.ModelProto, *, by_rows: bool, points: int, board: str | None = None
) -> Iterator[MeasuredPlan]:
    """Some plans of the frontier, evenly spread from the fewest multiply-accumulates to the least.

    They run as C under sanitizers, or in QEMU on `board`, and give the bits of whole tensors.

    SystemExit if a run leaves its arena or changes a bit.
    """
    options = {"input_layout": "nhwc", "integer_io": True}
    whole = dero_tvm.compile(model, dero="none", **options).archive
    image = random_inputs(whole.inputs, np.random.default_rng(0))
    expected = run_host_c(whole, [image], time_limit=_TIME_LIMIT)
    prepared = prepare(model, target=board or "host", stream_input=by_rows, **options)
    candidates = prepared.candidates()
    plans = plans_in_windows(candidates)
    if plans is None:
        raise SystemExit("the network has no windows of columns")
    for number in evenly(len(plans.points), points):
        point = plans.points[number]
        made = plans.made(point, candidates.in_windows)
        if made is None:
            continue
        program = program_of(prepared, made)
        archive = generate(prepared, made, None, program)
        measured = MeasuredPlan(made.arena_bytes, recompute_ratio(made.scheduled.network))
        if board is None:
            result, macs = _counted(archive, program, image)
            measured = replace(measured, macs=macs)
        else:
            result = run_qemu(archive, [image], machine=board, time_limit=_TIME_LIMIT)
            assert result.instructions is not None
            measured = replace(measured, instructions=result.instructions[0])
        if not result.guard_ok:
            raise SystemExit(f"{made.arena_bytes:,} bytes: {result.guard_report}")
        if not equal_outputs(expected, result):
            raise SystemExit(f"{made.arena_bytes:,} bytes: outputs differ from whole tensors'")
        yield measured


def evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` of so many numbers, the first and the last among them."""
    if wanted == 1:
        return [count - 1]
    return sorted({round(n * (count - 1) / (wanted - 1)) for n in range(wanted)})


def _counted(
    archive: ModelArchive, program: Program, image: dict[str, np.ndarray]
) -> tuple[RunResult, float]:
    """A run under sanitizers in which every kernel counts its multiply-accumulates."""
    counts = dict(_macs_of_a_column(program))
    files = dict(archive.files)
    (path,) = (
        path
        for path, text in files.items()
        if path.endswith(".c") and re.search(rb"^static void \w+\(int32_t row", text, re.M)
    )
    files[path] = _with_counts(files[path].decode(), counts).encode()
    with tempfile.TemporaryDirectory() as folder:
        counting = replace(archive, files=files)
        kept = Path(folder)
        result = run_host_c(counting, [image], sanitize=True, time_limit=_TIME_LIMIT, keep=kept)
        return result, float((kept / _PRINTED).read_text())


def _with_counts(source: str, counts: dict[str, tuple[int, float]]) -> str:
    found = set()

    def counting(match: re.Match[str]) -> str:
        if match[1] not in counts:
            return match[0]
        found.add(match[1])
        columns, of_each = counts[match[1]]
        made = f"{END} - {FIRST}" if END in match[2] else str(columns)
        return f"{match[0]}  {_COUNT} += {of_each!r} * ({made});\n"

    source = re.sub(r"^static void (\w+)\(([^{};]*)\) \{\n", counting, source, flags=re.M)
    assert found == counts.keys(), f"no kernels {counts.keys() - found} in the C source"
    first = (
        f"#include <stdio.h>\nstatic double {_COUNT};\n"
        "__attribute__((destructor)) static void print_count(void) {\n"
        f'  FILE *file = fopen("{_PRINTED}", "w");\n'
        f'  if (file) {{\n    fprintf(file, "%.0f", {_COUNT});\n    fclose(file);\n  }}\n}}\n'
    )
    return first + source


def _macs_of_a_column(program: Program) -> Iterator[tuple[str, tuple[int, float]]]:
    """By kernel: columns of its row, and multiply-accumulates of each."""
    for stage in (stage for step in program.steps for stage in step.inner_stages):
        if isinstance(stage.kernel, Kernel) and stage.operation.macs:
            output = stage.operation.signature.output
            calls = output.rows if stage.kernel.by_row else 1
            of_each = stage.operation.macs / (calls * output.pixels)
            yield stage.kernel.name, (output.pixels, of_each)


def rows_of_table(plans: Sequence[MeasuredPlan]) -> Iterator[str]:
    """Lines of Markdown: bytes, the ratio, and what was counted."""
    first = plans[0]
    counted = "multiply-accumulates" if first.macs is not None else "instructions"
    yield f"| bytes | ratio | {counted} | as a multiple |"
    yield "|---:|---:|---:|---:|"
    for plan in plans:
        number, of = (plan.macs, first.macs) if plan.macs else (plan.instructions, 0)
        of = of or first.instructions
        assert number and of
        yield f"| {plan.arena_bytes:,} | {plan.ratio:.3f} | {number:,.0f} | {number / of:.3f} |"
