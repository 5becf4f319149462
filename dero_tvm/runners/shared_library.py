"""The generated C as a shared library for this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..aot.archive import ModelArchive
from ..boundary.errors import UserError
from .host_c import find_compiler
from .process import build


def check_compiler() -> str:
    """The path of this machine's C compiler; UserError if there is none."""
    try:
        return find_compiler()
    except UserError as error:
        raise UserError(f"--output-format so needs a C compiler: {error}") from None


def build_shared_library(archive: ModelArchive) -> bytes:
    """The library's bytes.

    Raises UserError if there is no C compiler, RunError if it fails.
    """
    compiler = check_compiler()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive.extract_c(folder)
        sources = sorted(str(path) for path in folder.glob("*.c"))
        library = folder / "model.so"
        flags = ["-std=c11", "-O2", "-fPIC", "-shared"]
        build([compiler, *flags, "-o", str(library), *sources, "-lm"], folder)
        return library.read_bytes()
