"""Random networks keep their bits in windows of columns; see `random_windows`."""

from __future__ import annotations

import shutil

import pytest

from tests.campaigns.random_windows import BATCH, check_on_cores, check_windows

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

NETWORKS = 200


@pytest.mark.slow
@pytest.mark.parametrize("first", range(BATCH, NETWORKS, BATCH))
def test_same_bits_and_as_many_products_as_planned(first: int) -> None:
    summary = check_windows(range(first, first + BATCH))
    assert not summary.failures, summary.text()


def test_same_bits_in_windows() -> None:
    summary = check_windows(range(BATCH))
    assert not summary.failures, summary.text()
    # The groups are worth the name: they have several operations, and many windows.
    assert summary.counts["operations in groups"] > 1.4 * summary.counts["groups"] > BATCH
    assert summary.counts["windows"] > 2 * summary.counts["groups"]
    assert summary.counts["groups that keep columns"] >= 5


def test_under_sanitizers() -> None:
    summary = check_windows(range(1000, 1005), sanitize=True)
    assert not summary.failures, summary.text()


def test_kernels_of_cores_under_sanitizers() -> None:
    summary = check_on_cores(range(2))
    assert not summary.failures, summary.text()
    assert summary.counts["with kernels of the core"] > 3
