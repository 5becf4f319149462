"""Cycles of sequences of instructions by the manual's table, for cores that issue one at a time.

Source: Arm, Cortex-M4 Technical Reference Manual (100166), section 3.3 (the table of instructions
and the load and store timings), and its floating-point table.  Cortex-M3 has the same table without
the last; Arm publishes none for Cortex-M33, for which this one stands in.

Where the table gives a range the middle is taken: a pipeline refill has 2 cycles (1 to 3), a
division 7 (2 to 12).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .taken import TAKEN

_REFILL = 2
_DIVISION = 7
_FLOAT_DIVISION = 14
_MULTIPLY_ACCUMULATE = 3  # of floats

_REGISTER = re.compile(r"\b(?:r\d+|sp|lr|pc|s\d+|d\d+)\b")
_ADDRESS = re.compile(r"\[([^\]]*)\](!|, )?")
_LOAD = re.compile(r"^ldr(?:s?[bh])?(?:t|ex[bh]?)?(?:\w\w)?(?:\.w)?$")
_STORE = re.compile(r"^str[bh]?(?:t|ex[bh]?)?(?:\w\w)?(?:\.w)?$")
_MULTIPLE = re.compile(r"^(ldm|stm|push|pop|vldm|vstm|vpush|vpop)")
_DOUBLE = re.compile(r"^(ldrd|strd)")
_FLOAT_MEMORY = re.compile(r"^v(ldr|str)")
_CONDITIONS = "eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
_NO_RESULT = re.compile(
    rf"^(?:cmp|cmn|tst|teq|it|nop|cb|tb|blx?|bx|b(?:{_CONDITIONS})?(?:\.[nw])?$)"
)


class IssueTable:
    """Cycles by the table."""

    CORES = ("cortex-m3", "cortex-m4", "cortex-m33")

    def __init__(self, core: str) -> None:
        self.source = f"Arm's table for Cortex-M4, applied to {core}"

    def cycles(self, sequences: Sequence[Sequence[str]]) -> list[int]:
        """Of each sequence, one instruction after another."""
        return [_cycles(sequence) for sequence in sequences]


def _cycles(sequence: Sequence[str]) -> int:
    total = 0
    loaded: str | None = None  # the register that a pipelined load just before has written
    computed: set[str] = set()  # registers that the instruction before has computed
    for line in sequence:
        text, _, comment = line.partition(" @ ")
        name, _, operands = text.partition(" ")
        address = _ADDRESS.search(operands)
        bases = set(_REGISTER.findall(address[1])) if address else set()
        cost = _own_cycles(name, operands, address)
        if address is not None and computed & bases:
            cost += 1
        updates = address is not None and bool(address[2])
        is_load, is_store = bool(_LOAD.match(name)), bool(_STORE.match(name))
        if (
            cost > 1
            and loaded is not None
            and loaded not in bases
            and (is_load or is_store)
            and not updates
        ):
            cost -= 1
        if (
            f"@ {comment}" == TAKEN
            or (is_load or _MULTIPLE.match(name))
            and "pc" in operands.partition("[")[0]
        ):
            cost += _REFILL
        registers = _REGISTER.findall(operands)
        loaded = registers[0] if is_load and not updates and registers else None
        plain = not (address or _NO_RESULT.match(name) or _MULTIPLE.match(name))
        computed = set(registers[:1]) if plain else set()
        total += cost
    return total


def _own_cycles(name: str, operands: str, address: re.Match[str] | None) -> int:
    if match := _MULTIPLE.match(name):
        return 1 + _count(operands.partition("{")[2], match[1].startswith("v"))
    if _DOUBLE.match(name):
        return 3
    if _FLOAT_MEMORY.match(name):
        return 3 if _REGISTER.findall(operands)[0].startswith("d") else 2
    if _LOAD.match(name):
        return 2
    if _STORE.match(name):
        offset = address[1].split(",")[1:] if address else []
        return 2 if any(_REGISTER.search(part) for part in offset) else 1
    if name.startswith(("sdiv", "udiv")):
        return _DIVISION
    if name.startswith(("vdiv", "vsqrt")):
        return _FLOAT_DIVISION
    if name.startswith(("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms")):
        return _MULTIPLY_ACCUMULATE
    if name == "vmov" and len(_REGISTER.findall(operands)) > 1 and re.search(r"\br\d", operands):
        return 2
    if name.startswith(("tbb", "tbh")):
        return 4
    return 1


def _count(registers: str, floats: bool) -> int:
    """How many words a list of registers has."""
    words = 0
    for part in registers.rstrip("} ").split(","):
        first, _, last = part.strip().partition("-")
        number = int(last[1:]) - int(first[1:]) + 1 if last else 1
        words += number * (2 if floats and first.startswith("d") else 1)
    return words
