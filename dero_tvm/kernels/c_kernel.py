"""What a generator of C kernels is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dero_tvm.schedule.row_offsets import Body, RowOffsets, body_text
from relax_passes.operators import OperatorClass, Signature, TensorSpec

SUPPORT = Path(__file__).parent / "c"
"""The folder of the C functions that kernels share."""

SCRATCH_ALIGNMENT = 8
"""Of the scratch that kernels get, in bytes."""


@dataclass(frozen=True, eq=False)
class Request:
    """One operation that wants a kernel.

    `constants` holds the operands that are known at compile time and not read row by row, by
    argument name: weights, biases, factors, tables.  With `state` the operation is a running
    reduction (see `Operator.running_state`), which takes another kernel.
    """

    signature: Signature
    operator_class: OperatorClass
    constants: Mapping[str, np.ndarray]
    features: frozenset[str]  # of the board: dsp, mve, fpu, fpu-double, one-pipe
    state: TensorSpec | None = None


@dataclass(frozen=True)
class PixelBlocks:
    """How a kernel computes some pixels of its row alone, so that they can be joined as they come.

    The statements of ``before`` find the rows; those of ``block(pixel, count, result)``, three C
    expressions, write `count` pixels from number `pixel` on to `result`, side by side.  All blocks
    of a row have `most` pixels, but the last one, which may have less, and the `first` one, if that
    is not 0.  Without `most` any number will do.
    """

    before: Callable[[RowOffsets], str]
    block: Callable[[str, str, str], str]
    most: int = 0
    first: int = 0


@dataclass(frozen=True)
class ElementRun:
    """How a kernel combines runs of elements of two operands.

    The statements of ``run(a, b, out, count)`` do it, those of `before` come first.  Of the four C
    expressions the first three are pointers, and `out` may be one of the others; the last is the
    number of elements, a multiple of that of channels.  The statements find `numbers` where a
    ``const int32_t *numbers`` points.
    """

    before: str
    run: Callable[[str, str, str, str], str]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class CKernel:
    """A row kernel as the text of a C function, with what it needs beside the rows.

    The function computes one output row.  Its parameters are, in this order::

        int32_t row                            index of the output row
        for every operand read row by row:
            const T *<argument>                base of the buffer that holds its rows
            int32_t <argument>_rows            ring height: row i lies at (i % <argument>_rows)
        for every entry of `constants`:
            const T *<name>                    the packed array
        T *out                                 where the output row goes
        S *state                               only if the request has a state
        int8_t *scratch                        only if `scratch` is not 0; aligned to 8 bytes

    Where every row of an operand has a place of its own, `<argument>_rows` is a table instead, a
    ``const uint16_t *``.  Only a `body` that is a function can take one: it is given a
    `RowOffsets`, which has the expression for either form.  Operands of a kernel whose `body` is a
    text lie in rings.

    `constants` stand in place of the operation's own constant operands, in any layout and type.
    `body` is the statements of the function.  Operations whose kernels have equal names, types
    and bodies share one function, so what differs from one operation to the next is better a
    constant than a number in the text.  The out row never overlaps rows that the function reads,
    save those of `Operator.in_place_arguments`.

    With `ranges` the body makes the columns that its `RowOffsets` say: there are then parameters
    ``<argument>_first`` for operands in strips, and ``column_begin`` and ``column_end``, behind the
    others; ``out`` is where the first column goes.

    A kernel that also says how it goes by blocks of `pixels`, or combines runs of `elements`, can
    become part of one for a joined operator (see `joined.py`).
    """

    name: str  # first part of the function's name in C, and what reports call the kernel
    body: Body
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    scratch: int = 0  # bytes
    support: tuple[Path, ...] = ()  # C files with functions that the body calls
    qualifiers: str = ""  # before the function's definition: attributes
    pixels: PixelBlocks | None = None
    elements: ElementRun | None = None
    ranges: bool = False

    @property
    def scratch_end(self) -> int:
        """Where scratch of another one may begin behind its own, in bytes."""
        return -(-self.scratch // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT

    def text(self, offsets: RowOffsets | None = None) -> str:
        """The statements; by default of operands in rings."""
        return body_text(self.body, offsets or RowOffsets())


Generator = Callable[[Request], CKernel | None]
"""Returns the kernel for a request, or None if it has none."""
