"""Seconds of processor time that a compilation takes, by phase, as a Markdown table.

    python benchmarks/compile_time.py [--target BOARD] [--repeat N] [--chains N ...] [MODEL ...]

With ``--chains``, float32 chains of so many residual blocks, which show how the time grows.

Each compilation runs in a process of its own, as ``tvmc compile --dero`` does, and nothing is kept
from one to the next but Python's bytecode, as an installation has it.  With several, the one with
the least total counts.  The phases:

import     Python, TVM and this package
reading    the model file -> Relax
passes     Relax -> Relax: canonicalization and all rewritings that are tried
planning   the rest up to the chosen plan: rows, order, addresses, the report
emission   kernels, C, the host's program, all files of the archive, written to one
memory     MB of the process at most
"""

from __future__ import annotations

import argparse
import compileall
import multiprocessing
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # examples is not installed

PHASES = ("import", "reading", "passes", "planning", "emission")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--chains", nargs="+", type=int, default=[], help="numbers of blocks")
    parser.add_argument("--target", default="host", help="board to compile for")
    parser.add_argument("--repeat", type=int, default=1, help="compilations of each model")
    arguments = parser.parse_args()
    if not arguments.models and not arguments.chains:
        parser.error("give models, or --chains")
    for package in ("dero_tvm", "relax_passes"):
        compileall.compile_dir(ROOT / package, quiet=2)
    print(f"| model | {' | '.join(PHASES)} | all | memory |")
    print(f"|---|{'---:|' * (len(PHASES) + 2)}")
    # Spawned, so that nothing is imported yet; a new one for each compilation.
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(1, maxtasksperchild=1) as processes, tempfile.TemporaryDirectory() as folder:
        for path in [*_chains(arguments.chains, Path(folder)), *arguments.models]:
            work = [path] * arguments.repeat
            found = processes.map(partial(measure, target=arguments.target), work, chunksize=1)
            best = min(found, key=lambda measured: sum(measured[phase] for phase in PHASES))
            total = sum(best[phase] for phase in PHASES)
            cells = [f"{best[phase]:.2f}" for phase in PHASES] + [f"{total:.2f}"]
            print(f"| {path.stem} | {' | '.join(cells)} | {best['memory']:.0f} |", flush=True)


def _chains(blocks: list[int], folder: Path) -> list[Path]:
    """Files of chains of so many residual blocks."""
    if not blocks:
        return []
    import onnx

    from examples.models.residual_chain import residual_chain

    paths = [folder / f"residual_chain{count}.onnx" for count in blocks]
    for path, count in zip(paths, blocks):
        onnx.save(residual_chain(count), path)
    return paths


def measure(path: Path, target: str) -> dict[str, float]:
    """Seconds by phase, and MB, of one compilation in this process, which is new."""
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
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model.tar"))  # some files are written only now
    enter("")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    planning = stages["planning"] - passes
    return stages | {"passes": passes, "planning": planning, "memory": memory}


if __name__ == "__main__":
    main()
