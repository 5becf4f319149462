"""A file of parameters as ``tvm.runtime.save_param_dict`` writes it, in pieces.

TVM builds it in memory, with several copies of what may be a hundred megabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from .files import Piece

_LIST = 0xF7E58D4F05049CB7  # the file begins with it
_TENSOR = 0xDD5E40F096B4A13F  # and each tensor
_CPU, _INT, _LANES = 1, 0, 1


def param_file(tensors: Sequence[tuple[str, int, Iterable[Piece]]]) -> Iterator[Piece]:
    """Vectors of int8: the name, the number of elements and the bytes of each."""
    names = [name.encode() for name, _, _ in tensors]
    yield struct.pack("<QQQ", _LIST, 0, len(names))
    for name in names:
        yield struct.pack("<Q", len(name)) + name
    yield struct.pack("<Q", len(tensors))
    for _, size, content in tensors:
        yield struct.pack("<QQiii", _TENSOR, 0, _CPU, 0, 1)
        yield struct.pack("<BBHqq", _INT, 8, _LANES, size, size)
        yield from content
