"""docs/command-line.md has a section for every command, with every flag of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from dero_tvm.cli.main import tvmc
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "command-line.md").read_text()
SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
EVERYWHERE = {"--help", "--debug", "--plugin"}  # said once, at the top


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """Each command and its full name; groups are followed down."""
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        elif command is not None and not command.hidden:
            yield f"{name} {word}", command


COMMANDS = dict(commands(tvmc, "tvmc"))


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_of_a_command(name: str) -> None:
    (section,) = [text for text in SECTIONS if re.match(rf"`{name}\b", text)]
    flags = {
        flag
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("--")
    }
    missing = [f for f in sorted(flags - EVERYWHERE) if not re.search(rf"{f}(?![\w-])", section)]
    assert not missing


def test_no_section_without_a_command() -> None:
    headings = re.findall(r"^## `(tvmc [a-z -]*[a-z])", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)
