"""``tvmc run``: inputs, outputs, devices, archives."""

from __future__ import annotations

import io
import shutil
import tarfile

import numpy as np
import pytest

from dero_tvm.cli.outputs import npz_bytes
from dero_tvm.report.run_table import print_run  # noqa: F401  (imported without TVM)

X = np.random.default_rng(0).standard_normal((3, 1, 4, 8, 8)).astype("float32")


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "inputs.npz", **arrays)
        return tmp_path / "inputs.npz"

    return write


def test_several_inferences(run, archive_file, npz, tmp_path):
    def outputs(images):
        path = tmp_path / "outputs.npz"
        result = run("run", archive_file, "--inputs", npz(image=images), "-o", path)
        assert result.exit_code == 0, result.output
        with np.load(path) as loaded:
            return loaded["scores"]

    one = outputs(X[1])
    assert one.shape == (1, 4, 8, 8)
    several = outputs(X)
    assert several.shape == (3, 1, 4, 8, 8)
    np.testing.assert_array_equal(several[1], one)
    as_batch = outputs(X[:, 0])  # the axis of a batch of one
    np.testing.assert_array_equal(as_batch, several)


def test_report_of_a_run(run, archive_file):
    result = run("run", archive_file, "--print-top", 2)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["inferences", "1"] in lines
    assert ["scores", "float32[1,", "4,", "8,", "8]"] in lines
    top = [line for line in lines if line and line[0].startswith("[")]
    assert len(top) == 2
    assert float(top[0][1]) >= float(top[1][1])


@pytest.mark.parametrize("mode", ["random", "zeros", "ones"])
def test_fill_modes(run, archive_file, mode, tmp_path):
    words = ("run", archive_file, "--fill-mode", mode, "-o")
    for name in ("a.npz", "b.npz"):
        assert run(*words, tmp_path / name).exit_code == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_seed(run, archive_file, tmp_path):
    for seed in (1, 2):
        run("run", archive_file, "--seed", seed, "-o", tmp_path / f"{seed}.npz")
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        assert (one["scores"] != two["scores"]).any()


def test_model_file_is_compiled_first(run, model_file, archive_file, tmp_path):
    for name, model in (("a.npz", model_file), ("b.npz", archive_file)):
        result = run("run", model, "-o", tmp_path / name)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("device", "tools"),
    [
        ("host-c", ["cc"]),
        ("qemu:mps2-an386", ["arm-none-eabi-gcc", "qemu-system-arm"]),
    ],
)
def test_devices_agree(run, archive_file, model_file, tmp_path, device, tools):
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")
    assert run("run", archive_file, "-o", tmp_path / "host.npz").exit_code == 0
    for name, model in (("archive.npz", archive_file), ("model.npz", model_file)):
        result = run("run", model, "--device", device, "-o", tmp_path / name)
        assert result.exit_code == 0, result.output
        with np.load(tmp_path / "host.npz") as a, np.load(tmp_path / name) as b:
            np.testing.assert_allclose(a["scores"], b["scores"], rtol=1e-5, atol=1e-6)
    assert ("instructions per inference" in result.stdout) == device.startswith("qemu")


class TestInputs:
    def test_files(self, refused, archive_file, tmp_path):
        def message(path):
            return refused("run", archive_file, "--inputs", path)

        assert message(tmp_path / "no.npz") == f"{tmp_path / 'no.npz'}: no such file"
        assert message(tmp_path) == f"{tmp_path}: is a folder; give an .npz file"
        path = tmp_path / "bad.npz"
        path.write_bytes(b"PK\x03\x04 and no more")
        assert message(path).startswith(f"{path}: not a readable .npz file")
        path.write_bytes(b"")
        assert message(path).startswith(f"{path}: not a readable .npz file")
        np.save(tmp_path / "one.npy", X)
        assert "is one array without a name" in message(tmp_path / "one.npy")

    def test_damaged(self, refused, archive_file, npz):
        path = npz(image=X[0])
        data = bytearray(path.read_bytes())
        data[300] ^= 255
        path.write_bytes(data)
        assert "not a readable .npz file (Bad CRC" in refused("run", archive_file, "--inputs", path)
        path.write_bytes(bytes(data[:200]))
        assert "not a readable .npz file" in refused("run", archive_file, "--inputs", path)

    def test_pickles_are_not_loaded(self, refused, archive_file, npz):
        path = npz(image=np.array([{"a": 1}], dtype=object))
        message = refused("run", archive_file, "--inputs", path)
        assert "it holds Python objects (pickle), which are not loaded" in message

    @pytest.mark.parametrize(
        ("arrays", "reason"),
        [
            ({"photo": X[0]}, "no input is named 'photo' (inputs: image)"),
            ({"image": X[0], "mask": X[0]}, "no input is named 'mask' (inputs: image)"),
            ({}, "has no array for the input 'image'"),
            ({"image": X[0].astype("float64")}, "is float64, but the model takes float32"),
            ({"image": X[0][:, :, :4]}, "has the shape [1, 4, 4, 8], but the model takes [1, 4, 8"),
            ({"image": np.float32(3)}, "has the shape []"),
            ({"image": X[:0]}, "asks for no inference"),
        ],
    )
    def test_contents(self, refused, archive_file, npz, arrays, reason):
        path = npz(**arrays)
        message = refused("run", archive_file, "--inputs", path, "-o", path.with_name("y.npz"))
        assert message.startswith(f"{path}: ")
        assert reason in message


class TestDevices:
    @pytest.mark.parametrize("device", ["gpu", "qemu", "qemu:", "host-c:gcc"])
    def test_unknown(self, refused, archive_file, device):
        message = refused("run", archive_file, "--device", device)
        assert message.startswith(f"Unknown device '{device}': known are host, host-c, qemu:")

    def test_unknown_machine(self, refused, archive_file, model_file):
        for model in (archive_file, model_file):
            message = refused("run", model, "--device", "qemu:stm32")
            assert message.startswith("Unknown board 'stm32'")
        message = refused("run", archive_file, "--device", "qemu:host")
        assert message.startswith("QEMU cannot run the board host")

    @pytest.mark.parametrize(
        ("device", "tool"),
        [("host-c", "gcc"), ("qemu:mps2-an500", "qemu-system-arm")],
    )
    def test_missing_tool(self, refused, archive_file, model_file, device, tool):
        for model in (archive_file, model_file):
            message = refused("run", model, "--device", device, env={"PATH": ""})
            assert f"{tool} is not on PATH" in message or f"{tool} or clang is not" in message
            assert "apt install" in message


class TestArchives:
    @staticmethod
    def pack(path, files):
        with tarfile.open(path, "w") as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return path

    @pytest.mark.parametrize("command", ["run", "report"])
    def test_not_ours(self, refused, tmp_path, command):
        path = tmp_path / "other.tar"
        assert refused(command, path) == f"{path}: no such file"
        for content in (b"", b"no tar file", bytes(20000)):
            path.write_bytes(content)
            assert refused(command, path).startswith(f"{path}: not a")
        for metadata in (b"{}", b"[1]", b"null", b"\xff", b'{"modules": {}}'):
            self.pack(path, {"metadata.json": metadata})
            assert "a part of metadata.json is missing" in refused(command, path)
        self.pack(path, {"readme": b""})
        assert "metadata.json is missing" in refused(command, path)

    @pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
    def test_paths_that_lead_out(self, refused, tmp_path, archive_file, name):
        path = self.pack(tmp_path / "evil.tar", {name: b"x"})
        message = refused("run", path)
        assert message == f"{path}: refused: it holds {name!r}, which is no plain file"

    def test_links(self, refused, tmp_path):
        path = tmp_path / "link.tar"
        with tarfile.open(path, "w") as tar:
            entry = tarfile.TarInfo("metadata.json")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(entry)
        assert "which is no plain file" in refused("run", path)

    def test_bomb(self, refused, tmp_path, monkeypatch):
        monkeypatch.setattr("dero_tvm.aot.archive._LARGEST", 1000)
        path = self.pack(tmp_path / "bomb.tar", {"a": bytes(600), "b": bytes(600)})
        assert refused("run", path) == f"{path}: refused: it unpacks to more than 1000 bytes"

    def test_truncated_and_incomplete(self, refused, archive_file, tmp_path):
        data = archive_file.read_bytes()
        path = tmp_path / "cut.tar"
        for length in (100, 1000, 5000, len(data) // 2):
            path.write_bytes(data[:length])
            assert refused("run", path).startswith(f"{path}: not a")
        with tarfile.open(archive_file) as tar:
            files = {m.name: tar.extractfile(m).read() for m in tar}
        for name in files.keys() - {"src/relax.txt"}:
            self.pack(path, {key: data for key, data in files.items() if key != name})
            for device in ("host", "host-c"):
                message = refused("run", path, "--device", device)
                assert f"{name} is missing" in message

    def test_damaged(self, run, refused, archive_file, tmp_path):
        with tarfile.open(archive_file) as tar:
            files = {m.name: tar.extractfile(m).read() for m in tar}
        path = tmp_path / "damaged.tar"
        self.pack(path, files | {"src/host_program.ll": b"junk"})
        assert "the archive's host program cannot be loaded here" in refused("run", path)
        self.pack(path, files | {"parameters/default.params": b"junk"})
        assert "the archive's parameters are damaged" in refused("run", path)
        if shutil.which("cc"):
            self.pack(path, files | {"codegen/host/src/default_lib1.c": b"int x = ;"})
            *said, error = run("run", path, "--device", "host-c").stderr.splitlines()
            assert "default_lib1.c:1:9: error" in said[0]
            assert error.startswith("tvmc: error: cc refused the generated code: ")

    def test_flags_of_compile(self, refused, archive_file):
        for words in (["--dero"], ["--target", "host"], ["--input-shapes", "image:[1]"]):
            message = refused("run", archive_file, *words)
            assert message.startswith(f"{words[0]}: {archive_file} is compiled already")


def test_npz_of_any_names():
    """numpy.savez takes names as keyword arguments, `file` among its own."""
    arrays = {"file": X[0], "a/b": np.zeros(2, "int8"), 'quote "': np.ones(1)}
    with np.load(io.BytesIO(npz_bytes(arrays))) as loaded:
        assert set(loaded.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
    assert npz_bytes(arrays) == npz_bytes(arrays)


def test_written_over_memory_is_an_error(refused, archive_file, monkeypatch):
    """A runner that sees guard bytes changed does not pass the outputs on."""
    from dataclasses import replace

    import dero_tvm.cli.run as command

    def run(*arguments, **options):
        report = "inference 0 wrote outside the arena"
        return replace(original(*arguments, **options), guard_report=report)

    original = command.run
    monkeypatch.setattr(command, "run", run)
    message = refused("run", archive_file)
    assert message.startswith("the generated program is wrong: inference 0 wrote outside the arena")


def test_limits_are_of_some_devices(refused, archive_file):
    message = refused("run", archive_file, "--time-limit", "3")
    assert message == "--time-limit works on host-c and qemu:BOARD"
    message = refused("run", archive_file, "--device", "host-c", "--stack-size", "8KB")
    assert message == "--stack-size works on qemu:BOARD"


def test_stack_size(run, refused, archive_file):
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")
    result = run("run", archive_file, "--device", "qemu:mps2-an500", "--stack-size", "8KB")
    assert result.exit_code == 0, result.output
    message = refused("run", archive_file, "--device", "qemu:mps2-an500", "--stack-size", "64")
    assert "stack" in message and message.endswith("allow it more (--stack-size).")
