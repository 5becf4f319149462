"""What is written, where it cannot be, and that nothing half-written stays."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import stat
from contextlib import contextmanager

import numpy as np
import pytest

from dero_tvm.boundary.atomic_write import staged_write, write_atomically
from dero_tvm.boundary.errors import UserError


@contextmanager
def files_at_most(size: int):
    """Like a full disk: a write beyond `size` bytes of a file fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_places_that_cannot_be_written(refused, model_file, tmp_path):
    nowhere = tmp_path / "missing" / "model.tar"
    message = refused("compile", model_file, "-o", nowhere)
    assert message == f"{nowhere}: the folder {nowhere.parent} does not exist; make it first"
    message = refused("compile", model_file, "-o", tmp_path)
    assert message == f"{tmp_path}: is a folder; give the name of a file"
    file = tmp_path / "file"
    file.write_text("precious")
    message = refused("compile", model_file, "--output-format", "c", "-o", file)
    assert message == f"{file}: --output-format c writes a folder, but this is a file"
    message = refused("compile", model_file, "-o", file / "model.tar")
    assert "does not exist" in message
    message = refused("compile", model_file, "--report", nowhere)
    assert str(nowhere) in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_write_protected_folder(refused, model_file, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in refused("compile", model_file, "-o", tmp_path / "model.tar")


def test_one_file_for_two_purposes(refused, model_file, tmp_path):
    output = tmp_path / "out"
    message = refused("compile", model_file, "-o", model_file)
    assert message.startswith("MODEL and --output are the same file")
    message = refused("compile", model_file, "-o", output, "--report", output)
    assert message.startswith("--output and --report are the same file")


@pytest.mark.parametrize("output_format", ["mlf", "c"])
def test_full_disk(refused, model_file, tmp_path, output_format):
    output = tmp_path / "out"
    with files_at_most(2000):
        message = refused(
            "compile",
            model_file,
            *("--output-format", output_format, "-o", output),
            *("--report", tmp_path / "report.json"),
        )
    assert "cannot be written (File too large)" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_full_device(refused, model_file):
    message = refused("compile", model_file, "-q", "-o", "/dev/full")
    assert message == "/dev/full: cannot be written (No space left on device)"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_existing_file_survives_a_failure(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), staged_write(path, b"new"):
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with files_at_most(10), pytest.raises(UserError, match="file: cannot be written"):
        write_atomically(path, bytes(100))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_file_is_an_ordinary_one(tmp_path):
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"data")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_symbolic_link_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_long_file_name(tmp_path):
    path = tmp_path / ("x" * 251 + ".tar")
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


def test_c_folder(run, model_file, tmp_path):
    folder = tmp_path / "generated"
    for _ in range(2):  # into a folder that is there already, too
        result = run("compile", model_file, "--output-format", "c", "-q", "-o", folder)
        assert result.exit_code == 0, result.output
        names = ["default_lib0.c", "default_lib1.c", "tvmgen_default.h"]
        assert sorted(path.name for path in folder.iterdir()) == names
        (folder / "default_lib0.c").write_text("stale")
        (folder / "default_lib0.c").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["generated"]


def test_shared_library(run, model_file, archive_file, tmp_path):
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        pytest.skip("not installed: a C compiler (cc, gcc or clang)")
    library = tmp_path / "model.so"
    result = run("compile", model_file, "--dero", "--output-format", "so", "-q", "-o", library)
    assert result.exit_code == 0, result.output
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype("float32")
    y = np.zeros_like(x)

    class Pointers(ctypes.Structure):
        _fields_ = [("pointer", ctypes.c_void_p)]

    inputs, outputs = Pointers(x.ctypes.data), Pointers(y.ctypes.data)
    model = ctypes.CDLL(str(library))
    assert model.tvmgen_default_run(ctypes.byref(inputs), ctypes.byref(outputs)) == 0

    np.savez(tmp_path / "x.npz", image=x)
    run("run", archive_file, "--inputs", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    expected = np.load(tmp_path / "y.npz")["scores"]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    inputs.pointer = None
    assert model.tvmgen_default_run(ctypes.byref(inputs), ctypes.byref(outputs)) == -1


def test_shared_library_without_a_compiler(refused, model_file, tmp_path):
    library = tmp_path / "model.so"
    message = refused(
        "compile", model_file, "--output-format", "so", "-o", library, env={"PATH": ""}
    )
    assert message.startswith(
        "--output-format so needs a C compiler: cc or gcc or clang is not on PATH: install it"
    )


def test_report_file(run, model_file, archive_file, tmp_path):
    path = tmp_path / "report.json"
    result = run("compile", model_file, "--dero", "-q", "--report", path)
    assert (result.exit_code, result.output) == (0, "")
    from_archive = run("report", archive_file, "--json")
    assert json.loads(path.read_text()) == json.loads(from_archive.stdout)
    assert run("report", path).stdout == run("report", archive_file).stdout


def test_names_of_written_files_are_shown(run, model_file, tmp_path):
    path = tmp_path / "[bold]odd.tar"
    result = run("compile", model_file, "-o", path)
    assert f"wrote {path}" in "".join(result.stdout.split("\n"))


def test_places_for_the_modules_of_passes(refused, run, model_file, tmp_path):
    nowhere = tmp_path / "missing" / "ir"
    message = refused("compile", model_file, "--dump-ir", nowhere)
    assert message == f"{nowhere}: the folder {nowhere.parent} does not exist; make it first"
    file = tmp_path / "file"
    file.write_text("precious")
    message = refused("compile", model_file, "--dump-ir", file)
    assert message == f"{file}: --dump-ir writes a folder, but this is a file"
    message = refused("compile", model_file, "--dump-ir", tmp_path)
    assert message == (
        f"{tmp_path}: --dump-ir did not write what is in this folder (file); give a new or an "
        "empty one"
    )
    folder = tmp_path / "ir"
    shown = run("compile", model_file, "--dero", "--dump-ir", folder).stdout
    assert " ".join(shown.split()).endswith(f"wrote {folder}")  # in one line or two
    with files_at_most(1000):
        assert "cannot be written" in run("compile", model_file, "--dump-ir", folder).stderr
    assert all(len(path.read_bytes()) for path in folder.rglob("*.py"))
