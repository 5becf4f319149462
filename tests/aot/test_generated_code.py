"""The generated C in an application: hostile names, caller's memory, several regions, no heap."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import dero_tvm
from dero_tvm.boards.board import Board, Ram
from dero_tvm.runners.port_tables import port_tables
from tests.compiled.models import compiled
from tests.models.tiny_models import model_of, residual

STRICT = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wpedantic")
X = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype("float32")


def need(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"not installed: {tool}")
    return path


def build(archive, folder: Path, *command: str) -> None:
    """Compile the archive's sources with `command`, which must not even warn."""
    archive.extract_c(folder)
    for source in archive.c_sources():
        done = subprocess.run(
            [*command, "-c", source, "-o", f"{source}.o"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[:2000]


@pytest.fixture(scope="module")
def archives():
    options = {
        "none": {"dero": "none"},
        "accumulate": {"dero": "accumulate"},
        "stream": {"dero": "stream"},
        "external": {"dero": "stream", "external_io": True},
    }
    return {key: compiled("residual", **given).archive for key, given in options.items()}


def test_no_heap_and_no_tvm_header(archives):
    for archive in archives.values():
        text = "".join(data.decode() for data in archive.c_sources().values())
        includes = {line for line in text.splitlines() if line.startswith("#include")}
        assert includes <= {
            '#include "tvmgen_default.h"',
            "#include TVMGEN_PROFILE_HEADER",  # the application's, if it asks for a profile
            *(f"#include <{name}.h>" for name in ("math", "stdbool", "stddef", "stdint", "string")),
        }
        assert "alloc(" not in text


HOSTILE = {
    "image": 'quote " and \\ and */ int x; /*\n#error "line"\n',
    "scores": "größe\u202e\x1b[31m?" + "??/" * 5,
    "inner": ("int", "a" * 10_000, "NULL", "'; return 1;//"),
}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_hostile_names(compiler, tmp_path):
    model = dero_tvm.compile(residual(**HOSTILE), dero="stream")
    build(model.archive, tmp_path, need(compiler), *STRICT)
    assert model.archive.inputs[0].name == HOSTILE["image"]
    outputs = model.run({HOSTILE["image"]: X}, device="host-c")
    expected = compiled("residual").run({"image": X})["scores"]
    np.testing.assert_allclose(outputs[HOSTILE["scores"]], expected, rtol=1e-5, atol=1e-6)


def test_names_that_meet_in_upper_case_or_with_the_workspace(tmp_path):
    names = ["x", "X", "workspace", "class", "INT8_MAX"]
    nodes = [
        helper.make_node("Add", ["x", "X"], ["a"]),
        helper.make_node("Add", ["a", "workspace"], ["b"]),
        helper.make_node("Add", ["b", "class"], ["c"]),
        helper.make_node("Add", ["c", "INT8_MAX"], ["x_"]),
    ]
    # One of another size, so that macros of one name would contradict each other.
    shapes = dict.fromkeys(names, (1, 4)) | {"workspace": (1, 1)}
    model = dero_tvm.compile(model_of(nodes, shapes, {"x_": (1, 4)}))
    build(model.archive, tmp_path, need("gcc"), *STRICT)
    rng = np.random.default_rng(1)
    inputs = {n: rng.standard_normal(s).astype("float32") for n, s in shapes.items()}
    outputs = model.run(inputs, device="host-c")
    np.testing.assert_allclose(outputs["x_"], sum(inputs[n] for n in names), rtol=1e-5)


@pytest.mark.parametrize("external_io", [False, True])
def test_a_network_without_inputs(external_io, tmp_path):
    nodes = [helper.make_node("Constant", [], ["k"], value_floats=[-1.0, 2.0])]
    network = model_of([*nodes, helper.make_node("Relu", ["k"], ["y"])], {}, {"y": (2,)})
    model = dero_tvm.compile(network, external_io=external_io)
    build(model.archive, tmp_path, need("gcc"), *STRICT)
    assert model.run({}, device="host-c")["y"].tolist() == [0, 2]
    for protocol in (False, True):
        assert "{\n}" not in port_tables(model.archive, "network", named=protocol)


def test_several_regions_and_caller_workspace(tmp_path):
    gcc = need("gcc")
    board = Board(
        "two",
        "Two small regions",
        "host",
        (),
        frozenset(),
        16,
        "this test",
        ram=(
            # The first also has the stack, for which the compiler leaves 8 KiB.
            Ram("fast", 0x20000000, 8192 + 1100, ".bss", "this test"),
            Ram("slow", 0x60000000, 65536, ".bss.slow", "this test"),
        ),
    )
    model = dero_tvm.compile(residual(), target=board, dero="none")
    sizes = model.archive.arena_bytes
    assert set(sizes) == {"fast", "slow"}
    assert sizes["fast"] <= 1100
    header = model.archive.c_headers()["tvmgen_default.h"].decode()
    total = sum(sizes.values())
    assert f"#define TVMGEN_DEFAULT_WORKSPACE_SIZE {total}" in header
    model.archive.extract_c(tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "tvmgen_default.h"\n#include <stdio.h>\n'
        "uint8_t tvmgen_default_workspace_fast[TVMGEN_DEFAULT_WORKSPACE_FAST_BYTES]\n"
        "    __attribute__((aligned(TVMGEN_DEFAULT_WORKSPACE_ALIGNMENT)));\n"
        "uint8_t tvmgen_default_workspace_slow[TVMGEN_DEFAULT_WORKSPACE_SLOW_BYTES]\n"
        "    __attribute__((aligned(TVMGEN_DEFAULT_WORKSPACE_ALIGNMENT)));\n"
        "static float image[TVMGEN_DEFAULT_IMAGE_SIZE / 4];\n"
        "static float scores[TVMGEN_DEFAULT_SCORES_SIZE / 4];\n"
        "int main(void) {\n"
        "  struct tvmgen_default_inputs inputs = {.image = image};\n"
        "  struct tvmgen_default_outputs outputs = {.scores = scores};\n"
        "  if (fread(image, 4, sizeof image / 4, stdin) != sizeof image / 4) return 2;\n"
        "  if (tvmgen_default_run(&inputs, &outputs) != 0) return 1;\n"
        "  fwrite(scores, 4, sizeof scores / 4, stdout);\n"
        "  inputs.image = 0;\n"
        "  return tvmgen_default_run(&inputs, &outputs) == -1 ? 0 : 3;\n"
        "}\n"
    )
    sources = ["main.c", *model.archive.c_sources()]
    command = [gcc, *STRICT, "-DTVMGEN_DEFAULT_CALLER_WORKSPACE", *sources, "-lm", "-o", "run"]
    subprocess.run(command, cwd=tmp_path, check=True)
    # Without the macro the library defines the arenas, each in its region's section.
    subprocess.run([gcc, *STRICT, "-c", "default_lib0.c"], cwd=tmp_path, check=True)
    data = (tmp_path / "default_lib0.o").read_bytes()
    assert b".bss.slow" in data
    assert b".bss.fast" not in data
    done = subprocess.run([tmp_path / "run"], input=X.tobytes(), capture_output=True, check=True)
    result = np.frombuffer(done.stdout, "float32").reshape(1, 4, 8, 8)
    expected = compiled("residual").run({"image": X})["scores"]
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
