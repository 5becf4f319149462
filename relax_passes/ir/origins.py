"""Which layer of the model file a tensor comes from, as messages name it.

Passes rename variables, fuse operators and split them; none of that is what a user called a layer.
So each variable of ``main`` carries an :class:`Origin` as TVM's own note on where code comes from,
its span, which neither equality nor printing look at.  Frontends give it (`with_origins`), what
makes new variables hands it on, and `origin_of` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tvm
from tvm import relax
from tvm.ir import SourceName, Span

from .straight_line import substitute, variables


@dataclass(frozen=True)
class Origin:
    """An operator of a model file.

    Attributes
    ----------
    operator
        The format's word for it: ``Conv``, ``CONV_2D``, ``conv2d``.
    name
        The file's name of it: an ONNX node, a TFLite tensor, a PyTorch module.
    """

    operator: str
    name: str

    def __str__(self) -> str:
        return f"{self.operator} {self.name!r}"

    @property
    def span(self) -> Span:
        """What a variable carries."""
        return Span(SourceName(f"{self.operator}\n{self.name}"), 0, 0, 0, 0)


def origin_of(var: relax.Var) -> Origin | None:
    """The origin of a variable, if its frontend knew one."""
    if var.span is None:
        return None
    operator, separator, name = str(var.span.source_name.name).partition("\n")
    return Origin(operator, name) if separator else None


def with_origins(module: tvm.IRModule, known: Mapping[relax.Expr, Origin]) -> tvm.IRModule:
    """A copy of `module` whose ``main`` has its variables' origins.

    `known` has the origin of what each operator of the file was converted to, a variable or the
    expression bound to one.  What else was bound on the way belongs to the operator that reads it,
    parts of a tuple to the operator that gives the tuple.
    """
    main = module["main"]
    if not isinstance(main.body, relax.SeqExpr):
        return module
    bindings = [binding for block in main.body.blocks[:] for binding in block.bindings[:]]
    straight = all(
        isinstance(binding, relax.VarBinding) and not isinstance(binding.value, relax.If)
        for binding in bindings
    )
    if not known or not straight:
        return module  # a later stage says what is wrong with it
    origins: dict[relax.Var, Origin] = {}
    for binding in bindings:
        found = known.get(binding.var) or known.get(binding.value)
        if found is None and isinstance(binding.value, relax.TupleGetItem):
            found = origins.get(binding.value.tuple_value)
        if found is not None:
            origins[binding.var] = found
    for binding in reversed(bindings):
        if binding.var in origins:
            for operand in variables(binding.value):
                origins.setdefault(operand, origins[binding.var])
    return _renewed(module, main, origins)


def _renewed(
    module: tvm.IRModule, main: relax.Function, origins: Mapping[relax.Var, Origin]
) -> tvm.IRModule:
    """`module` with new variables, those in `origins` with spans."""
    renamed: dict[relax.Var, relax.Expr] = {}
    blocks = []
    for block in main.body.blocks:
        bindings = []
        for binding in block.bindings[:]:
            var, value = binding.var, substitute(binding.value, renamed)
            if var in origins:
                renamed[var] = type(var)(var.name, var.ty, origins[var].span)
            bindings.append(relax.VarBinding(renamed.get(var, var), value))
        blocks.append(type(block)(bindings))
    body = relax.SeqExpr(blocks, substitute(main.body.body, renamed))
    copy = module.clone()
    copy["main"] = relax.Function(list(main.params), body, main.ret_ty, main.is_pure, main.attrs)
    return relax.transform.Normalize()(copy)
