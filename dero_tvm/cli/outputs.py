"""Writing results: whole or not at all, and refused before the work if they cannot be written."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.boundary.atomic_write import check_parent, write_atomically, write_folder
from dero_tvm.boundary.errors import UserError
from dero_tvm.runners.shared_library import build_shared_library, check_compiler

_OTHER_FILES = {
    ".so": "a shared library is --output-format so",
    ".c": "C files are --output-format c, into a folder",
    ".zip": "an archive is a .tar or a .tar.gz",
}
"""Names that promise what ``--output-format mlf`` does not write."""


def check_output(path: Path, output_format: str) -> None:
    """Raises UserError if `path` cannot be written; checked before a long compilation."""
    if output_format == "mlf" and path.suffix in _OTHER_FILES:
        raise UserError(f"{path}: {_OTHER_FILES[path.suffix]}")
    check_parent(path)
    if output_format == "so":
        check_compiler()
    if output_format == "c":
        if path.exists() and not path.is_dir():
            raise UserError(f"{path}: --output-format c writes a folder, but this is a file")
        if path.exists() and not os.access(path, os.W_OK):
            raise UserError(f"{path}: the folder cannot be written")
    elif path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a file")
    elif path.exists() and not os.access(path, os.W_OK):
        raise UserError(f"{path}: is write-protected")


def check_distinct(paths: Mapping[str, Path | None]) -> None:
    """Raises UserError if two of these flags and arguments name the same file."""
    seen: dict[str, str] = {}
    for what, path in paths.items():
        if path is None or (path.exists() and not path.is_file()):
            continue
        other = seen.setdefault(os.path.realpath(path), what)
        if other != what:
            raise UserError(f"{other} and {what} are the same file, {path}; give another name")


def write_model(archive: ModelArchive, path: Path, output_format: str) -> None:
    """Write `archive` to `path` in the format asked for."""
    if output_format == "mlf":
        archive.save(path)
    elif output_format == "so":
        write_atomically(path, build_shared_library(archive))
    else:
        write_folder(path, {**archive.c_sources(), **archive.c_headers()})


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz file: as numpy.savez writes it, but for any names, ``file`` among them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            # A fixed date, so that equal results give equal files.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()
