"""Shapes and types that an ONNX file declares, and that ONNX infers, against what was imported."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper
from tvm import relax

from dero_tvm.boundary.errors import UserError

from ..declared_types import Declared, DeclaredOtherwise, check_declared
from .windows import POOLS

Types = Mapping[str, onnx.TypeProto]


def declared_types(graph: onnx.GraphProto) -> Types:
    """What the file says of the results of nodes and of the model, by the tensor's name.

    Left out is what follows from a pooling with `ceil_mode`: tools that write shapes into files
    count a last window that begins in the padding, as ONNX itself did before operator set 22, and
    no runtime computes it.
    """
    said = {value.name: value.type for value in (*graph.value_info, *graph.output)}
    doubtful: set[str] = set()
    for node in graph.node:  # in the order of their operands
        if rounds_up(node) or not doubtful.isdisjoint(node.input):
            doubtful.update(node.output)
    return {name: ty for name, ty in said.items() if name not in doubtful}


def rounds_up(node: onnx.NodeProto) -> bool:
    """True for a pooling whose last window may hang over the end."""
    return node.op_type in POOLS and any(a.name == "ceil_mode" and a.i for a in node.attribute)


def check_types(
    imported: Mapping[str, relax.Type],
    graph: onnx.GraphProto,
    declared: Types,
    inferred: Types,
    label: str,
) -> None:
    """Compare the results of all nodes of `graph` with what was imported for them.

    Raises :class:`UserError` where the file contradicts itself, `declared_types.DeclaredOtherwise`
    where the import does not do what the file says.
    """
    for node in graph.node:
        for name in node.output:
            actual = imported.get(name)
            if not isinstance(actual, relax.TensorType):
                continue  # sequences, and shapes, whose elements are known while importing
            for said in (declared.get(name), inferred.get(name)):
                if said is None or not said.HasField("tensor_type"):
                    continue
                try:
                    _check(f"{label}: {name!r}, computed by {_title(node)},", said, actual)
                except DeclaredOtherwise:
                    expected = inferred.get(name)
                    if said is declared.get(name) and _fits(expected, actual):
                        raise UserError(
                            f"{label}: the file declares {name!r} as {_written(said)}, but "
                            f"{_title(node)} computes {_written(expected)} there: the file "
                            "contradicts itself; correct the declaration or leave it out"
                        ) from None
                    raise
                break  # what the file itself says, and the import does, is enough


def _check(where: str, said: onnx.TypeProto, actual: relax.TensorType) -> None:
    dtype = _dtype(said)
    if dtype == "uint8" and str(actual.dtype) == "int8":  # see `signed`
        dtype = "int8"
    check_declared(where, _sizes(said), dtype, actual)


def _fits(said: onnx.TypeProto | None, actual: relax.TensorType) -> bool:
    if said is None:
        return False
    try:
        _check("", said, actual)
    except DeclaredOtherwise:
        return False
    return True


def _dtype(said: onnx.TypeProto) -> str | None:
    number = said.tensor_type.elem_type
    if number == onnx.TensorProto.UNDEFINED:
        return None
    return str(helper.tensor_dtype_to_np_dtype(number))


def _sizes(said: onnx.TypeProto) -> Declared | None:
    tensor = said.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [
        int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in tensor.shape.dim
    ]


def _written(said: onnx.TypeProto | None) -> str:
    sizes = None if said is None else _sizes(said)
    kind = "a tensor" if said is None else _dtype(said) or "a tensor"
    if sizes is None:
        return kind
    return f"{kind} [{', '.join('?' if size is None else str(size) for size in sizes)}]"


def _title(node: onnx.NodeProto) -> str:
    return f"{node.op_type} (node {node.name!r})" if node.name else node.op_type
