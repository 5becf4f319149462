"""Options that several commands have: those for the fields of `CompileOptions`, and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from dero_tvm.driver.options import CompileOptions, flags

from .command import NamesOption
from .completion import complete_target
from .legacy import board_of_target
from .shapes import parse_input_shapes

F = TypeVar("F", bound=Callable[..., Any])

FLAGS = flags(CompileOptions)
"""Of each field that the command line has: how."""

_DEFAULTS = {field.name: field.default for field in fields(CompileOptions)}
_COMPLETED = {"target": complete_target}
_READ: dict[str, Callable[[Any], Any]] = {
    "input_shapes": parse_input_shapes,
    "target": lambda text: None if text is None else board_of_target(text),
}


def model_option(name: str, remark: str = "", **settings: Any) -> Callable[[F], F]:
    """The option for the field `name`, whose value the command gets under that name.

    `remark` stands before its help.  `settings` are those of `click.option` that differ.
    """
    flag, default = FLAGS[name], _DEFAULTS[name]
    found: dict[str, Any] = {"help": remark + flag.help, "metavar": flag.metavar}
    if flag.names:
        found |= {"cls": NamesOption, "multiple": True}
    elif default is False:
        found |= {"is_flag": True}
    else:
        found |= {"default": default, "show_default": default is not None}
    if flag.choices:
        found["type"] = click.Choice(flag.choices)
    elif flag.metavar == "DIR":
        found["type"] = click.Path(path_type=Path)
    elif flag.metavar == "RATIO":
        found["type"] = click.FLOAT
    elif isinstance(default, float):
        found["type"] = Seconds()
    if name in _COMPLETED:
        found["shell_complete"] = _COMPLETED[name]
    if name in _READ:
        found["callback"] = lambda ctx, parameter, value: _READ[name](value)
    return click.option(flag.flag, name, **{**found, **settings})


def model_options(*names: str) -> Callable[[F], F]:
    """The options for several fields, as they are everywhere."""

    def decorated(function: F) -> F:
        for name in reversed(names):
            function = model_option(name)(function)
        return function

    return decorated


def dero_option(*, default: str | None, remark: str) -> Callable[[F], F]:
    """The option ``--dero``; `remark` says what holds where it is left out."""
    text = f"{FLAGS['dero'].help} {remark}"
    return model_option("dero", default=default, show_default=False, help=text)


class Seconds(click.FloatRange):
    """A number of seconds, up to some months: clocks count no further."""

    def __init__(self, *, min_open: bool = False) -> None:
        super().__init__(min=0, max=1e7, min_open=min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if seconds != seconds:  # NaN, which is in every range
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


quiet_option = click.option("-q", "--quiet", is_flag=True, help="No table, no progress.")
