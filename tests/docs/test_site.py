"""The documentation builds as a site: every page has its place, every link and anchor leads on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(
    not (find_spec("mkdocs") and find_spec("material")),
    reason="mkdocs-material is not installed: pip install -e '.[docs]'",
)
LOADED = re.compile(r'<(?:script|img|iframe)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"')


def test_strict_build(tmp_path: Path) -> None:
    """`--strict` makes errors of warnings: pages outside the navigation, broken links, anchors."""
    # Not --quiet: it hides the warnings from --strict.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(tmp_path / "site")],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs").glob("*.md"):
        html = (tmp_path / "site" / page.with_suffix(".html").name).read_text()
        for address in map("".join, LOADED.findall(html)):
            assert not re.match("(https?:)?//", address), f"{page.name} needs a network: {address}"
