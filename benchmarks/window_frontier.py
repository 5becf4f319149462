"""The calculated frontier of bytes against multiply-accumulates, as Markdown tables.

    python benchmarks/window_frontier.py [--models FOLDER] [--only mcunet_vww ...] [--arrays]
                                         [--keep-columns] [--reductions]
    python benchmarks/window_frontier.py --run 5 --only mcunet_vww [--arrays] [--qemu mps2-an500]

Each network is handed its image by rows, or with `--arrays` has it in the arena.  A line is a plan
that nothing beats that was found: bytes alive at once, as planned for no core in particular, and
the ratio of its multiply-accumulates to those with nothing made twice.  Further columns have what
was expected of the network, most bytes at a ratio, where something was.  With `--keep-columns`
columns that two windows need are kept and not made again; with `--reductions` global poolings take
windows, too.

With `--run` so many plans of the frontier are compiled and run, each in exactly its arena between
guards; outputs must be those of whole tensors, bit by bit.  On this machine they run under
sanitizers, and every kernel counts its multiply-accumulates; with `--qemu` on a board, with the
kernels of its core, and instructions are counted.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from measured_windows import measured_plans, rows_of_table
from published import NAMES, command_line, network

from dero_tvm.aot.kernels import makes_windows, takes_table
from dero_tvm.driver.prepare import prepare
from dero_tvm.planning.column_windows.frontier import WindowPoint, frontier
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.network import WindowNetwork
from dero_tvm.schedule.to_column_windows import to_column_windows

EXPECTED = {  # by rows: at most so many bytes at such a ratio
    "mobilenet_v2_1.0_224": ((74_752, 1.03), (56_000, 1.08)),
    "mobilenet_v2_0.35_144": ((20_992, 1.01), (15_880, 1.04), (12_864, 1.09)),
    "mcunet_in3": ((50_864, 1.05), (43_520, 1.11)),
    "mcunet_vww": ((13_648, 1.01), (10_880, 1.13)),
}


def main() -> None:
    """Print a table a network."""
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--arrays", action="store_true", help="images lie in the arena")
    parser.add_argument("--keep-columns", action="store_true", help="windows keep their edges")
    parser.add_argument("--reductions", action="store_true", help="poolings take windows")
    parser.add_argument("--run", type=int, metavar="POINTS", help="run so many of the plans")
    parser.add_argument("--qemu", metavar="BOARD", help="run them in QEMU on this board")
    arguments = parser.parse_args()
    for name in arguments.only or NAMES:
        model = network(name, arguments.models)
        if model is None:
            continue
        if arguments.run is not None:
            by_rows, board = not arguments.arrays, arguments.qemu
            plans = measured_plans(model, by_rows=by_rows, points=arguments.run, board=board)
            print(f"\n{name}\n", *rows_of_table(list(plans)), sep="\n", flush=True)
            continue
        described = described_network(model, by_rows=not arguments.arrays)
        costs = GroupCosts(
            described,
            keep_columns=arguments.keep_columns,
            reductions=arguments.reductions,
        )
        points = frontier(costs)
        print(f"\n| {name} | multiply-accumulates |\n|---:|---:|")
        for point in points:
            print(f"| {point.live_bytes:,} | {point.macs / described.macs:.3f} |")
        if not arguments.arrays:
            for bytes_, ratio in EXPECTED.get(name, ()):
                print(f"| expected: {bytes_:,} | {against(points, described, bytes_, ratio)} |")


def against(
    points: tuple[WindowPoint, ...], described: WindowNetwork, bytes_: int, ratio: float
) -> str:
    """The expected ratio, and the one that was found for so many bytes."""
    found = [point.macs / described.macs for point in points if point.live_bytes <= bytes_]
    return f"{ratio:.2f}; found {min(found):.3f}" if found else f"{ratio:.2f}; found none"


def described_network(model: Path | onnx.ModelProto, *, by_rows: bool) -> WindowNetwork:
    """A network as column windows see it, with its joins fused."""
    prepared = prepare(model, input_layout="nhwc", integer_io=True, stream_input=by_rows)
    candidates = prepared.candidates()
    network = candidates.streamed_for_windows()
    assert network is not None
    return to_column_windows(network, takes_table=takes_table, makes_windows=makes_windows)


if __name__ == "__main__":
    main()
