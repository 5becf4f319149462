"""A part of a network, from tensors to tensors that the user names.

x -> stem -> backbone -> head -> custom post-processing -> boxes

`outputs` are tensors behind which nothing is computed, `inputs` tensors that the application gives
in place of what computes them.  Everything here is names: a frontend says which tensors each
operator reads and computes, and leaves out what is not of the part.  That happens before anything
is refused, so that what the part leaves out may be anything.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.printable import printable

Names = str | Sequence[str]

_NEAR = 3  # names that a refusal offers
_LONGEST = 80  # characters of a name in a message
_MOST_OUTPUTS = 8  # that a refusal suggests


@dataclass(frozen=True)
class Cut:
    """What the user names; None: the network's own inputs or outputs, or its first signature."""

    inputs: Names | None = None
    outputs: Names | None = None
    signature: str | None = None

    def __bool__(self) -> bool:
        return self.inputs is not None or self.outputs is not None


UNCUT = Cut()


@dataclass(frozen=True)
class NamedGraph:
    """A network as names of tensors.

    `operands` and `results` have an entry an operator, in any order of execution.  `constants` are
    tensors of the file.  `aliases` are other names, of operators, for single tensors.
    """

    operands: Sequence[Sequence[str]]
    results: Sequence[Sequence[str]]
    inputs: Sequence[str]
    outputs: Sequence[str]
    constants: Collection[str] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def makers(self) -> dict[str, int]:
        """The position of the operator that computes each tensor."""
        return {name: i for i, names in enumerate(self.results) for name in names if name}


@dataclass(frozen=True)
class Part:
    """The operators that a cut leaves, in the order of the file, and its inputs and outputs."""

    operators: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def part_of(graph: NamedGraph, cut: Cut, label: str) -> Part:
    """What `cut` leaves of `graph`; `label` names the model in a :class:`UserError`."""
    makers = graph.makers()
    given = _named("--inputs", cut.inputs, graph, makers, label)
    outputs = _named("--outputs", cut.outputs, graph, makers, label)
    wanted = tuple(graph.outputs) if outputs is None else outputs
    ends = set(graph.inputs if given is None else given)
    if outputs is not None:
        for name in outputs:
            if name in ends or name not in makers:
                raise UserError(f"{label}: --outputs names {_shown(name)}, which is an input")
    operators, read = _needed(graph, makers, wanted, ends)
    if given is None:
        inputs = tuple(name for name in graph.inputs if name in read)
        return Part(operators, inputs, wanted)
    idle = [name for name in given if name not in read]
    if idle:
        raise UserError(
            f"{label}: --inputs names {_shown(idle[0])}, on which {_listed(wanted)} does not depend"
        )
    lacking = [name for name in graph.inputs if name in read and name not in ends]
    if lacking:
        raise UserError(
            f"{label}: besides {_listed(given)}, {_listed(wanted)} also depends on the input "
            f"{_shown(lacking[0])}; name it in --inputs, too"
        )
    return Part(operators, given, wanted)


def needed_operators(
    graph: NamedGraph, wanted: Sequence[str], given: Sequence[str]
) -> tuple[tuple[int, ...], set[str]]:
    """Operators that `wanted` needs if `given` are there, and the model's inputs that it reads."""
    operators, read = _needed(graph, graph.makers(), wanted, given)
    return operators, read & set(graph.inputs)


def suggestion(graph: NamedGraph, refused: Collection[int]) -> str:
    """How to compile what does not depend on the operators `refused`: the end of a message.

    "" if that is nothing, or so much that nobody would type it.
    """
    names = _before(graph, refused)
    if not names or len(names) > _MOST_OUTPUTS:
        return ""
    return f"; to compile what comes before: --outputs {shlex.quote(','.join(names))}"


def _before(graph: NamedGraph, refused: Collection[int]) -> list[str]:
    """Tensors that do not depend on refused operators, and that those or the application read."""
    makers, lost = graph.makers(), set(refused)
    waiting = list(refused)
    readers: dict[str, list[int]] = {}
    for position, names in enumerate(graph.operands):
        for name in names:
            readers.setdefault(name, []).append(position)
    while waiting:
        for name in graph.results[waiting.pop()]:
            for reader in readers.get(name, ()):
                if reader not in lost:
                    lost.add(reader)
                    waiting.append(reader)
    read = {name for position in lost for name in graph.operands[position]} | set(graph.outputs)
    kept = [i for i in range(len(graph.results)) if i not in lost]
    found = [name for i in kept for name in graph.results[i] if name in read and name in makers]
    # What is computed from constants alone is no network.
    return [n for n in found if _needed(graph, makers, [n], graph.inputs)[1] & set(graph.inputs)]


def _needed(
    graph: NamedGraph, makers: Mapping[str, int], wanted: Sequence[str], ends: Collection[str]
) -> tuple[tuple[int, ...], set[str]]:
    """Operators that `wanted` needs if `ends` are given, and all tensors that are read."""
    operators: set[int] = set()
    read: set[str] = set(wanted)
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        maker = makers.get(name)
        if name in ends or maker is None or maker in operators:
            continue
        operators.add(maker)
        waiting += [operand for operand in graph.operands[maker] if operand]
        read.update(graph.operands[maker])
    return tuple(sorted(operators)), read


def _named(
    flag: str, names: Names | None, graph: NamedGraph, makers: Mapping[str, int], label: str
) -> tuple[str, ...] | None:
    """The tensors that `names` has; :class:`UserError` for one that there is not."""
    if names is None:
        return None
    known = {*makers, *graph.inputs}
    found = tuple(_split(names, known) if isinstance(names, str) else map(str, names))
    if not found:
        raise UserError(f"{label}: {flag} names nothing; leave it out to keep what the model has")
    for name in found:
        if name in graph.constants and name not in makers:
            raise UserError(
                f"{label}: {flag} names {_shown(name)}, a constant of the file; name a tensor that "
                "is computed"
            )
        if name not in known:
            raise UserError(
                f"{label}: {flag} names {_shown(name)}, which is no tensor of the model; "
                f"{_hint(name, graph, known)}"
            )
        if found.count(name) > 1:
            raise UserError(f"{label}: {flag} names {_shown(name)} twice")
    return found


def _split(names: str, known: Collection[str]) -> Iterator[str]:
    """The names between commas; where a name has commas itself, the longest that is known."""
    parts = [part.strip() for part in names.split(",")]
    while parts:
        lengths = [n for n in range(len(parts), 1, -1) if ",".join(parts[:n]) in known]
        length = lengths[0] if lengths else 1
        name = ",".join(parts[:length])
        if name:
            yield name
        parts = parts[length:]


def _hint(name: str, graph: NamedGraph, known: Collection[str]) -> str:
    if name in graph.aliases:
        return f"what {_shown(name)} computes is {_shown(graph.aliases[name])}"
    near = difflib.get_close_matches(name, [*sorted(known), *graph.aliases], _NEAR, cutoff=0.5)
    tensors = list(dict.fromkeys(graph.aliases.get(each, each) for each in near))
    if not tensors:
        tensors = [each for each in sorted(known) if name.lower() in each.lower()][:_NEAR]
    if tensors:
        return f"near names: {_listed(tensors)}"
    return f"it gives {_listed(graph.outputs[:_NEAR])}"


def _shown(name: str) -> str:
    return repr(printable(name, _LONGEST))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_shown, names))
