"""`FoldPadding`: a convolution pads its own input.

    conv2d(pad(x, value), padding=p)   ->   conv2d(x, padding=p + pad)

if `pad` adds real zeros (0 in float32, the convolution's input zero point in int8) around height
and width only, and nothing else reads it.  A tensor less to keep, and the kernel skips the
padding instead of multiplying with it.  Files with explicit padding come from frameworks whose
convolutions only know symmetric padding.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import DataflowRewriter, dtype_of, is_call
from ..ir.rewriting_pass import rewriting_pass
from ..operators import attributes_of, make_call

NAME = "FoldPadding"

_PAD, _CONV = "dero.pad", "dero.conv2d"


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, _PAD):
            reader = self.old.sole_reader(var)
            if reader is not None and self._folds(var, expr, reader[1]):
                return self.new(expr.args[0])
        if is_call(expr, _CONV):
            pad = self.old.definition(expr.args[0])
            if isinstance(expr.args[0], relax.Var) and self._folds(expr.args[0], pad, expr):
                return self._padded(expr, pad)
        return None

    def _folds(self, var: relax.Var, pad: Any, conv: Any) -> bool:
        """Whether `pad`, bound to `var`, may become part of `conv`."""
        if not (is_call(pad, _PAD) and is_call(conv, _CONV) and conv.args[0].same_as(var)):
            return False
        if self.old.sole_reader(var) is None:
            return False
        attrs = attributes_of(pad)
        before, after = attrs["pad_before"], attrs["pad_after"]
        outside_image = (before[0], before[3], after[0], after[3])
        zero = attributes_of(conv)["input_zero_point"] if dtype_of(var) == "int8" else 0
        return not any(outside_image) and attrs["value"] == zero

    def _padded(self, conv: Call, pad: Call) -> relax.Expr:
        attrs = attributes_of(conv)
        frame = attributes_of(pad)
        top, left = frame["pad_before"][1:3]
        bottom, right = frame["pad_after"][1:3]
        more = (top, left, bottom, right)
        attrs["padding"] = tuple(p + m for p, m in zip(attrs["padding"], more))
        return self.emit(
            make_call("conv2d", [self.new(pad.args[0]), *map(self.new, conv.args[1:])], **attrs)
        )


FoldPadding = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""
