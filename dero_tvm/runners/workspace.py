"""The folder in which a runner builds and runs a model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .unpacked_archive import Archive


@contextmanager
def build_folder(keep: Path | None) -> Iterator[Path]:
    """`keep` if given (made if absent, left behind), or else a temporary folder."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="dero_tvm_run_") as folder:
        yield Path(folder)


def write_archive(archive: Archive, folder: Path) -> tuple[list[Path], list[Path]]:
    """Write sources and headers below `folder`; returns the sources and the include folders."""
    folder = folder / "model"
    sources = [_write(folder / path, data) for path, data in sorted(archive.c_sources().items())]
    headers = [_write(folder / path, data) for path, data in sorted(archive.c_headers().items())]
    return sources, sorted({header.parent for header in headers})


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
