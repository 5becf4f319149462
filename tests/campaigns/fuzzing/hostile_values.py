"""Names and numbers that a careless reader trips over."""

from __future__ import annotations

import random

NAMES = [
    "",
    'a"b',
    "a'b`c$(touch pwned)",
    "line\nbreak\r\n#error injected",
    "*/ int injected; /*",
    "// \\",
    '""" + exit(1) + """',
    "../../etc/passwd",
    "/etc/passwd",
    "a\\b",
    "nul\0byte",
    "%s%n%x%d",
    "{0.__class__}",
    "what??/",
    "<script>alert(1)</script>",
    "]]>&amp;",
    "int",
    "tvmgen_default_run",
    "\u202egnp.c",
    "\x1b[2Jcleared",
    "x" * 10_000,
    "\U0001f600",
]

SIZES = [
    0,
    -1,
    -2,
    1,
    2,
    3,
    7,
    255,
    65_536,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    (1 << 63) - 1,
    -(1 << 31),
    -(1 << 63),
]

FLOATS = [0.0, -0.0, -1.0, 1e-45, 1e-30, 1e30, float("inf"), float("-inf"), float("nan")]


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """`data` cut off, with some bits flipped, or with pieces moved, repeated or overwritten."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        if not changed:
            break
        at = rng.randrange(len(changed))
        length = rng.choice([1, 2, 4, 8, 64])
        match rng.randrange(6):
            case 0:
                del changed[at:]
            case 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                piece = rng.choice([b"\xff", b"\0", b"\x7f", b"\x80"])
                changed[at : at + length] = piece * len(changed[at : at + length])
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = rng.randbytes(length)
            case 5:
                source = rng.randrange(len(changed))
                changed[at : at + length] = changed[source : source + length]
    return bytes(changed)
