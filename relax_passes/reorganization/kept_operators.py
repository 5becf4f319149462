"""Operators that stay as they are: what has no node of its own in the description of a network.

The description sees images as height, width and channels, and looks through layouts.  An operator
that stays reads tensors as the module has them, so what stands for its operands is brought back to
that: transposed where it is seen channels-first, and reshaped.
"""

from __future__ import annotations

from math import prod

from tvm.ir import GenericConst

from ..ir.operator_graph import Node
from ..operators import operator_of
from ..operators.joined import Joined
from .cannot_reorganize import CannotReorganize, layer, no_counterpart
from .description import Activation, KeptOperator
from .partial_description import DescribedTensor, PartialDescription

VALUES = ("float32", "bool")
"""The types that a network's tensors may have: numbers, and truth values to choose by."""


def can_stay(data: Node) -> bool:
    """Whether an operator can be written again as it is: not if a join hides in it."""
    operator, spec = operator_of(data.operator), data.known_spec
    known = operator is not None and spec is not None and spec.dtype in VALUES
    return known and not isinstance(operator, Joined)


def kept_operator(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    """The operator as it is.  Raises `CannotReorganize` if it is none of the operator set."""
    if not can_stay(data):
        raise no_counterpart(name, data)
    inputs, places, shapes, constants = [], [], [], []
    for place, (operand, argument) in enumerate(zip(data.operands, data.call.args)):
        if operand is not None:
            inputs.append(as_in_module(description, operand))
            shapes.append(description.graph[operand].spec.shape)
            places.append(place)
        elif isinstance(argument, GenericConst):
            description.weights[f"{name}.constant{place}"] = argument.value.numpy()
            constants.append((place, argument.value.numpy().shape))
    attributes = data.signature.attrs
    made = KeptOperator(
        name,
        tuple(inputs),
        *_shape(data.spec.shape),
        operator=data.operator.removeprefix("dero."),
        attributes=tuple((key, _frozen(value)) for key, value in attributes.items()),
        places=tuple(places),
        input_shapes=tuple(shapes),
        constants=tuple(constants),
        literal=_is_literal(data.spec.shape),
    )
    return description.add(made)


def as_in_module(description: PartialDescription, name: str) -> str:
    """The node that computes a tensor as the module has it."""
    tensor, wanted = description.tensors[name], description.graph[name].spec.shape
    source = tensor.source
    given = description.literal_shape(source)
    if tensor.channels_first and len(given) == 4:
        last = len(given) - 1
        moved = (1, given[last], *given[1:last])
        axes = (0, last, *range(1, last))
        attributes = (("axes", axes),)
        source = _layout(description, name, "transpose", source, given, moved, attributes)
        given = moved
    if prod(given) != prod(wanted):
        refusal = CannotReorganize(
            f"{layer(name, description.graph[name])} would have {prod(given):,} numbers for "
            f"{prod(wanted):,}, and an operator behind it stays as it is"
        )
        refusal.at = name
        raise refusal
    if given != wanted:
        attributes = (("shape", wanted),)
        source = _layout(description, name, "reshape", source, given, wanted, attributes)
    return source


def image_operand(description: PartialDescription, name: str, data: Node) -> str:
    """The node that computes the only operand, an image, in the shape the module has it."""
    operands = data.computed_operands
    if len(operands) != 1 or len(description.graph[operands[0]].spec.shape) != 4:
        raise no_counterpart(name, data, " of something else than one image")
    tensor = description.tensors[operands[0]]
    given = description.literal_shape(tensor.source)
    wanted = description.graph[operands[0]].spec.shape
    # Where concatenations went, there are fewer channels than in the module.
    if given[:-1] == wanted[:-1] and not tensor.channels_first:
        return tensor.source
    return as_in_module(description, operands[0])


def normalization(
    description: PartialDescription,
    name: str,
    tensor: DescribedTensor,
    activation: Activation | None,
) -> DescribedTensor:
    """What a factor and a summand a channel become, that no convolution has absorbed."""
    if description.within is not None and name not in description.within:
        return kept_operator(description, name, description.graph[name])
    description.decide(name, "dropped", "a reorganized network has normalisations of its own")
    return description.activated(name, tensor, activation)


def _layout(
    description: PartialDescription,
    name: str,
    operator: str,
    source: str,
    old: tuple[int, ...],
    new: tuple[int, ...],
    attributes: tuple[tuple[str, tuple[int, ...]], ...],
) -> str:
    """A transpose or reshape of the node `source`, made once for all that read it so."""
    label = f"{source}_{operator}_{'x'.join(map(str, new))}"
    if label not in description.nodes:
        made = KeptOperator(
            label,
            (source,),
            *_shape(new),
            operator=operator,
            attributes=attributes,
            input_shapes=(old,),
            literal=_is_literal(new),
        )
        description.add(made, origin=name)
    return label


def _shape(spec: tuple[int, ...]) -> tuple[tuple[int, ...]]:
    return (spec if _is_literal(spec) else spec[1:],)


def _is_literal(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of the module is neither one image nor one vector."""
    return len(shape) not in (2, 4) or shape[0] != 1


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value
