"""The hand-written model of the runners' tests, and projects around it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "runners"))

from dero_tvm.boards.board import load_board
from dero_tvm.projects import create_project
from tests.runners.fake_archive import FakeArchive


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """`project("zephyr", "nrf52840dk")`: the folder of a project around the fake model."""

    def make(kind: str, board: str, archive: FakeArchive | None = None) -> Path:
        folder = tmp_path / "app"
        create_project(kind, folder, archive or FakeArchive(), load_board(board))
        return folder

    return make
