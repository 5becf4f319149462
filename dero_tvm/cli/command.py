"""What all commands share: ``--debug``, the width of help, and ``--dero`` without a value."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dero_tvm.boundary.plugins import load_plugin
from dero_tvm.driver.dero_levels import BARE, Dero

SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": min(shutil.get_terminal_size().columns, 100),
}


ALL = ""
"""The value of a `NamesOption` that stands alone."""


class NamesOption(click.Option):
    """``--flag`` for all of something, or ``--flag=NAME``, also repeated, for some of it.

    A name is never a word of its own, so that ``--flag model.onnx`` is the flag and a model.
    """

    def type_cast_value(self, ctx: click.Context, value: Any) -> bool | tuple[str, ...]:
        names: tuple[str, ...] = super().type_cast_value(ctx, value)
        return True if ALL in names else names


class Command(click.Command):
    """A command of ``tvmc``."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.context_settings = SETTINGS
        self.params.append(plugin_option())
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,  # read from the arguments, as errors come before options
                help="Show the traceback of an error (also: TVMC_DEBUG=1).",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any("--dero" in parameter.opts for parameter in self.params):
            args = complete_dero(args)
        for parameter in self.params:
            if isinstance(parameter, NamesOption):
                args = [f"{word}={ALL}" if word in parameter.opts else word for word in args]
        return super().parse_args(ctx, args)


def plugin_option() -> click.Option:
    """``--plugin MODULE``, which imports the module before anything else is read."""
    return click.Option(
        ["--plugin"],
        multiple=True,
        metavar="MODULE",
        is_eager=True,
        expose_value=False,
        callback=_load_plugins,
        help="Import a module that adds boards, operators, kernels or model formats. May be "
        "repeated; installed plug-ins need no option.",
    )


def _load_plugins(ctx: click.Context, parameter: click.Parameter, modules: Sequence[str]) -> None:
    for module in modules if not ctx.resilient_parsing else ():
        load_plugin(module)


def complete_dero(args: list[str]) -> list[str]:
    """`args` with a value behind every ``--dero`` that stands alone."""
    completed: list[str] = []
    for index, word in enumerate(args):
        if word == "--":
            return completed + args[index:]
        completed.append(word)
        following = args[index + 1] if index + 1 < len(args) else None
        if word == "--dero" and (following is None or not _is_choice(following)):
            completed.append(BARE.value)
    return completed


def _is_choice(text: str) -> bool:
    """True for a word that can only be meant as a choice, known or not: no flag, no file name."""
    if text in [choice.value for choice in Dero]:
        return True
    return text.isalpha() and not Path(text).exists()
