"""Random networks keep their bits, however they are laid out in memory; see `random_runs`."""

from __future__ import annotations

import shutil

import pytest

from tests.random_runs import BATCH, check_networks

NETWORKS = 500


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("first", range(0, NETWORKS, BATCH))
def test_same_bits_in_every_layout(first: int) -> None:
    summary = check_networks(range(first, first + BATCH))
    assert not summary.failures, summary.text()
    assert summary.networks == BATCH
    # The networks are worth the name: something was streamed, and it saved memory.
    assert summary.counts["cascades"] > BATCH
    assert summary.counts["descending"] > 0
    assert sum(summary.shares) < 0.9 * len(summary.shares)
