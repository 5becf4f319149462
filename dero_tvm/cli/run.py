"""``tvmc run``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from dero_tvm.aot.archive import load_archive
from dero_tvm.boards.memory_size import parse_size
from dero_tvm.boundary.atomic_write import staged_write, write_atomically
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.input_arrays import inferences, read_npz
from dero_tvm.driver.dero_levels import BARE
from dero_tvm.driver.options import CompileOptions
from dero_tvm.report.profile_table import measured_of, print_profile
from dero_tvm.report.run_table import print_run
from dero_tvm.report.trace import chrome_trace
from dero_tvm.runners import RunResult, check_device, check_profile, run

from .compile import compile_with_progress
from .completion import complete_device
from .console import stdout_console
from .inputs import filled
from .model_options import Seconds, dero_option, model_option
from .old_flags import OldRun
from .option_kinds import choice_option, count_option, file_argument, file_option, say_written
from .outputs import check_distinct, check_output, npz_bytes
from .progress import stages
from .report import parsed_report, report_page
from .start_tvm import start_tvm

_ARCHIVES = (".tar", ".tar.gz", ".tgz")


@click.command("run", cls=OldRun)
@file_argument("model")
@click.option(
    "--device",
    metavar="DEVICE",
    default="host",
    show_default=True,
    shell_complete=complete_device,
    help="host: through LLVM, no compiler needed; host-c: the C compiler of this machine; "
    "qemu:BOARD: an emulated board; serial:PORT: a board with a project of tvmc micro.",
)
@file_option(
    "--inputs",
    help="An .npz file with an array for each input; one more axis in front: several inferences.",
)
@choice_option(
    "--fill-mode",
    choices=("random", "zeros", "ones"),
    help="What inputs hold when --inputs is left out.",
)
@count_option("--seed", default=0, help="Of --fill-mode random.")
@file_option("-o", "--outputs", help="Write outputs as .npz.")
@click.option(
    "--print-top",
    metavar="N",
    type=click.IntRange(min=1),
    help="Show the N largest values of each output.",
)
@click.option(
    "--profile",
    is_flag=True,
    help="Measure each step: instructions on qemu:BOARD, time on host-c.",
)
@file_option(
    "--trace", help="With --profile: write steps and arena bytes as a trace (.json) for Perfetto."
)
@file_option(
    "--html", help="With --profile: write the report of tvmc report with what was measured."
)
@file_option(
    "--report",
    "report_file",
    help="With --profile: write the same as JSON, which tvmc report reads.",
)
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=Seconds(min_open=True),
    help="Stop a run that takes longer; default: 60 on host-c, 120 on qemu:BOARD.",
)
@click.option(
    "--stack-size",
    metavar="SIZE",
    help="On qemu:BOARD: of the stack that the model runs on; default: 4KB.",
)
@dero_option(default=None, remark=f"For a model file; default: {BARE.value}.")
@model_option(
    "target", default=None, help="For a model file, as in compile; default: the device's."
)
@model_option("input_shapes", "For a model file. ")
def run_command(
    model: Path,
    device: str,
    inputs: Path | None,
    fill_mode: str,
    seed: int,
    outputs: Path | None,
    print_top: int | None,
    profile: bool,
    trace: Path | None,
    html: Path | None,
    report_file: Path | None,
    time_limit: float | None,
    stack_size: str | None,
    dero: str | None,
    target: str | None,
    input_shapes: Mapping[str, tuple[int, ...]] | None,
) -> None:
    """Run MODEL, an archive that tvmc compile wrote; a model file is compiled first.

    \b
    Examples:
      tvmc run model.tar --device qemu:mps2-an500 --inputs in.npz -o out.npz
      tvmc run model.tflite --device host --print-top 3
      tvmc run model.tar --device qemu:mps2-an386 --profile
    """  # noqa: D301 (click reads the escape)
    if device == "micro":
        raise UserError(
            "--device micro: a board with a project of tvmc micro is reached at its serial port: "
            "type `tvmc run model.tar --device serial:/dev/ttyACM0`, with the archive that the "
            "project was made from"
        )
    board = check_device(device)
    if profile:
        check_profile(device)
    if time_limit is not None and not device.startswith(("host-c", "qemu:")):
        raise UserError("--time-limit works on host-c and qemu:BOARD")
    if stack_size is not None and not device.startswith("qemu:"):
        raise UserError("--stack-size works on qemu:BOARD")
    stack = None if stack_size is None else parse_size(stack_size, "--stack-size")
    if outputs is not None:
        check_output(outputs, "npz")
    files = {"--trace": trace, "--html": html, "--report": report_file}
    for flag, path in files.items():
        if path is not None:
            if not profile:
                raise UserError(f"{flag} needs what --profile measures: give both")
            check_output(path, "report" if flag == "--html" else "json")
    check_distinct({"MODEL": model, "--inputs": inputs, "--outputs": outputs, **files})
    arrays = read_npz(inputs) if inputs else None
    if model.name.endswith(_ARCHIVES):
        _refuse_compile_flags(model, dero=dero, target=target, input_shapes=input_shapes)
        archive = load_archive(model)
    else:
        options = CompileOptions(
            target=target or board, dero=dero or BARE, input_shapes=input_shapes
        )
        archive = compile_with_progress(model, options).archive
    if inputs is not None and arrays is not None:
        batches = inferences(arrays, archive.inputs, inputs)
    else:
        batches = [filled(archive.inputs, fill_mode, seed)]
    with stages() as show:
        show(f"running on {device}")
        if device == "host":
            start_tvm(model)
        result = run(
            archive, batches, device, profile=profile, time_limit=time_limit, stack_size=stack
        )
    if not result.guard_ok:
        raise UserError(f"the generated program is wrong: {result.guard_report}; please report it")
    report = None
    if result.profile is not None:
        measured = measured_of(result.profile, device)
        report = replace(parsed_report(model, archive.report), measured=measured)
    with ExitStack() as written:  # all files appear, or none
        if trace is not None and report is not None:
            data = chrome_trace(report, result.profile).encode()
            written.enter_context(staged_write(trace, data))
        if html is not None and report is not None:
            written.enter_context(staged_write(html, report_page(report)))
        if report_file is not None and report is not None:
            written.enter_context(staged_write(report_file, report.to_json().encode()))
        if outputs is not None:
            write_atomically(outputs, npz_bytes(_named_outputs(result)))
    console = stdout_console()
    print_run(archive, result, device, console, top=print_top)
    if report is not None:
        print_profile(report, result, console)
    say_written(console, *files.values())


def _refuse_compile_flags(model: Path, **flags: object) -> None:
    for name, value in flags.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"{flag}: {model} is compiled already; give it to tvmc compile")


def _named_outputs(result: RunResult) -> dict[str, np.ndarray]:
    """Outputs by name; of several inferences along one more axis in front."""
    if len(result.outputs) == 1:
        return result.outputs[0]
    return {name: np.stack([one[name] for one in result.outputs]) for name in result.outputs[0]}
