"""One small model, its archive, and a way to call the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dero_tvm.cli.main import tvmc
from tests.tiny_models import residual, save

Tvmc = Callable[..., Result]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network of a few hundred bytes."""
    return save(residual(), tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def archive_file(model_file: Path) -> Path:
    """`model_file`, compiled with ``--dero``."""
    path = model_file.with_name("tiny.tar")
    CliRunner().invoke(tvmc, ["compile", str(model_file), "--dero", "-q", "-o", str(path)])
    assert path.is_file()
    return path


@pytest.fixture
def run() -> Tvmc:
    """`run("compile", path, ...)`: the result of that command line."""

    def invoke(*words: object, env: Mapping[str, str] | None = None) -> Result:
        return CliRunner().invoke(tvmc, [str(word) for word in words], env=env)

    return invoke


@pytest.fixture
def refused(run: Tvmc, tmp_path: Path) -> Callable[..., str]:
    """`refused("compile", ...)`: the one line of a command that fails and leaves nothing behind.

    Files below `tmp_path` are watched.
    """

    def invoke(*words: object, status: int = 1, env: Mapping[str, str] | None = None) -> str:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        result = run(*words, env=env)
        assert result.exit_code == status, (result.output, result.exception)
        assert result.stdout == ""
        assert result.stderr.startswith("tvmc: error: ")
        assert result.stderr.endswith("\n")
        assert result.stderr.count("\n") == 1, result.stderr
        assert "Traceback" not in result.stderr
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before
        return result.stderr.removeprefix("tvmc: error: ").removesuffix("\n")

    return invoke
