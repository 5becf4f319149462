"""STABLEHLO_COMPOSITE: the graph beside it in its place, as LiteRT runs it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from flatbuffers import flexbuffers

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends.tflite import load_tflite
from tests.compiled.c_batch import library_of, whole_program
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference

SHAPE = (1, 4, 5, 3)
SCALE = {"scale": 0.05, "zero_point": 3}


def scaled(name: str, factor: float) -> TFLiteBuilder:
    """x * factor, then the larger of that and x, in a graph of its own."""
    b = TFLiteBuilder()
    x = b.input("x", SHAPE)
    c = b.constant("c", np.full(SHAPE[-1], factor, "float32"))
    y, z = (b.tensor(f"{name} {part}", SHAPE, "float32") for part in ("product", "larger"))
    b.operator("MUL", [x, c], [y])
    b.operator("MAXIMUM", [y, x], [z])
    b.results = [z]
    return b


def composite(b: TFLiteBuilder, x: int, graph: int) -> int:
    y = b.tensor("x", SHAPE, "float32")  # a name that the graph has, too
    b.operator("STABLEHLO_COMPOSITE", [x], [y], **stands_for(graph))
    return y


def stands_for(graph: int) -> dict[str, object]:
    """The options of a composite."""
    attributes = bytes(flexbuffers.Dumps({}))
    return {
        "name": b"test.scaled",
        "decomposition_subgraph_index": graph,
        "composite_attributes": attributes,
    }


def twice() -> bytes:
    """One graph in two places, its constants and names with it."""
    b = TFLiteBuilder()
    y = composite(b, composite(b, b.input("in", SHAPE), 1), 1)
    return b.build([y], others=[scaled("once", -1.5)])


def nested() -> bytes:
    outer = TFLiteBuilder()
    x = outer.input("x", SHAPE)
    y = outer.tensor("y", SHAPE, "float32")
    outer.operator("ADD", [composite(outer, x, 1), x], [y])
    outer.results = [y]
    b = TFLiteBuilder()
    x = b.input("in", SHAPE)
    y = composite(b, x, 2)
    z = b.tensor("z", SHAPE, "float32")
    b.operator("SUB", [y, x], [z])
    return b.build([z, y], others=[scaled("inner", 0.5), outer])


def quantized() -> bytes:
    inner = TFLiteBuilder()
    x = inner.input("x", SHAPE, "int8", **SCALE)
    w = inner.constant("w", np.arange(-12, 12).reshape(8, 1, 1, 3), "int8", scale=0.02)
    b = inner.constant("b", np.arange(8) * 100, "int32", scale=0.001)
    y = inner.tensor("y", (1, 4, 5, 8), "int8", scale=0.1, zero_point=-7)
    inner.operator("CONV_2D", [x, w, b], [y], padding="SAME")
    inner.results = [y]
    outer = TFLiteBuilder()
    x = outer.input("in", SHAPE, "int8", **SCALE)
    y = outer.tensor("y", (1, 4, 5, 8), "int8", scale=0.1, zero_point=-7)
    outer.operator("STABLEHLO_COMPOSITE", [x], [y], **stands_for(1))
    return outer.build([y], others=[inner])


MODELS: dict[str, Callable[[], bytes]] = {
    function.__name__: function for function in (twice, nested, quantized)
}


def test_the_graph_is_computed() -> None:
    contents = {name: build() for name, build in MODELS.items()}
    loaded = {n: load_tflite(c, label=f"{n}.tflite", name=n) for n, c in contents.items()}
    library = library_of({name: whole_program(model) for name, model in loaded.items()})
    numbers = np.random.default_rng(0)
    for name, model in loaded.items():
        (port,) = model.inputs
        given = {"in": (numbers.normal(size=SHAPE) * 40).astype(port.dtype)}
        outputs, _ = library.run(name, given)
        expected = run_litert_reference(contents[name], given)
        for have, want in zip(outputs.values(), expected, strict=True):
            np.testing.assert_array_equal(have, want)


def itself() -> list[TFLiteBuilder]:
    endless = TFLiteBuilder()
    endless.results = [composite(endless, endless.input("x", SHAPE), 1)]
    return [endless]


def passes_on() -> list[TFLiteBuilder]:
    b = TFLiteBuilder()
    b.results = [b.input("x", SHAPE)]
    return [b]


def two_inputs() -> list[TFLiteBuilder]:
    b = scaled("two", 2.0)
    b.input("another", SHAPE)
    return [b]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], "the composite 'test.scaled' stands for graph 1 of 1"),
        (itself(), "the composite 'test.scaled' is one of 32 that lie within each other"),
        (passes_on(), "the composite 'test.scaled' hands on what it is given"),
        (two_inputs(), "the composite 'test.scaled' has other operands or results than graph 1"),
    ],
)
def test_what_cannot_be_put_in_place(others: list[TFLiteBuilder], said: str) -> None:
    b = TFLiteBuilder()
    content = b.build([composite(b, b.input("in", SHAPE), 1)], others=others)
    with pytest.raises(UserError, match=said):
        load_tflite(content, label="model.tflite", name="model")
