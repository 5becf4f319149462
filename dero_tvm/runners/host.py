"""The host runner: the generated program through TVM's LLVM JIT, no C compiler needed.

It runs in exactly the planned arena.  Guard bytes around each region are checked after every
inference.  A network's state lasts from one inference of a `HostProgram` to the next.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tvm

from dero_tvm.aot.archive import HOST_PROGRAM, PARAMETERS, ModelArchive, TensorInfo
from dero_tvm.aot.host_program import ENTRY, GUARD_BYTES
from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.runners.exchange import check_inputs

_PATTERN = 0x5A


class HostProgram:
    """A generated model, compiled for this machine and ready to run."""

    def __init__(self, archive: ModelArchive) -> None:
        self._archive = archive
        self._entry = _load(archive.files[HOST_PROGRAM])[ENTRY]
        parameters = _parameters(archive.files[f"{PARAMETERS}{archive.name}.params"])
        self._constants = parameters["constants"]
        self._initial_state = parameters["states"].numpy() if archive.states else None
        self._arenas = {
            region: np.full(size + 2 * GUARD_BYTES, _PATTERN, dtype=np.int8)
            for region, size in archive.arena_bytes.items()
        }
        self.reset()

    def reset(self) -> None:
        """Let the next inference be the first one of a new sequence."""
        self._state = self._initial_state

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; arrays by input name (as in the model file), of the declared shapes.

        Raises UserError if an input is missing or of another shape or type, and RuntimeError if
        the program wrote outside its arena.
        """
        archive = self._archive
        check_inputs(archive, [inputs])
        outside: list[np.ndarray] = []
        for arena in self._arenas.values():
            arena.fill(_PATTERN)
        if self._state is not None:
            self._state_bytes()[:] = self._state
        for port in archive.inputs:
            data = _as_bytes(inputs[port.name])
            if port.region:
                self._bytes_of(port)[:] = data
            else:
                outside.append(data.copy())
        received: dict[str, np.ndarray] = {}
        for port in archive.outputs:
            if not port.region:
                received[port.name] = np.zeros(port.size, dtype=np.int8)
                outside.append(received[port.name])
        tensors = [tvm.runtime.tensor(arena) for arena in self._arenas.values()]
        extra = [tvm.runtime.tensor(array) for array in outside]
        self._entry(*tensors, self._constants, *extra)
        for (region, arena), tensor in zip(self._arenas.items(), tensors):
            arena[:] = tensor.numpy()
            self._check_guards(region, arena)
        if self._state is not None:
            self._state = self._state_bytes().copy()
        for array, tensor in zip(outside, extra):
            array[:] = tensor.numpy()
        return {
            port.name: _as_array(self._bytes_of(port) if port.region else received[port.name], port)
            for port in archive.outputs
        }

    def _state_bytes(self) -> np.ndarray:
        """The last bytes of the arena that holds the states."""
        region = self._archive.states[0].region
        start = GUARD_BYTES + min(state.offset for state in self._archive.states)
        return self._arenas[region][start:-GUARD_BYTES]

    def _bytes_of(self, port: TensorInfo) -> np.ndarray:
        start = GUARD_BYTES + port.offset
        return self._arenas[port.region][start : start + port.size]

    @staticmethod
    def _check_guards(region: str, arena: np.ndarray) -> None:
        before, after = arena[:GUARD_BYTES], arena[-GUARD_BYTES:]
        if not (np.all(before == _PATTERN) and np.all(after == _PATTERN)):
            raise RuntimeError(f"the generated program wrote outside its arena in {region}")


def _load(llvm_ir: bytes) -> tvm.runtime.Module:
    """LLVM IR from an archive, compiled for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host_program.ll"
        path.write_bytes(llvm_ir)
        try:
            return tvm.runtime.load_module(str(path))
        except Exception as error:
            raise UserError(
                f"the archive's host program cannot be loaded here ({first_line(error)}): "
                "compile the model on this machine, or use --device host-c"
            ) from None


def _parameters(packed: bytes) -> dict[str, tvm.runtime.Tensor]:
    try:
        found = tvm.runtime.load_param_dict(packed)
        return {"constants": found["constants"], **found}
    except Exception:  # TVM's errors, of a type that depends on what is wrong
        raise UserError("the archive's parameters are damaged: compile the model again") from None


def _as_bytes(array: np.ndarray) -> np.ndarray:
    return np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.int8)


def _as_array(data: np.ndarray, port: TensorInfo) -> np.ndarray:
    return np.frombuffer(data.tobytes(), dtype=port.dtype).reshape(port.shape).copy()


def run_host(
    archive: ModelArchive, inputs: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, np.ndarray]]:
    """Run the archive's model once for each entry of `inputs`, from its initial state on.

    Raises UserError before anything runs if an entry is not what the model takes.
    """
    check_inputs(archive, inputs)
    program = HostProgram(archive)
    return [program.run(one) for one in inputs]
