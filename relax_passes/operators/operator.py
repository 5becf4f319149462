"""What the compiler has to know of an operator: the base class of those of the operator set.

One subclass of :class:`Operator` states it all: its type rule, the input rows an output row needs,
its arithmetic cost, its row kernel.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

from tvm import tirx

from .signature import Signature, TensorSpec

Span = tuple[int, int]
"""A half-open range of rows, or of columns."""


class OperatorClass(enum.Enum):
    """What an operator needs of memory; the vocabulary of ``ClassifyOperators``."""

    ELEMENTWISE = "elementwise"  # output element i depends on element i of each operand
    POINTWISE = "pointwise convolution"
    DEPTHWISE = "depthwise convolution"
    SPATIAL = "spatial convolution"
    POOLING = "pooling"
    RESIZE = "resize"
    CONCAT = "concat"
    REDUCTION = "reduction"
    LAYOUT = "layout"  # moves elements, computes nothing
    OPAQUE = "opaque"  # everything else: needs its inputs whole


class Operator:
    """One operator of the microcontroller operator set.

    The row kernel is a ``PrimFunc`` over raw pointers that computes **one output row**.  Its
    parameters, which ``script.row_kernel`` declares, are, in order::

        row : int32                         index of the output row
        for every tensor argument:
            <name> : handle(dtype)          base of the buffer that holds its rows
            <name>_rows : int32             ring height, only for arguments in `row_arguments`
        out : handle(dtype)                 where the output ROW goes (not the tensor's base)
        scratch : handle("int8")            only if `scratch_bytes` is not 0

    Row ``i`` of a row argument lies at element offset ``(i % <name>_rows) * row_stride``: a whole
    tensor is a ring as high as the tensor.  A kernel reads only rows in ``needed_rows``, writes
    only the output row, and may be called with ``out`` on top of an operand's row when
    ``in_place_arguments`` lists that operand.  It respects the pixel strides of its row arguments
    and of its output: any of them may be a slice of a concatenation.
    """

    name: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]]
    """Names of the tensor arguments.  A variadic operator overrides `argument_names`."""

    memory_class: ClassVar[OperatorClass] = OperatorClass.OPAQUE
    """What it needs of memory.  Where that depends on the call, it overrides `operator_class`."""

    read_by_rows: ClassVar[tuple[int, ...]] = (0,)
    """Indices of the arguments that are read row by row.  Where that depends on the call, it
    overrides `row_arguments`."""

    defaults: ClassVar[dict[str, Any]] = {}
    """Attributes with their default values; attributes without a default map to `REQUIRED`."""

    # --- types -------------------------------------------------------------------------------

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The result's shape and type.  Raises ``ValueError`` with a clear reason if invalid."""
        raise NotImplementedError

    def argument_names(self, signature: Signature) -> tuple[str, ...]:
        return self.arguments[: len(signature.inputs)]

    # --- what memory planning asks -----------------------------------------------------------

    def operator_class(self, signature: Signature) -> OperatorClass:
        return self.memory_class

    def row_arguments(self, signature: Signature) -> tuple[int, ...]:
        return self.read_by_rows

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        """Half-open range of rows of `argument` that output row `row` reads (default: all).

        `row` is the number of the call where one makes several rows (`rows_per_call`).
        """
        return 0, signature.inputs[argument].rows

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        """Half-open range of columns of `argument` that column `column` of any row reads.

        Only asked where the result and the argument are images, of shape NHWC.  None: rows of it
        cannot be made in windows of columns.  Where they can, the outermost loops of its row kernel
        go over the columns of the result, or over their elements.
        """
        return None

    def rows_per_call(self, signature: Signature) -> int:
        """Rows of the result that one call makes: one, but for groups in windows of columns."""
        return 1

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        """Arguments whose row `row` the kernel may overwrite with output row `row`."""
        return ()

    def scratch_bytes(self, signature: Signature) -> int:
        return 0

    def macs(self, signature: Signature) -> int:
        """Multiply-accumulates of the whole operator."""
        return 0

    def running_state(self, signature: Signature) -> TensorSpec | None:
        """The state with which the operator can take its input one row at a time, if it can.

        An operator whose only output row depends on every input row (a global pooling) would
        need its input whole.  Instead, inside a cascade, its `running_kernel` is called once
        for each input row, in ascending order, and keeps partial results in the state.
        """
        return None

    # --- kernels -----------------------------------------------------------------------------

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        """The portable row kernel (see the class for its parameters)."""
        raise NotImplementedError

    def running_kernel(self, signature: Signature) -> tirx.PrimFunc:
        """The kernel that takes input row ``row`` into the state; only if `running_state`.

        Parameters are those of a row kernel, then ``state : handle(dtype)``.  The first row
        initializes the state, the last one writes the output row, with the same bits as
        `row_kernel`.
        """
        raise NotImplementedError
