"""Plug-ins: packages that add boards, operators, kernels and readers of files.

An installed package names them in entry points; ``tvmc --plugin MODULE`` and `load_plugin` import
a module that is not installed.  A module enters what it has when it is imported, as the package's
own do: operators with `relax_passes.operators.register` and the rules of the phases, kernels with
`dero_tvm.kernels.register_kernel`, readers with `dero_tvm.frontends.register_frontend`, folders of
boards with `dero_tvm.boards.board_folders.add_boards`.

    [project.entry-points."dero_tvm.operators"]
    sine = "my_package.sine"

The entry point of a folder of boards is the package that has the files beside it; the others are
modules to import.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from .errors import UserError

BOARDS = "dero_tvm.boards"
CODE = ("dero_tvm.operators", "dero_tvm.kernels", "dero_tvm.frontends")
"""Groups of entry points; those of code are imported when a model is read."""


def load_plugin(module: str) -> None:
    """Import a module by its name, from the current folder too, that adds to this package.

    Raises UserError if it cannot be imported.
    """
    here = os.getcwd()
    sys.path.append(here)
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the module does
        hint = (
            f"; --plugin takes a module's name: {Path(module).stem}"
            if module.endswith(".py")
            else ""
        )
        raise UserError(
            f"The plug-in {module} cannot be imported: {_reason(error)}{hint}"
        ) from error
    finally:
        sys.path.remove(here)


@cache
def load_installed() -> None:
    """Import the operators, kernels and readers of installed plug-ins, once."""
    importlib.import_module("dero_tvm.kernels")  # the package's own come first
    for group in CODE:
        for point in entry_points(group):
            loaded(point)


def entry_points(group: str) -> Sequence[metadata.EntryPoint]:
    """Those of a group, sorted by name."""
    return _entry_points(group, tuple(sys.path))


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> Sequence[metadata.EntryPoint]:
    """Of the packages on `path`; read once, as that opens a file a package."""
    return sorted(metadata.entry_points(group=group), key=lambda point: (point.name, point.value))


def loaded(point: metadata.EntryPoint) -> Any:
    """What an entry point stands for.

    Raises UserError, with the package to mend or to uninstall, if it cannot be imported.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # whatever the plug-in does
        package = point.dist.name if point.dist else "a package"
        raise UserError(
            f"The plug-in '{point.name}' ({point.value}) of {package} cannot be imported: "
            f"{_reason(error)}; mend or uninstall {package}"
        ) from error


def _reason(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
