"""The code in the pages of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The content of a page's fenced blocks in one language."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fence.findall(page.read_text())


def pages_with(language: str) -> list[Path]:
    """The pages that have such blocks."""
    return [page for page in PAGES if blocks(page, language)]
