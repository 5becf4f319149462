r"""From a canonical module to the description of its plain baseline (`reorganization`).

Walks the network in written order.  What the walk does with

* a residual addition: its main branch takes its place, and a clamp moves to the convolution that
  ends that branch;
* a residual concatenation (DenseNet, U-Net): the operands that others are computed from go, the
  newest stays;
* any other join (parallel branches, gates): stays as it is; `join_verdicts` says which;
* normalisations that no convolution has absorbed (a factor and a summand a channel): dropped, as
  a reorganized network has its own; their activation moves to the convolution before them if
  nothing else will read that;
* a convolution after a global pooling: a dense layer;
* a max pooling with a stride that is the only reader of a convolution of the network's input (a
  stem): belongs to the convolution, as one shortcut goes around both.  An average commutes with
  the addition, so it stands after convolution and shortcut.

Raises ``CannotReorganize``, with the reason and the layer as the model file calls it, for quantized
networks and for operators that the description has no node for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..ir.decisions import LEFT_ALONE
from ..ir.operator_graph import Node
from ..operators import OperatorClass
from ..residuals.image_norms import ImageNorm, image_norms
from ..residuals.residual import Residual
from .cannot_reorganize import CannotReorganize, no_counterpart, refusing
from .description import Activation, Concat, Convolution, Elementwise, Port
from .kept_operators import VALUES, as_in_module, can_stay, kept_operator
from .layout_transpose import is_channels_last
from .partial_description import DESCRIPTION, DescribedTensor, PartialDescription, clamp_of

_DROPPED = (
    "a reorganized network has batch normalisations of its own, which need no statistics of the "
    "image"
)
_ON_ELEMENTS = ("dero.unary", "dero.reshape", "dero.transpose", "dero.dense")
_AXES_STAY = ("dero.concat", "dero.pad", "dero.slice", "dero.take")
_TRAINED = ("dero.gru", "dero.lstm", "dero.svdf_filter", "dero.svdf_update")  # which have states


class Description(PartialDescription):
    """The walk; see the module's docstring."""

    def read(self) -> Description:
        """Walk the network."""
        for name in self.graph.inputs:
            self._input(name)
        norms = {norm.members[0]: norm for norm in image_norms(self.graph)}
        for name in self.graph.operators_in_order():
            if name in self.tensors:  # with an operator before it
                continue
            with refusing(self._layer(name)):
                if name in norms and self._drops(norms[name]):
                    continue
                self.tensors[name] = self._tensor(name)
        outputs = [n for n, data in self.graph.items() if data.kind == "output"]
        for output in sorted(outputs, key=lambda n: int(n[7:-1])):
            self._output(output)
        alive = {port.name for port in self.outputs}
        for name in reversed(list(self.nodes)):
            if name in alive:
                alive |= set(self.nodes[name].inputs)
        self.nodes = {name: node for name, node in self.nodes.items() if name in alive}
        return self

    def _drops(self, norm: ImageNorm) -> bool:
        """Whether a normalisation goes, as batch normalisations will do its work."""
        if self.within is not None and not self.within & set(norm.members):
            return False
        tensor = self.tensors[norm.source]
        shape = self.graph[norm.result].spec.shape
        result: DescribedTensor | None
        if self.is_literal(tensor.source):
            same = shape == self.graph[norm.source].spec.shape
            in_order = np.array_equal(norm.places, np.arange(norm.places.size))
            result = tensor if same and in_order else None
        else:
            elements = self.elements(norm.source).ravel()[norm.places]
            result = self.seen(tensor.source, elements, shape)
        if result is None:
            return False
        self.decide(norm.members[0], "dropped", _DROPPED)
        self.tensors |= dict.fromkeys(norm.members, result)
        return True

    @property
    def removed(self) -> list[Residual]:
        """The residual joins that the baseline does not have."""
        return list(self.verdicts.removed.values())

    def nodes_of(self, names: Iterable[str]) -> set[str]:
        """The nodes that tensors of the module have become."""
        return {self.tensors[name].source for name in names}

    def _input(self, name: str) -> None:
        spec = self.graph[name].spec
        if spec.dtype != "float32":
            raise CannotReorganize(
                f"the input {name} is {spec.dtype}: a quantized network cannot be retrained; "
                "reorganize the float network and quantize it after training"
            )
        first = self._is_transposed(name)
        layouts = {4: ("NHWC", "NCHW"), 3: ("NLC", "NCL")}.get(len(spec.shape), ("", ""))
        self.inputs.append(Port(name, spec.shape, layouts[first]))
        self.tensors[name] = DescribedTensor(name, first and layouts[first] != "")

    def _is_transposed(self, name: str) -> bool:
        """Whether a tensor, or what has its axes in their order, is made channels-last."""
        seen, waiting = {name}, [name]
        while waiting:
            for reader in self.graph.digraph.successors(waiting.pop()):
                data = self.graph[reader]
                if is_channels_last(data):
                    return True
                alike = data.operator_class is OperatorClass.ELEMENTWISE or data.is_reshape
                if (alike or data.operator in _AXES_STAY) and reader not in seen:
                    seen.add(reader)
                    waiting.append(reader)
        return False

    def _output(self, output: str) -> None:
        data = self.graph[output]
        (operand,) = data.operands
        if operand is None:
            raise CannotReorganize(f"the network's output {output} is a constant")
        tensor, shape = self.tensors[operand], data.spec.shape
        if self.is_literal(tensor.source):
            self.outputs.append(Port(tensor.source, shape))
            return
        layouts = {4: ("NHWC", "NCHW"), 3: ("NLC", "NCL")}.get(len(shape), ("", ""))
        port = Port(tensor.source, shape, layouts[tensor.channels_first])
        described = self.shape(tensor.source)
        if len(described) == 1:
            port = Port(tensor.source, shape)
        elif port.image_shape[:-1] != described[:-1]:
            port = Port(as_in_module(self, operand), shape)
        self.outputs.append(port)

    def _tensor(self, name: str) -> DescribedTensor:
        data = self.graph[name]
        if name in self.residuals:
            return self._join(name, data)
        if data.known_spec is None:
            raise no_counterpart(name, data, " with several results")
        if data.spec.dtype not in VALUES:
            raise no_counterpart(name, data, " of other values than float32")
        return self._described(name, data)

    def _described(self, name: str, data: Node) -> DescribedTensor:
        """An operator by its rule, or as it is where that has no answer."""
        before = dict(self.nodes)
        try:
            if self._lies_otherwise(data):
                return kept_operator(self, name, data)
            if data.is_elementwise_join:
                return self._elementwise(name, data)
            return self._by_rule(name, data)
        except CannotReorganize:
            if not can_stay(data) or data.operator in _TRAINED:
                raise
            self.nodes = before
            return kept_operator(self, name, data)

    def _lies_otherwise(self, data: Node) -> bool:
        """Whether an operator reads what lies as in the module, or under axes of its own there."""
        operands = data.computed_operands
        if any(self.is_literal(self.tensors[operand].source) for operand in operands):
            return True
        if data.operator in _ON_ELEMENTS or all(map(self.is_image_shaped, operands)):
            return False
        # Of equal axes, whatever they are, elements go with elements.
        shapes = {self.graph[operand].spec.shape for operand in operands}
        return not data.is_elementwise_join or len(shapes) > 1

    def _by_rule(self, name: str, data: Node) -> DescribedTensor:
        rule = DESCRIPTION.get(data.operator)
        if rule is None:
            raise no_counterpart(name, data)
        return rule(self, name, data)

    def _elementwise(self, name: str, data: Node) -> DescribedTensor:
        tensors, activation = self.operands(name, data), clamp_of(data.signature.attrs)
        if len(data.operands) != len(tensors):
            raise no_counterpart(name, data, " with a constant")
        sources = tuple(tensor.source for tensor in tensors)
        function = data.operator.removeprefix("dero.")
        rank = max(len(self.shape(source)) for source in sources)
        sizes = zip(*(((1,) * (rank - len(s)) + s) for s in map(self.shape, sources)))
        shape = tuple(map(max, sizes))
        made = self.add(Elementwise(name, sources, shape, function, activation))
        return replace(tensors[0], source=made.source)

    def _join(self, name: str, data: Node) -> DescribedTensor:
        residual = self.residuals[name]
        if name in self.verdicts.kept:
            self.decide(name, LEFT_ALONE, self.verdicts.kept[name])
            return self._described(name, data)
        shortcuts = {branch.operand for branch in residual.shortcuts}
        main = [b.operand for b in residual.branches if b.operand not in shortcuts]
        if residual.operator == "dero.subtract" and main[0] == data.operands[1]:
            self._negate(name, main[0])
        words = (str(self.graph[s].origin or s) for s in sorted(shortcuts))
        why = f"the main branch takes its place; the shortcut was {', '.join(words)}"
        self.decide(name, "removed", why)
        if residual.operator == "dero.concat":
            with refusing(self._layer(name), name):
                return self._newest(name, data, main)
        return self.joined(name, self.tensors[main[0]], clamp_of(data.signature.attrs))

    def _negate(self, name: str, operand: str) -> None:
        """The main branch of a difference becomes what is left of it: minus the branch."""
        tensor = self.tensors[operand]
        node = self.nodes.get(tensor.source)
        if (
            isinstance(node, Convolution)
            and (node.activation, node.pool, node.final_activation) == (None, None, None)
            and self.alone(tensor.source, name)
        ):
            for role in ("weight", "bias"):
                key = f"{tensor.source}.{role}"
                self.weights[key] = -self.weights[key]
            return
        minus = Activation("line", alpha=-1.0, beta=0.0)
        made = self.activated(f"{name}_minus", tensor, minus)
        self.tensors[operand] = made

    def _newest(self, name: str, data: Node, main: list[str]) -> DescribedTensor:
        """What stands for a removed concatenation."""
        rank, tensors = len(data.spec.shape), self.operands(name, data)
        if data.signature["axis"] % rank != self.channel_axis(tensors[0], rank):
            raise no_counterpart(name, data, " that is not one of channels")
        sources = tuple(self.tensors[operand].source for operand in main)
        if len(sources) == 1:
            return self.tensors[main[0]]
        shapes = [self.shape(source) for source in sources]
        width = sum(shape[-1] for shape in shapes)
        made = self.add(Concat(name, sources, (*shapes[0][:-1], width)))
        return replace(self.tensors[main[0]], source=made.source)
