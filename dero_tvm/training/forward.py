"""The statements of a network's ``forward``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dero_tvm.boundary.errors import UserError
from relax_passes.reorganization import description as net
from relax_passes.reorganization.give_shortcuts import image_shapes

from .identifiers import Names, identifier
from .kept_in_layout import elementwise
from .kept_operators import kept_expression, read_constants
from .layers import Layers
from .python_text import Call, Expression, statement
from .segments import RESERVED, Segment

_BODY = 2  # levels of indentation
_AS_IMAGE = {"NCL": "[..., None]", "NLC": ".transpose(1, 2)[..., None]"}
_AS_SEQUENCE = {"NCL": "[..., 0]", "NLC": "[..., 0].transpose(1, 2)"}


class Forward:
    """One statement a segment.

    A tensor that only the next statement reads is called ``x``; others have names of their own.
    """

    def __init__(
        self, architecture: net.Architecture, layers: Layers, segments: Sequence[Segment]
    ) -> None:
        self._architecture = architecture
        self._layers = layers
        pooled = {
            segment.nodes[0].inputs[0]: segment
            for segment in segments
            if _is_pooled_apart(segment.nodes[0])
        }
        # The convolution before is called in two parts by its pooling, and not by itself.
        self._apart = {s.output: s for s in segments if s.output in pooled}
        self._segments = [s for s in segments if s.output not in pooled]
        self._shapes = image_shapes(architecture)
        self._shapes |= {node.name: node.shape for node in architecture.nodes}
        self._literal = {
            node.name
            for node in architecture.nodes
            if isinstance(node, net.KeptOperator) and node.literal
        }
        self._names = Names(set(RESERVED))
        self._variables = {
            port.name: self._names.new(identifier(port.name, otherwise="image"))
            for port in architecture.inputs
        }
        self.parameters = list(self._variables.values())
        for port in architecture.inputs:
            self._variables[port.name] += _AS_IMAGE.get(port.layout, "")

    def statements(self) -> list[str]:
        """Of the body, indented, the ``return`` included."""
        outputs = self._architecture.outputs
        reads = [self._reads(segment) for segment in self._segments]
        reads.append([port.name for port in outputs])
        count = Counter(name for names in reads for name in names)
        lines: list[str] = []
        for segment, following in zip(self._segments, reads[1:]):
            value, output = self._value(segment), segment.output
            if count[output] == 1 and following == [output]:
                if segment is self._segments[-1] and isinstance(value, str):
                    self._variables[output] = value
                    break
                self._variables[output] = "x"
            else:
                wanted = segment.attribute or output.replace(".", "_")
                self._variables[output] = self._names.new(identifier(wanted, otherwise="y"))
            lines.append(statement(f"{self._variables[output]} = ", value, _BODY))
        returned = [self._shaped(self._variables[port.name], port) for port in outputs]
        return [*lines, statement("return ", ", ".join(returned), _BODY)]

    def _reads(self, segment: Segment) -> list[str]:
        """The tensors that a statement reads."""
        inputs = [self._apart[n].inputs[0] if n in self._apart else n for n in segment.inputs]
        return list(dict.fromkeys(inputs))

    def _value(self, segment: Segment) -> Expression:
        node = segment.nodes[0]
        if _is_pooled_apart(node):
            conv = self._apart[node.inputs[0]]
            x = self._variables[conv.inputs[0]]
            paths = ("main", "shortcut")
            return " + ".join(f"self.{conv.attribute}.{p}({x}).mean((2, 3))" for p in paths)
        operands = [self._variables[name] for name in segment.inputs]
        if segment.attribute:
            return f"self.{segment.attribute}({operands[0]})"
        if isinstance(node, net.GlobalPool):
            return f"{operands[0]}.mean((2, 3))"
        if isinstance(node, net.Flatten):
            order = "" if node.channels_first else ".permute(0, 2, 3, 1)"
            return f"{operands[0]}{order}.flatten(1)"
        if isinstance(node, net.Concat):
            return Call("torch.cat", (Call("", tuple(operands)),), (("dim", "1"),))
        if isinstance(node, net.Slice):
            return f"{operands[0]}[:, {node.begin}:{node.end}]"
        if isinstance(node, net.KeptOperator):
            return self._kept(node, operands)
        assert isinstance(node, net.Elementwise)
        return self._elementwise(node, operands)

    def _kept(self, node: net.KeptOperator, operands: Sequence[str]) -> str:
        constants = [
            f"self.{self._layers.constant(node, place)}" for place, _ in read_constants(node)
        ]
        if node.operator == "unary":
            name = self._layers.activation_name(_activation(node), node)
            return f"{name}()({operands[0]})"
        kinds = [self._kind(name) for name in node.inputs]
        return kept_expression(node, operands, kinds, constants)

    def _kind(self, name: str) -> str:
        if name in self._literal:
            return "literal"
        return "vector" if len(self._shapes[name]) == 1 else "image"

    def _elementwise(self, node: net.Elementwise, operands: Sequence[str]) -> str:
        ranks = [len(self._shapes.get(name, node.shape)) for name in node.inputs]
        # One number a channel goes with every pixel.
        first, second = (
            f"{operand}[..., None, None]" if rank < len(node.shape) else operand
            for operand, rank in zip(operands, ranks)
        )
        value = elementwise(node.function, first, second)
        if value is None:
            raise UserError(f"{node.title}: {node.function} cannot be written in PyTorch")
        if node.activation is None:
            return value
        return f"{self._layers.activation_name(node.activation, node)}()({value})"

    def _shaped(self, value: str, port: net.Port) -> str:
        """`value` in the rank that the model's output has."""
        if port.name in self._literal:
            return f"{value}.squeeze(1)" if port.shape[0] == 1 else value
        if port.layout in _AS_IMAGE:
            return value + _AS_SEQUENCE[port.layout]
        described = self._shapes.get(port.name, port.shape[1:])
        extra = len(port.shape) - 1 - len(described)
        if extra <= 0:
            return value
        if port.shape[1:2] != described:
            return f"{value}.unflatten(1, {port.shape[1:]})"
        return f"{value}[..., {', '.join(['None'] * extra)}]"


def _activation(node: net.KeptOperator) -> net.Activation:
    attributes = dict(node.attributes)
    limits = (attributes["minimum"], attributes["maximum"])
    if attributes["function"] == "relu":
        return net.Activation("clip", 0.0, limits[1])
    numbers = {key: attributes[key] for key in ("alpha", "beta")}
    return net.Activation(attributes["function"], *limits, **numbers)


def _is_pooled_apart(node: net.AnyNode) -> bool:
    return isinstance(node, net.GlobalPool) and node.apart
