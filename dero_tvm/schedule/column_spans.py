"""Which columns each operation of a group makes, and which its strip then holds, by window.

From the last operation backwards, each makes what the operations behind it need.  Where columns are
kept, it makes of that what its strip does not hold from the window before:

    windows of 4 columns behind a 3x3 convolution      [0..3]  [4..7]  [8..11]
    what it needs, made again in each window           [0..4]  [3..8]  [7..11]
    what is made if columns are kept                   [0..4]  [5..8]  [9..11]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relax_passes.operators import Signature, implementation

from .operation import ColumnSpans, Operation, Span


def column_spans(operations: Sequence[Operation], width: int, *, keep: bool) -> ColumnSpans:
    """The columns of a group whose last operation makes `width` of them in a window."""
    whole, last = operations[-1].signature.output.pixels, len(operations) - 1
    producers = {op.result: index for index, op in enumerate(operations)}
    windows = range(0, whole, width)
    needed: list[list[Span | None]] = [[None] * len(windows) for _ in operations]
    needed[last] = [(first, min(first + width, whole)) for first in windows]
    held: list[list[Span]] = [[] for _ in operations]
    made: list[list[Span]] = [[] for _ in operations]
    for index in range(last, -1, -1):
        stays = keep and index < last
        held[index] = _held(needed[index]) if stays else [span or (0, 0) for span in needed[index]]
        made[index] = _made(held[index]) if stays else held[index]
        for window, span in enumerate(made[index]):
            for producer, found in _needs(operations[index], span, producers).items():
                needed[producer][window] = _union(needed[producer][window], found)
    return ColumnSpans(tuple(zip(*made)), tuple(zip(*held)))


def _held(needed: Sequence[Span | None]) -> list[Span]:
    """From the first column that a window or a later one needs to the last one of all so far."""
    ends = []
    end = 0
    for span in needed:
        end = max(end, span[1]) if span else end
        ends.append(end)
    begins = []
    begin = end
    for span, end in zip(reversed(needed), reversed(ends)):
        begin = min(begin, span[0]) if span else begin
        begins.append(min(begin, end))
    return list(zip(reversed(begins), ends))


def _made(held: Sequence[Span]) -> list[Span]:
    """What is not there yet."""
    before = [0, *(end for _, end in held[:-1])]
    return [(max(begin, there), end) for there, (begin, end) in zip(before, held, strict=True)]


def _needs(operation: Operation, span: Span, producers: Mapping[str, int]) -> dict[int, Span]:
    """The columns that some columns of an operation's result need, by who makes them."""
    found: dict[int, Span] = {}
    for operand, name in enumerate(operation.operands):
        if name in producers:
            needed = _columns_needed(operation.signature, operand, span)
            joined = _union(found.get(producers[name]), needed)
            if joined is not None:
                found[producers[name]] = joined
    return found


def _columns_needed(signature: Signature, operand: int, span: Span) -> Span | None:
    """Columns of an operand that a range of the result's columns needs; None for none."""
    operator = implementation(signature)
    found = None
    for column in range(*span):
        needed = operator.needed_columns(signature, operand, column)
        assert needed is not None
        if needed[0] < needed[1]:
            found = _union(found, needed)
    return found


def _union(a: Span | None, b: Span | None) -> Span | None:
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), max(a[1], b[1])
