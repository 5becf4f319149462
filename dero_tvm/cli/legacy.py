"""Flags of the old tvmc and its pass configuration: accepted as they were meant, or refused.

Scripts written for microTVM pass them.  Each has one meaning here; where that is not what the
script asks for, the refusal says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from dero_tvm.boundary.errors import UserError

_PLANNERS = ("greedy_by_size", "greedy_by_conflicts", "hill_climb")
_OTHER_TARGETS = ("llvm", "cuda", "opencl", "cmsis-nn", "ethos-u")
HOST = "host"  # what c stands for
_TRUE, _FALSE = ["1", "true", "True"], ["0", "false", "False"]
_HELP = "For old scripts."
# Ahead-of-time code without a TVM runtime: flag -> values that mean that, what is said of others.
_KNOWN = {
    "--executor": (["aot"], "only ahead-of-time code is generated here; use --executor aot"),
    "--executor-aot-interface-api": (
        ["c"],
        "the packed interface needs TVM's runtime on the device; use c",
    ),
    "--executor-aot-unpacked-api": (_TRUE, "packed calls need TVM's runtime on the device; use 1"),
    "--runtime": (
        ["crt"],
        "the generated C needs no runtime and never the C++ one; use crt or leave the flag out",
    ),
}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class PassConfig:
    """What the old pass configuration asks of this compiler."""

    external_io: bool | None = None  # None: not mentioned


def legacy_options(function: F) -> F:
    """Adds the flags of the old tvmc; only ``pass_config`` reaches the command, as `PassConfig`."""
    options = [
        click.option(flag, metavar=known[0], help=_HELP, expose_value=False, callback=_check_known)
        for flag, (known, _) in _KNOWN.items()
    ]
    options.append(
        click.option(
            "--pass-config",
            multiple=True,
            metavar="KEY=VALUE",
            help=_HELP,
            callback=lambda ctx, parameter, entries: parse_pass_config(entries),
        )
    )
    for option in reversed(options):
        function = option(function)
    return function


def _check_known(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    flag = parameter.opts[0]
    known, reason = _KNOWN[flag]
    if value is not None and value not in known:
        raise UserError(f"{flag} {value}: {reason}")


def parse_pass_config(entries: Iterable[str]) -> PassConfig:
    """The meaning of ``--pass-config KEY=VALUE`` flags."""
    external_io = None
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals:
            raise UserError(f"--pass-config {entry}: expected KEY=VALUE")
        if key == "tir.usmp.enable":
            if _boolean(key, value) is False:
                click.echo(
                    "tvmc: note: --pass-config tir.usmp.enable=0: memory is always planned here",
                    err=True,
                )
        elif key == "tir.usmp.algorithm":
            # All of these are tried, with exact search beyond them; the best plan is kept.
            if value not in _PLANNERS:
                raise UserError(
                    f"--pass-config {entry}: unknown algorithm (one of {', '.join(_PLANNERS)})"
                )
        elif key == "tir.usmp.use_workspace_io":
            external_io = not _boolean(key, value)
        elif key in ("tir.disable_vectorize", "tir.disable_storage_rewrite"):
            # The generated C is scalar and its buffers are placed by the memory planner.
            _boolean(key, value)
        else:
            known = (
                "tir.usmp.enable, tir.usmp.algorithm, tir.usmp.use_workspace_io, "
                "tir.disable_vectorize, tir.disable_storage_rewrite"
            )
            raise UserError(f"--pass-config {key}: has no meaning here (known: {known})")
    return PassConfig(external_io)


def board_of_target(target: str) -> str:
    """A board's name for a ``--target`` value; TVM's C target strings become the host board."""
    words = target.split()
    if words and words[0] == "c":
        for word in words[1:]:
            if not word.startswith(("-mcpu=", "-model=", "-keys=", "-device=", "-march=")):
                raise UserError(f"--target {target!r}: unknown option {word}")
        return HOST
    if words and words[0].split(",")[0] in _OTHER_TARGETS:
        found = re.search(r"-mcpu=(cortex-m\w+)", target)
        cores = f"tvmc boards --core {found[1]}" if found else "tvmc boards"
        raise UserError(
            f"--target {words[0]}: C for microcontrollers is generated here, with kernels for the "
            f"DSP and Helium instructions of a board's core; give a board (see {cores}), a board "
            "file, or c"
        )
    return target


def _boolean(key: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UserError(f"--pass-config {key}={value}: expected 0 or 1")
