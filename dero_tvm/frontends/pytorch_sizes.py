"""The open sizes of a PyTorch program, fixed before it is imported.

``torch.export`` computes with open sizes by operators of their own: an element count, half a
height.  With the sizes known these are numbers, which every operator takes.  What the program was
exported under, it also says: bounds of a dimension, and guards such as "the height is above 6",
which the Python code asked and on which its operators depend.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dero_tvm.boundary.errors import UserError

from .shapes import format_shape, resolve_input_shapes

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Sizes = Mapping[str, Sequence[int]]

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS = {"max": max, "min": min}


def fix_sizes(program: ExportedProgram, label: str, given: Sizes | None) -> None:
    """Replaces, in place, the open sizes of a program's inputs and all that follows from them.

    Raises :class:`UserError` where a size stays open, or the program was not exported for it.
    """
    import torch

    named = set(program.graph_signature.user_inputs)
    ports = {
        node.name: node.meta["val"].shape
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in named and hasattr(node.meta["val"], "shape")
    }
    declared = {name: [_dimension(size) for size in shape] for name, shape in ports.items()}
    if all(isinstance(size, int) for shape in ports.values() for size in shape):
        return
    shapes = resolve_input_shapes(label, declared, given)
    symbols = _symbols(ports, shapes, label)
    _refuse_bounds(program, symbols, label)
    _refuse_guards(getattr(program, "_guards_code", None) or (), shapes, label)

    def fixed(value: Any) -> Any:
        if isinstance(value, torch.SymBool | torch.SymFloat | torch.SymInt):
            kind = {torch.SymBool: bool, torch.SymFloat: float, torch.SymInt: int}[type(value)]
            term = value.node.expr.xreplace(symbols)
            return value if term.free_symbols else kind(term)  # some depend on values
        if isinstance(value, torch.Tensor):
            shape = [fixed(size) for size in value.shape]
            if all(isinstance(size, int) for size in shape):
                return torch.empty(shape, dtype=value.dtype, device="meta")
        return value

    for node in list(program.graph.nodes):
        if "val" not in node.meta:
            continue
        node.meta["val"] = torch.utils._pytree.tree_map(fixed, node.meta["val"])
        node.meta.pop("tensor_meta", None)  # has the open sizes, too, and is optional
        if node.op == "call_function" and isinstance(node.meta["val"], bool | int | float):
            _replace_by_number(node)


def _dimension(size: Any) -> int | str:
    """A size, or its term.  One that exporting found to be fixed may be a term without symbols."""
    term = getattr(getattr(size, "node", None), "expr", size)
    return int(size) if getattr(term, "is_Integer", True) else str(term)


def _replace_by_number(node: Any) -> None:
    import torch

    number = node.meta["val"]

    def replaced(argument: Any) -> Any:
        return number if argument is node else argument

    for user in list(node.users):
        user.args = torch.fx.node.map_arg(user.args, replaced)
        user.kwargs = torch.fx.node.map_arg(user.kwargs, replaced)
    node.graph.erase_node(node)


def _symbols(ports: Mapping[str, Sequence[Any]], shapes: Sizes, label: str) -> dict[Any, Any]:
    """The size of each symbol in the shapes of inputs, which may be terms such as ``4*s0``."""
    import sympy

    sizes = [
        (name, dim.node.expr, size)
        for name, shape in ports.items()
        for dim, size in zip(shape, shapes[name], strict=True)
        if not isinstance(_dimension(dim), int)
    ]
    symbols: dict[Any, Any] = {}
    for name, term, size in sorted(sizes, key=lambda entry: not entry[1].is_Symbol):
        rest = term.xreplace(symbols)
        if len(rest.free_symbols) == 1:
            (symbol,) = rest.free_symbols
            found = sympy.solve(rest - size, symbol)
            if len(found) == 1 and found[0].is_Integer:
                symbols[symbol] = found[0]
        if term.xreplace(symbols) != size:
            raise UserError(
                f"{label}: --input-shapes gives {name!r} the shape {format_shape(shapes[name])}, "
                f"in which {size} is not {term} of any size that the program has"
            )
    return symbols


def _refuse_bounds(program: ExportedProgram, symbols: Mapping[Any, Any], label: str) -> None:
    for symbol, bounds in program.range_constraints.items():
        size = symbol.xreplace(symbols)
        # What has a lower bound of 2 was open when it was exported; 1 computes the same.
        above_least = size >= bounds.lower or bounds.lower <= 2
        if size.is_Integer and not (above_least and size <= bounds.upper):
            raise UserError(
                f"{label}: --input-shapes gives a size of {size} where the program was exported "
                f"for {bounds.lower} to {bounds.upper}; export it with other bounds"
            )


def _refuse_guards(guards: Sequence[str], shapes: Sizes, label: str) -> None:
    for guard in guards:
        question = ast.parse(guard, mode="eval").body
        try:
            holds = _value(question, shapes)
        except _Unknown:
            continue
        if not holds and not _asks_for_one(question):
            raise UserError(
                f"{label}: the program was exported for sizes with {_spelt(guard)}, which "
                f"{_listed(shapes)} does not keep; export it with example inputs of these sizes"
            )


class _Unknown(Exception):
    """Part of a guard that is not arithmetic on sizes of inputs."""


def _value(term: ast.expr, shapes: Sizes) -> Any:
    """The value of a guard's term.  It comes from a file, so it is computed here, not run."""
    match term:
        case ast.Constant(value=int(number)):
            return number
        case ast.Subscript(
            value=ast.Call(
                func=ast.Attribute(
                    value=ast.Subscript(
                        value=ast.Name(id="L"), slice=ast.Constant(value=str(name))
                    ),
                    attr="size",
                )
            ),
            slice=ast.Constant(value=int(axis)),
        ) if name in shapes and axis < len(shapes[name]):
            return shapes[name][axis]
        case (
            ast.BinOp(left=left, op=op, right=right)
            | ast.Compare(left=left, ops=[op], comparators=[right])
        ) if type(op) in _OPERATORS:
            operands = _value(left, shapes), _value(right, shapes)
            if type(op) in (ast.FloorDiv, ast.Mod) and operands[1] == 0:
                raise _Unknown
            return _OPERATORS[type(op)](*operands)
        case ast.Call(func=ast.Name(id=function), args=arguments) if function in _FUNCTIONS:
            return _FUNCTIONS[function](*(_value(argument, shapes) for argument in arguments))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, shapes)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, shapes)
    raise _Unknown


def _asks_for_one(question: ast.expr) -> bool:
    """Whether a size is above 1, which PyTorch asks of every open size to know what broadcasts."""
    match question:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            equal, sides = isinstance(op, ast.Eq), (left, right)
            by_one = any(isinstance(side, ast.Constant) and side.value in (0, 1) for side in sides)
            return (
                by_one and not equal and not any(isinstance(t, ast.Mod) for t in ast.walk(question))
            )
    return False


def _spelt(guard: str) -> str:
    return guard.replace("L['", "").replace("'].size()", "")


def _listed(shapes: Sizes) -> str:
    return ", ".join(f"{name} {format_shape(list(shape))}" for name, shape in shapes.items())
