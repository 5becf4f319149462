"""Options that several commands have alike: how a model is read, planned and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def input_shapes_option(remark: str = "") -> Callable[[F], F]:
    """``--input-shapes``; `remark` says when it holds, with a space behind it."""
    return click.option(
        "--input-shapes",
        metavar="SHAPES",
        help=f'{remark}Sizes of open inputs, as "x:[1,3,32,32] y:[1,10]".',
    )


def input_layout_option(remark: str = "") -> Callable[[F], F]:
    """``--input-layout``."""
    return click.option(
        "--input-layout",
        type=click.Choice(["model", "nhwc"]),
        default="model",
        show_default=True,
        help=f"{remark}nhwc: image inputs are channels-last, which saves transposing them on the "
        "device.",
    )


def integer_io_option(remark: str = "") -> Callable[[F], F]:
    """``--integer-io``."""
    return click.option(
        "--integer-io",
        is_flag=True,
        help=f"{remark}A quantized network takes and gives the integers, without conversions from "
        "float.",
    )


def reserve_option(region: str) -> Callable[[F], F]:
    """``--reserve``; `region` says of what."""
    return click.option(
        "--reserve",
        metavar="SIZE",
        default="8KB",
        show_default=True,
        help=f"Of {region}: left to the stack and the application.",
    )


class Seconds(click.FloatRange):
    """A number of seconds, up to some months: clocks count no further."""

    def __init__(self, *, min_open: bool = False) -> None:
        super().__init__(min=0, max=1e7, min_open=min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if seconds != seconds:  # NaN, which is in every range
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


time_limit_option = click.option(
    "--time-limit",
    metavar="SECONDS",
    type=Seconds(),
    default=20.0,
    show_default=True,
    help="For the search of each memory plan, counted in steps of the search.",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No table, no progress.")
