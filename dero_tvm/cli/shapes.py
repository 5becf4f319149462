"""``--input-shapes "x:[1,3,32,32] y:[1,10]"``."""

from __future__ import annotations

import re

from dero_tvm.boundary.errors import UserError

_ENTRY = re.compile(r"\s*(?P<name>[^\[\]]+?)\s*:\s*\[(?P<shape>[\d\s,]*)\]\s*,?")


def parse_input_shapes(text: str | None) -> dict[str, tuple[int, ...]] | None:
    """Shapes by input name; None for None.  Names may contain colons."""
    if text is None:
        return None
    shapes: dict[str, tuple[int, ...]] = {}
    position = 0
    while position < len(text.rstrip()):
        match = _ENTRY.match(text, position)
        if match is None:
            raise UserError(
                f'--input-shapes {text!r}: expected entries like "x:[1,3,32,32]", separated by '
                "spaces"
            )
        words = [w.strip() for w in match["shape"].split(",") if w.strip()]
        if not all(word.isdigit() and int(word) > 0 for word in words):
            raise UserError(
                f"--input-shapes {text!r}: every dimension must be a positive whole number"
            )
        if match["name"] in shapes:
            raise UserError(f"--input-shapes {text!r}: gives {match['name']!r} two shapes")
        shapes[match["name"]] = tuple(int(word) for word in words)
        position = match.end()
    if not shapes:
        raise UserError('--input-shapes is empty: give entries like "x:[1,3,32,32]"')
    return shapes
