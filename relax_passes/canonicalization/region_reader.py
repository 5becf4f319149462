"""How far a shortcut's moves and sums reach back: the sources of an `ElementSum`.

Three kinds of tensors:

- **moved** ones, which an operator with a reader made of others in a way that the later
  passes do not read: a reshape, a stack, a sum along an axis, a slice of pixels, ...; whatever
  linear operators make of moved tensors is moved as well;
- elementwise operators on tensors whose elements are only moved: ``f(move(x)) = move(f(x))``, so
  ``f(x)`` is the source;
- all others are sources, except slices and paddings of channels on the way to one.

The sum of tensors with different sources is where residuals join, so it is a source, too, except
along an axis of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call, GenericConst, Op

from ..ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ..ir.straight_line import operands_of
from ..operators.rules.registry import Rules
from ..shortcuts.channel_sums import NotLinear
from .element_sums import ABSENT, ElementSum
from .image_sums import Numbering, occurring

Reader = Callable[["RegionReader", Any], ElementSum]
READERS: Rules[Reader] = Rules("element sums")
"""What a linear operator makes of its operands: it moves elements, adds them up, multiplies them
with constants or adds constants to them, for a batch of one or more and in any layout.  Raises
`NotLinear`.
"""

UNUSUAL: Rules[Callable[[Dataflow, Any], bool]] = Rules("operators on channels")
"""Whether later passes do not read a call as one on channels, as they read nothing without a rule.
"""

ON_KNOWN: Rules[Callable[[Dataflow, Any, np.ndarray], np.ndarray]] = Rules("single elements")
"""What an operator on single elements makes of numbers that are known: those that were padded with,
mostly zeros.  Raises `NotLinear`.
"""

_LARGEST = 1 << 25  # numbers in an element sum
_MOST_TERMS = 1 << 12  # several times as many as any shortcut folds channels or pixels


@dataclass(frozen=True)
class Source:
    """A tensor of the network, and elementwise operators on it, each with its name for `==`."""

    base: relax.Var
    names: tuple[Hashable, ...] = ()


class RegionReader:
    """Reads tensors as element sums; every one is read once."""

    def __init__(self, old: Dataflow) -> None:
        self.old = old
        self.numberings: dict[Source, Numbering] = {}
        self.calls: dict[Source, Call] = {}  # the last elementwise operator of a source
        self._values: dict[relax.Var, ElementSum | None] = {}
        self._sums: dict[relax.Var, ElementSum] = {}  # of slices that are not moved themselves
        self._next = 0
        self._read_until = 0  # so many bindings have been read

    def moved(self, var: relax.Expr) -> ElementSum | None:
        """What a moved tensor amounts to; None for a source."""
        if not isinstance(var, relax.Var) or var not in self.old.position:
            return None
        # In written order, so that a deep network is no deep recursion.
        while self._read_until <= self.old.position[var]:
            reading, call = self.old.bindings[self._read_until]
            self._read_until += 1
            definition = self.old.definition(call)
            self._values[reading] = self._read(definition)
            if self._values[reading] is None:
                self._keep_sum(reading, definition)
        return self._values[var]

    def value(self, expr: relax.Expr) -> ElementSum:
        """Any tensor.  Raises `NotLinear` for what is no image of a batch of one."""
        constant = self.old.constant(expr)
        if constant is not None:
            return ElementSum.constant(constant.real())
        moved = self.moved(expr)
        if moved is not None:
            return moved
        if expr in self._sums:
            return self._sums[expr]
        call = self.old.definition(expr)
        reader = READERS.get(call)
        if reader is not None and is_call(call, *_CHANNEL_MOVES) and self._moves_one(call):
            self.limit(prod(shape_of(call)))
            value = reader(self, call)
            self.limit(value.cost)
            return value
        return self._source(Source(expr))

    def sources(self, value: ElementSum) -> list[Source]:
        """The sources that take part."""
        found = {
            numbering.first
            for term in value.terms
            for numbering, _ in occurring(term, self.numberings.values())
        }
        return [source for source, one in self.numberings.items() if one.first in found]

    @staticmethod
    def limit(cost: int, terms: int = 0) -> None:
        """Raise `NotLinear` for sums of more numbers, or more terms, than are looked at."""
        if cost > _LARGEST or terms > _MOST_TERMS:
            raise NotLinear("is a sum of too many elements")

    def _source(self, source: Source, shape: tuple[int, ...] | None = None) -> ElementSum:
        shape = shape or shape_of(source.base)
        self.limit(prod(shape))
        if source not in self.numberings:
            if len(shape) != 4 or shape[0] != 1:
                raise NotLinear("comes from something else than one image")
            self.numberings[source] = Numbering(source, self._next, shape)
            self._next = self.numberings[source].end
        return ElementSum.of(self.numberings[source].first, shape)

    def _read(self, call: Any) -> ElementSum | None:
        if not isinstance(call, Call) or not isinstance(call.op, Op):
            return None
        if not isinstance(call.ty, relax.TensorType) or self.old.constant(call) is not None:
            return None
        try:
            if call in ON_KNOWN:
                return self._elementwise(call)
            reader = READERS.get(call)
            if reader is None or not self._moves(call):
                return None
            self.limit(prod(shape_of(call)))
            value = reader(self, call)
            self.limit(value.cost)
            return None if self._joins(call, value) else value
        except NotLinear:
            return None

    def _keep_sum(self, var: relax.Var, call: Any) -> None:
        """Note a sum of slices or paddings of one tensor's channels, of which more may be made."""
        if not is_call(call, "relax.add", "relax.subtract"):
            return
        made = (self.old.definition(arg) for arg in call.args)
        if not all(
            arg in self._sums or is_call(of, *_CHANNEL_MOVES) for arg, of in zip(call.args, made)
        ):
            return
        reader = READERS.get(call)
        assert reader is not None
        try:
            self.limit(prod(shape_of(call)))
            value = reader(self, call)
            self.limit(value.cost)
            if not self._joins(call, value):
                self._sums[var] = value
        except NotLinear:
            pass

    def _moves(self, call: Any) -> bool:
        """Whether the result is moved: an operand is, or the operator is no everyday one."""
        moved = (self.moved(operand) is not None for operand in operands_of(call))
        return any(moved) or self._unusual(call)

    def _unusual(self, call: Any) -> bool:
        rule = UNUSUAL.get(call)
        return rule is None or rule(self.old, call)

    def _moves_one(self, call: Any) -> bool:
        """Whether channels of one tensor alone are sliced, padded, or joined by constants."""
        if not is_call(call, "relax.concat"):
            return True
        fields = self.old.definition(call.args[0])
        members = fields.fields if isinstance(fields, relax.Tuple) else []
        return sum(self.old.constant(member) is None for member in members) == 1

    def _joins(self, call: Any, value: ElementSum) -> bool:
        """Whether tensors with different sources come together in an everyday operator."""
        if is_call(call, "relax.add", "relax.subtract"):
            operands = list(call.args)
        elif is_call(call, "relax.concat") and not self._unusual(call):
            operands = list(self.old.definition(call.args[0]).fields)
        else:
            return False
        moving = [o for o in operands if self.old.constant(o) is None]
        found = [set(self.sources(self.value(o))) for o in moving]
        found = [sources for sources in found if sources]  # others are known: channels of padding
        return any(sources != found[0] for sources in found)

    def _elementwise(self, call: Any) -> ElementSum | None:
        value = self.moved(call.args[0])
        if value is None or not value.only_moves or dtype_of(call) == "float64":
            return None
        name = self._name(call)
        if name is None:
            return None
        terms, offset = value.terms, value.offset
        on_known = ON_KNOWN.get(call)
        assert on_known is not None
        result = ElementSum((), on_known(self.old, call, offset))
        for source in self.sources(value):
            numbering = self.numberings[source]
            behind = Source(source.base, (*source.names, name))
            self.calls.setdefault(behind, call)
            first = self._source(behind, numbering.shape).terms[0].numbers.flat[0]
            for term in terms:
                inside = (term.numbers >= numbering.first) & (term.numbers < numbering.end)
                if inside.any():
                    numbers = np.where(inside, term.numbers - numbering.first + first, ABSENT)
                    one = ElementSum((type(term)(numbers, np.float64(1.0)),), np.zeros(()))
                    result = ElementSum(
                        result.terms + one.terms, np.where(inside, 0.0, result.offset)
                    )
        return result

    def _name(self, call: Any) -> Hashable | None:
        """What tells an elementwise operator from others; None if it is not the same everywhere."""
        parts: list[Hashable] = [call.op.name, str(call.attrs)]
        for arg in call.args[1:]:
            if isinstance(arg, (relax.Var, GenericConst)):
                constant = self.old.constant(arg)
                if constant is None or constant.values.size != 1:
                    return None
                parts.append(float(constant.real().reshape(-1)[0]))
            else:
                parts.append(str(arg))
        return tuple(parts)


_CHANNEL_MOVES = ("relax.strided_slice", "relax.nn.pad", "relax.concat")


def window_sums(reader: RegionReader, call: Any, size: Any, factor: float) -> ElementSum:
    """Sums of windows of a call's first operand, times a factor."""
    value = reader.value(call.args[0])
    size = [int(n) for n in size]
    pixels = prod(size)
    reader.limit(value.cost * pixels, len(value.terms) * pixels)
    strides, padding = ([int(n) for n in t] for t in (call.attrs.strides, call.attrs.padding))
    return value.windows(size, strides, padding).scaled(np.float64(factor))


def changes_pixels(_old: Dataflow, call: Any) -> bool:
    """Whether an operator changes the size of something else than the channels of an image."""
    before, after = shape_of(call.args[0]), shape_of(call)
    others = [a == b for axis, (a, b) in enumerate(zip(before, after)) if axis != 1]
    return len(after) != 4 or not all(others)
