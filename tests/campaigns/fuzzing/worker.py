"""Reading cases in a process that may use little memory and time, and that may die."""

from __future__ import annotations

import json
import os
import random
import resource
import select
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tvm
from tvm import relax

from dero_tvm import compile as compile_model
from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from tests.campaigns.fuzzing.data_cases import FORMATS, data_case, good_archive, read_data
from tests.campaigns.fuzzing.large_graphs import large_graph
from tests.campaigns.fuzzing.onnx_cases import node_seeds, onnx_case
from tests.campaigns.fuzzing.tflite_cases import tflite_case

CPU_SECONDS = 10  # a case
MEMORY = 2 << 30  # bytes of address space that a case may add
_WALL_SECONDS = 300  # a case, on a machine that is busy with other things
_LONGEST_MESSAGE = 100_000
_OWN_FAULT = 97  # status of a child whose own code failed, not the readers'
SECRET = b"SECRET-VALUE-OUTSIDE" * 200


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    seed: int
    format: str
    kind: str  # compiled, loaded, refused, or the kind of fault
    message: str = ""

    @property
    def fault(self) -> bool:
        return self.kind not in ("compiled", "loaded", "refused")


@dataclass(frozen=True)
class Corpus:
    """Files from seeds, and how they are read: fully, if `read` is asked to."""

    case: Callable[[int], tuple[str, bytes]]  # suffix and content
    formats: int  # of files, which take turns
    read: Callable[[Path, bool], str]  # returns the kind of the outcome
    prepare: Callable[[], object]
    seconds: int = CPU_SECONDS  # that a case may take of the processor


def _model_case(seed: int) -> tuple[str, bytes]:
    rng = random.Random(seed)
    if seed % 2:
        return "tflite", tflite_case(rng)
    return "onnx", onnx_case(rng)


def run_cases(
    seeds: Sequence[int], compile_every: int, corpus: Corpus | None = None
) -> Iterator[Outcome]:
    """One outcome for each of `seeds`, from child processes.

    Of the files that load, one in `compile_every` is also compiled, or made something of.
    """
    corpus = corpus or MODELS
    corpus.prepare()  # here once, not in every child
    remaining = list(seeds)
    while remaining:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            _work(remaining, compile_every, write, corpus)
        os.close(write)
        done, status = 0, 0
        with os.fdopen(read, "rb") as pipe:
            for line in _lines(pipe.fileno()):
                if line is None:
                    os.kill(child, signal.SIGKILL)
                    break
                yield Outcome(**json.loads(line))
                done += 1
        _, status = os.waitpid(child, 0)
        if done < len(remaining):
            died = os.waitstatus_to_exitcode(status)
            kind = "hang" if -died in (signal.SIGXCPU, signal.SIGKILL) else "crash"
            seed = remaining[done]
            yield Outcome(seed, corpus.case(seed)[0], kind, f"status {died}")
            done += 1
        remaining = remaining[done:]


def _lines(pipe: int) -> Iterator[bytes | None]:
    """The lines that come through a pipe; None when none came for too long."""
    rest = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], _WALL_SECONDS)
        if not ready:
            yield None
            return
        data = os.read(pipe, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _work(seeds: Sequence[int], compile_every: int, pipe: int, corpus: Corpus) -> None:
    """In the child: never returns."""
    errors = 2
    try:
        warnings.simplefilter("ignore")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = _address_space() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        errors = os.dup(2)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        with tempfile.TemporaryDirectory() as folder:
            home = _home(Path(folder))
            for seed in seeds:
                outcome = run_case(seed, home, compile_every, corpus)
                os.write(pipe, json.dumps(vars(outcome)).encode() + b"\n")
    except BaseException:
        os.write(errors, traceback.format_exc().encode())
        os._exit(_OWN_FAULT)
    os._exit(0)


def _home(folder: Path) -> Path:
    """A folder for models with a file beside them, a secret above and a link to it."""
    (folder / "secret.bin").write_bytes(SECRET)
    home = folder / "models"
    (home / "inside").mkdir(parents=True)
    (home / "beside.bin").write_bytes(bytes(4000))
    (home / "link.bin").symlink_to("../secret.bin")
    return home


def run_case(seed: int, home: Path, compile_every: int, corpus: Corpus) -> Outcome:
    """Write the file of `seed` into `home` and read it."""
    suffix, data = corpus.case(seed)
    path = home / f"model.{suffix}"
    path.write_bytes(data)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + corpus.seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    try:
        kind = corpus.read(path, seed // corpus.formats % compile_every == 0)
        return Outcome(seed, suffix, kind)
    except UserError as error:
        message = str(error)
        if "\n" in message or len(message) > _LONGEST_MESSAGE:
            return Outcome(seed, suffix, "unclear message", message[:200])
        return Outcome(seed, suffix, "refused", message.replace(str(path), "MODEL")[:160])
    except MemoryError:
        return Outcome(seed, suffix, "memory", traceback.format_exc(limit=-2)[-500:])
    except Exception:
        return Outcome(seed, suffix, "traceback", traceback.format_exc()[-1500:])


def _read_model(path: Path, thorough: bool) -> str:
    loaded = load(path)
    if SECRET[:20] in _constant_bytes(loaded.module):
        return "leak"  # of a file outside the model's folder
    if thorough:
        compile_model(loaded, time_limit=1.0)
    return "compiled" if thorough else "loaded"


def _constant_bytes(module: tvm.IRModule) -> bytes:
    found: list[bytes] = []

    def visit(expr: tvm.ir.Expr) -> None:
        if isinstance(getattr(expr, "data", None), tvm.runtime.Tensor):
            found.append(expr.data.numpy().tobytes())

    relax.analysis.post_order_visit(module["main"], visit)
    return b"|".join(found)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _compile_graph(path: Path, _thorough: bool) -> str:
    return _read_model(path, True)


MODELS = Corpus(_model_case, 2, _read_model, node_seeds)
DATA = Corpus(data_case, FORMATS, read_data, good_archive)
GRAPHS = Corpus(large_graph, 1, _compile_graph, lambda: None, seconds=60)
