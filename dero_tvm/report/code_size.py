"""How much flash the generated code takes, as the cross compiler sees it.

The weights need no compiler: their bytes are known.  The code is that of the model alone, without
the application and without what the linker adds from the C library.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..boards.board import Board
from ..boundary.errors import UserError, first_line
from ..runners.baremetal import find_cross_compiler
from ..runners.compiler_features import features_of
from ..runners.elf import section_sizes
from ..runners.errors import RunError
from ..runners.process import compile_objects
from ..runners.unpacked_archive import Archive
from ..runners.workspace import write_archive

OPTIMIZATION = "-O2"
_CONSTANTS = re.compile(r"_lib0\.c$")  # the file of arenas and weights, without code


@dataclass(frozen=True)
class CodeSize:
    """Bytes of code, or why they are not known; `tool` says what measured them."""

    bytes: int | None
    tool: str = ""
    reason: str = ""


def code_size(archive: Archive, board: Board) -> CodeSize:
    """Compile the archive's code for `board` and add up its sections in flash.

    Raises UserError for a board that names features which the compiler does not see: instead of
    their instructions there would be plain C.
    """
    try:
        compiler = find_cross_compiler()
    except UserError as error:
        return CodeSize(None, reason=first_line(error).rstrip("."))
    try:
        unseen = sorted(board.features - features_of(compiler, board))
    except RunError as error:
        return CodeSize(None, reason=first_line(error).rstrip("."))
    if unseen:
        raise UserError(
            f"The board {board.name} names the feature {unseen[0]}, which {Path(compiler).name} "
            f"does not see with the board's flags ({' '.join(board.flags)}): mend one of them."
        )
    with tempfile.TemporaryDirectory(prefix="dero_tvm_size_") as temporary:
        folder = Path(temporary)
        sources, includes = write_archive(archive, folder)
        command = [compiler, "-std=c11", OPTIMIZATION, *board.flags]
        command += [f"-I{include}" for include in includes]
        code = [source for source in sources if not _CONSTANTS.search(source.name)]
        try:
            sizes = section_sizes(compile_objects(command, code, folder))
        except RunError as error:
            return CodeSize(None, reason=first_line(error).rstrip("."))
    tool = f"{Path(compiler).name} {OPTIMIZATION}"
    return CodeSize(sizes["text"] + sizes["rodata"] + sizes["data"], tool)
