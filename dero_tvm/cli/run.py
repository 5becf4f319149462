"""``tvmc run``."""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from dero_tvm.aot.archive import ModelArchive, load_archive, write_atomically
from dero_tvm.errors import UserError
from dero_tvm.report.table import print_run
from dero_tvm.runners import run

from .compile import BARE_DERO, compile_with_progress
from .legacy import board_of_target
from .outputs import check_output
from .shapes import parse_input_shapes

_ARCHIVES = (".tar", ".tar.gz", ".tgz")


@click.command("run")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--device",
    default="host",
    show_default=True,
    help="host (LLVM, no compiler needed), host-c (the C compiler), qemu:MACHINE.",
)
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    help="An .npz file: an array for each input by name; one more leading axis: several runs.",
)
@click.option(
    "--fill-mode",
    type=click.Choice(["random", "zeros", "ones"]),
    default="random",
    show_default=True,
    help="What inputs hold when --inputs is left out.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of --fill-mode random.")
@click.option("-o", "--outputs", type=click.Path(path_type=Path), help="Write outputs as .npz.")
@click.option("--print-top", type=int, help="Show the N largest values of each output.")
@click.option(
    "--dero", default=BARE_DERO, show_default=True, help="For a model file: as in compile."
)
@click.option(
    "--target", default="host", show_default=True, help="For a model file: as in compile."
)
@click.option("--input-shapes", help="For a model file: as in compile.")
def run_command(
    model: Path,
    device: str,
    inputs: Path | None,
    fill_mode: str,
    seed: int,
    outputs: Path | None,
    print_top: int | None,
    dero: str,
    target: str,
    input_shapes: str | None,
) -> None:
    r"""Run MODEL, an archive that tvmc compile wrote; a model file is compiled first.

    \b
    Examples:
      tvmc run model.tar --device qemu:mps2-an500 --inputs in.npz -o out.npz
      tvmc run model.tflite --device host --print-top 3
    """
    if outputs is not None:
        check_output(outputs, "npz")
    if model.name.endswith(_ARCHIVES):
        archive = load_archive(model)
    else:
        shapes = parse_input_shapes(input_shapes)
        archive = compile_with_progress(
            model,
            quiet=False,
            target=board_of_target(target),
            dero=dero,
            input_shapes=shapes,
        ).archive
    batches = read_inputs(archive, inputs) if inputs else [_filled(archive, fill_mode, seed)]
    with Console(stderr=True).status(f"running on {device} …"):
        result = run(archive, batches, device)
    if outputs is not None:
        names = result.outputs[0]
        stacked = {name: np.stack([one[name] for one in result.outputs]) for name in names}
        single = {name: array[0] for name, array in stacked.items()}
        buffer = io.BytesIO()
        np.savez(buffer, **(single if len(batches) == 1 else stacked))
        write_atomically(outputs, buffer.getvalue())
    print_run(archive, result, device, Console(), top=print_top)


def read_inputs(archive: ModelArchive, path: Path) -> list[dict[str, np.ndarray]]:
    """The inferences that an .npz file asks for."""
    try:
        with np.load(path, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a readable .npz file ({error})") from None
    except AttributeError:
        raise UserError(f"{path}: not an .npz file; save arrays by name with numpy.savez") from None
    known = [port.name for port in archive.inputs]
    if unknown := sorted(set(arrays) - set(known)):
        raise UserError(f"{path}: no input named {unknown[0]!r} (inputs: {', '.join(known)})")
    runs = None
    for port in archive.inputs:
        if port.name not in arrays:
            raise UserError(f"{path}: no array for input {port.name!r}")
        array = arrays[port.name]
        if str(array.dtype) != port.dtype:
            raise UserError(f"{path}: input {port.name!r} is {array.dtype}, expected {port.dtype}")
        if array.shape == port.shape:
            arrays[port.name] = array = array[np.newaxis]
        elif array.shape[1:] != port.shape:
            raise UserError(
                f"{path}: input {port.name!r} has shape {array.shape}, expected {port.shape}, or "
                "one more leading axis for several runs"
            )
        if runs is not None and len(array) != runs:
            raise UserError(f"{path}: inputs disagree in the number of runs ({runs}, {len(array)})")
        runs = len(array)
    if not runs:
        raise UserError(f"{path}: asks for no run")
    return [{name: array[index] for name, array in arrays.items()} for index in range(runs)]


def _filled(archive: ModelArchive, mode: str, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    filled = {}
    for port in archive.inputs:
        dtype = np.dtype(port.dtype)
        if mode != "random":
            filled[port.name] = np.full(port.shape, mode == "ones", dtype=dtype)
        elif dtype.kind in "iu":
            info = np.iinfo(dtype)
            filled[port.name] = rng.integers(info.min, info.max, port.shape, dtype, endpoint=True)
        else:
            filled[port.name] = rng.standard_normal(port.shape).astype(dtype)
    return filled
