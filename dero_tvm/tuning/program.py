"""A program with a step for each kernel that competes.

It is generated like any network, so a kernel runs as it does there: row by row, with its own
constants in flash and its scratch in the arena.

    input int8      [ operands of whichever step runs ]     one buffer for each type
    output int8     [ result of whichever step runs   ]

Every step reads from the start of the inputs and writes to the start of the outputs; nobody looks
at the results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dero_tvm.aot import ModelArchive
from dero_tvm.aot.emit import emit
from dero_tvm.aot.program import build_program
from dero_tvm.boards.board import Board
from dero_tvm.boards.regions import STACK_RESERVE, board_regions
from dero_tvm.kernels import CKernel
from dero_tvm.planning import Options, plan_memory
from dero_tvm.schedule.network import (
    Cascade,
    CascadeKind,
    NativeKernel,
    Network,
    Operation,
    Port,
    Value,
)
from dero_tvm.schedule.to_problem import Sharing, to_problem
from relax_passes.operators import TensorSpec, implementation

from .trial import Trial

_NAME = "tuning"
_ALIGNMENT = 16  # of an operand, in bytes


def trial_archive(trials: Sequence[Trial], board: Board) -> ModelArchive:
    """A program whose steps are the kernels of all trials, one after the other.

    Raises ``DoesNotFit`` if the largest operation does not fit the board's memory.
    """
    network = trial_network(trials)
    regions = board_regions(board, STACK_RESERVE)
    scheduled = to_problem(network, sharing=Sharing.NONE, regions=regions)
    plan = plan_memory(scheduled.problem, Options(keep_inputs=True, reorder=False))
    return emit(build_program(scheduled, plan), target=board.name, report={}, source_ir="")


def trial_network(trials: Sequence[Trial]) -> Network:
    """The network of that program."""
    builder = _Builder()
    for trial in trials:
        builder.add(trial)
    return builder.network()


class _Builder:
    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.sizes: dict[tuple[str, str], int] = {}  # (input or output, type) -> elements
        self.cascades: list[Cascade] = []
        self.trials = 0

    def add(self, trial: Trial) -> None:
        """Steps for the kernels of a trial."""
        request, prefix = trial.request, f"t{self.trials}"
        self.trials += 1
        signature = request.signature
        operator = implementation(signature)
        row_wise = operator.row_arguments(signature)
        operands = []
        taken: dict[str, int] = {}
        for index, name in enumerate(operator.argument_names(signature)):
            operand = f"{prefix}_{name}"
            spec = signature.inputs[index]
            if index in row_wise:
                offset = taken.get(spec.dtype, 0)
                taken[spec.dtype] = self._view(operand, "input", spec, offset)
            else:
                self.constants[operand] = request.constants[name]
            operands.append(operand)
        for number, kernel in enumerate(trial.kernels):
            result = f"{prefix}_k{number}"
            self._view(result, "output", signature.output, 0)
            operation = Operation(
                result,
                signature,
                tuple(operands),
                result,
                row_wise,
                operator.scratch_bytes(signature),
                state=request.state,
                native=self._native(f"{result}_", kernel) if kernel else None,
            )
            self.cascades.append(Cascade(result, CascadeKind.SINGLE, (operation,)))

    def network(self) -> Network:
        """Of all trials so far."""
        ports: dict[str, list[Port]] = {"input": [], "output": []}
        for (kind, dtype), elements in self.sizes.items():
            name = _buffer(kind, dtype)
            self.values[name] = Value(name, TensorSpec((1, elements), dtype), name)
            ports[kind].append(Port(name, name))
        return Network(
            _NAME,
            tuple(ports["input"]),
            tuple(ports["output"]),
            self.values,
            self.constants,
            tuple(self.cascades),
        )

    def _view(self, name: str, kind: str, spec: TensorSpec, offset: int) -> int:
        """Place a tensor into the buffer of its type; returns where the next one may begin."""
        self.values[name] = Value(name, spec, _buffer(kind, spec.dtype), offset)
        end = offset + spec.rows * spec.row_bytes
        elements = -(-end // spec.itemsize)
        self.sizes[kind, spec.dtype] = max(elements, self.sizes.get((kind, spec.dtype), 1))
        return -(-end // _ALIGNMENT) * _ALIGNMENT

    def _native(self, prefix: str, kernel: CKernel) -> NativeKernel:
        names = []
        for name, array in kernel.constants.items():
            self.constants[f"{prefix}{name}"] = np.ascontiguousarray(array)
            names.append((name, f"{prefix}{name}"))
        return NativeKernel(
            kernel.name,
            kernel.body,
            tuple(names),
            kernel.scratch,
            kernel.support,
            kernel.qualifiers,
        )


def _buffer(kind: str, dtype: str) -> str:
    return f"{kind}_{dtype}"
