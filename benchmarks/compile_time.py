"""Seconds of processor time that a compilation takes, by phase, as a Markdown table.

    python benchmarks/compile_time.py [--target BOARD] [--repeat N] MODEL ...

Each compilation runs in a process of its own, as ``tvmc compile --dero`` does, and nothing is kept
from one to the next.  With several, the one with the least total counts.  The phases:

import     Python, TVM and this package
reading    the model file -> Relax
passes     Relax -> Relax: canonicalization and all rewritings that are tried
planning   the rest up to the chosen plan: rows, order, addresses, the report
emission   kernels, C, the host's program, all files of the archive
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from functools import partial
from pathlib import Path

PHASES = ("import", "reading", "passes", "planning", "emission")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--target", default="host", help="board to compile for")
    parser.add_argument("--repeat", type=int, default=1, help="compilations of each model")
    arguments = parser.parse_args()
    print(f"| model | {' | '.join(PHASES)} | all |")
    print(f"|---|{'---:|' * (len(PHASES) + 1)}")
    # Spawned, so that nothing is imported yet; a new one for each compilation.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        for path in arguments.models:
            work = [path] * arguments.repeat
            found = processes.map(partial(measure, target=arguments.target), work, chunksize=1)
            best = min(found, key=lambda seconds: sum(seconds.values()))
            cells = [f"{best[phase]:.2f}" for phase in PHASES]
            print(f"| {path.stem} | {' | '.join(cells)} | {sum(best.values()):.2f} |", flush=True)


def measure(path: Path, target: str) -> dict[str, float]:
    """Seconds by phase of one compilation in this process, which has done nothing else yet."""
    from dero_tvm.cli.start_tvm import start_tvm

    start_tvm(path)
    import tvm

    import dero_tvm.driver.compiler

    stages = {"import": time.process_time()}
    passes = 0.0
    depth, begin = 0, 0.0

    @tvm.ir.instrument.pass_instrument
    class Clock:
        """Times the passes that no other pass runs, up to code generation."""

        def run_before_pass(self, module: tvm.IRModule, info: object) -> None:
            nonlocal depth, begin
            if depth == 0:
                begin = time.process_time()
            depth += 1

        def run_after_pass(self, module: tvm.IRModule, info: object) -> None:
            nonlocal depth, passes
            depth -= 1
            if depth == 0 and not {"reading", "emission"} & {stage}:
                passes += time.process_time() - begin

    stage, since = "reading", time.process_time()

    def enter(name: str) -> None:
        nonlocal stage, since
        now = time.process_time()
        stages[stage] = stages.get(stage, 0.0) + now - since
        stage, since = name, now

    def progress(text: str) -> None:
        names = {"reading the model": "reading", "generating code": "emission"}
        enter(names.get(text, "planning"))

    with tvm.transform.PassContext(instruments=[Clock()]):
        model = dero_tvm.compile(path, target=target, progress=progress)
    for content in model.archive.files:  # some are written when they are asked for
        model.archive.files[content]
    enter("")
    return stages | {"passes": passes, "planning": stages["planning"] - passes}


if __name__ == "__main__":
    main()
