"""Which buffer each value lies in: reshapes share, operands of concatenations are slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from relax_passes.operators import Signature, TensorSpec

from .network import Cascade, Operation, Value


def place_values(
    specs: dict[str, TensorSpec],
    cascades: Sequence[Cascade],
    *,
    views: Iterable[tuple[str, str]],
    concats: Iterable[Operation],
    offsets: Mapping[str, int],
) -> tuple[dict[str, Value], tuple[Cascade, ...]]:
    """Values with their buffers, and the cascades with pixel strides in their signatures.

    `views` are (result, operand) pairs of reshapes and parts, of which the latter begin `offsets`
    bytes into their operand; `concats` are the concatenations in place.
    """
    values = {name: Value(name, spec, name) for name, spec in specs.items()}
    # Later concatenations first: an operand that is itself a concatenation in place then finds
    # its own place in the wider buffer before it hands places to its operands.
    for concat in reversed(list(concats)):
        _slice_operands(values, concat)
    for result, operand in views:
        source = values[operand]
        values[result] = Value(
            result, specs[result], source.buffer, source.offset + offsets.get(result, 0)
        )
    return values, tuple(_with_strides(cascade, values) for cascade in cascades)


def root_of(value: str, views: Iterable[tuple[str, str]]) -> str:
    """The value whose buffer `value` is a view of."""
    sources = dict(views)
    while value in sources:
        value = sources[value]
    return value


def _slice_operands(values: dict[str, Value], concat: Operation) -> None:
    whole = values[concat.result]
    axis = concat.signature["axis"] % len(whole.spec.shape)
    offset = whole.offset
    for name in concat.operands:
        spec = values[name].spec
        if axis == len(spec.shape) - 1:
            placed = replace(spec, pixel_stride=whole.spec.pixel_stride)
            step = spec.channels * spec.itemsize
        else:  # along the row axis: whole rows follow each other
            placed = replace(spec, pixel_stride=whole.spec.pixel_stride)
            step = spec.rows * placed.row_bytes
        values[name] = Value(name, placed, whole.buffer, offset)
        offset += step


def _with_strides(cascade: Cascade, values: dict[str, Value]) -> Cascade:
    """The cascade with every signature naming the pixel strides of its operands and result."""

    def spec_of(name: str, spec: TensorSpec) -> TensorSpec:
        return values[name].spec if name in values else spec

    operations = []
    for op in cascade.operations:
        inputs = tuple(spec_of(n, s) for n, s in zip(op.operands, op.signature.inputs))
        signature = Signature(
            op.signature.operator, inputs, values[op.result].spec, op.signature.attrs
        )
        operations.append(replace(op, signature=signature))
    return replace(cascade, operations=tuple(operations))
