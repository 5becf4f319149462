"""Inputs and outputs by rows: how modules are marked, cut into cascades, and refused."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from relax_passes.ir.attributes import HAS_PORTS, streamed_inputs, streamed_outputs
from relax_passes.operators import make_call
from relax_passes.streaming.stream_ports import CannotStream, StreamPorts
from relax_passes.streaming.stream_rows import StreamRows
from tests.models.small_networks import Builder, image_to_image, residual_network, two_images

TABLE = np.arange(256).astype("int8")


def streamed(module: tvm.IRModule, inputs=(0,), outputs=(), **options) -> tvm.IRModule:
    return StreamRows(**options)(StreamPorts(inputs, outputs)(module))


def cascades(module: tvm.IRModule) -> dict[str, tuple[list[str], bool, str]]:
    """Cascade -> its operators, whether it trades rows, its direction."""
    found = {}
    for name, function in module.functions_items():
        if name.name_hint != "main":
            operators = [
                binding.var.name for block in function.body.blocks for binding in block.bindings
            ]
            direction = str(function.attrs["dero.direction"])
            found[name.name_hint] = (operators, HAS_PORTS in function.attrs, direction)
    return found


def test_marks_stay_with_the_module() -> None:
    module = StreamPorts([1], [0])(two_images())
    assert (streamed_inputs(module), streamed_outputs(module)) == ((1,), (0,))
    assert str(two_images()["main"].body) == str(module["main"].body)
    again = streamed(two_images(), [1], [0])
    assert (streamed_inputs(again), streamed_outputs(again)) == ((1,), (0,))
    assert streamed_inputs(two_images()) == ()


def test_the_image_enters_inside_the_first_cascade() -> None:
    found = cascades(streamed(residual_network(), limit=1 << 40))
    # Within any limit, only what reads the image has to run row by row with it.
    row_streamed = [entry for entry in found.values() if entry[1]]
    assert row_streamed == [(["stem"], True, "ascending")]
    assert all(len(operators) == 1 for operators, _, _ in found.values())


def test_an_image_that_is_not_marked_stays_whole() -> None:
    found = cascades(streamed(residual_network(), [], limit=1 << 40))
    assert not any(row_streamed for _, row_streamed, _ in found.values())


def test_input_and_output_by_rows_make_one_cascade() -> None:
    module = streamed(image_to_image(), [0], [0])
    assert list(cascades(module).values()) == [
        (["stem", "branch", "joined", "mask"], True, "ascending")
    ]


def test_the_pass_is_idempotent() -> None:
    once = streamed(image_to_image(), [0], [0])
    tvm.ir.assert_structural_equal(StreamRows()(once), once)


def test_a_single_row_is_refused() -> None:
    with pytest.raises(CannotStream, match=r"output 0 has the shape \[1, 1, 1, 24\], a single row"):
        StreamPorts([], [0])(residual_network())


def test_a_reader_that_needs_all_rows_at_once_is_refused() -> None:
    net = Builder(("x", (1, 8, 8, 3)))
    turned = net.emit("turned", make_call("transpose", [net.inputs[0]], axes=(0, 2, 1, 3)))
    module = net.build(net.conv("y", turned, 4))
    with pytest.raises(CannotStream, match=r"all rows of input x are needed at once.*nhwc"):
        streamed(module)


def test_a_reader_that_cannot_run_by_rows_is_refused() -> None:
    net = Builder(("x", (1, 8, 8, 3)))
    flat = net.emit("flat", make_call("reshape", [net.inputs[0]], shape=(1, 8, 24)))
    module = net.build(net.emit("y", make_call("lookup", [flat, relax.const(TABLE)])))
    with pytest.raises(CannotStream, match=r"input x .*: reshape flat needs it whole"):
        streamed(module)


def test_readers_in_different_cascades_are_refused() -> None:
    net = Builder(("x", (1, 8, 8, 3)))
    a = net.conv("a", net.inputs[0], 4)
    b = net.conv("b", net.inputs[0], 4)
    with pytest.raises(CannotStream, match=r"its readers \w+ a, \w+ b cannot all run in one"):
        streamed(net.build(a, b))


def test_an_output_that_is_read_again_is_refused() -> None:
    net = Builder(("x", (1, 8, 8, 3)))
    a = net.conv("a", net.inputs[0], 4)
    b = net.conv("b", a, 4)
    with pytest.raises(CannotStream, match=r"the output of \w+ a cannot .*: \w+ b reads it too"):
        streamed(net.build(b, a), [], [1])


def test_an_output_that_nothing_makes_is_refused() -> None:
    net = Builder(("x", (1, 8, 8, 3)))
    a = net.conv("a", net.inputs[0], 4)
    with pytest.raises(CannotStream, match="output number 1 is an input, a constant or another"):
        streamed(net.build(a, a), [], [1])


def test_an_input_that_nothing_reads_is_refused() -> None:
    net = Builder(("x", (1, 8, 8, 3)), ("unused", (1, 8, 8, 3)))
    with pytest.raises(CannotStream, match="input unused is read by no operator"):
        streamed(net.build(net.conv("a", net.inputs[0], 4)), [1])
