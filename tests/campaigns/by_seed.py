"""The command line of a campaign that checks one network a seed and may record it."""

from __future__ import annotations

import argparse
import traceback
from collections import Counter
from collections.abc import Callable

from tests.trust import record


def run_by_seed(
    name: str,
    check: Callable[[int, Counter[str]], None],
    *,
    about: str,
    claim: str,
    faults: str | None = None,
) -> int:
    """1 if `check` raised for one of the seeds that the command line gives, else 0.

    name: of the campaign's module and of its record.
    check: takes a seed, and counts what it tried.
    claim, faults: of the page on trust, see `record`.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    failed = 0
    for seed in range(options.first, options.first + options.networks):
        try:
            check(seed, counts)
        except Exception:
            failed += 1
            print(f"seed {seed}: {traceback.format_exc(limit=-2)}", flush=True)
        if (seed + 1) % 10 == 0:
            print(f"to seed {seed}: {dict(counts)}, {failed} faults", flush=True)
    print(f"{options.networks} networks, {dict(counts)}, {failed} faults")
    if options.record and not failed:
        record(
            name,
            claim=claim,
            command=f"python -m tests.campaigns.{name} {options.networks}",
            counts={"random networks": options.networks, **counts},
            faults=faults,
        )
    return 1 if failed else 0
