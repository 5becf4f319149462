"""Reading a shortcut backwards from its join: as sums of channels of the convolution's input.

`ShortcutReader` follows the operators of a canonical module from a join back to given leaves.
In float32 it gives one `ChannelSum`.  In a quantized network every operator rounds to int8; each
of these values becomes a **step**, a `ChannelSum` of leaves and of steps before it, to be rounded
and clamped, or a table applied to one.  Operators that only move channels are looked through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..ir.dataflow import Dataflow, is_call, shape_of
from ..operators import attributes_of, spec_of
from ..operators.fixed_point import INT8, INT8_MAX, INT8_MIN, ROUNDED_ONCE, int8_limits
from ..operators.pool2d import Axis
from .channel_sums import ChannelSum, ChannelTerm, NotLinear, SlidingWindow
from .reading_refusals import Refusals


@dataclass(frozen=True, eq=False)
class RoundedStep:
    """``clamp(round(value))``: an int8 tensor, in its own integers."""

    value: ChannelSum
    minimum: int
    maximum: int


@dataclass(frozen=True, eq=False)
class TableStep:
    """``table[source + 128]``."""

    source: Any
    table: np.ndarray


class _ReadFirst(Exception):
    """A tensor that stands so deep that it has to be read before those made of it."""

    def __init__(self, kind: str, expr: relax.Expr) -> None:
        self.wanted = kind, expr


class ShortcutReader:
    """See the module's docstring.  Every method raises `NotLinear` for what it cannot say."""

    def __init__(
        self, old: Dataflow, leaves: Collection[relax.Var], refusals: Refusals | None = None
    ) -> None:
        self.old = old
        self.leaves = frozenset(leaves)
        self._refusals = refusals or Refusals()
        self._leaves = self._refusals.tensors(*self.leaves)  # as bits, like the next two
        self._looked_at = self._met = 0
        self.met: set[relax.Var] = set()
        self.steps: list[RoundedStep | TableStep] = []
        self._step_of: dict[Any, int] = {}
        self._known: dict[tuple[str, Any], ChannelSum] = {}  # every tensor is read once
        self._frames = 0

    # --- float32 -----------------------------------------------------------------------------

    def real(self, expr: relax.Expr) -> ChannelSum:
        """The float32 tensor `expr`."""
        return self._from_below("real", expr)

    def _real(self, expr: relax.Expr) -> ChannelSum:
        constant = self.old.constant(expr)
        if constant is not None:
            raise NotLinear("is added to a constant image")
        if ("real", expr) in self._known:
            return self._known["real", expr]
        if expr in self.leaves:
            self.met.add(expr)
            return ChannelSum.of(expr, spec_of(expr.ty).channels)
        call = self.old.definition(expr)
        with self._one_deeper("real", expr, _FRAMES_OF_REAL):
            self._check(call)
            name, attrs = call.op.name, attributes_of(call)
            if name == "dero.dequantize":
                value = self.integer(call.args[0], attrs["zero_point"]).scaled(attrs["scale"])
            elif attrs.get("minimum") is not None or attrs.get("maximum") is not None:
                raise NotLinear("is clamped by an activation")
            elif name == "dero.pool2d":
                factor, window = _pooling(call)
                value = self._pooled(self.real(call.args[0]), window).scaled(factor)
            elif name in ("dero.slice", "dero.pad", "dero.concat"):
                value = self._moved(call, self.real, lambda values: ChannelSum.constant(values))
            else:
                value = self._arithmetic(call)
        return self._kept("real", expr, value)

    def _arithmetic(self, call: Any) -> ChannelSum:
        left, right = call.args
        vectors = [channel_vector(self.old, arg, call) for arg in call.args]
        if call.op.name in ("dero.add", "dero.subtract"):
            sign = 1.0 if call.op.name == "dero.add" else -1.0
            if vectors[1] is not None:
                return self.real(left).shifted(sign * vectors[1])
            if vectors[0] is not None:
                return self.real(right).scaled(sign).shifted(vectors[0])
            return self.real(left).plus(self.real(right).scaled(sign))
        if vectors[1] is not None:
            factor = vectors[1] if call.op.name == "dero.multiply" else 1.0 / vectors[1]
            return self.real(left).scaled(factor)
        if vectors[0] is not None and call.op.name == "dero.multiply":
            return self.real(right).scaled(vectors[0])
        raise NotLinear("is multiplied with another tensor")

    def _pooled(self, value: ChannelSum, window: SlidingWindow) -> ChannelSum:
        """`value` pooled, unless it was rounded before: then the pooling has another input."""
        if any(isinstance(term.source, int) for term in value.terms):
            raise NotLinear("is rounded to int8 before it is pooled")
        return value if window == _ONE_PIXEL else value.pooled(window)

    # --- int8 --------------------------------------------------------------------------------

    def integer(self, expr: relax.Expr, zero: int) -> ChannelSum:
        """The int8 tensor `expr` less `zero`."""
        raw = self.raw(expr)
        known = np.ones(raw.channels, bool)
        terms = []
        for term in raw.terms:
            known &= ~term.present
            terms.append(ChannelTerm(term.source, zero, term.channels, term.coefficients))
        return ChannelSum(tuple(terms), np.where(known, raw.offset - zero, 0.0))

    def raw(self, expr: relax.Expr) -> ChannelSum:
        """The integers of an int8 tensor; each channel is one of a leaf or step, or known."""
        return self._from_below("raw", expr)

    def _raw(self, expr: relax.Expr) -> ChannelSum:
        if expr in self.leaves:
            self.met.add(expr)
            return ChannelSum.of(expr, spec_of(expr.ty).channels)
        vector = channel_vector(self.old, expr, expr)
        if vector is not None:
            return ChannelSum.constant(vector)
        if ("raw", expr) in self._known:
            return self._known["raw", expr]
        call = self.old.definition(expr)
        with self._one_deeper("raw", expr, _FRAMES_OF_RAW):
            self._check(call)
            if call.op.name in ("dero.slice", "dero.pad", "dero.concat"):
                value = self._moved(call, self.raw, lambda values: ChannelSum.constant(values))
            elif call.op.name == "dero.lookup":
                value = self._looked_up(call)
            elif call.op.name == "dero.pool2d":
                value = self._integer_pool(call)
            else:
                if expr not in self._step_of:
                    self._add(expr, self._rounded(call))
                value = ChannelSum.of(self._step_of[expr], spec_of(expr.ty).channels)
        return self._kept("raw", expr, value)

    def _looked_up(self, call: Any) -> ChannelSum:
        table = call.args[1].value.numpy().astype(np.int64)
        source = self.raw(call.args[0])
        if np.array_equal(table, INT8):
            return source
        return self._each(source, lambda base: self._table(base, table), lambda q: table[q + 128])

    def _each(self, source: ChannelSum, of_base: Any, of_constant: Any) -> ChannelSum:
        """A moved tensor after an operator that treats every channel alike."""
        known = np.ones(source.channels, bool)
        terms = []
        for term in source.terms:
            known &= ~term.present
            terms.append(ChannelTerm(of_base(term.source), 0, term.channels, term.coefficients))
        offset = np.zeros(source.channels)
        if known.any():
            offset[known] = of_constant(source.offset[known].astype(np.int64))
        return ChannelSum(tuple(terms), offset)

    def _table(self, base: Any, table: np.ndarray) -> int:
        key = (base, table.tobytes())
        if key not in self._step_of:
            self._add(key, TableStep(base, table.astype(np.int8)))
        return self._step_of[key]

    def _integer_pool(self, call: Any) -> ChannelSum:
        attrs = attributes_of(call)
        zero_in, zero_out = attrs["input_zero_point"], attrs["output_zero_point"]
        factor, window = _pooling(call)
        if attrs["multiplier"] is not None:
            factor *= _factor(attrs["multiplier"], attrs["shift"])
        low, high = int8_limits(attrs)

        def pooled(base: Any) -> int:
            key = (base, call)
            if key not in self._step_of:
                channels = spec_of(base.ty).channels if isinstance(base, relax.Var) else 0
                total = ChannelSum.of(base, channels, zero_in)
                value = self._pooled(total, window).scaled(factor).shifted(zero_out)
                self._add(key, RoundedStep(value, low, high))
            return self._step_of[key]

        def known(values: np.ndarray) -> np.ndarray:
            if (values != zero_in).any():
                raise NotLinear("is padded with other channels than zeros before it is pooled")
            return np.full(values.shape, min(max(zero_out, low), high))

        return self._each(self.raw(call.args[0]), pooled, known)

    def _rounded(self, call: Any) -> RoundedStep:
        attrs = attributes_of(call)
        if call.op.name == "dero.quantize":
            if attrs["rounding"] != "half_even":
                raise NotLinear("rounds ties away from zero")
            value = self.real(call.args[0]).scaled(1.0 / attrs["scale"])
            return RoundedStep(value.shifted(attrs["zero_point"]), INT8_MIN, INT8_MAX)
        if attrs.get("rounding") not in ROUNDED_ONCE:
            raise NotLinear("rounds as LiteRT does, twice a product")
        zeros = attrs["zero_points"]
        if call.op.name == "dero.multiply":
            value = self._integer_product(call, attrs)
        else:
            factors = [_factor(m, s) for m, s in zip(attrs["multipliers"], attrs["shifts"])]
            factors[1] *= 1.0 if call.op.name == "dero.add" else -1.0
            finer = factors[2] * 2.0 ** attrs["left_shift"]
            summands = (
                self.integer(arg, zero).scaled(factor * finer)
                for arg, zero, factor in zip(call.args, zeros, factors)
            )
            left, right = summands
            value = left.plus(right)
        return RoundedStep(value.shifted(zeros[2]), *int8_limits(attrs))

    def _integer_product(self, call: Any, attrs: dict[str, Any]) -> ChannelSum:
        factor = _factor(attrs["multiplier"], attrs["shift"])
        for index in (0, 1):
            vector = channel_vector(self.old, call.args[1 - index], call)
            if vector is not None:
                data = self.integer(call.args[index], attrs["zero_points"][index])
                return data.scaled((vector - attrs["zero_points"][1 - index]) * factor)
        raise NotLinear("is multiplied with another tensor")

    # --- both --------------------------------------------------------------------------------

    @contextmanager
    def _one_deeper(self, kind: str, expr: Any, frames: int) -> Iterator[None]:
        known = self._refusals.find(kind, expr, self._leaves)
        if known is not None:
            self._looked_at |= known[1]
            self._met |= known[2]
            raise NotLinear(known[0])
        if self._frames > _MOST_FRAMES:
            raise _ReadFirst(kind, expr)
        self._looked_at |= self._refusals.tensors(expr)
        self._frames += frames
        try:
            yield
        except NotLinear as refusal:
            met = self._met | self._refusals.tensors(*self.met)
            self._refusals.keep(kind, expr, str(refusal), self._looked_at, met)
            raise
        finally:
            self._frames -= frames

    def _from_below(self, kind: str, expr: relax.Expr) -> ChannelSum:
        """What `_real` or `_raw` gives; what Python's stack has no room for is read before."""
        read = {"real": self._real, "raw": self._raw}
        if self._frames:
            return read[kind](expr)
        waiting = [(kind, expr)]
        while True:
            try:
                value = read[waiting[-1][0]](waiting[-1][1])
            except _ReadFirst as deeper:
                waiting.append(deeper.wanted)
                continue
            waiting.pop()
            if not waiting:
                return value

    def _kept(self, kind: str, expr: Any, value: ChannelSum) -> ChannelSum:
        """`value`, as long as sums of sums of one tensor have not made it endless."""
        if len(value.terms) > _MOST_TERMS:
            raise NotLinear("is a sum of too many channels")
        self._known[kind, expr] = value
        return value

    def _check(self, call: Any) -> None:
        if not is_call(call, *_KNOWN):
            raise NotLinear(f"comes from {_name(call)}, which is not the convolution's input")

    def _moved(self, call: Any, read: Any, constant: Any) -> ChannelSum:
        attrs = attributes_of(call)
        if call.op.name == "dero.concat":
            return self._concatenated(call, attrs, read, constant)
        shape = shape_of(call.args[0])
        if call.op.name == "dero.pad":
            before, after = attrs["pad_before"], attrs["pad_after"]
            if any(before[:-1]) or any(after[:-1]):
                raise NotLinear("is padded around the image by an operator of its own")
            return read(call.args[0]).placed(before[-1], after[-1], attrs["value"])
        strides = attrs["strides"] or (1,) * len(shape)
        whole = (0,) * (len(shape) - 1), shape[:-1]
        if (attrs["begin"][:-1], attrs["end"][:-1]) != whole or set(strides[:-1]) - {1}:
            raise NotLinear("takes a part of the image")
        chosen = np.arange(attrs["begin"][-1], attrs["end"][-1], strides[-1])
        return read(call.args[0]).taken(chosen)

    def _concatenated(
        self, call: Any, attrs: dict[str, Any], read: Any, constant: Any
    ) -> ChannelSum:
        rank = len(shape_of(call))
        if attrs["axis"] % rank != rank - 1:
            raise NotLinear("is concatenated along another axis than the channels")
        parts = []
        for arg in call.args:
            known = self.old.constant(arg)
            if known is None:
                parts.append(read(arg))
                continue
            vector = channel_vector(self.old, arg, arg)
            if vector is None:
                raise NotLinear("is concatenated with a constant image")
            parts.append(constant(vector))
        total, offset = ChannelSum.constant(np.zeros(sum(p.channels for p in parts))), 0
        for part in parts:
            total = total.plus(part.placed(offset, total.channels - offset - part.channels))
            offset += part.channels
        return total

    def _add(self, key: Any, step: RoundedStep | TableStep) -> None:
        if len(self.steps) == _MOST_STEPS:
            raise NotLinear("is a chain of too many operators")
        self._step_of[key] = len(self.steps)
        self.steps.append(step)


_MOST_TERMS = 2048  # several times as many as a fold of channels has that is spelled with slices
_MOST_STEPS = 480  # each is some lines of the kernel
_MOST_FRAMES = 600  # calls inside each other, of a thousand that Python has
_FRAMES_OF_REAL, _FRAMES_OF_RAW = 5, 6
_ONE_PIXEL: SlidingWindow = ((1, 1), (1, 1), (0, 0, 0, 0))
_KNOWN = tuple(
    f"dero.{name}"
    for name in (
        "add", "concat", "dequantize", "divide", "lookup", "multiply", "pad", "pool2d", "quantize",
        "slice", "subtract",
    )
)  # fmt: skip


def channel_vector(old: Dataflow, expr: relax.Expr, result: relax.Expr) -> np.ndarray | None:
    """A constant operand of `result` as one float64 for each of its channels; None otherwise."""
    constant = old.constant(expr)
    if constant is None:
        return None
    values = constant.values.astype(np.float64)
    channels = spec_of(result.ty).channels
    if values.size == 1:
        return np.full(channels, values.reshape(-1)[0])
    if values.shape[-1] != channels:
        return None
    flat = values.reshape(-1, channels)
    return flat[0] if (flat == flat[0]).all() else None


def _pooling(call: Any) -> tuple[float, SlidingWindow]:
    """The factor that makes a sum of a window what the pooling computes, and the window."""
    attrs = attributes_of(call)
    size = attrs["pool_size"][0] * attrs["pool_size"][1]
    if attrs["kind"] == "max":
        raise NotLinear("is pooled by the maximum")
    if attrs["dilation"] != (1, 1):
        raise NotLinear("is pooled with dilation")
    if attrs["kind"] == "average" and not attrs["count_include_pad"]:
        axes = [Axis.of(spec_of(call.args[0].ty), attrs, axis) for axis in (0, 1)]
        if any(count != axis.kernel for axis in axes for count in axis.counts()):
            raise NotLinear(
                "averages what lies inside the image, so that its windows weigh more at the border"
            )
    window = (attrs["pool_size"], attrs["strides"], attrs["padding"])
    return (1.0 if attrs["kind"] == "sum" else 1.0 / size), window


def _factor(multiplier: int, shift: int) -> float:
    return float(np.ldexp(float(multiplier), shift - 31))


def _name(call: Any) -> str:
    if isinstance(call, relax.Var):
        return "a network input"
    if not isinstance(call, tvm.ir.Call):
        return "an expression"
    if isinstance(call.op, tvm.ir.Op):
        return call.op.name.removeprefix("dero.").removeprefix("relax.").removeprefix("nn.")
    return "another function"
