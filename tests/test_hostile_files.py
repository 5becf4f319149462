"""Two thousand damaged and hostile model files: each is read, or refused with one clear error."""

from __future__ import annotations

from collections import Counter

from tests.fuzzing.worker import run_cases

CASES = 2000


def test_both_readers() -> None:
    kinds: Counter[str] = Counter()
    for outcome in run_cases(range(CASES), compile_every=50):
        assert not outcome.fault, f"seed {outcome.seed}: {outcome.kind}\n{outcome.message}"
        kinds[outcome.kind] += 1
    assert kinds.total() == CASES
    assert kinds["refused"] > CASES / 2 and kinds["loaded"] > CASES / 10 and kinds["compiled"]
