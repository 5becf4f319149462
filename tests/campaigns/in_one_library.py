"""The programs of many networks in one C file, run and compared."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from dero_tvm.aot.program import Program
from tests.compiled.c_batch import CBatch, CLibrary
from tests.compiled.sanitized_batch import SanitizedPrograms

Library = CLibrary | SanitizedPrograms
Way = TypeVar("Way")


def check_in_one_library(
    seeds: Iterable[int],
    ways_of: Callable[[int], Iterable[Way]],
    program_of: Callable[[Way], Program],
    compare: Callable[[int, Sequence[Way], Library], None],
    *,
    sanitize: bool,
) -> list[str]:
    """What failed: `ways_of` a seed, the C of their programs, or to `compare` what it gives.

    The program of a seed's way `number` is ``n<seed>_<number>`` in the library.
    """
    failures = []
    batch = CBatch(sanitize)
    made: dict[int, list[Way]] = {}
    for seed in seeds:
        try:
            ways = list(ways_of(seed))
            for number, way in enumerate(ways):
                batch.add(f"n{seed}_{number}", program_of(way))
            made[seed] = ways
        except Exception:
            failures.append(_failure(seed))
    with tempfile.TemporaryDirectory() as folder:
        library = batch.build(Path(folder))
        for seed, ways in made.items():
            try:
                compare(seed, ways, library)
            except Exception:
                failures.append(_failure(seed))
    return failures


def _failure(seed: int) -> str:
    return f"seed {seed}: {traceback.format_exc(limit=-3)}"
