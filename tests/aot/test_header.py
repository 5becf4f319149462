"""The public header: C and C++, several regions, hostile and equal names."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tvm import relax

import dero_tvm
from dero_tvm.boards.board import Ram, load_board
from dero_tvm.boards.regions import STACK_RESERVE
from relax_passes.operators import make_call
from tests.aot.networks import int8_block, module_of


def two_regions() -> dero_tvm.CompiledModel:
    """A network whose first step needs both regions."""
    sizes = {"dtcm": STACK_RESERVE + 3200, "sram_2": 640}
    ram = tuple(Ram(name, 0, size, ".bss", "") for name, size in sizes.items())
    board = dataclasses.replace(load_board("host"), name="two", ram=ram)
    weight = relax.const(np.ones((4, 1, 1, 4), "float32"))
    bias = relax.const(np.zeros(4, "float32"))

    def body(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        y = builder.emit(relax.op.nn.attention(x, x, x))
        return make_call("conv2d", [y, weight, bias])

    return dero_tvm.compile(
        module_of((1, 4, 4, 4), "float32", body), target=board, dero="none", name="m"
    )


def compile_alone(language: str, text: str, folder: Path, *flags: str) -> None:
    tool = {"c": "gcc", "c++": "g++"}[language]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    command = [tool, "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{folder}"]
    done = subprocess.run(
        [*command, *flags, "-fsyntax-only", "-"], input=text, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("language", "standard"), [("c", "c11"), ("c++", "c++98")])
def test_two_regions_in_c_and_cpp(language: str, standard: str, tmp_path: Path) -> None:
    archive = two_regions().archive
    arenas = archive.arena_bytes
    assert list(arenas) == ["dtcm", "sram_2"] and all(arenas.values())
    archive.extract_c(tmp_path)
    flags = [f"-std={standard}"] + (["-Wno-long-long"] if language == "c++" else [])
    compile_alone(
        language,
        f"""#include "tvmgen_m.h"
#include "tvmgen_m.h"
int check[sizeof(tvmgen_m_workspace_dtcm) == {arenas["dtcm"]}
          && sizeof(tvmgen_m_workspace_sram_2) == {arenas["sram_2"]} ? 1 : -1];
int32_t use(void *data);
int32_t use(void *data) {{
  struct tvmgen_m_inputs inputs;
  struct tvmgen_m_outputs outputs;
  tvmgen_m_map_io(&inputs, &outputs);
  inputs.x = data;
  return tvmgen_m_run(&inputs, &outputs);
}}
""",
        tmp_path,
        *flags,
    )


def test_two_regions_compute_the_same() -> None:
    model = two_regions()
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 4)).astype("float32")
    expected = model.run({"x": x})["output"]
    np.testing.assert_allclose(model.run({"x": x}, "host-c")["output"], expected, rtol=1e-6)
    assert expected.std() > 0


def test_equal_and_hostile_port_names(tmp_path: Path) -> None:
    module = int8_block()
    loaded = dero_tvm.load(module)
    spec = loaded.inputs[0]._replace(name="class")
    result = loaded.outputs[0]._replace(name="Class */ #error")
    loaded = dataclasses.replace(loaded, inputs=(spec,), outputs=(result,))
    archive = dero_tvm.compile(loaded).archive
    archive.extract_c(tmp_path)
    compile_alone("c++", '#include "tvmgen_default.h"\n', tmp_path)
    names = [archive.inputs[0].c_name, archive.outputs[0].c_name]
    assert len({name.lower() for name in names}) == 2 and "class" not in names


def test_a_port_called_workspace_leaves_the_workspace_macro_alone() -> None:
    loaded = dero_tvm.load(int8_block())
    spec = loaded.inputs[0]._replace(name="workspace")
    result = loaded.outputs[0]._replace(name="workspace")
    loaded = dataclasses.replace(loaded, inputs=(spec,), outputs=(result,))
    (text,) = dero_tvm.compile(loaded).archive.c_headers().values()
    macros = re.findall(rb"#define (\w+_SIZE)", text)
    assert len(macros) == len(set(macros)) == 3
