"""Runs a rewritten network in shared buffers, as a device would.

``tvm.compile`` gives every tensor memory of its own, so it cannot show that a rewrite lets one
tensor overwrite another too early.  Here tensors that share a buffer really do, cascades run row
by row with one row for each inner tensor, operands of a concatenation in place are slices of its
buffer, and operators run in a random order that respects nothing but data dependencies.  (Kernels
get dense copies of what their operands hold at that moment, so that few have to be compiled.)
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, replace

import numpy as np
from tvm.ir import GenericConst

from relax_passes.ir.operator_graph import OperatorGraph, operator_graph
from relax_passes.operators import TensorSpec, operator_of, signature_of
from relax_passes.residuals.graph_liveness import live_bytes, schedule, storage
from tests.compiled.row_kernel_runner import RowKernel
from tests.relax_passes.network_parts import random_inputs


def execute(mod, inputs, order_seed=None):
    """The results of main; operators run in written order, or in a random one."""
    return _Execution(operator_graph(mod)).run(inputs, order_seed)


def assert_same_in_shared_buffers(before, after):
    """The results stay bit by bit, in whatever order operators run."""
    inputs = random_inputs(before)
    expected = execute(before, inputs)
    for seed in (None, 0, 1):
        for old, new in zip(expected, execute(after, inputs, seed), strict=True):
            np.testing.assert_array_equal(old, new)


def peak(mod):
    """The most bytes alive at once in written order."""
    return max(live_bytes(schedule(operator_graph(mod))).values())


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies: element `offset` of the buffer, with the pixel stride of `spec`."""

    buffer: str
    offset: int
    spec: TensorSpec


class _Execution:
    def __init__(self, graph: OperatorGraph) -> None:
        self.graph = graph
        self.buffer_of = storage(graph)
        self.places: dict[str, _Place] = {}
        self.memory: dict[str, np.ndarray] = {}
        # A concatenation comes after its operands, so the outermost one is placed first.
        for node in sorted(self.buffer_of, key=lambda n: -graph[n].index):
            if node not in self.places:
                spec = graph[node].spec
                self.memory[self.buffer_of[node]] = np.full(spec.elements, 99, spec.dtype)
                self._place(node, 0, spec)

    def _place(self, node: str, offset: int, spec: TensorSpec) -> None:
        """Place a tensor and all that share its buffer."""
        if node in self.places:
            assert self.places[node].offset == offset, f"{node} has two places"
            return
        self.places[node] = _Place(self.buffer_of[node], offset, spec)
        data = self.graph[node]
        if data.is_concat_in_place:
            axis, begin = data.signature["axis"] % len(spec.shape), offset
            for operand in data.operands:
                part = self.graph[operand].spec
                part = replace(part, pixel_stride=spec.pixel_stride)
                self._place(operand, begin, part)
                last = axis == len(spec.shape) - 1
                begin += part.channels if last else part.rows * part.row_stride
        elif data.is_reshape:
            self._place(data.operands[0], offset, self.graph[data.operands[0]].spec)
        elif data.in_place is not None:
            self._place(data.in_place, offset, spec)
        for reader in self.graph.digraph.successors(node):
            if self.graph[reader].is_reshape:
                self._place(reader, offset, self.graph[reader].spec)
            elif self.graph[reader].in_place == node:
                self._place(reader, offset, spec)

    def run(self, inputs, order_seed):
        for name, array in zip(self.graph.inputs, inputs, strict=True):
            self._elements(name)[...] = array
        for node in self._order(order_seed):
            data = self.graph[node]
            if data.is_reshape or data.is_concat_in_place:
                continue
            steps = [(None, data.call)]
            outer: dict = dict(zip(data.call.args, data.operands))
            if data.inner is not None:
                steps = data.inner.bindings
                outer = dict(zip(data.inner.parameters, data.operands))
            self._rows(node, steps, outer)
        return [self._elements(name).copy() for name in self.graph.outputs]

    def _rows(self, node, steps, outer):
        """Run operators in lockstep: each makes one row, the last one into the tensor `node`."""
        target = self._elements(node)
        spec = self.graph[node].spec
        target = target.reshape(spec.rows, -1) if target.flags.c_contiguous else _rows_of(target)
        rings: dict = {}  # the row that an inner operator made last
        for row in range(spec.rows):
            for var, call in steps:
                kernel = _compiled(signature_of(call))
                arrays, heights = [], {}
                for index, argument in enumerate(call.args):
                    if argument in rings:
                        arrays.append(rings[argument])
                        heights[index] = 1
                    elif isinstance(argument, GenericConst):
                        arrays.append(argument.value.numpy())
                    else:  # what lies in the shared buffer at this moment
                        arrays.append(np.ascontiguousarray(self._elements(outer[argument])))
                out = np.full(kernel.signature.output.row_stride, 99, kernel.signature.output.dtype)
                kernel(row, arrays, out, heights)
                rings[var] = out
            target[row] = out.reshape(target[row].shape)

    def _order(self, seed):
        written = self.graph.operators_in_order()
        if seed is None:
            return written
        rng = random.Random(seed)
        waiting = {
            n: {p for p in self.graph.digraph.predecessors(n) if p in written} for n in written
        }
        order = []
        while waiting:
            node = rng.choice([n for n in waiting if not waiting[n]])
            del waiting[node]
            order.append(node)
            for needs in waiting.values():
                needs.discard(node)
        return order

    def _elements(self, node):
        """The tensor as a writable view of its shared buffer."""
        place = self.places[node]
        shape, memory = place.spec.shape, self.memory[place.buffer]
        strides = [memory.itemsize]
        for length in reversed(shape[1:]):
            inner = place.spec.pixel_stride if len(strides) == 1 else length
            strides.append(strides[-1] * inner)
        return np.lib.stride_tricks.as_strided(
            memory[place.offset :], shape, tuple(reversed(strides))
        )


def _rows_of(tensor):
    """A strided tensor as a sequence of rows, without copying."""
    assert tensor.shape[0] == 1, "slices of batches are not supported here"
    return tensor[0]


@functools.cache
def _compiled(signature):
    name = operator_of(signature.operator).name
    return RowKernel(name, signature.inputs, **signature.attrs)
