"""Which kernel each operation of a network gets on a board."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from dero_tvm.schedule.network import Cascade, NativeKernel, Network, Operation
from relax_passes.operators import operator_of

from . import dsp, fpu, mve  # noqa: F401 (they enter their generators; the last are asked first)
from .c_kernel import CKernel, Request
from .table import registered


def candidates(request: Request) -> Iterator[CKernel]:
    """All kernels that generators offer for a request, the preferred one first."""
    for entry in registered():
        if entry.serves(request.signature, request.features):
            kernel = entry.generator(request)
            if kernel is not None:
                yield kernel


def with_kernels(network: Network, features: Collection[str]) -> Network:
    """`network` with a kernel in C for each operation that has one on a core with `features`.

    Packed constants join the network's own, which the portable kernels go on using.
    """
    chooser = _Chooser(network, frozenset(features))
    cascades = tuple(chooser.cascade(cascade) for cascade in network.cascades)
    return replace(network, cascades=cascades, constants=chooser.constants)


class _Chooser:
    def __init__(self, network: Network, features: frozenset[str]) -> None:
        self.network = network
        self.features = features
        self.constants = dict(network.constants)
        self.names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def cascade(self, cascade: Cascade) -> Cascade:
        operations = tuple(self.operation(op) for op in cascade.operations)
        return replace(cascade, operations=operations)

    def operation(self, op: Operation) -> Operation:
        request = self.request(op)
        kernel = None if request is None else next(candidates(request), None)
        if kernel is None:
            return op
        constants = tuple((n, self.constant(array)) for n, array in kernel.constants.items())
        native = NativeKernel(
            kernel.name,
            kernel.body,
            constants,
            kernel.scratch,
            kernel.support,
            kernel.qualifiers,
        )
        return replace(op, native=native)

    def request(self, op: Operation) -> Request | None:
        """None if there is no choice: other operators' kernels, or operands that are computed."""
        operator = operator_of(op.signature.operator)
        if operator is None or op.function is not None:
            return None
        constants = {}
        names = operator.argument_names(op.signature)
        for index, (name, operand) in enumerate(zip(names, op.operands)):
            if index in op.row_operands:
                continue
            if operand not in self.network.constants:
                return None
            constants[name] = self.network.constants[operand]
        operator_class = operator.operator_class(op.signature)
        return Request(op.signature, operator_class, constants, self.features, op.state)

    def constant(self, array: np.ndarray) -> str:
        array = np.ascontiguousarray(array)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.names:
            self.names[key] = name = f"packed_{len(self.names)}"
            self.constants[name] = array
        return self.names[key]
