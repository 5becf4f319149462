"""Instructions per multiply-accumulate by operator, as a Markdown table.

    python benchmarks/kernels.py [--boards BOARD,...] MODEL ...

Every operator of the models that multiplies and adds runs alone in QEMU; the table has the sum of
their instructions, divided by the sum of their multiply-accumulates, for each class of operator.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import tvm
from instructions import models_on_boards, random_inputs
from tvm import relax

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.schedule.network import Network, Operation
from relax_passes.operators import make_call, operator_of

NAMES = {
    "dero.conv2d_transpose": "transposed convolution",
    "dero.dense": "dense layer",
    "dero.resize_bilinear": "bilinear resizing",
}
"""Of operators that are not told by their class."""


def main() -> None:
    """Print the table."""
    arguments = models_on_boards(__doc__).parse_args()
    networks = [
        dero_tvm.compile(path, target="host", dero="none", integer_io=True).network
        for path in arguments.models
    ]
    print("| operator | core | layers | multiply-accumulates | instructions for each |")
    print("|---|---|---:|---:|---:|")
    for board in arguments.boards.split(","):
        core = load_board(board).core.removeprefix("cortex-").upper()
        for name, counts in measured(networks, board).items():
            macs, instructions = np.sum(counts, axis=0)
            cells = (name, core, len(counts), f"{macs:,}", f"{instructions / macs:.2f}")
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


def measured(networks: list[Network], board: str) -> dict[str, list[tuple[int, int]]]:
    """By class of operator: multiply-accumulates and instructions of each layer."""
    counts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for network in networks:
        for operation in network.operations:
            operator = operator_of(operation.signature.operator)
            if operator is None or not operation.macs:
                continue
            name = operator.operator_class(operation.signature).value
            name = NAMES.get(operation.signature.operator, name)
            count = (operation.macs, instructions_of(network, operation, board))
            counts[name].append(count)
    return dict(sorted(counts.items()))


def instructions_of(network: Network, operation: Operation, board: str) -> int:
    """Instructions of one operation as a network of its own."""
    module = tvm.IRModule({"main": alone(network, operation)})
    model = dero_tvm.compile(module, target=board, dero="none")
    result = model.measure([random_inputs(model)], f"qemu:{board}")
    assert result.instructions is not None
    return result.instructions[0]


def alone(network: Network, operation: Operation) -> relax.Function:
    """A function that calls the operation's operator on an input."""
    signature = operation.signature
    data = relax.Var("data", relax.TensorType(signature.inputs[0].shape, "int8"))
    constants = [relax.const(network.constants[name]) for name in operation.operands[1:]]
    builder = relax.BlockBuilder()
    with builder.function("main", [data]):
        name = signature.operator.removeprefix("dero.")
        builder.emit_func_output(
            builder.emit(make_call(name, [data, *constants], **signature.attrs))
        )
    return builder.get()["main"]


if __name__ == "__main__":
    main()
