"""The options that choose among boards: of ``tvmc boards`` and ``tvmc fit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dero_tvm.boards.board_filter import BoardFilter
from dero_tvm.boards.memory_size import parse_size

from .completion import complete_core, complete_feature

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--core",
        multiple=True,
        shell_complete=complete_core,
        metavar="CORE",
        help="With this core: cortex-m7. May be repeated.",
    ),
    click.option(
        "--feature",
        multiple=True,
        shell_complete=complete_feature,
        metavar="NAME",
        help="With all of these: fpu, fpu-double, dsp, mve.",
    ),
    click.option("--min-ram", metavar="SIZE", help="With at least so much RAM: 256KB."),
    click.option("--min-flash", metavar="SIZE", help="With at least so much flash: 1MB."),
)


def board_filter_options(function: F) -> F:
    """Adds ``--core``, ``--feature``, ``--min-ram`` and ``--min-flash``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def board_filter(
    core: tuple[str, ...], feature: tuple[str, ...], min_ram: str | None, min_flash: str | None
) -> BoardFilter:
    """What these options ask for."""
    return BoardFilter(
        cores=core,
        features=feature,
        min_ram=parse_size(min_ram, "--min-ram") if min_ram else 0,
        min_flash=parse_size(min_flash, "--min-flash") if min_flash else 0,
    )
