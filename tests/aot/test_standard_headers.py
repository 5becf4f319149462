"""Which headers of the C library a generated file includes."""

from __future__ import annotations

import pytest

from dero_tvm.aot.standard_headers import standard_headers


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("y = floorf(x);", ["math.h"]),
        ("y = 1 /* as floor(x), true */ + 2; // round(x)\nint32_t round;", []),
        ("/* one */ y = rintf(x); /* two */", ["math.h"]),
        ("bool a = true; memcpy(b, NULL, 0);", ["stdbool.h", "stddef.h", "string.h"]),
    ],
)
def test_what_code_uses_and_comments_do_not(code: str, headers: list[str]) -> None:
    assert standard_headers(code) == [f"#include <{name}>" for name in headers]
