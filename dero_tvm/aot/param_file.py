"""A file of parameters as ``tvm.runtime.save_param_dict`` writes it, in pieces.

TVM builds it in memory, with several copies of what may be a hundred megabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from .files import Piece

_LIST = 0xF7E58D4F05049CB7  # the file begins with it
_TENSOR = 0xDD5E40F096B4A13F  # and each tensor
_CPU, _INT, _LANES = 1, 0, 1


def param_file(name: str, size: int, content: Iterable[Piece]) -> Iterator[Piece]:
    """One int8 vector `name` of `size` elements; `content` has its bytes."""
    text = name.encode()
    yield struct.pack("<QQQQ", _LIST, 0, 1, len(text)) + text
    yield struct.pack("<QQQiii", 1, _TENSOR, 0, _CPU, 0, 1)
    yield struct.pack("<BBHqq", _INT, 8, _LANES, size, size)
    yield from content
