"""Runs a rewritten network in shared buffers, as a device would.

``tvm.compile`` gives every tensor memory of its own, so it cannot show that a rewrite lets one
tensor overwrite another too early.  Here tensors that share a buffer really do, cascades run row
by row with one row for each inner tensor, operands of a concatenation in place are slices with a
pixel stride, and operators run in a random order that respects nothing but data dependencies.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from row_kernel_runner import RowKernel
from tvm.ir import GenericConst

from relax_passes.graph import operator_graph, operators_in_order
from relax_passes.liveness import is_concat_in_place, is_reshape, storage
from relax_passes.operators import TensorSpec, operator_of, signature_of


def execute(mod, inputs, order_seed=None):
    """The results of main; operators run in written order, or in a random one."""
    return _Execution(operator_graph(mod)).run(inputs, order_seed)


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies: element `offset` of the buffer, with the pixel stride of `spec`."""

    buffer: str
    offset: int
    spec: TensorSpec


class _Execution:
    def __init__(self, graph: nx.DiGraph) -> None:
        self.graph = graph
        self.buffer_of = storage(graph)
        self.places: dict[str, _Place] = {}
        self.memory: dict[str, np.ndarray] = {}
        # A concatenation comes after its operands, so the outermost one is placed first.
        for node in sorted(self.buffer_of, key=lambda n: -graph.nodes[n]["index"]):
            if node not in self.places:
                spec = graph.nodes[node]["spec"]
                self.memory[self.buffer_of[node]] = np.full(spec.elements, 99, spec.dtype)
                self._place(node, 0, spec)

    def _place(self, node: str, offset: int, spec: TensorSpec) -> None:
        """Place a tensor and all that share its buffer."""
        if node in self.places:
            assert self.places[node].offset == offset, f"{node} has two places"
            return
        self.places[node] = _Place(self.buffer_of[node], offset, spec)
        data = self.graph.nodes[node]
        if is_concat_in_place(data):
            axis = data["signature"]["axis"] % len(spec.shape)
            for operand in data["operands"]:
                part = self.graph.nodes[operand]["spec"]
                part = replace(part, pixel_stride=spec.pixel_stride)
                self._place(operand, offset, part)
                last = axis == len(spec.shape) - 1
                offset += part.channels if last else part.rows * part.row_stride
        elif is_reshape(data):
            self._place(data["operands"][0], offset, self.graph.nodes[data["operands"][0]]["spec"])
        elif data["in_place"] is not None:
            self._place(data["in_place"], offset, spec)
        for reader in self.graph.successors(node):
            if is_reshape(self.graph.nodes[reader]):
                self._place(reader, offset, self.graph.nodes[reader]["spec"])
            elif self.graph.nodes[reader]["in_place"] == node:
                self._place(reader, offset, spec)

    def run(self, inputs, order_seed):
        for name, array in zip(self.graph.graph["inputs"], inputs, strict=True):
            self._whole(name)[: array.size] = array.ravel()
        for node in self._order(order_seed):
            data = self.graph.nodes[node]
            if is_reshape(data) or is_concat_in_place(data):
                continue
            if data["inner"] is not None:
                self._cascade(node)
            else:
                arrays = [self._argument(a, o) for a, o in zip(data["call"].args, data["operands"])]
                specs = [self._spec(a, o) for a, o in zip(data["call"].args, data["operands"])]
                kernel = self._kernel(data["call"], specs, self.places[node].spec)
                for row in range(data["spec"].rows):
                    kernel(row, arrays, self._row(node, row))
        return [self._result(name) for name in self.graph.graph["outputs"]]

    def _cascade(self, node):
        inner = self.graph.nodes[node]["inner"]
        outer = dict(zip(inner.parameters, self.graph.nodes[node]["operands"]))
        rings = {
            var: np.full(signature_of(call).output.row_stride, 99, call.ty.dtype)
            for var, call in inner.bindings[:-1]
        }
        steps = []
        for var, call in inner.bindings:
            specs = [
                signature_of(call).inputs[i] if arg in rings else self._spec(arg, outer.get(arg))
                for i, arg in enumerate(call.args)
            ]
            arrays = [
                rings[arg] if arg in rings else self._argument(arg, outer.get(arg))
                for arg in call.args
            ]
            heights = {i: 1 for i, arg in enumerate(call.args) if arg in rings}
            out = signature_of(call).output if var in rings else self.places[node].spec
            steps.append((self._kernel(call, specs, out), arrays, heights, rings.get(var)))
        for row in range(self.graph.nodes[node]["spec"].rows):
            for kernel, arrays, heights, ring in steps:
                kernel(row, arrays, self._row(node, row) if ring is None else ring, heights)

    def _order(self, seed):
        written = operators_in_order(self.graph)
        if seed is None:
            return written
        rng = random.Random(seed)
        waiting = {n: {p for p in self.graph.predecessors(n) if p in written} for n in written}
        order = []
        while waiting:
            node = rng.choice([n for n in waiting if not waiting[n]])
            del waiting[node]
            order.append(node)
            for needs in waiting.values():
                needs.discard(node)
        return order

    def _kernel(self, call, specs, out):
        return _compiled(replace(signature_of(call), inputs=tuple(specs), output=out))

    def _spec(self, argument, operand):
        if operand is not None:
            return self.places[operand].spec
        return TensorSpec(tuple(argument.value.numpy().shape), str(argument.value.numpy().dtype))

    def _argument(self, argument, operand):
        if operand is not None:
            return self._whole(operand)
        assert isinstance(argument, GenericConst)
        return argument.value.numpy()

    def _whole(self, node):
        return self.memory[self.places[node].buffer][self.places[node].offset :]

    def _row(self, node, row):
        return self._whole(node)[row * self.places[node].spec.row_stride :]

    def _result(self, node):
        spec = self.places[node].spec
        pixels = spec.elements // spec.channels
        starts = np.arange(pixels) * spec.pixel_stride
        picked = starts[:, None] + np.arange(spec.channels)
        return self._whole(node)[picked].reshape(spec.shape)


@functools.cache
def _compiled(signature):
    name = operator_of(signature.operator).name
    stride = signature.output.pixel_stride
    return RowKernel(name, signature.inputs, out_pixel_stride=stride, **signature.attrs)
