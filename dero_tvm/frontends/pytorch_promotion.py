"""PyTorch's promotion of types, written out.

    arange(4) + 0.5    ->  to(arange(4), float32) + 0.5
    i / j, sqrt(i)     ->  to(i, float32) / to(j, float32), sqrt(to(i, float32))
    i < 0.5            ->  to(i, float32) < 0.5
    (x > 0) + 1        ->  to(x > 0, int64) + 1
    (x > 0) + (y > 0)  ->  logical_or(x > 0, y > 0)
    cumsum(x > 0)      ->  cumsum(to(x > 0, int64))

TVM's importer gives a number the type of the tensor beside it, so that 0.5 beside integers is 0,
and divides integers as integers.
"""

from __future__ import annotations

from typing import Any

_COMPARISONS = frozenset("eq ge gt le lt ne".split())
_OF_SEVERAL = frozenset("cumprod cumsum prod sum".split())
"""Which add up or multiply elements: of integers in 64 bits."""
_OF_TRUTH_VALUES = {"add": "logical_or", "mul": "logical_and"}
_WITH_MASK = {"where": 0, "masked_fill": 1}
"""The operand that says where, which no promotion concerns."""


def promote_types(program: Any) -> None:
    """Have operators of an ``ExportedProgram`` that compute take operands of their own type.

    Changes the program's graph; integers alone are converted, to what PyTorch computes with.
    """
    import torch

    graph = program.graph_module.graph
    for node in list(graph.nodes):
        made = node.meta.get("val")
        is_elementwise = torch.Tag.pointwise in getattr(node.target, "tags", ())
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        if not (is_elementwise or name in _OF_SEVERAL) or not hasattr(made, "dtype"):
            continue
        kind = _common(node) if name in _COMPARISONS else made.dtype
        if made.dtype == torch.bool and name in _OF_TRUTH_VALUES:
            node.target = getattr(torch.ops.aten, _OF_TRUTH_VALUES[name]).default
        if kind is None or kind == torch.bool or name in ("_to_copy", "clone", "copy"):
            continue
        operands = list(node.args)
        for position, operand in enumerate(operands):
            own = getattr(_meaning(operand), "dtype", kind)
            if own == kind or own.is_floating_point or position == _WITH_MASK.get(name):
                continue
            with graph.inserting_before(node):
                operands[position] = graph.call_function(
                    torch.ops.aten._to_copy.default, (operand,), {"dtype": kind}
                )
            operands[position].meta = {**node.meta, "val": _meaning(operand).to(kind)}
        node.args = tuple(operands)


def _common(node: Any) -> Any:
    """The type in which operands are compared; None if there are not two."""
    import torch

    left, right, *_ = (*map(_meaning, node.args), None, None)
    return None if left is None or right is None else torch.result_type(left, right)


def _meaning(operand: Any) -> Any:
    """A tensor of an operand's shape and type, or the number that it is."""
    return operand.meta.get("val") if hasattr(operand, "meta") else operand
