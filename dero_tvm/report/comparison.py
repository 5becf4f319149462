"""Two reports side by side: before and after a change, or two models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from .breakdown import OperatorPart, StepPart, breakdown
from .data import Report, ReportedResidual
from .layer_names import brief

_MOST_NAMES = 8
T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """A number of both; None where one has none."""

    name: str
    before: float | None
    after: float | None
    cost: bool = True  # less of it is better

    @property
    def change(self) -> str:
        """``-1,024 (-12.5 %)``; "" if it is the same, or known of one alone."""
        if self.before is None or self.after is None or self.before == self.after:
            return ""
        difference = self.after - self.before
        if not self.before:
            return f"{difference:+,.0f}"
        return f"{difference:+,.0f} ({100 * difference / self.before:+.1f} %)"


@dataclass(frozen=True)
class OperatorFigures:
    """What an operator takes in one of the two."""

    operator: str
    output: str
    step: str
    held: int  # bytes of its result that are in the arena at once
    macs: int
    flash: int  # bytes
    measured: float | None


@dataclass(frozen=True)
class OperatorPair:
    """An operator that both have, or one of them; `name` is that of its layer, if it has one."""

    name: str
    before: OperatorFigures | None
    after: OperatorFigures | None


@dataclass(frozen=True)
class JoinPair:
    """A residual join of both, or of one of them."""

    name: str
    before: ReportedResidual | None
    after: ReportedResidual | None


@dataclass(frozen=True)
class Comparison:
    """What differs between two reports."""

    before: Report
    after: Report
    titles: tuple[str, str]
    figures: tuple[Figure, ...]
    operators: tuple[OperatorPair, ...]  # that differ
    joins: tuple[JoinPair, ...]  # that were treated otherwise
    alike: int  # operators that do not differ
    changes: tuple[str, ...]  # sentences

    @property
    def unit(self) -> str:
        """What was measured of both; "" if nothing was, or not the same."""
        units = {r.measured.unit if r.measured else "" for r in (self.before, self.after)}
        return units.pop() if len(units) == 1 else ""

    def to_dict(self) -> dict[str, Any]:
        """What differs as plain JSON data; the reports themselves are not part of it."""
        data = asdict(replace(self, before=None, after=None))  # type: ignore[arg-type]
        return {name: value for name, value in data.items() if value is not None}


def compare(before: Report, after: Report, titles: tuple[str, str]) -> Comparison:
    """The differences, by the names of the model's layers."""
    pairs = list(_paired(_operators(before), _operators(after)))
    operators = tuple(OperatorPair(name, a, b) for name, a, b in pairs if a != b)
    joins = tuple(
        JoinPair(name, a, b)
        for name, a, b in _paired(_joins(before), _joins(after))
        if a is None or b is None or a.action != b.action
    )
    return Comparison(
        before,
        after,
        titles,
        tuple(_figures(before, after)),
        operators,
        joins,
        len(pairs) - len(operators),
        tuple(_changes(before, after, operators)),
    )


def _paired(
    before: Mapping[str, T], after: Mapping[str, T]
) -> Iterator[tuple[str, T | None, T | None]]:
    """Name, value before and after; what is new stands at its place in the second."""
    for name in _merged(list(before), list(after)):
        yield name, before.get(name), after.get(name)


def _merged(before: list[str], after: list[str]) -> list[str]:
    """All names of two lists, each in the order of its own as far as they agree."""
    found: list[str] = []
    left = list(before)
    known = set(before)
    for name in after:
        if name in known and name in left:
            at = left.index(name) + 1
            found += left[:at]
            left = left[at:]
        elif name not in known:
            found.append(name)
    return [*found, *left]


def _operators(report: Report) -> dict[str, OperatorFigures]:
    found: dict[str, OperatorFigures] = {}
    used: Counter[str] = Counter()
    for step in breakdown(report):
        for part in step.operators:
            name = _name(report, part.operator.name)
            used[name] += 1
            key = name if used[name] == 1 else f"{name} ({used[name]})"
            found[key] = _operator(step, part)
    return found


def _operator(step: StepPart, part: OperatorPart) -> OperatorFigures:
    operator = part.operator
    return OperatorFigures(
        operator.operator,
        operator.output,
        step.step.name,
        part.held,
        operator.macs,
        operator.weights + operator.tables,
        part.measured,
    )


def _joins(report: Report) -> dict[str, ReportedResidual]:
    return {_name(report, residual.join): residual for residual in report.residuals}


def _name(report: Report, tensor: str) -> str:
    return brief(report.layer(tensor)) or tensor


def _figures(before: Report, after: Report) -> Iterator[Figure]:
    def both(name: str, read: Callable[[Report], float], *, cost: bool = True) -> Figure:
        return Figure(name, read(before), read(after), cost)

    yield both("arena", lambda r: r.arena_bytes)
    regions = {name for r in (before, after) for name, size in r.regions.items() if size}
    for region in sorted(regions) if len(regions) > 1 else ():
        yield both(f"  in {region}", lambda r, region=region: r.regions.get(region, 0))  # type: ignore[misc]
    yield both("every tensor whole, as written", lambda r: r.whole_bytes)
    yield both("plain network, residuals removed", lambda r: r.plain_bytes)
    yield both("weights and tables (flash)", lambda r: r.constants_bytes)
    yield both("  of which tables of rows", lambda r: r.table_bytes)
    yield both("state, between inferences", lambda r: r.state_bytes)
    yield both("multiply-accumulates", lambda r: r.macs)
    first, second = before.measured, after.measured
    if first and second and first.unit == second.unit:
        yield Figure(first.unit, sum(first.steps), sum(second.steps))
    yield both("steps", lambda r: len(r.steps), cost=False)
    yield both("operators", lambda r: sum(o.runs for o in r.operators), cost=False)
    counts = [Counter(residual.action for residual in r.residuals) for r in (before, after)]
    for action in dict.fromkeys([*counts[0], *counts[1]]):
        yield Figure(f"joins {action}", counts[0][action], counts[1][action], cost=False)


def _changes(before: Report, after: Report, operators: tuple[OperatorPair, ...]) -> Iterator[str]:
    """What differs beside numbers."""
    for what, a, b in (
        ("model", before.model, after.model),
        ("board", before.target, after.target),
        ("--dero", before.dero, after.dero),
        ("chosen plan", before.chosen, after.chosen),
        ("peak", _peak(before), _peak(after)),
        ("order of operators", before.order_proof, after.order_proof),
        ("placement", before.placement_proof, after.placement_proof),
        ("bound", before.rows_proof, after.rows_proof),
    ):
        if a != b:
            yield f"{what}: {a or 'none'} -> {b or 'none'}"
    for text, names in (
        ("gone", [pair.name for pair in operators if pair.after is None]),
        ("new", [pair.name for pair in operators if pair.before is None]),
    ):
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            yield f"operators that are {text}: {', '.join(names[:_MOST_NAMES])}{more}"


def _peak(report: Report) -> str:
    layer = brief(report.layer(report.peak_step))
    return f"{report.peak_step} ({layer})" if layer else report.peak_step
