"""`HoistTransposes`: a transpose of computed elements becomes one of the tensor they are from.

    transpose(f(x))   ->   f(transpose(x))

for `f` any operators that treat elements alike, or channel by channel with constants, and
paddings, slices and concatenations, back to network inputs or their quantizations.  A network that
does such things to its image before or beside the first convolution then has one transpose,
and everything behind it is channels-last.  A transpose may also be written as a reshape, a
transpose of two axes, and a reshape; that of an image of one channel is a mere reshape.

Does not handle: results that are read elsewhere in the old order too, and what begins at another
tensor.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..operators import attributes_of, make_call

NAME = "HoistTransposes"
_ELEMENTWISE = tuple(
    f"dero.{name}"
    for name in (
        *("add", "subtract", "multiply", "divide"),
        *("quantize", "dequantize", "flip_sign_bit", "unary", "lookup"),
    )
)
_WITHOUT_AXES = {"dero.lookup": (1,)}  # operands that have none of the data's axes: a table
_TO_INT8 = ("dero.quantize", "dero.flip_sign_bit")
_BY_AXIS = {"dero.pad": ("pad_before", "pad_after"), "dero.slice": ("begin", "end", "strides")}


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._done: dict[tuple[relax.Var, tuple[int, ...]], relax.Expr] = {}

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        found = self._transpose(var)
        if found is None:
            return None
        source, axes, inside = found
        region = self._region(source)
        if region is None:
            return None
        # The real numbers of a quantized tensor may be written twice: they are never stored.
        stored = [v for v in region if not is_call(self.old.definitions[v], "dero.dequantize")]
        readers = {reader for v in stored for reader in self.old.readers.get(v, [])}
        if not readers <= region | inside:
            return None
        return self._transposed(source, axes)

    def _transpose(
        self, var: relax.Var
    ) -> tuple[relax.Var, tuple[int, ...], set[relax.Var]] | None:
        """What `var` transposes, how, and the variables it takes to say so."""
        call: Any = self.old.definitions[var]
        if is_call(call, "dero.transpose") and isinstance(call.args[0], relax.Var):
            return call.args[0], attributes_of(call)["axes"], {var}
        if not is_call(call, "dero.reshape") or len(shape_of(call)) != 4:
            return None
        if isinstance(call.args[0], relax.Var) and len(shape_of(call.args[0])) == 4:
            batch, channels, height, width = shape_of(call.args[0])
            if channels == 1 and shape_of(call) == (batch, height, width, 1):
                return call.args[0], (0, 2, 3, 1), {var}
        swap = self.old.definition(call.args[0])
        if not is_call(swap, "dero.transpose") or attributes_of(swap)["axes"] != (1, 0):
            return None
        flat = self.old.definition(swap.args[0])
        if not is_call(flat, "dero.reshape") or not isinstance(flat.args[0], relax.Var):
            return None
        source = flat.args[0]
        batch, height, width, channels = shape_of(call)
        if batch != 1 or shape_of(source) != (1, channels, height, width):
            return None
        if shape_of(flat) != (channels, height * width):
            return None
        return source, (0, 2, 3, 1), {var, call.args[0], swap.args[0]}

    def _region(self, source: relax.Var) -> set[relax.Var] | None:
        """The operators between `source` and the roots, `source` included; None if one is other."""
        region: set[relax.Var] = set()
        waiting = [source]
        while waiting:
            var = waiting.pop()
            if var in region or self._is_root(var):
                continue
            call = self.old.definitions.get(var)
            if call is None or not self._is_known(call):
                return None
            region.add(var)
            waiting += [arg for arg in call.args if isinstance(arg, relax.Var)]
        return region

    def _is_known(self, call: Any) -> bool:
        if is_call(call, *_BY_AXIS, "dero.concat"):
            return True
        if not is_call(call, *_ELEMENTWISE):
            return False
        shapes = [shape_of(arg) for arg in call.args if isinstance(arg, relax.Var)]
        return all(shape == shape_of(call) for shape in shapes)

    def _is_root(self, var: relax.Var) -> bool:
        """A network input, or what becomes int8 of it: no larger, so it is what gets transposed."""
        if var in self.old.params:
            return True
        call: Any = self.old.definitions.get(var)
        return is_call(call, *_TO_INT8) and call.args[0] in self.old.params

    def _transposed(self, var: relax.Var, axes: tuple[int, ...]) -> relax.Expr:
        """The new expression for `var` in the new order of axes."""
        waiting = [var]  # a long chain is no deep recursion
        while waiting:
            var = waiting[-1]
            is_root = self._is_root(var)
            args = () if is_root else self.old.definitions[var].args
            missing = [a for a in args if isinstance(a, relax.Var) and (a, axes) not in self._done]
            if missing:
                waiting += reversed(missing)
                continue
            waiting.pop()
            if (var, axes) in self._done:
                continue
            if is_root:
                call = _transpose(self.new(var), shape_of(var), axes)
            else:
                call = self._rebuilt(self.old.definitions[var], axes)
            self._done[var, axes] = self.emit(call)
        return self._done[var, axes]

    def _rebuilt(self, call: Any, axes: tuple[int, ...]) -> Call:
        args = list(call.args)
        for index, arg in enumerate(args):
            if isinstance(arg, relax.Var):
                args[index] = self._done[arg, axes]
            elif index not in _WITHOUT_AXES.get(call.op.name, ()):
                args[index] = _constant(arg, axes)
        attrs = attributes_of(call)
        for name in _BY_AXIS.get(call.op.name, ()):
            if attrs[name] is not None:
                attrs[name] = tuple(attrs[name][axis] for axis in axes)
        if is_call(call, "dero.concat"):
            attrs["axis"] = axes.index(attrs["axis"] % len(axes))
        return make_call(call.op.name.removeprefix("dero."), args, **attrs)


HoistTransposes = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _transpose(data: relax.Expr, shape: tuple[int, ...], axes: tuple[int, ...]) -> Call:
    """A transpose; a reshape, which costs nothing, where only axes of length 1 move."""
    moved = [axis for axis in axes if shape[axis] != 1]
    if moved == sorted(moved):
        return make_call("reshape", [data], shape=tuple(shape[axis] for axis in axes))
    return make_call("transpose", [data], axes=axes)


def _constant(arg: GenericConst, axes: tuple[int, ...]) -> relax.Expr:
    """A constant operand in the new order of axes."""
    values = arg.value.numpy()
    values = values.reshape((1,) * (len(axes) - values.ndim) + values.shape)
    return relax.const(values.transpose(axes).copy(), str(values.dtype))
