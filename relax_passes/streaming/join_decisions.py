"""What became of each join, and why, once `segmentation` has cut the network into cascades.

A join in a cascade of several operators is streamed.  One that runs alone has the first of these
reasons that holds:

    neither the operator in front of it nor one behind it can run in one cascade with it
    the network stays within the limit without streaming it
    no segmentation has a smaller peak
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..ir.decisions import LEFT_ALONE
from .segmentation import Item, Segmentation

UNLIMITED = 1 << 62  # bytes; a limit within which nothing has to be streamed
STREAMED = "streamed"


def streamed(cascade: str, members: Sequence[str]) -> tuple[str, str]:
    """Action and reason for an operator that runs row by row in the function `cascade`."""
    if len(members) == 1:
        return STREAMED, f"row by row inside {cascade}, which trades rows with the application"
    return STREAMED, f"row by row inside {cascade}, {len(members)} operators from {members[0]}"


def left_whole(
    items: Sequence[Item], joins: Iterable[str], found: Segmentation, limit: int | None
) -> dict[str, tuple[str, str]]:
    """Action and reason for each of `joins`, which run alone over whole tensors."""
    positions = {item.operator.result: number for number, item in enumerate(items)}
    first_reader = _first_readers(items)
    return {
        join: (LEFT_ALONE, _why(items, positions[join], first_reader, found, limit))
        for join in joins
    }


def _why(
    items: Sequence[Item],
    position: int,
    first_reader: dict[str, int],
    found: Segmentation,
    limit: int | None,
) -> str:
    front = _obstacle_in_front(items, position)
    behind = _obstacle_behind(items, position, first_reader)
    if front and behind:
        return f"{front}, and {behind}"
    if limit == UNLIMITED:
        return "cascades were not asked for"
    if limit is not None and found.bytes <= limit:
        return f"the network stays within the limit of {limit:,} bytes without streaming it"
    reason = f"no cascade with it makes the estimated peak of {found.bytes:,} bytes smaller"
    return "; ".join(filter(None, (reason, front or behind)))


def _obstacle_in_front(items: Sequence[Item], position: int) -> str:
    """Why it cannot drive a cascade; "" if it can: one that ends with it has the one before it."""
    if position == 0:
        return "nothing runs before it"
    before = items[position - 1]
    if not before.streamable:
        return _whole(before)
    if before.operator.result not in items[position].tensors:
        return f"{before.operator.result}, which runs just before it, is none of its operands"
    return ""


def _obstacle_behind(items: Sequence[Item], position: int, first_reader: dict[str, int]) -> str:
    """Why nothing behind it can drive a cascade with it, or gains nothing; "" if something can."""
    name = items[position].operator.result
    if name not in first_reader:
        return "no operator reads it"
    for item in items[position + 1 :]:
        if name in item.tensors and not item.streamable:
            return _whole(item)
        if name in item.tensors and _needs_all_rows(item, name):
            return f"{item.operator.result} needs all of its rows at once"
    latest = position
    for driver in range(position + 1, len(items)):
        # Every operator from the join on has to feed the driver.
        latest = max(latest, first_reader.get(items[driver - 1].operator.result, len(items)))
        if not items[driver].streamable:
            return _whole(items[driver])
        if latest <= driver:
            return ""
    return f"what runs between it and {items[first_reader[name]].operator.result} is read later"


def _whole(item: Item) -> str:
    name = item.operator.result
    if item.operator.signature is None:
        return f"{name} is left to TVM, which computes whole tensors"
    return f"{name} is another view of a whole tensor"


def _needs_all_rows(item: Item, name: str) -> bool:
    """True if the first call of the operator needs the tensor's last row."""
    operator = item.operator
    if not operator.signature.inputs:
        return False
    for index, operand in enumerate(operator.operands):
        if operand != name:
            continue
        if index not in operator.row_operands:
            return True
        rows = operator.signature.inputs[index].rows
        if rows > 1 and operator.needs(index).last[0] >= rows:
            return True
    return False


def _first_readers(items: Sequence[Item]) -> dict[str, int]:
    """Tensor -> position of the first operator that reads it."""
    found: dict[str, int] = {}
    for position, item in enumerate(items):
        for name in item.tensors:
            found.setdefault(name, position)
    return found
