"""Charts of a row placement: thousands of boxes, as one SVG path a tensor.

The paths' units are 1/`WIDTH` of the chart's width, and bytes downwards from the top.
"""

from __future__ import annotations

from dataclasses import dataclass

from dero_tvm.report.timeline import Timeline

WIDTH = 10_000
_FIXED = ("input", "output", "scratch", "patch")  # kinds with a colour of their own
ALIKE = ("scratch", "patch")  # kinds of which one entry of a legend stands for all
_GOLDEN_ANGLE = 137.508  # degrees: neighbours, and those two apart, differ much
_FIRST_HUE = 262


@dataclass(frozen=True)
class Area:
    """All boxes of one buffer; `cells` says of each subpath what it is, for the page's script."""

    path: str
    buffer: int
    role: str
    hue: float | None  # degrees; None: the role's colour
    cells: str = ""


def row_map(timeline: Timeline) -> tuple[Area, ...]:
    """Address against time: each row from the call that makes it to the last that reads it.

    An entry of `Area.cells` is ``first row:rows:first call:last call``.
    """
    scale = WIDTH / max(len(timeline.call_starts) - 1, 1)
    areas = []
    for index, buffer in enumerate(timeline.buffers):
        base = timeline.bases[buffer.region]
        boxes, cells = [], []
        for cell in buffer.cells:
            left, right = round(scale * cell.first_call), round(scale * (cell.last_call + 1))
            top = timeline.arena_bytes - base - cell.offset - cell.size
            boxes.append(_box(left, top, right - left, cell.size))
            cells.append(f"{cell.row}:{cell.rows}:{cell.first_call}:{cell.last_call}")
        hue = hue_of(timeline, index)
        areas.append(Area("".join(boxes), index, buffer.kind, hue, ",".join(cells)))
    return tuple(areas)


def row_stack(timeline: Timeline, top: int, *, by_tensor: bool) -> tuple[Area, ...]:
    """What is alive during each call, on an axis that ends at `top` bytes.

    `by_tensor`: in the tensors' colours, one call as wide as another; else in those of their roles,
    one operator as wide as another.
    """
    scale = WIDTH / max(len(timeline.call_starts) - 1 if by_tensor else timeline.starts[-1], 1)
    runs: dict[tuple[int, str], list[list[int]]] = {}  # left, right, bottom, own
    for column in timeline.columns():
        ends = column.calls if by_tensor else (column.left, column.right)
        left, right = (round(scale * end) for end in ends)
        for layer in column.layers:
            if not layer.own:
                continue
            boxes = runs.setdefault((layer.index, layer.role), [])
            if boxes and boxes[-1][1:] == [left, layer.bottom, layer.own]:
                boxes[-1][1] = right
            else:
                boxes.append([left, right, layer.bottom, layer.own])
    return tuple(
        Area(
            "".join(_box(a, top - bottom - own, b - a, own) for a, b, bottom, own in boxes),
            index,
            role,
            hue_of(timeline, index) if by_tensor else None,
        )
        for (index, role), boxes in runs.items()
    )


def hue_of(timeline: Timeline, index: int) -> float | None:
    """The hue of a tensor in a row placement; None for what has the colour of its kind."""
    buffer = timeline.buffers[index]
    if not buffer.cells or buffer.kind in _FIXED:
        return None
    return round((_FIRST_HUE + _GOLDEN_ANGLE * index) % 360, 1)


def largest(timeline: Timeline, most: int) -> tuple[list[int], int]:
    """The buffers that take most bytes for most calls, in the order of the network.

    Also how many others there are.  Of all scratch, which has one colour, the first is among them,
    and of all windows of columns likewise.
    """
    kinds = [buffer.kind for buffer in timeline.buffers]
    alike = [i for i, kind in enumerate(kinds) if kind in ALIKE and kind in kinds[:i]]
    taken = {
        index: sum(cell.size * (cell.last_call + 1 - cell.first_call) for cell in buffer.cells)
        for index, buffer in enumerate(timeline.buffers)
        if index not in alike
    }
    found = sorted(sorted(taken, key=lambda index: -taken[index])[:most])
    return found, len(taken) - len(found)


def _box(left: int, top: int, width: int, height: int) -> str:
    return f"M{left} {top}h{width}v{height}h-{width}z"
