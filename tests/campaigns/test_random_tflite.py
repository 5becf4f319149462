"""Random TFLite networks are LiteRT's, bit by bit; see `random_tflite`."""

from __future__ import annotations

import shutil

import pytest

from tests.campaigns.random_tflite import check_tflite

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

BATCH, NETWORKS = 12, 120


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(BATCH, NETWORKS, BATCH))]
)
def test_every_bit_is_litert(first: int) -> None:
    summary = check_tflite(range(first, first + BATCH))
    assert not summary.failures, summary.text()
    assert summary.counts["programs"] == 4 * BATCH
