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

from ..ir.decisions import LEFT_ALONE
from ..ir.operator_graph import Node
from ..operators import OperatorClass
from ..residuals.residual import Residual
from .cannot_reorganize import CannotReorganize, no_counterpart, refusing
from .description import Concat, Elementwise, Port
from .layout_transpose import TO_NHWC, is_transpose
from .partial_description import DESCRIPTION, DescribedTensor, PartialDescription, clamp_of


class Description(PartialDescription):
    """The walk; see the module's docstring."""

    def read(self) -> Description:
        """Walk the network."""
        for name in self.graph.inputs:
            self._input(name)
        for name in self.graph.operators_in_order():
            if name in self.tensors:  # with an operator before it
                continue
            with refusing(self._layer(name)):
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
        layout = ""
        if len(spec.shape) == 4:
            layout = "NCHW" if self._is_transposed(name) else "NHWC"
        self.inputs.append(Port(name, spec.shape, layout))
        self.tensors[name] = DescribedTensor(name, layout == "NCHW")

    def _is_transposed(self, name: str) -> bool:
        """Whether a tensor, or what is computed from its single elements, is made channels-last."""
        seen, waiting = {name}, [name]
        while waiting:
            for reader in self.graph.digraph.successors(waiting.pop()):
                data = self.graph[reader]
                if is_transpose(data, TO_NHWC):
                    return True
                if data.operator_class is OperatorClass.ELEMENTWISE and reader not in seen:
                    seen.add(reader)
                    waiting.append(reader)
        return False

    def _output(self, output: str) -> None:
        data = self.graph[output]
        (operand,) = data.operands
        if operand is None:
            raise CannotReorganize(f"the network's output {output} is a constant")
        tensor, shape = self.tensors[operand], data.spec.shape
        layout = ""
        if len(shape) == 4:
            layout = "NCHW" if tensor.channels_first else "NHWC"
        self.outputs.append(Port(tensor.source, shape, layout))

    def _tensor(self, name: str) -> DescribedTensor:
        data = self.graph[name]
        if name in self.residuals:
            return self._join(name, data)
        if data.known_spec is None or data.spec.dtype != "float32":
            raise no_counterpart(name, data, " of other values than float32")
        if data.is_elementwise_join:
            return self._elementwise(name, data)
        return self._by_rule(name, data)

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
            if residual.operator == "dero.concat":
                return self._by_rule(name, data)
            return self._elementwise(name, data)
        shortcuts = {branch.operand for branch in residual.shortcuts}
        main = [b.operand for b in residual.branches if b.operand not in shortcuts]
        words = (str(self.graph[s].origin or s) for s in sorted(shortcuts))
        why = f"the main branch takes its place; the shortcut was {', '.join(words)}"
        self.decide(name, "removed", why)
        if residual.operator == "dero.concat":
            return self._newest(name, data, main)
        return self.joined(name, self.tensors[main[0]], clamp_of(data.signature.attrs))

    def _newest(self, name: str, data: Node, main: list[str]) -> DescribedTensor:
        """What stands for a removed concatenation."""
        self.sources(name, data)
        rank = len(data.spec.shape)
        if data.signature["axis"] % rank != rank - 1:
            raise no_counterpart(name, data, " that is not one of channels")
        sources = tuple(self.tensors[operand].source for operand in main)
        if len(sources) == 1:
            return DescribedTensor(sources[0])
        shapes = [self.shape(source) for source in sources]
        width = sum(shape[-1] for shape in shapes)
        return self.add(Concat(name, sources, (*shapes[0][:-1], width)))
