"""`FoldPadding`: a convolution pads by itself what a `pad` before it padded.

    dero.conv2d(dero.pad(x, value), padding=p)   ->   dero.conv2d(x, padding=p + amounts)

where only rows and columns are padded, and `value` stands for a real zero: 0 in float32, the
convolution's `input_zero_point` in int8.  The padded copy of the image is never stored.  If the
`pad` has other readers it stays for them.
"""

from __future__ import annotations

import tvm
from tvm import relax

from ..operators import attributes_of, make_call
from .dataflow import DataflowRewriter, is_call


@tvm.transform.module_pass(opt_level=0, name="FoldPadding")
class FoldPadding:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return _Rewriter(module).run()


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if not is_call(expr, "dero.conv2d"):
            return None
        pad = self.old.definition(expr.args[0])
        if not is_call(pad, "dero.pad"):
            return None
        attrs, amounts = attributes_of(expr), attributes_of(pad)
        before, after = amounts["pad_before"], amounts["pad_after"]
        if any((before[0], after[0], before[3], after[3])):
            return None
        if amounts["value"] != attrs["input_zero_point"]:
            return None
        added = (before[1], before[2], after[1], after[2])
        attrs["padding"] = tuple(p + a for p, a in zip(attrs["padding"], added))
        operands = [pad.args[0], *expr.args[1:]]
        return make_call("conv2d", [self.new(operand) for operand in operands], **attrs)
