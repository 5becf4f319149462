"""TFLite models that keep something from one inference to the next."""

from __future__ import annotations

import numpy as np

from tests.models.tflite_builder import TFLiteBuilder

_STRIDES = {"stride_w": 1, "stride_h": 1}


def svdf(
    kind: str, *, rank: int = 1, batch: int = 1, zero: int = 0, seed: int = 0, scale: float = 0.05
) -> bytes:
    """One layer: `kind` float32, or int8 and int16 for the state of an int8 layer."""
    rng = np.random.default_rng(seed)
    width, units, memory = 10, 6, 5
    filters = units * rank
    b = TFLiteBuilder()
    if kind == "float32":
        x = b.input("x", (batch, width))
        feature = b.constant("f", rng.standard_normal((filters, width)), "float32")
        time = b.constant("t", rng.standard_normal((filters, memory)), "float32")
        bias = b.constant("b", rng.standard_normal(units), "float32")
        state = b.tensor("s", (batch, filters * memory), is_variable=True)
        y = b.tensor("y", (batch, units))
    else:
        short = kind == "int16"
        state_scale, time_scale = (0.0005, 0.0001) if short else (scale, 0.02)
        most = 3000 if short else 127
        x = b.input("x", (batch, width), "int8", scale=0.05, zero_point=3)
        feature = b.constant("f", rng.integers(-127, 128, (filters, width)), "int8", scale=0.01)
        time = rng.integers(-most, most + 1, (filters, memory))
        time = b.constant("t", time, kind, scale=time_scale)
        bias = rng.integers(-500, 500, units)
        bias = b.constant("b", bias, "int32", scale=state_scale * time_scale)
        shape = (batch, filters * memory)
        state = b.tensor("s", shape, kind, scale=state_scale, zero_point=zero, is_variable=True)
        y = b.tensor("y", (batch, units), "int8", scale=0.1, zero_point=-5)
    b.operator(
        "SVDF", [x, feature, time, bias, state], [y], rank=rank, fused_activation_function="RELU"
    )
    return b.build([y])


def lstm(
    kind: str,
    *,
    steps: int = 4,
    batch: int = 1,
    time_major: bool = False,
    power: int = -11,
    clip: float = 0.0,
    seed: int = 0,
) -> bytes:
    """One layer of float32 or int8, with the sequence as output."""
    rng = np.random.default_rng(seed)
    width, units = 7, 5
    first = (steps, batch) if time_major else (batch, steps)
    integer = kind == "int8"
    b = TFLiteBuilder()

    def own(scale: float, zero_point: int = 0) -> dict[str, float]:
        return {"scale": scale, "zero_point": zero_point} if integer else {}

    def weight(name: str, shape: tuple[int, ...], scale: float) -> int:
        if integer:
            return b.constant(name, rng.integers(-127, 128, shape), "int8", scale=scale)
        return b.constant(name, rng.standard_normal(shape), "float32")

    def bias(name: str, scale: float) -> int:
        if integer:
            return b.constant(name, rng.integers(-3000, 3000, units), "int32", scale=scale)
        return b.constant(name, rng.standard_normal(units), "float32")

    x = b.input("x", (*first, width), kind, **own(0.03, 5))
    scales = [0.004 + 0.002 * i for i in range(8)]
    inner = [weight(f"w{i}", (units, width), scales[i]) for i in range(4)]
    recurrent = [weight(f"r{i}", (units, units), scales[4 + i]) for i in range(4)]
    biases = [bias(f"b{i}", 0.03 * scales[i]) for i in range(4)]
    shape = (batch, units)
    hidden = b.tensor("h", shape, kind, is_variable=True, **own(0.0079, 2))
    cell_kind = "int16" if integer else kind
    cell = b.tensor("c", shape, cell_kind, is_variable=True, **own(2.0**power))
    y = b.tensor("y", (*first, units), kind, **own(0.0079, 2))
    b.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [
            *(x, *inner, *recurrent, None, None, None, *biases, None, None, hidden, cell),
            *([None] * 4),
        ],
        [y],
        fused_activation_function="TANH",
        cell_clip=clip,
        time_major=time_major,
    )
    return b.build([y])


def streaming_convolution(kind: str = "int8", initial: int | None = 7) -> bytes:
    """A convolution over the newest row and those that a variable keeps of the last inferences.

    `initial` is what CALL_ONCE fills the variable with, each element by one more; None: nothing.
    """
    rng = np.random.default_rng(1)
    b, once = TFLiteBuilder(), TFLiteBuilder()
    own = {"scale": 0.1, "zero_point": -3} if kind == "int8" else {}
    x = b.input("x", (1, 1, 1, 6), kind, **own)
    kept = (1, 3, 1, 6)
    if initial is not None:
        b.operator("CALL_ONCE", [], [], init_subgraph_index=1)
        handle = once.tensor("handle", (), "resource")
        once.operator("VAR_HANDLE", [], [handle], shared_name=b"history")
        values = initial + np.arange(np.prod(kept)).reshape(kept)
        once.operator("ASSIGN_VARIABLE", [handle, once.constant("first", values, kind, **own)], [])
    handle = b.tensor("handle", (), "resource")
    b.operator("VAR_HANDLE", [], [handle], shared_name=b"history")
    history = b.tensor("history", kept, kind, **own)
    b.operator("READ_VARIABLE", [handle], [history])
    window = b.tensor("window", (1, 4, 1, 6), kind, **own)
    b.operator("CONCATENATION", [history, x], [window], axis=1)
    bounds = [b.constant(name, v, "int32") for name, v in (("begin", [0, 1, 0, 0]), ("n", kept))]
    left = b.tensor("left", kept, kind, **own)
    b.operator("SLICE", [window, *bounds], [left])
    b.operator("ASSIGN_VARIABLE", [handle, left], [])
    if kind == "int8":
        weight = b.constant("w", rng.integers(-127, 128, (5, 4, 1, 6)), "int8", scale=0.01)
        bias = b.constant("b", rng.integers(-900, 900, 5), "int32", scale=0.001)
        y = b.tensor("y", (1, 1, 1, 5), "int8", scale=0.2, zero_point=1)
    else:
        weight = b.constant("w", rng.standard_normal((5, 4, 1, 6)), "float32")
        bias = b.constant("b", rng.standard_normal(5), "float32")
        y = b.tensor("y", (1, 1, 1, 5))
    b.operator("CONV_2D", [window, weight, bias], [y], padding="VALID", **_STRIDES)
    return b.build([y], others=[once] if initial is not None else [])


def swapped_variables() -> bytes:
    """Two variables that exchange what they hold; one is read again behind its assignment."""
    b = TFLiteBuilder()
    x = b.input("x", (1, 4))
    handles = [b.tensor(f"handle{i}", (), "resource") for i in range(2)]
    old = [b.tensor(f"old{i}", (1, 4)) for i in range(2)]
    for handle, name, value in zip(handles, (b"a", b"b"), old):
        b.operator("VAR_HANDLE", [], [handle], shared_name=name)
        b.operator("READ_VARIABLE", [handle], [value])
    total = b.tensor("total", (1, 4))
    b.operator("ADD", [old[0], x], [total])
    b.operator("ASSIGN_VARIABLE", [handles[0], old[1]], [])
    b.operator("ASSIGN_VARIABLE", [handles[1], total], [])
    again = b.tensor("again", (1, 4))
    b.operator("READ_VARIABLE", [handles[0]], [again])
    y = b.tensor("y", (1, 4))
    b.operator("SUB", [total, again], [y])
    return b.build([y])


def leaky_sum() -> bytes:
    """A variable that half of every input is added to, and that is the output as well."""
    b = TFLiteBuilder()
    x = b.input("x", (1, 4))
    handle = b.tensor("handle", (), "resource")
    b.operator("VAR_HANDLE", [], [handle], shared_name=b"sum")
    old, half, new = (b.tensor(name, (1, 4)) for name in ("old", "half", "new"))
    b.operator("READ_VARIABLE", [handle], [old])
    b.operator("MUL", [x, b.constant("k", [[0.5] * 4], "float32")], [half])
    b.operator("ADD", [old, half], [new])
    b.operator("ASSIGN_VARIABLE", [handle, new], [])
    return b.build([new])
