"""Kinds of options and arguments that commands have in common, and the line on files written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from dero_tvm.boundary.printable import printable

F = TypeVar("F", bound=Callable[..., Any])


def file_argument(name: str, **settings: Any) -> Callable[[F], F]:
    """An argument that is a path."""
    return click.argument(name, type=click.Path(path_type=Path), **settings)


def file_option(*names: str, help: str, metavar: str = "FILE", **settings: Any) -> Callable[[F], F]:
    """An option that takes a path."""
    kind = click.Path(path_type=Path)
    return click.option(*names, metavar=metavar, type=kind, help=help, **settings)


def choice_option(*names: str, choices: tuple[str, ...], help: str) -> Callable[[F], F]:
    """An option that takes one of some words, left out the first of them."""
    kind = click.Choice(choices)
    return click.option(*names, type=kind, default=choices[0], show_default=True, help=help)


def count_option(
    name: str, *, default: int, help: str, least: int = 0, most: int | None = None
) -> Callable[[F], F]:
    """An option that takes a whole number."""
    kind = click.IntRange(least, most)
    return click.option(name, metavar="N", type=kind, default=default, show_default=True, help=help)


def say_written(console: Console, *paths: Path | None) -> None:
    """A line for each file that was written; None is one that was not asked for."""
    for path in filter(None, paths):
        line = f"wrote {printable(str(path))}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
