"""Solve MiniMalloc's benchmark instances: ``python -m dero_tvm.planning.minimalloc FILE...``

A file has the columns ``id,lower,upper,size``: buffers of `size` bytes, alive from `lower` to
before `upper`.  Each is to be placed within the capacity (``--capacity``, 1,048,576 bytes unless
told) in at most ``--time-limit`` seconds (60).  A line per file says whether that succeeded, the
bytes of the placement (without success: of the best one found), the most bytes alive at once, and
the time.  The exit status is 0 if all were solved, 1 if some were not, 2 if a file is unusable.

What makes an instance hard is a wrong answer near the root of the search.  So several processes
(``--processes``, by default as many as there are cores) look at the same buffers in different
ways, every other one with time running backwards, and the first to succeed ends the others.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .budget import Budget
from .packer import Packed, pack
from .packing import Packing

CAPACITY = 1_048_576
_ALONE = 0.1  # seconds of searching before other processes help
COLUMNS = ("id", "lower", "upper", "size")


@dataclass(frozen=True)
class Solution:
    """Addresses by buffer id, the bytes they take, a lower bound, and the seconds it took."""

    offsets: dict[str, int]
    height: int
    bound: int
    seconds: float


def read(path: Path) -> tuple[list[str], Packing]:
    """The ids of the buffers and the packing problem.  Raises ``ValueError`` on a bad file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    ids, sizes, starts, ends = [], [], [], []
    for number, row in enumerate(rows, start=2):
        try:
            ids.append(row["id"])
            start, end, size = (int(row[column]) for column in COLUMNS[1:])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}, line {number}: the columns {','.join(COLUMNS)} are expected, with "
                "whole numbers from the second on"
            ) from error
        if end <= start or size < 0:
            raise ValueError(f"{path}, line {number}: {row['id']} has no life or a negative size")
        sizes.append(size)
        starts.append(start)
        ends.append(end)
    if not ids:
        raise ValueError(f"{path}: no buffers")
    return ids, Packing(tuple(sizes), tuple(starts), tuple(ends), (1,) * len(ids))


def solve(
    path: Path, capacity: int = CAPACITY, time_limit: float = 60.0, processes: int = 1
) -> Solution:
    """Place the buffers of one file, stopping at the first placement within `capacity`."""
    begin = time.monotonic()
    ids, packing = read(path)
    packed = _first_to_fit(packing, capacity, time_limit, processes)
    seconds = time.monotonic() - begin
    return Solution(
        dict(zip(ids, packed.offsets, strict=True)), packed.height, packed.bound, seconds
    )


def _first_to_fit(packing: Packing, capacity: int, time_limit: float, processes: int) -> Packed:
    """The first placement within `capacity` that one of some processes finds, or else the best."""
    if processes < 2 or packing.lower_bound() > capacity:
        return pack(packing, Budget(time_limit), goal=capacity)
    best = pack(packing, Budget(_ALONE), goal=capacity)
    if best.height <= capacity:
        return best
    with multiprocessing.Pool(processes) as pool:
        tasks = [(way, packing, capacity, time_limit) for way in range(processes)]
        for packed in pool.imap_unordered(_one_way, tasks):
            if packed.height < best.height:
                best = packed
            if packed.height <= capacity or packed.bound > capacity:
                break
    return best


def _one_way(task: tuple[int, Packing, int, float]) -> Packed:
    """Way number `way` of placing the buffers: the odd ones turn time round."""
    way, packing, capacity, time_limit = task
    numbers = list(range(len(packing)))
    if way > 1:  # the same buffers in another order are another search
        random.Random(way).shuffle(numbers)
    turned = packing.subset(numbers)
    if way % 2:
        starts, ends = (tuple(-time for time in times) for times in (turned.ends, turned.starts))
        turned = replace(turned, starts=starts, ends=ends)
    packed = pack(turned, Budget(time_limit), goal=capacity)
    offsets = [0] * len(packing)
    for number, offset in zip(numbers, packed.offsets, strict=True):
        offsets[number] = offset
    return replace(packed, offsets=offsets)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dero_tvm.planning.minimalloc",
        description="Place the buffers of MiniMalloc's benchmark files within a capacity.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--capacity", type=int, default=CAPACITY, help="bytes (1,048,576)")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds per file (60)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="of each file")
    options = parser.parse_args(arguments)
    solved = 0
    for path in options.files:
        try:
            solution = solve(path, options.capacity, options.time_limit, options.processes)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        fits = solution.height <= options.capacity
        solved += fits
        print(
            f"{path.name}: {'solved' if fits else 'not solved'}, {solution.height:,} bytes "
            f"({solution.bound:,} at least), {solution.seconds:.1f} s",
            flush=True,
        )
    print(f"{solved} of {len(options.files)} solved")
    return 0 if solved == len(options.files) else 1


if __name__ == "__main__":
    sys.exit(main())
