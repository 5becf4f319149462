"""What runners read from ELF files: sizes of sections by their use, and names of functions.

Sections are told apart by their flags rather than by name, so that none is forgotten, whatever a
compiler calls it.  Layout of the structures: System V Application Binary Interface, chapter 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHT_SYMTAB, _SHT_NOBITS = 2, 8
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_STT_FUNC = 2
USES = ("text", "rodata", "data", "bss")


@dataclass(frozen=True)
class _Section:
    kind: int
    flags: int
    offset: int
    size: int
    link: int


def section_sizes(files: list[Path]) -> dict[str, int]:
    """Bytes of "text", "rodata", "data" and "bss" in all files; empty if one is not ELF."""
    sizes = dict.fromkeys(USES, 0)
    for path in files:
        data = path.read_bytes()
        if data[:4] != b"\x7fELF":
            return {}
        for section in _sections(data):
            if section.flags & _SHF_ALLOC:
                sizes[_use(section)] += section.size
    return sizes


def function_at(path: Path, address: int) -> str | None:
    """The name of the function whose code lies at `address` in a linked program, if any."""
    data = path.read_bytes()
    for name, start, size in _functions(data):
        start &= ~1  # bit 0 of a Thumb function's address is not part of it
        if start <= address < start + size:
            return name
    return None


def _use(section: _Section) -> str:
    if section.kind == _SHT_NOBITS:
        return "bss"
    if section.flags & _SHF_EXECINSTR:
        return "text"
    return "data" if section.flags & _SHF_WRITE else "rodata"


def _sections(data: bytes) -> list[_Section]:
    is_64 = data[4] == 2
    if is_64:
        (table,) = struct.unpack_from("<Q", data, 40)
        entry_size, count = struct.unpack_from("<HH", data, 58)
        layout = struct.Struct("<IIQQQQI")
    else:
        (table,) = struct.unpack_from("<I", data, 32)
        entry_size, count = struct.unpack_from("<HH", data, 46)
        layout = struct.Struct("<IIIIIII")
    sections = []
    for index in range(count):
        _, kind, flags, _, offset, size, link = layout.unpack_from(data, table + index * entry_size)
        sections.append(_Section(kind, flags, offset, size, link))
    return sections


def _functions(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, address and size of each function in the symbol table of a 32-bit file."""
    sections = _sections(data)
    layout = struct.Struct("<IIIBBH")
    for section in sections:
        if section.kind != _SHT_SYMTAB:
            continue
        names = sections[section.link].offset
        for position in range(section.offset, section.offset + section.size, layout.size):
            name, value, size, info, _, _ = layout.unpack_from(data, position)
            if info & 0xF == _STT_FUNC:
                end = data.index(b"\0", names + name)
                yield data[names + name : end].decode(), value, size
