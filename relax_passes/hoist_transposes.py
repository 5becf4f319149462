"""`HoistTransposes`: a transposition of computed elements becomes one of the tensor they are from.

    transpose(f(x))   ->   f(transpose(x))

for `f` a chain of operators that treat elements alike, or channel by channel with constants, each
the only reader of the one before, back to a network input or its quantization.  A network that
normalises its image before the first convolution, and reads the image itself elsewhere, then has
one transposition that both use, and everything behind it is channels-last.

Does not handle: chains with two computed operands, and chains that begin at another tensor.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

from .canonicalization.dataflow import DataflowRewriter, is_call, shape_of
from .operators import attributes_of, make_call

_ELEMENTWISE = tuple(
    f"dero.{name}" for name in "add subtract multiply divide quantize dequantize unary".split()
) + ("dero.lookup",)


@tvm.transform.module_pass(opt_level=0, name="HoistTransposes")
class HoistTransposes:
    """The pass; see the module's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with transpositions hoisted."""
        return _Rewriter(module).run()


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._transposed: dict[tuple[relax.Var, tuple[int, ...]], relax.Expr] = {}

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if not is_call(expr, "dero.transpose") or not isinstance(expr.args[0], relax.Var):
            return None
        axes = attributes_of(expr)["axes"]
        chain: list[tuple[relax.Var, Any]] = []
        source = expr.args[0]
        while not self._is_root(source):
            operand = self._operand(source)
            if operand is None:
                return None
            chain.append((operand, self.old.definitions[source]))
            source = operand
        result = self._transpose(source, axes)
        for operand, call in reversed(chain):
            args = [
                result if arg.same_as(operand) else _constant(arg, call, axes) for arg in call.args
            ]
            result = self.emit(Call(call.op, args, call.attrs))
        return result

    def _is_root(self, var: relax.Var) -> bool:
        """A network input, or its quantization: that is smaller, so it is what gets transposed."""
        call = self.old.definitions.get(var)
        return call is None or (is_call(call, "dero.quantize") and call.args[0] in self.old.params)

    def _operand(self, var: relax.Var) -> relax.Var | None:
        """The one computed operand of an elementwise operator that only one operator reads."""
        call: Any = self.old.definitions.get(var)
        if not is_call(call, *_ELEMENTWISE) or self.old.sole_reader(var) is None:
            return None
        operands = [arg for arg in call.args if isinstance(arg, relax.Var)]
        if len(operands) != 1 or shape_of(operands[0]) != shape_of(var):
            return None
        return operands[0]

    def _transpose(self, source: relax.Var, axes: tuple[int, ...]) -> relax.Expr:
        key = (source, axes)
        if key not in self._transposed:
            call = make_call("transpose", [self.new(source)], axes=axes)
            self._transposed[key] = self.emit(call)
        return self._transposed[key]


def _constant(arg: GenericConst, call: Any, axes: tuple[int, ...]) -> relax.Expr:
    """A constant operand in the new order of axes; a table has no axes of the data."""
    if is_call(call, "dero.lookup"):
        return arg
    values = arg.value.numpy()
    rank = len(axes)
    values = values.reshape((1,) * (rank - values.ndim) + values.shape)
    return relax.const(values.transpose(axes).copy(), str(values.dtype))
