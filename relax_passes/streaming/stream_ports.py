"""`StreamPorts`: which inputs and outputs the application hands over and takes row by row.

The function stays what it is; main's attributes ``dero.stream_inputs`` and
``dero.stream_outputs``, arrays of indices, tell `StreamRows` and code generation.  Such a tensor
never lies in memory whole: it is made, or used up, inside a single cascade.

Precondition: a canonical module.  A port must be an image: more than one row.
"""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm import relax

from ..ir.attributes import STREAM_INPUTS, STREAM_OUTPUTS, with_main_attribute
from ..ir.origins import origin_of
from ..ir.straight_line import read_function
from ..operators import TensorSpec, spec_of

NAME = "StreamPorts"


@tvm.error.register_error("CannotStream")  # passes are run by C++, which knows errors by name
class CannotStream(ValueError):
    """An input or output cannot be handed over row by row; the message says which and why."""


@tvm.transform.module_pass(opt_level=0, name=NAME)
class StreamPorts:
    """The pass; see the module's docstring.

    `inputs` and `outputs` are indices of main's parameters and results.  Raises ``CannotStream``
    for those that have a single row.
    """

    def __init__(self, inputs: Sequence[int] = (), outputs: Sequence[int] = ()) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with the attributes set."""
        line = read_function(mod)
        for kind, indices, ports in (
            ("input", self.inputs, line.parameters),
            ("output", self.outputs, line.results),
        ):
            for index in indices:
                spec = spec_of(ports[index].ty)
                if spec.rows < 2:
                    raise CannotStream(_single_row(_called(kind, index, ports[index]), spec))
        mod = with_main_attribute(mod, STREAM_INPUTS, list(self.inputs))
        return with_main_attribute(mod, STREAM_OUTPUTS, list(self.outputs))


def _called(kind: str, index: int, port: relax.Var) -> str:
    """A port as the model file calls it: an input has its name, an output that of what makes it."""
    if kind == "input":
        return f"input {port.name}"
    origin = origin_of(port)
    return f"output {index}" if origin is None else f"output {index} ({origin})"


def _single_row(port: str, spec: TensorSpec) -> str:
    reason = (
        f"{port} has the shape {list(spec.shape)}, a single row: there is nothing to hand over "
        "row by row"
    )
    if len(spec.shape) == 4 and spec.shape[2] > 1:
        reason += "; the rows of an NCHW image, which --input-layout nhwc makes NHWC, are more"
    return reason
