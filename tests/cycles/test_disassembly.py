"""Blocks of instructions as text, wherever the emulator cuts them."""

from __future__ import annotations

import subprocess

import pytest

from dero_tvm.cycles.disassembly import Disassembly
from dero_tvm.cycles.trace import Block, functions
from tests.cycles.tools import needs_tools

SOURCE = """
.syntax unified
.thumb
.global sample, other
.type sample, %function
.type other, %function
sample:
  cmp r0, #3
  ite lt
  addlt r0, r0, #1
  subge r0, r0, #1
  ldr r1, =0x12345678
  beq sample
  bx lr
  .ltorg
.size sample, .-sample
other:
  vpst
  vldrbt.u8 q0, [r0]
  adr r1, other
  bx lr
.size other, .-other
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "sample.s").write_text(SOURCE)
    subprocess.run(
        "arm-none-eabi-gcc -mcpu=cortex-m55 -mfloat-abi=hard -nostdlib -Wl,-Ttext=0x1000,-e,sample "
        "sample.s -o sample.elf".split(),
        cwd=folder,
        check=True,
    )
    return folder / "sample.elf"


@needs_tools
def test_blocks_are_complete_for_an_assembler(program) -> None:
    code = Disassembly(program, "cortex-m55")
    begin, end = functions(program)["sample"]
    assert (begin, end) == (0x1000, functions(program)["other"][0])
    assert code.instructions(Block(begin, 4)) == [
        "cmp r0, #0x3",
        "ite lt",
        "addlt r0, #0x1",
        "subge r0, #0x1",
    ]
    # cut behind the predicate, and between the two that it predicates
    assert code.instructions(Block(begin, 2)) == ["cmp r0, #0x3"]
    assert code.instructions(Block(begin, 3)) == ["cmp r0, #0x3", "it lt", "addlt r0, #0x1"]
    assert code.instructions(Block(begin + 4, 2)) == [
        "it lt",
        "addlt r0, #0x1",
        "it ge",
        "subge r0, #0x1",
    ]
    assert code.end(Block(begin, 3)) == begin + 6
    # a branch's target is a label, and the data behind the code is no code
    last = Block(begin + 8, 3)
    assert code.instructions(last) == ["ldr r1, [pc, #0x4]", "beq.w target", "bx lr"]
    assert code.end(last) == -1
    other = functions(program)["other"][0]
    assert code.instructions(Block(other + 4, 1)) == ["vpst", "vldrbt.u8 q0, [r0]"]
    assert "<" not in code.instructions(Block(other + 8, 1))[0]  # what it is near is no operand
    with pytest.raises(ValueError, match="no instruction behind"):
        code.instructions(Block(begin + 8, 5))
