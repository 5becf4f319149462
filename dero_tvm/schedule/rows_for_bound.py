"""A network as calls of row kernels, as the bound over all orders of rows needs it.

Planning by rows may leave chances out: it then merely needs more.  A bound must leave none out.
Four are not in a `RowProblem` as `to_rows` makes it, and plans of whole tensors and rings take
them:

- Rows of an input that nobody reads may be written over by the first call.  They are left out; that
  all inputs have room together before it is for the caller to add.
- Rows that lie in sequence on both sides may be written over as others are: one whole tensor then
  lies over the other.
- A kernel whose result is narrower than its operand, as that of a quantization is, may write a row
  over the beginning of the operand's.  Rows of an input are split in two for it.
- Where that does not do, because the operand is made by a kernel or the tensors are seen in several
  shapes, the operand counts for what the result leaves of it.  The bound is then lower than it
  could be, but one.

Rows of views that have no common measure may come and go in a way of which a `RowProblem` knows
nothing: such a network has no bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows.problem import RowProblem, RowRange, RowTensor
from relax_passes.operators import operator_of

from .network import Network, Operation, Value


class NoBound(Exception):
    """Why what `to_rows` made of a network gives no bound."""


@dataclass(frozen=True)
class _Over:
    """A result, of tensor number `result`, that may be written over rows of an operand."""

    operand: int
    result: int
    row_bytes: int  # of the operand, as the kernel sees it
    result_bytes: int


def rows_for_bound(network: Network, order: Sequence[int], problem: RowProblem) -> RowProblem:
    """`problem`, made of `network` with its cascades in `order`, for a bound.

    Raises NoBound where there can be none.
    """
    numbers = {tensor.name: number for number, tensor in enumerate(problem.tensors)}
    operations = [network.cascades[index].operations for index in order]
    over: dict[int, list[_Over]] = defaultdict(list)
    made: list[int] = []
    for operation in (op for step in operations for op in step if op.function is None):
        for value in _in_arena(network, (*operation.operands, operation.result), numbers):
            tensor = problem.tensors[numbers[value.buffer]]
            if tensor.rows == 1 < value.spec.rows:
                raise NoBound(f"the rows of {tensor.name} are seen in shapes without a common one")
            made.append(numbers[value.buffer])
        for pair in _results_over(network, operation, numbers):
            over[pair.operand].append(pair)
    tensors = [replace(tensor, in_sequence=False) for tensor in problem.tensors]
    split: dict[int, int] = {}
    # A result has its bytes before the operands that it may lie over get theirs.
    for number in reversed(dict.fromkeys(made)):
        tensor = problem.tensors[number]
        widths = {pair.result_bytes for pair in over[number]}
        alike = all(
            tensor.row_bytes == pair.row_bytes
            and tensors[pair.result].row_bytes == pair.result_bytes
            for pair in over[number]
        )
        if alike and widths <= {tensor.row_bytes}:
            continue
        if alike and len(widths) == 1 and tensor.kind is BufferKind.INPUT:
            split[number] = len(tensors)
            (width,) = widths
            tensors[number] = replace(tensors[number], row_bytes=width)
            tensors.append(replace(tensors[number], row_bytes=tensor.row_bytes - width))
            continue
        left = min(
            tensor.row_bytes * (pair.row_bytes - pair.result_bytes) // pair.row_bytes
            for pair in over[number]
        )
        tensors[number] = replace(tensors[number], row_bytes=left)
    return _with_parts(network, problem, tensors, split, operations, numbers)


def _in_arena(network: Network, names: Iterable[str], numbers: dict[str, int]) -> Iterator[Value]:
    values = (network.values[name] for name in names if name in network.values)
    return (value for value in values if value.buffer in numbers)


def _results_over(
    network: Network, operation: Operation, numbers: dict[str, int]
) -> Iterator[_Over]:
    """What of an operation's operands its kernel may write its rows over."""
    operator = operator_of(operation.signature.operator)
    result = network.values[operation.result]
    if operator is None or operation.state is not None or result.buffer not in numbers:
        return
    places = operator.in_place_arguments(operation.signature)
    for value in _in_arena(network, (operation.operands[index] for index in places), numbers):
        whole = all(v.offset == 0 and v.spec.dense for v in (value, result))
        if whole and value.buffer != result.buffer:
            pair = (numbers[value.buffer], numbers[result.buffer])
            yield _Over(*pair, value.spec.row_bytes, result.spec.row_bytes)


def _with_parts(
    network: Network,
    problem: RowProblem,
    tensors: Sequence[RowTensor],
    split: dict[int, int],
    operations: Sequence[Sequence[Operation]],
    numbers: dict[str, int],
) -> RowProblem:
    """`problem` with other `tensors`; `split` maps those in two to the number of the rest."""

    def both(ranges: Iterable[RowRange]) -> Iterator[RowRange]:
        for rows in ranges:
            yield rows
            if rows.tensor in split:
                yield replace(rows, tensor=split[rows.tensor])

    calls = []
    for call in problem.calls:
        operation = operations[call.step][call.operation]
        found = _results_over(network, operation, numbers) if operation.function is None else ()
        over = tuple(
            RowRange(pair.operand, row, row + 1)
            for pair in found
            for row in [call.row if tensors[pair.operand].rows > 1 else 0]
            if pair.operand in split
        )
        in_place = (*call.in_place, *over)
        calls.append(replace(call, reads=tuple(both(call.reads)), in_place=in_place))
    return _without_unread(RowProblem(tuple(tensors), tuple(calls), problem.keep_inputs))


def _without_unread(problem: RowProblem) -> RowProblem:
    """`problem` without rows of inputs that no call reads."""
    if problem.keep_inputs:
        return problem
    numbers: dict[int, dict[int, int]] = {}
    for number, tensor in enumerate(problem.tensors):
        if tensor.kind is BufferKind.INPUT:
            ranges = [r for call in problem.calls for r in call.reads if r.tensor == number]
            read = sorted({row for r in ranges for row in range(r.first, r.end)})
            numbers[number] = {row: index for index, row in enumerate(read)}

    def renumbered(ranges: Iterable[RowRange]) -> tuple[RowRange, ...]:
        return tuple(
            RowRange(r.tensor, at := numbers[r.tensor][r.first], at + r.end - r.first)
            if r.tensor in numbers
            else r
            for r in ranges
        )

    tensors = [
        replace(tensor, rows=len(numbers[number])) if number in numbers else tensor
        for number, tensor in enumerate(problem.tensors)
    ]
    calls = [
        replace(call, reads=renumbered(call.reads), in_place=renumbered(call.in_place))
        for call in problem.calls
    ]
    return RowProblem(tuple(tensors), tuple(calls))
