"""A network as calls of row kernels, as the bound over all orders of rows needs it.

Planning by rows may leave chances out: it then merely needs more.  A bound must leave none out.
Two are not in a `RowProblem` as `to_rows` makes it, and plans with whole tensors take both:

- A kernel whose result is narrower than its operand, as that of a quantization is, may write a row
  over the beginning of the operand's.  Rows of an input are therefore split in two.
- Rows that lie in sequence on both sides may be written over as others are: one whole tensor then
  lies over the other.

Rows of a tensor with views of several shapes may come and go one by one, of which a `RowProblem`
knows nothing: such a network has no bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange
from relax_passes.operators import operator_of

from .network import Network, Operation


class NoBound(Exception):
    """Why what `to_rows` made of a network gives no bound."""


def rows_for_bound(network: Network, order: Sequence[int], problem: RowProblem) -> RowProblem:
    """`problem`, made of `network` with its cascades in `order`, for a bound; or NoBound."""
    numbers = {tensor.name: number for number, tensor in enumerate(problem.tensors)}
    operations = [network.cascades[index].operations for index in order]
    for operation in (op for step in operations for op in step if op.function is None):
        for name in (*operation.operands, operation.result):
            _check_rows(network, name, numbers, problem)
    widths: dict[int, set[int]] = defaultdict(set)
    for operation in (op for step in operations for op in step):
        for number, _, width in _narrower(network, operation, numbers):
            tensor = problem.tensors[number]
            if tensor.kind is not BufferKind.INPUT or tensor.row_bytes <= width:
                text = f"{operation.name} may lie over parts of the rows of {tensor.name}"
                raise NoBound(text)
            widths[number].add(width)
    for number, found in widths.items():
        if len(found) > 1:
            name = problem.tensors[number].name
            raise NoBound(f"results of several widths may lie over the rows of {name}")
    tensors = tuple(replace(tensor, in_sequence=False) for tensor in problem.tensors)
    problem = RowProblem(tensors, problem.calls, problem.keep_inputs)
    return _split(network, problem, operations, numbers, {n: w for n, (w,) in widths.items()})


def _check_rows(network: Network, name: str, numbers: dict[str, int], problem: RowProblem) -> None:
    value = network.values.get(name)
    if value is not None and value.buffer in numbers:
        tensor = problem.tensors[numbers[value.buffer]]
        if tensor.rows == 1 < value.spec.rows:
            raise NoBound(f"the rows of {tensor.name} are read in several shapes")


def _narrower(
    network: Network, operation: Operation, numbers: dict[str, int]
) -> Iterator[tuple[int, str, int]]:
    """Operands that the result may lie over the beginning of, row by row.

    Each with the number of its tensor and the bytes of a row of the result.
    """
    operator = operator_of(operation.signature.operator)
    if operation.function is not None or operator is None or operation.state is not None:
        return
    result = network.values[operation.result]
    for index in operator.in_place_arguments(operation.signature):
        value = network.values.get(operation.operands[index])
        if value is None or value.buffer not in numbers:
            continue
        alone = all(v.offset == 0 and v.spec.dense for v in (value, result))
        if alone and value.spec.row_bytes > result.spec.row_bytes:
            yield numbers[value.buffer], value.name, result.spec.row_bytes


def _split(
    network: Network,
    problem: RowProblem,
    operations: Sequence[Sequence[Operation]],
    numbers: dict[str, int],
    widths: dict[int, int],
) -> RowProblem:
    """`problem` with the rows of some inputs in two: what may be written over, and the rest."""
    if not widths:
        return problem
    tensors = list(problem.tensors)
    rest: dict[int, int] = {}
    for number, width in widths.items():
        tensor = tensors[number]
        rest[number] = len(tensors)
        tensors.append(replace(tensor, row_bytes=tensor.row_bytes - width))
        tensors[number] = replace(tensor, row_bytes=width)

    def both(ranges: Iterable[RowRange]) -> Iterator[RowRange]:
        for rows in ranges:
            yield rows
            if rows.tensor in rest:
                yield replace(rows, tensor=rest[rows.tensor])

    calls: list[Call] = []
    for call in problem.calls:
        operation = operations[call.step][call.operation]
        over = tuple(
            RowRange(number, row, row + 1)
            for number, _, _ in _narrower(network, operation, numbers)
            for row in [call.row if tensors[number].rows > 1 else 0]
        )
        # A result as wide as its operand would take both parts; it has one.
        kept = tuple(rows for rows in call.in_place if rows.tensor not in rest)
        if len(kept) < len(call.in_place):
            raise NoBound("results of several widths may lie over the rows of an input")
        reads = tuple(both(call.reads))
        calls.append(replace(call, reads=reads, in_place=(*kept, *over)))
    return RowProblem(tuple(tensors), tuple(calls), problem.keep_inputs)
