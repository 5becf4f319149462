"""The kernels a network needs: one function for all operations of equal signature."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from tvm import tirx

from dero_tvm.schedule.network import Cascade, Operation
from dero_tvm.schedule.row_offsets import RowOffsets, StripRows
from relax_passes.operators import Signature, TensorSpec, implementation, operator_of
from relax_passes.operators.row_ports import SINK, SOURCE

from . import row_tables
from .column_ranges import END, FIRST, NoColumns, Strip, column_ranges, first_of


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel function: a pointer if `dtype` is set, else an int32."""

    name: str
    dtype: str | None = None
    read_only: bool = True


@dataclass(frozen=True)
class RowCallback:
    """Stands in place of a kernel where the application hands over or takes a row."""

    port: str  # input:<i> or output:<i>
    row_bytes: int

    by_row = True


@dataclass(frozen=True)
class Kernel:
    """A function of the generated program.

    Row kernels take the row first; an opaque kernel computes its whole output in one call and has
    no row parameter.
    """

    name: str
    function: tirx.PrimFunc
    parameters: tuple[Parameter, ...]
    comment: str

    @property
    def by_row(self) -> bool:
        return bool(self.parameters) and self.parameters[0].name == "row"


@dataclass(frozen=True)
class NativeFunction:
    """A function of the generated C that stands in place of portable kernels."""

    name: str
    body: str  # statements
    parameters: tuple[Parameter, ...]
    comment: str
    support: tuple[Path, ...]
    qualifiers: str = ""

    by_row = True


Tabled = Mapping[int, int]
"""The operands of an operation whose rows a table gives, with the bytes of one unit of it."""

Strips = Mapping[int, int]
"""The operands of an operation that come in strips, with the elements from row to row of each."""


class KernelTable:
    """Kernels by signature, named in the order in which they are asked for.

    `tabled` says which operands of an operation come by tables.
    """

    def __init__(self, cascades: Iterable[Cascade], tabled: Callable[[Operation], Tabled]) -> None:
        self._by_key: dict[object, Kernel] = {}
        self._native: dict[object, NativeFunction] = {}
        self._counts: dict[str, int] = {}
        for cascade in cascades:
            for operation in cascade.operations:
                if operation.signature.operator in (SOURCE, SINK):
                    continue
                for part in operation.parts:
                    self.of(part, tabled(part), operation.strips_of(part))

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return tuple(self._by_key.values())

    def of(self, operation: Operation, tabled: Tabled, strips: Strips | None = None) -> Kernel:
        """The kernel that computes `operation`; with `strips`, which may be none, by columns."""
        in_columns = None if strips is None else tuple(strips.items())
        key: object = (operation.signature, operation.state, tuple(tabled.items()), in_columns)
        if operation.function is not None:
            key = operation.name
        if key not in self._by_key:
            self._by_key[key] = self._make(operation, tabled, strips)
        return self._by_key[key]

    def native(
        self,
        operation: Operation,
        constants: Mapping[str, np.ndarray],
        tabled: Tabled,
        strips: Strips | None = None,
    ) -> NativeFunction:
        """The function of an operation with a native kernel; equal ones are one function.

        Of equal ones each has the support that its own operation needs: constants, too, say which
        parts of shared functions are called.  With `strips`, which may be none, it goes by columns.
        """
        native = operation.native
        operator = operator_of(operation.signature.operator)
        assert native is not None and operator is not None
        names = operator.argument_names(operation.signature)
        units = {names[index]: unit for index, unit in tabled.items()}
        rows = {
            names[i]: StripRows(pitch * spec.itemsize, spec.pixel_stride * spec.itemsize)
            for i, pitch in (strips or {}).items()
            for spec in [operation.signature.inputs[i]]
        }
        body = native.text(RowOffsets(units, strips is not None, rows))
        parameters = native_parameters(
            operation.signature,
            operation.row_operands,
            {name: str(constants[constant].dtype) for name, constant in native.constants},
            state=operation.state,
            scratch=native.scratch > 0,
            tabled=tabled,
        )
        if strips is not None:
            parameters += tuple(map(Parameter, [*map(first_of, rows), FIRST, END]))
        key = (native.name, body, parameters)
        if key not in self._native:
            name, comment = self._numbered(native.name), _comment(operation)
            self._native[key] = NativeFunction(
                name, body, parameters, comment, native.support, native.qualifiers
            )
        return replace(self._native[key], support=native.support)

    def _numbered(self, short: str) -> str:
        number = self._counts[short] = self._counts.get(short, -1) + 1
        return f"{short}_{number}"

    def _make(self, operation: Operation, tabled: Tabled, strips: Strips | None) -> Kernel:
        signature = operation.signature
        name = self._numbered(signature.short_name)
        comment = _comment(operation)
        if operation.function is not None:
            function = operation.function
            specs = (*signature.inputs, signature.output)
            parameters = [
                Parameter(p.name, spec.dtype, read_only=index < len(signature.inputs))
                for index, (p, spec) in enumerate(zip(function.params, specs))
            ]
        else:
            running = operation.state is not None
            function = portable_kernel(signature, running, dict(tabled), strips)
            parameters = [Parameter("row")]
            for index, argument in enumerate(implementation(signature).argument_names(signature)):
                parameters.append(Parameter(argument, signature.inputs[index].dtype))
                if index in operation.row_operands:
                    parameters.append(_rows_parameter(argument, index in tabled))
            parameters.append(Parameter("out", signature.output.dtype, read_only=False))
        if operation.state is not None:
            parameters.append(Parameter("state", operation.state.dtype, read_only=False))
        elif operation.scratch:
            parameters.append(Parameter("scratch", "int8", read_only=False))
        if strips is not None:
            names = implementation(signature).argument_names(signature)
            added = [*(first_of(names[index]) for index in strips), FIRST, END]
            parameters += map(Parameter, added)
        if len(parameters) != len(function.params):
            raise RuntimeError(f"kernel of {operation.name} has unexpected parameters")
        return Kernel(name, function, tuple(parameters), comment)


def native_parameters(
    signature: Signature,
    row_operands: Collection[int],
    constants: Mapping[str, str],
    *,
    state: TensorSpec | None,
    scratch: bool,
    tabled: Collection[int] = (),
) -> tuple[Parameter, ...]:
    """The parameters of a `CKernel`, whose docstring has the order; `constants`: name, dtype."""
    operator = implementation(signature)
    parameters = [Parameter("row")]
    for index, argument in enumerate(operator.argument_names(signature)):
        if index in row_operands:
            parameters.append(Parameter(argument, signature.inputs[index].dtype))
            parameters.append(_rows_parameter(argument, index in tabled))
    parameters += [Parameter(name, dtype) for name, dtype in constants.items()]
    parameters.append(Parameter("out", signature.output.dtype, read_only=False))
    if state is not None:
        parameters.append(Parameter("state", state.dtype, read_only=False))
    if scratch:
        parameters.append(Parameter("scratch", "int8", read_only=False))
    return tuple(parameters)


def _rows_parameter(argument: str, tabled: bool) -> Parameter:
    """The height of an operand's ring, or the table of its rows."""
    return Parameter(f"{argument}_rows", row_tables.ENTRY if tabled else None)


def takes_table(operation: Operation, index: int) -> bool:
    """Whether the kernels of an operation can look the rows of operand `index` up in a table."""
    return _takes_table(operation, index, _read_by_rows)


def alike_takes_table(operation: Operation, index: int) -> bool:
    """`takes_table` of an operation of the same kind that was looked at before, if there is one.

    For estimates: a kernel is parsed for every kind of operation, not for every size of one, which
    over many networks takes longer than their planning.
    """
    return _takes_table(operation, index, _alike_read_by_rows)


def _takes_table(
    operation: Operation, index: int, by_rows: Callable[[Signature, bool], frozenset[int]]
) -> bool:
    if operation.signature.operator in (SOURCE, SINK):
        return True
    if operation.group is not None:
        read = [
            (part, number)
            for part in operation.parts
            for number, name in enumerate(part.operands)
            if name == operation.operands[index]
        ]
        return all(takes_table(part, number) for part, number in read)
    if operation.function is not None or index not in operation.row_operands:
        return False
    if operation.native is not None and not operation.native.takes_tables:
        return False
    return index in by_rows(operation.signature, operation.state is not None)


def _alike_read_by_rows(signature: Signature, absorbing: bool) -> frozenset[int]:
    """Of the first of all signatures whose tensors are of the same kinds."""
    output = signature.output
    specs = tuple(
        (
            spec.dtype,
            spec.dense,
            spec.row_stride == 1,
            tuple((size == 1, size in output.shape) for size in spec.shape),
        )
        for spec in (*signature.inputs, output)
    )
    kind = (signature.operator, absorbing, specs)
    if kind not in _ALIKE:
        _ALIKE[kind] = _read_by_rows(signature, absorbing)
    return _ALIKE[kind]


_ALIKE: dict[tuple, frozenset[int]] = {}


@lru_cache(maxsize=4096)
def _read_by_rows(signature: Signature, absorbing: bool) -> frozenset[int]:
    """The operands of an operator of which its portable kernel finds rows by their heights."""
    function = _portable_kernel(signature, absorbing)
    operator = implementation(signature)
    names = operator.argument_names(signature)
    numbers = {f"{names[index]}_rows": index for index in operator.row_arguments(signature)}
    heights = {n: numbers[p.name] for n, p in enumerate(function.params) if p.name in numbers}
    strides = {n: signature.inputs[index].row_stride for n, index in heights.items()}
    return frozenset(heights[n] for n in row_tables.read_by_rows(function, strides))


def makes_windows(operation: Operation, strips: Collection[int]) -> bool:
    """Whether the portable kernel makes ranges of columns, of operands in such strips."""
    return _makes_windows(operation.signature, tuple(strips))


@lru_cache(maxsize=4096)
def _makes_windows(signature: Signature, strips: tuple[int, ...]) -> bool:
    pitches = {index: signature.inputs[index].row_stride for index in strips}
    try:
        portable_kernel(signature, False, {}, pitches)
    except NoColumns:
        return False
    return True


def portable_kernel(
    signature: Signature,
    running_reduction: bool,
    tabled: Tabled,
    strips: Strips | None = None,
) -> tirx.PrimFunc:
    """The portable kernel, by tables of the given units for some operands.

    With `strips` it makes a range of columns, and reads these operands in strips.

    Raises `row_tables.NoTable` if it does not go by rows there, and `NoColumns` if it does not go
    over its row column by column.
    """
    function = _portable_kernel(signature, running_reduction)
    operator = implementation(signature)
    heights = {p.name: number for number, p in enumerate(function.params)}
    names = operator.argument_names(signature)
    if tabled:
        function = _with_tables(function, signature, names, heights, tabled)
    if strips is None:
        return function
    in_strips = {
        heights[f"{names[index]}_rows"]: Strip(pitch, signature.inputs[index])
        for index, pitch in strips.items()
    }
    return column_ranges(function, signature.output, in_strips)


def _with_tables(
    function: tirx.PrimFunc,
    signature: Signature,
    names: Sequence[str],
    heights: Mapping[str, int],
    tabled: Tabled,
) -> tirx.PrimFunc:
    operands = {}
    for index, unit in tabled.items():
        spec = signature.inputs[index]
        rows = row_tables.TabledRows(unit, spec.row_stride, spec.itemsize)
        operands[heights[f"{names[index]}_rows"]] = rows
    return row_tables.tabled(function, operands)


@lru_cache(maxsize=4096)
def _portable_kernel(signature: Signature, running_reduction: bool) -> tirx.PrimFunc:
    # Parsing TVMScript takes tenths of a second, and a program that compiles several networks,
    # or one network in several ways, meets the same signatures again.
    operator = implementation(signature)
    return (
        operator.running_kernel(signature) if running_reduction else operator.row_kernel(signature)
    )


def _comment(operation: Operation) -> str:
    signature = operation.signature
    operands = ", ".join(_shape(spec) for spec in signature.inputs[:2])
    return f"{signature.short_name}: {operands} -> {_shape(signature.output)}"


def _shape(spec: TensorSpec) -> str:
    stride = "" if spec.dense else f" (pixel stride {spec.pixel_stride})"
    return f"{spec.described}{stride}"
