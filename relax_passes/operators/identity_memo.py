"""What was found out about TVM objects, by the objects themselves.

Reading a type's shape or a call's attributes takes dozens of calls through TVM's foreign function
interface.  Passes rewrite calls, but types and attributes go from one call to the next as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")

_MOST = 1 << 12  # entries; a network has some hundred operators


class IdentityMemo(Generic[Value]):
    """Values by objects that do not change; forgets all when it has grown too large."""

    def __init__(self) -> None:
        # With the objects, for an address says who it is only as long as the object lives.
        self._known: dict[tuple[Any, ...], tuple[tuple[Any, ...], Value]] = {}

    def get(self, objects: tuple[Any, ...], find: Callable[[], Value]) -> Value:
        """What `find` gives, or gave for the same TVM objects (None and texts among them)."""
        key = tuple([o if o is None or isinstance(o, str) else o.__chandle__() for o in objects])
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = (objects, find())
        return found[1]
