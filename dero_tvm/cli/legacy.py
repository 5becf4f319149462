"""Flags of the old tvmc and its pass configuration: accepted as they were meant, or refused.

Scripts written for microTVM pass them.  Each has one meaning here; where that is not what the
script asks for, the refusal says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dero_tvm.boundary.errors import UserError

_PLANNERS = ("greedy_by_size", "greedy_by_conflicts", "hill_climb")
_TRUE, _FALSE = ("1", "true", "True"), ("0", "false", "False")


@dataclass(frozen=True)
class PassConfig:
    """What the old pass configuration asks of this compiler."""

    external_io: bool | None = None  # None: not mentioned


def check_executor(
    executor: str | None, interface_api: str | None, unpacked_api: str | None, runtime: str | None
) -> None:
    """Raises UserError unless the flags describe ahead-of-time code without a TVM runtime."""
    if executor not in (None, "aot"):
        raise UserError(
            f"--executor {executor}: only ahead-of-time code is generated here; use --executor aot"
        )
    if interface_api not in (None, "c"):
        raise UserError(
            f"--executor-aot-interface-api {interface_api}: the packed interface needs TVM's "
            "runtime on the device; use c"
        )
    if unpacked_api is not None and unpacked_api not in _TRUE:
        raise UserError(
            f"--executor-aot-unpacked-api {unpacked_api}: packed calls need TVM's runtime on the "
            "device; use 1"
        )
    if runtime not in (None, "crt"):
        raise UserError(
            f"--runtime {runtime}: the generated C needs no runtime and never the C++ one; use crt "
            "or leave the flag out"
        )


def parse_pass_config(entries: Iterable[str]) -> PassConfig:
    """The meaning of ``--pass-config KEY=VALUE`` flags."""
    external_io = None
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals:
            raise UserError(f"--pass-config {entry}: expected KEY=VALUE")
        if key == "tir.usmp.enable":
            if _boolean(key, value) is False:
                raise UserError(
                    "--pass-config tir.usmp.enable=0: memory is always planned here; leave it out"
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
        return "host"
    if words and words[0].split(",")[0] in ("llvm", "cuda", "opencl", "cmsis-nn", "ethos-u"):
        raise UserError(
            f"--target {words[0]}: C for microcontrollers is generated here; give a board (see "
            "tvmc boards), a board file, or c"
        )
    return target


def _boolean(key: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UserError(f"--pass-config {key}={value}: expected 0 or 1")
