"""Modules that are in Relax already, and the open dimensions of any of them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import tvm
from tvm import relax, tirx

from dero_tvm.boundary.errors import UserError
from relax_passes.canonicalization.note_weights import with_weights_noted
from relax_passes.ir.attributes import ROUNDING, main_attribute

from .loaded import LoadedModel, finish
from .port_names import distinct_names
from .shapes import Dimension, resolve_input_shapes

_MOST_NAMED = 5  # functions, in a refusal


def load_relax(
    module: tvm.IRModule,
    *,
    label: str,
    name: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> LoadedModel:
    """Take a Relax module with a function ``main`` as it is, its open dimensions bound.

    Rounding is ``single`` unless ``main`` has the attribute ``dero.rounding``.
    """
    functions = [variable.name_hint for variable in module.get_global_vars()]
    if "main" not in functions:
        others = f", but {', '.join(functions[:_MOST_NAMED])}" if functions else ""
        raise UserError(
            f"{label} has no function named 'main'{others}; name the network's function so"
        )
    main = module["main"]
    if not isinstance(main, relax.Function):
        raise UserError(f"{label}: its 'main' is not a Relax function")
    names = distinct_names(parameter.name for parameter in main.params)
    module = bind_dimensions(module, names, label, input_shapes)
    with contextlib.suppress(ValueError):  # a later stage says what is wrong with it
        module = with_weights_noted(module)
    main = module["main"]
    result = main.ret_ty
    count = len(result.fields) if isinstance(result, relax.TupleType) else 1
    outputs = ("output",) if count == 1 else tuple(f"output_{i}" for i in range(count))
    return finish(
        module,
        label=label,
        name=name,
        format="relax",
        rounding="single" if main_attribute(module, ROUNDING) is None else None,
        input_names=names,
        output_names=outputs,
    )


_BOUNDS = ("tir_var_lower_bound", "tir_var_upper_bound")  # of symbols, of which none remains


def bind_dimensions(
    module: tvm.IRModule,
    names: Sequence[str],
    label: str,
    input_shapes: Mapping[str, Sequence[int]] | None,
) -> tvm.IRModule:
    """``main`` with the symbolic dimensions of its inputs, called `names`, replaced by sizes."""
    main = module["main"]
    declared: dict[str, list[Dimension] | None] = {}
    for name, parameter in zip(names, main.params, strict=True):
        if not isinstance(parameter.ty, relax.TensorType):
            raise UserError(f"{label}: input {name!r} is not a tensor")
        shape = parameter.ty.shape
        declared[name] = None if shape is None else [_dimension(dim) for dim in shape]
    shapes = resolve_input_shapes(label, declared, input_shapes)
    binding: dict[tirx.Var, int] = {}
    for name, parameter in zip(names, main.params, strict=True):
        if parameter.ty.shape is None:
            raise UserError(f"{label}: input {name!r} has no rank; give it a shape in the module")
        for dim, size in zip(parameter.ty.shape, shapes[name], strict=True):
            if isinstance(dim, tirx.Var):
                binding[dim] = size
            elif not isinstance(dim, tirx.IntImm):
                raise UserError(
                    f"{label}: a dimension of input {name!r} is the expression {dim}; only sizes "
                    "and symbols are supported"
                )
    bounds = [name for name in _BOUNDS if main.attrs is not None and name in main.attrs]
    if not binding and not bounds:
        return module
    bound = main.bind_symbolic_vars(binding)
    for attribute in bounds:
        bound = bound.without_attr(attribute)
    module = module.clone()
    module["main"] = bound
    return module


def _dimension(dim: tirx.Expr) -> Dimension:
    return int(dim) if isinstance(dim, tirx.IntImm) else str(dim)
