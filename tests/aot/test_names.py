"""C identifiers and comments for names that a model file may hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import dero_tvm
from dero_tvm.aot.names import c_comment, c_identifier, c_identifiers
from tests.random_cases import cases

HOSTILE = [
    "",
    "int",
    "class",
    "NULL",
    "true",
    "main",
    "__reserved",
    "_Bool",
    "1st",
    "serving_default_input:0",
    "a b",
    "a\nb",
    "a*/ system(); /*",
    '"; #include "/etc/passwd',
    "ümläut",
    "名前",
    "\u202eabc",
    "\\",
    "x" * 500,
    "x" * 499 + "y",
    "Input",
    "input",
    "INPUT",
    "??/",
    "INT8_MAX",
    "INT32_C",
    "M_PI",
]


@given(st.lists(st.text() | st.sampled_from(HOSTILE), max_size=30))
@cases()
def test_identifiers_are_valid_and_distinct_even_in_capitals(names: list[str]) -> None:
    found = c_identifiers(names)
    assert len(found) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in found)
    assert all(len(name) <= 63 and "__" not in name for name in found)
    assert len({name.upper() for name in found}) == len(found)


def test_a_plain_name_stays() -> None:
    assert c_identifier("input_1") == "input_1"
    assert c_identifiers(["conv", "conv", "Conv"]) == ["conv", "conv_1", "Conv_2"]


@pytest.mark.parametrize("language", ["c", "c++"])
def test_compilers_take_hostile_names_as_members(language: str) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    names = c_identifiers(HOSTILE)
    comments = [c_comment(name) for name in HOSTILE]
    includes = "".join(f"#include <{h}.h>\n" for h in ("math", "stdbool", "stddef", "stdint"))
    members = "".join(f"void *{n}; /* {c} */\n" for n, c in zip(names, comments))
    macros = "".join(f"#define SIZE_OF_{name.upper()} 1\n" for name in names)
    done = subprocess.run(
        [compiler, "-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-"],
        input=f"{includes}{macros}struct s {{\n{members}}};\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@given(st.text())
@cases()
def test_a_comment_cannot_be_left(text: str) -> None:
    comment = c_comment(text)
    assert re.fullmatch(r"[ -~]*", comment)
    assert "*/" not in comment and "/*" not in comment and "\\" not in comment


HEADERS = ["complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale"]
HEADERS += ["math", "setjmp", "signal", "stdalign", "stdarg", "stdbool", "stddef", "stdint"]
HEADERS += ["stdio", "stdlib", "stdnoreturn", "string", "tgmath", "time", "wchar"]


def relus(names: list[str], **options: object) -> dero_tvm.CompiledModel:
    """A network with a rectifier from each name to the next."""
    nodes, inputs, outputs = [], [], []
    for source, result in zip(names[::2], names[1::2]):
        nodes.append(helper.make_node("Relu", [source], [result]))
        inputs.append(helper.make_tensor_value_info(source, 1, [1, 2, 4, 3]))
        outputs.append(helper.make_tensor_value_info(result, 1, [1, 2, 4, 3]))
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return dero_tvm.compile(model, **options)


def compile_c(model: dero_tvm.CompiledModel, folder: Path, *options: str) -> None:
    """Compile kernels and steps, with and without what is for debugging."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    model.archive.extract_c(folder)
    for debugging in ([], ["-DTVMGEN_CHECK=1", "-DTVMGEN_PROFILE=0u"]):
        command = [compiler, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        files = [str(folder / f"default_lib{number}.c") for number in (0, 1)]
        done = subprocess.run(
            [*command, *options, *debugging, *files], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("compiler", ["gcc", "clang", "arm-none-eabi-gcc"])
def test_no_identifier_is_a_macro(compiler: str, language: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    left_out = {"complex", "stdalign", "stdnoreturn", "tgmath"} if language == "c++" else set()
    includes = "".join(f"#include <{name}.h>\n" for name in HEADERS if name not in left_out)
    command = [compiler, "-x", language, "-D_GNU_SOURCE", "-dM", "-E", "-"]
    listed = subprocess.run(command, input=includes, capture_output=True, text=True, check=True)
    # Those with parameters do no harm to a name that stands before no parenthesis.
    macros = set(re.findall(r"#define (\w+)(?!\w|\()", listed.stdout))
    assert len(macros) > 500
    assert not macros & set(c_identifiers([*macros, *(name.strip("_") for name in macros)]))


def test_a_network_with_the_names_of_its_own_code(tmp_path: Path) -> None:
    plain = relus(["x", "y"])
    code = b"".join([*plain.archive.c_sources().values(), *plain.archive.c_headers().values()])
    code += b" tvmgen_default_x_size TVMGEN_DEFAULT_WORKSPACE TVMGEN_CHECK_FAILED"
    words = set(re.findall(r"[A-Za-z_]\w*", code.decode()))
    assert {"TVMGEN_CHECK", "TVMGEN_DEFAULT_STEPS", "tvmgen_default_workspace"} <= words
    names = sorted(word for word in words if "tvmgen" in word.lower())
    names += ["inputs", "outputs", "status", "memcpy", "row", "step_began", "DEFAULT", "x_size"]
    compile_c(relus(names[: len(names) // 2 * 2]), tmp_path)


def test_rows_of_ports_with_the_names_of_macros_with_parameters(tmp_path: Path) -> None:
    options = {"dero": "stream", "input_layout": "nhwc", "stream_input": True}
    weight = onnx.numpy_helper.from_array(np.ones((2, 2, 1, 1), "float32"), "w")
    node = helper.make_node("Conv", ["isnan", "w"], ["signbit"])
    port = [helper.make_tensor_value_info(name, 1, [1, 2, 4, 3]) for name in node.output]
    source = [helper.make_tensor_value_info("isnan", 1, [1, 2, 4, 3])]
    graph = helper.make_graph([node], "g", source, port, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    compile_c(dero_tvm.compile(model, **options), tmp_path, "-include", "math.h")


@pytest.mark.parametrize("name", ["check", "profile", "float32", "0", "_x", "begin", "may", "dwt"])
def test_module_names_that_generated_code_could_have(name: str, tmp_path: Path) -> None:
    model = relus(["size", "steps"], name=name)
    model.archive.save(tmp_path / "model.tar")
    archive = dero_tvm.load_archive(tmp_path / "model.tar")
    assert archive.name == name
    inputs = {"size": np.full((1, 2, 4, 3), -1, "float32")}
    result = dero_tvm.run(archive, [inputs], "host-c")
    assert not result.outputs[0]["steps"].any()
