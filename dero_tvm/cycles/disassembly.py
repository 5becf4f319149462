"""The instructions of blocks of a program, as an assembler reads them."""

from __future__ import annotations

import re
from pathlib import Path

from ..runners.process import find_tool, output_of
from .trace import Block

_LINE = re.compile(r"^\s*([0-9a-f]+):\s+(.+)$")
_TARGET = re.compile(r"\b0x[0-9a-f]+ <[^>]*>")  # of a branch
_NAMED = re.compile(r" <[^>]*>")  # what an address is near, as an explanation
_DATA = re.compile(r"([0-9a-f]{2} )+\s*\.")
_PREDICATE = re.compile(r"^(it|vpst|vpt)([te]*)\b\S*( ?\w*)")


def find_disassembler() -> str:
    """The path of LLVM's disassembler; UserError if it is not installed."""
    # GNU's leaves out Helium, and writes some instructions as LLVM does not read them.
    return find_tool(["llvm-objdump-22", "llvm-objdump"], "llvm-22")


class Disassembly:
    """The code of an ELF file.

    The emulator may end a block, at the end of a page, say, between an instruction that predicates
    others (IT, VPST, VPT) and those.  Such a block is given one of its own, or the predicate of no
    instruction is left out, so that an assembler takes every block by itself.
    """

    def __init__(self, program: Path, core: str) -> None:
        command = [find_disassembler(), "-d", "--no-show-raw-insn", f"--mcpu={core}", str(program)]
        self._text: dict[int, str] = {}  # by address
        self._next: dict[int, int] = {}
        self._predicate: dict[int, int] = {}  # where the predicate of an instruction stands
        previous = None
        predicated: list[int] = []
        for line in output_of(command, program.parent).splitlines():
            match = _LINE.match(line)
            if match is None:
                continue
            address = int(match[1], 16)
            if _DATA.match(match[2]):
                previous = None
                continue
            instruction = match[2].partition("@")[0]
            text = " ".join(_NAMED.sub("", _TARGET.sub("target", instruction)).split())
            self._text[address] = text
            if previous is not None:
                self._next[previous] = address
            previous = address
            if predicated:
                self._predicate[address] = predicated.pop()
            if predicate := _PREDICATE.match(text):
                predicated = [address] * (1 + len(predicate[2]))

    def instructions(self, block: Block) -> list[str]:
        """The lines of a block.  Raises ValueError for an address that holds no instruction."""
        addresses = [block.address]
        while len(addresses) < block.instructions:
            addresses.append(self._next.get(addresses[-1], -1))
        for address in addresses:
            if address not in self._text:
                raise ValueError(f"no instruction behind {block.address:#x}")
        lines = []
        left_out = set()
        for address in addresses:
            by = self._predicate.get(address, address)
            if predicate := _PREDICATE.match(self._text[address]):
                followers = sum(self._predicate.get(a) == address for a in addresses)
                if followers <= len(predicate[2]):
                    left_out.add(address)  # the others are in the next block
                    continue
            elif by < block.address or by in left_out:
                lines.append(self._own_predicate(address))
            lines.append(self._text[address])
        return lines

    def end(self, block: Block) -> int:
        """The address behind a block, which is the next one's if no branch is taken; -1: none."""
        address = block.address
        for _ in range(block.instructions):
            address = self._next.get(address, -1)
        return address

    def _own_predicate(self, address: int) -> str:
        """A predicate for one instruction whose own is in the block before."""
        text = self._text[self._predicate[address]]
        if not text.startswith("it"):
            return "vpst"
        return f"it {self._text[address].split()[0].partition('.')[0][-2:]}"
