"""``tvmc compile``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.padding import Padding

from dero_tvm.boundary.atomic_write import staged_write
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.printable import printable
from dero_tvm.driver.dero_levels import BARE, Dero, parse_dero
from dero_tvm.report.code_size import code_size
from dero_tvm.report.memory_table import print_memory
from dero_tvm.report.text_table import print_report
from dero_tvm.report.tuning_table import print_tuning

from .command import Command, NamesOption, dero_option
from .completion import complete_target
from .legacy import board_of_target, check_executor, parse_pass_config
from .model_options import (
    input_layout_option,
    input_shapes_option,
    integer_io_option,
    quiet_option,
    reserve_option,
    time_limit_option,
)
from .outputs import check_distinct, check_output, write_model
from .progress import stages
from .shapes import parse_input_shapes
from .start_tvm import start_tvm

if TYPE_CHECKING:
    from dero_tvm.driver.compiler import CompiledModel
    from dero_tvm.frontends import LoadedModel


@click.command("compile", cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@dero_option(
    default=None,
    remark=f"Left out: none; with a budget or rows of inputs or outputs, {BARE.value}.",
)
@click.option(
    "--memory-budget",
    metavar="SIZE",
    help="Take the fastest plan whose arena has at most SIZE bytes, with everything in it; 64KB "
    "is 65,536 bytes. With --tune, instructions decide which is fastest.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where the result goes. Left out: only the report is shown.",
)
@click.option(
    "--output-format",
    type=click.Choice(["mlf", "c", "so"]),
    default="mlf",
    show_default=True,
    help="mlf: a Model Library Format archive; c: a folder of C sources; so: a shared library.",
)
@click.option(
    "--target",
    metavar="BOARD",
    default="host",
    show_default=True,
    shell_complete=complete_target,
    help="A board (tvmc boards), a board's .toml file, or c.",
)
@input_shapes_option()
@input_layout_option()
@integer_io_option()
@click.option(
    "--quantize",
    "calibration",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Quantize a float32 ONNX model to int8 first; FILE is an .npz of calibration inputs.",
)
@click.option(
    "--labels",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --quantize: an .npz of inputs and their classes ('labels'), to print the accuracy.",
)
@click.option("--keep-inputs", is_flag=True, help="Inputs still hold their values after a run.")
@click.option("--external-io", is_flag=True, help="Inputs and outputs lie in the caller's memory.")
@click.option(
    "--stream-input",
    cls=NamesOption,
    multiple=True,
    metavar="[=NAME]",
    help="The application hands over images one row at a time; needs --dero stream.",
)
@click.option(
    "--stream-output",
    cls=NamesOption,
    multiple=True,
    metavar="[=NAME]",
    help="The application takes outputs one row at a time; needs --dero stream.",
)
@click.option(
    "--module-name",
    metavar="NAME",
    default="default",
    show_default=True,
    help="Part of C names: tvmgen_NAME_run.",
)
@reserve_option("the board's first region")
@time_limit_option
@click.option(
    "--tune",
    is_flag=True,
    help="Measure the kernels that an operation may have, and the plans within --memory-budget, in "
    "QEMU, and take the fastest.",
)
@click.option(
    "--tune-cache",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --tune: where figures are kept. Left out: the user's folder for caches.",
)
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the report as JSON.",
)
@quiet_option
@click.option("--executor", metavar="aot", help="For old scripts.")
@click.option("--executor-aot-interface-api", metavar="c", help="For old scripts.")
@click.option("--executor-aot-unpacked-api", metavar="1", help="For old scripts.")
@click.option("--runtime", metavar="crt", help="For old scripts.")
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
    calibration: Path | None,
    labels: Path | None,
    keep_inputs: bool,
    external_io: bool,
    stream_input: bool | tuple[str, ...],
    stream_output: bool | tuple[str, ...],
    module_name: str,
    reserve: str,
    time_limit: float,
    tune: bool,
    tune_cache: Path | None,
    report_file: Path | None,
    quiet: bool,
    executor: str | None,
    executor_aot_interface_api: str | None,
    executor_aot_unpacked_api: str | None,
    runtime: str | None,
    pass_config: tuple[str, ...],
) -> None:
    """Compile MODEL (.onnx, .tflite, .pt2) to C with one static arena.

    \b
    Examples:
      tvmc compile model.tflite --dero -o model.tar
      tvmc compile model.onnx --dero stream --target mps2-an500 -o model.tar
      tvmc compile model.onnx --memory-budget 64KB -o model.tar
      tvmc compile model.tflite --dero --target mps2-an500 --tune -o model.tar
      tvmc compile model.onnx --quantize images.npz --labels test.npz --dero -o model.tar
      tvmc compile model.onnx --stream-input --input-layout nhwc --integer-io -o model.tar
      tvmc compile model.onnx --input-shapes "x:[1,3,96,96]" --report report.json
      tvmc compile model.onnx --dero --output-format c -o generated/
    """  # noqa: D301 (click reads the escape)
    check_executor(executor, executor_aot_interface_api, executor_aot_unpacked_api, runtime)
    config = parse_pass_config(pass_config)
    if external_io and config.external_io is False:
        raise UserError("--external-io contradicts --pass-config tir.usmp.use_workspace_io=1")
    if output is not None:
        check_output(output, output_format)
    if report_file is not None:
        check_output(report_file, "json")
    check_distinct(
        {
            "MODEL": model,
            "--output": output,
            "--report": report_file,
            "--tune-cache": tune_cache,
        }
    )
    if tune_cache is not None and not tune:
        raise UserError("--tune-cache is for --tune, which measures kernels")
    if labels is not None and calibration is None:
        raise UserError("--labels is for --quantize; tvmc run gives a compiled model's outputs")
    shapes = parse_input_shapes(input_shapes)
    needs_rewriting = memory_budget is not None or stream_input or stream_output
    source: Path | LoadedModel = model
    accuracy = ""
    if calibration is not None:
        source, accuracy = quantized(model, calibration, labels, shapes, quiet=quiet)
    compiled = compile_with_progress(
        source,
        quiet=quiet,
        target=board_of_target(target),
        dero=parse_dero(dero) if dero else (BARE if needs_rewriting else Dero.NONE),
        memory_budget=memory_budget,
        input_shapes=shapes,
        input_layout=input_layout,
        integer_io=integer_io,
        keep_inputs=keep_inputs,
        external_io=external_io or bool(config.external_io),
        stream_input=stream_input,
        stream_output=stream_output,
        name=module_name,
        reserve=reserve,
        time_limit=time_limit,
        tune=tune_cache or tune,
    )
    with ExitStack() as written:  # the report appears if the model could be written
        if report_file is not None:
            data = compiled.report.to_json().encode()
            written.enter_context(staged_write(report_file, data))
        if output is not None:
            write_model(compiled.archive, output, output_format)
    if not quiet:
        console = Console()
        print_report(compiled.report, console)
        if compiled.report.tuning is not None:
            print_tuning(compiled.report.tuning, console)
        if accuracy:
            console.print(Padding(accuracy, (0, 1, 1, 1)), highlight=False)
        if compiled.report.memory:
            print_memory(compiled.report, code_size(compiled.archive, compiled.board), console)
        for path in filter(None, (output, report_file)):
            console.print(f"wrote {printable(str(path))}", highlight=False, markup=False)


def quantized(
    model: Path,
    calibration: Path,
    labels: Path | None,
    input_shapes: Mapping[str, tuple[int, ...]] | None,
    *,
    quiet: bool = False,
) -> tuple[LoadedModel, str]:
    """The model of a file, quantized, and a line on its accuracy ("" without labels)."""
    with stages(quiet=quiet) as show:
        show("quantizing")
        start_tvm(model)
        from dero_tvm.frontends.onnx import load_onnx
        from dero_tvm.quantization import quantize

        result = quantize(model, calibration, labelled=labels, input_shapes=input_shapes)
        loaded = load_onnx(
            result.model, label=str(model), name=model.stem, input_shapes=input_shapes
        )
    if result.accuracy_before is None or result.accuracy_after is None:
        return loaded, ""
    before, after = (f"{100 * a:.2f} %" for a in (result.accuracy_before, result.accuracy_after))
    return loaded, (
        f"Top-1 accuracy on {result.labelled:,} labelled inputs: {before} in float32, {after} in "
        "int8 (ONNX Runtime)."
    )


def compile_with_progress(
    model: Path | LoadedModel, *, quiet: bool = False, **options: Any
) -> CompiledModel:
    """`dero_tvm.compile` with its stages shown on the terminal."""
    with stages(quiet=quiet) as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.compiler import compile

        return compile(model, progress=show, **options)
