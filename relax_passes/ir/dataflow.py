"""Reading `main` as a list of bindings, and rebuilding it binding by binding.

The phases of canonicalization all have the same shape: walk the bindings of `main` in their
written order, look at what surrounds a binding, and emit something in its place.  Because a
pattern is always replaced where its *first* operator stood, the order of a network's operators
survives every phase.

Variables of the new function are numbered in their order, unless something in the module knows the
old ones by their names: findings of the analyses, and cascades, whose result is called the same
inside and outside.  Then what is left alone keeps its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst, Op

from .attributes import NOTES, ROUNDING, function_attributes
from .constant_tensor import DEQUANTIZES, ConstantTensor
from .decisions import Decision, decisions, record, with_decisions
from .names_in_use import names_in_use
from .origins import Origin, merged, origins_of, span_of
from .straight_line import VARIABLES, StraightLine, needed_variables, read_function, variables


class Dataflow:
    """A straight line, with who reads what."""

    def __init__(self, line: StraightLine) -> None:
        self.params = list(line.parameters)
        self.bindings = list(line.bindings)
        self.result = line.result
        self.definitions = dict(self.bindings)
        self.position = {var: index for index, (var, _) in enumerate(self.bindings)}
        self._constants: dict[relax.Expr, ConstantTensor | None] = {}
        self.readers: dict[relax.Var, list[relax.Var | None]] = {}
        for reader, expr in [*self.bindings, (None, self.result)]:
            for operand in variables(expr):
                self.readers.setdefault(operand, []).append(reader)

    def definition(self, expr: relax.Expr) -> relax.Expr:
        """What a variable is bound to; parameters and constants stand for themselves."""
        return self.definitions.get(expr, expr) if type(expr) in VARIABLES else expr

    def sole_reader(self, var: relax.Var) -> tuple[relax.Var, relax.Expr] | None:
        """The binding that reads `var`, if exactly one does and the result does not."""
        readers = self.readers.get(var, [])
        if len(readers) != 1 or readers[0] is None:
            return None
        return readers[0], self.definitions[readers[0]]

    def constant(self, expr: Any) -> ConstantTensor | None:
        """The value of a constant or of a dequantized constant; None for anything else."""
        expr = self.definition(expr)
        if not isinstance(expr, GenericConst) and not is_call(expr, *DEQUANTIZES):
            return None
        if expr not in self._constants:  # reading one copies it out of TVM
            self._constants[expr] = self._read_constant(expr)
        return self._constants[expr]

    def _read_constant(self, expr: Any) -> ConstantTensor | None:
        if isinstance(expr, GenericConst):
            return ConstantTensor(expr.value.numpy())
        parts = [self.definition(arg) for arg in expr.args[:]]
        if not all(isinstance(part, GenericConst) for part in parts):
            return None
        return ConstantTensor.dequantized(expr, [part.value.numpy() for part in parts])


class DataflowRewriter:
    """Rebuilds `main`; a phase overrides :meth:`rewrite`.

    Expressions of the old function are called *old*, those of the new one *new*.
    """

    def __init__(self, module: tvm.IRModule) -> None:
        self.module = module
        self.old = Dataflow(read_function(module))
        self.params = list(self.old.params)
        self.attrs = function_attributes(module["main"])
        self._bindings: list[tuple[relax.Var, relax.Expr]] = []
        self._new: dict[relax.Var, relax.Expr] = {}
        self._emitted: dict[relax.Var, relax.Expr] = {}
        self._notes: list[tuple[relax.Var, str]] = []
        self._decisions: list[tuple[relax.Var, Decision]] = []
        self._normalizer = relax.BlockBuilder()
        self._origin: tvm.ir.Span | None = None  # of the old binding that is being rewritten
        self._changed = False
        self._dropped: set[relax.Var] = set()  # old variables that an operand stands for

    @property
    def rounding(self) -> str:
        """How integer products are rounded: ``double`` or ``single``."""
        return str(self.attrs.get(ROUNDING, "double"))

    # --- what a phase overrides --------------------------------------------------------------

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        """What stands for `var` from now on, as a new expression; None copies the binding."""
        raise NotImplementedError

    def result(self) -> relax.Expr:
        """The function's result as a new expression (a variable or a tuple of them)."""
        return self.new(self.old.result)

    # --- what a phase calls ------------------------------------------------------------------

    def new(self, expr: relax.Expr) -> relax.Expr:
        """The new expression that stands for an old operand."""
        if type(expr) in VARIABLES:
            return self._new.get(expr, expr)
        return with_operands(expr, self.new) if type(expr) is relax.Tuple else expr

    def replace(self, var: relax.Var, new: relax.Expr) -> None:
        """Let `new` stand for `var`; its own binding is skipped when the walk reaches it."""
        self._new[var] = new
        self._changed = True

    def emit(self, expr: relax.Expr) -> relax.Expr:
        """Bind a new expression to a fresh variable; variables and constants are returned."""
        if type(expr) in VARIABLES or type(expr) is GenericConst:
            return expr
        return self._bound(self._normalizer.normalize(expr))

    def _bound(self, expr: relax.Expr) -> relax.Var:
        var = relax.DataflowVar("lv", expr.ty, self._origin)
        self._bindings.append((var, expr))
        self._emitted[var] = expr
        return var

    def emitted(self, new: relax.Expr) -> relax.Expr:
        """What a new variable is bound to; anything else stands for itself."""
        return self._emitted.get(new, new) if type(new) in VARIABLES else new

    def note(self, var: relax.Var, reason: str) -> None:
        """Record in the module why the old `var` was left alone, if it is still read at the end."""
        self._notes.append((var, reason))

    def decide(self, pass_name: str, join: relax.Var, action: str, reason: str) -> None:
        """Record in the module what was done with the old `join`, under its new name."""
        self._decisions.append((join, Decision(pass_name, join.name, action, reason)))

    def run(self) -> tvm.IRModule:
        """The module with `main` rebuilt, without what nothing reads.

        A module with nothing to change is returned as it is, where its names are the new ones, or
        are in use.
        """
        for var, expr in self.old.bindings:
            if var in self._new:
                continue
            self._origin, earlier = var.span, len(self._bindings)
            new = self.rewrite(var, expr)
            self._changed |= new is not None
            if new in self._emitted and len(self._bindings) == earlier:
                self._dropped.add(var)
            self._new[var] = self._copy(expr) if new is None else self.emit(new)
        self._origin = self.old.result.span if isinstance(self.old.result, relax.Var) else None
        result = self.result()
        live = needed_variables(self._bindings, result)
        self._keep_notes(live)
        bindings = [(var, expr) for var, expr in self._bindings if var in live]
        taken = names_in_use(self.module)
        if self._is_as_before(bindings, result) and (taken or self._is_numbered()):
            return self.module
        kept = self._kept_names(taken) if taken else {}
        spans = self._spans(bindings)
        function, names = _build(self.params, bindings, result, self.attrs, kept, spans)
        module = self.module.clone()
        module.update_func(module.get_global_var("main"), function)
        return self._with_decisions(module, names)

    def _copy(self, expr: relax.Expr) -> relax.Expr:
        """Bind an old expression with its new operands.

        Where they have the types of the old ones, so has the result: to infer a type takes most of
        the time of a pass.
        """
        copied = with_operands(expr, self.new)
        if not isinstance(copied, Call):
            return self.emit(copied)
        if copied is not expr:
            if not all(map(_of_one_type, copied.args[:], expr.args[:])):
                return self.emit(copied)
            copied = _with_type(copied, expr.ty)
        return self._bound(copied)

    def _spans(
        self, bindings: Sequence[tuple[relax.Var, relax.Expr]]
    ) -> dict[relax.Var, tvm.ir.Span | None]:
        """For each new variable the layers that it comes from.

        They are those of the binding that was being rewritten when it was emitted, and of every
        old variable whose place it took.  An old variable that was dropped, or for which nothing
        stands any more, has become part of its readers; a constant is part of nothing.  What was
        emitted for no binding, but for the result, comes from what its operand comes from.
        """
        found = {var: list(origins_of(var)) for var, _ in bindings}
        inherited: dict[relax.Var, list[Origin]] = {}
        for var, _ in self.old.bindings:
            new = self._new[var]
            own = [*origins_of(var), *inherited.get(var, ())]
            readers = [r for r in self.old.readers.get(var, ()) if r is not None]
            if new in found and not (var in self._dropped and readers):
                found[new] += own
            elif not isinstance(new, GenericConst):
                for reader in readers:
                    inherited.setdefault(reader, []).extend(own)
        for var, expr in bindings:
            for operand in variables(expr) if not found[var] else ():
                found[var] = found[var] or list(found.get(operand, ()))
        return {var: span_of(merged(origins)) for var, origins in found.items()}

    def _is_as_before(self, bindings: list, result: relax.Expr) -> bool:
        attrs = function_attributes(self.module["main"])
        return (
            not self._changed
            and [self._new[var] for var, _ in self.old.bindings] == [var for var, _ in bindings]
            and all(new.same_as(old) for new, old in zip(self.params, self.old.params))
            and self.attrs.keys() == attrs.keys()
            and all(tvm_ffi.structural_equal(self.attrs[name], attrs[name]) for name in attrs)
            and tvm_ffi.structural_equal(result, self.new(self.old.result), map_free_vars=False)
            and not self._decisions
        )

    def _is_numbered(self) -> bool:
        given = [var.name for var, _ in self.old.bindings]
        return given == _numbered(self.old.bindings, self.old.result)

    def _kept_names(self, taken: Collection[str]) -> dict[relax.Var, str]:
        """A name for every new variable: that of an old one for which it stands, or a free one."""
        names: dict[relax.Var, str] = {}
        for var, _ in self.old.bindings:
            new = self._new[var]
            if isinstance(new, relax.Var) and new in self._emitted:
                names[new] = var.name  # the last one it stands for: what others know it by
        free = (f"lv{number}" for number in count() if f"lv{number}" not in taken)
        return names | {var: next(free) for var, _ in self._bindings if var not in names}

    def _with_decisions(self, module: tvm.IRModule, names: dict[relax.Var, str]) -> tvm.IRModule:
        """`module` with earlier decisions and new ones, for the joins that are still there."""
        old = {var.name: var for var, _ in self.old.bindings}
        earlier = [(old[d.join], d) for d in decisions(self.module) if d.join in old]
        renamed = []
        for var, decision in [*earlier, *self._decisions]:
            name = names.get(self._new.get(var))
            if name is not None:
                renamed.append(replace(decision, join=name))
        if not renamed and not decisions(self.module):
            return module
        return record(with_decisions(module, []), renamed)

    def _keep_notes(self, live: set[relax.Var]) -> None:
        notes = [str(note) for note in self.attrs.get(NOTES, [])]
        for var, reason in self._notes:
            if self._new.get(var) in live and reason not in notes:
                notes.append(reason)
        if notes:
            self.attrs[NOTES] = notes


def _of_one_type(one: Any, other: Any) -> bool:
    if one is other or not isinstance(one, relax.Expr):
        return True
    first, second = one.ty, other.ty
    return first.same_as(second) or tvm_ffi.structural_equal(first, second)


def _with_type(call: Call, ty: Any) -> Call:
    return Call(call.op, call.args, call.attrs, call.ty_args, ret_ty=ty)


def is_call(expr: Any, *names: str) -> bool:
    """True for a call of one of the named operators."""
    return type(expr) is Call and type(expr.op) is Op and expr.op.name in names


def shape_of(expr: relax.Expr) -> tuple[int, ...]:
    """The static shape of a tensor.  Raises ``ValueError`` if a dimension is not a number."""
    ty = expr.ty
    if not isinstance(ty, relax.TensorType) or ty.shape is None:
        raise ValueError(f"expected a tensor with a known shape, got {ty}")
    try:
        return tuple([int(dim) for dim in ty.shape.values[:]])
    except TypeError:
        raise ValueError(
            f"expected a static shape, got {ty}: fix the model's symbolic sizes first"
        ) from None


def dtype_of(expr: relax.Expr) -> str:
    """The element type of a tensor."""
    return str(expr.ty.dtype)


def with_operands(expr: relax.Expr, change: Callable[[Any], Any]) -> relax.Expr:
    """`expr` with every direct operand changed; the same object if none differs."""
    if type(expr) is Call:
        old = expr.args[:]
        args = [change(arg) for arg in old]
        if all(a is b or a.same_as(b) for a, b in zip(args, old)):
            return expr
        return Call(expr.op, args, expr.attrs, expr.ty_args)
    if type(expr) in VARIABLES:
        return change(expr)
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([change(field) for field in expr.fields[:]])
    if isinstance(expr, relax.TupleGetItem):
        return relax.TupleGetItem(change(expr.tuple_value), expr.index)
    return expr


def _numbered(bindings: Sequence[tuple[relax.Var, relax.Expr]], result: relax.Expr) -> list[str]:
    """Names of variables by their order, of the function's outputs apart."""
    outputs = set(variables(result))
    counts = {"gv": 0, "lv": 0}
    names = []
    for var, _ in bindings:
        kind = "gv" if var in outputs else "lv"
        names.append(kind + (str(counts[kind]) if counts[kind] else ""))
        counts[kind] += 1
    return names


def _build(
    params: list[relax.Var],
    bindings: list[tuple[relax.Var, relax.Expr]],
    result: relax.Expr,
    attrs: dict[str, Any],
    given: Mapping[relax.Var, str],
    spans: Mapping[relax.Var, tvm.ir.Span | None],
) -> tuple[relax.Function, dict[relax.Var, str]]:
    """A function of the bindings, and the name each variable has now: the one that is given, or
    one by its order.
    """
    outputs = set(variables(result))
    renamed: dict[relax.Var, relax.Expr] = {}

    def rename(expr: Any) -> Any:
        if type(expr) in VARIABLES:
            return renamed.get(expr, expr)
        return with_operands(expr, rename) if type(expr) is relax.Tuple else expr

    builder = relax.BlockBuilder()
    numbered = _numbered(bindings, result)
    with builder.function("main", params, attrs=attrs):
        with builder.dataflow():
            for (var, expr), number in zip(bindings, numbered):
                name = given.get(var) or number
                make = relax.Var if var in outputs else relax.DataflowVar
                renamed[var] = make(name, var.ty, spans[var])
                renewed = with_operands(expr, rename)
                if isinstance(renewed, Call) and renewed is not expr:
                    renewed = _with_type(renewed, expr.ty)  # for only names differ
                elif renewed is not expr:
                    renewed = builder.normalize(renewed)
                builder.emit_normalized(relax.VarBinding(renamed[var], renewed))
        builder.emit_func_output(rename(result))
    names = {var: new.name for var, new in renamed.items() if isinstance(new, relax.Var)}
    return builder.finalize()["main"], names
