"""Arrays and literals hold, after a C compiler, exactly the values they were made of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.aot.c_constants import c_type, definition, words_of
from dero_tvm.aot.standard_headers import standard_headers
from dero_tvm.kernels.float_literals import float_literal
from tests.random_cases import cases

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
FLOATS = ("float32", "float64")


def extremes(dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.array([[True, False], [False, True]])
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        return np.array([info.min, info.min + 1, 0, 1, info.max - 1, info.max], dtype)
    info = np.finfo(dtype)
    tiny = info.smallest_subnormal
    values = [0.0, -0.0, 1 / 3, -1e-5, info.max, info.min, info.tiny, tiny, -tiny, 16777217.0]
    return np.array([*values, 1e22, np.inf, -np.inf, np.nan], dtype)


def bytes_in_c(array: np.ndarray, folder: Path, compiler: str) -> bytes:
    """What a C program writes that holds `array`."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = definition("values", array)
    lines = ["#include <stdint.h>", "#include <stdio.h>", *standard_headers(source), source]
    lines.append("int main(void) { return fwrite(values, sizeof values, 1, stdout) != 1; }")
    (folder / "values.c").write_text("\n".join([*lines, ""]))
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    program = str(folder / "values")
    command = [compiler, "-std=c11", *warnings, str(folder / "values.c"), "-o", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return subprocess.run([program], capture_output=True, check=True).stdout


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool"])
def test_extremes_come_back(dtype: str, compiler: str, tmp_path: Path) -> None:
    array = extremes(dtype)
    found = np.frombuffer(bytes_in_c(array, tmp_path, compiler), dtype).reshape(array.shape)
    np.testing.assert_array_equal(found, array)
    if dtype in FLOATS:
        np.testing.assert_array_equal(np.signbit(found[:-1]), np.signbit(array[:-1]))


@pytest.mark.parametrize("dtype", FLOATS)
def test_random_bits_come_back(dtype: str, tmp_path: Path) -> None:
    itemsize = np.dtype(dtype).itemsize
    array = np.frombuffer(np.random.default_rng(0).bytes(4000 * itemsize), dtype)
    array = array[~np.isnan(array)]
    assert bytes_in_c(array, tmp_path, "gcc") == array.tobytes()


def test_an_empty_constant_is_an_array_of_one(tmp_path: Path) -> None:
    assert bytes_in_c(np.zeros(0, "int16"), tmp_path, "gcc") == bytes(2)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_lines_are_short(dtype: str) -> None:
    array = np.repeat(extremes(dtype), 20)
    assert max(map(len, definition("values", array).splitlines())) <= 100
    assert c_type(dtype) in definition("values", array)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool"])
def test_headers_are_found_without_reading_all_values(dtype: str) -> None:
    zeros = np.zeros(1000, dtype)
    for array in (extremes(dtype), extremes(dtype)[-1:], zeros):
        found = standard_headers(words_of("values", array))
        assert found == standard_headers(definition("values", array))
    assert len(words_of("values", zeros)) < 100


@pytest.mark.parametrize("dtype", FLOATS)
def test_values_of_many_pieces_are_written_like_one(dtype: str) -> None:
    rng = np.random.default_rng(0)
    bits = np.frombuffer(rng.bytes(20_161 * np.dtype(dtype).itemsize), dtype)
    small = (rng.integers(-2000, 2000, 20_161) / 16).astype(dtype)  # many of them whole
    for array in (np.concatenate([bits, extremes(dtype)]), small):
        text = definition("values", array).split("{")[1].removesuffix("};")
        found = text.replace(",", " ").split()
        assert found == [float_literal(value, dtype) for value in array.tolist()]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@cases()
def test_float32_literals_are_float_and_exact(value: float) -> None:
    text = float_literal(value, "float32")
    assert text.endswith("f") and any(c in text for c in ".e")
    assert np.float32(text.removesuffix("f")).tobytes() == np.float32(value).tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
@cases()
def test_float64_literals_are_double_and_exact(value: float) -> None:
    text = float_literal(value, "float64")
    assert any(c in text for c in ".e")
    assert np.float64(text).tobytes() == np.float64(value).tobytes()
