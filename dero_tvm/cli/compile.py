"""``tvmc compile``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.padding import Padding

from dero_tvm.boundary.atomic_write import staged_write
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.printable import printable
from dero_tvm.driver.dero_levels import BARE, Dero
from dero_tvm.driver.dump_folder import DumpFolder
from dero_tvm.driver.options import CompileOptions
from dero_tvm.report.code_size import code_size
from dero_tvm.report.memory_table import print_memory
from dero_tvm.report.text_table import print_report
from dero_tvm.report.tuning_table import print_tuning

from .console import stdout_console
from .legacy import HOST, PassConfig, legacy_options
from .model_options import FLAGS, dero_option, model_options, quiet_option
from .old_flags import OldCompile
from .option_kinds import choice_option, file_argument, file_option, say_written
from .outputs import check_distinct, check_output, write_model
from .progress import stages
from .start_tvm import start_tvm
from .workspace_pools import board_with_pools, pool_options

if TYPE_CHECKING:
    from dero_tvm.driver.compiler import CompiledModel
    from dero_tvm.frontends import LoadedModel


_LARGE = 1 << 25  # bytes of an archive, from which compressing it is worth a remark


@click.command("compile", cls=OldCompile)
@file_argument("model")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where the result goes. Left out: only the report is shown.",
)
@choice_option(
    "-f",
    "--output-format",
    choices=("mlf", "c", "so"),
    help="mlf: a Model Library Format archive; c: a folder of C sources; so: a shared library.",
)
@dero_option(
    default=None,
    remark=f"Left out: none; with a budget or rows of inputs or outputs, {BARE.value}.",
)
@model_options(*(name for name in FLAGS if name != "dero"))
@file_option(
    "--quantize",
    "calibration",
    help="Quantize a float32 ONNX model to int8 first; FILE is an .npz of calibration inputs.",
)
@file_option(
    "--labels",
    help="With --quantize: an .npz of inputs and their classes ('labels'), to print the accuracy.",
)
@file_option(
    "--tune-cache",
    help="With --tune: where figures are kept. Left out: the user's folder for caches.",
)
@file_option("--report", "report_file", help="Write the report as JSON.")
@quiet_option
@pool_options
@legacy_options
def compile_command(
    model: Path,
    output: Path | None,
    output_format: str,
    calibration: Path | None,
    labels: Path | None,
    tune_cache: Path | None,
    report_file: Path | None,
    quiet: bool,
    workspace_pools: str | None,
    workspace_pools_size_hint_bytes: str | None,
    pass_config: PassConfig,
    **chosen: Any,
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
      tvmc compile model.onnx --outputs boxes,scores --dero -o model.tar
      tvmc compile model.onnx --dero --output-format c -o generated/
      tvmc compile model.onnx --dero --dump-ir ir/
    """  # noqa: D301 (click reads the escape)
    if chosen["external_io"] and pass_config.external_io is False:
        raise UserError("--external-io contradicts --pass-config tir.usmp.use_workspace_io=1")
    if output is not None:
        check_output(output, output_format)
    if report_file is not None:
        check_output(report_file, "json")
    dump_ir = chosen["dump_ir"]
    if dump_ir is not None:
        DumpFolder(dump_ir)  # refused before the work, if it is
    check_distinct(
        {
            "MODEL": model,
            "--output": output,
            "--report": report_file,
            "--tune-cache": tune_cache,
            "--dump-ir": dump_ir,
        }
    )
    if tune_cache is not None and not chosen["tune"]:
        raise UserError("--tune-cache is for --tune, which measures kernels")
    if labels is not None and calibration is None:
        raise UserError("--labels is for --quantize; tvmc run gives a compiled model's outputs")
    named = chosen["target"]
    chosen["target"] = board_with_pools(named, workspace_pools, workspace_pools_size_hint_bytes)
    if workspace_pools is not None and named == HOST:
        chosen["reserve"] = 0  # the pools are those of the network alone
    rewritten = any(chosen[n] for n in ("memory_budget", "stream_input", "stream_output"))
    chosen["dero"] = chosen["dero"] or (BARE if rewritten else Dero.NONE)
    chosen["external_io"] |= bool(pass_config.external_io)
    chosen["tune"] = tune_cache or chosen["tune"]
    options = CompileOptions(**chosen)
    source: Path | LoadedModel = model
    accuracy = ""
    if calibration is not None:
        source, accuracy = quantized(model, calibration, labels, options, quiet=quiet)
        options = replace(options, inputs=None, outputs=None)  # which it begins and ends with now
    compiled = compile_with_progress(source, options, quiet=quiet)
    with ExitStack() as written:  # the report appears if the model could be written
        if report_file is not None:
            data = compiled.report.to_json().encode()
            written.enter_context(staged_write(report_file, data))
        if output is not None:
            write_model(compiled.archive, output, output_format)
    if not quiet:
        console = stdout_console()
        print_report(compiled.report, console)
        if compiled.report.tuning is not None:
            print_tuning(compiled.report.tuning, console)
        if accuracy:
            console.print(Padding(accuracy, (0, 1, 1, 1)), highlight=False)
        if compiled.report.memory:
            print_memory(compiled.report, code_size(compiled.archive, compiled.board), console)
        say_written(console, output, report_file, dump_ir)
        if output is not None and output.suffix == ".tar" and output.stat().st_size > _LARGE:
            size = f"{output.stat().st_size / 2**20:,.0f} MB, most of it weights as text"
            console.print(f"{size}: {printable(output.name)}.gz would be smaller", highlight=False)


def quantized(
    model: Path,
    calibration: Path,
    labels: Path | None,
    options: CompileOptions,
    *,
    quiet: bool = False,
) -> tuple[LoadedModel, str]:
    """The model of a file, quantized, and a line on its accuracy ("" without labels)."""
    with stages(quiet=quiet) as show:
        show("quantizing")
        start_tvm(model)
        from dero_tvm.frontends.onnx import load_onnx
        from dero_tvm.quantization import quantize

        shapes = options.input_shapes
        result = quantize(
            model,
            calibration,
            labelled=labels,
            input_shapes=shapes,
            inputs=options.inputs,
            outputs=options.outputs,
            progress=show,
        )
        loaded = load_onnx(result.model, label=str(model), name=model.stem, input_shapes=shapes)
    if result.accuracy_before is None or result.accuracy_after is None:
        return loaded, ""
    before, after = (f"{100 * a:.2f} %" for a in (result.accuracy_before, result.accuracy_after))
    return loaded, (
        f"Top-1 accuracy on {result.labelled:,} labelled inputs: {before} in float32, {after} in "
        "int8 (ONNX Runtime)."
    )


def compile_with_progress(
    model: Path | LoadedModel, options: CompileOptions, *, quiet: bool = False
) -> CompiledModel:
    """`dero_tvm.compile` with its stages shown on the terminal."""
    with stages(quiet=quiet) as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.compiler import compile

        return compile(model, options, progress=show)
