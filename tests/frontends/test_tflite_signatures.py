"""TFLite files with several signatures: the first is compiled, or the one that is named."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from relax_passes.ir.attributes import NOTES
from tests.compiled.compiled_c import run_in_c
from tests.models.tflite_builder import TFLiteBuilder


def graph(operator: str, by: float, shape: tuple[int, ...]) -> TFLiteBuilder:
    """`operator` on an input and a constant."""
    builder = TFLiteBuilder()
    x = builder.input(f"{operator}_x", shape, "float32")
    constant = builder.constant("by", np.full(shape, by, "float32"))
    y = builder.tensor(f"{operator}_y", shape, "float32")
    builder.operator(operator, [x, constant], [y])
    builder.results = [y]
    return builder


def model() -> bytes:
    first, second = graph("ADD", 3, (1, 4)), graph("MUL", 0.5, (2, 3))
    return first.build(first.results, others=[second], signatures=["encode", "decode"])


@pytest.mark.parametrize(("wanted", "key"), [(None, "encode"), ("encode",) * 2, ("decode",) * 2])
def test_chosen(wanted: str | None, key: str) -> None:
    loaded = load(model(), signature=wanted)
    runner = Interpreter(model_content=model()).get_signature_runner(key)
    (port,) = loaded.inputs
    data = np.random.default_rng(0).standard_normal(port.shape).astype("float32")
    (expected,) = runner(**{port.name: data}).values()
    (computed,) = run_in_c(loaded, [data])
    np.testing.assert_allclose(computed, expected, rtol=1e-6)
    other = {"encode": "decode", "decode": "encode"}[key]
    notes = list(loaded.module["main"].attrs[NOTES])
    assert notes == [f"compiled is the signature {key!r}, not {other!r} (--signature)"]


def test_refused() -> None:
    with pytest.raises(UserError, match="has no signature 'train'; it has 'encode', 'decode'"):
        load(model(), signature="train")
    alone = graph("ADD", 1, (1, 2))
    with pytest.raises(UserError, match="has no signature 'train'; it has none"):
        load(alone.build(alone.results), signature="train")
    with pytest.raises(UserError, match="only TFLite files have signatures"):
        load(b"\x08\x07", signature="train")
