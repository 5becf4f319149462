"""The command that runs random networks with the kernels of Arm cores."""

from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest

from tests.campaigns import random_boards
from tests.compared_outputs import assert_equal_outputs

needs_qemu = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "arm-none-eabi-gcc", "qemu-system-arm"))),
    reason="not installed: gcc, arm-none-eabi-gcc or qemu-system-arm",
)


@needs_qemu
@pytest.mark.parametrize(("seed", "board"), [(0, "mps2-an386"), (1, "mps3-an547")])
def test_a_network(seed: int, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_boards, "BOARDS", (board,))
    monkeypatch.setattr(random_boards, "MODES", ("stream",))
    counts: Counter[str] = Counter()
    random_boards.check_network(seed, counts)
    assert counts["operators with kernels of their own"] > 2
    assert counts["sanitized programs"] == counts["guarded runs in QEMU"] == 1


def test_a_difference_is_told() -> None:
    one, other = ({"y": np.int8([[1, last]])} for last in (2, 3))
    with pytest.raises(AssertionError, match="on a board: output y differs by 1"):
        assert_equal_outputs("on a board", one, other)
    assert_equal_outputs("on a board", one, one)
