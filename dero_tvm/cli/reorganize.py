"""``tvmc reorganize``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from dero_tvm.boundary.atomic_write import check_new_folder

from .command import Command
from .console import stdout_console
from .model_options import model_options, quiet_option
from .option_kinds import choice_option, file_argument, file_option, say_written
from .progress import stages


@click.command("reorganize", cls=Command)
@file_argument("model")
@file_option(
    "-o",
    "--output",
    required=True,
    metavar="FOLDER",
    help="A new folder for the network, its start weights, ONNX and the report.",
)
@click.option(
    "--plain",
    is_flag=True,
    help="Write the plain baseline instead: the same convolutions without any shortcut.",
)
@choice_option(
    "--normalization",
    choices=("before", "after"),
    help="Normalize before each convolution, as the method's authors do, or after it, where it "
    "can be folded into the weights.",
)
@choice_option(
    "--shortcuts",
    choices=("all", "stages"),
    help="Which convolutions get a shortcut: all, or those of the stages behind the stem.",
)
@choice_option(
    "--shortcut-norms",
    choices=("all", "changed"),
    help="Normalize all shortcuts, or only those on which the shape changes.",
)
@choice_option(
    "--join-activation",
    choices=("convolution", "sum", "dropped"),
    help="Where the activation after a removed addition goes: to the convolution before it, "
    "behind the sum with that convolution's shortcut, or nowhere.",
)
@click.option(
    "--bias/--no-bias",
    default=True,
    show_default=True,
    help="Give convolutions that no normalization follows a bias; the last ones keep theirs.",
)
@click.option(
    "--joins",
    metavar="NAME,...|peak",
    help="Reorganize these residual joins alone, or those that hold memory at the arena's peak; "
    "the others stay exact.",
)
@click.option(
    "--board",
    metavar="BOARD",
    help="Reorganize the fewest joins with which the network fits this board.",
)
@choice_option(
    "--precision",
    choices=("int8", "float32"),
    help="What --joins and --board plan for: the network quantized after training, or as it is.",
)
@file_option(
    "--calibration",
    help="An .npz of inputs as in training, a hundred or more: start weights are solved for that "
    "keep the function of MODEL as near as possible.",
)
@model_options("input_shapes", "inputs", "outputs")
@quiet_option
def reorganize_command(
    model: Path,
    output: Path,
    plain: bool,
    normalization: str,
    shortcuts: str,
    shortcut_norms: str,
    join_activation: str,
    bias: bool,
    joins: str | None,
    board: str | None,
    precision: str,
    calibration: Path | None,
    input_shapes: Mapping[str, tuple[int, ...]] | None,
    inputs: str | None,
    outputs: str | None,
    quiet: bool,
) -> None:
    """Replace the residuals of MODEL by one shortcut a convolution, to be trained again.

    A residual around one operator needs no memory of its own. The result computes another
    function than MODEL: FOLDER holds it as a PyTorch module (network.py) with start weights
    (weights.pt), as ONNX, and a report of what was done.

    \b
    Examples:
      tvmc reorganize model.onnx -o reorganized/
      tvmc reorganize model.onnx --plain -o plain/
      tvmc reorganize model.onnx --board nrf52840dk -o partly/
      tvmc reorganize model.onnx --calibration images.npz -o reorganized/
    """  # noqa: D301 (click reads the escape)
    check_new_folder(output)
    with stages(quiet=quiet) as show:
        show("starting TVM")
        from dero_tvm.training.reorganized_model import reorganize

        made = reorganize(
            model,
            plain=plain,
            normalization=normalization,  # type: ignore[arg-type]  # click checked the choices
            shortcuts=shortcuts,  # type: ignore[arg-type]
            shortcut_norms=shortcut_norms,  # type: ignore[arg-type]
            join_activation=join_activation,  # type: ignore[arg-type]
            bias=bias,
            joins=joins,
            board=board,
            precision=precision,  # type: ignore[arg-type]
            calibration=calibration,
            input_shapes=input_shapes,
            inputs=inputs,
            outputs=outputs,
            progress=show,
        )
        show("exporting ONNX")
        made.save(output)
    if quiet:
        return
    from dero_tvm.training.report_text import print_reorganization

    console = stdout_console()
    print_reorganization(made.report, console)
    say_written(console, *(output / name for name in made.file_names()))
