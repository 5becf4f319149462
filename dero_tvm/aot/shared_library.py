"""The generated C as a shared library for this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from dero_tvm.errors import UserError

from .archive import ModelArchive

_COMPILERS = ("cc", "gcc", "clang")
_TIME_LIMIT = 600  # seconds


def find_c_compiler() -> str:
    """The path of this machine's C compiler; UserError if there is none."""
    for name in _COMPILERS:
        if found := shutil.which(name):
            return found
    raise UserError(
        f"--output-format so needs a C compiler, and none of {', '.join(_COMPILERS)} is on PATH: "
        "install one (on Debian: apt install gcc libc6-dev)"
    )


def build_shared_library(archive: ModelArchive) -> bytes:
    """The library's bytes.

    Raises UserError if there is no C compiler or it fails.
    """
    compiler = find_c_compiler()
    with tempfile.TemporaryDirectory() as folder:
        archive.extract_c(folder)
        sources = sorted(str(path) for path in Path(folder).glob("*.c"))
        library = Path(folder) / "model.so"
        command = [compiler, "-std=c11", "-O2", "-fPIC", "-shared", "-o", str(library), *sources]
        try:
            done = subprocess.run(
                [*command, "-lm"], capture_output=True, text=True, timeout=_TIME_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{compiler} took longer than {_TIME_LIMIT} s and was stopped"
            ) from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["no message"]
            raise UserError(f"{compiler} failed: {said[-1]}")
        return library.read_bytes()
