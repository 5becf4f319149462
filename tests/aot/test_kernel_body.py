"""What is changed in the text of TVM's C, and what must stay."""

from __future__ import annotations

import pytest

from dero_tvm.aot.c_layout import wrap_code
from dero_tvm.aot.kernel_body import aliases_in, tidy_body


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # pointers into scratch
        (
            "  float* t = ((float*)((float*)(&(scratch[240]))));\n  t[0] = 1.0f;",
            "  tvmgen_float32 *t = (tvmgen_float32 *)&scratch[240];\n  t[0] = 1.0f;",
        ),
        # scalars, unless the name is taken or the array is passed on
        ("  int32_t acc_ptr[1];\n  acc_ptr[0] = x;", "  int32_t acc;\n  acc = x;"),
        ("  int32_t x_ptr[1];\n  x_ptr[0] = x;", "  int32_t x_ptr[1];\n  x_ptr[0] = x;"),
        ("  int32_t a_ptr[1];\n  f(a_ptr);", "  int32_t a_ptr[1];\n  f(a_ptr);"),
        ("  int32_t a_ptr[2];\n  a_ptr[0] = 1;", "  int32_t a_ptr[2];\n  a_ptr[0] = 1;"),
        # parentheses
        ("  a[(i + 1)] = (b * c);", "  a[i + 1] = b * c;"),
        ("  a[((i * 2) + 1)] = ((int8_t)b);", "  a[(i * 2) + 1] = (int8_t)b;"),
        ("  a[0] = (b + c) * (d + e);", "  a[0] = (b + c) * (d + e);"),
        ("  a[0] = (int8_t)(b) + c;", "  a[0] = (int8_t)(b) + c;"),
        ("  a[0] = expf(((float)b));", "  a[0] = expf((float)b);"),
        ("  a[0] = expf((float)b);", "  a[0] = expf((float)b);"),
        ("  if ((bool)b) {", "  if ((bool)b) {"),
        ("  if ((a < b) && (c < d)) {", "  if ((a < b) && (c < d)) {"),
        ("  a[0] = (v_) > (-128) ? (v_) : (-128);", "  a[0] = v_ > -128 ? v_ : -128;"),
        ("  #pragma unroll 1\n  while (1) {", "  while (1) {"),
        # integers
        ("  a[0] = (int64_t)-3000000000;", "  a[0] = -INT64_C(3000000000);"),
        ("  a[0] = (int64_t)31;", "  a[0] = (int64_t)31;"),
        ("  a[0] = (uint32_t)4294967295;", "  a[0] = UINT32_C(4294967295);"),
        ("  a[0] = (int64_t)(-9223372036854775807LL - 1LL);", "  a[0] = INT64_MIN;"),
        ("  a[0] = -2147483648;", "  a[0] = INT32_MIN;"),
        ("  a[0] = b - 2147483648;", "  a[0] = b - 2147483648;"),
        # numbers too small for a float, and those that are not
        ("  a[0] = b + 1e-50f * c;", "  a[0] = b + 0.0f * c;"),
        ("  a[0] = b + 3.3018726660976238e-140f;", "  a[0] = b + 0.0f;"),
        ("  a[0] = b * 1e-42f + 2.5e-40f + 1e-300;", "  a[0] = b * 1e-42f + 2.5e-40f + 1e-300;"),
        # variables without a reader, one after the other, and blocks that held nothing else
        ("  int32_t a = b;\n  int32_t c = a;\n  d[0] = 1;", "  d[0] = 1;"),
        ("  int32_t a_ptr[1];\n  a_ptr[0] = x;\n  d[0] = 1;", "  d[0] = 1;"),
        ("  int32_t a;\n  if ((b < 1)) {\n    a = b;\n  }\n  d[0] = 1;", "  d[0] = 1;"),
        ("  int32_t a;\n  a = b;\n  d[0] = a;\n", "  int32_t a;\n  a = b;\n  d[0] = a;\n"),
        ("  for (int32_t __1 = 0; __1 < 2; ++__1) {", None),
    ],
)
def test_tidy(before: str, after: str | None) -> None:
    expected = (
        "  for (int32_t repeat_1 = 0; repeat_1 < 2; ++repeat_1) {" if after is None else after
    )
    assert tidy_body(before) == expected
    assert tidy_body(expected) == expected


def test_types_in_use() -> None:
    code = "tvmgen_float32 *a; const tvmgen_int8 *b; tvmgen_default_int16(c); tvmgen_lut int64_t"
    assert aliases_in(code) == {"float32", "int8"}


def test_short_lines_comments_and_macros_stay() -> None:
    long = "x" * 60
    code = f"/* {long}, {long} */\n * {long}, {long}\n#define A {long}, {long}\n  f({long}, 1);"
    assert wrap_code(code) == code


def test_a_call_is_broken_between_its_arguments() -> None:
    name = "a" * 30
    code = f"  call({name} + 1, (const int *)({name} + 2), {name} * 3, 4);"
    assert wrap_code(code) == (
        f"  call({name} + 1, (const int *)({name} + 2),\n      {name} * 3, 4);"
    )


def test_an_expression_is_broken_at_its_outermost_operator() -> None:
    name = "a" * 24
    code = f"  x = (({name} + {name}) * {name}) + ({name} - {name});"
    assert wrap_code(code) == (f"  x = (({name} + {name}) * {name})\n      + ({name} - {name});")


def test_a_line_without_a_place_to_break_stays() -> None:
    code = f"  {'x' * 120};"
    assert wrap_code(code) == code
