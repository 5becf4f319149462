"""Text of unknown origin, made safe to show on a terminal."""

from __future__ import annotations


def printable(text: str, limit: int | None = None) -> str:
    """`text` on one line, with escapes for what a terminal would obey or cannot show.

    Names in a model file may hold anything: line breaks, control sequences, half characters.
    Beyond `limit` characters the middle is left out.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    if limit is None or len(shown) <= limit:
        return shown
    half = (limit - 3) // 2
    return f"{shown[:half]}...{shown[-half:]}"
