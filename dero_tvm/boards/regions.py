"""The regions of a board's memory that arenas may take."""

from __future__ import annotations

from ..planning.problem import Region
from .board import Board

STACK_RESERVE = 8 * 1024
"""Bytes of a board's first memory region left to the stack and other variables, by default."""


def board_regions(board: Board, reserve: int) -> tuple[Region, ...]:
    """What a board's memory has room for; `reserve` bytes of its first region are left free."""
    if not board.ram:
        return (Region("sram"),)
    sizes = [ram.size for ram in board.ram]
    sizes[0] = max(sizes[0] - reserve, 0)
    return tuple(Region(ram.name, size, ram.section) for ram, size in zip(board.ram, sizes))
