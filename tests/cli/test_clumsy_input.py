"""Every argument that takes a file gets files of the wrong kind: one line says what is wrong."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dero_tvm.aot.archive import METADATA, ModelArchive, load_archive

COMMANDS = {
    "compile": ["compile", "FILE", "-o", "OUT.tar"],
    "run": ["run", "FILE"],
    "inputs": ["run", "ARCHIVE", "--inputs", "FILE"],
    "report": ["report", "FILE"],
    "sweep": ["report", "--sweep", "FILE", "--limits", "1", "--device", "none"],
    "fit": ["fit", "FILE", "--board", "nrf52840dk"],
    "project": ["micro", "create-project", "zephyr", "OUT", "FILE", "--board", "nrf52840dk"],
    "board": ["micro", "create-project", "cmake", "OUT", "ARCHIVE", "--board", "FILE"],
    "target": ["compile", "MODEL", "--target", "FILE", "-o", "OUT.tar"],
    "quantize": ["compile", "MODEL", "--quantize", "FILE", "-o", "OUT.tar"],
    "cache": ["compile", "MODEL", "--tune", "--tune-cache", "FILE", "-o", "OUT.tar"],
    "reorganize": ["reorganize", "FILE", "-o", "OUT"],
}
SUFFIXES = {"inputs": "npz", "quantize": "npz", "board": "toml", "target": "toml", "cache": "json"}
CONTENTS = {
    "empty": b"",
    "garbage": np.random.default_rng(0).bytes(5000),
    "text": b"hello = world\n",
    "zeros": bytes(5000),
    "other JSON": b'{"a": [1]}',
}


@pytest.mark.parametrize("name", COMMANDS)
def test_files_of_the_wrong_kind(name: str, refused, model_file, archive_file, tmp_path) -> None:
    suffixes = ["onnx", "tflite", "pt2", "tar", "json"]
    if name in SUFFIXES:
        suffixes = [SUFFIXES[name]]
    paths = []
    for number, content in enumerate(CONTENTS.values()):
        for suffix in suffixes:
            path = tmp_path / f"{number}.{suffix}"
            path.write_bytes(content)
            paths.append(path)
    for suffix in suffixes:
        (tmp_path / f"folder.{suffix}").mkdir()
        (tmp_path / f"circle.{suffix}").symlink_to(f"circle.{suffix}")
        strange = [f"folder.{suffix}", f"circle.{suffix}", f"{'long' * 99}.{suffix}"]
        strange += [f"0.{suffixes[0]}/below.{suffix}"]
        paths += [tmp_path / one for one in strange]
    if name != "cache":  # which begins with a file that there is not
        paths += [tmp_path / f"none.{suffix}" for suffix in suffixes]
    places = {"MODEL": model_file, "ARCHIVE": archive_file}
    places |= {"OUT": tmp_path / "out", "OUT.tar": tmp_path / "out.tar"}
    for path in paths:
        refused(*({**places, "FILE": path}.get(word, word) for word in COMMANDS[name]))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
@pytest.mark.parametrize("name", ["compile", "inputs", "sweep", "fit", "quantize"])
def test_files_without_an_end(name: str, refused, model_file, archive_file, tmp_path) -> None:
    places = {"FILE": "/dev/zero", "MODEL": model_file, "ARCHIVE": archive_file}
    places |= {"OUT.tar": tmp_path / "out.tar"}
    message = refused(*(places.get(word, word) for word in COMMANDS[name]))
    assert message.startswith("/dev/zero")


# --- archives ------------------------------------------------------------------------------------


def header(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Of a member of a tar file, of any size that twelve bytes can hold."""
    entry = tarfile.TarInfo("x")
    entry.type = kind
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size.to_bytes(12, "big", signed=True)
    block[124] |= 0x80
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (header(-512), "'x' has -512 bytes"),
        (header(1 << 60), "refused: it unpacks to more than 1073741824 bytes"),
        (header(5000), "it is cut off"),
        (header(0, tarfile.DIRTYPE) * 11_000, "refused: it has more than 10000 members"),
        (header(0, tarfile.GNUTYPE_LONGNAME) * 3000, "which is no plain file"),
        (b"x" * 512, "a header is damaged"),
    ],
)
def test_archives_with_other_members(refused, archive_file, tmp_path, end, reason) -> None:
    path = tmp_path / "other.tar"
    data = archive_file.read_bytes()
    with tarfile.open(archive_file) as tar:
        place = max(m.offset_data + -(-m.size // 512) * 512 for m in tar)
    path.write_bytes(data[:place] + end)
    assert reason in refused("run", path)


def test_archives_that_other_programs_packed(run, refused, archive_file, tmp_path) -> None:
    files = load_archive(archive_file).files
    for compression in ("gz", "bz2", "xz"):
        path = tmp_path / f"packed.tar.{compression}"
        with tarfile.open(path, f"w:{compression}", format=tarfile.PAX_FORMAT) as tar:
            for name, data in files.items():
                folder = tarfile.TarInfo(f"./{Path(name).parent}")
                folder.type = tarfile.DIRTYPE
                tar.addfile(folder)
                entry = tarfile.TarInfo(f"./{name}")
                entry.size, entry.mtime = len(data), 1234.5  # which makes a header of its own
                tar.addfile(entry, io.BytesIO(data))
        if compression == "gz":
            assert run("report", path).exit_code == 0
        else:
            assert "decompress it first" in refused("report", path.rename(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    "change",
    [
        lambda port: port.update(dtype="object"),
        lambda port: port.update(dtype="U1"),
        lambda port: port.update(c_name='x; system("ls"); //'),
        lambda port: port.update(shape=[1 << 40], size=1 << 42, region=""),
        lambda port: port.update(size=1e999),
        lambda port: port.update(shape="[" * 100_000),
    ],
)
def test_metadata_of_no_program(refused, archive_file, tmp_path, change) -> None:
    files = load_archive(archive_file).files
    metadata = json.loads(files[METADATA])
    change(metadata["modules"]["default"]["dero"]["inputs"][0])
    text = json.dumps(metadata).replace(f'"{"[" * 100_000}"', "[" * 100_000 + "]" * 100_000)
    path = tmp_path / "other.tar"
    ModelArchive({**files, METADATA: text.encode()}).save(path)
    for command in ("run", "report"):
        assert "a part of metadata.json is missing or wrong" in refused(command, path)


# --- inputs --------------------------------------------------------------------------------------


def npy(text: str, version: int = 1) -> bytes:
    """The file of an array whose header is `text`."""
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + bytes(1024)


def described(shape: str, kind: str = "'<f4'") -> bytes:
    return npy(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "image.npy is no array"),
        (described("(1 << 40, 64)"), "the header of image.npy makes no sense"),
        (described("((("), "the header of image.npy makes no sense"),
        (npy("-" * 9000 + "1"), "the header of image.npy makes no sense"),
        (npy("{}", version=9), "the header of image.npy makes no sense"),
        (described("(1,)", "[('a', '<f4'), ('a', '<f4')]"), "the header of image.npy makes no"),
        (described("(1099511627776, 64)"), "image.npy does not hold what its header says"),
        (described("(99999999999999999999,)"), "image.npy does not hold what its header says"),
        (described("(-1, 4)"), "image.npy does not hold what its header says"),
        (described("(1, 4, 8, 8)", "'<U4'"), "does not hold what its header says"),
        (described("(1,)", "'|O'"), "it holds Python objects (pickle), which are not loaded"),
    ],
)
def test_arrays_that_are_none(refused, archive_file, tmp_path, content, reason) -> None:
    path = tmp_path / "inputs.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", content)
    assert reason in refused("run", archive_file, "--inputs", path)


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (8, 1, "it is encrypted"),
        (10, 12, "it is compressed in another way"),
        (10, 99, "it is compressed in another way"),
        (6, 255, "zip file version 25.5"),
        (26, 255, "it unpacks to more than 1073741824 bytes"),
    ],
)
def test_unusual_zip_archives(refused, archive_file, tmp_path, offset, value, reason) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, image=np.zeros((1, 4, 8, 8), "float32"))
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\1\2") + offset + (offset == 26)] = value
    path.write_bytes(data)
    assert reason in refused("run", archive_file, "--inputs", path)


def test_zip_archives_with_a_long_directory(refused, archive_file, tmp_path) -> None:
    path = tmp_path / "inputs.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(400):
            archive.writestr(f"{number:03}{'x' * 3000}", b"")
        archive.writestr("image.npy", b"")
    assert "it lists too many arrays" in refused("run", archive_file, "--inputs", path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", described("(1, 4)"))
        archive.writestr("image", described("(1, 4)"))
    assert "two arrays of one name" in refused("run", archive_file, "--inputs", path)


def test_a_pipe_is_no_file_of_inputs(refused, archive_file, tmp_path) -> None:
    path = tmp_path / "inputs.npz"
    os.mkfifo(path)
    assert refused("run", archive_file, "--inputs", path) == f"{path}: is no plain file"


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "-1", "-inf", "soon", ""])
@pytest.mark.parametrize(
    "words",
    [
        ["compile", "MODEL"],
        ["fit", "MODEL", "--board", "nrf52840dk"],
        ["run", "ARCHIVE", "--device", "host-c"],
    ],
)
def test_times_that_are_none(refused, model_file, archive_file, words, value) -> None:
    places = {"MODEL": model_file, "ARCHIVE": archive_file}
    words = [places.get(word, word) for word in words]
    message = refused(*words, f"--time-limit={value}", status=2)
    assert "'--time-limit'" in message


def test_a_folder_that_is_gone(refused, archive_file, tmp_path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    message = refused("run", archive_file, "-o", "outputs.npz")
    assert message == "the folder in which tvmc was started is gone: change to another"


def test_no_room_for_temporary_files(
    refused, archive_file, model_file, tmp_path, monkeypatch
) -> None:
    missing = str(tmp_path / "missing")
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [missing])
    monkeypatch.setattr(tempfile, "tempdir", None)
    for words in (["run", archive_file], ["compile", model_file, "-q", "-o", tmp_path / "new.tar"]):
        message = refused(*words)
        assert "free some space in /tmp, or set TMPDIR to another folder" in message, words
