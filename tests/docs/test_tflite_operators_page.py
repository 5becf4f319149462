"""The page of TFLite's operators is what the importer says."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "tflite-operators.md"


def test_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "tflite-operators"), "--check"]
    assert subprocess.run(command).returncode == 0, "scripts/tflite-operators writes it anew"


def test_what_small_networks_have_is_not_refused() -> None:
    """Where TensorFlow Lite Micro has the type itself."""
    rows = re.findall(r"^\| \*\*(\w+)\*\* \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 80
    for name, floats, integers in rows:
        assert "refused" not in floats, name
        assert "refused" not in integers or "as TensorFlow Lite Micro does" in integers, name
