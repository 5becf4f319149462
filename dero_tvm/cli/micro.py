"""``tvmc micro``: projects for microcontrollers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import click

from dero_tvm.aot.archive import load_archive
from dero_tvm.boards.board import load_board
from dero_tvm.boards.old_names import board_called
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.printable import printable
from dero_tvm.projects import KINDS, create_project
from dero_tvm.projects.platform_tools import build, flash, kind_of

from .command import SETTINGS
from .completion import complete_board
from .console import stdout_console
from .old_flags import MICRO, OldCommand

_TEMPLATE = "template"
_OPTION = re.compile(r"\w+=.*", re.DOTALL)


class _Micro(OldCommand):
    """A command whose ``--project-option`` may be followed by several, as microTVM's could."""

    old_flags = MICRO

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spelled: list[str] = []
        inside = False
        for word in args:
            inside = word == "--project-option" or (inside and bool(_OPTION.fullmatch(word)))
            if inside and _OPTION.fullmatch(word) and spelled[-1:] != ["--project-option"]:
                spelled.append("--project-option")
            spelled.append(word)
        return super().parse_args(ctx, spelled)


class _MicroGroup(click.Group):
    """The group, with the short name that microTVM had for one of its commands."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, "create-project" if name == "create" else name)


_project_options = click.option(
    "--project-option", multiple=True, metavar="OPTION=VALUE", help="For old scripts."
)
_force = click.option("-f", "--force", is_flag=True, help="Over what is there already.")


@click.group("micro", cls=_MicroGroup, context_settings=SETTINGS, no_args_is_help=True)
def micro_command() -> None:
    """Make, build and flash projects for microcontrollers."""


@micro_command.command("create-project", cls=_Micro)
@click.argument(
    "kind",
    metavar=f"[{'|'.join(KINDS)}]",
    shell_complete=lambda ctx, parameter, start: [k for k in KINDS if k.startswith(start)],
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("archive", type=click.Path(path_type=Path))
@click.option(
    "--board",
    metavar="BOARD",
    shell_complete=complete_board,
    help="A board (tvmc boards) or its .toml file.",
)
@_force
@click.option(
    "--other-core", is_flag=True, help="Even with kernels for a core with more than the board's."
)
@_project_options
def create_project_command(
    kind: str,
    folder: Path,
    archive: Path,
    board: str | None,
    force: bool,
    other_core: bool,
    project_option: tuple[str, ...],
) -> None:
    """Write a complete project around ARCHIVE, which tvmc compile wrote, into a new FOLDER.

    zephyr: an application, with the network as a module; arduino: a sketch; cmake: a program for
    the bare board, built with arm-none-eabi-gcc. Each serves the network to a host, which sends
    inputs and gets outputs.

    \b
    Examples:
      tvmc micro create-project zephyr app/ model.tar --board nrf52840dk
      tvmc micro create-project cmake app/ model.tar --board mps2-an500
    """  # noqa: D301 (click reads the escape)
    if kind not in KINDS and str(archive) in (*KINDS, _TEMPLATE):  # as microTVM had it
        folder, archive, kind = Path(kind), folder, str(archive)
    if kind == _TEMPLATE:
        raise UserError(
            "template: projects of your own begin with tvmc compile --output-format c, which "
            "writes the C sources into a folder"
        )
    if kind not in KINDS:
        raise click.BadParameter(f"{kind!r} is not one of {', '.join(map(repr, KINDS))}.")
    options = _options(project_option, {"board"})
    if board is None and "board" not in options:
        raise UserError("name the board with --board (tvmc boards lists them)")
    known = load_board(board) if board else board_called(options["board"])
    model = load_archive(archive)
    files = create_project(
        kind,
        folder,
        model,
        known,
        archive_name=archive.name,
        other_core=other_core,
        force=force,
    )
    console = stdout_console()
    console.print(
        f"wrote {len(files)} files into {printable(str(folder))}; "
        f"{printable(str(folder / 'README.md'))} says how to build and run them",
        highlight=False,
        markup=False,
    )


@micro_command.command("build", cls=_Micro)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("kind", required=False, metavar=f"[{'|'.join(KINDS)}]")
@_force
@_project_options
def build_command(
    folder: Path, kind: str | None, force: bool, project_option: tuple[str, ...]
) -> None:
    """Build the project in FOLDER with west, arduino-cli or cmake.

    Where the tool is not installed, the error says what to type.
    """
    _check_kind(folder, kind)
    _options(project_option, set())
    build(folder, again=force)


@micro_command.command("flash", cls=_Micro)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("kind", required=False, metavar=f"[{'|'.join(KINDS)}]")
@_project_options
def flash_command(folder: Path, kind: str | None, project_option: tuple[str, ...]) -> None:
    """Bring the program built in FOLDER onto its board with west or arduino-cli.

    Where the tool is not installed, the error says what to type.
    """
    _check_kind(folder, kind)
    flash(folder, _options(project_option, {"port"}))


def _check_kind(folder: Path, kind: str | None) -> None:
    found = kind_of(folder)
    if kind not in (None, found):
        raise UserError(f"{folder} is a {found} project, not {kind}")


def _options(entries: Iterable[str], known: set[str]) -> dict[str, str]:
    """Options of an old project by name; those that mean nothing here are named in one note."""
    found = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals:
            raise UserError(f"--project-option {entry}: expected OPTION=VALUE")
        found[name] = value
    if unknown := sorted(set(found) - known):
        said = ", ".join(unknown)
        click.echo(
            f"tvmc: note: without effect here: --project-option {printable(said)} (the project's "
            "own files say it)",
            err=True,
        )
    return found
