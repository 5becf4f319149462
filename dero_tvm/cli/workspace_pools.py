"""``--workspace-pools`` of the old tvmc: the memory regions of a board, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from dero_tvm.boards.board import Board, Ram, load_board
from dero_tvm.boards.memory_size import parse_size
from dero_tvm.boundary.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])

_POOLS, _SIZES = "--workspace-pools", "--workspace-pools-size-hint-bytes"
_UNBOUNDED = 1 << 31  # bytes of a pool without a size on a target without a board


def pool_options(function: F) -> F:
    """Adds both flags; the command gets `workspace_pools` and `workspace_pools_size_hint_bytes`."""
    named = click.option(
        _POOLS,
        metavar="NAME,...",
        help="The RAM regions to plan into, in this order: of a board, or for --target c any.",
    )
    sized = click.option(_SIZES, metavar="NAME:BYTES,...", help="What each has at most.")
    return named(sized(function))


def board_with_pools(target: str, pools: str | None, sizes: str | None) -> str | Board:
    """`target`, or its board with the named regions alone, in that order and of those sizes.

    Raises UserError for a region that the board does not have, and for a size of none that is
    named.
    """
    if pools is None:
        if sizes is not None:
            raise UserError(f"{_SIZES}: name the regions with {_POOLS}")
        return target
    names = [name for name in pools.split(",") if name]
    given = _sizes(sizes)
    if not names or len(set(names)) < len(names):
        raise UserError(f"{_POOLS} {pools}: name each region once")
    if unknown := sorted(set(given) - set(names)):
        raise UserError(f"{_SIZES}: {', '.join(unknown)} is not among {_POOLS} {pools}")
    board = load_board(target)
    regions = [_region(board, name, given.get(name), index) for index, name in enumerate(names)]
    return replace(board, ram=tuple(regions))


def _region(board: Board, name: str, size: int | None, index: int) -> Ram:
    if not board.ram:  # no board: any name will do
        limit = size or _UNBOUNDED
        region = Ram(name, 0, limit, f".bss.{name}" if index else ".bss", _POOLS)
        if problem := next(region.problems(""), None):
            raise UserError(f"{_POOLS}: {problem}")
        return region
    own = {region.name: region for region in board.ram}
    if name not in own:
        raise UserError(f"{_POOLS} {name}: {board.name} has the regions {', '.join(own)}")
    return replace(own[name], size=min(own[name].size, size or own[name].size))


def _sizes(text: str | None) -> dict[str, int]:
    found = {}
    for entry in (text or "").split(","):
        name, colon, size = entry.partition(":")
        if entry and not colon:
            raise UserError(f"{_SIZES} {entry}: expected NAME:BYTES")
        if entry:
            found[name] = parse_size(size, _SIZES)
    return found
