"""Damaged and hostile files: each is read, or refused with one clear error."""

from __future__ import annotations

from collections import Counter

from tests.campaigns.fuzzing.large_graphs import FAMILIES
from tests.campaigns.fuzzing.worker import DATA, GRAPHS, run_cases

CASES = 1000


def test_both_readers() -> None:
    kinds: Counter[str] = Counter()
    for outcome in run_cases(range(CASES), compile_every=50):
        assert not outcome.fault, f"seed {outcome.seed}: {outcome.kind}\n{outcome.message}"
        kinds[outcome.kind] += 1
    assert kinds.total() == CASES
    assert kinds["refused"] > CASES / 2 and kinds["loaded"] > CASES / 10 and kinds["compiled"]


def test_archives_inputs_reports_boards_and_caches() -> None:
    kinds: dict[str, Counter[str]] = {}
    for outcome in run_cases(range(240), compile_every=4, corpus=DATA):
        assert not outcome.fault, f"seed {outcome.seed}: {outcome.kind}\n{outcome.message}"
        kinds.setdefault(outcome.format, Counter())[outcome.kind] += 1
    assert len(kinds) == 5
    assert all(counts["refused"] and counts["loaded"] for counts in kinds.values()), kinds


def test_large_graphs() -> None:
    """The smallest of each family; the command tries those that are 1,024 times as large."""
    for outcome in run_cases(range(len(FAMILIES)), 1, corpus=GRAPHS):
        assert outcome.kind == "compiled", f"{outcome.seed}: {outcome.kind}\n{outcome.message}"
