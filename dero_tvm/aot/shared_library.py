"""The generated C as a shared library for this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from dero_tvm.errors import UserError

from .archive import ModelArchive

_TIME_LIMIT = 600  # seconds


def build_shared_library(archive: ModelArchive, compiler: str = "cc") -> bytes:
    """The library's bytes.

    Raises UserError if there is no C compiler or it fails.
    """
    found = shutil.which(compiler)
    if found is None:
        raise UserError(
            f"--output-format so needs a C compiler, and {compiler} is not installed (Debian: "
            "apt-get install gcc)"
        )
    with tempfile.TemporaryDirectory() as folder:
        archive.extract_c(folder)
        sources = sorted(str(path) for path in Path(folder).glob("*.c"))
        library = Path(folder) / "model.so"
        command = [found, "-std=c11", "-O2", "-fPIC", "-shared", "-o", str(library), *sources]
        try:
            done = subprocess.run(
                [*command, "-lm"], capture_output=True, text=True, timeout=_TIME_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{compiler} took longer than {_TIME_LIMIT} s and was stopped"
            ) from None
        if done.returncode != 0:
            raise UserError(f"{compiler} failed: {done.stderr.strip().splitlines()[-1]}")
        return library.read_bytes()
