"""Long skips that are made again: the same values, less that waits."""

from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.made_again import (
    frontier_with_skips,
    long_skips,
    made_again,
    unchanged,
)
from dero_tvm.planning.column_windows.network import Operand, Operation, Tensor, WindowNetwork
from dero_tvm.planning.column_windows.reach import Reach
from dero_tvm.planning.problem import BufferKind


def u_net(
    size: int = 32, channels: tuple[int, ...] = (8, 16, 32), by_rows: bool = False
) -> WindowNetwork:
    """Two 3x3 convolutions a level, pooling, upsampling, and convolutions of two tensors."""
    tensors = [Tensor("image", size, size, 3, BufferKind.INPUT)]
    operations: list[Operation] = []
    if by_rows:
        tensors[0] = Tensor("image", size, size, 3)
        operations.append(Operation("rows", (), 0, by_row=True))

    def operation(name: str, depth: int, reads, macs: int, length: int) -> int:  # type: ignore
        tensors.append(Tensor(name, length, length, depth))
        result = len(tensors) - 1
        operands = tuple(Operand(tensor, reach, reach) for tensor, reach in reads)
        operations.append(Operation(name, operands, result, macs * length * length * depth))
        return result

    def conv(depth: int, *read: int) -> int:
        length = tensors[read[0]].rows
        reach = Reach.sliding(length, length, 3, before=1)
        taps = 9 * sum(tensors[t].pixel_bytes for t in read)
        return operation("conv", depth, [(t, reach) for t in read], taps, length)

    x = 0
    skips = []
    for level, depth in enumerate(channels):
        if level:
            half = tensors[x].rows // 2
            reach = Reach.sliding(2 * half, half, 2, 2)
            x = operation("pool", tensors[x].pixel_bytes, [(x, reach)], 0, half)
        x = conv(depth, conv(depth, x))
        skips.append(x)
    for skip, depth in zip(skips[-2::-1], channels[-2::-1], strict=True):
        length = tensors[x].rows
        doubled = Reach.of(length, ((y // 2, y // 2 + 1) for y in range(2 * length)))
        x = operation("up", tensors[x].pixel_bytes, [(x, doubled)], 0, 2 * length)
        x = conv(depth, conv(depth, conv(depth, x), skip))
    x = conv(1, x)
    tensors[x] = Tensor("mask", size, size, 1, BufferKind.OUTPUT)
    return WindowNetwork(tuple(tensors), tuple(operations))


def test_a_skip_is_made_again_from_the_image():
    network = u_net()
    tensor, reader = long_skips(network)[0]
    again = made_again(unchanged(network), tensor, reader)
    assert again is not None
    added = len(again.network.operations) - len(network.operations)
    assert added == 2  # both convolutions of the first level
    assert again.originals[reader : reader + added] == (0, 1)
    assert again.network.readers[tensor][-1] < reader
    assert (
        again.network.macs == network.macs + network.operations[0].macs + network.operations[1].macs
    )
    made = set()
    for op in again.network.operations:
        assert all(o.tensor in made or o.tensor == 0 for o in op.operands)
        assert op.result not in made
        made.add(op.result)


def test_rows_that_are_handed_over_once_cannot_be_asked_for_again():
    """A deeper skip can be made of the first one, which waits anyway."""
    network = u_net(by_rows=True)
    ways = {
        network.tensors[tensor].rows: made_again(unchanged(network), tensor, reader)
        for tensor, reader in long_skips(network)
    }
    assert ways[32] is None
    assert ways[16] is not None and ways[16].originals.count(0) == 1


def test_making_skips_again_reaches_less_memory_for_some_work():
    network = u_net(16, (8, 16))
    points = frontier_with_skips(network)
    assert points[0].point.macs == network.macs and points[0].again.skips == ()
    skips = {point.again.skips for point in points}
    assert any(skips)
    sizes = [each.point.live_bytes for each in points]
    assert sizes == sorted(sizes, reverse=True)
    macs = [each.point.macs for each in points]
    assert macs == sorted(macs)
    for each in points:
        costs = GroupCosts(each.again.network)
        made = sum(costs.of(group).macs for group in each.point.plan.grouping)
        assert made == each.point.macs
