"""One thread at a time compiles, and seldom looks for cycles of objects.

TVM's block builder keeps the functions that are being built on a stack that all threads share, and
its importers' warnings are silenced for the whole process.  Little is lost: what could run at the
same time is Python, of which one thread runs at a time anyway.  Processes do not wait for each
other.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from .garbage import collecting_seldom

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LOCK = threading.RLock()  # an entry point may call another


def one_at_a_time(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: callers in other threads wait until the call has ended."""

    @functools.wraps(function)
    def waiting(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _LOCK, collecting_seldom():
            return function(*args, **kwargs)

    return waiting
