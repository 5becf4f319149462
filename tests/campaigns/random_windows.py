"""Compiles random networks with random groups in windows of columns, and compares.

    python -m tests.campaigns.random_windows 2000       seeds 0 to 1999
    python -m tests.campaigns.random_windows 200 --sanitize

Each network of `random_images` runs as C with every tensor whole, and in some ways with groups,
windows and passes drawn at random, in an arena of exactly the planned size between guards.  Outputs
are compared bit by bit, and the multiply-accumulates that the kernels counted with those that the
plan says.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dero_tvm.aot.kernels import makes_windows
from dero_tvm.aot.program import Program, build_program
from dero_tvm.boundary.errors import UserError
from dero_tvm.driver.row_planner import plan_row_placement
from dero_tvm.planning import Options, plan_memory
from dero_tvm.planning.column_windows.grouping import Group, Grouping
from dero_tvm.schedule.column_groups import in_column_windows, numbered_operations
from dero_tvm.schedule.extract import extract
from dero_tvm.schedule.network import Network
from dero_tvm.schedule.to_problem import Sharing, to_problem
from relax_passes import pipeline
from relax_passes.operators import spec_of
from relax_passes.residuals.fuse_joins import FuseJoins
from relax_passes.streaming.stream_rows import StreamRows
from tests.compiled.c_batch import CBatch, CLibrary
from tests.compiled.sanitized_batch import SanitizedPrograms
from tests.models.random_images import random_image_network

BATCH = 25  # networks a C file
_WAYS = 2  # to group each network
_ATTEMPTS = 12  # at a group
_TIME_LIMIT = 0.5  # seconds a plan


@dataclass
class Summary:
    """What a run of many networks showed."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def text(self) -> str:
        """A few lines for people."""
        counts = ", ".join(f"{name}: {count:,}" for name, count in sorted(self.counts.items()))
        return "\n".join([f"{len(self.failures)} failures; {counts}", *self.failures])


def check_windows(seeds: Sequence[int], sanitize: bool = False) -> Summary:
    """Compile and run the networks of `seeds`; what fails is in the summary."""
    summary = Summary()
    batch = CBatch(sanitize)
    made: dict[int, list[tuple[Network, Program]]] = {}
    for seed in seeds:
        summary.counts["networks"] += 1
        try:
            made[seed] = list(_programs(seed, summary))
            for number, (_, program) in enumerate(made[seed]):
                batch.add(f"n{seed}_{number}", program)
        except Exception:
            summary.failures.append(f"seed {seed}: {traceback.format_exc(limit=-3)}")
            made.pop(seed, None)
    with tempfile.TemporaryDirectory() as folder:
        library = batch.build(Path(folder))
        for seed, ways in made.items():
            try:
                _compare(seed, [network for network, _ in ways], library)
            except Exception:
                summary.failures.append(f"seed {seed}: {traceback.format_exc(limit=-3)}")
    return summary


def random_grouping(network: Network, chance: random.Random) -> Grouping:
    """Groups that can be computed in windows, none of which meets another."""
    operations = numbered_operations(network)
    found: list[Group] = []
    start = 0
    for _ in range(_ATTEMPTS):
        if start >= len(operations):
            break
        first = chance.randrange(start, len(operations))
        last = min(first + chance.choice((0, 1, 2, 2, 3, 4, 6)), len(operations) - 1)
        output = operations[last].signature.output
        group = Group(
            first, last, chance.randint(1, output.pixels), chance.randint(1, min(output.rows, 6))
        )
        try:
            in_column_windows(network, (*found, group), makes_windows)
        except UserError:
            continue
        found.append(group)
        start = last + 1
    return tuple(found)


def _programs(seed: int, summary: Summary) -> Iterator[tuple[Network, Program]]:
    """With tensors whole, then in windows."""
    chance = random.Random(seed)
    module = random_image_network(seed)
    options = Options(external_io=seed % 5 == 3, keep_inputs=seed % 5 == 4, time_limit=_TIME_LIMIT)
    whole = to_problem(extract(pipeline.analyze()(module)), sharing=Sharing.NONE)
    yield whole.network, build_program(whole, plan_memory(whole.problem, options))
    joined = FuseJoins()(module) if chance.random() < 0.5 else module
    streamed = StreamRows(None, options.keep_inputs, options.external_io, row_placement=True)
    network = extract(streamed(joined))
    for _ in range(_WAYS):
        grouping = random_grouping(network, chance)
        windowed = in_column_windows(network, grouping, makes_windows)
        scheduled = to_problem(windowed, sharing=Sharing.ROWS)
        plan = plan_row_placement(scheduled, options)
        assert plan is not None
        for op in numbered_operations(windowed):
            if op.group is not None:
                summary.counts["groups"] += 1
                summary.counts["windows"] += len(op.group.columns)
                summary.counts["operations in groups"] += len(op.group.operations)
                for part in op.group.operations:
                    summary.counts[part.signature.short_name] += 1
        yield windowed, build_program(scheduled, plan)


def _compare(seed: int, networks: Sequence[Network], library: CLibrary | SanitizedPrograms) -> None:
    rng = np.random.default_rng(seed)
    (parameter,) = random_image_network(seed)["main"].params
    spec = spec_of(parameter.ty)
    values = rng.integers(-128, 128, spec.shape) if spec.dtype == "int8" else None
    data = rng.standard_normal(spec.shape) if values is None else values
    inputs = {parameter.name: data.astype(spec.dtype)}
    expected: dict[str, np.ndarray] = {}
    for number, network in enumerate(networks):
        outputs, _ = library.run(f"n{seed}_{number}", inputs)
        if isinstance(library, CLibrary):
            assert abs(library.macs - network.macs) < 1, f"{library.macs} are not {network.macs}"
        expected = expected or outputs
        for name, array in expected.items():
            assert array.tobytes() == outputs[name].tobytes(), f"way {number}: {name} differs"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compile and run networks in windows of columns.")
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--sanitize", action="store_true", help="under ASan and UBSan")
    options = parser.parse_args()
    total = Summary()
    for first in range(options.first, options.first + options.networks, BATCH):
        last = min(first + BATCH, options.first + options.networks)
        found = check_windows(range(first, last), options.sanitize)
        total.counts += found.counts
        total.failures += found.failures
        print(f"{total.counts['networks']} networks, {len(total.failures)} failures", flush=True)
    print(total.text())
    raise SystemExit(bool(total.failures))


if __name__ == "__main__":
    main()
