"""The archive is what users of microTVM know: names, metadata, and the same bytes every time."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tvm

import dero_tvm
from dero_tvm.aot.archive import HOST_PROGRAM, ModelArchive, load_archive
from dero_tvm.aot.files import LazyFiles
from dero_tvm.boundary.errors import UserError
from tests.compiled.models import compiled
from tests.models.tiny_models import residual

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model():
    return compiled("residual", dero="accumulate")


@pytest.fixture(scope="module")
def module_metadata(model):
    return model.archive.metadata["modules"]["default"]


def test_files(model):
    assert sorted(model.archive.files) == [
        "codegen/host/include/tvmgen_default.h",
        "codegen/host/src/default_lib0.c",
        "codegen/host/src/default_lib1.c",
        "metadata.json",
        "parameters/default.params",
        "src/host_program.ll",
        "src/relax.txt",
    ]


def test_top_of_metadata(model, module_metadata):
    assert model.archive.metadata["version"] == 7
    assert list(model.archive.metadata["modules"]) == ["default"]
    assert module_metadata["executors"] == ["aot"]
    assert module_metadata["external_dependencies"] == []
    assert module_metadata["model_name"] == "default"
    assert module_metadata["style"] == "full-model"
    assert module_metadata["target"] == ["host"]
    assert module_metadata["export_datetime"] == "1980-01-01 00:00:00Z"


def test_memory_section(model, module_metadata):
    functions = module_metadata["memory"]["functions"]
    (main,) = functions["main"]
    tensor = 4 * 8 * 8 * 4  # bytes of float32
    weights = 2 * 4 * 4 * 3 * 3 * 4
    biases = 2 * 4 * 4  # none in the model; zeros, of which equal ones are kept once
    assert main["inputs"] == {"image": {"dtype": "float32", "size": tensor}}
    assert main["outputs"] == {"scores": {"dtype": "float32", "size": tensor}}
    assert main["io_size_bytes"] == 2 * tensor
    assert weights < main["constants_size_bytes"] <= weights + biases
    assert main["device"] == 1
    # microTVM's workspace is what an application gives besides inputs and outputs.
    inside = model.report.arena_bytes
    assert main["workspace_size_bytes"] == max(inside - 2 * tensor, 0)
    assert functions["operator_functions"]
    for function in functions["operator_functions"]:
        assert function["function_name"].startswith("tvmgen_default_")
        (workspace,) = function["workspace"]
        assert workspace["workspace_size_bytes"] >= 0
    rings = [f["workspace"][0]["workspace_size_bytes"] for f in functions["operator_functions"]]
    assert max(rings) == model.report.scratch_bytes


def test_workspace_without_inputs_and_outputs():
    model = dero_tvm.compile(residual(), dero="accumulate", external_io=True)
    (main,) = model.archive.metadata["modules"]["default"]["memory"]["functions"]["main"]
    assert main["workspace_size_bytes"] == model.report.arena_bytes
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype("float32")
    inside = compiled("residual").run({"image": x})
    np.testing.assert_array_equal(model.run({"image": x})["scores"], inside["scores"])


def test_module_name_is_in_every_name():
    archive = dero_tvm.compile(residual(), name="net").archive
    assert list(archive.c_headers()) == ["tvmgen_net.h"]
    assert list(archive.c_sources()) == ["net_lib0.c", "net_lib1.c"]
    header = archive.c_headers()["tvmgen_net.h"].decode()
    assert "int32_t tvmgen_net_run(struct tvmgen_net_inputs *inputs," in header
    assert "#define TVMGEN_NET_WORKSPACE_SIZE" in header
    assert "#define TVMGEN_NET_IMAGE_SIZE 1024" in header
    assert list(archive.metadata["modules"]) == ["net"]


@pytest.mark.parametrize("name", ["", "a b", "a-b", "../x", "ä", "x" * 49])
def test_module_names_that_are_no_c_names(name):
    with pytest.raises(UserError, match="module name"):
        dero_tvm.compile(residual(), name=name)


def test_round_trip(model, tmp_path):
    model.save(tmp_path / "model.tar")
    loaded = load_archive(tmp_path / "model.tar")
    assert loaded.files == model.archive.files
    assert loaded.inputs == model.archive.inputs
    with tarfile.open(tmp_path / "model.tar") as tar:
        assert {(m.mode, m.mtime, m.uid, m.uname) for m in tar} == {(0o644, 0, 0, "")}


def test_parameters_are_as_tvm_saves_them(model):
    saved = model.archive.files["parameters/default.params"]
    loaded = tvm.runtime.load_param_dict(saved)
    assert loaded.keys() == {"constants"}
    assert tvm.runtime.save_param_dict(loaded) == saved


def test_tar_is_as_the_standard_library_writes_it(model, tmp_path):
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(model.archive.files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    assert model.archive.to_bytes() == expected.getvalue()


def test_saving_keeps_no_text_of_the_weights(tmp_path):
    calls = []

    def weights():
        calls.append("written")
        yield from (b"one ", memoryview(b"two"))

    archive = ModelArchive(LazyFiles({"weights.c": weights}))
    archive.save(tmp_path / "model.tar")
    archive.save(tmp_path / "model.tar.gz")
    assert len(calls) == 2, "a content that is written twice is not in memory in between"
    assert archive.files["weights.c"] == archive.files["weights.c"] == b"one two"
    assert len(calls) == 3
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert tar.extractfile("weights.c").read() == b"one two"


def test_compressed_archive(model, tmp_path):
    model.save(tmp_path / "model.tar.gz")
    assert (tmp_path / "model.tar.gz").read_bytes().startswith(b"\x1f\x8b")
    assert load_archive(tmp_path / "model.tar.gz").files == model.archive.files


def test_date_from_the_environment(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    metadata = dero_tvm.compile(residual()).archive.metadata
    assert metadata["modules"]["default"]["export_datetime"] == "2023-11-14 22:13:20Z"


def test_same_bytes_twice_in_one_process(model):
    again = dero_tvm.compile(residual(), dero="accumulate")
    assert again.archive.files.keys() == model.archive.files.keys()
    for path, data in model.archive.files.items():
        assert again.archive.files[path] == data, path


def test_no_address_of_the_compiler_is_in_the_host_program(shared):
    streamed = dero_tvm.compile(shared / "models/mlperf_tiny/pretrainedResnet.tflite")
    program = streamed.archive.files[HOST_PROGRAM].decode()
    assert '"0x' not in program


def test_report_travels_in_the_archive(model):
    assert model.archive.report == json.loads(model.report.to_json())
    assert dero_tvm.Report.from_dict(model.archive.report) == model.report
