"""`ChannelsLast`: convolutions, pooling and resizing in NHWC, with as few transposes as possible.

Every value is tracked as a stored tensor and the :class:`~.layout.Layout` that says where the
elements of the network's own axes lie in it:

- windows (`conv2d`, `conv2d_transpose`, pooling, `resize2d`) demand channels-last data and give
  channels-last results; constant weights become OHWI at compile time;
- elementwise operators, `quantize` and `dequantize` take their operands as they lie;
- `permute_dims` and `reshape` change the layout, not the data;
- concatenation, slices, padding, reductions and softmax work on the axis where it lies;
- `matmul` with constant weights takes its input in any order of the contracted axis and moves
  the rows of the weights instead, so ``flatten`` of an NCHW tensor costs nothing;
- everything else, and the results of `main`, demand the network's own order; where that moves
  elements, a `Decision` says why.

With ``input_layout="nhwc"``, four-dimensional inputs whose readers all demand channels-last data
are declared so; `main`'s attribute ``dero.input_layouts`` then holds, for each parameter, the
permutation from the model's axes to the declared ones.

Does not handle: blocked layouts, transposed convolution other than along one or two axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.attributes import INPUT_LAYOUTS, STATES
from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import DataflowRewriter, shape_of
from ..ir.straight_line import variables
from ..operators.rules.registry import Refusal, Rules
from .layout import Layout

NAME = "ChannelsLast"
NHWC_OF_NCHW = (0, 2, 3, 1)
TRANSPOSED = "operands transposed"  # what is done for an operator that knows no other order

LayoutRule = Callable[["LayoutRewriter", relax.Var, Any], relax.Expr]
LAYOUT: Rules[LayoutRule] = Rules(NAME)
"""What an operator becomes where its operands lie; `LayoutRewriter.keep` says how its result does.
Raises `Refusal` for an operator that needs the network's own order.
"""

DEMANDS: Rules[Callable[[Any], bool]] = Rules("ChannelsLast's demands")
"""Whether a call wants its first operand, whose native order is NCHW, channels-last."""

FOLLOWS: Rules[Callable[[LayoutRewriter, Any, relax.Var], bool]] = Rules("ChannelsLast's inputs")
"""Whether a call's result lies as an operand does, and nothing else decides."""


def ChannelsLast(input_layout: str = "model") -> tvm.transform.Pass:
    """Module pass.  `input_layout` is ``"model"`` or ``"nhwc"``; see the file's docstring."""
    if input_layout not in ("model", "nhwc"):
        raise ValueError(f'input_layout must be "model" or "nhwc", got "{input_layout}"')

    def transform(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        return LayoutRewriter(module, input_layout).run()

    return tvm.transform.module_pass(transform, opt_level=0, name=NAME)


class LayoutRewriter(DataflowRewriter):
    """Tracks the layout of every value; operators are in `operators/rules/`."""

    def __init__(self, module: tvm.IRModule, input_layout: str) -> None:
        super().__init__(module)
        self._layouts: dict[relax.Var, Layout] = {}  # of old variables
        self._stored: dict[relax.Var, relax.Expr] = {}
        self._arranged: dict[tuple, relax.Expr] = {}
        if input_layout == "nhwc":
            self._declare_inputs_channels_last()

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if isinstance(expr, relax.Var) and not isinstance(var.ty, relax.TupleType):
            return self.keep(var, self.stored(expr), self.layout(expr))
        if not isinstance(expr, Call) or self.old.constant(var) is not None:
            return None
        rule = LAYOUT.get(expr)
        try:
            if rule is None:
                raise Refusal("it knows no other order of axes than the network's")
            return rule(self, var, expr)
        except Refusal as refusal:
            if any(self._is_rearranged(operand) for operand in variables(expr)):
                self.decide(NAME, var, TRANSPOSED, str(refusal))
            return None

    def new(self, expr: relax.Expr) -> relax.Expr:
        """An operand in the network's own order."""
        if isinstance(expr, relax.Var) and expr in self._layouts:
            layout = self._layouts[expr]
            return self.arrange(expr, range(len(layout.shape)))
        return super().new(expr)

    def _is_rearranged(self, operand: relax.Var) -> bool:
        """Whether an old tensor lies in memory in another order than the network's."""
        layout = self._layouts.get(operand)
        return layout is not None and not layout.is_stored_in(range(len(layout.shape)))

    # --- values ------------------------------------------------------------------------------

    def keep(self, var: relax.Var, stored: relax.Expr, layout: Layout) -> relax.Expr:
        """Let `stored`, which lies in memory as `layout` says, stand for the old `var`."""
        stored = self.emit(stored)
        self._stored[var], self._layouts[var] = stored, layout
        return stored

    def layout(self, expr: relax.Expr) -> Layout:
        """The layout of an old tensor."""
        if isinstance(expr, relax.Var) and expr in self._layouts:
            return self._layouts[expr]
        return Layout.native(shape_of(expr))

    def stored(self, expr: relax.Expr) -> relax.Expr:
        """The new tensor that holds the elements of an old one, in whatever order."""
        return self._stored[expr] if expr in self._stored else super().new(expr)

    def permutation(self, expr: relax.Expr) -> tuple[int, ...] | None:
        """The order of its axes in which an old tensor is stored, None if they are mixed."""
        return self.layout(expr).permutation(shape_of(self.stored(expr)))

    def regular_order(self, expr: relax.Expr) -> tuple[int, ...]:
        """The order of an old tensor's axes that is closest to how it is stored."""
        return self.permutation(expr) or self.layout(expr).compact_order()

    def regular(self, expr: relax.Expr) -> tuple[relax.Expr, tuple[int, ...]]:
        """A new tensor whose axes are an old one's in some order, and that order."""
        order = self.regular_order(expr)
        return self.arrange(expr, order), order

    def innermost(self, expr: relax.Expr, axis: int) -> tuple[relax.Expr, Layout]:
        """A new tensor whose last axis is an old one's native `axis`, and how that lies in it.

        It is the stored one, whatever its other axes are, if its last is this.
        """
        layout, shape = self.layout(expr), shape_of(expr)
        stored = self.stored(expr)
        if layout.is_innermost(axis) and shape_of(stored)[-1:] == (shape[axis],):
            return stored, layout
        order = (*(a for a in self.regular_order(expr) if a != axis), axis)
        return self.arrange(expr, order), Layout.permuted(shape, order)

    def arrange(
        self,
        expr: relax.Expr,
        axes: range | tuple[int, ...],
        shape: tuple[int, ...] | None = None,
        layout: Layout | None = None,
    ) -> relax.Expr:
        """A new tensor with the elements of an old one in the order of its native axes `axes`.

        `shape` is the result's shape (default: the lengths of `axes`); `layout` overrides what is
        known of `expr`, with the same factors in other groups.
        """
        layout = layout or self.layout(expr)
        axes = tuple(axes)
        shape = shape or tuple(layout.shape[axis] for axis in axes)
        if self.old.constant(expr) is not None:
            return self._arranged_constant(expr, layout.shape, axes, shape)
        stored = self.stored(expr)
        key = (stored, layout.order(axes), layout.sizes, shape)
        if key not in self._arranged:
            self._arranged[key] = self._move(stored, layout, axes, shape)
        return self._arranged[key]

    def transposes(
        self, expr: relax.Expr, axes: tuple[int, ...], shape: tuple[int, ...], layout: Layout
    ) -> bool:
        """True if :meth:`arrange` would have to move elements, and has not done so before."""
        if self.old.constant(expr) is not None or layout.is_stored_in(axes):
            return False
        return (self.stored(expr), layout.order(axes), layout.sizes, shape) not in self._arranged

    def _arranged_constant(
        self,
        expr: relax.Expr,
        expanded: tuple[int, ...],
        axes: tuple[int, ...],
        shape: tuple[int, ...],
    ) -> relax.Expr:
        """A constant where it is read, so that a second run finds it in the same place."""
        definition = self.old.definition(expr)
        key = (definition, expanded, axes, shape)
        if key not in self._arranged:
            constant = self.old.constant(expr)
            assert constant is not None
            moved = constant.reshape(expanded).transpose(axes).reshape(shape)
            unchanged = shape == constant.shape and axes == tuple(sorted(axes))
            keep = unchanged and not constant.is_quantized
            self._arranged[key] = definition if keep else self.emit(moved.expr())
        return self._arranged[key]

    def _move(
        self, stored: relax.Expr, layout: Layout, axes: tuple[int, ...], shape: tuple[int, ...]
    ) -> relax.Expr:
        if not layout.is_stored_in(axes):
            permutation = layout.permutation(shape_of(stored))
            if permutation is not None:
                order = [permutation.index(axis) for axis in axes]
            else:
                runs, order = layout.runs(axes)
                stored = self._reshaped(stored, tuple(runs))
            stored = self.emit(relax.op.permute_dims(stored, order))
        return self._reshaped(stored, shape)

    def _reshaped(self, stored: relax.Expr, shape: tuple[int, ...]) -> relax.Expr:
        if shape_of(stored) == shape:
            return stored
        return self.emit(relax.op.reshape(stored, shape))

    def weight(self, constant: ConstantTensor) -> relax.Expr:
        """A new operand that holds a constant."""
        return self.emit(constant.expr())

    # --- inputs ------------------------------------------------------------------------------

    def _declare_inputs_channels_last(self) -> None:
        permutations = []
        inputs = len(self.params) - len(self.attrs.get(STATES, ()))
        for index, param in enumerate(self.params):
            native = tuple(range(len(shape_of(param))))
            if index >= inputs:  # a state, which the network also gives
                break
            if len(native) != 4 or not self._all_readers_demand_channels_last(param):
                permutations.append(native)
                continue
            permutations.append(NHWC_OF_NCHW)
            shape = shape_of(param)
            declared = [shape[axis] for axis in NHWC_OF_NCHW]
            new = relax.Var(param.name, relax.TensorType(declared, param.ty.dtype))
            self.params[index] = new
            self._stored[param] = new
            self._layouts[param] = Layout.permuted(shape, NHWC_OF_NCHW)
        if NHWC_OF_NCHW in permutations:
            self.attrs[INPUT_LAYOUTS] = permutations

    def _all_readers_demand_channels_last(self, var: relax.Var) -> bool:
        readers = self.old.readers.get(var, [])
        return bool(readers) and all(
            reader is not None and self._demands_channels_last(reader, var) for reader in readers
        )

    def _demands_channels_last(self, reader: relax.Var, operand: relax.Var) -> bool:
        call = self.old.definitions[reader]
        if not isinstance(call, Call):
            return False
        follows, demands = FOLLOWS.get(call), DEMANDS.get(call)
        if follows is not None and isinstance(call.ty, relax.TensorType):
            if follows(self, call, operand):
                return self._all_readers_demand_channels_last(reader)
        return demands is not None and call.args[0].same_as(operand) and demands(call)


def keep_layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """The rule of operators that take their first operand as it lies."""
    data = call.args[0]
    others = [rewriter.new(arg) for arg in call.args[1:]]
    new = Call(call.op, [rewriter.stored(data), *others], call.attrs)
    return rewriter.keep(var, new, rewriter.layout(data))


def always_follows(_rewriter: LayoutRewriter, _call: Any, _operand: relax.Var) -> bool:
    """Whatever the attributes of the call."""
    return True


def check_plain(*layouts: str) -> None:
    """Raise `Refusal` for layouts of images whose axes are other than N, C, H and W, each whole."""
    for layout in layouts:
        if sorted(layout) != sorted("NCHW"):
            raise Refusal(f"its layout is {layout}")


def channels_last(layout: str) -> tuple[int, ...]:
    """The axes of a layout in the order batch, height, width, channels."""
    return tuple(layout.index(letter) for letter in "NHWC")
