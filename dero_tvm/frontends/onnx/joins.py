"""Sum, Max, Min and Mean of any number of tensors, two at a time.

TVM's importer stacks the operands and reduces the stack, which takes time and memory that grow with
the square of their number, and more in the passes that follow.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import relax

_OPERATIONS = {
    "Max": relax.op.maximum,
    "Mean": relax.op.add,
    "Min": relax.op.minimum,
    "Sum": relax.op.add,
}
JOINS = tuple(_OPERATIONS)
_MOST_OPERANDS = 256


def too_many(tensors: int) -> bool:
    """Whether a node has more operands, or results, than any published network's.

    A join and a split become an operator for each, and a concatenation has each in one plan.
    """
    return tensors > _MOST_OPERANDS


def join(name: str, inputs: Sequence[relax.Expr], builder: relax.BlockBuilder) -> relax.Expr:
    """The operands combined from the first to the last, as ONNX Runtime does."""
    total, *others = inputs
    for other in others:
        total = builder.emit(_OPERATIONS[name](total, other))
    if name == "Mean" and others:
        count = relax.const(len(inputs), str(total.ty.dtype))
        total = relax.op.divide(total, count)
    return builder.normalize(total)
