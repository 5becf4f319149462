"""The bound over all orders of rows: against every order of small graphs, and where it is known."""

from __future__ import annotations

import itertools
import operator
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.planning_error import PlanError
from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows import bound as bound_module
from dero_tvm.planning.rows.bound import RowBound, against_bound, bound_of
from dero_tvm.planning.rows.branching import raised, still_fits
from dero_tvm.planning.rows.cut import CutNetwork
from dero_tvm.planning.rows.lives import lives_of
from dero_tvm.planning.rows.precedence import Precedence
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor
from tests.planning.rows.row_problems import random_rows
from tests.random_cases import cases

INPUT, OUTPUT = BufferKind.INPUT, BufferKind.OUTPUT
INTERMEDIATE = BufferKind.INTERMEDIATE


class Enumeration:
    """Everything again from all sets of finished calls, one by one."""

    def __init__(self, problem: RowProblem, sequences: bool = False) -> None:
        self.problem = problem
        self.everything = frozenset(range(len(problem.calls)))
        self.reads = [rows_of(call.reads) for call in problem.calls]
        self.writes = [rows_of(call.writes) for call in problem.calls]
        self.waits = [
            {
                early
                for early in range(late)
                if self.reads[late] & self.writes[early]
                or (call.step, call.operation)
                == (problem.calls[early].step, problem.calls[early].operation)
                and (sequences or not call.reads)
            }
            for late, call in enumerate(problem.calls)
        ]

    def during(self, call: int, finished: frozenset[int]) -> int:
        """Bytes in memory while `call` runs behind `finished`, but for inputs that nobody reads."""
        problem, behind = self.problem, self.everything - finished - {call}
        total = sum(problem.tensors[t].row_bytes for t in problem.calls[call].uses)
        dies, made = set(), set()
        for number, tensor in enumerate(problem.tensors):
            for row in ((number, r) for r in range(tensor.rows)):
                there = tensor.kind is INPUT or any(row in self.writes[c] for c in finished)
                stays = tensor.kind is OUTPUT or (tensor.kind is INPUT and problem.keep_inputs)
                used = row in self.reads[call] | self.writes[call]
                later = any(row in self.reads[c] | self.writes[c] for c in behind)
                made |= {row} if not there and row in self.writes[call] else set()
                dies |= {row} if there and used and not later and not stays else set()
                if (there or row in self.writes[call]) and (used or later or stays):
                    total += tensor.row_bytes
        if len(self.writes[call]) == 1 and made:
            new = problem.tensors[min(made)[0]]
            for row in rows_of(problem.calls[call].in_place) & dies - made:
                old = problem.tensors[row[0]]
                if old.row_bytes == new.row_bytes and not (old.in_sequence and new.in_sequence):
                    return total - old.row_bytes
        return total

    def least(self) -> tuple[int, int]:
        """The least peak of all orders, and the bound by its formula."""
        peaks: dict[frozenset[int], int] = {frozenset(): 0}
        minima = dict.fromkeys(self.everything, 10**9)
        ends = [10**9, 10**9]
        touched = set[tuple[int, int]]().union(*self.reads, *self.writes)
        unread = sum(
            tensor.row_bytes
            for number, tensor in enumerate(self.problem.tensors)
            if tensor.kind is INPUT and not self.problem.keep_inputs
            for row in range(tensor.rows)
            if (number, row) not in touched
        )
        for _ in self.everything:
            further: dict[frozenset[int], int] = {}
            for finished, height in peaks.items():
                for call in self.everything - finished:
                    if self.waits[call] <= finished:
                        now = self.during(call, finished)
                        minima[call] = min(minima[call], now)
                        after = finished | {call}
                        if not finished:
                            now += unread
                            ends[0] = min(ends[0], now)
                        if after == self.everything:
                            ends[1] = min(ends[1], now)
                        further[after] = min(further.get(after, 10**9), max(height, now))
            peaks = further
        return peaks[self.everything], max(*minima.values(), *ends)


def rows_of(ranges: Iterable[RowRange]) -> set[tuple[int, int]]:
    return {(rows.tensor, row) for rows in ranges for row in range(rows.first, rows.end)}


@cases(300)
@given(st.integers(0, 10**9), st.integers(1, 8), st.booleans())
def test_no_order_goes_below_the_bound(seed: int, count: int, sequences: bool) -> None:
    problem = random_rows(seed, count)
    optimum, formula = Enumeration(problem, sequences).least()
    bound = bound_of(problem, sequences=sequences).bytes
    assert bound is not None and bound <= optimum <= lives_of(problem).peak
    assert bound == formula or (bound < formula and writes_over_for_a_slice(problem))


@cases(100)
@given(st.integers(0, 10**9), st.integers(2, 8), st.integers(0, 30))
def test_no_order_goes_below_the_bound_by_cases(seed: int, count: int, more: int) -> None:
    problem = random_rows(seed, count)
    bound, (optimum, _) = bound_of(problem), Enumeration(problem).least()
    by_cases = raised(problem, bound, optimum + more).bytes
    assert by_cases is not None and bound.bytes is not None
    assert bound.bytes <= by_cases <= optimum


@pytest.mark.parametrize("seed", [301, 365, 583, 1039])
def test_cases_show_what_no_single_cut_does(seed: int) -> None:
    problem = random_rows(seed, 1 + seed % 8)
    bound, (optimum, _) = bound_of(problem), Enumeration(problem).least()
    assert bound.bytes is not None and bound.bytes < optimum
    assert raised(problem, bound, optimum) == RowBound(optimum)
    assert raised(problem, bound, bound.bytes) == bound


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_that_fits_a_case_is_the_least_there(seed: int) -> None:
    problem = random_rows(seed, 6)
    whole = Precedence(problem)
    cuts = [CutNetwork(whole).least(call) for call in range(whole.count)]
    kept = []
    for pair in itertools.permutations(range(whole.count), 2):
        if (whole.ancestors[pair[0]] | whole.ancestors[pair[1]]) & (1 << pair[0] | 1 << pair[1]):
            continue  # one waits for the other already
        case = Precedence(problem, before=[pair])
        network = CutNetwork(case)
        for call, cut in enumerate(cuts):
            least = network.least(call).bytes
            assert least >= cut.bytes
            kept.append(still_fits(cut, call, case, pair))
            assert not kept[-1] or least == cut.bytes
    assert not kept or any(kept)


def writes_over_for_a_slice(problem: RowProblem) -> bool:
    """Whether a call may write over a row with one that others write too: taken as if they did not.

    No network has such calls: a slice of a concatenation is never made in place.
    """
    return any(
        call.in_place and rows_of(call.writes) & rows_of(other.writes)
        for call in problem.calls
        for other in problem.calls
        if other is not call
    )


@cases(60)
@given(st.integers(0, 10**9), st.integers(2, 9), st.randoms(use_true_random=False))
def test_the_given_order_does_not_matter(seed: int, count: int, chance: random.Random) -> None:
    problem = random_rows(seed, count)
    waits = Enumeration(problem).waits
    slices = [
        {e for e in range(c) if rows_of(call.writes) & rows_of(problem.calls[e].writes)}
        | {e for e in range(c) if rows_of(call.writes) & rows_of(problem.calls[e].reads)}
        for c, call in enumerate(problem.calls)
    ]
    order: list[int] = []
    while len(order) < len(waits):
        able = [c for c in range(len(waits)) if c not in order]
        order.append(chance.choice([c for c in able if waits[c] | slices[c] <= set(order)]))
    other = replace(problem, calls=tuple(problem.calls[c] for c in order))
    assert bound_of(other) == bound_of(problem)


def chain(lengths: list[int], kind: BufferKind = INTERMEDIATE) -> RowProblem:
    """One call after the other, each reads what the one before has made."""
    tensors = [
        RowTensor(f"t{i}", 1, length, 1, INPUT if i == 0 else kind)
        for i, length in enumerate(lengths)
    ]
    calls = [
        Call(0, i, 0, (RowRange(i - 1, 0, 1),), (RowRange(i, 0, 1),))
        for i in range(1, len(lengths))
    ]
    return RowProblem(tuple(tensors), tuple(calls))


@pytest.mark.parametrize(
    "lengths, kind, kept, bytes_",
    [
        ([3, 5, 2, 9], INTERMEDIATE, False, 11),
        ([3, 5, 2, 9], INTERMEDIATE, True, 14),
        ([3, 5, 2, 9], OUTPUT, False, 16),
        ([7], INTERMEDIATE, False, 0),
    ],
)
def test_of_one_order_the_bound_is_the_peak(
    lengths: list[int], kind: BufferKind, kept: bool, bytes_: int
) -> None:
    problem = replace(chain(lengths, kind), keep_inputs=kept)
    assert lives_of(problem).peak == bytes_
    assert bound_of(problem) == RowBound(bytes_)


def test_a_row_is_written_over_only_when_all_others_have_read_it() -> None:
    """An addition may take its shortcut's row if the convolution of it is done, as it must be."""
    row = RowRange
    tensors = tuple(RowTensor(name, 1, 10) for name in ("x", "convolved", "sum", "late"))
    made = Call(0, 0, 0, (), (row(0, 0, 1),))
    convolution = Call(0, 1, 0, (row(0, 0, 1),), (row(1, 0, 1),))
    addition = Call(
        0, 2, 0, (row(0, 0, 1), row(1, 0, 1)), (row(2, 0, 1),), in_place=(row(0, 0, 1),)
    )
    late = Call(0, 3, 0, (row(0, 0, 1), row(2, 0, 1)), (row(3, 0, 1),))
    assert bound_of(RowProblem(tensors[:3], (made, convolution, addition))).bytes == 20
    assert bound_of(RowProblem(tensors, (made, convolution, addition, late))).bytes == 30


def test_after_too_many_cuts_the_best_of_them_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [random_rows(seed, 8) for seed in range(40)]
    exact = [bound_of(problem).bytes or 0 for problem in problems]
    monkeypatch.setattr(bound_module, "_NODES", 1)
    early = [bound_of(problem).bytes or 0 for problem in problems]
    assert all(map(operator.le, early, exact))
    assert 0 < sum(early) < sum(exact)


def test_a_large_network_has_a_reason_in_place_of_a_bound() -> None:
    problem = chain([1] * 12)
    assert bound_of(problem, 11).bytes == 2
    assert bound_of(problem, 10) == RowBound(None, "11 rows, more than 10")
    assert bound_of(chain([1, 2**31])) == RowBound(None, "rows of more than 2 GiB")


ABOVE = "at most 1,536 bytes (76.8 %) above what any order of rows needs"


@pytest.mark.parametrize(
    "bound, in_sequence, sentence",
    [
        (RowBound(3_536), None, "no order of rows needs less"),
        (RowBound(3_536), RowBound(3_536), "no order of rows needs less"),
        (RowBound(2_000), None, ABOVE),
        (RowBound(2_000), RowBound(3_000), ABOVE),
        (
            RowBound(2_000),
            RowBound(3_536),
            f"{ABOVE}, and no order that makes each tensor's rows in this sequence needs less",
        ),
        (RowBound(None, "9 rows, more than 5"), None, "bound not computed: 9 rows, more than 5"),
    ],
)
def test_what_the_report_says(bound: RowBound, in_sequence: RowBound | None, sentence: str) -> None:
    assert against_bound(3_536, bound, in_sequence) == sentence


def test_a_plan_below_the_bound_is_a_fault() -> None:
    with pytest.raises(PlanError, match="100 bytes is below the bound of 101"):
        against_bound(100, RowBound(50), RowBound(101))
