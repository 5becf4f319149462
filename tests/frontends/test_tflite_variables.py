"""Variables of TFLite files: what they become, and files of which that is not known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dero_tvm.frontends.load import load
from relax_passes.ir.states import network_states
from tests.end_to_end import stateful_models as models
from tests.frontends.refusals import refusal
from tests.models.tflite_builder import TFLiteBuilder

OWN = {"scale": 0.1, "zero_point": -3}


def test_parameters_and_results() -> None:
    """States are the last ones, with the values of CALL_ONCE, and no ports."""
    loaded = load(models.streaming_convolution())
    assert [port.name for port in loaded.inputs] == ["x"]
    assert [port.name for port in loaded.outputs] == ["y"]
    (state,) = network_states(loaded.module)
    assert state.name == "history"
    np.testing.assert_array_equal(state.initial.ravel(), np.arange(7, 25))
    main = loaded.module["main"]
    assert [str(p.ty.dtype) for p in main.params] == ["int8", "int8"]
    assert len(main.ret_ty.fields) == 2


def test_values_without_initializer() -> None:
    """Zero, as an integer the zero point."""
    (state,) = network_states(load(models.streaming_convolution(initial=None)).module)
    assert np.all(state.initial == -3) and state.initial.dtype == np.int8
    (state,) = network_states(load(models.svdf("int8", zero=-20)).module)
    assert np.all(state.initial == -20)


def test_a_variable_that_nobody_uses_is_none() -> None:
    builder = TFLiteBuilder()
    x, y = builder.input("x", (1, 4)), builder.tensor("y", (1, 4))
    builder.tensor("state", (1, 4), is_variable=True)
    builder.operator("RELU", [x], [y])
    assert not network_states(load(builder.build([y])).module)


class Variables(TFLiteBuilder):
    """A graph with one variable, int8 of shape [1, 4]."""

    def handle(self, name: bytes = b"v") -> int:
        handle = self.tensor("handle", (), "resource")
        self.operator("VAR_HANDLE", [], [handle], shared_name=name)
        return handle

    def read(self, handle: int, name: str, **own: float) -> int:
        value = self.tensor(name, (1, 4), "int8", **(own or OWN))
        self.operator("READ_VARIABLE", [handle], [value])
        return value


def another_shape() -> bytes:
    b = Variables()
    x = b.input("x", (1, 2), "int8", **OWN)
    handle = b.handle()
    old = b.read(handle, "old")
    b.operator("ASSIGN_VARIABLE", [handle, x], [])
    return b.build([old])


def another_scale() -> bytes:
    b = Variables()
    x = b.input("x", (1, 4), "int8", **OWN)
    handle = b.handle()
    b.operator("ASSIGN_VARIABLE", [handle, x], [])
    return b.build([b.read(handle, "new", scale=0.2, zero_point=1)])


def computed_initial_values() -> bytes:
    b, once = Variables(), TFLiteBuilder()
    b.operator("CALL_ONCE", [], [], init_subgraph_index=1)
    one = once.constant("one", [[1.0] * 4], "float32")
    once.operator("RELU", [one], [once.tensor("y", (1, 4))])
    b.input("x", (1, 4), "int8", **OWN)
    return b.build([b.read(b.handle(), "old")], others=[once])


def initial_values_of_another_shape() -> bytes:
    b, once = Variables(), TFLiteBuilder()
    b.operator("CALL_ONCE", [], [], init_subgraph_index=1)
    handle = once.tensor("handle", (), "resource")
    once.operator("VAR_HANDLE", [], [handle], shared_name=b"v")
    values = once.constant("one", [[1] * 5], "int8", **OWN)
    once.operator("ASSIGN_VARIABLE", [handle, values], [])
    b.input("x", (1, 4), "int8", **OWN)
    return b.build([b.read(b.handle(), "old")], others=[once])


def handle_from_outside() -> bytes:
    b = Variables()
    b.input("x", (1, 4), "int8", **OWN)
    return b.build([b.read(b.tensor("handle", (), "resource"), "old")])


def no_such_graph() -> bytes:
    b = Variables()
    b.operator("CALL_ONCE", [], [], init_subgraph_index=4)
    b.input("x", (1, 4), "int8", **OWN)
    return b.build([b.read(b.handle(), "old")])


def svdf_of_an_ordinary_tensor() -> bytes:
    b = TFLiteBuilder()
    x = b.input("x", (1, 3))
    weights = [b.constant(n, np.ones(s), "float32") for n, s in (("f", (2, 3)), ("t", (2, 4)))]
    state = b.tensor("s", (1, 8))
    y = b.tensor("y", (1, 2))
    b.operator("SVDF", [x, *weights, None, state], [y], rank=1)
    return b.build([y])


def lstm_with(position: int) -> bytes:
    """A layer with an operand that ordinary ones do not have, or without one that they have."""
    b = TFLiteBuilder()
    x = b.input("x", (1, 2, 3))
    inner = [b.constant(f"w{i}", np.ones((2, 3)), "float32") for i in range(4)]
    recurrent = [b.constant(f"r{i}", np.ones((2, 2)), "float32") for i in range(4)]
    biases = [b.constant(f"b{i}", np.ones(2), "float32") for i in range(4)]
    states = [b.tensor(n, (1, 2), is_variable=True) for n in "hc"]
    operands = [x, *inner, *recurrent, None, None, None, *biases, None, None, *states]
    operands += [None] * 4
    present = operands[position] is not None
    operands[position] = None if present else b.constant("more", np.ones(2), "float32")
    y = b.tensor("y", (1, 2, 2))
    activation = {"fused_activation_function": "TANH"}
    b.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], **activation)
    return b.build([y])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (another_shape, "the variable 'v' is int8 [1, 4] as 'old' and int8 [1, 2] as 'x'"),
        (another_scale, "the variable 'v' is read as 'new' with another scale or zero point"),
        (computed_initial_values, "CALL_ONCE initializes variables with what RELU computes"),
        (
            initial_values_of_another_shape,
            "the variable 'v' is initialized with int8 [1, 5] and read as int8 [1, 4]",
        ),
        (handle_from_outside, "takes its variable from 'handle', which no VAR_HANDLE gives"),
        (no_such_graph, "CALL_ONCE runs graph 4 of 1"),
        (svdf_of_an_ordinary_tensor, "the variable 's' of SVDF ('y') is an ordinary"),
        (lambda: lstm_with(1), "that computes 'y': an LSTM with coupled input and forget gates"),
        (lambda: lstm_with(10), "an LSTM with peepholes is not supported"),
        (lambda: lstm_with(16), "an LSTM with a projection is not supported"),
        (lambda: lstm_with(21), "an LSTM with layer normalization is not supported"),
    ],
)
def test_refusals(build: Callable[[], bytes], message: str) -> None:
    assert message in refusal(build())
