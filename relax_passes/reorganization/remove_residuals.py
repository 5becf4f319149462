r"""RemoveResiduals: the plain baseline of a network's memory.

::

    x -> ... main branch -> add -> z              x -> ... main branch -> z
     \______ shortcut _____/

Every residual join whose shortcut ``IdentifyResiduals`` can name is replaced by its main branch;
projections are then dead and disappear.  The network computes another function: it says what the
memory would be without residuals.

* Additions: a fused activation moves to the operator that ends the main branch, or, where that
  has other readers or no activation of its own, to an operator of its own.  For int8 the result
  is also brought to the sum's scale and zero point, by scaling the convolution's factors or by a
  lookup table, so that what follows reads it as before.
* Concatenations (DenseNet, U-Net): the operands that others are computed from go, the newest
  stays.  What follows loses the channels, until a convolution or dense layer absorbs the change
  (`channel_selection`).

A join is left alone, with its reason among the decisions, if it has no shortcut (Inception's
parallel branches), is a product or the like (a gate is no residual), if its main branch has
another shape, or if the change of width reaches an operator that cannot lose single channels
(grouped convolution, channel shuffle), or the network's output.

Cascades are inlined and ``in_place`` marks taken back first: both are to be decided anew.

With `refine`, a float network that loses concatenations gets back the parameters that it loses
with them: it is written as ``ReorganizeResiduals`` writes it, but without shortcuts, with the
widths of ``RefineOperators``.  Its weights are those with which training would start.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.decisions import LEFT_ALONE, Decision, forget, record
from ..ir.inline import inlined
from ..ir.operator_graph import OperatorGraph, operator_graph
from ..ir.straight_line import (
    StraightLine,
    read_function,
    substitute,
    unique_names,
    without_dead_bindings,
    write_function,
)
from ..operators import attributes_of, make_call, operator_of
from ..residuals.identify_residuals import find_residuals
from ..residuals.residual import NONE, Residual, edit_residuals
from ..streaming.stream_rows import MEMORY_PASSES
from .channel_selection import CannotNarrow, Kept, narrow
from .description import Choices
from .refine_operators import RefineOperators
from .reorganize_residuals import reorganize
from .rescale import absorb, convert

NAME = "RemoveResiduals"
_PLAIN = Choices(normalization=None, shortcuts="none")


@tvm.transform.module_pass(opt_level=0, name=NAME)
class RemoveResiduals:
    """The pass; see the module's docstring."""

    def __init__(self, *, refine: bool = False) -> None:
        self.refine = refine

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return the plain baseline of `mod` with all decisions recorded."""
        if self.refine:
            graph = operator_graph(unique_names(mod), flatten=True)
            if any(graph[r.join].is_concat_join and r.shortcuts for r in find_residuals(graph)):
                baseline = reorganize(mod, _PLAIN, "plain", NAME)
                return tvm.transform.Sequential([RefineOperators()])(baseline)
        mod = inlined(mod)
        mod = forget(mod, MEMORY_PASSES)
        removed = {""}
        gone: set[str] = set()
        while removed:  # what is left may have shortcuts that were none before
            mod, removed = _remove(mod)
            gone |= removed
        return edit_residuals(mod, lambda join, _operands: None if join in gone else {})


def _remove(mod: tvm.IRModule) -> tuple[tvm.IRModule, set[str]]:
    """`mod` without the residual joins that can be removed, and their names."""
    graph = operator_graph(mod)
    residuals = find_residuals(graph)
    refused = {r.join: reason for r in residuals if (reason := _objection(graph, r))}
    while True:
        removed = {r.join: r for r in residuals if r.join not in refused}
        try:
            line = _Rewriter(graph, removed).run(read_function(mod))
            break
        except _Refusal as refusal:
            refused |= dict.fromkeys(refusal.joins, str(refusal))
    mod = write_function(mod, without_dead_bindings(line))
    return record(mod, [_decision(r, refused.get(r.join)) for r in residuals]), set(removed)


def _decision(residual: Residual, objection: str | None) -> Decision:
    if objection is not None:
        return Decision(NAME, residual.join, LEFT_ALONE, objection)
    shortcut = ", ".join(branch.operand for branch in residual.shortcuts)
    why = f"the main branch takes its place; the {residual.shortcut} shortcut was {shortcut}"
    return Decision(NAME, residual.join, "removed", why)


def _objection(graph: OperatorGraph, residual: Residual) -> str:
    """Why a join is no residual join that can be removed; "" if it is one."""
    if residual.shortcut == NONE:
        return "its branches are parallel: none is a shortcut"
    if graph[residual.join].is_concat_join:
        signature = graph[residual.join].signature
        rank = len(signature.output.shape)
        if signature["axis"] % rank != rank - 1:
            return "it concatenates along another axis than the channels"
        return ""
    if residual.operator != "dero.add":
        return f"{residual.operator} is a gate or a difference, not a residual join"
    (main,) = _main(residual)
    if graph[main].spec.shape != graph[residual.join].spec.shape:
        return f"its main branch {main} has another shape than the sum"
    return ""


def _main(residual: Residual) -> list[str]:
    shortcuts = {branch.operand for branch in residual.shortcuts}
    return [b.operand for b in residual.branches if b.operand not in shortcuts]


class _Refusal(Exception):
    """Joins that cannot be removed after all."""

    def __init__(self, joins: frozenset[str], reason: str) -> None:
        super().__init__(reason)
        self.joins = joins


@dataclass(frozen=True)
class _Tensor:
    """What a tensor of the network has become."""

    value: relax.Expr
    kept: Kept = None
    causes: frozenset[str] = frozenset()  # removed joins because of which channels are missing


@dataclass
class _Rewriter:
    """Walks a network in written order and leaves out the joins in `removed`."""

    graph: OperatorGraph
    removed: dict[str, Residual]
    became: dict[relax.Var, _Tensor] = field(default_factory=dict)
    bindings: dict[relax.Var, relax.Expr] = field(default_factory=dict)

    def run(self, line: StraightLine) -> StraightLine:
        self.became = {parameter: _Tensor(parameter) for parameter in line.parameters}
        for var, value in line.bindings:
            if var.name in self.removed:
                self.became[var] = self._main_branch(var, value)
            else:
                self.became[var] = self._operator(var, value)
        for leaf in line.results:
            if isinstance(leaf, relax.Var) and (causes := self.became[leaf].causes):
                raise _Refusal(causes, "an output of the network would lose channels")
        values = {var: tensor.value for var, tensor in self.became.items()}
        return StraightLine(
            line.parameters, tuple(self.bindings.items()), substitute(line.result, values)
        )

    def _emit(self, old: relax.Var, value: relax.Expr) -> relax.Var:
        var = relax.Var(old.name, value.ty, old.span)
        self.bindings[var] = value
        return var

    def _operands(self, value: Call) -> list[_Tensor]:
        return [
            self.became[arg] if isinstance(arg, relax.Var) else _Tensor(arg) for arg in value.args
        ]

    def _operator(self, var: relax.Var, value: relax.Expr) -> _Tensor:
        """An operator that stays, narrowed if an operand lost channels."""
        if isinstance(value, Call) and operator_of(value) is not None:
            operands = self._operands(value)
            causes = frozenset().union(*(operand.causes for operand in operands))
            if causes:
                return self._narrowed(var, value, operands, causes)
            if attributes_of(value).get("in_place"):
                attrs = attributes_of(value) | {"in_place": False}
                call = make_call(value.op.name.removeprefix("dero."), value.args, **attrs)
                value = Call(call.op, list(call.args), call.attrs, ret_ty=value.ty)
        narrowed = [v for v in self.became if self.became[v].causes]
        changed = substitute(value, {v: self.became[v].value for v in narrowed})
        if not changed.same_as(value):
            causes = frozenset().union(*(self.became[v].causes for v in narrowed))
            raise _Refusal(causes, f"{var.name} is computed by TVM's own operators")
        values = {v: tensor.value for v, tensor in self.became.items()}
        return _Tensor(self._emit(var, substitute(value, values)))

    def _narrowed(
        self, var: relax.Var, value: Call, operands: list[_Tensor], causes: frozenset[str]
    ) -> _Tensor:
        try:
            call, kept = narrow(value, [o.value for o in operands], [o.kept for o in operands])
        except CannotNarrow as reason:
            raise _Refusal(causes, f"{var.name} cannot lose channels: {reason}") from None
        remaining = causes if kept is not None else frozenset()
        return _Tensor(self._emit(var, call), kept, remaining)

    def _main_branch(self, var: relax.Var, value: Call) -> _Tensor:
        """What stands for a removed join."""
        main = set(_main(self.removed[var.name]))
        if operator_of(value) is operator_of("dero.concat"):
            return self._newest(var, value, main)
        (argument,) = [i for i, arg in enumerate(value.args) if arg.name in main]
        branch = self._operands(value)[argument]
        if branch.value in self.bindings and self._read_only_by(branch.value, var):
            absorbed = absorb(self.bindings[branch.value], value, argument)
            if absorbed is not None:
                self.bindings[branch.value] = absorbed
                return branch
        converted = convert(branch.value, value, argument)
        if converted is None:
            return branch
        return replace(branch, value=self._emit(var, converted))

    def _read_only_by(self, value: relax.Var, join: relax.Var) -> bool:
        """Whether nothing but `join` reads `value` or a tensor that has become `value`."""
        same = {v.name for v, tensor in self.became.items() if tensor.value.same_as(value)}
        return all(set(self.graph.digraph.successors(name)) <= same | {join.name} for name in same)

    def _newest(self, var: relax.Var, value: Call, main: set[str]) -> _Tensor:
        """The operands of a concatenation from which no other is computed."""
        chosen, kept, offset = [], [], 0
        for arg, operand in zip(value.args, self._operands(value)):
            width = int(arg.ty.shape[-1])
            if isinstance(arg, relax.Var) and arg.name in main:
                chosen.append(operand)
                own = np.arange(width) if operand.kept is None else operand.kept
                kept.append(own + offset)
            offset += width
        causes = frozenset({var.name}).union(*(operand.causes for operand in chosen))
        if len(chosen) == 1:
            return _Tensor(chosen[0].value, kept[0], causes)
        attrs = attributes_of(value) | {"in_place": False}
        call = make_call("concat", [operand.value for operand in chosen], **attrs)
        joined = self._emit(var, relax.BlockBuilder().normalize(call))
        return _Tensor(joined, np.concatenate(kept), causes)
