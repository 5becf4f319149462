"""How much stack a program can take: of small C programs, of what objdump prints, and of models."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from test_qemu import needs_tools, some_inputs

import dero_tvm
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import run_qemu
from dero_tvm.runners.stack_bound import NoBound, StackBound, _functions, stack_bound
from tests.runners.fake_archive import FakeArchive
from tests.tiny_models import model_of

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "models" / "digits_int8.onnx"
needs_gcc = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="not installed: arm-none-eabi-gcc"
)


def bound(folder: Path, code: str, callbacks: str = "") -> StackBound:
    """Of the function `root` of a program without a library."""
    flags = ["-mcpu=cortex-m7", "-mthumb", "-O2", "-fstack-usage", "-ffreestanding"]
    (folder / "main.c").write_text(f"#define APART __attribute__((noinline))\n{code}")
    (folder / "callbacks.c").write_text(callbacks)
    for name in ("main", "callbacks"):
        command = ["arm-none-eabi-gcc", *flags, "-c", f"{name}.c", "-o", f"{name}.o"]
        subprocess.run(command, cwd=folder, check=True)
    link = ["arm-none-eabi-gcc", *flags, "main.o", "callbacks.o", "-nostdlib", "-Wl,-e,root"]
    subprocess.run([*link, "-o", "program"], cwd=folder, check=True)
    listed = folder / "callbacks.su"
    return stack_bound(folder / "program", "root", listed if callbacks else None)


@needs_gcc
def test_deepest_of_two_paths(tmp_path: Path) -> None:
    code = """
    APART void leaf(volatile char *p) { volatile char a[40]; a[0] = *p; *p = a[0]; }
    APART void wide(volatile char *p) { volatile char a[200]; a[0] = *p; *p = a[0]; }
    APART void middle(volatile char *p) { volatile char a[24]; leaf(p); *p = a[0]; }
    void root(volatile char *p) { middle(p); wide(p); *p = 1; }
    """
    found = bound(tmp_path, code)
    assert [name for name, _ in found.path] == ["root", "wide"]
    assert found.bytes == sum(frame for _, frame in found.path)
    assert 200 + 8 <= found.bytes <= 200 + 8 + 16


@needs_gcc
def test_recursion_has_no_bound(tmp_path: Path) -> None:
    code = """
    int odd(int);
    APART int even(int n) { volatile int k = n; return k ? odd(k - 1) + 1 : 1; }
    APART int odd(int n) { volatile int k = n; return k ? even(k - 1) + 1 : 0; }
    int root(int n) { return even(n) + 1; }
    """
    with pytest.raises(NoBound, match=r"there is recursion: (even -> odd|odd -> even)"):
        bound(tmp_path, code)


@needs_gcc
def test_frame_of_a_computed_size(tmp_path: Path) -> None:
    code = "void root(int n, volatile char *p) { volatile char a[n]; a[0] = *p; *p = a[0]; }"
    with pytest.raises(NoBound, match=r"root has a frame of no fixed size \(dynamic\)"):
        bound(tmp_path, code)


@needs_gcc
def test_calls_by_pointer(tmp_path: Path) -> None:
    code = "int root(int (*f)(int), int n) { return f(n) + f(n + 1); }"
    with pytest.raises(NoBound, match="root calls by a pointer"):
        bound(tmp_path, code)
    given = "int one(int n) { volatile int a[30]; a[0] = n; return a[0]; }"
    found = bound(tmp_path, code, callbacks=given)
    assert [name for name, _ in found.path] == ["root", "one"]
    assert found.bytes >= 120 + 8


LISTING = """
00000040 <first>:
      40:\tpush\t{r4, r5, lr}
      42:\tvpush\t{d8-d10}
      44:\tstr.w\tr0, [sp, #-8]!
      46:\tsub\tsp, #20
      48:\titt\tne
      4a:\tblne\t80 <second>
      4c:\tbeq.n\t44 <first+0x4>
      4e:\tldr.w\tpc, [sp], #8
      50:\t.word\t0x00000000

00000080 <second>:
      80:\tstmdb\tsp!, {r3, lr}
      82:\tbl\t60 <__far_veneer>

00000090 <third>:
      90:\tsub.w\tsp, sp, r3
      94:\tbx\tr3

000000a0 <__far_veneer>:
      a0:\tldr.w\tpc, [pc, #0]\t@ a4 <__far_veneer+0x4>
"""


def test_what_objdump_prints() -> None:
    functions = _functions(LISTING)
    first, second, third, veneer = functions.values()
    assert (first.frame, first.calls, first.ends) == (12 + 24 + 8 + 20, {"second"}, True)
    assert (second.frame, second.calls, second.ends) == (8, {"__far_veneer"}, False)
    assert second.next == "third"
    assert third.moves_pointer and third.calls_by_pointer
    assert veneer.calls == {"far"} and not veneer.calls_by_pointer


@needs_tools
@pytest.mark.parametrize("machine", ["mps2-an385", "mps2-an500", "mps3-an547"])
def test_a_known_use(machine: str) -> None:
    body = "volatile uint8_t array[1000]; array[0] = 1; arena[70] = array[0];"
    result = run_qemu(FakeArchive(body=body), some_inputs(1), machine=machine)
    assert result.stack_bound is not None and result.stack_bytes is not None
    # The array's bytes keep the paint that tells how deep the stack went: but for one.
    assert 1000 < result.stack_bytes <= result.stack_bound.bytes < 1200


def functions_of_the_library() -> onnx.ModelProto:
    names = ["Sigmoid", "Tanh", "Erf", "Exp", "Sin", "Softmax"]
    tensors = ["x", *map(str.lower, names)]
    nodes = [helper.make_node(n, [a], [b]) for n, a, b in zip(names, tensors, tensors[1:])]
    return model_of(nodes, {"x": (1, 20)}, {tensors[-1]: (1, 20)})


@needs_tools
@pytest.mark.parametrize(
    ("board", "model", "mode"),
    [
        ("mps2-an500", DIGITS, "none"),
        ("mps2-an500", DIGITS, "stream"),
        ("mps3-an547", DIGITS, "stream"),
        ("mps2-an385", functions_of_the_library(), "stream"),  # no floating-point unit
    ],
)
def test_models_stay_below_their_bound(board: str, model: object, mode: str) -> None:
    archive = dero_tvm.compile(model, target=board, dero=mode).archive
    result = run_qemu(
        archive, [random_inputs(archive.inputs, np.random.default_rng(0))], machine=board
    )
    assert result.stack_bound is not None and result.stack_bytes is not None
    assert 0 < result.stack_bytes <= result.stack_bound.bytes
    assert f"tvmgen_{archive.name}_run" in dict(result.stack_bound.path)
