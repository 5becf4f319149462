"""What ONNX Runtime computes of a network, and inputs for which that is certain.

    ``round(value / scale) + zero_point`` of a float32 `value` near a tie

is decided by the last bits of sums whose order nobody promises, and so an int8 network is given
inputs for which ONNX Runtime comes near no tie (`inputs_without_ties`).  Then everybody who
computes what the model says gets the same integers, all of them, whatever the depth.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.onnx_session import session

Arrays = Mapping[str, np.ndarray]

NEAR = 1e-4  # of a step of the scale; the float32 sums of these networks err by a third of it
_ATTEMPTS = 60  # at drawing inputs


def expected_outputs(model: onnx.ModelProto, inputs: Arrays) -> dict[str, np.ndarray]:
    """The outputs by name."""
    names = [port.name for port in model.graph.output]
    return dict(zip(names, session(model).run(names, dict(inputs))))


def random_inputs(model: onnx.ModelProto, numbers: np.random.Generator) -> dict[str, np.ndarray]:
    """Numbers for every input, of its type."""
    found = {}
    for port in model.graph.input:
        kind = port.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype.kind == "f":
            found[port.name] = numbers.standard_normal(shape).astype(dtype)
        else:
            limits = np.iinfo(dtype)
            found[port.name] = numbers.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return found


def inputs_without_ties(
    model: onnx.ModelProto, numbers: np.random.Generator
) -> dict[str, np.ndarray] | None:
    """Inputs for which no quantized value is near a tie; None if none were found."""
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    steps = [
        (node.input[0], *(arrays[name].astype("float64") for name in node.input[1:3]), node)
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in arrays
    ]
    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    names = list(dict.fromkeys(value for value, *_ in steps))
    ports = {port.name for port in (*model.graph.input, *model.graph.output)}
    inner.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in ports
    )
    given = {port.name for port in model.graph.input}
    run = session(inner)
    for _ in range(_ATTEMPTS):
        inputs = random_inputs(model, numbers)
        wanted = [name for name in names if name not in given]
        values = {**inputs, **dict(zip(wanted, run.run(wanted, inputs)))}
        if not any(
            _near_tie(values[value].astype("float64") / scale + zero, arrays[node.input[2]].dtype)
            for value, scale, zero, node in steps
        ):
            return inputs
    return None


def _near_tie(values: np.ndarray, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    inside = (values > limits.min - 1) & (values < limits.max + 1)
    return bool((np.abs(np.abs(values - np.rint(values)) - 0.5)[inside] < NEAR).any())
