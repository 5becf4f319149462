"""Advice to install an extra fits how the package was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import dero_tvm
from dero_tvm.boundary import installation

ROOT = Path(__file__).resolve().parents[2]


class Installed:
    """A distribution with that record of its origin, or none."""

    def __init__(self, record: str | None) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.record


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (None, "pip install 'dero-tvm[plot]'"),
        ("not JSON", "pip install 'dero-tvm[plot]'"),
        ("[]", "pip install 'dero-tvm[plot]'"),
        (
            {"url": "file:///my%20code/dero", "dir_info": {"editable": True}},
            "pip install -e '/my code/dero[plot]'",
        ),
        ({"url": "file:///code/dero", "dir_info": {}}, "pip install '/code/dero[plot]'"),
        (
            {"url": "https://host/dero.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "pip install 'dero-tvm[plot] @ git+https://host/dero.git'",
        ),
        (
            {"url": "file:///tmp/dero_tvm-1-py3-none-any.whl", "archive_info": {}},
            "pip install 'dero-tvm[plot] @ file:///tmp/dero_tvm-1-py3-none-any.whl'",
        ),
    ],
)
def test_command(record: object, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = record if record is None or isinstance(record, str) else json.dumps(record)
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(text))
    assert installation.pip_install("plot") == command


def test_a_checkout_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    monkeypatch.setattr(metadata, "version", missing)
    assert installation.pip_install("plot") == f"pip install -e '{ROOT}[plot]'"
    assert installation.version() == "0+checkout"


def test_version_everywhere() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dero_tvm", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == f"tvmc, version {dero_tvm.__version__}\n"


def test_quickstart_without_python(tmp_path: Path) -> None:
    """One line that says what is missing."""
    for tool in ("dirname", "bash", "env"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    copy = tmp_path / "project"
    (copy / "scripts").mkdir(parents=True)
    for name in ("quickstart", "scripts/setup-python"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
        (copy / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/bash", str(copy / "quickstart")],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "Python 3.10 or newer is needed, as python3, which is not installed\n"
