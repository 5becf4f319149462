"""Long lines of generated C, broken where a reader would break them.

    call(aaaa, bbbb + cccc, dddd);   ->   call(aaaa, bbbb + cccc,
                                              dddd);

A line is broken at the space after a comma or before an operator, at the outermost parentheses
that have one within the width, as late as possible, and continued with a deeper indentation.
"""

from __future__ import annotations

import re

WIDTH = 100
_CONTINUATION = "    "
_BREAK = re.compile(r"(?<=,) | (?=(?:\+|-|\*|/|%|<<|>>|<=|>=|==|!=|<|>|&&|\|\||&|\||\^|\?|:) )")


def wrap_code(code: str) -> str:
    """`code` with no line of statements longer than `WIDTH` where it has a place to break.

    Comments and preprocessor lines are left alone.
    """
    return "\n".join(_wrap(line) for line in code.split("\n"))


def _wrap(line: str) -> str:
    text = line.lstrip(" ")
    if len(line) <= WIDTH or text.startswith(("/*", "*", "#", "//")):
        return line
    indent = line[: len(line) - len(text)]
    lines = []
    while len(indent) + len(text) > WIDTH:
        place = _break(text, WIDTH - len(indent))
        if place is None:
            break
        head, text = text[:place].rstrip(), text[place:].lstrip()
        lines.append(indent + head)
        if len(lines) == 1:
            indent += _CONTINUATION
    return "\n".join([*lines, indent + text])


def _break(text: str, width: int) -> int | None:
    """Where to break `text`: the outermost and then the last place before `width`."""
    first, found = None, []
    for match in _BREAK.finditer(text, 1):
        place = match.start()
        first = place if first is None else first
        if place > width:
            break
        # A line that ends near its beginning is no better than a long one.
        if place > width // 4:
            found.append(place)
    if not found:
        return first
    depths = _depths(text[: found[-1] + 1])
    return min(found, key=lambda place: (depths[place], -place))


def _depths(text: str) -> list[int]:
    """Number of brackets open before each character."""
    depths, depth = [], 0
    for character in text:
        depths.append(depth)
        depth += (character in "([") - (character in ")]")
    return depths
