from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.runners import RunError, run_host_c
from dero_tvm.runners.unpacked_archive import workspace_symbols
from tests.runners.fake_archive import FakeArchive, expected_output, some_inputs

COMPILERS = [
    pytest.param(
        name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")
    )
    for name in ("gcc", "clang")
]
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def has_sanitizers(compiler: str) -> bool:
    """Whether a program with AddressSanitizer can be linked."""
    command = [compiler, "-fsanitize=address", "-x", "c", "-", "-o", "/dev/null"]
    code = "int main(void) { return 0; }"
    return subprocess.run(command, input=code, text=True, capture_output=True).returncode == 0


SANITIZING = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not shutil.which(name) or not has_sanitizers(name), reason=f"{name} has no sanitizers"
        ),
    )
    for name in ("gcc", "clang")
]


class WithHeader(FakeArchive):
    """A model whose header is another one."""

    def __init__(self, header: bytes) -> None:
        super().__init__()
        object.__setattr__(self, "header", header)

    def c_headers(self) -> dict[str, bytes]:
        return {"tvmgen_default.h": self.header}


pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("clang")), reason="there is no C compiler"
)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("copy_io", [False, True])
def test_outputs_of_each_inference(compiler, copy_io):
    inputs = some_inputs(3)
    result = run_host_c(FakeArchive(), inputs, compiler=compiler, copy_io=copy_io)
    for output, values in zip(result.outputs, inputs, strict=True):
        assert output.keys() == {"y"}
        assert output["y"].dtype == np.int32
        np.testing.assert_array_equal(output["y"], expected_output(values))
    assert result.guard_ok and result.guard_report == ""
    assert result.instructions is None and result.stack_bytes is None
    assert result.seconds > 0


def test_a_model_without_a_place_for_inputs_and_outputs():
    inputs = some_inputs(2)
    result = run_host_c(FakeArchive(external_io=True), inputs)
    np.testing.assert_array_equal(result.outputs[1]["y"], expected_output(inputs[1]))


def test_one_arena_of_a_board_with_several_regions():
    inputs = some_inputs(1)
    result = run_host_c(FakeArchive(suffix=True), inputs)
    np.testing.assert_array_equal(result.outputs[0]["y"], expected_output(inputs[0]))


def test_a_header_that_contradicts_the_metadata():
    with pytest.raises(RunError, match="header and metadata disagree") as caught:
        run_host_c(FakeArchive(x_bytes_in_header=9), some_inputs(1))
    assert "TVMGEN_DEFAULT_X_SIZE" in caught.value.details
    header = (
        FakeArchive(suffix=True)
        .c_headers()["tvmgen_default.h"]
        .replace(b"workspace_default", b"arena")
    )
    with pytest.raises(UserError, match="tvmgen_default.h declares no arena for 'default'"):
        workspace_symbols(WithHeader(header))


@pytest.mark.parametrize(
    ("index", "where"),
    [("71", "0 bytes behind its end"), ("-1", "1 before its start"), ("-64", "64 before")],
)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_byte_written_outside_the_arena_is_found(compiler, index, where):
    archive = FakeArchive(body=f"volatile int k = {index}; arena[k] = 0;")
    result = run_host_c(archive, some_inputs(1), compiler=compiler)
    assert not result.guard_ok
    assert where in result.guard_report
    assert "arena 'default' of 71 bytes" in result.guard_report


def test_the_last_byte_of_the_arena_may_be_written():
    archive = FakeArchive(body="volatile int k = 70; arena[k] = 0; arena[0] = 0;")
    assert run_host_c(archive, some_inputs(1)).guard_ok


def test_guards_of_every_region():
    archive = FakeArchive(
        body="volatile int k = 33; tvmgen_default_workspace_psram[k] = 0;",
        arena_bytes={"sram": 70, "psram": 33},
    )
    result = run_host_c(archive, some_inputs(2))
    assert "arena 'psram' of 33 bytes: 0 bytes behind" in result.guard_report


@pytest.mark.parametrize("compiler", SANITIZING)
@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ("volatile int k = 71; arena[k] = 0;", "(insufficient space|use-after-poison)"),
        ("volatile int k = -1; arena[k] = 0;", "use-after-poison"),
        ("volatile int32_t k = INT32_MAX; k = k + 1;", "signed integer overflow"),
        ("volatile int k = 1; *(int32_t*)(arena + k) = 0;", "misaligned address"),
    ],
)
def test_sanitizers_name_the_defect(body, finding, compiler):
    with pytest.raises(RunError, match=rf"sanitizer stopped .*{finding}"):
        run_host_c(FakeArchive(body=body), some_inputs(1), compiler=compiler, sanitize=True)


@needs_gcc
def test_sanitizers_accept_a_right_model():
    inputs = some_inputs(2)
    result = run_host_c(FakeArchive(), inputs, compiler="gcc", sanitize=True)
    np.testing.assert_array_equal(result.outputs[1]["y"], expected_output(inputs[1]))


def test_arena_holds_the_fill_byte_at_first():
    archive = FakeArchive(body="arena[32] = arena[70];")
    for fill in (0x11, 0xEE):
        output = run_host_c(archive, some_inputs(1), fill=fill).outputs[0]["y"]
        assert output.tobytes()[0] == fill


def test_warnings_are_errors():
    with pytest.raises(RunError, match=r"refused the generated code: .*lib1\.c.*unused") as caught:
        run_host_c(FakeArchive(body="int unused;"), some_inputs(1))
    assert "\n" not in str(caught.value)


def test_a_crash_is_reported():
    with pytest.raises(RunError, match="crashed with SIG(ILL|TRAP)"):
        run_host_c(FakeArchive(body="__builtin_trap();"), some_inputs(1))


def test_status_of_the_model_is_checked():
    with pytest.raises(RunError, match="tvmgen_default_run returned -3 at inference 0"):
        run_host_c(FakeArchive(status="-3"), some_inputs(1))


def test_a_hang_is_stopped():
    archive = FakeArchive(body="for (volatile int k = 1; k;) {}")
    with pytest.raises(RunError, match=r"ran longer than 0.5 s and was stopped"):
        run_host_c(archive, some_inputs(1), time_limit=0.5)


def test_missing_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"cc or gcc or clang is not on PATH.*apt install gcc"):
        run_host_c(FakeArchive(), some_inputs(1))
    with pytest.raises(UserError, match=r"^clang is not on PATH.*apt install clang"):
        run_host_c(FakeArchive(), some_inputs(1), compiler="clang")


@pytest.mark.skipif(
    not shutil.which("clang") or has_sanitizers("clang"), reason="clang has its sanitizers here"
)
def test_missing_sanitizers():
    with pytest.raises(UserError, match="clang has no sanitizer run-time library: install it"):
        run_host_c(FakeArchive(), some_inputs(1), compiler="clang", sanitize=True)


def test_inputs_must_be_those_of_the_model():
    (values,) = some_inputs(1)
    with pytest.raises(UserError, match="list of inputs is empty"):
        run_host_c(FakeArchive(), [])
    with pytest.raises(UserError, match=r"Inference 1 has inputs \['bias'\]"):
        run_host_c(FakeArchive(), [values, {"bias": values["bias"]}])
    with pytest.raises(UserError, match=r"input 'bias' is int64\(4,\).* takes int32\(4,\)"):
        run_host_c(FakeArchive(), [{**values, "bias": values["bias"].astype(np.int64)}])
    with pytest.raises(UserError, match=r"input 'bias' is int32\(1, 4\)"):
        run_host_c(FakeArchive(), [{**values, "bias": values["bias"][None]}])


@pytest.mark.skipif(not shutil.which("size"), reason="size (binutils) is not installed")
def test_sections_agree_with_binutils(tmp_path: Path):
    archive = FakeArchive(
        globals="static int counter = 5; static int zeros[8];",
        body="zeros[counter++ % 8] += arena[0];",
    )
    result = run_host_c(archive, some_inputs(1), keep=tmp_path)
    for sections, files in (
        (result.model_sections, sorted(tmp_path.glob("*.o"))),
        (result.image_sections, [tmp_path / "program"]),
    ):
        text, data, bss = berkeley_sizes("size", files)
        assert sections["text"] + sections["rodata"] == text
        assert (sections["data"], sections["bss"]) == (data, bss)
    assert result.model_sections["data"] == 4
    assert result.model_sections["bss"] == 32


def berkeley_sizes(tool: str, files: list[Path]) -> list[int]:
    """Text with read-only data, data, bss, added up over files."""
    lines = subprocess.run(
        [tool, "-B", *map(str, files)], check=True, capture_output=True, text=True
    ).stdout.splitlines()[1:]
    return [sum(int(line.split()[column]) for line in lines) for column in range(3)]
