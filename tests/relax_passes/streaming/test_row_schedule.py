"""Row schedules: rings and distances of cascades worked out by hand, and random ones by force."""

from __future__ import annotations

import random

import pytest

from relax_passes.operators import TensorSpec
from relax_passes.streaming.row_schedule import simulate, simulate_passes
from tests.relax_passes.streaming.cascade_runs import Overwritten, image, operator, run, window

ROW = 4  # bytes of a row of one float32


def activation(result, source, spec):
    return operator("unary", result, (source, spec), function="relu")


def addition(result, a, spec_a, b, spec_b):
    return operator("add", result, (a, spec_a), (b, spec_b))


def test_a_chain_of_convolutions():
    x = image(6)
    schedule = simulate([window("a", "x", x), window("b", "a", x)])
    assert schedule.rings == {"a": 3}
    assert schedule.calls == (6, 6)
    # When row r of b is written, a has been made up to row r + 1 and needs x from r + 1 on.
    assert schedule.distance("x") == 0
    assert schedule.incomplete == ()


@pytest.mark.parametrize(
    ("kernel", "stride", "before", "rows", "distance"),
    [
        (1, 1, 0, 6, 1),  # row r over row r - 1
        (3, 1, 1, 6, 2),
        (5, 1, 2, 6, 3),
        (3, 2, 1, 6, 1),  # row 0 before row 0; later rows fall behind
        (3, 1, 2, 6, 3),
        (1, 3, 0, 7, 1),
    ],
)
def test_one_operator_over_its_input(kernel, stride, before, rows, distance):
    op = window("a", "x", image(rows), kernel, stride, before, before)
    assert simulate([op]).distance("x") == distance * ROW


def test_asymmetric_padding_seen_from_the_other_end():
    # Rows 0 and 1 of the window lie before the row it makes; descending, both are yet to be read.
    op = window("a", "x", image(6), 3, 1, 2, 0)
    assert simulate([op]).distance("x") == 3 * ROW
    assert simulate([op], descending=True).distance("x") == 1 * ROW


def test_a_wider_result_runs_ahead():
    op = window("a", "x", image(4), 1, 1, 0, 0, channels=3)
    # Row r ends at 12 * (r + 1) and may reach x's row r, at 4 * r: worst for the last row.
    assert simulate([op]).distance("x") == 12 * 4 - ROW * 3


def test_a_residual_block():
    x = image(8)
    block = [
        window("t", "x", x),
        window("a", "t", x),
        window("b", "a", x),
        addition("c", "b", x, "t", x),
        window("d", "c", x),
    ]
    schedule = simulate(block)
    # t: from the row that the addition takes to the one that two convolutions look ahead.
    assert schedule.rings == {"t": 3, "a": 3, "b": 3, "c": 3}
    assert schedule.in_place == {"c": "b"}
    assert schedule.ring_of("c") == "b"
    assert schedule.calls == (8,) * 5
    # By the time the addition asks for t, the long branch has had it made.
    assert [(d.reader, d.producer) for d in schedule.demands] == [(1, 0), (2, 1), (3, 2), (4, 3)]


def test_passes_begin_with_nothing():
    x = image(6)
    chain = [window("a", "x", x), window("b", "a", x), window("c", "b", x, 1, 2, 0, 0)]
    schedule = simulate_passes(chain, 2)
    # c has 3 rows, of b's rows 0, 2 and 4; b makes row 1 and 3 on the way.
    assert schedule.first == ((0, 0, 0), (3, 4, 2))
    assert schedule.end == ((4, 3, 2), (6, 5, 3))
    assert schedule.rings == {"a": 3, "b": 1}
    assert simulate_passes(chain, 3).first == ((0, 0, 0),)
    # All four rows of the first pass stay.
    assert simulate_passes(chain, 2, ["a"]).rings == {"a": 4, "b": 1}


def test_the_short_branch_goes_first():
    x = image(8)
    y = window("s", "t", x, 1, 2, 0, 0).signature.output
    block = [
        window("t", "x", x),
        window("a", "t", x, 3, 2),
        window("b", "a", y),
        window("s", "t", x, 1, 2, 0, 0),
        addition("c", "b", y, "s", y),
    ]
    schedule = simulate(block)
    asked = [d.producer for d in schedule.demands if d.reader == 4]
    assert asked == [3, 2]
    # s lets go of row 2 r before a asks for rows up to 2 r + 3: had a gone first, 4 rows of t.
    assert schedule.rings["t"] == 3


def test_pooling_and_resize():
    x = image(4)
    up = operator("resize2d", "u", ("a", x), size=(8, 1))
    big = up.signature.output
    down = operator("pool2d", "p", ("u", big), kind="max", pool_size=(2, 1), strides=(2, 1))
    schedule = simulate([activation("a", "x", x), up, down])
    assert schedule.rings == {"a": 1, "u": 2}
    assert schedule.calls == (4, 8, 4)
    # Row r of p is written when x is needed from row r + 1 on.
    assert schedule.distance("x") == 0


def test_elementwise_operators_work_in_place():
    x = image(5, 2)
    assert simulate([activation("a", "x", x)]).distance("x") == 0
    both = simulate([addition("a", "x", x, "y", x)])
    assert both.distance("x") == both.distance("y") == 0
    assert simulate([addition("a", "x", x, "x", x)]).distance("x") == 0
    # Kernels ascend inside a row: a descending output beside its operand would run over it.
    assert simulate([activation("a", "x", x)], descending=True).distance("x") == x.row_bytes


def test_a_narrower_type_begins_no_later_than_its_operand():
    x = image(5, 2)
    op = operator("quantize", "a", ("x", x), scale=1.0, zero_point=0, rounding="half_away")
    # Ends alone would let byte 6 of a row of x take element 0 before elements 1 is read.
    assert simulate([op]).distance("x") == 0


def test_a_row_that_is_broadcast_stays():
    x, row = image(5), image(1)
    schedule = simulate([addition("a", "x", x, "y", row)])
    assert schedule.distance("y") == 5 * ROW
    ring = simulate([activation("b", "y", row), addition("a", "x", x, "b", row)])
    assert ring.rings == {"b": 1}
    assert ring.calls == (1, 5)


def test_the_same_ring_twice():
    x = image(5)
    schedule = simulate([activation("a", "x", x), addition("b", "a", x, "a", x)])
    assert schedule.rings == {"a": 1}
    assert [(d.reader, d.operand) for d in schedule.demands] == [(1, 0)]


def test_global_pooling_needs_everything_unless_it_is_a_running_reduction():
    x = image(6)
    mean = operator("reduce", "m", ("a", x), kind="mean", axes=(1, 2))
    assert simulate([activation("a", "x", x), mean]).rings == {"a": 6}
    running = operator("reduce", "m", ("a", x), running_reduction=True, kind="mean", axes=(1, 2))
    schedule = simulate([activation("a", "x", x), running])
    assert schedule.rings == {"a": 1}
    assert schedule.calls == (6, 6)
    # It writes once, when all of x has been read: the output may lie anywhere.
    assert schedule.distance("x") == -6 * ROW
    # Straight from x it still reads the last row while it writes.
    alone = operator("reduce", "m", ("x", x), running_reduction=True, kind="mean", axes=(1, 2))
    assert simulate([alone]).distance("x") == ROW - 5 * ROW


def test_running_reduction_in_the_middle():
    x = image(6)
    mean = operator(
        "reduce", "m", ("a", x), running_reduction=True, kind="mean", axes=(1, 2), keepdims=True
    )
    excited = operator("multiply", "e", ("x", x), ("m", mean.signature.output))
    schedule = simulate([activation("a", "x", x), mean, excited])
    assert schedule.rings == {"a": 1, "m": 1}
    assert schedule.calls == (6, 6, 6)
    # x is read to the end before the first row of e is written, and then once more, in place.
    assert schedule.distance("x") == 0


def test_a_branch_that_needs_the_whole_fork():
    x = image(6)
    mean = operator("reduce", "m", ("a", x), kind="max", axes=(1, 2), keepdims=True)
    excited = operator("multiply", "e", ("a", x), ("m", mean.signature.output))
    schedule = simulate([window("a", "x", x), mean, excited])
    assert schedule.rings == {"a": 6, "m": 1}


def test_rows_nobody_asks_for_are_not_made():
    x = image(8)
    head = operator("slice", "s", ("b", x), begin=(0, 0, 0, 0), end=(1, 2, 1, 1))
    chain = [window("a", "x", x), window("b", "a", x), head]
    schedule = simulate(chain)
    assert schedule.calls == (3, 2, 2)
    # ... unless the tensor is needed outside: it is completed, with what that takes.
    schedule = simulate(chain, whole=("b",))
    assert schedule.calls == (8, 8, 2)
    assert schedule.incomplete == (1,)
    assert schedule.rings == {"a": 3}


def test_a_ring_and_a_demand_that_completion_alone_needs():
    x = image(8)
    head = operator("slice", "s", ("b", x), begin=(0, 0, 0, 0), end=(1, 1, 1, 1))
    chain = [window("a", "x", x), window("b", "a", x, 5, 1, 0, 4), head]
    schedule = simulate(chain, whole=("b",))
    assert schedule.rings == {"a": 5}
    assert schedule.incomplete == (1,)
    assert run(chain, schedule) == [8, 8, 1]


def test_a_computed_weight_is_made_whole_first():
    data, table = TensorSpec((1, 3, 1, 1), "int8"), TensorSpec((256,), "int8")
    chain = [
        operator("slice", "t", ("u", TensorSpec((512,), "int8")), begin=(0,), end=(256,)),
        operator("lookup", "y", ("x", data), ("t", table)),
    ]
    schedule = simulate(chain)
    assert [(d.reader, d.operand, d.producer) for d in schedule.demands] == [(1, 1, 0)]
    assert run(chain, schedule) == [1, 3]


def test_batches_are_one_image_after_another():
    x = image(4, batch=2)
    schedule = simulate([window("a", "x", x), window("b", "a", x)])
    assert schedule.calls == (8, 8)
    assert schedule.rings == {"a": 3}


# --- random cascades ------------------------------------------------------------------------------


def random_cascade(seed):
    """Operators over one or two inputs, the last one the driver, and the tensors that are whole."""
    chance = random.Random(seed)
    batch = 2 if chance.random() < 0.15 else 1
    height, width = chance.randint(1, 9), chance.choice((1, 2))
    specs = {"x": image(height, chance.randint(1, 3), width, batch)}
    if chance.random() < 0.4:
        specs["y"] = specs["x"]
    operators = []
    for number in range(chance.randint(1, 6)):
        source = chance.choice(list(specs)[-3:])
        name = f"t{number}"
        for _ in range(20):
            op = _random_operator(chance, name, source, specs)
            if op is not None:
                break
        else:
            op = activation(name, source, specs[source])
        operators.append(op)
        specs[name] = op.signature.output
    read = {name for op in operators for name in op.operands}
    whole = {op.result for op in operators if op.result not in read or chance.random() < 0.15}
    return operators, whole


def _random_operator(chance, name, source, specs):
    spec = specs[source]
    kind = chance.choice(
        ("window", "window", "window", "pool", "relu", "add", "add", "concat", "rows", "slice",
         "resize", "pad", "transpose", "reduce")
    )  # fmt: skip
    batch, height, width, channels = spec.shape
    try:
        if kind == "window":
            numbers = [chance.randint(1, 3), chance.randint(1, 3), chance.randint(0, 2)]
            numbers += [chance.randint(0, 2), chance.choice((1, 1, 2)), chance.randint(1, 3)]
            return window(name, source, spec, *numbers)
        if kind == "pool":
            size = chance.randint(1, min(3, height))
            attrs = {"pool_size": (size, 1), "strides": (chance.randint(1, 3), 1)}
            return operator("pool2d", name, (source, spec), kind="max", **attrs)
        if kind == "relu":
            return activation(name, source, spec)
        if kind == "add":
            fitting = [n for n, s in specs.items() if s.shape == spec.shape]
            other = chance.choice(fitting)
            pair = [(source, spec), (other, specs[other])]
            chance.shuffle(pair)
            return operator("add", name, *pair)
        if kind in ("concat", "rows"):
            axis = 3 if kind == "concat" else 1
            fits = [
                n for n, s in specs.items()
                if s.shape[:axis] + s.shape[axis + 1 :]
                == spec.shape[:axis] + spec.shape[axis + 1 :]
            ]  # fmt: skip
            if not fits or batch * height > 12:
                return None
            other = chance.choice(fits)
            return operator("concat", name, (source, spec), (other, specs[other]), axis=axis)
        if kind == "slice":
            begin = chance.randint(0, height - 1)
            end = chance.randint(begin + 1, height)
            return operator(
                "slice", name, (source, spec), begin=(0, begin, 0, 0),
                end=(batch, end, width, channels), strides=(1, chance.choice((1, 2)), 1, 1),
            )  # fmt: skip
        if kind == "resize":
            return operator("resize2d", name, (source, spec), size=(chance.randint(1, 9), width))
        if kind == "pad":
            sizes = {"pad_before": (0, chance.randint(0, 2), 0, 0), "pad_after": (0, 1, 0, 0)}
            return operator("pad", name, (source, spec), **sizes)
        if kind == "transpose":
            axes = chance.choice(((0, 2, 1, 3), (0, 1, 3, 2), (1, 0, 2, 3)))
            return operator("transpose", name, (source, spec), axes=axes)
        running_reduction = batch == 1 and height > 1 and chance.random() < 0.5
        attrs = {"kind": "max", "axes": (1, 2), "keepdims": True}
        return operator(
            "reduce", name, (source, spec), running_reduction=running_reduction, **attrs
        )
    except ValueError:
        return None


def _bytes_of(name, operators):
    return next(
        spec.bytes
        for op in operators
        for operand, spec in zip(op.operands, op.signature.inputs)
        if operand == name
    )


@pytest.mark.parametrize("first", range(0, 1200, 100))
def test_random_cascades_by_force(first):
    """Every ring and every distance is enough, and none could be less by a row or a byte."""
    tight = 0
    for seed in range(first, first + 100):
        operators, whole = random_cascade(seed)
        directions = (False,) if any(op.running_reduction for op in operators) else (False, True)
        for descending in directions:
            schedule = simulate(operators, descending, whole)
            context = f"seed {seed}, descending {descending}"
            calls = run(operators, schedule, descending)
            assert tuple(calls) == schedule.calls, context
            for op, count in zip(operators, calls):
                assert count == op.steps or (op.result in schedule.rings and count < op.steps)
            for name, height in schedule.rings.items():
                if height > 1 and name not in schedule.in_place:
                    with pytest.raises(Overwritten):
                        run(operators, schedule, descending, rings={name: height - 1})
                        pytest.fail(f"{context}: {height - 1} rows of {name} are enough")
                    tight += 1
            made = {op.result for op in operators}
            for name in schedule.tensors_read:
                if name in made:
                    continue
                distance = schedule.distance(name)
                size = _bytes_of(name, operators)
                if distance <= -size:  # anywhere
                    run(operators, schedule, descending, beside=(name, -size // 2))
                    continue
                run(operators, schedule, descending, beside=(name, distance))
                with pytest.raises(Overwritten):
                    run(operators, schedule, descending, beside=(name, distance - 1))
                    pytest.fail(f"{context}: {name} with a distance of {distance - 1}")
                tight += 1
    assert tight > 100
