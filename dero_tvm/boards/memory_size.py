"""Sizes of memory as people write them: ``64KB``, ``65536``, ``0.5 MiB``.

A kilobyte is 1,024 bytes here, whether it is written K, KB or KiB, and a megabyte 1,048,576, for
that is what data sheets of microcontrollers mean: a chip with "64 KB SRAM" has 65,536 bytes.
"""

from __future__ import annotations

import re
from decimal import Decimal

from ..boundary.errors import UserError

_UNITS = {"": 1, "b": 1, "byte": 1, "bytes": 1}
_UNITS |= dict.fromkeys(("k", "kb", "kib"), 1024) | dict.fromkeys(("m", "mb", "mib"), 1024**2)
_SIZE = re.compile(r"(\d+(?:\.\d+)?|\d{1,3}(?:[,_]\d{3})+)\s*([a-z]*)", re.IGNORECASE)


def parse_size(value: int | str, what: str) -> int:
    """Bytes of a size, an int or a text; `what` names it in errors (``--memory-budget``).

    Raises UserError if it is no size, or not a positive whole number of bytes.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        size = Decimal(value)
    else:
        found = _SIZE.fullmatch(str(value).strip())
        factor = _UNITS.get(found[2].lower()) if found else None
        if found is None or factor is None:
            raise UserError(
                f"{what} {value}: not a size; write 65536, 64KB or 64KiB (both 65,536 bytes), or "
                "1MB (1,048,576 bytes)"
            )
        size = Decimal(found[1].replace(",", "").replace("_", "")) * factor
    if size <= 0 or size != int(size):
        raise UserError(f"{what} {value}: a size is a positive whole number of bytes")
    return int(size)
