"""What a cross compiler makes of a board's flags."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..boards.board import Board
from .process import output_of

_SINGLE, _DOUBLE = 4, 8  # bits of __ARM_FP


def features_of(compiler: str, board: Board) -> frozenset[str]:
    """Which of `boards.board.FEATURES` the compiler sees with the flags; RunError if it fails."""
    with tempfile.TemporaryDirectory(prefix="dero_tvm_features_") as folder:
        (Path(folder) / "empty.c").touch()
        command = [compiler, *board.flags, "-dM", "-E", "empty.c"]
        lines = output_of(command, Path(folder)).splitlines()
    macros = dict(line.split(maxsplit=2)[1:] for line in lines if len(line.split()) > 2)
    floating = int(macros.get("__ARM_FP", "0"), 0)
    seen = {
        "fpu": floating & _SINGLE,
        "fpu-double": floating & _DOUBLE,
        "dsp": "__ARM_FEATURE_DSP" in macros,
        "mve": "__ARM_FEATURE_MVE" in macros,
    }
    return frozenset(feature for feature, there in seen.items() if there)
