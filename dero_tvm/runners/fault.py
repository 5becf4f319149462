"""Turns the line that start-up code prints at a processor fault into a sentence.

Names of exceptions and bits: Arm v7-M and v8-M Architecture Reference Manuals, exception numbers
and Configurable Fault Status Register.
"""

from __future__ import annotations

import re
from pathlib import Path

from .elf import function_at

_EXCEPTIONS = {
    2: "NMI",
    3: "HardFault",
    4: "MemManage fault",
    5: "BusFault",
    6: "UsageFault",
    7: "SecureFault",
}

_CAUSES = {  # bit of CFSR -> what happened
    0: "execution from a forbidden address",
    1: "access to a forbidden address",
    8: "execution from an address without memory",
    9: "access to an address without memory",
    10: "access to an address without memory, some instructions earlier",
    12: "no memory for the stack",
    16: "undefined instruction",
    17: "jump to an address that is not Thumb code",
    18: "invalid return from an exception",
    19: "coprocessor or floating-point unit absent or off",
    24: "unaligned access",
    25: "division by zero",
}

_STACK_LIMIT = 20  # bit of CFSR (Armv8-M): the stack pointer went below its limit


def describe_fault(messages: str, image: Path, stack_bottom: int) -> str | None:
    """The sentence for the fault in a program's messages, or None if there was none.

    `stack_bottom` is the lowest address of the stack; a stack pointer below it is an overflow.
    """
    line = re.search(r"DERO-FAULT (.*)", messages)
    if not line:
        return None
    fields = {key: int(value, 16) for key, value in re.findall(r"(\w+)=([0-9a-f]+)", line[1])}
    if fields["sp"] < stack_bottom or fields["cfsr"] >> _STACK_LIMIT & 1:
        # The processor could not save where it happened: there was no stack for that.
        return "its stack overflowed: allow it more (--stack-size)."
    exception = _EXCEPTIONS.get(fields["exception"], f"exception {fields['exception']}")
    pc = fields["pc"]
    function = function_at(image, pc)
    causes = [text for bit, text in _CAUSES.items() if fields["cfsr"] >> bit & 1]
    text = f"{exception} at PC {pc:#010x}"
    text += f" in {function}" if function else ", outside any function"
    if causes:
        text += f": {', '.join(causes)}"
    if "address" in fields:
        text += f" ({fields['address']:#010x})"
    return f"{text}; LR {fields['lr']:#010x}, SP {fields['sp']:#010x}."
