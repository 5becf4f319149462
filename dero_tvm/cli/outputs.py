"""Writing results: whole or not at all, and refused before the work if they cannot be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from dero_tvm.aot.archive import ModelArchive, write_atomically
from dero_tvm.aot.shared_library import build_shared_library
from dero_tvm.errors import UserError


def check_output(path: Path, output_format: str) -> None:
    """Raises UserError if `path` cannot be written; checked before a long compilation."""
    parent = path.parent
    if not parent.is_dir():
        raise UserError(f"{path}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{path}: the folder {parent} cannot be written")
    if output_format == "c":
        if path.exists() and not path.is_dir():
            raise UserError(f"{path}: --output-format c writes a folder, but this is a file")
    elif path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a file")


def write_model(archive: ModelArchive, path: Path, output_format: str) -> None:
    """Write `archive` to `path` in the format asked for."""
    if output_format == "mlf":
        archive.save(path)
    elif output_format == "so":
        write_atomically(path, build_shared_library(archive))
    else:
        _write_folder(archive, path)


def _write_folder(archive: ModelArchive, path: Path) -> None:
    """The C files go into a new folder first, so that a failure leaves nothing behind."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
            staged = Path(temporary) / "c"
            archive.extract_c(staged)
            path.mkdir(exist_ok=True)
            for file in sorted(staged.iterdir()):
                shutil.move(str(file), path / file.name)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
