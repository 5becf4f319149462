"""The command line as a process of its own: signals, statuses, streams, what it imports."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from onnx import helper

from tests.cli.default_signals import default_signals
from tests.models.tiny_models import model_of, save

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "dero_tvm.cli.main", *map(str, words)]


def tvmc(*words: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), capture_output=True, text=True, env=ENVIRONMENT, **options
    )


@pytest.mark.parametrize("words", [("--help",), ("boards",), ("compile", "--help")])
def test_what_needs_no_tvm_does_not_import_it(words):
    program = (
        "import sys; from dero_tvm.cli.main import tvmc\n"
        "try: tvmc(sys.argv[1:])\n"
        "finally: print('tvm' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"


def test_tvm_starts_without_pytorch_which_can_still_be_imported():
    """And without SciPy, which only bounds on rows need."""
    pytest.importorskip("torch")
    program = (
        "import sys; from dero_tvm.cli.start_tvm import start_tvm\n"
        "start_tvm('model.tflite'); import dero_tvm.driver.compiler\n"
        "print(*(name in sys.modules for name in ('tvm', 'torch', 'scipy'))); import torch\n"
        "print(torch.zeros(1).numpy())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout.split("\n")[:2] == ["True False False", "[0.]"], done.stderr


def test_report_needs_no_tvm(archive_file):
    program = "import sys; sys.modules['tvm'] = None; from dero_tvm.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "report", str(archive_file)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert "steps" in done.stdout


def test_reports_import_no_planner():
    program = "import sys, dero_tvm.report; print('dero_tvm.planning' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_status_and_streams(model_file, tmp_path):
    missing = tvmc("compile", tmp_path / "missing.onnx", "-o", tmp_path / "m.tar")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == f"tvmc: error: {tmp_path / 'missing.onnx'} does not exist\n"
    misused = tvmc("compile")
    assert (misused.returncode, misused.stdout) == (2, "")
    assert misused.stderr == (
        "tvmc: error: Missing argument 'MODEL' (tvmc compile --help lists all)\n"
    )


def test_tvm_adds_nothing_to_stderr(tmp_path):
    """TVM's C++ code warns about a gather's out-of-bounds indices."""
    import numpy as np

    node = helper.make_node("GatherElements", ["x", "k"], ["y"], axis=1)
    model = model_of([node], {"x": (1, 8)}, {"y": (1, 2)}, {"k": np.array([[0, 3]])})
    path = save(model, tmp_path / "gather.onnx")
    done = tvmc("compile", path, "-o", tmp_path / "gather.tar")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote" in done.stdout


def test_interrupt(model_file, tmp_path):
    # The model comes through a pipe that stays open, so the compiler waits for it for ever.
    pipe = tmp_path / "model.onnx"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        command("compile", pipe, "-o", tmp_path / "model.tar"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        preexec_fn=default_signals,
    )
    with pipe.open("wb"):  # waits until the compiler reads
        # On a busy machine a signal may come just before the system call that it should interrupt.
        for _ in range(20):
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, errors = process.communicate(timeout=5)
                break
    assert (process.returncode, output, errors) == (130, b"", b"tvmc: error: interrupted\n")
    assert list(tmp_path.iterdir()) == [pipe]


def test_reader_that_has_enough(archive_file):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command("report", archive_file), stdout=write, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


class TestInternalErrors:
    @pytest.fixture
    def broken(self, monkeypatch):
        import dero_tvm.cli.run as module

        def run(*_arguments, **_options):
            raise IndexError("list index out of range\nsecond line")

        monkeypatch.setattr(module, "run", run)

    def test_one_line(self, broken, refused, archive_file):
        message = refused("run", archive_file, status=70)
        assert message == (
            "internal error: IndexError: list index out of range; please report it as a bug, "
            "with the model and the traceback (which tvmc prints with --debug)"
        )

    @pytest.mark.parametrize("words", [["--debug"], []])
    def test_traceback_on_request(self, broken, run, archive_file, words):
        environment = {} if words else {"TVMC_DEBUG": "1"}
        result = run("run", archive_file, *words, env=environment)
        assert result.exit_code == 70
        assert "Traceback (most recent call last)" in result.stderr
        assert 'raise IndexError("list index' in result.stderr
        assert result.stderr.splitlines()[-1].startswith("tvmc: error: internal error")

    def test_errors_of_tvm_have_no_backtrace(self, refused, archive_file, monkeypatch):
        import dero_tvm.cli.run as module

        def run(*_arguments, **_options):
            import tvm

            tvm.ir.load_json("{")

        monkeypatch.setattr(module, "run", run)
        message = refused("run", archive_file, status=70)
        assert "internal error" in message
        assert ".cc" not in message
        assert "File " not in message

    def test_memory_and_disk(self, refused, archive_file, monkeypatch):
        import dero_tvm.cli.run as module

        for error, expected in (
            (MemoryError(), "this machine has not enough memory for the model"),
            (OSError(28, "No space left on device", "/tmp/x"), "/tmp/x: No space left on device"),
        ):

            def run(*_arguments, error=error, **_options):
                raise error

            monkeypatch.setattr(module, "run", run)
            assert refused("run", archive_file).startswith(expected)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_streams_that_are_closed(closed: str) -> None:
    """As a daemon or cron may start a program."""
    line = f"{shlex.join(command('boards'))} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("mps2-an500" in done.stdout) == (closed != ">&-")
