"""Groups in windows of columns take what the planner says that they do."""

import random

import pytest

from dero_tvm.aot.kernels import makes_windows, takes_table
from dero_tvm.driver.prepare import prepare
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.schedule.column_groups import in_column_windows
from dero_tvm.schedule.to_column_windows import to_column_windows
from tests.campaigns.random_windows import random_grouping
from tests.models.small_networks import image_to_image, residual_network

MODELS = {"residuals": lambda: residual_network(16), "up and down": lambda: image_to_image(16)}


@pytest.mark.parametrize("model", MODELS)
def test_as_many_bytes_and_multiply_accumulates_as_planned(model: str) -> None:
    network = prepare(MODELS[model]()).candidates().streamed_for_windows()
    costs = GroupCosts(
        to_column_windows(network, takes_table=takes_table, makes_windows=makes_windows)
    )
    kinds = set()
    for seed in range(12):
        grouping = random_grouping(network, random.Random(seed))
        windowed = in_column_windows(network, grouping, makes_windows)
        made = [op.group for op in windowed.operations if op.group is not None]
        for group, found in zip(grouping, made, strict=True):
            if group.first < group.last:
                cost = costs.of(group)
                assert (found.macs, found.patch_bytes) == (cost.macs, cost.inside), group
                kinds.add(bool(found.keeping))
    assert kinds == {False, True}
