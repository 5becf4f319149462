"""Reads damaged and hostile files, made from seeds, in processes with limits.

    nice python -m tests.campaigns.fuzz_readers 100000  seeds 0 to 99999
    nice python -m tests.campaigns.fuzz_readers 1000 --first 5000
    python -m tests.campaigns.fuzz_readers 1 --first 5123 --keep DIR  writes that file, and reads it

Even seeds are ONNX files, odd ones TFLite; with --data, the seeds are in turns archives, arrays of
inputs, reports, descriptions of boards and caches of measured kernels; with --graphs, valid
networks that are large in one respect, larger from seed to seed.  Each must be read, or refused
with one clear error, within 10 s of CPU time and 2 GiB.  Of those that are read, some are compiled
too, with --graphs all of them, which may take a minute.  Everything else is a fault, which is
printed with its seed; the exit status is 1 if there was one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from tests.campaigns.fuzzing.large_graphs import FAMILIES
from tests.campaigns.fuzzing.worker import CPU_SECONDS, DATA, GRAPHS, MEMORY, MODELS, run_cases
from tests.trust import record

_COMPILE_EVERY = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument(
        "--compile-every", type=int, default=_COMPILE_EVERY, help="compile one in so many that load"
    )
    parser.add_argument("--keep", type=Path, help="folder to write the files to")
    parser.add_argument(
        "--data", action="store_true", help="archives, inputs, reports, boards instead of models"
    )
    parser.add_argument(
        "--graphs", action="store_true", help=f"large networks: {len(FAMILIES)} families in turns"
    )
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    arguments = parser.parse_args()
    corpus = DATA if arguments.data else GRAPHS if arguments.graphs else MODELS
    seeds = range(arguments.first, arguments.first + arguments.cases)
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            suffix, data = corpus.case(seed)
            (arguments.keep / f"{seed}.{suffix}").write_bytes(data)
    start = time.monotonic()
    counts: Counter[tuple[str, str]] = Counter()
    faults = 0
    for number, outcome in enumerate(run_cases(seeds, arguments.compile_every, corpus), 1):
        counts[outcome.format, outcome.kind] += 1
        if outcome.fault:
            faults += 1
            print(f"seed {outcome.seed} ({outcome.format}): {outcome.kind}\n{outcome.message}")
        if number % 5000 == 0:
            print(f"{number} cases, {time.monotonic() - start:.0f} s", flush=True)
    for (suffix, kind), count in sorted(counts.items()):
        print(f"{suffix:7} {kind:16} {count:7}")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in used)
    print(f"{sum(counts.values())} cases, {faults} faults, {seconds:.0f} s of CPU time")
    if arguments.record and not faults and corpus is DATA:
        _record_data(arguments.cases, counts, seconds)
    elif arguments.record and not faults and corpus is GRAPHS:
        _record_graphs(arguments.cases, counts, seconds)
    elif arguments.record and not faults:
        _record(arguments.cases, arguments.compile_every, counts, seconds)
    return 1 if faults else 0


def _record(
    cases: int, compile_every: int, counts: Counter[tuple[str, str]], seconds: float
) -> None:
    chosen = "" if compile_every == _COMPILE_EVERY else f" --compile-every {compile_every}"
    record(
        "hostile_files",
        claim="A damaged or hostile ONNX or TFLite file is read, or refused with one clear error,"
        f" within {CPU_SECONDS} s of processor time and {MEMORY >> 30} GiB; no file outside the"
        " model's folder is read.",
        command=f"python -m tests.campaigns.fuzz_readers {cases}{chosen}",
        counts={
            "files": cases,
            **{f"{suffix} {kind}": count for (suffix, kind), count in sorted(counts.items())},
            "seconds of processor time": round(seconds),
        },
        faults="two crashes and an endless loop in TVM's importer (missing operands, a tensor taken"
        " for a sequence), tracebacks at two inputs of one name, at results that are sequences, and"
        " at names of external data that no file can have; an image of a million rows, which took"
        " minutes to plan; in compilation, at tensors without elements inside a model and at inputs"
        " without a type",
    )


def _record_data(cases: int, counts: Counter[tuple[str, str]], seconds: float) -> None:
    record(
        "hostile_data",
        claim="A damaged or hostile archive, file of inputs, report, description of a board or"
        " cache of measured kernels is read, or refused with one clear error, within"
        f" {CPU_SECONDS} s of processor time and {MEMORY >> 30} GiB.",
        command=f"python -m tests.campaigns.fuzz_readers {cases} --data",
        counts={
            "files": cases,
            **{f"{suffix} {kind}": count for (suffix, kind), count in sorted(counts.items())},
            "seconds of processor time": round(seconds),
        },
        faults="an endless loop at a member of an archive with a negative size; tracebacks at deep"
        " JSON, at types and names that no program has, and at arrays that are encrypted, of absurd"
        " shapes, or compressed in unknown ways",
    )


def _record_graphs(cases: int, counts: Counter[tuple[str, str]], seconds: float) -> None:
    record(
        "large_graphs",
        claim="A valid network that is long, wide, dense or tall, of great windows, with very many"
        " outputs or with huge intermediate results is compiled, or refused with one clear error,"
        f" within {GRAPHS.seconds} s of processor time and {MEMORY >> 30} GiB.",
        command=f"python -m tests.campaigns.fuzz_readers {cases} --graphs",
        counts={
            "networks": cases,
            "families": len(FAMILIES),
            **{kind: count for (_, kind), count in sorted(counts.items())},
            "seconds of processor time": round(seconds),
        },
        faults="Tile to terabytes was an internal error; windows of thousands of rows took 6 GiB,"
        " 1,500 outputs and the report of a dense network minutes",
    )


if __name__ == "__main__":
    sys.exit(main())
