"""Which kernel each operation of a network gets on a board."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dero_tvm.schedule.network import Cascade, NativeKernel, Network, Operation
from relax_passes.operators import operator_of

from . import (  # noqa: F401 (enter their generators; last first)
    dsp,
    fpu,
    grouped,
    joined,
    mve,
    shortcut,
)
from .c_kernel import CKernel, Request
from .joined import loses_kernels
from .kernel_table import candidates

Choice = Callable[[Sequence[Request]], Sequence[CKernel | None]]
"""Takes all requests of a network, and gives each a kernel; None: the portable one."""


def preferred(requests: Sequence[Request]) -> list[CKernel | None]:
    """The first candidate of each request."""
    return [next(candidates(request), None) for request in requests]


def requests_of(network: Network, features: Collection[str]) -> dict[str, Request]:
    """By name of the operation: what generators are asked for on a core with `features`.

    Operations that have no choice are left out: other operators' kernels, and those with operands
    that are computed but not read row by row.
    """
    found = {}
    for cascade in network.cascades:
        for op in cascade.operations:
            request = _request(op, network.constants, frozenset(features))
            if request is not None:
                found[op.name] = request
    return found


def without_kernels(network: Network, features: Collection[str]) -> list[str]:
    """The joined operators of which a core with `features` has kernels for the parts alone."""
    return [
        name for name, request in requests_of(network, features).items() if loses_kernels(request)
    ]


def with_kernels(
    network: Network, features: Collection[str], choose: Choice = preferred
) -> Network:
    """`network` with a kernel in C for each operation that has one on a core with `features`.

    Packed constants join the network's own, which the portable kernels go on using.
    """
    requests = requests_of(network, features)
    chosen = choose(list(requests.values()))
    chooser = _Chooser(network, dict(zip(requests, chosen, strict=True)))
    cascades = tuple(chooser.cascade(cascade) for cascade in network.cascades)
    return replace(network, cascades=cascades, constants=chooser.constants)


class _Chooser:
    def __init__(self, network: Network, kernels: Mapping[str, CKernel | None]) -> None:
        self.kernels = kernels  # by operation
        self.constants = dict(network.constants)
        self.names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def cascade(self, cascade: Cascade) -> Cascade:
        operations = tuple(self.operation(op) for op in cascade.operations)
        return replace(cascade, operations=operations)

    def operation(self, op: Operation) -> Operation:
        kernel = self.kernels.get(op.name)
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
            kernel.ranges,
        )
        return replace(op, native=native)

    def constant(self, array: np.ndarray) -> str:
        array = np.ascontiguousarray(array)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.names:
            self.names[key] = name = f"packed_{len(self.names)}"
            self.constants[name] = array
        return self.names[key]


def _request(
    op: Operation, constants: Mapping[str, np.ndarray], features: frozenset[str]
) -> Request | None:
    operator = operator_of(op.signature.operator)
    if operator is None or op.function is not None:
        return None
    attrs = op.signature.attrs
    roundings = (attrs.get("rounding"), attrs.get("join_rounding"))
    if attrs.get("weight_zero_point") or "away" in roundings:
        return None  # generators need not know of what only uint8 of TensorFlow 1 has
    known = {}
    names = operator.argument_names(op.signature)
    for index, (name, operand) in enumerate(zip(names, op.operands)):
        if index in op.row_operands:
            continue
        if operand not in constants:
            return None
        known[name] = constants[operand]
    operator_class = operator.operator_class(op.signature)
    return Request(op.signature, operator_class, known, features, op.state)
