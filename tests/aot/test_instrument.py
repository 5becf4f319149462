"""``-DTVMGEN_CHECK`` and ``-DTVMGEN_PROFILE``: what they find, and what they cost if left out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_header import two_regions

import dero_tvm
from dero_tvm.aot import ModelArchive
from dero_tvm.runners import RunError, run_host_c, run_qemu
from dero_tvm.runners.result import equal_outputs
from tests.aot.networks import int8_block
from tests.compiled.models import compiled

STRICT = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"),
)
CHECK, PROFILE = "-DTVMGEN_CHECK=1", "-DTVMGEN_PROFILE=TVMGEN_DWT"
QEMU = ("arm-none-eabi-gcc", "qemu-system-arm")
IMAGE = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype("float32")


def need(*tools: str) -> str:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return tools[0]


@pytest.fixture(scope="module")
def archives() -> dict[str, ModelArchive]:
    rows = {"input_layout": "nhwc", "stream_input": True}
    return {
        "inside": compiled("residual", dero="accumulate").archive,
        "external": compiled("residual", external_io=True).archive,
        "no arena": dero_tvm.compile(
            dero_tvm.load(int8_block()), dero="none", external_io=True
        ).archive,
        "rows": compiled("spatial residual", **rows).archive,
        "two": two_regions().archive,
    }


def changed(archive: ModelArchive, change: Callable[[str], str]) -> ModelArchive:
    """The archive with another source of its steps."""
    path = f"codegen/host/src/{archive.name}_lib1.c"
    text = change(archive.files[path].decode())
    return ModelArchive({**archive.files, path: text.encode()})


def overrun(text: str) -> str:
    """The last step also writes the byte behind the arena."""
    heads = list(re.finditer(r"static void step_\d+_\w+\(void\) \{\n", text))
    end = heads[-1].end()
    line = (
        "  uint8_t *volatile arena = tvmgen_default_workspace;\n"  # or gcc itself would see it
        "  arena[TVMGEN_DEFAULT_WORKSPACE_SIZE] ^= 0x55;\n"
    )
    return text[:end] + line + text[end:]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_compiles_without_warnings(archives, compiler: str, tmp_path: Path) -> None:
    tool = need(compiler)
    for key, archive in archives.items():
        archive.extract_c(tmp_path / key)
        sources = list(archive.c_sources())
        hook = "-DTVMGEN_CHECK_FAILED=hook"
        for flags in ([CHECK], [CHECK, hook, PROFILE], [PROFILE]):
            command = [tool, *STRICT, *flags, "-fsyntax-only", *sources]
            done = subprocess.run(command, cwd=tmp_path / key, capture_output=True, text=True)
            assert done.returncode == 0, (key, flags, done.stderr)


def test_left_out_it_costs_nothing(archives, tmp_path: Path) -> None:
    """The same object files as without the macros, byte by byte."""
    gcc = need("gcc")

    def objects(archive: ModelArchive, folder: Path) -> bytes:
        archive.extract_c(folder)
        source = f"{archive.name}_lib1.c"
        subprocess.run([gcc, "-std=c11", "-O2", "-c", source], cwd=folder, check=True)
        return (folder / source).with_suffix(".o").read_bytes()

    for key, archive in archives.items():
        bare = changed(
            archive, lambda text: re.sub(r"\n *TVMGEN_(BEGIN|END|LAP)\(\d+\);", "", text)
        )
        assert bare.files != archive.files
        assert objects(archive, tmp_path / key) == objects(bare, tmp_path / f"{key} bare")


def test_the_same_results_with_checks(archives) -> None:
    need("gcc")
    rng = np.random.default_rng(1)
    for key, archive in archives.items():
        (spec,) = archive.inputs
        values = rng.integers(-100, 100, (2, *spec.shape)).astype(spec.dtype)
        inputs = [{spec.name: one} for one in values]
        plain = run_host_c(archive, inputs)
        for copy_io in (False, True) if key == "inside" else (False,):
            checked = run_host_c(archive, inputs, flags=[CHECK], copy_io=copy_io)
            assert equal_outputs(plain, checked), key
            assert checked.guard_ok


def test_an_overrun_is_found(archives) -> None:
    need("gcc")
    broken = changed(archives["inside"], overrun)
    inputs = [{"image": IMAGE}]
    assert not run_host_c(broken, inputs).guard_ok, "the runner's own guards see it too"
    with pytest.raises(RunError, match=r"tvmgen_default_run returned -3 at inference 0"):
        run_host_c(broken, inputs, flags=[CHECK])


def test_on_an_emulated_board(archives) -> None:
    need(*QEMU)
    archive, inputs = archives["inside"], [{"image": IMAGE}] * 2
    plain = run_qemu(archive, inputs, machine="mps2-an386")
    checked = run_qemu(archive, inputs, machine="mps2-an386", flags=[CHECK])
    assert equal_outputs(plain, checked)
    with pytest.raises(RunError, match=r"tvmgen_default_run returned -3 at inference 0"):
        run_qemu(changed(archive, overrun), inputs, machine="mps2-an386", flags=[CHECK])


MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "tvmgen_default.h"

void hook(const char *what, const char *where);
void hook(const char *what, const char *where) { printf("%s: %s\\n", where, what); }

static struct tvmgen_default_inputs inputs;
static struct tvmgen_default_outputs outputs;
static float image[TVMGEN_DEFAULT_IMAGE_SIZE / 4];

static void expect(const char *what, int32_t status) {
  const int32_t result = tvmgen_default_run(&inputs, &outputs);
  printf("%s %d\\n", what, (int)result);
  if (result != status) exit(1);
  tvmgen_default_map_io(&inputs, &outputs);
}

int main(void) {
  if (tvmgen_default_run(NULL, &outputs) != -1 || tvmgen_default_run(&inputs, NULL) != -1) return 1;
  expect("missing", -1);
  expect("mapped", 0);
  inputs.image = image;
  expect("copied", 0);
  inputs.image = (uint8_t *)inputs.image + 4;
  expect("astray", -2);
  ((uint8_t *)inputs.image)[-1] ^= 1; /* the image is at the arena's start */
  expect("overflow", -3);
  expect("afterwards", 0);
  return 0;
}
"""


def test_a_hook_of_the_application(archives, tmp_path: Path) -> None:
    gcc = need("gcc")
    archive = archives["inside"]
    (spec,) = archive.details["inputs"]
    archive.extract_c(tmp_path)
    at_start = f"- {spec['offset']}" if spec["offset"] else ""
    (tmp_path / "main.c").write_text(MAIN.replace("[-1]", f"[-1 {at_start}]"))
    flags = [CHECK, "-DTVMGEN_CHECK_FAILED=hook"]
    sources = ["main.c", *archive.c_sources()]
    subprocess.run(
        [gcc, "-std=c11", "-g", "-Wall", *flags, *sources, "-lm", "-o", "run"],
        cwd=tmp_path,
        check=True,
    )
    done = subprocess.run([tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [
        "missing -1",
        "mapped 0",
        "copied 0",
        "arguments: a pointer leads into the arena, but not to its tensor",
        "astray -2",
        "before the run: a guard around the arena was overwritten",
        "overflow -3",
        "afterwards 0",
    ]


def test_alignment_in_the_callers_memory(archives, tmp_path: Path) -> None:
    gcc = need("gcc")
    archive = archives["external"]
    archive.extract_c(tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "tvmgen_default.h"\n'
        "static _Alignas(16) uint8_t x[TVMGEN_DEFAULT_IMAGE_SIZE + 1];\n"
        "static _Alignas(16) uint8_t y[TVMGEN_DEFAULT_SCORES_SIZE];\n"
        "int main(void) {\n"
        "  struct tvmgen_default_inputs inputs = {x};\n"
        "  struct tvmgen_default_outputs outputs = {y};\n"
        "  if (tvmgen_default_run(&inputs, &outputs) != 0) return 1;\n"
        "  inputs.image = x + 1;\n"
        "  return tvmgen_default_run(&inputs, &outputs) == -2 ? 0 : 2;\n"
        "}\n"
    )
    command = [gcc, "-std=c11", "-Wall", CHECK, "main.c", *archive.c_sources(), "-lm", "-o", "run"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "run"]).returncode == 0


def test_profile_on_the_host(archives) -> None:
    need("gcc")
    archive = archives["two"]
    inputs = [{"x": np.ones((1, 4, 4, 4), "float32")}] * 3
    profile = run_host_c(archive, inputs, profile=True).profile
    assert profile is not None and profile.unit == "ns"
    assert [len(one) for one in profile.ticks] == [len(archive.steps)] * 3
    assert all(tick < 10**7 for one in profile.ticks for tick in one), "less than a second"
    assert run_host_c(archive, inputs).profile is None


def test_profile_on_an_emulated_board(archives) -> None:
    """Steps are counted apart, the same in every inference, and are nearly all of it."""
    need(*QEMU)
    archive, inputs = archives["inside"], [{"image": IMAGE}] * 2
    result = run_qemu(archive, inputs, machine="mps2-an386", profile=True)
    bare = run_qemu(archive, inputs, machine="mps2-an386")
    profile, counted = result.profile, result.instructions
    assert profile is not None and counted is not None and bare.instructions is not None
    assert profile.unit == "instructions" and profile.resolution == 40
    means = profile.means()
    assert len(means) == len(archive.steps) == len(archive.report["steps"])
    assert 0.98 * counted[0] < sum(means) <= counted[0]
    # Without the marks between steps the compiler joins them in another way.
    assert abs(counted[0] - bare.instructions[0]) < 0.1 * bare.instructions[0]
    convolutions = [
        mean for mean, step in zip(means, archive.report["steps"]) if "conv2d" in step["operators"]
    ]
    assert sum(convolutions) > 0.8 * sum(means)
