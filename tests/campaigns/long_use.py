"""Many compilations in one process: does it keep memory?

    python -m tests.campaigns.long_use 200 --record       also writes a row of docs/trust.md

Networks of different shapes are compiled in turn, at every level of rewriting, and their archives
thrown away.  Resident memory after the last is compared with that after a tenth of them, which
fills what is meant to stay: imported modules and bounded caches.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import dero_tvm
from tests.tiny_models import residual
from tests.trust import record

MOST_GROWTH = 0.10
_LEVELS = ("none", "accumulate", "stream")


def resident_memory_after_each(compilations: int) -> Iterator[int]:
    """Resident bytes of this process after each compilation."""
    page = os.sysconf("SC_PAGE_SIZE")
    shapes = list(itertools.product(range(3, 13), range(6, 26)))
    random.Random(0).shuffle(shapes)  # else the last ones need the most memory
    networks = zip(itertools.cycle(shapes), itertools.cycle(_LEVELS))
    for (channels, size), level in itertools.islice(networks, compilations):
        model = dero_tvm.compile(residual(channels=channels, size=size), dero=level)
        for content in model.archive.files.values():
            assert content
        del model, content
        gc.collect()
        yield int(Path("/proc/self/statm").read_text().split()[1]) * page


def growth(compilations: int) -> float:
    """Memory at the end over that after a tenth of the compilations, less one."""
    resident = list(resident_memory_after_each(compilations))
    return resident[-1] / resident[compilations // 10] - 1


def main() -> None:
    """Print the growth; exit with 1 if it is too much."""
    parser = argparse.ArgumentParser(description="memory of many compilations in one process")
    parser.add_argument("compilations", type=int, help="at least 20")
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    compilations = options.compilations
    grown = growth(compilations)
    print(f"{compilations} compilations: resident memory {grown:+.1%} after the first tenth")
    if options.record and grown <= MOST_GROWTH:
        record(
            "long_use",
            claim=f"Compilations in one process do not add up: its memory grows by less than"
            f" {MOST_GROWTH:.0%} after the first tenth of them.",
            command=f"python -m tests.campaigns.long_use {compilations}",
            counts={"compilations": compilations, "growth": f"{grown:+.1%}"},
        )
    sys.exit(grown > MOST_GROWTH)


if __name__ == "__main__":
    main()
