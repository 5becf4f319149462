"""Charts of memory against time as boxes, in percent of the chart's width and height.

Time goes from left to right, one operator as wide as another; bytes go up.  Where a row placement
stands alone, one call of a row kernel is as wide as another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count, groupby

from dero_tvm.report.html.row_charts import Area, hue_of, row_map, row_stack
from dero_tvm.report.layer_names import brief
from dero_tvm.report.timeline import ReportedBuffer, ReportedStep, Timeline

_LEGIBLE_WIDTH, _LEGIBLE_HEIGHT = 4.0, 4.0  # percent of a chart: smaller boxes have no text
_LARGEST_ZOOM = 32  # as in behaviour.js
_THIN = 1.2
_MOST_TICKS = 6
_MANY_CELLS = 700


@dataclass(frozen=True)
class Box:
    """A buffer during one step or several."""

    left: float
    width: float
    bottom: float
    height: float
    buffer: int
    role: str
    step: int | None = None
    text: str = ""

    @property
    def thin(self) -> bool:
        """Whether an outline would hide it."""
        return self.height < _THIN or self.width < _THIN


@dataclass(frozen=True)
class Mark:
    """A place on an axis, in percent, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Span:
    """A step on the axis of time."""

    left: float
    width: float
    step: int
    cascade: bool  # of several operators
    text: str


@dataclass(frozen=True)
class Chart:
    """Boxes with their axes; `key` tells apart what several charts of a page refer to."""

    key: str
    title: str
    boxes: tuple[Box, ...]
    spans: tuple[Span, ...]
    ticks: tuple[Mark, ...]
    arena: Mark
    peak: Box | None = None
    peak_bytes: int = 0
    regions: tuple[Mark, ...] = ()  # where regions begin, if there are several
    areas: tuple[Area, ...] = ()  # in place of boxes, in a row placement
    labels: tuple[Box, ...] = ()  # where areas have room for a text
    top: int = 1  # bytes at the upper end

    @property
    def dense(self) -> bool:
        """Whether outlines would hide what they surround."""
        return sum(area.path.count("M") for area in self.areas) > _MANY_CELLS


def stack_chart(
    key: str, title: str, timeline: Timeline, top: int, *, texts: bool = False
) -> Chart:
    """What is alive during each step, on an axis that ends at `top` bytes."""
    spans = _spans(timeline, by_calls=texts and timeline.by_rows, texts=texts)
    boxes = []
    for span in () if timeline.by_rows else spans:
        for layer in timeline.layers(span.step):
            if layer.own:
                buffer = timeline.buffers[layer.index]
                bottom, height = 100 * layer.bottom / top, 100 * layer.own / top
                place = (span.left, span.width, bottom, height)
                text = _label(buffer) if texts and _may_be_legible(span.width, height) else ""
                boxes.append(Box(*place, layer.index, layer.role, span.step, text))
    peak, peak_bytes = None, 0
    if spans:
        span, peak_bytes = spans[timeline.peak], timeline.steps[timeline.peak].live_bytes
        left, width = span.left, span.width
        if timeline.by_rows:
            left, width = _peak_call(timeline, by_calls=texts)
        peak = Box(left, width, 0, 100 * peak_bytes / top, 0, "peak", span.step)
    return Chart(
        key,
        title,
        tuple(boxes),
        spans,
        tuple(_ticks(top)),
        Mark(100 * timeline.arena_bytes / top, f"{timeline.arena_bytes:,}"),
        peak,
        peak_bytes,
        areas=row_stack(timeline, top, by_tensor=texts) if timeline.by_rows else (),
        top=top,
    )


def arena_map(key: str, title: str, timeline: Timeline) -> Chart:
    """Each buffer at its address, for as long as it lives; regions lie one above the other."""
    top = max(timeline.arena_bytes, 1)
    starts, total = timeline.starts, max(timeline.starts[-1], 1)
    boxes = []
    for index, buffer in enumerate(() if timeline.by_rows else timeline.buffers):
        bottom = 100 * (timeline.bases[buffer.region] + buffer.offset) / top
        height = 100 * buffer.size / top
        text = _label(buffer)
        for role, first, last in _runs(buffer):
            left, right = starts[first], starts[last + 1]
            width = 100 * (right - left) / total
            shown = text if _may_be_legible(width, height) else ""
            boxes.append(Box(100 * left / total, width, bottom, height, index, role, None, shown))
            text = "" if shown else text
    peak = None
    if timeline.by_rows:
        peak = Box(*_peak_call(timeline, by_calls=True), 0, 100, 0, "peak")
    used = [region for region, size in timeline.regions.items() if size]
    regions = [Mark(100 * timeline.bases[region] / top, region) for region in used]
    return Chart(
        key,
        title,
        tuple(sorted(boxes, key=lambda box: -box.width * box.height)),  # small ones in front
        _spans(timeline, by_calls=timeline.by_rows),
        tuple(_ticks(top)),
        Mark(100, f"{timeline.arena_bytes:,}"),
        peak=peak,
        regions=tuple(regions) if len(regions) > 1 else (),
        areas=row_map(timeline) if timeline.by_rows else (),
        labels=tuple(_cell_labels(timeline, top)) if timeline.by_rows else (),
        top=top,
    )


def _cell_labels(timeline: Timeline, top: int) -> Iterator[Box]:
    """A text on the largest cell of each tensor, where a map of rows has room for it."""
    calls = max(len(timeline.call_starts) - 1, 1)
    for index, buffer in enumerate(timeline.buffers):
        if not buffer.cells:
            continue
        cell = max(buffer.cells, key=lambda c: c.size * (c.last_call + 1 - c.first_call))
        width = 100 * (cell.last_call + 1 - cell.first_call) / calls
        height = 100 * cell.size / top
        if _may_be_legible(width, height):
            bottom = 100 * (timeline.bases[buffer.region] + cell.offset) / top
            left = 100 * cell.first_call / calls
            role = "hue" if hue_of(timeline, index) is not None else buffer.kind
            yield Box(left, width, bottom, height, index, role, None, _label(buffer))


def _peak_call(timeline: Timeline, *, by_calls: bool) -> tuple[float, float]:
    """Left end and width of the call with most bytes alive."""
    places = range(len(timeline.call_starts)) if by_calls else timeline.call_starts
    call = timeline.steps[timeline.peak].peak_call
    left, right = places[call : call + 2]
    return 100 * left / places[-1], 100 * (right - left) / places[-1]


def _runs(buffer: ReportedBuffer) -> Iterator[tuple[str, int, int]]:
    """The life of a buffer in pieces of one role: role, first and last step."""
    steps = range(max(buffer.first_step, 0), buffer.last_step + 1)
    for role, run in groupby(steps, key=buffer.role):
        found = list(run)
        yield role, found[0], found[-1]


def _spans(timeline: Timeline, *, by_calls: bool, texts: bool = True) -> tuple[Span, ...]:
    starts = timeline.starts
    if by_calls:
        starts = tuple(accumulate((step.calls for step in timeline.steps), initial=0))
    total = max(starts[-1], 1)
    return tuple(
        Span(
            100 * starts[number] / total,
            100 * (starts[number + 1] - starts[number]) / total,
            number,
            len(step.operators) > 1,
            _step_label(step) if texts else "",
        )
        for number, step in enumerate(timeline.steps)
    )


def _may_be_legible(width: float, height: float) -> bool:
    """Whether a box may have room for a text, if not at once, when the time is made larger.

    The page hides those that have none.
    """
    return width * _LARGEST_ZOOM >= _LEGIBLE_WIDTH and height >= _LEGIBLE_HEIGHT


def _label(buffer: ReportedBuffer) -> str:
    """The model's layer that a buffer is from, or what else it is."""
    if buffer.layers:
        return brief(buffer.layers[0])
    return buffer.tensors[0].split()[0] if buffer.tensors else buffer.label


def _step_label(step: ReportedStep) -> str:
    """The model's layers of a step, or its name."""
    ends = [brief(layer) for layer in (*step.layers[:1], *step.layers[1:][-1:])]
    return " to ".join(ends) or step.name


def _ticks(top: int) -> Iterator[Mark]:
    """Round numbers from 0 to at most `top`."""
    sizes = (digit * 10**power for power in count() for digit in (1, 2, 5))
    step = next(size for size in sizes if top / size <= _MOST_TICKS)
    for value in range(0, top + 1, step):
        yield Mark(100 * value / top, f"{value:,}")
