"""The table of kernel generators: operator, features of the core, generator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from dero_tvm.boards.board import ONE_PIPE
from relax_passes.operators import OperatorClass, Signature, implementation, operator_of

from .c_kernel import SUPPORT, CKernel, Generator, Request
from .support import ROUNDS, includes


@dataclass(frozen=True)
class Entry:
    """A generator for operations of one operator on cores that have all of `features`."""

    operator: str  # as in a signature: dero.conv2d
    features: frozenset[str]
    classes: frozenset[OperatorClass] | None  # None: all of the operator's
    generator: Generator

    def serves(self, signature: Signature, features: Collection[str]) -> bool:
        """True if the generator is worth asking."""
        if signature.operator != self.operator or not self.features <= set(features):
            return False
        operator = implementation(signature)
        return self.classes is None or operator.operator_class(signature) in self.classes


_ENTRIES: list[Entry] = []


def register_kernel(
    operator: str,
    *,
    features: Collection[str] = (),
    classes: Collection[OperatorClass] | None = None,
) -> Callable[[Generator], Generator]:
    """Decorator that enters a generator for `operator`, a name such as ``conv2d``.

    It is asked for operations on boards that have all of `features`, limited to `classes` if
    given.  Of several generators with an answer, the one registered last is taken: a program's own
    kernels go before those of the package.

    Raises ValueError if there is no such operator.
    """
    name = f"dero.{operator}"
    if operator_of(name) is None:
        raise ValueError(f"no operator {operator!r} to register a kernel for")

    def enter(generator: Generator) -> Generator:
        wanted = None if classes is None else frozenset(classes)
        _ENTRIES.append(Entry(name, frozenset(features), wanted, generator))
        return generator

    return enter


def unregister_kernel(generator: Generator) -> None:
    """Take a generator out of the table, from all places where it stands."""
    _ENTRIES[:] = [entry for entry in _ENTRIES if entry.generator is not generator]


def registered() -> Iterator[Entry]:
    """The entries in the order in which they are asked: the last registered first."""
    return iter(tuple(reversed(_ENTRIES)))


def candidates(request: Request) -> Iterator[CKernel]:
    """All kernels that generators offer for a request, the preferred one first."""
    for entry in registered():
        if entry.serves(request.signature, request.features):
            kernel = entry.generator(request)
            if kernel is not None:
                kernel = _with_roundings(kernel)
                yield _for_one_pipe(kernel) if ONE_PIPE in request.features else kernel


def candidates_of_part(request: Request, part: Signature) -> Iterator[CKernel]:
    """All kernels for an operation that is a part of the one of `request`, with its constants."""
    operator = implementation(part)
    operator_class = operator.operator_class(part)
    return candidates(replace(request, signature=part, operator_class=operator_class))


def _with_roundings(kernel: CKernel) -> CKernel:
    """The same with all ways of rounding, if its C rounds and its generator does not say how."""
    said = any(file.name.startswith(ROUNDS) for file in kernel.support)
    if said or not includes(kernel.support, "requantize.h"):
        return kernel
    return replace(kernel, support=(*sorted(SUPPORT.glob(f"{ROUNDS}*.h")), *kernel.support))


def _for_one_pipe(kernel: CKernel) -> CKernel:
    """The same with the file before its own that says so: its text has the loops of both kinds."""
    if not kernel.support:
        return kernel
    return replace(kernel, support=(SUPPORT / "one_pipe.h", *kernel.support))
