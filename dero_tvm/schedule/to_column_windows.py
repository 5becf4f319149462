"""A network as planning with column windows sees it: what it may be grouped into is asked there."""

from __future__ import annotations

from dero_tvm.planning.column_windows.network import Operand, Operation, Tensor, WindowNetwork
from dero_tvm.planning.column_windows.reach import Reach
from dero_tvm.planning.problem import BufferKind
from relax_passes.operators import Signature, implementation, operator_of
from relax_passes.operators.row_ports import SINK, SOURCE

from . import network as extracted
from .buffers import TakesTable, kinds_of_ports, read_whole, views_of_buffers
from .column_groups import MakesWindows
from .network import Network


class NoWindows(Exception):
    """Why a network is not planned with column windows."""


def to_column_windows(
    network: Network,
    *,
    takes_table: TakesTable,
    makes_windows: MakesWindows,
    keep_inputs: bool = False,
    external_io: bool = False,
) -> WindowNetwork:
    """The operations of all cascades in their order, and the tensors that they use.

    With `external_io` the arrays of the interface take no memory.  What `makes_windows` does not
    know a kernel for is in no group.

    Raises NoWindows for a network whose tensors are parts of others, or lie elsewhere, or that
    makes what nothing reads.
    """
    if network.states:
        raise NoWindows("it keeps states from one inference to the next")
    return _Builder(network, takes_table, makes_windows, keep_inputs, external_io).run()


class _Builder:
    def __init__(
        self,
        network: Network,
        takes_table: TakesTable,
        makes_windows: MakesWindows,
        keep_inputs: bool,
        external_io: bool,
    ) -> None:
        self.network = network
        self.takes_table = takes_table
        self.makes_windows = makes_windows
        self.keep_inputs = keep_inputs
        self.operations = network.operations
        self.made = {network.values[op.result].buffer: op.result for op in self.operations}
        self.numbers: dict[str, int] = {}  # of tensors, by buffer
        self.tensors: list[Tensor] = []
        self._tensors(external_io)

    def run(self) -> WindowNetwork:
        if any(op.signature.operator == SINK for op in self.operations[:-1]):
            # In other cascades than those it was given, nothing would ask for its rows.
            raise NoWindows("it hands over rows before its last operation")
        operations = tuple(self._operation(op) for op in self.operations)
        network = WindowNetwork(tuple(self.tensors), operations, self.keep_inputs)
        for op in operations:
            if not (network.readers[op.result] or network.lasts(op.result) or op.by_row):
                # Nothing asks for its rows where it is in a cascade with others.
                raise NoWindows(f"nothing reads what {op.name} makes")
        return network

    # --- tensors -----------------------------------------------------------------------------

    def _tensors(self, external_io: bool) -> None:
        network = self.network
        ports = kinds_of_ports(network)
        whole = read_whole(network, self.takes_table)
        for buffer, values in views_of_buffers(network).items():
            if any(value.offset or not value.spec.dense for value in values):
                raise NoWindows(f"{values[0].name} is a part of another tensor")
            kind = ports.get(buffer, BufferKind.INTERMEDIATE)
            spec = (network.values.get(buffer) or values[0]).spec
            alike = all(
                (v.spec.rows, v.spec.row_bytes) == (spec.rows, spec.row_bytes) for v in values
            )
            rows, columns = (spec.rows, spec.pixels) if alike else (1, 1)
            size = max(value.spec.bytes for value in values)
            if external_io and kind is not BufferKind.INTERMEDIATE:
                size = 0
            self.numbers[buffer] = len(self.tensors)
            pixel = size // max(rows * columns, 1)
            self.tensors.append(Tensor(buffer, rows, columns, pixel, kind, buffer in whole))

    # --- operations --------------------------------------------------------------------------

    def _operation(self, op: extracted.Operation) -> Operation:
        operator = operator_of(op.signature.operator)
        by_row = op.signature.operator in (SOURCE, SINK)
        state = None
        if operator is not None and op.row_operands == (0,):
            state = operator.running_state(op.signature)
        places = operator.in_place_arguments(op.signature) if operator is not None else ()
        operands = tuple(
            self._operand(op, index, state is not None, index in places)
            for index, name in enumerate(op.operands)
            if name in self.network.values
        )
        read = {i: name for i, name in enumerate(op.operands) if name in self.network.values}
        whole = op.function is not None or any(
            index not in op.row_operands or self._is_view(name) for index, name in read.items()
        )
        # Rows of a tensor that is seen in several shapes are not followed.
        whole = whole or (op.signature.output.rows, op.signature.output.pixels) != (
            self._result(op).rows,
            self._result(op).columns,
        )
        return Operation(
            op.result,
            operands,
            self.numbers[self.network.values[op.result].buffer],
            op.macs,
            op.scratch_bytes,
            state.bytes if state is not None and not whole else 0,
            alone=whole,
            by_row=by_row,
        )

    def _is_view(self, name: str) -> bool:
        """Whether a value is a tensor by another name, which no cascade follows inside."""
        buffer = self.network.values[name].buffer
        return name != self.made.get(buffer, name)

    def _operand(
        self, op: extracted.Operation, index: int, running: bool, may_replace: bool
    ) -> Operand:
        number = self.numbers[self.network.values[op.operands[index]].buffer]
        tensor, result = self.tensors[number], self._result(op)
        spec, made = op.signature.inputs[index], op.signature.output
        by_rows = index in op.row_operands and op.function is None
        if not by_rows or (spec.rows, spec.pixels) != (tensor.rows, tensor.columns):
            return Operand(number, Reach.whole(tensor.rows, result.rows), None)
        if running or (made.rows, made.pixels) != (result.rows, result.columns):
            return Operand(number, Reach.whole(tensor.rows, result.rows), None)
        operator = implementation(op.signature)
        needed = (operator.needed_rows(op.signature, index, row) for row in range(made.rows))
        columns = self._columns(op, index)
        same = tensor.row_bytes == result.row_bytes and tensor.rows == result.rows
        return Operand(
            number,
            Reach.of(tensor.rows, needed),
            None if columns is None else Reach.of(tensor.columns, columns),
            in_place=may_replace and same,
        )

    def _columns(self, op: extracted.Operation, index: int) -> list[tuple[int, int]] | None:
        """For each column of a result the columns of an operand; None if it needs whole rows."""
        columns = needed_columns(op.signature, index)
        return columns if columns is not None and self._in_windows(op) else None

    def _in_windows(self, op: extracted.Operation) -> bool:
        """Whether its kernel makes ranges of columns, whichever operands come in strips."""
        images = [index for index in op.row_operands if op.operands[index] in self.network.values]
        return all(
            self.makes_windows(op, strips) for strips in ([], *([i] for i in images), images)
        )

    def _result(self, op: extracted.Operation) -> Tensor:
        return self.tensors[self.numbers[self.network.values[op.result].buffer]]


def needed_columns(signature: Signature, operand: int) -> list[tuple[int, int]] | None:
    """For each column of a result NHWC the half-open range of the operand's columns.

    None if it is not known of the operator, or the operand is no image.
    """
    operator = operator_of(signature.operator)
    image, output = signature.inputs[operand], signature.output
    if operator is None or len(output.shape) != 4 or len(image.shape) != 4:
        return None
    needed = [operator.needed_columns(signature, operand, x) for x in range(output.shape[2])]
    found = [columns for columns in needed if columns is not None]
    return found if len(found) == len(needed) else None
