"""Generated functions in a section of their own, which start-up code copies to where it lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boards.board import Itcm, load_board
from dero_tvm.cycles.trace import functions
from dero_tvm.runners import run_qemu
from tests.models.small_networks import Builder

MISSING = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if which(tool) is None]
IN_ITCM = ('-DTVMGEN_HOT=__attribute__((section(".itcm")))',)


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize("name", ["mps2-an500", "mps3-an547"])
def test_all_functions_of_a_network(name: str, tmp_path: Path) -> None:
    """What the compiler makes of the whole source, clones of its own included, with the same bits.

    The emulated Cortex-M7 has no memory of the kind: the end of what stands for its flash is taken.
    """
    board = load_board(name)
    if board.itcm is None:
        assert board.flash is not None
        half = board.flash.size // 2
        flash = replace(board.flash, size=half)
        board = replace(board, flash=flash, itcm=Itcm(board.flash.origin + half, half, "a test"))
    b = Builder(("x", (1, 9, 9, 16)))
    x = b.conv("first", b.inputs[0], 16)
    x = b.add("sum", b.conv("second", x, 16), x)
    model = dero_tvm.compile(b.build(b.pool("mean", x)), target=board, dero="stream")
    data = np.random.default_rng(0).integers(-128, 128, (1, 9, 9, 16)).astype(np.int8)
    (expected,) = model.run({"x": data}, "host-c").values()
    result = run_qemu(model.archive, [{"x": data}], machine=board, flags=IN_ITCM, keep=tmp_path)
    np.testing.assert_array_equal(*result.outputs[0].values(), expected)
    assert board.itcm is not None
    itcm = range(board.itcm.origin, board.itcm.origin + board.itcm.size)
    places = functions(tmp_path / "image.elf")
    (source,) = tmp_path.glob("*lib1*.o")
    ours = functions(source)
    assert "tvmgen_default_run" in ours and len(ours) > 3
    outside = {name for name in ours if places[name][0] not in itcm}
    assert outside == {"tvmgen_default_map_io"}  # which no inference calls
