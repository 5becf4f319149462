"""The C of model files under AddressSanitizer and UBSan, and between guards in QEMU.

    python -m tests.campaigns.sanitized_models model.tflite other.onnx
    python -m tests.campaigns.sanitized_models --built resnet50  of `benchmarks/published.py`
    python -m tests.campaigns.sanitized_models --record models/*.tflite  also a row of docs/trust.md

Each model is compiled as written, accumulated and streamed, with portable kernels for the host, of
which gcc and clang make a sanitized program each; and for boards with and without DSP and MVE, on
which QEMU runs it with guard bytes around each arena.  A board that is too small for a model is
said.  All outputs of one model must be equal to those of its first program, bit by bit for integers
and to 1e-5 for floating point, of which each core has kernels of its own.  Exits with 1 otherwise,
and if anything was found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx

import dero_tvm
from benchmarks.published import BUILT, network
from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import RunError, RunResult, run_host_c, run_qemu
from tests.compared_outputs import Outputs, assert_equal_outputs, guarded_outputs
from tests.trust import record

MODES = ("none", "accumulate", "stream")
COMPILERS = ("gcc", "clang")
BOARDS = ("mps2-an386", "mps2-an500", "mps3-an547")
_TIME_LIMIT = 1200.0


class Checked:
    """The programs of one model."""

    def __init__(self, model: Path, counts: Counter[str]) -> None:
        self.model, self.counts = model, counts
        self.expected: Outputs | None = None

    def run(self) -> None:
        """Compile and run all; raises AssertionError at the first fault."""
        for mode in MODES:
            archive = dero_tvm.compile(self.model, dero=mode).archive
            inputs = [random_inputs(archive.inputs, np.random.default_rng(0))]
            for compiler in COMPILERS:
                self._look_at(
                    f"{mode}, {compiler}",
                    run_host_c(
                        archive, inputs, compiler=compiler, sanitize=True, time_limit=_TIME_LIMIT
                    ),
                )
                self.counts["sanitized programs"] += 1
            for board in BOARDS:
                try:
                    archive = dero_tvm.compile(self.model, target=board, dero=mode).archive
                    result = run_qemu(archive, inputs, machine=board, time_limit=_TIME_LIMIT)
                except RunError:
                    raise
                except UserError as error:
                    print(f"{self.model.name} {mode}: {first_line(error)}", flush=True)
                    continue
                self._look_at(f"{mode}, {board}", result)
                self.counts["guarded runs in QEMU"] += 1

    def _look_at(self, label: str, result: RunResult) -> None:
        outputs = guarded_outputs(label, result)
        if self.expected is None:
            self.expected = outputs
        assert_equal_outputs(label, outputs, self.expected)


def built(names: Iterable[str], folder: Path) -> Iterator[Path]:
    """Published networks with random weights, in int8, as files in `folder`."""
    for name in names:
        model = network(name)
        assert isinstance(model, onnx.ModelProto)
        path = folder / f"{name}.onnx"
        onnx.save(model, path)
        yield path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument(
        "--built",
        nargs="+",
        default=[],
        choices=BUILT,
        metavar="NETWORK",
        help="with random weights",
    )
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    if not (options.models or options.built):
        parser.error("no models")
    counts: Counter[str] = Counter()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for model in [*options.models, *built(options.built, Path(folder))]:
            counts["models"] += 1
            try:
                Checked(model, counts).run()
                print(f"{model.name}: nothing found", flush=True)
            except (AssertionError, RunError) as error:
                faults += 1
                print(f"{model.name}: {error}", flush=True)
    print(f"{dict(counts)}, {faults} faults")
    if options.record and not faults:
        record(
            "sanitized_models",
            claim="The C of published networks does nothing undefined under AddressSanitizer and"
            " UndefinedBehaviorSanitizer, and writes nothing outside its arenas on emulated boards;"
            " as written, accumulated and streamed it gives the same outputs.",
            command=" ".join(
                ["python -m tests.campaigns.sanitized_models MODEL..."]
                + (["--built", *options.built] if options.built else [])
            ),
            counts=counts,
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
