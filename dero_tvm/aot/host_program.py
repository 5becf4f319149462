"""The program as a TIR module that TVM's LLVM JIT runs on this machine.

It makes the same kernel calls at the same arena offsets as the C source.  Its entry takes one
tensor a memory region, then one with all constants, then inputs and outputs if they lie outside
the arena; all are int8, seen as bytes.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from .c_constants import used_constants
from .header import Interface
from .program import Argument, Program, RowsNeeded, Stage, StepProgram

ENTRY = "run"
GUARD_BYTES = 64
"""Bytes before and after each arena that the program must leave alone."""

_CONSTANT_ALIGNMENT = 16


def host_module(program: Program, interface: Interface) -> tvm.IRModule:
    """Kernels as private functions and the entry function that runs one inference."""
    globals_ = {k.name: tvm.ir.GlobalVar(k.name) for k in program.kernels}
    functions = {globals_[k.name]: k.function for k in program.kernels}
    module = tvm.IRModule(functions)
    builder = _Builder(program, interface, {k: module.get_global_var(k) for k in globals_})
    module[ENTRY] = builder.entry()
    return module


def pack_constants(program: Program) -> np.ndarray:
    """All constants one after the other, as the entry function expects them."""
    offsets, total = _constant_offsets(program)
    packed = np.zeros(max(total, 1), dtype=np.int8)
    for name, offset in offsets.items():
        data = np.frombuffer(program.network.constants[name].tobytes(), dtype=np.int8)
        packed[offset : offset + data.size] = data
    return packed


def _constant_offsets(program: Program) -> tuple[dict[str, int], int]:
    offsets, total = {}, 0
    for name in used_constants(program):
        offsets[name] = total
        size = program.network.constants[name].nbytes
        total += -(-size // _CONSTANT_ALIGNMENT) * _CONSTANT_ALIGNMENT
    return offsets, total


class _Builder:
    def __init__(
        self, program: Program, interface: Interface, kernels: dict[str, tvm.ir.GlobalVar]
    ) -> None:
        self.program = program
        self.kernels = kernels
        self.interface = interface
        self.offsets, self.constant_bytes = _constant_offsets(program)
        self.memories: dict[str, tirx.Buffer] = {}

    def entry(self) -> tirx.PrimFunc:
        with IRBuilder() as builder:
            with T.prim_func(s_tir=True):
                T.func_name(ENTRY)
                T.func_attr({"global_symbol": ENTRY, "tirx.noalias": False})
                self._parameters()
                for step in self.program.steps:
                    self._step(step)
        return builder.get()

    def _parameters(self) -> None:
        for index, (region, _, size) in enumerate(self.interface.arenas):
            shape = (size + 2 * GUARD_BYTES,)
            self.memories[f"arena:{region}"] = T.arg(f"arena{index}", T.buffer(shape, "int8"))
        constants = (max(self.constant_bytes, 1),)
        self.memories["constants"] = T.arg("constants", T.buffer(constants, "int8"))
        if self.program.plan.options.external_io:
            for kind in ("input", "output"):
                for index, port in enumerate(getattr(self.interface, f"{kind}s")):
                    buffer = T.buffer((max(port.bytes, 1),), "int8")
                    self.memories[f"{kind}:{index}"] = T.arg(f"{kind}{index}", buffer)

    def _step(self, step: StepProgram) -> None:
        final = len(step.stages) - 1
        last = step.stages[final]
        if not last.kernel.by_row:
            self._call(last, None)
            return
        made = T.alloc_buffer((max(final, 1),), "int32")
        for index in range(final):
            T.buffer_store(made, tirx.const(0, "int32"), [index])
        with T.serial(0, last.rows) as row:
            self._make(step, final, row, made)
        for index, stage in enumerate(step.stages):
            if stage.complete:
                with T.While(made[index] < stage.rows):
                    self._make(step, index, made[index], made)
                    T.buffer_store(made, made[index] + 1, [index])

    def _make(self, step: StepProgram, index: int, row: tirx.Expr, made: tirx.Buffer) -> None:
        stage = step.stages[index]
        for producer, needed in stage.asks:
            with T.While(made[producer] < self._needed(row, needed)):
                self._make(step, producer, made[producer], made)
                T.buffer_store(made, made[producer] + 1, [producer])
        self._call(stage, stage.rows - 1 - row if step.descending else row)

    def _needed(self, row: tirx.Expr, needed: RowsNeeded) -> tirx.Expr:
        if not needed.table:
            return T.min(row * needed.stride + needed.offset, needed.limit)
        value = tirx.const(needed.table[-1], "int32")
        for index in reversed(range(len(needed.table) - 1)):
            number = tirx.const(needed.table[index], "int32")
            if needed.table[index] != needed.table[index + 1]:
                value = T.Select(row <= index, number, value)
        return value

    def _call(self, stage: Stage, row: tirx.Expr | None) -> None:
        arguments = [] if row is None else [row]
        for argument in stage.arguments:
            if isinstance(argument, int):
                arguments.append(tirx.const(argument, "int32"))
            else:
                arguments.append(self._pointer(argument, row))
        T.evaluate(tvm.ir.Call(self.kernels[stage.kernel.name], arguments))

    def _pointer(self, argument: Argument, row: tirx.Expr | None) -> tirx.Expr:
        base, offset = argument.address.base, argument.address.offset
        if base.startswith("constant:"):
            name = base.removeprefix("constant:")
            base, offset = "constants", self.offsets[name] + offset
        elif base.startswith("arena:"):
            offset += GUARD_BYTES
        index = tirx.const(offset, "int32")
        if argument.row_bytes:
            assert row is not None, "only row kernels take row addresses"
            at = T.truncmod(row, argument.ring) if argument.ring else row
            index = index + at * argument.row_bytes
        address = T.address_of(self.memories[base][index])
        if argument.dtype == "int8":
            return address
        return T.reinterpret(T.handle(argument.dtype).ty, address)
