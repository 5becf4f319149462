"""One thread at a time compiles, and seldom looks for cycles of objects.

TVM's block builder keeps the functions that are being built on a stack that all threads share, and
its importers' warnings are silenced for the whole process.  Little is lost: what could run at the
same time is Python, of which one thread runs at a time anyway.  Processes do not wait for each
other.

Python looks for cycles whenever a thousand objects more are there than before, and compiling makes
hundreds of thousands that stay until its end: up to a fifth of the time went there.
"""

from __future__ import annotations

import functools
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LOCK = threading.RLock()  # an entry point may call another
_YOUNG = 50_000  # objects that are made between two looks at the youngest


def one_at_a_time(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: callers in other threads wait until the call has ended."""

    @functools.wraps(function)
    def waiting(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _LOCK, _collecting_seldom():
            return function(*args, **kwargs)

    return waiting


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _YOUNG) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
