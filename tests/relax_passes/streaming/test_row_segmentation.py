"""Cascades for rows with places of their own: what is alive, against the calls of the network."""

from __future__ import annotations

import pytest
import tvm

from dero_tvm.aot.kernels import takes_table
from dero_tvm.planning.rows.lives import lives_of
from dero_tvm.schedule.extract import extract
from dero_tvm.schedule.to_problem import Sharing, to_problem
from dero_tvm.schedule.to_rows import to_rows
from relax_passes.streaming import stream_rows
from relax_passes.streaming.segmentation import Segmentation
from relax_passes.streaming.stream_rows import StreamRows
from tests.models.random_networks import random_network
from tests.models.small_networks import image_to_image, residual_network, two_images


def most_alive(module: tvm.IRModule) -> int:
    """Bytes of rows alive at most while the cascades of `module` run in written order."""
    scheduled = to_problem(extract(module), sharing=Sharing.ROWS)
    order = range(len(scheduled.network.cascades))
    return lives_of(to_rows(scheduled, order, takes_table=takes_table)).peak


@pytest.mark.parametrize("network", [residual_network, image_to_image, two_images])
def test_the_bytes_of_a_segmentation_are_those_alive(network, monkeypatch) -> None:
    found: list[Segmentation] = []
    segment = stream_rows.segment_for_row_placement

    def kept(*arguments, **options) -> Segmentation:
        found.append(segment(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(stream_rows, "segment_for_row_placement", kept)
    module = StreamRows(row_placement=True)(network())
    assert found[0].bytes == most_alive(module)


def test_no_more_is_alive_than_with_cascades_for_rings() -> None:
    fewer = 0
    for seed in range(40):
        network = random_network(seed)
        rings = most_alive(StreamRows()(network))
        rows = most_alive(StreamRows(row_placement=True)(network))
        assert rows <= rings, f"seed {seed}"
        fewer += rows < rings
    assert fewer
