"""``tvmc compile``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dero_tvm.aot.archive import write_atomically
from dero_tvm.compiler import CompiledModel, compile
from dero_tvm.errors import UserError
from dero_tvm.modes import Dero
from dero_tvm.report.table import print_report

from .legacy import board_of_target, check_executor, parse_pass_config
from .outputs import check_output, write_model
from .shapes import parse_input_shapes

BARE_DERO = Dero.STREAM.value
"""What ``--dero`` without a value means."""


class _OptionalDeroValue(click.Command):
    """Lets ``--dero`` stand alone, before the model's name too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        values = [d.value for d in Dero]
        completed = []
        for index, word in enumerate(args):
            completed.append(word)
            following = args[index + 1] if index + 1 < len(args) else None
            looks_like_value = following in values or (
                following is not None and _is_plain_word(following)
            )
            if word == "--dero" and not looks_like_value:
                completed.append(BARE_DERO)
        return super().parse_args(ctx, completed)


def _is_plain_word(text: str) -> bool:
    """True for a word that can only be meant as a mode: no flag, no file name."""
    return text.isalpha() and not Path(text).exists()


@click.command("compile", cls=_OptionalDeroValue)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--dero",
    metavar=f"[{'|'.join(d.value for d in Dero)}]",
    help="How far to rewrite the network so that it needs less memory, with the same results. "
    f"Without a value: {BARE_DERO}. Left out: every tensor gets memory of its own, or with "
    f"--memory-budget as far as {BARE_DERO} if need be.",
)
@click.option(
    "--memory-budget",
    metavar="SIZE",
    help="Take the fastest plan whose arena has at most SIZE bytes, everything in it counted; "
    "64KB and 64KiB are 65,536 bytes.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the result goes.")
@click.option(
    "--output-format",
    type=click.Choice(["mlf", "c", "so"]),
    default="mlf",
    show_default=True,
    help="mlf: a Model Library Format archive; c: a folder of C sources; so: a shared library.",
)
@click.option(
    "--target", default="host", show_default=True, help="A board (tvmc boards), a board file, or c."
)
@click.option("--input-shapes", help='Shapes of symbolic inputs, as "x:[1,3,32,32] y:[1,10]".')
@click.option(
    "--input-layout",
    type=click.Choice(["model", "nhwc"]),
    default="model",
    show_default=True,
    help="nhwc: image inputs are channels-last, which saves transposing them on the device.",
)
@click.option(
    "--integer-io",
    is_flag=True,
    help="A quantized network takes and gives the integers, without conversions from float.",
)
@click.option("--keep-inputs", is_flag=True, help="Inputs still hold their values after a run.")
@click.option("--external-io", is_flag=True, help="Inputs and outputs lie in the caller's memory.")
@click.option("--module-name", default="default", show_default=True, help="C prefix: tvmgen_NAME.")
@click.option(
    "--time-limit", default=20.0, show_default=True, help="Seconds for the search of memory plans."
)
@click.option(
    "--report", "report_file", type=click.Path(path_type=Path), help="Write the report as JSON."
)
@click.option("-q", "--quiet", is_flag=True, help="No table, no progress.")
@click.option("--executor", help="For old scripts: aot.")
@click.option("--executor-aot-interface-api", help="For old scripts: c.")
@click.option("--executor-aot-unpacked-api", help="For old scripts: 1.")
@click.option("--runtime", help="For old scripts: crt.")
@click.option("--pass-config", multiple=True, metavar="KEY=VALUE", help="For old scripts.")
def compile_command(
    model: Path,
    dero: str | None,
    memory_budget: str | None,
    output: Path | None,
    output_format: str,
    target: str,
    input_shapes: str | None,
    input_layout: str,
    integer_io: bool,
    keep_inputs: bool,
    external_io: bool,
    module_name: str,
    time_limit: float,
    report_file: Path | None,
    quiet: bool,
    executor: str | None,
    executor_aot_interface_api: str | None,
    executor_aot_unpacked_api: str | None,
    runtime: str | None,
    pass_config: tuple[str, ...],
) -> None:
    r"""Compile MODEL (.onnx, .tflite, .pt2) to C with one static arena.

    \b
    Examples:
      tvmc compile model.tflite --dero -o model.tar
      tvmc compile model.onnx --dero --target mps2-an500 --report report.json -o model.tar
      tvmc compile model.onnx --memory-budget 64KB -o model.tar
      tvmc compile model.onnx --input-shapes "x:[1,3,96,96]" --output-format c -o generated/
    """
    check_executor(executor, executor_aot_interface_api, executor_aot_unpacked_api, runtime)
    config = parse_pass_config(pass_config)
    if external_io and config.external_io is False:
        raise UserError("--external-io contradicts --pass-config tir.usmp.use_workspace_io=1")
    if output is not None:
        check_output(output, output_format)
    if report_file is not None:
        check_output(report_file, "json")
    shapes = parse_input_shapes(input_shapes)
    compiled = compile_with_progress(
        model,
        quiet=quiet,
        target=board_of_target(target),
        dero=dero or (Dero.NONE.value if memory_budget is None else BARE_DERO),
        memory_budget=memory_budget,
        input_shapes=shapes,
        input_layout=input_layout,
        integer_io=integer_io,
        keep_inputs=keep_inputs,
        external_io=external_io or bool(config.external_io),
        name=module_name,
        time_limit=time_limit,
    )
    if output is not None:
        write_model(compiled.archive, output, output_format)
    if report_file is not None:
        write_atomically(report_file, compiled.report.to_json().encode())
    if not quiet:
        print_report(compiled.report, Console())
        if output is not None:
            Console().print(f"wrote {output}", highlight=False)


def compile_with_progress(model: Path, *, quiet: bool, **options: Any) -> CompiledModel:
    """`dero_tvm.compile` with its stages shown on the terminal."""
    console = Console(stderr=True, quiet=quiet)
    with console.status("starting") as status:
        return compile(model, progress=lambda stage: status.update(f"{stage} …"), **options)
