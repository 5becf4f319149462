"""What every frontend returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst

from dero_tvm.boundary.errors import UserError
from relax_passes.ir.attributes import NOTES, ROUNDING
from relax_passes.ir.origins import Origin, origin_of, with_origins
from relax_passes.ir.port_quantization import Kind, PortQuantization, with_port_quantization
from relax_passes.ir.states import NetworkState, with_states

from .empty_tensors import is_empty, known_sizes, without_empty_tensors
from .port_names import distinct_names


class ModelPort(NamedTuple):
    """A model input or output under the name that the model's file gives it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class LoadedModel:
    """A trained network as a Relax module.

    Attributes
    ----------
    module
        One function, ``main``, with the weights as constants.  Its attribute ``dero.rounding``
        says how the origin's integer kernels round (``double`` or ``single``); what its integer
        inputs and outputs stand for is in others (`relax_passes.ir.port_quantization`).  Parameters
        of ``main`` correspond to `inputs` by position, whatever Relax calls them.
    name
        A short name of the model: the file's stem, or what the model calls itself.
    format
        ``tflite``, ``onnx``, ``pytorch`` or ``relax``.
    inputs, outputs
        In the model's order, under the model's own names, with numbers where several are alike.
        What the network keeps from one inference to the next is no port: it is behind them among
        the parameters and results of ``main`` (see `relax_passes.ir.states`).
    """

    module: tvm.IRModule
    name: str
    format: str
    inputs: tuple[ModelPort, ...]
    outputs: tuple[ModelPort, ...]


def finish(
    module: tvm.IRModule,
    *,
    label: str,
    name: str,
    format: str,
    rounding: str | None,
    input_names: tuple[str, ...],
    output_names: tuple[str, ...],
    quantization: Mapping[str, PortQuantization] = {},
    origins: Mapping[relax.Expr, Origin] = {},
    states: Sequence[NetworkState] = (),
    notes: Sequence[str] = (),
) -> LoadedModel:
    """Bundle an imported module, reading shapes and types from ``main``'s signature.

    `label` is how messages name the model (its path); `rounding` None keeps what ``main`` says.
    `quantization` is that of inputs and outputs that are integers, by name; `origins` are the
    file's operators by what each was converted to; `states` are the last parameters and results,
    `notes` are what reports say of the import.
    Raises :class:`UserError` when a shape is known only at run time.
    """
    main = module["main"]
    # The importers attach a second copy of the weights, which are constants in the body already.
    for attribute in ("params", "num_input"):
        main = main.without_attr(attribute)
    if rounding is not None:
        main = main.with_attr(ROUNDING, rounding)
    if notes:
        main = main.with_attr(NOTES, list(notes))
    module = module.clone()
    module["main"] = main
    module = with_states(without_empty_tensors(with_origins(module, origins)), states)
    main = module["main"]
    _refuse_scales(main, label)
    ports: tuple[tuple[Kind, tuple[str, ...]], ...]
    ports = (("input", input_names), ("output", output_names))
    for kind, names in ports:
        known = {i: quantization[n] for i, n in enumerate(names) if n in quantization}
        module = with_port_quantization(module, kind, known)
    input_names, output_names = distinct_names(input_names), distinct_names(output_names)

    result = main.ret_ty
    types = list(result.fields) if isinstance(result, relax.TupleType) else [result]
    types = types[: len(types) - len(states)]
    if not types:
        raise UserError(f"{label}: has no outputs, so there is nothing to compute")
    if len(types) != len(output_names):
        raise UserError(f"{label}: gives sequences of tensors; only tensors are supported")
    parameters = main.params[: len(main.params) - len(states)]
    inputs = [
        _spec(label, "input", tensor_name, parameter.ty)
        for tensor_name, parameter in zip(input_names, parameters, strict=True)
    ]
    outputs = [
        _spec(label, "output", tensor_name, ty)
        for tensor_name, ty in zip(output_names, types, strict=True)
    ]
    _refuse_empty(main, label)
    return LoadedModel(module, name, format, tuple(inputs), tuple(outputs))


def _refuse_empty(main: relax.Function, label: str) -> None:
    """Results of tensors without elements mean a damaged model, or a wrong size."""
    for expr in _tensors(main):
        if is_empty(expr):
            raise UserError(
                f"{label}: uses a tensor of shape {known_sizes(expr.ty)}, which has no "
                "elements; empty tensors are not supported"
            )


def _refuse_scales(main: relax.Function, label: str) -> None:
    """What is divided by 0, or by infinity, is lost; all that a scale of NaN touches is NaN."""
    for binding in (binding for block in main.body.blocks for binding in block.bindings):
        call: Any = getattr(binding, "value", None)
        name = str(getattr(getattr(call, "op", None), "name", ""))
        if name not in ("relax.quantize", "relax.dequantize"):
            continue
        scale = call.args[1]
        if isinstance(scale, GenericConst):
            scales = scale.value.numpy().ravel()
            right = np.isfinite(scales) & ((scales > 0) | (name == "relax.dequantize"))
            if not right.all():
                raise UserError(
                    f"{label}: {origin_of(binding.var) or binding.var.name} has the scale "
                    f"{scales[~right][0]:g}; a scale has to be a positive number: quantize the "
                    "model again, with inputs that it is made for"
                )


def _tensors(main: relax.Function) -> Iterator[Any]:
    """Parameters, results of operators, and their operands, constants among them."""
    found = [*main.params]
    for binding in (binding for block in main.body.blocks for binding in block.bindings):
        found += [binding.var, *getattr(getattr(binding, "value", None), "args", ())]
    return (expr for expr in found if isinstance(getattr(expr, "ty", None), relax.TensorType))


def _spec(label: str, role: str, name: str, ty: tvm.ir.Type) -> ModelPort:
    shape = getattr(ty, "shape", None)
    dims = None if shape is None else getattr(shape, "values", shape)
    if not isinstance(ty, relax.TensorType) or dims is None:
        raise UserError(f"{label}: {role} {name!r} is not a tensor of a known shape")
    if ty.dtype is None:
        raise UserError(f"{label}: {role} {name!r} is a tensor of an unknown type")
    if not all(isinstance(dim, tvm.tirx.IntImm) for dim in dims):
        written = ", ".join(str(dim) for dim in dims)
        raise UserError(
            f"{label}: the shape of {role} {name!r}, [{written}], is known only at run time; "
            "memory can be planned only for fixed shapes"
        )
    shape = tuple(int(dim) for dim in dims)
    if 0 in shape:
        raise UserError(
            f"{label}: {role} {name!r} has the shape {list(shape)}, which has no elements; empty "
            "tensors are not supported"
        )
    return ModelPort(name, shape, str(ty.dtype))
