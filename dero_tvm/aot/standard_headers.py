"""Which headers of the C library a generated file needs."""

from __future__ import annotations

import re

_MATH = (
    "exp exp2 exp10 expm1 log log2 log10 log1p pow sqrt cbrt hypot erf sin cos tan asin acos atan "
    "atan2 sinh cosh tanh asinh acosh atanh floor ceil trunc round rint nearbyint fabs fmod fmin "
    "fma fmax ldexp copysign nextafter"
)
_HEADERS = {
    "math.h": rf"\b(?:{'|'.join(_MATH.split())})f?\(|\bis(?:nan|inf|finite)\(|\b(?:INFINITY|NAN)\b",
    "stdbool.h": r"\b(?:bool|true|false)\b",
    "stddef.h": r"\bNULL\b",
    "string.h": r"\bmem(?:cpy|set|move)\(",
}
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def standard_headers(code: str) -> list[str]:
    """``#include`` lines for what occurs in `code`; stdint.h comes with the model's header.

    Comments do not count: formulas in them name functions, and a math library that nothing calls
    makes Zephyr choose a larger C library.
    """
    code = _COMMENT.sub("", code)
    return [f"#include <{name}>" for name, use in _HEADERS.items() if re.search(use, code)]
