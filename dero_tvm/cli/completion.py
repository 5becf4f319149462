"""``tvmc completion``, and what completes the values of options."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from dero_tvm.boards.board import FEATURES, list_boards, load_board
from dero_tvm.boundary.errors import UserError

from .command import Command

_VARIABLE = "_TVMC_COMPLETE"  # by which the shell's function asks `tvmc` for completions


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print what completes commands, flags, boards and devices in SHELL.

    \b
    Examples:
      eval "$(tvmc completion bash)"     in ~/.bashrc
      eval "$(tvmc completion zsh)"      in ~/.zshrc
      tvmc completion fish > ~/.config/fish/completions/tvmc.fish
    """  # noqa: D301 (click reads the escape)
    completion = get_completion_class(shell)
    assert completion is not None
    # The class would run bash to ask for its version; the script works from 4.4 on.
    script = completion(ctx.find_root().command, {}, "tvmc", _VARIABLE)
    click.echo(script.source_template % script.source_vars())


def complete_target(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Boards by name, or the path of a board's file."""
    found = [CompletionItem(name) for name in list_boards() if name.startswith(start)]
    return found or [CompletionItem(start, type="file")]


def complete_device(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """What ``--device`` knows."""
    return [CompletionItem(name) for name in _devices() if name.startswith(start)]


def _devices() -> list[str]:
    emulated = []
    for name in list_boards():
        try:
            if load_board(name).qemu:
                emulated.append(f"qemu:{name}")
        except UserError:  # a completion does not complain
            continue
    return ["host", "host-c", *emulated]


def complete_board(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """As `complete_target`, without this machine, which is no board."""
    return [item for item in complete_target(ctx, param, start) if item.value != "host"]


def complete_core(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Cores that some board has."""
    cores = sorted({load_board(name).core for name in list_boards()} - {"host"})
    return [CompletionItem(core) for core in cores if core.startswith(start)]


def complete_feature(
    ctx: click.Context, param: click.Parameter, start: str
) -> list[CompletionItem]:
    """Features that a board can have."""
    return [CompletionItem(feature) for feature in FEATURES if feature.startswith(start)]
