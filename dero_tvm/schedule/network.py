"""A network between the passes and memory planning: cascades of operations over named values.

Plain data.  `extract` makes it from a Relax module, `simulate` adds the row schedule, `to_problem`
states it as a planning problem, and the code generator walks it.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from relax_passes.ir.port_quantization import PortQuantization
from relax_passes.operators import TensorSpec
from relax_passes.streaming.row_schedule import RowSchedule, simulate

from .operation import NativeKernel as NativeKernel
from .operation import Operation as Operation


class CascadeKind(enum.Enum):
    """Why a cascade's operations run together."""

    SINGLE = "single"  # one operation
    ACCUMULATE = "accumulate"  # a producer and the addition into the residual's buffer
    STREAM = "stream"  # a piece of the graph, row by row


@dataclass(frozen=True)
class Value:
    """A tensor and the buffer it lies in.

    Several values share a buffer where one is a view of another: a reshape, or a slice of a
    concatenation in place.  `offset` is in bytes from the start of the buffer; `spec` carries the
    pixel stride inside it.
    """

    name: str
    spec: TensorSpec
    buffer: str
    offset: int = 0


@dataclass(frozen=True)
class Cascade:
    """Operations that run together, in topological order.  The last one drives the others.

    `descending`: rows are made from the last to the first.
    """

    name: str
    kind: CascadeKind
    operations: tuple[Operation, ...]
    descending: bool = False

    def schedule(self, inner: Collection[str]) -> RowSchedule:
        """The order in which the rows are made; `inner` values live in rings, others are whole."""
        operators = [op.in_schedule() for op in self.operations]
        whole = {op.result for op in self.operations} - set(inner)
        return simulate(operators, self.descending, whole)


def joint_name(cascades: Sequence[Cascade]) -> str:
    """What cascades that run as one step are called together."""
    names = [cascade.name for cascade in cascades]
    return names[0] if len(names) == 1 else f"{names[0]}_to_{names[-1]}"


@dataclass(frozen=True)
class Port:
    """A network input or output: its name in the model file and the value that carries it.

    With `row_streamed` the application hands over or takes one row at a time, and the value lives
    in a ring: the first or last operation of its cascade is the port's source or sink.
    `quantization` says what its integers stand for, if that is known.
    """

    name: str
    value: str
    row_streamed: bool = False
    quantization: PortQuantization | None = None


@dataclass(frozen=True, eq=False)
class State:
    """A tensor that lasts from one inference to the next, which `value` is at the beginning.

    What an inference leaves for the next is written to the same buffer, behind everything that
    reads what was there before.
    """

    name: str
    value: str
    initial: np.ndarray  # its values before the first inference


@dataclass(frozen=True)
class Network:
    """Everything that is needed to plan memory for a network and to generate its code.

    `layers` has for each value the model file's names of what it was made from, as they stand
    there; the first is the one that its operator is named after.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, np.ndarray]
    cascades: tuple[Cascade, ...]
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    states: tuple[State, ...] = ()

    def spec(self, operand: str) -> TensorSpec:
        """Shape and type of a value or constant."""
        if operand in self.values:
            return self.values[operand].spec
        constant = self.constants[operand]
        return TensorSpec(constant.shape, str(constant.dtype))

    def inner_values(self, cascade: Cascade) -> tuple[str, ...]:
        """Results that live inside a cascade alone: no other cascade and no whole output has them.

        A reader may know a tensor by another name, as a view, so buffers are compared.
        """
        found = []
        for op in cascade.operations:
            buffer = self.values[op.result].buffer
            if buffer not in self._lasting and self._users[buffer] == {cascade.name}:
                found.append(op.result)
        return tuple(found)

    def layers_of(self, values: Iterable[str]) -> tuple[str, ...]:
        """The layer that each value is named after, each once."""
        first = (self.layers.get(value, ())[:1] for value in values)
        return tuple(dict.fromkeys(name for names in first for name in names))

    @cached_property
    def _lasting(self) -> set[str]:
        """The buffers of states, and of outputs that the application takes as a whole."""
        outputs = {self.values[port.value].buffer for port in self.outputs if not port.row_streamed}
        return outputs | self.state_buffers

    @cached_property
    def state_buffers(self) -> frozenset[str]:
        """The buffers whose contents last from one inference to the next."""
        return frozenset(self.values[state.value].buffer for state in self.states)

    @cached_property
    def _users(self) -> dict[str, set[str]]:
        """The names of the cascades that read or write each buffer."""
        users: dict[str, set[str]] = {}
        for cascade in self.cascades:
            for op in cascade.operations:
                for name in (*op.operands, op.result):
                    if name in self.values:
                        users.setdefault(self.values[name].buffer, set()).add(cascade.name)
        return users

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Those of all cascades, in their order; groups of them number them so (`Group`)."""
        return tuple(op for cascade in self.cascades for op in cascade.operations)

    @property
    def c_constants(self) -> tuple[str, ...]:
        """Names of the constants that the generated C reads, which are those that flash holds."""
        return tuple(name for names in self._new_constants.values() for name in names)

    @property
    def weights_by_result(self) -> dict[str, int]:
        """Bytes of `c_constants` by the result of the operator that reads each first."""
        return {
            result: sum(self.constants[name].nbytes for name in names)
            for result, names in self._new_constants.items()
        }

    @property
    def _new_constants(self) -> dict[str, list[str]]:
        """For each result the constants that no operator before it reads."""
        found: dict[str, list[str]] = {}
        seen: set[str] = set()
        for op in (part for group in self.operations for part in group.parts):
            found[op.result] = [n for n in op.constants_of(self.constants) if n not in seen]
            seen.update(found[op.result])
        return found

    @property
    def c_constants_bytes(self) -> int:
        """Bytes of weights and tables in flash."""
        return sum(self.constants[name].nbytes for name in self.c_constants)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(op.macs for op in self.operations)
