"""What may be asked of a compilation: the same for Python, the command line and every driver.

A new option is a field here, with what the command line says of it and its line in the docstring,
and the place that reads it.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ..boards.board import Board, load_board
from ..boards.memory_size import parse_size
from ..boards.regions import STACK_RESERVE
from ..boundary.errors import UserError
from ..planning.column_windows.grouping import Grouping
from ..planning.problem import Options
from .dero_levels import BARE, Dero, parse_dero

_FLAG = "flag"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Flag:
    """How the command line spells and explains an option."""

    flag: str
    help: str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    names: bool = False  # it stands alone for all, or with a name for some


def _option(default: _T, flag: str, help: str, **shown: Any) -> _T:
    """A field that the command line has, too."""
    return field(default=default, metadata={_FLAG: Flag(flag, help, **shown)})


def ignore_stage(stage: str) -> None:
    """What is called with each stage where nobody wants to know; it has a name to be pickled."""


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """What may be asked of a compilation.

    Parameters
    ----------
    target
        A board's name (see `dero_tvm.list_boards`), the path of a board file, or a `Board`.
    dero
        How far to go: ``none``, ``accumulate``, ``overlap`` or ``stream``, each with those before
        it (see `Dero`).  The smallest plan is taken, the simplest of equal ones.
    memory_budget
        Bytes that the arena may have, everything in it counted, as a number or a text such as
        ``"64KB"`` (65,536 bytes; see `memory_size`).  Instead of the smallest plan, the fastest
        that fits is taken: with `tune` the one with the fewest cycles, or instructions, in QEMU;
        otherwise the one that goes least far and streams the fewest operators.
    max_recompute
        How often a budget may have things made again, as a multiple of the multiply-accumulates
        that are needed: 1.2 allows a fifth more, 1 none.  Only below what streaming needs is
        anything made twice, and with `memory_budget` alone.
    input_shapes
        Shapes by input name, for models whose shapes are symbolic.
    inputs, outputs
        Tensors of the model file, by name, from which and up to which it is compiled: a sequence,
        or a text with commas.  What comes before or behind may be anything.
    signature
        Of a TFLite file with several signatures, the one to compile; the first if None.
    input_layout
        ``model`` keeps the layout of the model file; ``nhwc`` declares four-dimensional NCHW
        inputs channels-last, which saves a transpose on the device.
    integer_io
        A quantized network takes and gives the integers themselves, without conversions from and
        to float.
    keep_inputs
        Inputs still hold their values after a run.
    external_io
        Inputs and outputs lie in the caller's memory, outside the arena.
    stream_input, stream_output
        The application hands over inputs, and takes outputs, one row at a time through functions
        of its own, so that they never lie in memory whole: True for all of them, or their names.
        Needs ``dero="stream"``.
    name
        Module name: ``default`` gives ``tvmgen_default_run``.
    reserve
        Bytes of the board's first memory region that are left to the stack and the application,
        as a number or a text such as ``"4KB"``.
    time_limit
        Seconds that the search for an order and for addresses may take on an ordinary desktop.
        They are counted in steps, so that the result is the same on every machine.
    tune
        Measure the kernels that an operation may have and take the fastest: True keeps the figures
        in the user's own cache, a path in that file (see `dero_tvm.tuning`).  With
        `memory_budget`, so are the plans that fit it, on targets with a Cortex-M core.
    windows
        Groups of operations that are computed in windows of columns, with what two windows need
        made twice (see `Group`); they number the operations of `Candidates.streamed_for_windows`.
        Nothing else is then compared.  Needs ``dero="stream"``.
    dump_ir
        A folder for the module behind each pass, as TVMScript: a new or empty one, or one with an
        earlier dump, which is replaced.
    progress
        Called with the name of each stage as it begins.

    Raises
    ------
    UserError
        If an option has no meaning, or two contradict each other.
    """

    dero: str | Dero = _option(
        BARE,
        "--dero",
        "Save memory, with the same results. accumulate: residuals and concatenations are "
        "written in place; overlap: outputs also go over inputs; stream: blocks also run row by "
        f"row. Without a value: {BARE.value}.",
        metavar=f"[{'|'.join(choice.value for choice in Dero)}]",
    )
    memory_budget: int | str | None = _option(
        None,
        "--memory-budget",
        "Take the fastest plan whose arena has at most SIZE bytes, with everything in it; 64KB "
        "is 65,536 bytes. With --tune, cycles decide which is fastest.",
        metavar="SIZE",
    )
    max_recompute: float | None = _option(
        None,
        "--max-recompute",
        "With --memory-budget: at most RATIO times the multiply-accumulates that are needed, where "
        "only making things twice is small enough; 1 for none made twice.",
        metavar="RATIO",
    )
    target: str | Path | Board = _option(
        "host", "--target", "A board (tvmc boards), a board's .toml file, or c.", metavar="BOARD"
    )
    input_shapes: Mapping[str, tuple[int, ...]] | None = _option(
        None,
        "--input-shapes",
        'Sizes of open inputs, as "x:[1,3,32,32] y:[1,10]".',
        metavar="SHAPES",
    )
    inputs: str | Sequence[str] | None = _option(
        None,
        "--inputs",
        "Compile from these tensors of the model on, which the application then gives.",
        metavar="NAME,...",
    )
    outputs: str | Sequence[str] | None = _option(
        None,
        "--outputs",
        "Compile up to these tensors of the model, before a custom post-processing for example.",
        metavar="NAME,...",
    )
    signature: str | None = _option(
        None,
        "--signature",
        "Of a TFLite file with several signatures, the one to compile; otherwise the first.",
        metavar="KEY",
    )
    input_layout: str = _option(
        "model",
        "--input-layout",
        "nhwc: image inputs are channels-last, which saves transposing them on the device.",
        choices=("model", "nhwc"),
    )
    integer_io: bool = _option(
        False,
        "--integer-io",
        "A quantized network takes and gives the integers, without conversions from float.",
    )
    keep_inputs: bool = _option(
        False, "--keep-inputs", "Inputs still hold their values after a run."
    )
    external_io: bool = _option(
        False, "--external-io", "Inputs and outputs lie in the caller's memory."
    )
    stream_input: bool | Sequence[str] = _option(
        False,
        "--stream-input",
        "The application hands over images one row at a time; needs --dero stream.",
        metavar="[=NAME]",
        names=True,
    )
    stream_output: bool | Sequence[str] = _option(
        False,
        "--stream-output",
        "The application takes outputs one row at a time; needs --dero stream.",
        metavar="[=NAME]",
        names=True,
    )
    name: str = _option(
        "default", "--module-name", "Part of C names: tvmgen_NAME_run.", metavar="NAME"
    )
    reserve: int | str = _option(
        f"{STACK_RESERVE // 1024}KB",
        "--reserve",
        "Of a board's first region: left to the stack and the application.",
        metavar="SIZE",
    )
    time_limit: float = _option(
        20.0,
        "--time-limit",
        "For the search of each memory plan, counted in steps of the search.",
        metavar="SECONDS",
    )
    tune: bool | str | Path = _option(
        False,
        "--tune",
        "Measure the kernels that an operation may have, and the plans within --memory-budget, in "
        "QEMU, and take the fastest.",
    )
    windows: Grouping | None = None
    dump_ir: str | Path | None = _option(
        None,
        "--dump-ir",
        "Write the module behind each pass as TVMScript, and an index of the passes.",
        metavar="DIR",
    )
    progress: Callable[[str], None] = field(default=ignore_stage, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = self.name
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,48}", name):
            raise UserError(  # it stands behind "tvmgen_"
                f"module name {name!r}: use up to 48 letters, digits and underscores, as they "
                "become part of C names"
            )
        seconds = self.time_limit
        if not isinstance(seconds, numbers.Real) or not 0 <= seconds < math.inf:  # nor is it NaN
            raise UserError(f"--time-limit {seconds}: give a number of seconds, 0 or more")
        ratio = self.max_recompute
        if ratio is not None:
            if not isinstance(ratio, numbers.Real) or not 1 <= ratio < math.inf:
                raise UserError(
                    f"--max-recompute {ratio}: give a ratio of 1 or more; 1.2 allows a fifth more "
                    "multiply-accumulates, 1 none"
                )
            if self.memory_budget is None:
                raise UserError(
                    "--max-recompute bounds what --memory-budget may cost: give that, too; nothing "
                    "is made twice without it"
                )
        for option, flag in flags(type(self)).items():
            if flag.choices and getattr(self, option) not in flag.choices:
                raise UserError(
                    f"{flag.flag} {getattr(self, option)}: use one of {', '.join(flag.choices)}"
                )
        for meaning in ("mode", "budget", "reserved", "board"):  # which raise, too
            getattr(self, meaning)
        if (self.stream_input or self.stream_output) and self.mode is not Dero.STREAM:
            raise UserError(
                f"--dero {self.mode.value} keeps every tensor whole; inputs and outputs by rows "
                "(--stream-input, --stream-output) need --dero stream"
            )
        if self.windows and self.mode is not Dero.STREAM:
            raise UserError(
                f"--dero {self.mode.value} keeps every tensor whole; windows of columns need "
                "--dero stream"
            )

    @cached_property
    def mode(self) -> Dero:
        """What `dero` names."""
        return parse_dero(self.dero)

    @cached_property
    def budget(self) -> int | None:
        """Bytes of `memory_budget`."""
        return (
            None
            if self.memory_budget is None
            else parse_size(self.memory_budget, "--memory-budget")
        )

    @cached_property
    def reserved(self) -> int:
        """Bytes of `reserve`."""
        return 0 if self.reserve == 0 else parse_size(self.reserve, "--reserve")

    @property
    def planning(self) -> Options:
        """What of it the memory planner is told."""
        return Options(
            keep_inputs=self.keep_inputs,
            external_io=self.external_io,
            time_limit=self.time_limit,
        )

    @cached_property
    def board(self) -> Board:
        """What `target` names."""
        return self.target if isinstance(self.target, Board) else load_board(str(self.target))


def as_flags(options: CompileOptions, names: Sequence[str]) -> list[str]:
    """What gives the command line these options, where they are not the defaults."""
    known, words = flags(CompileOptions), []
    for name in names:
        value = getattr(options, name)
        if value == getattr(CompileOptions, name):
            continue
        words.append(known[name].flag)
        if isinstance(value, Mapping):
            shapes = (f"{key}:[{','.join(map(str, shape))}]" for key, shape in value.items())
            words.append(" ".join(shapes))
        elif value is not True:
            words.append(str(value) if isinstance(value, (str, int, float)) else ",".join(value))
    return words


def flags(options: type[CompileOptions]) -> dict[str, Flag]:
    """How the command line has each field; those that it has not are left out."""
    return {
        entry.name: entry.metadata[_FLAG] for entry in fields(options) if _FLAG in entry.metadata
    }
