"""Equal inputs and equal versions give equal archives, whatever else differs."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import dero_tvm
from dero_tvm.aot.archive import load_archive
from tests.archive_digests import differences
from tests.tiny_models import residual, save

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "models" / "digits_int8.onnx"
OLDEST_TVM = ROOT / ".venv" / "oldest-tvm"

# What another machine would have otherwise: the order of sets, the processor's vector instructions
# in NumPy's and its BLAS's sums, the number of threads, language, time zone.
ANOTHER_MACHINE = {
    "PYTHONHASHSEED": "2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENBLAS_NUM_THREADS": "1",
    "TVM_NUM_THREADS": "1",
    "LC_ALL": "C",
    "TZ": "Asia/Kolkata",
}


def compiled(model: Path, output: Path, **environment: str) -> bytes:
    """The archive that a process of its own makes of a model."""
    command = [sys.executable, "-m", "dero_tvm.cli.main", "compile", "--quiet", str(model)]
    command += ["--dero", "stream", "--output", str(output)]
    search_path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(ROOT)]).strip(os.pathsep)
    everything = {**os.environ, "PYTHONHASHSEED": "1", **environment, "PYTHONPATH": search_path}
    subprocess.run(command, check=True, env=everything, timeout=300)
    return output.read_bytes()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Of a quantized network."""
    return compiled(DIGITS, tmp_path_factory.mktemp("digits") / "digits.tar")


def test_another_machine(archive, tmp_path):
    assert archive == compiled(DIGITS, tmp_path / "digits.tar", **ANOTHER_MACHINE)


def test_the_machine_that_wrote_the_digests():
    """Which is another one wherever this one did not write them."""
    assert not differences(), "after a wanted change: python -m tests.archive_digests --write"


def test_versions_in_the_metadata():
    metadata = dero_tvm.compile(residual()).archive.metadata
    versions = metadata["modules"]["default"]["dero"]["versions"]
    assert {"apache-tvm", "dero-tvm", "numpy", "onnx", "python"} <= versions.keys()
    assert versions["python"] == sys.version.split()[0]


def test_two_threads():
    """Compiled at the same time as others: the archive compiled alone."""
    networks = [residual(channels=channels) for channels in (3, 5)] * 2
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(archive_of, networks))
    assert together == [archive_of(network) for network in networks]


def tvm_version(archive):
    return archive.metadata["modules"]["default"]["dero"]["versions"]["apache-tvm"]


def archive_of(network):
    return dict(dero_tvm.compile(network, dero="stream").archive.files)


def test_two_processes(tmp_path):
    """Even into the same file, which is then one of the two, whole."""
    networks = [residual(channels=channels) for channels in (3, 5)]
    files = [save(network, tmp_path / f"{i}.onnx") for i, network in enumerate(networks)]
    output = tmp_path / "model.tar"
    with ThreadPoolExecutor(2) as processes:
        list(processes.map(lambda file: compiled(file, output), files))
    assert dict(load_archive(output).files) in [archive_of(file) for file in files]
    assert sorted(tmp_path.iterdir()) == sorted([*files, output])


@pytest.mark.skipif(not OLDEST_TVM.is_dir(), reason="scripts/oldest-tvm was not run")
def test_oldest_supported_tvm(archive, tmp_path):
    """It gives the C and the constants that the newest one does."""
    (tmp_path / "newest.tar").write_bytes(archive)
    compiled(DIGITS, tmp_path / "oldest.tar", PYTHONPATH=str(OLDEST_TVM))
    newest, oldest = (load_archive(tmp_path / f"{which}.tar") for which in ("newest", "oldest"))
    assert [*OLDEST_TVM.glob(f"apache_tvm-{tvm_version(oldest)}.dist-info")]
    assert tvm_version(oldest) != tvm_version(newest)
    assert oldest.files.keys() == newest.files.keys()
    for path, content in newest.files.items():
        if path != "metadata.json":
            assert oldest.files[path] == content, path
