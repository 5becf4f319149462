"""The part of a documentation page that a benchmark writes."""

from __future__ import annotations

import re


def with_part(page: str, name: str, text: str) -> str:
    """The page with `text` between the marks ``<!-- NAME: begin -->`` and ``... end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"(?<={re.escape(begin)}\n).*(?={re.escape(end)})", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"the page has no place for the tables: {begin} ... {end}")
    return pattern.sub(lambda _: f"{text}\n", page)
