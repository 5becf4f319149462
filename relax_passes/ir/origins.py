"""Which layers of the model file a tensor comes from, as messages and reports name them.

Passes rename variables, fuse operators and split them; none of that is what a user called a layer.
So each variable carries its :class:`Origin` s as TVM's own note on where code comes from, its span,
which neither equality nor printing look at.  Frontends give one to each variable (`with_origins`),
what makes new variables hands them on, what merges operators merges them (`merged`), and
`origins_of` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import tvm
from tvm import relax
from tvm.ir import SourceName, Span

from .straight_line import substitute, variables

_PREFIX = "dero.origins:"
_CONVERSIONS = frozenset(
    # They say how numbers are stored, and are named only where there is nothing else to name.
    "QuantizeLinear DequantizeLinear Cast QUANTIZE DEQUANTIZE CAST "
    "quantize_per_tensor dequantize_per_tensor quantize_per_channel dequantize_per_channel".split()
)
_CACHED = 4096


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


def span_of(origins: Iterable[Origin]) -> Span | None:
    """What a variable carries that comes from these layers; None for none."""
    pairs = [[origin.operator, origin.name] for origin in origins]
    return Span(SourceName(_PREFIX + json.dumps(pairs)), 0, 0, 0, 0) if pairs else None


def origins_of(var: relax.Var) -> tuple[Origin, ...]:
    """The layers that a variable comes from, the one that it is named after first."""
    return () if var.span is None else _read(str(var.span.source_name.name))


def origin_of(var: relax.Var) -> Origin | None:
    """The layer that a variable is named after, if its frontend knew one."""
    return next(iter(origins_of(var)), None)


def merged(*groups: Iterable[Origin]) -> tuple[Origin, ...]:
    """What an operator comes from that was made of several, each layer once.

    Conversions between integers and real numbers are left out where there is any other layer.
    """
    every = list(dict.fromkeys(origin for group in groups for origin in group))
    return tuple([o for o in every if o.operator not in _CONVERSIONS] or every)


@lru_cache(_CACHED)
def _read(text: str) -> tuple[Origin, ...]:
    if not text.startswith(_PREFIX):
        return ()
    return tuple(Origin(*pair) for pair in json.loads(text.removeprefix(_PREFIX)))


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
                renamed[var] = type(var)(var.name, var.ty, span_of([origins[var]]))
            bindings.append(relax.VarBinding(renamed.get(var, var), value))
        blocks.append(type(block)(bindings))
    body = relax.SeqExpr(blocks, substitute(main.body.body, renamed))
    copy = module.clone()
    copy["main"] = relax.Function(list(main.params), body, main.ret_ty, main.is_pure, main.attrs)
    return relax.transform.Normalize()(copy)
