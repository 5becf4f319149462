"""`HoistTransposes`: a transpose of computed elements becomes one of the tensor they are from.

    transpose(f(x))   ->   f(transpose(x))

for `f` any operators that treat elements alike, or channel by channel with constants, and
paddings, slices and concatenations, and reshapes that put in axes of length 1 or leave them out,
back to network inputs or their quantizations.  A network that does such things to its image before
or beside the first convolution then has one transpose, and everything behind it is channels-last.
A transpose may also be written as a reshape, a transpose of two axes, and a reshape; that of an
image of one channel is a mere reshape.  Such a reshape goes where it vanishes, whatever tensor that
is.

What several of them read moves if all of them do.  Does not handle: results that are read elsewhere
in the old order too, and transposes of what begins at another tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..operators import attributes_of, make_call
from .axis_orders import Order, before_reshape, constant_ordered, is_unchanged, long_axes, ordered

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
_BY_AXIS = {  # and what stands there for an axis that the operator leaves alone
    "dero.pad": {"pad_before": 0, "pad_after": 0},
    "dero.slice": {"begin": 0, "end": 1, "strides": 1},
}

_LAST, _AS_IT_IS = (0, 2, 3, 1), (0, 1, 2, 3)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A transpose: of what, how, and the variables it takes to say so."""

    source: relax.Var
    order: Order
    inside: frozenset[relax.Var]
    vanishes: bool = False  # wanted only where nothing of it is left


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._done: dict[tuple[relax.Var, Order], relax.Expr] = {}
        self._turned: dict[Any, relax.Expr] = {}  # of roots
        self._found = self._movable()

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        found = self._found.get(var)
        return None if found is None else self._transposed(found.source, found.order)

    def _movable(self) -> dict[relax.Var, _Candidate]:
        """The transposes that can move, behind which nothing is left that others read."""
        found: dict[relax.Var, _Candidate] = {}
        regions: dict[relax.Var, dict[relax.Var, Order]] = {}
        orders: dict[relax.Var, Order] = {}
        for var, _ in self.old.bindings:
            candidate = self._transpose(var)
            region = None if candidate is None else self._region(candidate)
            if candidate is None or region is None:
                continue
            if all(orders.get(each, order) == order for each, order in region.items()):
                orders |= region
                found[var], regions[var] = candidate, region
        while True:
            moved = {each for var in found for each in (*regions[var], *found[var].inside)}
            stuck = [var for var in found if not self._readers(regions[var]) <= moved]
            if not stuck:
                return found
            for var in stuck:
                del found[var]

    def _readers(self, region: Iterable[relax.Var]) -> set[relax.Var]:
        # The real numbers of a quantized tensor may be written twice: they are never stored.
        stored = [v for v in region if not is_call(self.old.definitions[v], "dero.dequantize")]
        return {reader for v in stored for reader in self.old.readers.get(v, [])}

    def _transpose(self, var: relax.Var) -> _Candidate | None:
        call: Any = self.old.definitions[var]
        if is_call(call, "dero.transpose") and isinstance(call.args[0], relax.Var):
            return _Candidate(call.args[0], attributes_of(call)["axes"], frozenset({var}))
        if not is_call(call, "dero.reshape") or len(shape_of(call)) != 4:
            return None
        return self._of_two_axes(var, call) or self._reshape(var, call)

    def _of_two_axes(self, var: relax.Var, call: Any) -> _Candidate | None:
        """A reshape of a transpose of a reshape."""
        batch, height, width, channels = shape_of(call)
        swap = self.old.definition(call.args[0])
        if not is_call(swap, "dero.transpose") or attributes_of(swap)["axes"] != (1, 0):
            return None
        flat = self.old.definition(swap.args[0])
        if not is_call(flat, "dero.reshape") or not isinstance(flat.args[0], relax.Var):
            return None
        source = flat.args[0]
        before = before_reshape(_LAST, (batch, channels, height, width), shape_of(source))
        if batch != 1 or before is None or shape_of(flat) != (channels, height * width):
            return None
        return _Candidate(source, before, frozenset({var, call.args[0], swap.args[0]}))

    def _reshape(self, var: relax.Var, call: Any) -> _Candidate | None:
        """That of an image of one channel, or one that moves only axes of length 1."""
        batch, height, width, channels = shape_of(call)
        if not isinstance(call.args[0], relax.Var):
            return None
        shape, order = shape_of(call), _AS_IT_IS
        if channels == 1:
            shape, order = (batch, 1, height, width), _LAST
        before = before_reshape(order, shape, shape_of(call.args[0]))
        if before is None:
            return None
        return _Candidate(call.args[0], before, frozenset({var}), channels != 1)

    def _region(self, candidate: _Candidate) -> dict[relax.Var, Order] | None:
        """The operators between it and the roots, and their orders; None if one is other."""
        region: dict[relax.Var, Order] = {}
        waiting = [(candidate.source, candidate.order)]
        while waiting:
            var, order = waiting.pop()
            if self._is_end(var, order):
                if candidate.vanishes and not is_unchanged(shape_of(var), order):
                    return None
                continue
            if region.get(var) == order:
                continue
            below = self._operands(var, order)
            if below is None or region.setdefault(var, order) != order:
                return None
            waiting += below
        return region or (None if candidate.vanishes else region)

    def _is_end(self, var: relax.Var, order: Order) -> bool:
        """Whether `var` itself is what is turned, or needs not to be."""
        return self._is_root(var) or is_unchanged(shape_of(var), order)

    def _operands(self, var: relax.Var, order: Order) -> list[tuple[relax.Var, Order]] | None:
        """The computed operands of what makes `var`, with their orders; None if it cannot move."""
        call: Any = self.old.definitions.get(var)
        if call is None:
            return None
        shape, args = shape_of(call), [arg for arg in call.args if isinstance(arg, relax.Var)]
        if is_call(call, "dero.reshape"):
            before = None
            if args and len(order) == 4:  # an image
                before = before_reshape(order, shape, shape_of(args[0]))
            return None if before is None else [(args[0], before)]
        if not self._is_known(call):
            return None
        gone = {axis for axis in range(len(shape)) if axis not in order}
        if is_call(call, "dero.concat") and attributes_of(call)["axis"] % len(shape) in gone:
            return None
        if is_call(call, "dero.pad", "dero.slice") and any(shape_of(args[0])[a] != 1 for a in gone):
            return None
        found = []
        for arg in args:
            missing = len(shape) - len(shape_of(arg))  # axes of length 1 in front
            axes = tuple(None if a is None or a < missing else a - missing for a in order)
            found.append((arg, axes))
        return found

    def _is_known(self, call: Any) -> bool:
        if is_call(call, *_BY_AXIS, "dero.concat"):
            return True
        if not is_call(call, *_ELEMENTWISE):
            return False
        shapes = [shape_of(arg) for arg in call.args if isinstance(arg, relax.Var)]
        full = shape_of(call)
        return all((1,) * (len(full) - len(shape)) + shape == full for shape in shapes)

    def _is_root(self, var: relax.Var) -> bool:
        """A network input, or what becomes int8 of it: no larger, so it is what gets transposed."""
        if var in self.old.params:
            return True
        call: Any = self.old.definitions.get(var)
        return is_call(call, *_TO_INT8) and call.args[0] in self.old.params

    def _transposed(self, var: relax.Var, order: Order) -> relax.Expr:
        """The new expression for `var` in the new order of axes."""
        waiting = [(var, order)]  # a long chain is no deep recursion
        while waiting:
            this = waiting[-1]
            below = [] if self._is_end(*this) else self._operands(*this)
            assert below is not None  # as `_region` found
            missing = [operand for operand in below if operand not in self._done]
            if missing:
                waiting += reversed(missing)
                continue
            waiting.pop()
            if this not in self._done:
                is_end = self._is_end(*this)
                self._done[this] = self._end(*this) if is_end else self._rebuilt(*this, below)
        return self._done[var, order]

    def _end(self, var: relax.Var, order: Order) -> relax.Expr:
        """It in the new order; one expression for all orders that differ in axes of length 1."""
        shape = shape_of(var)
        if is_unchanged(shape, order):
            return self.new(var)
        key = var, tuple(long_axes(shape, order)), ordered(shape, order, 1)
        if key not in self._turned:
            self._turned[key] = self._turn(self.new(var), shape, order)
        return self._turned[key]

    def _turn(self, data: relax.Expr, shape: tuple[int, ...], order: Order) -> relax.Expr:
        """A transpose; a reshape, which costs nothing, where only axes of length 1 move."""
        moved = long_axes(shape, order)
        if moved == sorted(moved):
            return self.emit(make_call("reshape", [data], shape=ordered(shape, order, 1)))
        if len(order) == len(shape):  # as many axes go as come
            gone = iter([axis for axis in range(len(shape)) if axis not in order])
            axes = tuple(next(gone) if axis is None else axis for axis in order)
            return self.emit(make_call("transpose", [data], axes=axes))
        short = tuple(shape[axis] for axis in sorted(moved))
        if short != shape:
            data = self.emit(make_call("reshape", [data], shape=short))
        axes = tuple(sorted(moved).index(axis) for axis in moved)
        data = self.emit(make_call("transpose", [data], axes=axes))
        return self.emit(make_call("reshape", [data], shape=ordered(shape, order, 1)))

    def _rebuilt(
        self, var: relax.Var, order: Order, below: Sequence[tuple[relax.Var, Order]]
    ) -> relax.Expr:
        call: Any = self.old.definitions[var]
        if is_call(call, "dero.reshape"):  # the axes that it put in or left out are the operand's
            return self._done[below[0]]
        args, operands = list(call.args), iter(below)
        for index, arg in enumerate(args):
            if isinstance(arg, relax.Var):
                args[index] = self._done[next(operands)]
            elif index not in _WITHOUT_AXES.get(call.op.name, ()):
                args[index] = constant_ordered(arg, len(shape_of(call)), order)
        attrs = attributes_of(call)
        for name, filler in _BY_AXIS.get(call.op.name, {}).items():
            if attrs[name] is not None:
                attrs[name] = ordered(attrs[name], order, filler)
        if is_call(call, "dero.concat"):
            attrs["axis"] = order.index(attrs["axis"] % len(shape_of(call)))
        return self.emit(make_call(call.op.name.removeprefix("dero."), args, **attrs))


HoistTransposes = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""
