"""Long skips: which ones wait at the peak, what would make them again, and what cannot."""

from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.long_skips import LongSkip, long_skip, skips_at_peak
from dero_tvm.planning.column_windows.network import Operand, Operation, Tensor, WindowNetwork
from dero_tvm.planning.column_windows.reach import Reach
from dero_tvm.planning.column_windows.window_plan import WindowPlan, rows_of
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
        tensors.append(Tensor(f"{name} {len(tensors)}", length, length, depth))
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


def waits(network: WindowNetwork) -> list[tuple[int, tuple[int, ...]]]:
    """Tensors with the readers behind their last wait."""
    return [
        (tensor, readers[-1:])
        for tensor, readers in enumerate(network.readers)
        if len(readers) > 1 and readers[-1] - readers[-2] > 1
    ]


def skips(network: WindowNetwork, share: float = 1.0) -> list[LongSkip]:
    """Those at the peak of the network row by row, in one cascade."""
    costs = GroupCosts(network)
    count = len(network.operations)
    plan = WindowPlan(tuple(costs.alone(op).group for op in range(count)), (0,))
    problem = rows_of(costs, plan)
    return skips_at_peak(
        network,
        problem,
        lambda call: range(call.operation, call.operation + 1),
        int(share * network.macs),
    )


def test_a_skip_is_made_again_from_the_image() -> None:
    network = u_net()
    tensor, readers = waits(network)[0]
    skip = long_skip(network, tensor, readers)
    assert skip is not None
    assert skip.chain == (0, 1)  # both convolutions of the first level
    assert skip.macs == network.operations[0].macs + network.operations[1].macs


def test_a_copy_begins_from_what_is_there_anyway() -> None:
    """The second level begins from the first one's skip, which waits longer."""
    network = u_net()
    tensor, readers = waits(network)[1]
    skip = long_skip(network, tensor, readers)
    assert skip is not None and skip.chain == (2, 3, 4)


def test_rows_that_are_handed_over_once_cannot_be_asked_for_again() -> None:
    """A deeper skip can be made of the first one, which waits anyway."""
    network = u_net(by_rows=True)
    found = {
        network.tensors[t].rows: long_skip(network, t, readers) for t, readers in waits(network)
    }
    assert found[32] is None
    assert found[16] is not None and len(found[16].chain) == 3


def test_what_waits_at_the_peak_is_found_and_the_largest_first() -> None:
    network = u_net()
    found = skips(network)
    tensors = [skip.tensor for skip in found]
    assert tensors == [tensor for tensor, _ in waits(network)][: len(tensors)] != []
    sizes = [network.tensors[tensor].bytes for tensor in tensors]
    assert sizes == sorted(sizes, reverse=True)
    cheapest = min(skip.macs for skip in found)
    assert all(skip.macs == cheapest for skip in skips(network, cheapest / network.macs + 1e-9))
    assert skips(network, (cheapest - 1) / network.macs) == []
