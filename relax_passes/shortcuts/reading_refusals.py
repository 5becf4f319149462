"""What no reader of shortcuts in a module can read."""

from __future__ import annotations

from typing import Any


class Refusals:
    """What readers of one module could not read, and the tensors that they looked at until then.

    A sum of hundreds is a chain of joins, each of which would be read down to its end.  A reader
    that knows the same tensors as leaves would come to the same refusal.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any], tuple[str, int, int]] = {}
        self._bit: dict[Any, int] = {}

    def tensors(self, *names: Any) -> int:
        """A set of tensors, as bits."""
        return sum(1 << self._bit.setdefault(name, len(self._bit)) for name in set(names))

    def find(self, kind: str, expr: Any, leaves: int) -> tuple[str, int, int] | None:
        """Why `expr` cannot be read, the tensors looked at and the leaves met; None if unknown."""
        known = self._known.get((kind, expr))
        if known is None or known[1] & leaves or known[2] & ~leaves:
            return None
        return known

    def keep(self, kind: str, expr: Any, reason: str, tensors: int, met: int) -> None:
        """Note that `expr` cannot be read."""
        self._known[kind, expr] = reason, tensors, met
