"""Compiling waits for other threads, and leaves Python's collector as it found it."""

from __future__ import annotations

import gc
import threading

import pytest

from dero_tvm.boundary.one_at_a_time import one_at_a_time


@pytest.mark.parametrize("before", [(700, 10, 10), (0, 5, 5), (1_000_000, 3, 3)])
def test_collector(before: tuple[int, int, int]) -> None:
    """Also behind an error, and inside another entry point; switched off it stays off."""
    seen = []

    @one_at_a_time
    def inner() -> None:
        seen.append(gc.get_threshold())
        raise ValueError

    @one_at_a_time
    def outer() -> None:
        inner()

    own = gc.get_threshold()
    gc.set_threshold(*before)
    try:
        with pytest.raises(ValueError):
            outer()
        assert gc.get_threshold() == before
    finally:
        gc.set_threshold(*own)
    ((young, *old),) = seen
    assert tuple(old) == before[1:]
    assert young == 0 if before[0] == 0 else young >= max(before[0], 10_000)


def test_one_thread_at_a_time() -> None:
    inside, most = [], []

    @one_at_a_time
    def count() -> None:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.pop()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]
