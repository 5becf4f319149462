"""One request with more than one kernel, and what it is filed under."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from dero_tvm.boards.board import Board
from dero_tvm.kernels import CKernel, Request, candidates
from dero_tvm.kernels.support import support_code
from relax_passes.operators import TensorSpec

PORTABLE = "portable"


@dataclass(frozen=True, eq=False)
class Trial:
    """A request and the kernels that compete for it, the default first; None: the portable one."""

    request: Request
    kernels: tuple[CKernel | None, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the kernels, as reports call them."""
        return tuple(kernel.name if kernel else PORTABLE for kernel in self.kernels)

    @property
    def described(self) -> str:
        """The operator and its shapes."""
        s = self.request.signature
        operands = ", ".join(_shape(spec) for spec in s.inputs[:2])
        return f"{s.operator.split('.')[-1]}: {operands} -> {_shape(s.output)}"


def trial_of(request: Request) -> Trial | None:
    """What competes for a request; None if nothing but the portable kernel does."""
    kernels = tuple(candidates(request))
    return Trial(request, (*kernels, None)) if kernels else None


def key_of(trial: Trial, board: Board) -> str:
    """What a trial's figures depend on, as a digest.

    That is the operation with its constants, the text and the constants of each kernel, the
    board's core and compiler flags, and the version of this package, which has the portable
    kernels.  Not the compiler's version.
    """
    request = trial.request
    digest = hashlib.sha256()
    parts = [version("dero-tvm"), board.core, *board.flags]
    parts += [repr(request.signature), repr(request.state)]
    _add(digest, parts)
    _add_arrays(digest, request.constants)
    for kernel in trial.kernels:
        if kernel is None:
            _add(digest, [PORTABLE])
            continue
        support = support_code(kernel.support)
        _add(digest, [kernel.name, kernel.qualifiers, kernel.body, str(kernel.scratch), *support])
        _add_arrays(digest, kernel.constants)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, texts: Sequence[str]) -> None:
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)


def _add_arrays(digest: hashlib._Hash, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        _add(digest, [name, str(array.dtype), str(array.shape)])
        digest.update(np.ascontiguousarray(array).tobytes())


def _shape(spec: TensorSpec) -> str:
    return f"{'x'.join(map(str, spec.shape)) or 'scalar'} {spec.dtype}"
