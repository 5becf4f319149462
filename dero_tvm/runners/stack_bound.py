"""How much stack a function of a linked Arm program can take at most, with all that it calls.

A frame is what gcc states with `-fstack-usage`, and what the instructions take from the stack
pointer if that is more; of the C library's functions only the instructions are known.  Which
function calls which is read from the instructions too: so calls count that the compiler adds by
itself, such as those of memcpy and of floating-point arithmetic.  A call by a pointer may be of any
callback, and of any function that nothing calls by its name.  The deepest path through this graph
is the bound.  It holds without interrupts, which have a stack of their own on most systems.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx

from .process import find_tool, output_of

PACKAGES = "binutils-arm-none-eabi"

_SYMBOL = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_INSTRUCTION = re.compile(r"^ *[0-9a-f]+:\t([a-z0-9.]+)\t?([^@]*)")
_TARGET = re.compile(r"<([^+>]+)(?:\+0x[0-9a-f]+)?>")
_STORED = re.compile(r"\[sp, #-(\d+)\]!")
_POPPED = re.compile(r"\{.*\bpc\}|^pc, \[sp\], #")
_SUBTRACTED = re.compile(r"^sp, (?:sp, )?#(\d+)")
_IF = "(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)?"
_BRANCH = re.compile(rf"bl?{_IF}(\.[nw])?|cbn?z")
_BRANCH_BY_REGISTER = re.compile(rf"bl?x(ns)?{_IF}(\.[nw])?")
_VENEER = re.compile(r"__(.+)_veneer")  # the linker's, to a function too far away for a branch


class NoBound(Exception):
    """Why there is no bound."""


@dataclass(frozen=True)
class StackBound:
    """Bytes, and the calls that take them: each function with its frame."""

    bytes: int
    path: tuple[tuple[str, int], ...]


@dataclass
class _Function:
    frame: int = 0
    calls: set[str] = field(default_factory=set)
    calls_by_pointer: bool = False
    moves_pointer: bool = False  # by an amount that is not in the instruction
    ends: bool = False  # the last instruction leaves it
    next: str | None = None  # the function behind it


def stack_bound(program: Path, root: str, callbacks: Path | None = None) -> StackBound:
    """The most that the function `root` of a linked `program` takes, in bytes.

    program: in a folder with the files that gcc wrote with `-fstack-usage`.
    callbacks: the one of these with the functions that may be called by a pointer.

    Raises `NoBound` at recursion and at frames whose size is not known.
    """
    tool = find_tool(["arm-none-eabi-objdump"], PACKAGES)
    listing = output_of([tool, "-d", "--no-show-raw-insn", str(program)], program.parent)
    stated: dict[str, int] = {}
    for path in sorted(program.parent.glob("*.su")):
        for name, size in _stated(path).items():
            stated[name] = max(size, stated.get(name, 0))
    by_pointer = set(_stated(callbacks)) - {root} if callbacks else set()
    functions = _functions(listing)
    return _bound(functions, root, stated, by_pointer | _handed_over(functions, root, stated))


def _handed_over(
    functions: Mapping[str, _Function], root: str, stated: Mapping[str, int]
) -> set[str]:
    """The functions of the program that nothing calls by name: their addresses were taken.

    Left out are those that lead to `root`, which begin the program, or to a call by a pointer.
    """
    graph = nx.DiGraph((name, other) for name, one in functions.items() for other in one.calls)
    graph.add_nodes_from((*functions, root))
    leading = {root, *(name for name, one in functions.items() if one.calls_by_pointer)}
    leading |= {name for last in tuple(leading) for name in nx.ancestors(graph, last)}
    return {
        name
        for name in functions
        if name in stated and name not in leading and not graph.in_degree(name)
    }


def _bound(
    functions: Mapping[str, _Function], root: str, stated: Mapping[str, int], callbacks: set[str]
) -> StackBound:
    graph = nx.DiGraph()
    waiting = [root]
    frames: dict[str, int] = {}
    while waiting:
        name = waiting.pop()
        if name in frames:
            continue
        if name not in functions:
            raise NoBound(f"the code of {name} is not in the program")
        function = functions[name]
        if function.moves_pointer and name not in stated:
            raise NoBound(f"{name} takes as much stack as it computes")
        frames[name] = max(function.frame, stated.get(name, 0))
        called = set(function.calls)
        if name not in stated and not function.ends and function.next:
            called.add(function.next)  # parts of the C library's assembly share their ends
        if function.calls_by_pointer:
            if not callbacks:
                raise NoBound(f"{name} calls by a pointer")
            called |= callbacks
        graph.add_node(name)
        graph.add_edges_from((name, other) for other in called)
        waiting.extend(called)
    return _deepest(graph, root, frames)


def _deepest(graph: nx.DiGraph, root: str, frames: Mapping[str, int]) -> StackBound:
    try:
        order = list(nx.topological_sort(graph))
    except nx.NetworkXUnfeasible:
        cycle = " -> ".join(caller for caller, _ in nx.find_cycle(graph))
        raise NoBound(f"there is recursion: {cycle}") from None
    below: dict[str, tuple[int, tuple[tuple[str, int], ...]]] = {}
    for name in reversed(order):
        size, path = max((below[other] for other in graph[name]), default=(0, ()))
        below[name] = size + frames[name], ((name, frames[name]), *path)
    return StackBound(*below[root])


def _stated(path: Path) -> dict[str, int]:
    """Function -> bytes, of a file with lines such as ``model.c:7:5:run  16  static``."""
    found: dict[str, int] = {}
    for line in path.read_text().splitlines():
        place, size, kind = line.split("\t")
        name = place.rsplit(":", 1)[1]
        if kind != "static":
            raise NoBound(f"{name} has a frame of no fixed size ({kind})")
        found[name] = max(int(size), found.get(name, 0))
    return found


def _functions(listing: str) -> dict[str, _Function]:
    """The functions in what objdump prints."""
    functions: dict[str, _Function] = {}
    name, before = "", None
    for line in listing.splitlines():
        if symbol := _SYMBOL.match(line):
            name = symbol[1]
            if before is not None:
                before.next = name
            before = functions.setdefault(name, _Function())
        elif before is not None and (instruction := _INSTRUCTION.match(line)):
            _read(before, name, instruction[1], instruction[2].strip())
    return functions


def _read(function: _Function, name: str, operation: str, operands: str) -> None:
    """Add one instruction to `function`."""
    if operation.startswith(".") or operation.startswith("nop"):
        return  # data and padding behind the last instruction
    plain = operation.split(".")[0]
    target = _TARGET.search(operands)
    returns = _POPPED.search(operands) is not None
    to_pc = operands.startswith("pc,") and not returns
    if plain in ("push", "vpush") or (operands.startswith("sp!") and "db" in plain):
        function.frame += _bytes_of(operands)
    elif stored := _STORED.search(operands):
        function.frame += int(stored[1])
    elif subtracted := plain in ("sub", "subw") and _SUBTRACTED.match(operands):
        function.frame += int(subtracted[1])
    elif re.match(r"sp, (sp, )?[^s#]", operands) and not plain.startswith(("ldr", "str", "cmp")):
        function.moves_pointer = True
    elif _BRANCH.fullmatch(operation) and target:
        if target[1] != name:
            function.calls.add(target[1])
    elif to_pc and (veneer := _VENEER.fullmatch(name)):
        function.calls.add(veneer[1])
    elif to_pc or (_BRANCH_BY_REGISTER.fullmatch(operation) and operands != "lr"):
        function.calls_by_pointer = True
    function.ends = plain in ("b", "bx", "udf") or to_pc or returns


def _bytes_of(operands: str) -> int:
    """What registers in braces take: ``{r4, lr}`` 8, ``{d8-d10}`` 24."""
    return sum(_widths(operands[operands.index("{") + 1 : operands.index("}")].split(", ")))


def _widths(registers: Iterable[str]) -> Iterator[int]:
    for register in registers:
        width = {"d": 8, "q": 16}.get(register[0], 4)
        first, _, last = register.partition("-")
        yield width * (int(last[1:]) - int(first[1:]) + 1 if last else 1)
