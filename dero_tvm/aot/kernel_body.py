"""The bodies that TVM's C generator writes, made safe for an arena and easier to read.

All changes are to the text of one function body and keep its meaning:

- pointers become pointers to the ``may_alias`` types, because scratch memory holds values of
  different types in the same bytes;
- arrays of one element become scalars, and counters without a name get one;
- parentheses that change nothing, variables that nobody reads, and pragmas, which not every
  compiler knows, go;
- integers that an ``int`` or ``int32_t`` cannot hold are written with the macros of stdint.h;
- numbers too small for a ``float`` are zeros, which compilers would warn of.
"""

from __future__ import annotations

import re

import numpy as np

_TYPES = {
    "float": "float32",
    "double": "float64",
    "bool": "bool",
    **{f"{sign}int{bits}_t": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_TYPE = "|".join(_TYPES)

_POINTER = re.compile(rf"\b({_TYPE}) ?\*+(?!\*)")
_SCRATCH = re.compile(r"\((\(\w+ \*\))\(\1\(&\((\w+\[[^\[\]]*\])\)\)\)\)")
_DECLARATION = re.compile(r"^ *(?:const )?\w+ (\w+)(?: = [^;{}]*)?;\n", re.MULTILINE)
_EMPTY_BLOCK = re.compile(r"^ *(?:if|for) \([^\n]*\) \{\n *\}\n", re.MULTILINE)
_PRAGMA = re.compile(r"^ *#pragma .*\n", re.MULTILINE)
_SINGLE = re.compile(rf"^ *(?:{_TYPE}) (\w+)_ptr\[1\];$", re.MULTILINE)
_OPERAND = re.compile(r"\((\w+)\) ([<>]) \((-?\w+)\) \? \(\1\) : \(\3\)")
_ANONYMOUS = re.compile(r"\b__(\d+)\b")
_CAST = re.compile(
    rf"(?<!\w)(?<!\bif )(?<!\bwhile )\((\((?:{_TYPE})\)-?\w+(?:\[[^\[\]()]*\])?)\)(?!\[)"
)
_WIDE = re.compile(r"\((u?)int(32|64)_t\)(-?)(\d{10,})\b")
_TINY = re.compile(r"\b\d+(?:\.\d+)?e-\d{2,}f\b")
_LEAST_INT32 = re.compile(r"(?<!\w)-2147483648\b")
_LEAST_INT64 = "(int64_t)(-9223372036854775807LL - 1LL)"


def alias(dtype: str) -> str:
    """Name of the ``may_alias`` type for elements of `dtype`."""
    return f"tvmgen_{dtype}"


def aliases_in(code: str) -> set[str]:
    """The element types whose ``may_alias`` types occur in `code`."""
    return set(re.findall(rf"\btvmgen_({'|'.join(_TYPES.values())})\b", code))


def tidy_body(body: str) -> str:
    """`body`, ``{ ... }``, of a function as TVM writes it, with the changes named above."""
    body = _POINTER.sub(lambda match: f"{alias(_TYPES[match[1]])} *", body)
    body = re.sub(r"(tvmgen_\w+) \* +(?=\w)", r"\1 *", body)
    body = _SCRATCH.sub(r"\1&\2", body)
    body = _without_unused(_scalars(_PRAGMA.sub("", body)))
    if "repeat_" not in body:  # names with two underscores are the compiler's
        body = _ANONYMOUS.sub(r"repeat_\1", body)
    body = _OPERAND.sub(r"\1 \2 \3 ? \1 : \3", body)
    body = _CAST.sub(r"\1", body)
    body = _TINY.sub(lambda match: match[0] if np.float32(match[0][:-1]) else "0.0f", body)
    body = _WIDE.sub(_wide_integer, body.replace(_LEAST_INT64, "INT64_MIN"))
    body = _LEAST_INT32.sub("INT32_MIN", body)
    return "\n".join(_without_parentheses(line) for line in body.split("\n"))


def _without_unused(body: str) -> str:
    """Drop variables without a reader, what is assigned to them, and blocks that this empties.

    Common subexpression elimination leaves some behind, and so does a loop without iterations.
    """
    while True:
        kept = body
        for name in dict.fromkeys(_DECLARATION.findall(body)):
            written = re.compile(
                rf"^ *(?:(?:const )?\w+ )?{name}(?: = [^;{{}}]*)?;\n", re.MULTILINE
            )
            rest = written.sub("", kept)
            if not re.search(rf"\b{name}\b", rest):
                kept = rest
        kept = _EMPTY_BLOCK.sub("", kept)
        if kept == body:
            return body
        body = kept


def _scalars(body: str) -> str:
    """``int32_t acc_ptr[1];`` becomes ``int32_t acc;`` if the name is free."""
    for short in _SINGLE.findall(body):
        array = f"{short}_ptr"
        uses = re.findall(rf"\b{array}\b(\[\w+\])?", body)
        if re.search(rf"\b{short}\b", body) or set(uses) != {"[0]", "[1]"}:
            continue
        if uses.count("[1]") == 1:  # the declaration
            body = re.sub(rf"\b{array}\[[01]\]", short, body)
    return body


def _wide_integer(literal: re.Match[str]) -> str:
    unsigned, bits, sign, digits = literal.groups()
    if int(digits) < 2**31:
        return literal[0]
    # The macro's argument has no sign of its own.
    return f"{sign}{unsigned.upper()}INT{bits}_C({digits})"


def _without_parentheses(line: str) -> str:
    """Drop a pair that holds all of an index, of an assigned value, or of another pair."""
    for opening, closing in (("[(", "]"), ("= (", ";"), ("((", ")")):
        start = 0
        while (place := line.find(opening, start)) >= 0:
            inner = place + len(opening) - 1
            end = _match(line, inner)
            if end is not None and line[end + 1 : end + 2] == closing:
                line = line[:inner] + line[inner + 1 : end] + line[end + 1 :]
            else:
                start = place + 1
    return line


def _match(line: str, opening: int) -> int | None:
    """Index of the parenthesis that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(line)):
        depth += (line[index] == "(") - (line[index] == ")")
        if depth == 0:
            return index
    return None
