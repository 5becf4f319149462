"""Estimated cycles of an inference on emulated boards, beside CMSIS-NN's, as a Markdown table.

    python benchmarks/cycles.py [--boards BOARD,...] [--mode MODE] [--functions N] MODEL ...

Each row is one model on one board.  Cycles are those that the core's pipeline needs for the blocks
of instructions that ran in QEMU (`dero_tvm.cycles`): memories answer at once, caches always hit,
branches are predicted.  CMSIS-NN's were estimated in the same way (`benchmarks/cmsis_nn.toml`).
With --functions, the N functions with the most cycles follow each row.  Needs QEMU, the Arm
compiler, and LLVM 22 (on Debian: apt install llvm-22).
"""

from __future__ import annotations

from instructions import models_on_boards, random_inputs, reference_figures

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.cycles import ASSUMPTIONS, estimate_cycles


def main() -> None:
    """Print the table."""
    parser = models_on_boards(__doc__)
    parser.add_argument("--mode", default="stream", help="of --dero; default: stream")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="default: 0")
    arguments = parser.parse_args()
    reference = reference_figures()["cycles"]
    print("| model | core | million cycles | instructions | in a cycle | CMSIS-NN | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|")
    sources = {}
    for path in arguments.models:
        for name in arguments.boards.split(","):
            board = load_board(name)
            model = dero_tvm.compile(path, target=name, dero=arguments.mode, integer_io=True)
            found = estimate_cycles(model.archive, [random_inputs(model)], board)
            core = board.core.removeprefix("cortex-").upper()
            sources[core] = found.source
            known = reference.get(path.stem, {}).get(board.core)
            millions = found.cycles / 1e6
            cells = [path.stem, core, f"{millions:.3f}", f"{found.instructions / 1e6:.3f}"]
            cells.append(f"{found.instructions / found.cycles:.2f}")
            cells += [f"{known:.2f}", f"{millions / known:.2f}"] if known else ["", ""]
            print(f"| {' | '.join(cells)} |", flush=True)
            for function, (cycles, instructions) in list(found.functions.items())[
                : arguments.functions
            ]:
                row = [f"`{function}`", "", f"{cycles / 1e6:.3f}", f"{instructions / 1e6:.3f}"]
                print(f"| {' | '.join([*row, f'{instructions / cycles:.2f}', '', ''])} |")
    print(f"\nAssumed: {ASSUMPTIONS}.")
    for core, source in sources.items():
        print(f"{core}: {source}.")


if __name__ == "__main__":
    main()
