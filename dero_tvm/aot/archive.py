"""The generated model as a Model Library Format archive, in memory and on disk.

The layout is the one microTVM 0.18 wrote (version 7): ``metadata.json``, ``codegen/host/include``,
``codegen/host/src``, ``parameters`` and ``src``.
"""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from dero_tvm.boundary.atomic_write import write_atomically
from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.json_text import parsed_json
from dero_tvm.boundary.structured import structured

from .files import pieces
from .tar_reader import NoTarFile, tar_members

INCLUDE = "codegen/host/include/"
SOURCE = "codegen/host/src/"
METADATA = "metadata.json"
HOST_PROGRAM = "src/host_program.ll"
PARAMETERS = "parameters/"
_LARGEST = 1 << 30  # bytes of an archive when unpacked
_MEMORY = 1 << 30  # bytes of all arenas, inputs and outputs of a program that is run
_PIECE = 1 << 22  # bytes
_GZIP = 16 + zlib.MAX_WBITS  # for zlib: with gzip's header, in which there is no date
_NAME = re.compile(r"[A-Za-z0-9_]+")  # of what appears in C, perhaps behind something else
_FILE = re.compile(r"[A-Za-z0-9_]+\.[ch]")
_TYPES = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()
)


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the application sees it.

    With a `row_size` in bytes, functions hand it over or take it one row at a time.  In a `region`
    it lies `offset` bytes from the beginning of that arena, otherwise in the caller's memory.
    """

    name: str  # as in the model file
    c_name: str  # member of the C structure
    shape: tuple[int, ...]
    dtype: str
    row_size: int = 0
    context: str = ""  # member that is passed to its function
    size: int = 0  # bytes
    region: str = ""
    offset: int = 0


@dataclass(frozen=True)
class StateInfo:
    """A tensor that lasts from one inference to the next, `offset` bytes into an arena."""

    name: str  # as in the model file
    shape: tuple[int, ...]
    dtype: str
    size: int  # bytes
    region: str
    offset: int


@dataclass(frozen=True)
class _Arena:
    region: str
    size: int  # bytes


@dataclass(frozen=True)
class _Details:
    """What this project adds to microTVM's entries."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    arenas: tuple[_Arena, ...]
    report: dict
    states: tuple[StateInfo, ...] = ()
    counted: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Function:
    function_name: str


@dataclass(frozen=True)
class _Functions:
    operator_functions: tuple[_Function, ...]


@dataclass(frozen=True)
class _Memory:
    functions: _Functions


@dataclass(frozen=True)
class _Module:
    """What is read of ``metadata.json``."""

    model_name: str
    memory: _Memory
    dero: _Details


@dataclass(frozen=True)
class ModelArchive:
    """Path in the archive -> content."""

    files: Mapping[str, bytes]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Content of ``metadata.json``."""
        return parsed_json(self.files[METADATA])

    @cached_property
    def _module(self) -> _Module:
        return structured(_Module, next(iter(self.metadata["modules"].values())), others=True)

    @property
    def name(self) -> str:
        """Module name: ``default`` gives ``tvmgen_default_run``."""
        return self._module.model_name

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        return self._module.dero.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return self._module.dero.outputs

    @property
    def states(self) -> tuple[StateInfo, ...]:
        return self._module.dero.states

    @property
    def arena_bytes(self) -> dict[str, int]:
        """Bytes of the arena in each memory region, in the order the program takes them."""
        return {arena.region: arena.size for arena in self._module.dero.arenas}

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the program's steps in order of execution."""
        functions = self._module.memory.functions.operator_functions
        prefix = f"tvmgen_{self.name}_"
        return tuple(function.function_name.removeprefix(prefix) for function in functions)

    @property
    def counted(self) -> tuple[str, ...]:
        """The operators that a profile counts beside the steps: those of steps that run several."""
        return self._module.dero.counted

    def check(self) -> None:
        """KeyError, TypeError or ValueError if the metadata is not what `save` writes."""
        arenas = self.arena_bytes
        ports = (*self.inputs, *self.outputs)
        names = [self.name, *self.steps, *arenas, *(port.c_name for port in ports)]
        names += [port.context for port in ports if port.context]
        files = [*self.c_sources(), *self.c_headers()]
        if not all(map(_NAME.fullmatch, names)) or not all(map(_FILE.fullmatch, files)):
            raise ValueError("names that cannot appear in C")
        for kind in (self.inputs, self.outputs):
            if len({port.name for port in kind}) < len(kind):
                raise ValueError("two inputs or outputs have one name")
        for port in ports:
            if port.dtype not in _TYPES:
                raise ValueError(f"{port.name} is {port.dtype}")
            size = prod(port.shape) * np.dtype(port.dtype).itemsize
            end = arenas[port.region] if port.region else size
            if size != port.size or min(*port.shape, 1) < 1 or not 0 <= port.offset <= end - size:
                raise ValueError(f"{port.name} cannot lie where it should")
        for state in self.states:
            end = arenas[state.region]
            if state.size < 0 or not 0 <= state.offset <= end - state.size:
                raise ValueError(f"{state.name} cannot lie where it should")
        if not self.outputs:
            raise ValueError("there are no outputs")
        sizes = [*arenas.values(), *(port.size for port in ports)]
        if min(sizes) < 0 or sum(sizes) > _MEMORY:
            raise ValueError("arenas of no possible size")

    @property
    def report(self) -> dict[str, Any]:
        """The report that the compilation wrote."""
        return self._module.dero.report

    @property
    def details(self) -> dict[str, Any]:
        """What this project adds to the metadata, beside microTVM's entries."""
        return next(iter(self.metadata["modules"].values()))["dero"]

    def c_sources(self) -> dict[str, bytes]:
        """File name -> content of each C source."""
        return self._below(SOURCE)

    def c_headers(self) -> dict[str, bytes]:
        """File name -> content of each header."""
        return self._below(INCLUDE)

    def _below(self, folder: str) -> dict[str, bytes]:
        paths = sorted(path for path in self.files if path.startswith(folder))
        return {path.removeprefix(folder): self.files[path] for path in paths}

    def to_bytes(self, path: str = "model.tar") -> bytes:
        """The archive as a tar file, compressed if `path` says so; the same bytes every time."""
        return b"".join(self._pieces(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the archive to `path`, whole or not at all."""
        write_atomically(Path(path), self._pieces(str(path)))

    def _pieces(self, path: str) -> Iterator[bytes]:
        """See `to_bytes`; weights in C are several times as large as in memory."""
        tar = _tar(self.files)
        if not path.endswith((".gz", ".tgz")):
            yield from tar
            return
        gzip = zlib.compressobj(9, wbits=_GZIP)
        yield from map(gzip.compress, tar)
        yield gzip.flush()

    def extract_c(self, folder: str | os.PathLike[str]) -> None:
        """Write the C sources and headers into `folder`."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, data in {**self.c_sources(), **self.c_headers()}.items():
            write_atomically(target / name, data)


def _tar(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """A tar file in pieces, as `tarfile` writes it."""
    written = 0
    for name in sorted(files):
        # A member's size stands before its content, and may not be known before that is written.
        with tempfile.TemporaryFile() as content:
            content.writelines(pieces(files, name))
            entry = tarfile.TarInfo(name)
            entry.size = content.tell()
            entry.mode = 0o644
            yield entry.tobuf(tarfile.USTAR_FORMAT)
            content.seek(0)
            yield from iter(lambda: content.read(_PIECE), b"")
        padding = -entry.size % tarfile.BLOCKSIZE
        yield bytes(padding)
        written += tarfile.BLOCKSIZE + entry.size + padding
    yield bytes(2 * tarfile.BLOCKSIZE + -(written + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE)


def load_archive(path: str | os.PathLike[str]) -> ModelArchive:
    """Read an archive that `ModelArchive.save` wrote.

    Raises UserError if the file is not such an archive.
    """
    try:
        files = tar_members(Path(path), _LARGEST)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the archive that tvmc compile wrote") from None
    except PermissionError:
        raise UserError(f"{path}: cannot be read (permission denied)") from None
    except (NoTarFile, OSError) as error:
        first = "; compile it first" if Path(path).suffix in (".onnx", ".tflite", ".pt2") else ""
        raise UserError(
            f"{path}: not a model archive that tvmc compile wrote ({first_line(error)}){first}"
        ) from None
    archive = ModelArchive(files)
    try:
        archive.check()
        missing = sorted(_required(archive.name) - files.keys())
    except (KeyError, ValueError, TypeError, StopIteration, AttributeError):
        missing = [METADATA if METADATA not in files else f"a part of {METADATA}"]
    if missing:
        raise UserError(
            f"{path}: not an archive that tvmc compile wrote, or a damaged one: {missing[0]} is "
            "missing or wrong; compile the model again"
        )
    return archive


def _required(name: str) -> set[str]:
    return {
        f"{INCLUDE}tvmgen_{name}.h",
        f"{SOURCE}{name}_lib0.c",
        f"{SOURCE}{name}_lib1.c",
        f"{PARAMETERS}{name}.params",
        HOST_PROGRAM,
    }
