"""Where the tests find real models, and the skip when they are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real models and their expected outputs, beside the team's checkouts."""
    folder = Path(os.environ.get("DERO_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no folder of real models at {folder} (set DERO_SHARED to one)")
    return folder
