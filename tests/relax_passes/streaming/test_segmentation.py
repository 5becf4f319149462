"""Segmentations against the enumeration of all of them, on chains and on branching networks."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from relax_passes.streaming.row_schedule import simulate
from relax_passes.streaming.segmentation import Item, segment
from tests.relax_passes.streaming.cascade_runs import image, operator, window


def items_of(operators, **changes):
    """Items of operators in written order; `changes` by result: scratch, streamable, state."""
    found = []
    for op in operators:
        pairs = zip(op.operands, op.signature.inputs)
        tensors = {name: spec.bytes for name, spec in pairs if name}
        extra = changes.get(op.result, {})
        found.append(Item(op, tensors, op.signature.output.bytes, **extra))
    return found


class Enumeration:
    """Every segmentation, each costed from scratch: one schedule for every single segment."""

    def __init__(self, items, inputs, outputs, keep_inputs=False):
        self.items, self.keep = items, set(outputs) | (set(inputs) if keep_inputs else set())
        self.sizes = {i.operator.result: i.result_bytes for i in items} | dict(inputs)
        self.sizes = {name: -(-size // 4) * 4 for name, size in self.sizes.items()}
        self.costs = {}

    def all(self):
        """(segments, their bytes) for each way to cut."""
        count = len(self.items)
        for number in range(count):
            for cuts in combinations(range(1, count), number):
                bounds = [0, *cuts, count]
                segments = list(zip(bounds, bounds[1:]))
                costs = [self.cost(*s) for s in segments]
                if None not in costs:
                    yield segments, costs

    def cost(self, begin, end):
        if (begin, end) not in self.costs:
            self.costs[begin, end] = self._cost(begin, end)
        return self.costs[begin, end]

    def _cost(self, begin, end):
        members = [item.operator for item in self.items[begin:end]]
        if len(members) > 1 and not all(item.streamable for item in self.items[begin:end]):
            return None
        if not self._all_feed_the_last(members):
            return None
        made = {op.result for op in members}
        before = {item.operator.result for item in self.items[:begin]}
        before |= set(self.sizes) - {item.operator.result for item in self.items}
        later = self.keep.union(*(item.tensors for item in self.items[end:]))
        here = set().union(*(item.tensors for item in self.items[begin:end]))
        alive = {name for name in before if name in later or name in here}
        whole = {name for name in made if name in later} | {members[-1].result}
        total = sum(self.sizes[name] for name in alive | whole)
        total += max(item.scratch for item in self.items[begin:end])
        if not self.items[end - 1].streamable or (
            len(members) == 1 and members[0].running_reduction
        ):
            return total  # nothing is shared
        schedule = simulate(members, whole=whole)
        for name, height in schedule.rings.items():
            if name not in schedule.in_place:
                row_bytes = next(o.signature.output.row_bytes for o in members if o.result == name)
                total += -(-height * row_bytes // 4) * 4
        total += sum(item.state for item in self.items[begin:end])
        dying = []
        for name in alive - later:
            if not self._read_at_once(name, members):
                dying.append((self.sizes[name], schedule.distance(name)))
        output = self.sizes[members[-1].result]
        apart = output + sum(size for size, _ in dying)
        return total - apart + least_span(output, dying)

    def _all_feed_the_last(self, members):
        fed = {members[-1].result}
        for op in reversed(members):
            if op.result in fed:
                fed.update(op.operands)
        return all(op.result in fed for op in members)

    def _read_at_once(self, name, members):
        return any(
            operand == name and index not in op.row_operands
            for op in members
            for index, operand in enumerate(op.operands)
        )


def least_span(output, inputs):
    """Least bytes of an output and inputs at allowed distances, by trying addresses."""
    best = output + sum(size for size, _ in inputs)
    steps = sorted({0, *(max(d, 0) for _, d in inputs), output})
    if not inputs:
        return output
    for order in _orders(inputs):
        for start in steps:
            top, fits = start, True
            for size, distance in order:
                fits = fits and (top >= min(distance, output))
                top += size
            if fits:
                best = min(best, max(top, output))
    return best


def _orders(inputs):
    if len(inputs) <= 1:
        yield inputs
    for index, entry in enumerate(inputs):
        for rest in _orders(inputs[:index] + inputs[index + 1 :]) if len(inputs) > 1 else ():
            yield [entry, *rest]


def streamed(segments):
    return sum(end - begin for begin, end in segments if end - begin > 1)


def check(items, inputs, outputs, **options):
    """`segment` finds the least peak of all segmentations, and the least streaming within it."""
    found = segment(items, inputs, outputs, **options)
    limit = options.pop("limit", None)
    ways = list(Enumeration(items, inputs, outputs, **options).all())
    least = min(max(costs) for _, costs in ways)
    bound = max(least, limit or 0)
    within = [(segments, costs) for segments, costs in ways if max(costs) <= bound]
    costs = {tuple(segments): max(each) for segments, each in within}
    assert found.segments in costs
    assert found.bytes == costs[found.segments] <= bound
    if limit is None:
        assert found.bytes == least
    assert streamed(found.segments) == min(streamed(segments) for segments, _ in within)
    return found


def chain(*channels, height=8):
    """Convolutions one after another, given channels of the input and of each result."""
    spec, operators = image(height, channels[0]), []
    for number, count in enumerate(channels[1:]):
        source = f"t{number - 1}" if number else "x"
        operators.append(window(f"t{number}", source, spec, channels=count))
        spec = operators[-1].signature.output
    return operators, {"x": image(height, channels[0]).bytes}


def test_a_wide_middle_is_streamed():
    operators, inputs = chain(1, 9, 1, 1)
    found = check(items_of(operators), inputs, ["t2"])
    # The wide tensor is 3 rows of 36 bytes; x, 8 rows of 4 bytes, and what comes of it overlap.
    assert (0, 2) in found.segments or (0, 3) in found.segments
    assert found.bytes == 3 * 36 + 32


def test_what_needs_no_streaming_is_not_streamed():
    operators, inputs = chain(4, 4, 4)
    alone = check(items_of(operators), inputs, ["t1"], limit=10_000)
    assert alone.segments == ((0, 1), (1, 2))
    assert alone.bytes == 8 * 16 + 2 * 16  # overlapping by all but two rows


def test_a_limit_in_between():
    operators, inputs = chain(1, 6, 1, 4, 1)
    items = items_of(operators)
    least = segment(items, inputs, ["t3"]).bytes
    most = segment(items, inputs, ["t3"], limit=10_000).bytes
    numbers = set()
    for limit in range(least, most + 4, 4):
        found = check(items, inputs, ["t3"], limit=limit)
        assert found.bytes <= limit
        numbers.add(streamed(found.segments))
    assert len(numbers) > 2 and min(numbers) == 0


def test_a_limit_below_the_least_gives_the_least():
    operators, inputs = chain(1, 9, 1)
    items = items_of(operators)
    assert segment(items, inputs, ["t1"], limit=1) == segment(items, inputs, ["t1"])


def test_operators_that_run_alone_cut():
    operators, inputs = chain(1, 9, 9, 1)
    found = check(items_of(operators, t1={"streamable": False}), inputs, ["t2"])
    assert found.segments == ((0, 1), (1, 2), (2, 3))


def test_scratch_and_state_count():
    operators, inputs = chain(1, 9, 1)
    plain = segment(items_of(operators), inputs, ["t1"]).bytes
    with_scratch = check(items_of(operators, t0={"scratch": 40}), inputs, ["t1"])
    assert with_scratch.bytes == plain + 40
    operators, inputs = chain(1, 9, 9)
    last = ("t1", operators[-1].signature.output)
    mean = operator("reduce", "m", last, running_reduction=True, kind="mean", axes=(1, 2))
    items = items_of([*operators, mean], m={"state": 36})
    found = check(items, inputs, ["m"])
    assert found.segments == ((0, 3),)
    # x, 3 rows of t0, one of t1, the state; the result lies over x, which is read by then.
    assert found.bytes == 32 + 4 * 36 + 36 + 4


def test_inputs_that_are_kept_are_not_overwritten():
    operators, inputs = chain(2, 2)
    free = check(items_of(operators), inputs, ["t0"])
    kept = check(items_of(operators), inputs, ["t0"], keep_inputs=True)
    assert kept.bytes == 2 * inputs["x"] > free.bytes


def random_network(seed):
    chance = random.Random(seed)
    height = chance.randint(6, 14)
    specs = {"x": image(height, chance.randint(1, 3))}
    if chance.random() < 0.3:
        specs["y"] = specs["x"]
    inputs = {name: spec.bytes for name, spec in specs.items()}
    operators, changes = [], {}
    for number in range(chance.randint(2, 7)):
        source = list(specs)[-1 - min(int(chance.expovariate(1.5)), len(specs) - 1)]
        spec, name = specs[source], f"t{number}"
        same = [n for n, s in specs.items() if s == spec and n != source]
        gates = [n for n, s in specs.items() if s.rows == 1 and s.channels == spec.channels]
        kind = chance.choice(("window", "window", "wide", "wide", "relu", "add", "mean", "gate"))
        if kind == "add" and same:
            pair = [(source, spec), (chance.choice(same), spec)]
            op = operator("add", name, *pair)
        elif kind == "mean" and spec.rows > 1:
            attrs = {"kind": "mean", "axes": (1, 2), "keepdims": True}
            op = operator(
                "reduce", name, (source, spec), running_reduction=chance.random() < 0.5, **attrs
            )
            changes[name] = {"state": 4 * spec.channels if op.running_reduction else 0}
        elif kind == "gate" and gates:
            op = operator("multiply", name, (source, spec), (gates[0], specs[gates[0]]))
        elif kind == "relu":
            op = operator("unary", name, (source, spec), function="relu")
        else:
            stride = 2 if spec.rows > 3 and chance.random() < 0.3 else 1
            channels = 8 if kind == "wide" else chance.randint(1, 3)
            op = window(name, source, spec, 3, stride, channels=channels)
            changes[name] = {"scratch": chance.choice((0, 0, 8))}
        if chance.random() < 0.1:
            changes[name] = {"streamable": False}
        operators.append(op)
        specs[name] = op.signature.output
    read = {name for op in operators for name in op.operands}
    outputs = [op.result for op in operators if op.result not in read or chance.random() < 0.1]
    return items_of(operators, **changes), inputs, outputs, chance


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_random_networks_by_enumeration(first):
    several = 0
    for seed in range(first, first + 50):
        items, inputs, outputs, chance = random_network(seed)
        keep = chance.random() < 0.2
        least = check(items, inputs, outputs, keep_inputs=keep)
        most = segment(items, inputs, outputs, keep_inputs=keep, limit=1 << 40)
        limit = chance.randint(least.bytes, max(most.bytes, least.bytes))
        check(items, inputs, outputs, keep_inputs=keep, limit=limit)
        several += streamed(least.segments) > 0
    assert several > 5
