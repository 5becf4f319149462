"""The command that compiles random networks at every level of optimization."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from dero_tvm.aot import c_source
from tests.campaigns import random_levels

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def test_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {"gcc": (("-O3", *random_levels.SEPARATE_STEPS),)}
    monkeypatch.setattr(random_levels, "LEVELS", levels)
    counts: Counter[str] = Counter()
    random_levels.check_network(0, counts)
    assert counts["compilations"] == 1


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not the same at a level of optimization."""
    guarded = c_source.guarded
    step = "  TVMGEN_BEGIN(0);"
    optional = f"#ifdef __OPTIMIZE__\n  if (inputs != NULL) return 0;\n#endif\n{step}"
    monkeypatch.setattr(c_source, "guarded", lambda text: guarded(text.replace(step, optional)))
    monkeypatch.setattr(random_levels, "LEVELS", {"gcc": (("-O1",),)})
    with pytest.raises(AssertionError, match="gcc -O1: output .* differs"):
        random_levels.check_network(0, Counter())
