"""Floating-point constants of generated C at full precision.

TVM's C generator prints seven significant digits, which tells neither all float32 values apart
nor any two close float64 values.  The exact values stand in the text of the lowered function, so
each literal is replaced by the value that prints like it.
"""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
from tvm import tirx

_VALUE = re.compile(r"T\.float(32|64)\((-?[0-9][^)]*)\)")
_LITERAL = re.compile(r"(?<![\w.])-?\d\.\d{6}e[+-]\d{2,3}f?")


def with_exact_literals(body: str, function: tirx.PrimFunc) -> str:
    """`body`, the C text of the lowered `function`, with every float literal exact.

    Raises RuntimeError if values that print alike cannot be told apart.
    """
    values: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for bits, text in _VALUE.findall(function.script(show_meta=False)):
        value = float(text)
        values[f"{value:.6e}"].append((value, bits))
    found: dict[str, int] = defaultdict(int)
    texts = _LITERAL.findall(body)

    def exact(match: re.Match[str]) -> str:
        text = match[0].removesuffix("f")
        candidates = values.get(text)
        if candidates is None and text.startswith("-"):
            # A subtraction of a positive constant may have been printed as its negative.
            candidates = [(-value, bits) for value, bits in values.get(text[1:], [])]
        if not candidates:
            raise RuntimeError(
                f"TVM's C generator wrote {match[0]}, which the kernel does not have"
            )
        if len({value for value, _ in candidates}) > 1:
            occurrences = sum(t.removesuffix("f") == text for t in texts)
            if occurrences != len(candidates):
                raise RuntimeError(f"two constants of a kernel both print as {match[0]}")
            position = found[text]
            found[text] += 1
            return c_literal(*candidates[position])
        return c_literal(*candidates[0])

    return _LITERAL.sub(exact, body)


def c_literal(value: float, bits: str) -> str:
    """A C literal that reads back as `value`, with as few digits as that takes."""
    text = str(np.float32(value)) if bits == "32" else repr(float(value))
    if not any(c in text for c in ".e"):
        text += ".0"
    return f"{text}f" if bits == "32" else text
