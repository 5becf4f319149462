"""Weights that a TFLite file keeps sparse, with DENSIFY in front of their layer."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.compiled.c_batch import streamed_library
from tests.frontends.refusals import refusal
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference

SEGMENTS, INDICES, VALUES = [0, 2, 3, 5], [0, 3, 1, 1, 2], [1, -2, 3, 4, 5]
X = np.array([[1, 10, 96, -96]], "float32")


def network(dtype: str, densify: bool = True, columns: int = 4) -> bytes:
    """A dense layer with 5 weights other than 0 in 3 rows, as pruned networks have them."""
    quantization: dict[str, Any] = {"scale": 0.5} if dtype == "int8" else {}
    net = TFLiteBuilder()
    x = net.input("x", (1, 4), "float32")
    if quantization:
        x, given = net.tensor("q", (1, 4), "int8", scale=8.0), x
        net.operator("QUANTIZE", [given], [x])
    weight = sparse = net.constant("w", np.ones((3, 4), dtype), **quantization)
    if densify:
        weight = net.tensor("full", (3, 4), dtype, **quantization)
        net.operator("DENSIFY", [sparse], [weight])
    # The result is in units of the sums, so that nothing is rounded.
    y = net.tensor("y", (1, 3), dtype, **({"scale": 4.0} if quantization else {}))
    net.operator("FULLY_CONNECTED", [x, weight, None], [y])
    model = schema.ModelT.InitFromPackedBuf(bytearray(net.build([y])))
    tensor = model.subgraphs[0].tensors[sparse]
    tensor.shape = np.array([3, columns], "int32")
    model.buffers[tensor.buffer].data = np.frombuffer(np.array(VALUES, dtype).tobytes(), "uint8")
    rows, entries = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    rows.denseSize = 3
    entries.format = schema.DimensionType.SPARSE_CSR
    entries.arraySegmentsType = entries.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    entries.arraySegments, entries.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    entries.arraySegments.values = np.array(SEGMENTS, "int32")
    entries.arrayIndices.values = np.array(INDICES, "int32")
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder = np.array([0, 1], "int32")
    tensor.sparsity.blockMap = np.array([], "int32")
    tensor.sparsity.dimMetadata = [rows, entries]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_densify() -> None:
    models = {dtype: network(dtype) for dtype in ("float32", "int8")}
    library = streamed_library(models)
    for dtype, model in models.items():
        (expected,) = run_litert_reference(model, {"x": X})
        outputs, _ = library.run(dtype, {"x": X})
        np.testing.assert_array_equal(outputs["y"], expected)
        assert np.count_nonzero(expected) > 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"densify": False}, "'w' of FULLY_CONNECTED ('y') is sparse, which is supported in front"),
        ({"columns": 1 << 30}, "sparse tensor 'w' has the shape [3, 1073741824], with more than"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    assert said in refusal(network("float32", **options))
