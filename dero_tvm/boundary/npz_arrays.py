"""The arrays in an .npz file, which is a zip archive of .npy files, within limits.

What the archive's directory and the arrays' headers announce is added up before it is read.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from math import prod
from typing import BinaryIO, Literal

import numpy as np

_LARGEST = 1 << 30  # bytes of all arrays, or as many as the file has
_DIRECTORY = 1 << 20  # bytes of the list of members, for each of which Python makes an object
_HEADER = 1 << 14  # bytes of an array's header
_MAGIC = b"\x93NUMPY"
# Before and after the size of the directory, in the record at the archive's end and in the one
# before it that has larger numbers.
_END = struct.Struct("<12xL6x")
_LARGE_END = struct.Struct("<40xQ8x")


class OneArray(Exception):
    """The file holds an array without a name."""


def npz_arrays(file: BinaryIO) -> dict[str, np.ndarray]:
    """The arrays by name.

    Raises OneArray, ValueError for what is refused here, and whatever zipfile, the decompressors
    and NumPy raise at a damaged file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(len(_MAGIC))
    if start == _MAGIC:
        raise OneArray
    if not start.startswith((b"PK\3\4", b"PK\5\6")):
        raise ValueError("it is empty" if size == 0 else "it is no zip archive")
    _check_directory(file, size)
    largest = max(_LARGEST, size)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > largest:
            raise ValueError(f"it unpacks to more than {largest} bytes")
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(set(names)) < len(names):
            raise ValueError("it holds two arrays of one name")
        return {name: _array(archive, member) for name, member in zip(names, members)}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.flag_bits & 1:
        raise ValueError("it is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in another way than numpy.savez_compressed does it")
    with archive.open(member) as content:
        shape, order, dtype, begin = _header(content.read(_HEADER), member.filename)
        if dtype.hasobject:
            raise ValueError("it holds Python objects (pickle), which are not loaded")
        if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize > member.file_size - begin:
            raise ValueError(f"{member.filename} does not hold what its header says")
        content.seek(begin)
        data = content.read()  # to the end, where zipfile compares the checksum
    return np.ndarray(shape, dtype, data, order=order)


def _header(start: bytes, name: str) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype, int]:
    """Shape, order, type and place of the values in a file that begins with these bytes."""
    if not start.startswith(_MAGIC):
        raise ValueError(f"{name} is no array")
    stream = io.BytesIO(start)
    read = np.lib.format.read_array_header_2_0
    try:
        if np.lib.format.read_magic(stream) == (1, 0):
            read = np.lib.format.read_array_header_1_0
        # A third version has other characters in the names of fields, which no input has.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(stream)
    except Exception:  # Python's parser reads the header, and NumPy what comes out of it
        raise ValueError(f"the header of {name} makes no sense") from None
    return shape, "F" if fortran else "C", dtype, stream.tell()


def _check_directory(file: BinaryIO, size: int) -> None:
    tail = min(size, _END.size + 0xFFFF + _LARGE_END.size)
    file.seek(size - tail)
    data = file.read()
    at = data.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(data):
        return  # zipfile finds no archive either
    listed = _END.unpack_from(data, at)[0]
    large = data.rfind(b"PK\6\6", 0, at)
    if large >= 0 and large + _LARGE_END.size <= at:
        listed = max(_LARGE_END.unpack_from(data, large)[0], listed if listed < 0xFFFFFFFF else 0)
    if listed > _DIRECTORY:
        raise ValueError("it lists too many arrays")
