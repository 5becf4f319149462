"""Flags of the old tvmc that ask for nothing here: taken, and named in one note.

Scripts for microTVM pass them, and programs that drive tvmc do.  What they describe is done anyway,
or has no counterpart that could change the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import click

from dero_tvm.boundary.printable import printable

from .command import Command


@dataclass(frozen=True)
class OldFlag:
    """What follows a flag, as an expression for each of its words, and why it has no effect."""

    reason: str
    value: str | None = r".+"  # None: nothing follows
    many: bool = False  # any number of such words, one at least


_NO_REGISTRY = "there is no registry of functions"
_BOARD = "the board decides: --target BOARD"
_RPC = "boards are reached by --device serial:PORT"
_POOL = "regions are filled in the order of --workspace-pools"

COMPILE = {
    "--opt-level": OldFlag("code is always optimized"),
    "--disabled-pass": OldFlag("Relay's passes do not run"),
    "--desired-layout": OldFlag("layouts are chosen", r"[A-Z]\w*(:\w+)?|default", many=True),
    "--desired-layout-ops": OldFlag("layouts are chosen", r"[a-z_][\w]*(\.\w+)*", many=True),
    "--model-format": OldFlag("the file's content tells"),
    "--runtime-crt-system-lib": OldFlag(_NO_REGISTRY),
    "--runtime-cpp-system-lib": OldFlag(_NO_REGISTRY),
    "--executor-aot-link-params": OldFlag("weights are always linked"),
    "--executor-graph-link-params": OldFlag("weights are always linked"),
    "--executor-aot-workspace-byte-alignment": OldFlag("arenas are aligned for all they hold"),
    "--executor-aot-constant-byte-alignment": OldFlag("constants are aligned for their types"),
    "--target-c-constants-byte-alignment": OldFlag("constants are aligned for their types"),
    "--target-c-workspace-byte-alignment": OldFlag("arenas are aligned for all they hold"),
    "--target-c-*": OldFlag(_BOARD),
    "--target-cmsis-nn-*": OldFlag(_BOARD),
    "--target-ethos-u-*": OldFlag("nothing is handed to an NPU"),
    "--target-llvm-*": OldFlag(_BOARD),
    "--tuning-records": OldFlag("--tune measures kernels"),
    "--dump-code": OldFlag("the archive has the C, --dump-ir writes the modules"),
    "--cross-compiler": OldFlag("C is generated"),
    "--cross-compiler-options": OldFlag("C is generated"),
    "--workspace-pools-target-access": OldFlag(_POOL),
    "--workspace-pools-target-burst-bytes": OldFlag(_POOL),
    "--workspace-pools-clock-frequency-hz": OldFlag(_POOL),
    "--workspace-pools-*": OldFlag(_POOL),
}
"""Those of ``tvmc compile``; a star stands for the rest of a name."""

RUN = {
    "--print-time": OldFlag("instructions are always counted where that is possible", None),
    "--end-to-end": OldFlag("inputs are always copied", None),
    "--benchmark": OldFlag("--profile measures", None),
    "--repeat": OldFlag("instructions are the same in every run"),
    "--number": OldFlag("instructions are the same in every run"),
    "--rpc-*": OldFlag(_RPC),
    "--project-option": OldFlag(_RPC, r"\w+=.*", many=True),
}
"""Those of ``tvmc run``."""

MICRO = {
    "--template-dir": OldFlag("projects are of three kinds"),
    "--list-options": OldFlag("there are no options of a platform", None),
}
"""Those of ``tvmc micro``; options of projects are read where they mean something."""


class OldCommand(Command):
    """A command that takes flags of the old tvmc."""

    old_flags: ClassVar[Mapping[str, OldFlag]] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for parameter in self.params for name in parameter.opts}
        args, taken = without_old_flags(args, self.old_flags, own)
        if taken and not ctx.resilient_parsing:
            said = "; ".join(f"{' '.join(words)} ({reason})" for words, reason in taken)
            click.echo(f"tvmc: note: without effect here: {printable(said)}", err=True)
        return super().parse_args(ctx, args)


class OldCompile(OldCommand):
    """``tvmc compile``."""

    old_flags = COMPILE


class OldRun(OldCommand):
    """``tvmc run``."""

    old_flags = RUN


def without_old_flags(
    args: Sequence[str], known: Mapping[str, OldFlag], own: set[str]
) -> tuple[list[str], list[tuple[list[str], str]]]:
    """`args` without flags of the old tvmc, and those flags with their values and reasons.

    `own` are the command's own options, which no star stands for.
    """
    left: list[str] = []
    taken: list[tuple[list[str], str]] = []
    position = 0
    while position < len(args):
        word = args[position]
        position += 1
        if word == "--":
            return [*left, *args[position - 1 :]], taken
        name, equals, _ = word.partition("=")
        flag = None if name in own else _flag_of(name, known)
        if flag is None:
            left.append(word)
            continue
        words = [word]
        while flag.value and not equals and position < len(args):
            if not _follows(flag, args[position], first=len(words) == 1):
                break
            words.append(args[position])
            position += 1
            if not flag.many:
                break
        taken.append((words, flag.reason))
    return left, taken


def _flag_of(name: str, known: Mapping[str, OldFlag]) -> OldFlag | None:
    """The flag of that name, or the longest family that it belongs to."""
    if name in known:
        return known[name]
    families = [key for key in known if key.endswith("*") and name.startswith(key[:-1])]
    return known[max(families, key=len)] if families else None


def _follows(flag: OldFlag, word: str, *, first: bool) -> bool:
    """Whether a word belongs to the flag; the first does in any case unless it is a flag itself."""
    if word.startswith("--") or flag.value is None:
        return False
    return (first and not flag.many) or re.fullmatch(flag.value, word) is not None
