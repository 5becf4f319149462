"""Files from seeds of everything but models that is read: archives, inputs, reports, boards."""

from __future__ import annotations

import functools
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dero_tvm import compile as compile_model
from dero_tvm.aot.archive import METADATA, ModelArchive, load_archive
from dero_tvm.boards.board import load_board
from dero_tvm.boards.board_folders import targets_folder
from dero_tvm.boundary.input_arrays import inferences, read_npz
from dero_tvm.cli.report import parsed_report, read_report
from dero_tvm.projects.create import create_project
from dero_tvm.report import Report
from dero_tvm.report.html import html_page
from dero_tvm.tuning.cache import read_cache
from tests.campaigns.fuzzing.hostile_values import NAMES, SIZES, damaged_bytes
from tests.campaigns.fuzzing.json_changes import changed
from tests.campaigns.fuzzing.onnx_cases import onnx_seeds

_DEEP = 100_000  # brackets


@functools.cache
def good_archive() -> ModelArchive:
    """Of a small network, with a chain of steps."""
    return compile_model(onnx_seeds()[0], dero="stream", target="mps2-an386").archive


def data_case(seed: int) -> tuple[str, bytes]:
    """The suffix and the bytes of the file of a seed."""
    rng = random.Random(seed)
    suffix, cases = _FORMATS[seed % len(_FORMATS)]
    data = rng.choice(cases)(rng)
    return suffix, damaged_bytes(rng, data) if rng.random() < 0.2 else data


def read_data(path: Path, thorough: bool) -> str:
    """Read a file as the commands do; with `thorough`, something is made of it as well."""
    if path.suffix in (".tar", ".gz"):
        archive = load_archive(path)
        if thorough:
            html_page(parsed_report(path, archive.report))
            folder = path.with_name("project")
            for file in create_project("cmake", folder, archive, load_board("mps2-an386")):
                file.unlink()
    elif path.suffix == ".npz":
        inferences(read_npz(path), good_archive().inputs, path)
    elif path.suffix == ".json":
        report = read_report(path)
        if thorough:
            html_page(report)
    elif path.suffix == ".toml":
        load_board(path)
    else:
        read_cache(path)
    return "loaded"


# --- JSON ----------------------------------------------------------------------------------------


def _strange_json(rng: random.Random) -> bytes:
    return rng.choice(
        [
            b"[" * _DEEP + b"]" * _DEEP,
            b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
            b'{"modules": ' * 3 + b"[" * _DEEP,
            b"1" * _DEEP,
            b'{"modules": NaN}',
            b'{"a": 1e999}',
            b"[" + b"[]," * 11_000_000,
            b'"\xff\xfe"',
            b"",
        ]
    )


def _changed_json(rng: random.Random, data: dict) -> bytes:
    for _ in range(rng.choice([1, 1, 2])):
        data = changed(rng, data)
    return json.dumps(data).encode()


def _report(rng: random.Random) -> bytes:
    return _changed_json(rng, Report.from_dict(good_archive().report).to_dict())


def _cache(rng: random.Random) -> bytes:
    entry = {"operation": "conv2d", "core": "cortex-m7", "unit": "instructions"}
    entry |= {"kernels": ["a", "b"], "costs": [3, 4]}  # type: ignore[dict-item]
    return _changed_json(rng, {"format": 1, "trials": {"digest": entry, "other": entry}})


# --- archives ------------------------------------------------------------------------------------


def _metadata(rng: random.Random) -> bytes:
    files = good_archive().files
    text = _changed_json(rng, json.loads(files[METADATA]))
    if rng.random() < 0.1:
        text = _strange_json(rng)
    return ModelArchive({**files, METADATA: text}).to_bytes("a.tar.gz")


def _tar(rng: random.Random) -> bytes:
    """Headers that contradict what follows them, in front of the files, behind or between them."""
    files = sorted(good_archive().files.items())
    members = [_member(name, data) for name, data in files]
    for _ in range(rng.choice([1, 1, 2, 3000])):
        members.insert(rng.randrange(len(members) + 1), _strange_member(rng))
    data = b"".join(members) + bytes(rng.choice([0, 1024]))
    return lzma.compress(data, preset=0) if rng.random() < 0.02 else data


def _member(name: str, data: bytes) -> bytes:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    return header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def _strange_member(rng: random.Random) -> bytes:
    header = tarfile.TarInfo("x")
    header.type = rng.choice("0 1 2 3 5 6 7 L K S g x".split()).encode()
    body = rng.choice(
        [b"", b"9 size=-512\n", b"15 size=abcdef\n", b"0 a=b\n", b"9" * 30 + b" a=b\n", b"x" * 700]
    )
    header.size = len(body)
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    if rng.random() < 0.5:
        size = rng.choice([*SIZES, -512])
        block[124:136] = size.to_bytes(12, "big", signed=True)
        block[124] |= 0x80
    name = rng.choice([*NAMES, "codegen/host/src/a/b.c", "./metadata.json"]).encode()[:100]
    block[: len(name)] = name
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + body + bytes(-len(body) % 512)


# --- inputs --------------------------------------------------------------------------------------

_DESCRIPTIONS = [
    *("'<f4'", "'>f4'", "'<f8'", "'|O'", "'<U4'", "'<V2000000000'", "5", "[('a', '<f4')]"),
    *("'<M8[s]'", "'|V0'", "(" * 4000, "-" * 9000 + "1", "'''<f4", "[" * 90, "1" * 5000),
]
_SHAPES = [
    *("(1, 2, 6, 6)", "(2, 1, 2, 6, 6)", "(0, 2, 6, 6)", "(-1, 6)", "(1 << 40, 64)", "()"),
    *("(1099511627776, 64)", "(2000000000, 1)", "(99999999999999999999999,)", "(True,)", "[1]"),
    *("(((", "(0, 99999999999999999999)", "(" + "1," * 64 + ")"),
]


def _npz(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    kinds = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    with zipfile.ZipFile(buffer, "w", rng.choice([*kinds, *kinds[:2] * 3])) as archive:
        for _ in range(rng.choice([0, *[1] * 8, 2])):
            name = rng.choice([*["x.npy"] * 9, "x", "README.txt", *NAMES[2:4]])
            archive.writestr(name, _npy(rng))
    data = bytearray(buffer.getvalue())
    if rng.random() < 0.3:  # a field of the headers in front of the data or in the directory
        at = data.rfind(rng.choice([b"PK\3\4", b"PK\1\2", b"PK\5\6"]))
        offset = at + rng.choice([4, 6, 8, 10, 12, 16, 18, 20, 24, 26, 28, 30, 32, 42])
        if at >= 0 and offset + 4 <= len(data):
            data[offset : offset + 2] = rng.randbytes(2)
    return bytes(data)


def _npy(rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return rng.choice([b"hello", b"", b"\x93NUMPY", b"\x93NUMPY\3\0\xff\xff\xff\xff"])
    often = rng.random() < 0.5
    description = "'<f4'" if often else rng.choice(_DESCRIPTIONS)
    shape = rng.choice(_SHAPES[:2] if often else _SHAPES)
    order = rng.choice(["True", *["False"] * 6, "3"])
    text = f"{{'descr': {description}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    version = rng.choice([1] * 8 + [2, 3, 9])
    length = struct.pack("<H" if version == 1 else "<I", min(len(text), 65535))
    values = np.zeros(144, "float32").tobytes()
    if rng.random() < 0.2:
        values = rng.choice([b"", bytes(50_000_000)])
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + values


# --- boards --------------------------------------------------------------------------------------


def _toml(rng: random.Random) -> bytes:
    text = (targets_folder() / "mps2-an386.toml").read_text(encoding="utf-8")
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(lines))
        key = lines[at].split("=")[0]
        values = [*map(json.dumps, [*NAMES, *SIZES]), "[" * _DEEP, "9" * 9000, "nan", "1979-05-27"]
        lines[at] = rng.choice([f"{key}= {rng.choice(values)}", "", lines[at - 1], "[[ram]]"])
    return "\n".join(lines).encode(errors="replace")


_FORMATS: list[tuple[str, list[Callable[[random.Random], bytes]]]] = [
    ("tar", [_tar, _metadata, _metadata]),
    ("npz", [_npz]),
    ("json", [_report, _report, _report, _strange_json]),
    ("npz", [_npz]),
    ("toml", [_toml]),
    ("kernels", [_cache, _cache, _cache, _strange_json]),
]
FORMATS = len(_FORMATS)
"""How many kinds of files there are; seeds take turns."""
