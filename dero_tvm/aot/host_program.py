"""The program as a TIR module that TVM's LLVM JIT runs on this machine.

It makes the same kernel calls at the same arena offsets as the C source.  Its entry takes one
tensor a memory region, then one with all constants, then the inputs and outputs that lie outside
the arena; all are int8, seen as bytes.  Rows of inputs and outputs that an application on the
device would hand over or take are copied from and to such tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from .files import Piece
from .header import Interface
from .host_parts import parts
from .kernels import RowCallback
from .llvm import PART
from .program import Program
from .row_places import Address
from .stages import (
    Argument,
    CallList,
    Column,
    RowsNeeded,
    Stage,
    StepProgram,
    StripMove,
    WindowLoop,
)

ENTRY = "run"
GUARD_BYTES = 64
"""Bytes before and after each arena that the program must leave alone."""

_CONSTANT_ALIGNMENT = 16
_COPY = "copy_row"


def host_module(program: Program, interface: Interface) -> tvm.IRModule:
    """Kernels, shared stages and parts as private functions; the entry that runs one inference."""
    globals_ = {k.name: tvm.ir.GlobalVar(k.name) for k in program.kernels}
    for number, step in enumerate(program.steps):
        for index, stage in enumerate(step.stages):
            if stage.shared:
                name = _stage_name(number, index)
                globals_[name] = tvm.ir.GlobalVar(name)
    functions = {globals_[k.name]: k.function for k in program.kernels}
    split = parts([len(step.stages) for step in program.steps])
    if split:
        globals_[_COPY] = tvm.ir.GlobalVar(_COPY)
        functions[globals_[_COPY]] = _copy()
    builder = _Builder(program, interface, globals_)
    for number, step in enumerate(program.steps):
        for index, stage in enumerate(step.stages):
            if stage.shared:
                functions[globals_[_stage_name(number, index)]] = builder.stage(number, index)
    for number, steps in enumerate(split):
        name = f"{ENTRY}_part_{number}"
        globals_[name] = tvm.ir.GlobalVar(name)
        functions[globals_[name]] = builder.part(name, steps)
    module = tvm.IRModule(functions)
    module[ENTRY] = builder.entry([globals_[f"{ENTRY}_part_{n}"] for n in range(len(split))])
    return module


def _copy() -> tirx.PrimFunc:
    """What copies a row where there are parts: code of kernels claims nothing about aliases."""
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            T.func_name(_COPY)
            T.func_attr({"tirx.noalias": False})
            handles = [T.arg(name, T.handle("int8")) for name in ("target", "source")]
            count = T.arg("count", tirx.Var("count", "int32"))
            target, source = (T.decl_buffer((count,), "int8", data=handle) for handle in handles)
            with T.serial(0, count) as byte:
                T.buffer_store(target, source[byte], [byte])
    return builder.get()


def _stage_name(step: int, stage: int) -> str:
    return f"step_{step}_stage_{stage}"


def constant_pieces(program: Program) -> Iterator[Piece]:
    """The bytes of all constants, one after the other, as the entry function expects them."""
    offsets, total = _constant_offsets(program)
    written = 0
    for name, offset in offsets.items():
        yield bytes(offset - written)
        data = np.ascontiguousarray(program.network.constants[name])
        yield data.reshape(-1).view(np.uint8).data
        written = offset + data.nbytes
    yield bytes(max(total, 1) - written)


def constant_bytes(program: Program) -> int:
    """How many bytes `constant_pieces` has."""
    return max(_constant_offsets(program)[1], 1)


def _used_constants(program: Program) -> list[str]:
    """Names of the constants that portable kernels and steps read, in order of first use."""
    stages = [stage for step in program.steps for stage in step.inner_stages]
    arguments = (a for stage in stages for a in stage.arguments if isinstance(a, Argument))
    bases = dict.fromkeys(
        base for a in arguments for base in (a.address.base, f"constant:{a.table}")
    )
    bases.update({f"constant:{step.calls.constant}": None for step in program.steps if step.calls})
    loops = [stage for step in program.steps for stage in step.stages]
    bases.update({f"constant:{name}": None for stage in loops for name in stage.window_tables})
    bases.pop("constant:", None)
    return [b.removeprefix("constant:") for b in bases if b.startswith("constant:")]


def _constant_offsets(program: Program) -> tuple[dict[str, int], int]:
    offsets, total = {}, 0
    for name in _used_constants(program):
        offsets[name] = total
        size = program.network.constants[name].nbytes
        total += -(-size // _CONSTANT_ALIGNMENT) * _CONSTANT_ALIGNMENT
    return offsets, total


class _Builder:
    def __init__(
        self, program: Program, interface: Interface, functions: dict[str, tvm.ir.GlobalVar]
    ) -> None:
        self.program = program
        self.functions = functions
        self.offsets, _ = _constant_offsets(program)
        self.sizes = {f"arena:{r}": size + 2 * GUARD_BYTES for r, _, size in interface.arenas}
        self.sizes["constants"] = constant_bytes(program)
        for kind, ports in (("input", interface.inputs), ("output", interface.outputs)):
            for index, port in enumerate(ports):
                if program.plan.options.external_io or port.row_streamed:
                    self.sizes[f"{kind}:{index}"] = max(port.bytes, 1)
        self.columns: tuple[str, tirx.Expr] = ("", tirx.const(0, "int32"))  # table, entry
        self.memories: dict[str, tirx.Buffer] = {}  # of the function that is being built

    def entry(self, split: Sequence[tvm.ir.GlobalVar]) -> tirx.PrimFunc:
        """The function that runs all steps, or calls those into which it is `split`."""
        with IRBuilder() as builder:
            with T.prim_func(s_tir=True):
                T.func_name(ENTRY)
                T.func_attr({"global_symbol": ENTRY, "tirx.noalias": False})
                for index, (name, size) in enumerate(self.sizes.items()):
                    self.memories[name] = T.arg(f"memory{index}", T.buffer((size,), "int8"))
                if not split:
                    self._steps(range(len(self.program.steps)))
                for function in split:
                    memories = [memory.data for memory in self.memories.values()]
                    T.evaluate(tvm.ir.Call(function, memories))
        return builder.get()

    def part(self, name: str, steps: range) -> tirx.PrimFunc:
        """A function that runs some of the steps."""
        with IRBuilder() as builder:
            with T.prim_func(is_private=True, s_tir=True):
                T.func_name(name)
                T.func_attr({"tirx.noalias": False, PART: True})
                self._declare_memories()
                self._steps(steps)
        return tvm.s_tir.renew_defs(builder.get())

    def stage(self, number: int, index: int) -> tirx.PrimFunc:
        """A function that makes rows of a shared stage until there are as many as asked for."""
        step = self.program.steps[number]
        with IRBuilder() as builder:
            with T.prim_func(is_private=True, s_tir=True):
                T.func_name(_stage_name(number, index))
                T.func_attr({"tirx.noalias": False})
                counts = T.arg("counts", T.handle("int32"))
                until = T.arg("until", tirx.Var("until", "int32"))
                self._declare_memories()
                made = T.decl_buffer((len(step.stages),), "int32", data=counts)
                self._make_until(number, step, index, until, made)
        return tvm.s_tir.renew_defs(builder.get())

    def _declare_memories(self) -> None:
        """Parameters for all memories, and buffers over them."""
        handles = [T.arg(f"memory{i}", T.handle("int8")) for i in range(len(self.sizes))]
        for handle, (name, size) in zip(handles, self.sizes.items()):
            self.memories[name] = T.decl_buffer((size,), "int8", data=handle)

    def _steps(self, numbers: range) -> None:
        for number in numbers:
            self._step(number, self.program.steps[number])

    def _step(self, number: int, step: StepProgram) -> None:
        if step.calls is not None:
            self._listed(number, step, step.calls)
            return
        final = len(step.stages) - 1
        last = step.stages[final]
        if not last.kernel.by_row:
            self._call(number, last, None)
            return
        made = T.alloc_buffer((final + 1,), "int32")
        for index in range(final):
            T.buffer_store(made, tirx.const(0, "int32"), [index])
        with T.serial(0, last.rows) as row:
            self._make(number, step, final, row, made)
        for index, stage in enumerate(step.stages):
            if stage.complete:
                rows = tirx.const(stage.rows, "int32")
                self._have_made(number, step, index, rows, made)

    def _listed(self, number: int, step: StepProgram, calls: CallList) -> None:
        """The loop over a list of calls."""
        rows = T.alloc_buffer((len(step.stages),), "int32")
        for index, first in enumerate(calls.first_rows):
            T.buffer_store(rows, tirx.const(first, "int32"), [index])
        listed = self.program.network.constants[calls.constant]
        with T.serial(0, len(listed)) as call:
            entry = self._unsigned(self.offsets[calls.constant], call, listed.itemsize)
            for index, stage in enumerate(step.stages):
                with T.If(entry == index):
                    with T.Then():
                        row = rows[index] if stage.kernel.by_row else None
                        self._call(number, stage, row)
                        T.buffer_store(rows, rows[index] + calls.directions[index], [index])

    def _have_made(
        self, number: int, step: StepProgram, index: int, until: tirx.Expr, made: tirx.Buffer
    ) -> None:
        """Statements after which a stage has made at least `until` rows."""
        if step.stages[index].shared and step is self.program.steps[number]:
            function = self.functions[_stage_name(number, index)]
            memories = [memory.data for memory in self.memories.values()]
            T.evaluate(tvm.ir.Call(function, [made.data, until, *memories]))
        else:
            self._make_until(number, step, index, until, made)

    def _make_until(
        self, number: int, step: StepProgram, index: int, until: tirx.Expr, made: tirx.Buffer
    ) -> None:
        with T.While(made[index] < until):
            self._make(number, step, index, made[index], made)
            T.buffer_store(made, made[index] + 1, [index])

    def _make(
        self, number: int, step: StepProgram, index: int, row: tirx.Expr, made: tirx.Buffer
    ) -> None:
        """Statements that make one row of a stage, and first the rows it needs."""
        stage = step.stages[index]
        for producer, needed in stage.asks:
            self._have_made(number, step, producer, self._needed(row, needed), made)
        self._call(number, stage, stage.rows - 1 - row if step.descending else row)

    def _windows(self, number: int, loop: WindowLoop, turn: tirx.Expr) -> None:
        """Pass number `turn` of a group in windows of columns."""
        final = len(loop.stages) - 1
        inside = StepProgram("", loop.stages)
        first = T.alloc_buffer((1,), "int32")
        T.buffer_store(first, turn * loop.rows, [0])
        made = T.alloc_buffer((final + 1,), "int32")
        with T.serial(0, loop.windows) as window:
            self.columns = loop.columns, window * loop.entries
            for move in loop.moves:
                self._move(move)
            for stage in range(final):
                start = self._entry_of(loop.first_rows, turn * final + stage)
                T.buffer_store(made, start, [stage])
            T.buffer_store(made, first[0], [final])
            end = T.min(first[0] + loop.rows, loop.height)
            self._make_until(number, inside, final, end, made)

    def _move(self, move: StripMove) -> None:
        """Statements that bring columns to the beginning of the rows of a strip."""
        behind = self._column(move.behind) * move.pixel_bytes
        memory, start = self._bytes_at(move.address)
        with T.serial(0, move.rows) as row:
            with T.serial(0, self._column(move.count) * move.pixel_bytes) as byte:
                place = start + row * move.row_bytes + byte
                T.buffer_store(memory, memory[place + behind], [place])

    def _entry_of(self, table: str, index: tirx.Expr) -> tirx.Expr:
        itemsize = self.program.network.constants[table].itemsize
        return self._unsigned(self.offsets[table], index, itemsize)

    def _column(self, column: Column) -> tirx.Expr:
        table, entry = self.columns
        return self._entry_of(table, entry + column.entry)

    def _needed(self, row: tirx.Expr, needed: RowsNeeded) -> tirx.Expr:
        if not needed.table:
            line = row * needed.stride + needed.offset
            return line if needed.limit is None else T.min(line, needed.limit)
        value = tirx.const(needed.table[-1], "int32")
        for index in reversed(range(len(needed.table) - 1)):
            number = tirx.const(needed.table[index], "int32")
            if needed.table[index] != needed.table[index + 1]:
                value = T.Select(row <= index, number, value)
        return value

    def _call(self, number: int, stage: Stage, row: tirx.Expr | None) -> None:
        if isinstance(stage.kernel, RowCallback):
            self._trade(stage, stage.kernel, row)
            return
        if isinstance(stage.kernel, WindowLoop):
            assert row is not None
            self._windows(number, stage.kernel, row)
            return
        arguments = [] if row is None else [row]
        for argument in stage.arguments:
            if isinstance(argument, int):
                arguments.append(tirx.const(argument, "int32"))
            elif isinstance(argument, Column):
                arguments.append(self._column(argument))
            else:
                arguments.append(self._pointer(argument, row))
        T.evaluate(tvm.ir.Call(self.functions[stage.kernel.name], arguments))

    def _trade(self, stage: Stage, callback: RowCallback, row: tirx.Expr | None) -> None:
        """What the application's callback would do, for inputs and outputs that are arrays here."""
        (argument,) = stage.arguments
        assert isinstance(argument, Argument) and row is not None
        ring, at = self._place(argument, row)
        array, start = self.memories[callback.port], row * callback.row_bytes
        if _COPY in self.functions:
            places = [T.address_of(ring[at]), T.address_of(array[start])]
            if not callback.port.startswith("input"):
                places.reverse()
            count = tirx.const(callback.row_bytes, "int32")
            T.evaluate(tvm.ir.Call(self.functions[_COPY], [*places, count]))
            return
        with T.serial(0, callback.row_bytes) as byte:
            if callback.port.startswith("input"):
                T.buffer_store(ring, array[start + byte], [at + byte])
            else:
                T.buffer_store(array, ring[at + byte], [start + byte])

    def _pointer(self, argument: Argument, row: tirx.Expr | None) -> tirx.Expr:
        memory, index = self._place(argument, row)
        address = T.address_of(memory[index])
        if argument.dtype == "int8":
            return address
        return T.reinterpret(T.handle(argument.dtype).ty, address)

    def _place(self, argument: Argument, row: tirx.Expr | None) -> tuple[tirx.Buffer, tirx.Expr]:
        """The memory that an argument points into, and the byte."""
        memory, index = self._bytes_at(argument.address)
        if argument.table:
            assert row is not None, "only row kernels take row addresses"
            index = index + self._entry(argument, row) * argument.unit
        elif argument.row_bytes:
            assert row is not None, "only row kernels take row addresses"
            at = T.truncmod(row, argument.ring) if argument.ring else row
            index = index + at * argument.row_bytes
        if argument.column is not None:
            index = index + self._column(argument.column) * argument.pixel_bytes
        return memory, index

    def _bytes_at(self, address: Address) -> tuple[tirx.Buffer, tirx.Expr]:
        """The memory that an address is in, and the byte."""
        base, offset = address.base, address.offset
        if base.startswith("constant:"):
            name = base.removeprefix("constant:")
            base, offset = "constants", self.offsets[name] + offset
        elif base.startswith("arena:"):
            offset += GUARD_BYTES
        return self.memories[base], tirx.const(offset, "int32")

    def _entry(self, argument: Argument, row: tirx.Expr) -> tirx.Expr:
        """The place of a row, in units, from its table among the constants."""
        period = int(self.program.network.constants[argument.table][0])
        return self._unsigned(self.offsets[argument.table], 1 + T.truncmod(row, period), 2)

    def _unsigned(self, start: int, index: tirx.Expr, size: int) -> tirx.Expr:
        """Entry `index` of an array of numbers of `size` bytes, the lowest one first."""
        constants, at = self.memories["constants"], start + index * size
        return sum(
            ((T.cast(constants[at + i], "int32") & 255) << (8 * i) for i in range(size)),
            tirx.const(0, "int32"),
        )
