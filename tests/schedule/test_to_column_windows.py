"""What column windows see of a network, against the calls that rows are placed by."""

import random

import pytest
import tvm

from dero_tvm import UserError
from dero_tvm.aot.kernels import makes_windows, takes_table
from dero_tvm.driver.prepare import prepare
from dero_tvm.driver.window_choice import fastest_in_windows, first_that_fits
from dero_tvm.driver.window_plans import WindowPlans, window_plans
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.grouping import Grouping
from dero_tvm.planning.column_windows.window_plan import WindowPlan, live_bytes, macs_of
from dero_tvm.planning.rows.lives import lives_of
from dero_tvm.schedule.network import Network
from dero_tvm.schedule.recut import recut
from dero_tvm.schedule.to_column_windows import NoWindows, needed_columns, to_column_windows
from dero_tvm.schedule.to_problem import Sharing, to_problem
from dero_tvm.schedule.to_rows import to_rows
from relax_passes.operators import Signature, TensorSpec, operator_of
from relax_passes.streaming.make_again import Again
from tests.models.random_networks import random_network
from tests.models.small_networks import image_to_image, residual_network

IMAGE = (1, 9, 11, 4)


def _network(module: tvm.IRModule) -> Network:
    network = prepare(module).candidates().streamed_for_windows()
    assert network is not None
    return network


def _alive(network: Network) -> int:
    scheduled = to_problem(network, sharing=Sharing.ROWS)
    order = range(len(network.cascades))
    return lives_of(to_rows(scheduled, order, takes_table=takes_table)).peak


@pytest.mark.parametrize("seed", range(10))
def test_without_windows_the_same_rows_are_alive(seed: int) -> None:
    """In the network's own cascades, and in others that it may be cut into.

    Of a tensor that is seen in several shapes all rows count as long as it is needed.
    """
    network = _network(random_network(seed))
    try:
        costs = GroupCosts(
            to_column_windows(network, takes_table=takes_table, makes_windows=makes_windows)
        )
    except NoWindows:
        pytest.skip("it has parts of tensors")
    views = any(value.name != value.buffer for value in network.values.values())
    operations = costs.network.operations
    groups = tuple(costs.alone(op).group for op in range(len(operations)))
    begins = [0]
    for cascade in network.cascades:
        begins.append(begins[-1] + len(cascade.operations))
    given = tuple(begins[:-1])
    choose = random.Random(seed)
    alone = {op for op, what in enumerate(operations) if what.alone}
    alone |= {op + 1 for op in alone} - {len(operations)}
    some = {op for op in range(1, len(operations)) if choose.random() < 0.3}
    for cuts in (given, tuple(sorted({0} | alone | some))):
        if not alone <= set(cuts):
            continue
        plan = WindowPlan(groups, cuts)
        assert macs_of(costs, plan) == network.macs
        alive, expected = live_bytes(costs, plan), _alive(recut(network, cuts))
        assert alive == expected or views and alive > expected


SHIFTED = {"padding": (1, 2, 1, 2), "pool_size": (3, 4), "pool_padding": (1, 1, 1, 2)}


@pytest.mark.parametrize(
    ("name", "shapes", "attrs"),
    [
        ("conv2d", [(5, 3, 2, 4)], {"padding": (1, 0, 0, 2), "strides": (1, 2)}),
        ("conv2d", [(5, 1, 3, 4)], {"padding": (0, 2, 0, 1), "dilation": (1, 2)}),
        ("shortcut_conv2d", [(5, 1, 1, 4)], {"pool_size": (3, 2), "pool_padding": (1, 0, 1, 1)}),
        ("shortcut_conv2d", [(5, 3, 5, 4)], SHIFTED),
        ("pool2d", [], {"kind": "max", "pool_size": (3, 2), "strides": (1, 3)}),
        ("resize2d", [], {"size": (9, 22)}),
        ("resize2d", [], {"size": (18, 7), "coordinates": "half_pixel"}),
        ("add", [IMAGE], {}),
        ("add", [(1, 9, 1, 4)], {}),
        ("concat", [IMAGE], {"axis": 3}),
    ],
)
def test_a_column_reads_the_columns_whose_values_change_it(name, shapes, attrs):
    """The columns of the turned image are its rows, for which operators answer themselves."""

    def turned(shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], shape[2], shape[1], shape[3])

    operator = operator_of(f"dero.{name}")
    pairs = {"strides", "dilation", "pool_size", "size"}
    other = {key: value[::-1] if key in pairs else value for key, value in attrs.items()}
    for key in {"padding", "pool_padding"} & set(attrs):
        top, left, bottom, right = attrs[key]
        other[key] = (left, top, right, bottom)
    signatures = []
    for given, turn in ((attrs, tuple), (other, turned)):
        inputs = [TensorSpec(turn(shape), "float32") for shape in (IMAGE, *shapes)]
        biases = {"conv2d": 1, "shortcut_conv2d": 3}.get(name, 0)
        inputs += [TensorSpec((5,), "float32")] * biases
        filled = operator.defaults | given
        output = operator.infer(tuple(inputs), filled)
        signatures.append(Signature(f"dero.{name}", tuple(inputs), output, filled))
    upright, lying = signatures
    rows = lying.output.rows
    for index in operator.row_arguments(upright):
        expected = [operator.needed_rows(lying, index, row) for row in range(rows)]
        assert needed_columns(upright, index) == expected


@pytest.fixture(scope="module")
def plans() -> WindowPlans:
    candidates = prepare(image_to_image(16)).candidates()
    found = window_plans(candidates.planner, candidates.streamed_for_windows)
    assert found is not None
    return found


def test_the_choice_within_a_budget_says_what_it_costs(plans: WindowPlans) -> None:
    """Rows are placed within the bytes that are alive, but those of the least plan need 8 more."""
    first, *_, before, least = plans.points
    assert plans.ratio(first) == 1
    assert plans.ratio(least) > 1 and plans.windows(least.plan)
    assert plans.ratio_within(least.live_bytes) == plans.ratio(least)
    assert plans.ratio_within(least.live_bytes - 1) is None
    sizes = {
        plans.windows(plan): point.live_bytes + 8 * (point is least)
        for point in plans.points
        for plan in plans.variants(point)[-1:]
    }
    assert len(sizes) == len(plans.points)

    def make(
        cut: Network, grouping: Grouping, below: int | None, again: tuple[Again, ...]
    ) -> int | None:
        size = sizes.get(grouping)  # of wider windows: that they find no place
        return size if size is not None and (below is None or size < below) else None

    def chosen(budget: int, most: float | None = None, without: int | None = None) -> int:
        return fastest_in_windows(plans, make, int, "net", budget, most, without)

    assert chosen(first.live_bytes) == first.live_bytes
    assert chosen(before.live_bytes) == before.live_bytes
    size = least.live_bytes + 8
    assert chosen(size) == size
    with pytest.raises(UserError) as refused:
        chosen(size - 1)
    ratio = f"{plans.ratio(least):.2f}x multiply-accumulates"
    assert str(refused.value).startswith(
        f"net does not fit --memory-budget {size - 1:,} bytes: the least possible is {size:,} "
        f"bytes at {ratio}, 1 more; raise --memory-budget"
    )
    with pytest.raises(UserError) as refused:
        chosen(size, most=1)
    assert str(refused.value).startswith(
        f"net does not fit --memory-budget {size:,} bytes within --max-recompute 1: the least "
        f"possible is {first.live_bytes:,} bytes at 1.00x multiply-accumulates, "
    )
    assert f"; it would at {ratio}: raise --max-recompute, or raise --mem" in str(refused.value)
    with pytest.raises(UserError, match=rf"is {size + 4:,} bytes at 1\.00x mu.*, 8 more"):
        chosen(size - 4, most=1, without=size + 4)  # rows in the best order need less


def test_a_residual_network_keeps_its_joins_in_groups() -> None:
    network = _network(residual_network(32))
    described = to_column_windows(network, takes_table=takes_table, makes_windows=makes_windows)
    assert sum(op.windowed for op in described.operations) >= len(described.operations) - 2


def test_a_plan_whose_rows_find_no_place_gives_way_to_the_next(plans: WindowPlans) -> None:
    budget = plans.points[-3].live_bytes
    tried = []

    def make(cut: Network, grouping: Grouping, below: int | None, again: tuple[Again, ...]) -> int:
        assert below == budget + 1
        assert [op.name for c in cut.cascades for op in c.operations] == [
            op.name for c in plans.least.way.network.cascades for op in c.operations
        ]
        tried.append(grouping)
        return budget + 2 - len(tried)

    found = first_that_fits(plans, make, int, budget)
    assert found == (plans.points[-2], budget)
    widest = [plans.variants(point, budget + 1)[0] for point in plans.points[-3:-1]]
    assert tried == [plans.windows(plan) for plan in widest]
    # The smallest of those with nothing made twice is tried, too, though more is alive in it.
    limited = first_that_fits(plans, lambda *_: budget + 1, int, budget, max_recompute=1.0)
    assert limited is None
