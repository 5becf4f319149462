"""What an inference leaves for the next: written into the buffer that the state is read from.

The operator that makes a state's new value writes it where the old one lies, if nothing has to read
the old one afterwards:

    a = f(s);  t = g(s)      t over s, if g may write over its operand
    t = g(x);  a = f(s)      a copy of t over s, behind f

Otherwise the new value is made apart and copied as soon as the old one has been read for the last
time.  A copy's place among the cascades says so: of steps that use one buffer, writes wait for the
reads before them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from relax_passes.operators import TensorSpec, operator_of

from .network import Cascade, Operation
from .views import root_of

Copy = Callable[[str], str]
"""Adds a cascade that copies a value or constant, and gives the name of the result."""


@dataclass(frozen=True)
class StateUpdates:
    """Adds to the cascades and views of a network that is being extracted."""

    specs: dict[str, TensorSpec]
    cascades: list[Cascade]
    views: list[tuple[str, str]]
    concats: Sequence[Operation]
    copy: Copy  # appends to `cascades`

    def add(self, before: Sequence[str], after: Sequence[str], outputs: Sequence[str]) -> None:
        """`before` are the states as they are found, `after` what they become."""
        taken = {self._root(output) for output in outputs}
        apart = dict(zip(before, after))
        for state, value in apart.items():
            # A state that becomes another's old value: that one may be written over first.
            if self._root(value) in set(before) - {state}:
                apart[state] = self.copy(value)
                self.cascades.insert(0, self.cascades.pop())
        same: list[tuple[str, str]] = []  # results and the states in whose buffers they lie
        for state, value in apart.items():
            root = self._root(value)
            if root == state:
                continue
            whole = value in self.specs and self.specs[value].bytes == self.specs[root].bytes
            if whole and root not in taken and self._can_lie_in(root, state):
                taken.add(root)
                same.append((root, state))
                continue
            copied = self.copy(value)
            behind = 1 + max(self._users(state, *self._parts(root)), default=-1)
            self.cascades.insert(behind, self.cascades.pop())
            same.append((copied, state))
        self.views[:0] = same

    def _root(self, value: str) -> str:
        return root_of(value, self.views)

    def _parts(self, root: str) -> list[str]:
        """`root`, and what is a slice of its buffer."""
        parts = [root]
        for concat in reversed(self.concats):
            if concat.result in parts:
                parts += [self._root(operand) for operand in concat.operands]
        return parts

    def _users(self, *roots: str) -> list[int]:
        """The cascades that read or make one of some values, or a view of it."""
        parts = [
            (index, [*op.operands, op.result])
            for index, cascade in enumerate(self.cascades)
            for op in cascade.operations
        ]
        return [index for index, names in parts if any(self._root(n) in roots for n in names)]

    def _can_lie_in(self, value: str, state: str) -> bool:
        """Whether the operator that makes `value` may write it over `state`."""
        sliced = {name for concat in self.concats for name in (*concat.operands, concat.result)}
        makers = [
            (index, op)
            for index, cascade in enumerate(self.cascades)
            for op in cascade.operations
            if op.result == value
        ]
        if len(makers) != 1 or sliced & {value, state}:
            return False
        ((index, op),) = makers
        if self.specs[value].bytes != self.specs[state].bytes:
            return False
        readers = self._users(state)
        if not readers or max(readers) < index:
            return True
        alone = len(self.cascades[index].operations) == 1
        return max(readers) == index and alone and self._writes_over(op, state)

    def _writes_over(self, op: Operation, state: str) -> bool:
        """Whether a kernel may write its rows over those of `state`, as it reads them."""
        operator = operator_of(op.signature.operator)
        if operator is None or op.function is not None:
            return False
        allowed: Collection[int] = operator.in_place_arguments(op.signature)
        reads = [index for index, name in enumerate(op.operands) if self._root(name) == state]
        rows = op.signature.output.row_bytes
        return len(reads) == 1 and all(
            index in allowed and op.signature.inputs[index].row_bytes == rows for index in reads
        )
