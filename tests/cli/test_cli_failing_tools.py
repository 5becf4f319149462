"""Compilers and emulators that fail, hang or are killed, full disks, and signals.

Nothing half-written stays behind, and no process.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dero_tvm.cli.failure import Terminated
from tests.cli.default_signals import default_signals

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "dero_tvm.cli.main", *map(str, words)]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """`tool(name, script)` puts a program of that name before all others on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return make


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def library(run, model_file, tmp_path):
    """What ``--output-format so`` does where the C compiler fails."""
    result = run("compile", model_file, "--output-format", "so", "-q", "-o", tmp_path / "m.so")
    assert result.exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]
    return result.stderr.splitlines()


def test_compiler_that_fails_shows_what_it_said(tool, run, model_file, tmp_path):
    tool("cc", "echo 'model.c:7:1: error: expected a biscuit' >&2; echo '  7 | int' >&2; exit 1")
    assert library(run, model_file, tmp_path) == [
        "model.c:7:1: error: expected a biscuit",
        "  7 | int",
        "tvmc: error: cc refused the generated code: model.c:7:1: error: expected a biscuit",
    ]


@pytest.mark.parametrize(
    "script",
    [
        "kill -KILL $$",
        "echo 'cc: fatal error: Killed signal terminated program cc1' >&2; exit 1",
    ],
)
def test_compiler_that_is_killed(tool, run, model_file, tmp_path, script):
    tool("cc", script)
    last = library(run, model_file, tmp_path)[-1]
    assert last == "tvmc: error: cc was killed (Killed), as when memory runs out"


@pytest.fixture
def emulator(tool, tmp_path):
    """An emulator that hangs, as does a program that it starts; the file with their numbers."""
    pids = tmp_path / "pids"
    tool("qemu-system-arm", f"sleep 1000 & echo $$ $! > {pids}; echo booting; wait")
    tool("arm-none-eabi-gcc", "exit 0")
    return pids


def test_emulator_that_hangs(emulator, run, archive_file, monkeypatch):
    from dero_tvm.runners import qemu

    image = qemu.Image(program=Path("p"), model_objects=[])
    monkeypatch.setattr(qemu, "build_image", lambda *_, **__: image)
    result = run("run", archive_file, "--device", "qemu:mps2-an500", "--time-limit", "0.5")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "booting",
        "tvmc: error: qemu-system-arm ran longer than 0.5 s and was stopped; allow it more "
        "(--time-limit) if the model needs it",
    ]
    wait_until(lambda: not any(running(int(pid)) for pid in emulator.read_text().split()))


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_signal_while_a_tool_runs(tool, archive_file, tmp_path, number, status, message):
    pids, temporary = tmp_path / "pids", tmp_path / "tmp"
    temporary.mkdir()
    tool("cc", f"sleep 1000 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait")
    process = subprocess.Popen(
        command("run", archive_file, "--device", "host-c", "-o", tmp_path / "out.npz"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "PATH": os.environ["PATH"], "TMPDIR": str(temporary)},
        preexec_fn=default_signals,
    )
    wait_until(pids.exists)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (status, "", f"tvmc: error: {message}\n")
    wait_until(lambda: not any(running(int(pid)) for pid in pids.read_text().split()))
    assert not list(temporary.iterdir())
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (Terminated(signal.SIGTERM), 143, "ended by SIGTERM"),
    ],
)
def test_signal_while_a_pass_runs(refused, model_file, monkeypatch, error, status, message):
    """Passes are run by C++, which knows Python's errors by their names alone."""

    def signalled(*_):
        raise error

    monkeypatch.setattr("relax_passes.streaming.stream_rows._flat", signalled)
    assert refused("compile", model_file, "--dero", "-q", status=status) == message


def test_largest_file_is_too_small(model_file, tmp_path):
    """The system refuses to write on, in the middle of an archive."""
    target = tmp_path / "out" / "model.tar"
    target.parent.mkdir()
    done = subprocess.run(
        command("compile", model_file, "-q", "-o", target),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"tvmc: error: {target}: cannot be written")
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("output_format", ["mlf", "c"])
def test_full_disk(model_file, tmp_path, output_format):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a small disk")
    try:
        target = disk / "model"
        done = subprocess.run(
            command("compile", model_file, "-q", "--output-format", output_format, "-o", target),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
        )
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("tvmc: error: ")
        assert "No space left on device" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)
