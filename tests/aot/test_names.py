"""C identifiers and comments for names that a model file may hold."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
