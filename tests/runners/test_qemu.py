from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dero_tvm.boards.board import load_board
from dero_tvm.boards.board_folders import targets_folder
from dero_tvm.boundary.errors import UserError
from dero_tvm.runners import RunError, run_qemu
from tests.runners.fake_archive import FakeArchive, expected_output, some_inputs

MACHINES = ("mps2-an386", "mps2-an500", "mps3-an547")
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
each_machine = pytest.mark.parametrize("machine", MACHINES)


@needs_tools
@each_machine
@pytest.mark.parametrize("copy_io", [False, True])
def test_outputs_of_each_inference(machine, copy_io):
    inputs = some_inputs(3)
    result = run_qemu(FakeArchive(), inputs, machine=machine, copy_io=copy_io)
    for output, values in zip(result.outputs, inputs, strict=True):
        np.testing.assert_array_equal(output["y"], expected_output(values))
    assert result.guard_ok
    assert result.instructions is not None and len(result.instructions) == 3
    assert result.model_sections["data"] == result.model_sections["bss"] == 0
    assert result.model_sections["rodata"] == 16  # four factors


@needs_tools
@each_machine
def test_instructions_of_a_known_loop(machine):
    # The number of rounds is the first value of `bias`, so that one run has several.
    loop = FakeArchive(
        body="int n; memcpy(&n, arena + 16, 4);"
        '__asm__ volatile("1: subs %0, %0, #1\\n\\tbne 1b" : "+l"(n));'
    )
    rounds = [1, 1000, 1001, 1_000_000, 10_000_000]
    inputs = [
        {"serving:x": np.zeros((2, 4), np.int8), "bias": np.array([n, 0, 0, 0], np.int32)}
        for n in rounds
    ]
    counts = run_qemu(loop, inputs, machine=machine).instructions
    assert counts is not None
    two_ticks = 2 * load_board(machine).qemu.instructions_per_tick
    assert 20 < counts[0] < 100 + two_ticks
    for n, count in zip(rounds, counts):
        assert abs(count - counts[0] - 2 * (n - 1)) < two_ticks
    assert run_qemu(loop, inputs, machine=machine).instructions == counts


@needs_tools
@each_machine
def test_stack_of_a_known_use(machine):
    def used(size: int) -> int:
        body = f"volatile uint8_t array[{size}]; array[0] = 1; arena[70] = array[0];"
        result = run_qemu(FakeArchive(body=body), some_inputs(1), machine=machine, stack_size=8192)
        assert result.stack_bytes is not None
        return result.stack_bytes

    small = used(8)
    assert 8 < small < 200
    assert abs(used(4096) - small - 4088) <= 16


@needs_tools
@each_machine
def test_stack_overflow(machine):
    body = "volatile uint8_t array[2000]; array[0] = 1; arena[0] = array[0];"
    with pytest.raises(RunError, match=r"its stack overflowed"):
        run_qemu(FakeArchive(body=body), some_inputs(1), machine=machine, stack_size=1024)
    result = run_qemu(FakeArchive(body=body), some_inputs(1), machine=machine, stack_size=2400)
    assert result.stack_bytes is not None and 2000 < result.stack_bytes < 2400


@needs_tools
def test_a_stack_that_is_just_large_enough():
    used = run_qemu(FakeArchive(), some_inputs(1)).stack_bytes
    assert used is not None
    enough = used + 16 - used % 8
    assert run_qemu(FakeArchive(), some_inputs(1), stack_size=enough).stack_bytes == used
    with pytest.raises(RunError, match=f"used all of its {used} bytes of stack"):
        run_qemu(FakeArchive(), some_inputs(1), stack_size=used)


@needs_tools
@each_machine
def test_a_byte_written_outside_the_arena_is_found(machine):
    archive = FakeArchive(body="volatile int k = 71; arena[k] = 0;")
    result = run_qemu(archive, some_inputs(2), machine=machine)
    assert not result.guard_ok
    assert result.guard_report.startswith("inference 0 wrote outside the arena 'default'")


@needs_tools
@each_machine
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('__asm__ volatile("udf #0");', "UsageFault.* in tvmgen_default_run: undefined instr"),
        ("volatile int k = 0; k = 7 / k;", "UsageFault.* in tvmgen_default_run: division by zero"),
        (
            "volatile uintptr_t k = 0xF0000000u; *(volatile int*)k = 1;",
            r"Fault.* in tvmgen_default_run.* without memory.*\(0xf0000000\)",
        ),
        ("volatile uintptr_t k = 4; ((void (*)(void))k)();", "Fault.*not Thumb code"),
    ],
    ids=["undefined", "division", "address", "state"],
)
def test_faults_are_reported(machine, body, message):
    with pytest.raises(RunError, match=message) as caught:
        run_qemu(FakeArchive(body=body), some_inputs(1), machine=machine)
    assert re.search(r"at PC 0x[0-9a-f]{8}", str(caught.value))
    assert "\n" not in str(caught.value)


@needs_tools
@pytest.mark.parametrize(
    ("machine", "instruction"),
    [
        ("mps2-an386", "vadd.f32 s0, s1, s2"),
        ("mps2-an386", "smlad r0, r1, r2, r3"),
        ("mps2-an500", "vadd.f64 d0, d1, d2"),
        ("mps3-an547", "vadd.f64 d0, d1, d2"),
        ("mps3-an547", "vmladav.s8 r0, q0, q1"),
    ],
)
def test_the_cores_have_what_the_boards_claim(machine, instruction):
    body = f'__asm__ volatile("{instruction}" : : : "r0");'
    assert run_qemu(FakeArchive(body=body), some_inputs(1), machine=machine).guard_ok


@needs_tools
def test_a_hang_is_stopped():
    archive = FakeArchive(body="for (volatile int k = 1; k;) {}")
    with pytest.raises(RunError, match=r"qemu-system-arm ran longer than 0.5 s and was stopped"):
        run_qemu(archive, some_inputs(1), time_limit=0.5)


@needs_tools
def test_status_of_the_model_is_checked():
    with pytest.raises(RunError, match="tvmgen_default_run returned 9"):
        run_qemu(FakeArchive(status="9"), some_inputs(1))


@needs_tools
@pytest.mark.parametrize(
    ("machine", "arenas", "addresses"),
    [
        ("mps2-an500", {"sram": 71, "psram": 32}, [0x20000000, 0x60000000]),
        ("mps2-an500", {"psram": 71}, [0x60000000]),
        ("mps3-an547", {"default": 600_000}, [0x31000000]),  # too large for the first region
    ],
)
def test_arenas_lie_in_their_regions(machine, arenas, addresses, tmp_path):
    archive = FakeArchive(arena_bytes=arenas)
    inputs = some_inputs(1)
    result = run_qemu(archive, inputs, machine=machine, keep=tmp_path)
    np.testing.assert_array_equal(result.outputs[0]["y"], expected_output(inputs[0]))
    symbols = subprocess.run(
        ["arm-none-eabi-nm", tmp_path / "image.elf"], check=True, capture_output=True, text=True
    ).stdout
    found = dict(re.findall(r"([0-9a-f]+) \w tvmgen_default_workspace(\w*_guarded)?\b", symbols))
    regions = sorted({int(address, 16) & 0xFF000000 for address in found})
    assert regions == addresses


@needs_tools
def test_sections_agree_with_binutils(tmp_path: Path):
    archive = FakeArchive(
        globals="static int counter = 5; static int zeros[8];",
        body="zeros[counter++ % 8] += arena[0];",
    )
    result = run_qemu(archive, some_inputs(1), keep=tmp_path)
    for sections, files in (
        (result.model_sections, sorted(tmp_path.glob("*.o"))),
        (result.image_sections, [tmp_path / "image.elf"]),
    ):
        lines = subprocess.run(
            ["arm-none-eabi-size", "-B", *map(str, files)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()[1:]
        sums = [sum(int(line.split()[column]) for line in lines) for column in range(3)]
        assert sections["text"] + sections["rodata"] == sums[0]
        assert [sections["data"], sections["bss"]] == sums[1:]


@needs_tools
def test_models_that_do_not_fit():
    with pytest.raises(UserError, match=r"arena of 17000000 bytes.* \d+ too few") as caught:
        run_qemu(FakeArchive(arena_bytes={"default": 17_000_000}), some_inputs(1))
    assert "largest region has 16777088 bytes" in str(caught.value)
    with pytest.raises(UserError, match=r"does not fit the region 'sram' .* too few"):
        run_qemu(FakeArchive(arena_bytes={"sram": 4 * 2**20}), some_inputs(1))
    with pytest.raises(UserError, match=r"region 'tcm', but .* has the regions sram, psram"):
        run_qemu(FakeArchive(arena_bytes={"sram": 71, "tcm": 64}), some_inputs(1))
    weights = "extern const uint8_t weights[]; const uint8_t weights[4194304] = {1};"
    with pytest.raises(UserError, match=r"its flash of 4194304 bytes is (\d+) bytes too small"):
        run_qemu(FakeArchive(globals=weights), some_inputs(1))
    variables = "extern uint8_t variables[]; uint8_t variables[4194304];"
    with pytest.raises(UserError, match=r"RAM region 'sram' of 4194304 bytes is \d+ bytes too"):
        run_qemu(FakeArchive(globals=variables), some_inputs(1))


@needs_tools
def test_memory_that_the_machine_has_not(tmp_path):
    description = (targets_folder() / "mps2-an386.toml").read_text()
    path = tmp_path / "mine.toml"
    assert "[flash]\norigin = 0x00000000" in description
    path.write_text(
        description.replace("[flash]\norigin = 0x00000000", "[flash]\norigin = 0x08000000")
    )
    with pytest.raises(RunError, match="did not start on QEMU's machine mps2-an386: do flash and"):
        run_qemu(FakeArchive(), some_inputs(1), machine=path)


@needs_tools
def test_a_wrong_counter_is_noticed(tmp_path):
    description = (targets_folder() / "mps2-an386.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(description.replace("per_tick = 40", "per_tick = 41"))
    with pytest.raises(RunError, match="205000 instructions for a loop of 200000.*per_tick"):
        run_qemu(FakeArchive(), some_inputs(1), machine=path)


@needs_tools
def test_stack_size_is_checked():
    with pytest.raises(UserError, match="a stack of 1001 bytes: its size must be a"):
        run_qemu(FakeArchive(), some_inputs(1), stack_size=1001)


def test_boards_without_a_machine():
    with pytest.raises(UserError, match=r"board host has no \[qemu\] table"):
        run_qemu(FakeArchive(), some_inputs(1), machine="host")


@pytest.mark.parametrize("present", [(), ("qemu-system-arm",)])
def test_missing_tools(monkeypatch, tmp_path, present):
    for tool in present:
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = (
        "^arm-none-eabi-gcc is not on PATH.*apt install gcc-arm-none-eabi libnewlib-arm-none-eabi"
        if present
        else "^qemu-system-arm is not on PATH.*apt install qemu-system-arm"
    )
    with pytest.raises(UserError, match=wanted):
        run_qemu(FakeArchive(), some_inputs(1))
