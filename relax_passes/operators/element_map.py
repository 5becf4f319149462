"""Operators that make each element from the element at its place."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from . import script
from .pixel_loop import PixelLoop
from .registry import OperatorClass
from .row_to_row import RowToRow
from .signature import Signature


class ElementMap(RowToRow):
    """Base of the operators ``out = element(data)``; other operands are constants, a table say."""

    memory_class = OperatorClass.ELEMENTWISE

    def element(self, signature: Signature, value: Any, *constants: Any) -> Any:
        """TIR expression for one element, in the result's type.

        `value` is used once: name it with `fixed_point.let` to use it again.
        """
        raise NotImplementedError

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = PixelLoop(signature.inputs[0], signature.output, merge=True)

        def made(value: Any, constants: Any) -> Any:
            return self.element(signature, value, *constants)

        @script.row_kernel(signature)
        def element_row(row, X, data_rows, *constants, O):
            for p in range(g.pixels):
                for c in range(g.channels):
                    O[g.out_index(p, c)] = made(X[g.data_index(row, data_rows, p, c)], constants)

        return element_row
