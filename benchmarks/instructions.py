"""Instructions per inference on emulated boards, beside CMSIS-NN's, as a Markdown table.

    python benchmarks/instructions.py [--boards BOARD,...] [--modes none,stream] MODEL ...

Each row is one model on one board, compiled with one of the modes of ``tvmc compile --dero``.
Instructions are those of a whole inference, in millions, quantized inputs and outputs left as
integers; sizes are bytes: code of the whole program with the C library and the run-time support of
the compiler, constants of the model, its arena.  Needs QEMU and the Arm compiler.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import dero_tvm
from dero_tvm.boards.board import load_board

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BOARDS = "mps2-an386,mps2-an500,mps3-an547"
REFERENCE = Path(__file__).parent / "cmsis_nn.toml"


def main() -> None:
    """Print the table."""
    parser = models_on_boards(__doc__)
    parser.add_argument("--modes", default="none,stream", help="default: none,stream")
    arguments = parser.parse_args()
    reference = reference_figures()
    print("| model | core | dero | instructions | CMSIS-NN | ratio | code | constants | arena |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for path in arguments.models:
        for board in arguments.boards.split(","):
            core = load_board(board).core
            known = reference.get(path.stem, {}).get(core)
            for mode in arguments.modes.split(","):
                print(row(path, board, core, mode, known), flush=True)


def reference_figures() -> dict[str, Any]:
    """What is known of CMSIS-NN, by model and core."""
    return tomllib.loads(REFERENCE.read_text())


def models_on_boards(module: str) -> argparse.ArgumentParser:
    """The options of benchmarks that run models on boards; `module` is what theirs says."""
    parser = argparse.ArgumentParser(description=module.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--boards", default=BOARDS, help=f"default: {BOARDS}")
    return parser


def row(path: Path, board: str, core: str, mode: str, known: float | None) -> str:
    """One line of the table; `known` are CMSIS-NN's instructions in millions, None if unknown."""
    model = dero_tvm.compile(path, target=board, dero=mode, integer_io=True)
    result = model.measure([random_inputs(model)], f"qemu:{board}")
    if not result.guard_ok or result.instructions is None:
        raise SystemExit(f"{path} on {board}: {result.guard_report or 'no instruction counter'}")
    millions = result.instructions[0] / 1e6
    cells = [path.stem, core.removeprefix("cortex-").upper(), mode, f"{millions:.3f}"]
    cells += [f"{known:.3f}", f"{millions / known:.2f}"] if known else ["", ""]
    sizes = (result.image_sections["text"], model.report.constants_bytes, model.report.arena_bytes)
    return f"| {' | '.join([*cells, *(f'{size:,}' for size in sizes)])} |"


def random_inputs(model: dero_tvm.CompiledModel) -> dict[str, Any]:
    """An array for each input."""
    rng = np.random.default_rng(0)
    return {
        port.name: (
            rng.integers(-128, 128, port.shape)
            if port.dtype == "int8"
            else rng.normal(size=port.shape)
        ).astype(port.dtype)
        for port in model.archive.inputs
    }


if __name__ == "__main__":
    main()
