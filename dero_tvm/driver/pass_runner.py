"""Sequences of passes are run here, so that ``--dump-ir`` can write the module behind each pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tvm
import tvm_ffi

from .dump_folder import HEADER, INDEX, DumpFolder


class PassRunner:
    """Runs passes and nothing else."""

    def run(
        self, sequence: tvm.transform.Pass, module: tvm.IRModule, folder: str = ""
    ) -> tvm.IRModule:
        """What `sequence` makes of `module`; `folder` names the rewriting, "" what all share."""
        return sequence(module)

    def add(self, name: str, module: tvm.IRModule, folder: str = "") -> None:
        """Note a module that no pass has made."""

    def compiled(self, module: tvm.IRModule) -> None:
        """Note which module the code is generated from."""


def pass_runner(dump_ir: str | Path | None) -> PassRunner:
    """A runner that dumps into the folder `dump_ir`, or one that does not.

    Raises UserError for a folder that cannot be written or has other files in it.
    """
    return PassRunner() if dump_ir is None else IRDump(DumpFolder(Path(dump_ir)))


class IRDump(PassRunner):
    """Writes the module behind each pass as TVMScript, as soon as its sequence has ended or failed.

    A pass that leaves the module as it is has a line in the index and no file.
    """

    def __init__(self, folder: DumpFolder) -> None:
        self._folder = folder
        self._index: list[str] = []
        self._counts: dict[str, int] = {}  # modules by folder
        self._files: list[tuple[tvm.IRModule, str, str]] = []  # with name and text

    def run(
        self, sequence: tvm.transform.Pass, module: tvm.IRModule, folder: str = ""
    ) -> tvm.IRModule:
        """As `PassRunner.run`; the files go to the subfolder `folder`."""
        recorder = _Recorder()
        current = tvm.transform.PassContext.current()
        context = tvm.transform.PassContext(
            opt_level=current.opt_level,
            required_pass=list(current.required_pass),
            disabled_pass=list(current.disabled_pass),
            instruments=[*current.instruments, recorder],
            config=dict(current.config),
        )
        if folder and folder not in self._counts:
            self._index.append(f"{folder}/ begins with {self._file_of(module)}")
        try:
            with context:
                return sequence(module)
        finally:
            before = module
            for run in _phases(recorder.runs, _sequences(sequence)):
                if run.after is None:
                    self._index.append(f"{self._next(folder, run.name)} did not end")
                    break
                self._add(run.name, run.after, folder, before)
                before = run.after
            self._write_index()

    def add(self, name: str, module: tvm.IRModule, folder: str = "") -> None:
        """Write a module."""
        self._add(name, module, folder, None)
        self._write_index()

    def compiled(self, module: tvm.IRModule) -> None:
        """Name the module in the index."""
        self._index.append(f"the code is generated from {self._file_of(module)}")
        self._write_index()

    def _add(
        self, name: str, module: tvm.IRModule, folder: str, before: tvm.IRModule | None
    ) -> None:
        number = self._next(folder, name)
        known = self._known(before) if before is not None else None
        text = known[2] if known and module.same_as(before) else module.script() + "\n"
        if known and text == known[2] and tvm_ffi.structural_equal(module, before):
            self._index.append(f"{number} unchanged")
            self._files.append((module, *known[1:]))
            return
        file = f"{number}.py"
        self._folder.write(file, text)
        self._index.append(file)
        self._files.append((module, file, text))

    def _next(self, folder: str, name: str) -> str:
        """The next file in a folder, without its suffix."""
        count = self._counts.get(folder, 0 if not folder else 1)
        self._counts[folder] = count + 1
        return f"{folder}/{count:02d}_{name}" if folder else f"{count:02d}_{name}"

    def _known(self, module: tvm.IRModule) -> tuple[tvm.IRModule, str, str] | None:
        return next((entry for entry in reversed(self._files) if entry[0].same_as(module)), None)

    def _file_of(self, module: tvm.IRModule) -> str:
        known = self._known(module)
        return known[1] if known else "a module that is not here"

    def _write_index(self) -> None:
        self._folder.write(INDEX, "\n".join([HEADER, "", *self._index, ""]))


@dataclass
class _Run:
    """A pass that ran, with those that it ran itself."""

    name: str
    after: tvm.IRModule | None = None  # None: it did not end
    inner: list[_Run] = field(default_factory=list)


@tvm.instrument.pass_instrument
class _Recorder:
    """Keeps the module behind every pass; nothing that could fail is done here, inside TVM."""

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self._open: list[_Run] = []

    def run_before_pass(self, _module: tvm.IRModule, info: tvm.transform.PassInfo) -> None:
        run = _Run(str(info.name))
        (self._open[-1].inner if self._open else self.runs).append(run)
        self._open.append(run)

    def run_after_pass(self, module: tvm.IRModule, _info: tvm.transform.PassInfo) -> None:
        self._open.pop().after = module


def _sequences(sequence: tvm.transform.Pass) -> set[str]:
    """The names of a sequence and of those in it."""
    if not isinstance(sequence, tvm.transform.Sequential):
        return set()
    return {str(sequence.info.name)}.union(*map(_sequences, sequence.passes))


def _phases(runs: list[_Run], sequences: set[str]) -> Iterator[_Run]:
    """The passes of sequences, without the passes that they use themselves."""
    for run in runs:
        if run.name in sequences:
            yield from _phases(run.inner, sequences)
        else:
            yield run
