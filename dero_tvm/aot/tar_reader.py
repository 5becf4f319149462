"""Reads the tar files that `ModelArchive.save` writes, whoever has written them.

Python's tarfile serves more formats than are needed here, some of which have headers about headers
without end, or sizes below zero, at which it goes round in circles.  Here a header is a plain file
or is passed over, and every byte that is unpacked counts against one limit.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.whole_file import size_of_plain_file

_MOST = 10_000  # members
_BLOCK = tarfile.BLOCKSIZE
_GZIP = b"\x1f\x8b"
_COMPRESSED = {b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}
_PASSED_OVER = (tarfile.DIRTYPE, tarfile.XHDTYPE, tarfile.XGLTYPE)  # folders; times and the like


class NoTarFile(Exception):
    """The reason why a file is none."""


def tar_members(path: Path, largest: int) -> dict[str, bytes]:
    """Content by name of the plain files in a tar file, which may be compressed with gzip.

    `largest` is how many bytes it may unpack to.  Raises NoTarFile, UserError for a file that is
    refused, and OSError for one that cannot be read.
    """
    size_of_plain_file(path)
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start in _COMPRESSED:
            raise NoTarFile(f"it is compressed with {_COMPRESSED[start]}; decompress it first")
        if start != _GZIP:
            return _members(file, path, largest)
        try:
            with gzip.open(file) as unpacked:
                members = _members(unpacked, path, largest)  # type: ignore[arg-type]
                unpacked.read(20 * _BLOCK)  # what fills the last record, and then the checksum
                return members
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise NoTarFile(first_line(error)) from None


def _members(file: BinaryIO, path: Path, largest: int) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    total = 0
    for number in range(_MOST):
        header = _header(file.read(_BLOCK), first=number == 0)
        if header is None:
            return members
        size = header.size
        total += _BLOCK + size
        if total > largest:
            raise UserError(f"{path}: refused: it unpacks to more than {largest} bytes")
        data = file.read(size)
        if len(data) < size:
            raise NoTarFile("it is cut off")
        file.read(-size % _BLOCK)
        name = PurePosixPath(header.name)
        if header.type in _PASSED_OVER:
            continue
        if not header.isreg() or name.is_absolute() or ".." in name.parts:
            shown = f"{header.name!r:.200}"
            raise UserError(f"{path}: refused: it holds {shown}, which is no plain file")
        members[str(name)] = data
    raise UserError(f"{path}: refused: it has more than {_MOST} members")


def _header(block: bytes, *, first: bool) -> tarfile.TarInfo | None:
    """None at the end."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
        if first:
            raise NoTarFile("it is empty, or no tar file") from None
        return None
    except (tarfile.HeaderError, ValueError):
        raise NoTarFile("it is no tar file" if first else "a header is damaged") from None
    if header.size < 0:
        raise NoTarFile(f"{header.name!r:.200} has {header.size} bytes")
    return header
