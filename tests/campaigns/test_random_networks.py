"""Random networks keep their bits, however they are laid out in memory; see `random_runs`."""

from __future__ import annotations

import shutil

import pytest

from tests.campaigns.random_runs import BATCH, check_networks
from tests.compiled import sanitized_batch

NETWORKS = 500


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("first", range(0, NETWORKS, BATCH))
def test_same_bits_in_every_layout(first: int) -> None:
    summary = check_networks(range(first, first + BATCH), in_turn=True)
    assert not summary.failures, summary.text()
    assert summary.networks == BATCH
    # The networks are worth the name: something was streamed, and it saved memory.
    assert summary.counts["cascades"] > BATCH
    assert summary.counts["descending"] > 0
    assert sum(summary.shares) < 0.9 * len(summary.shares)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_under_sanitizers() -> None:
    summary = check_networks(range(5), sanitize=True)
    assert not summary.failures, summary.text()
    assert summary.counts["programs"] > 2 * summary.networks


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_sanitizers_see_the_end_of_an_arena(monkeypatch) -> None:
    """All blocks one byte too small: every network is reported."""
    small = sanitized_batch.HEAD.replace("malloc(size)", "malloc(size - 1)")
    small = small.replace("memset(made, 0x5A, size)", "memset(made, 0x5A, size - 1)")
    assert small.count("size - 1") == 2
    without_ports = small.replace("size - 1", "size - !fill")
    monkeypatch.setattr(sanitized_batch, "HEAD", without_ports)
    summary = check_networks([0], sanitize=True)
    assert "heap-buffer-overflow" in summary.text()
