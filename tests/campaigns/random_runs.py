"""Compiles and runs random networks in every way there is, and compares.

    python -m tests.campaigns.random_runs 5000  seeds 0 to 4999, at low priority: nice -n 19
    python -m tests.campaigns.random_runs 100 --first 700
    python -m tests.campaigns.random_runs 5000 --record  also writes a row of docs/trust.md
    python -m tests.campaigns.random_runs 1000 --sanitize under AddressSanitizer and UBSan

Each network of `random_networks` is planned with whole tensors, accumulated, overlapped and
streamed (least peak, rows in one direction or in two, cascades and directions drawn at random; in
rings, and with an address for every row).  Every program runs with tags in place of values
(`tagged_execution`), and as C in an arena of exactly the planned size (`c_batch`).  Outputs are
compared with those of the network with whole tensors, bit by bit.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
import tvm

from dero_tvm.aot.program import Program, build_program
from dero_tvm.driver.row_planner import plan_row_placement
from dero_tvm.planning import MemoryPlan, Options, plan_memory
from dero_tvm.schedule.extract import extract
from dero_tvm.schedule.to_problem import Scheduled, Sharing, to_problem
from relax_passes import pipeline
from relax_passes.operators import spec_of
from relax_passes.residuals.fuse_joins import FuseJoins, is_fused
from relax_passes.streaming import segmentation, stream_rows
from relax_passes.streaming.stream_rows import StreamRows, with_ascending_rows
from tests.campaigns.batches import batches
from tests.campaigns.in_one_library import Library, check_in_one_library
from tests.campaigns.summary import Summary
from tests.campaigns.tagged_execution import run_with_tags
from tests.models.random_networks import random_network
from tests.trust import record

BATCH = 25  # networks a C file
NO_CASCADES = 1 << 62
# The ways that every network is run in; of the others, `in_turn` takes every second one.
ALWAYS = frozenset(("whole", "streamed", "by rows"))
TIME_LIMIT = 0.5  # seconds a plan, of every tenth network
SHORT_LIMIT = 0.02  # of the others: a plan that is not the best one shows as much


@dataclass(frozen=True)
class Planned:
    """One way to run a network."""

    label: str
    scheduled: Scheduled
    plan: MemoryPlan
    program: Program

    @property
    def bytes(self) -> int:
        return self.plan.total_bytes


@dataclass
class LayoutSummary(Summary):
    """What a run of many networks showed."""

    networks: int = 0
    shares: list[float] = field(default_factory=list)  # streamed bytes over whole ones

    def text(self) -> str:
        share = np.mean(self.shares or [0])
        return "\n".join(
            [
                f"{self.networks:,} networks",
                f"streamed arena, share of whole tensors: {share:.3f}",
                super().text(),
            ]
        )


def check_networks(
    seeds: Sequence[int], sanitize: bool = False, *, in_turn: bool = False
) -> LayoutSummary:
    """Compile and run the networks of `seeds`; what fails is in the summary.

    sanitize: run as `sanitized_batch` does.
    in_turn: of the ways that are not in `ALWAYS`, run a network in every second one; those that
        are left out with an even seed are taken with an odd one.
    """
    summary = LayoutSummary(networks=len(seeds))
    summary.failures += check_in_one_library(
        seeds,
        lambda seed: _planned(seed, summary, in_turn),
        lambda planned: planned.program,
        _compare,
        sanitize=sanitize,
    )
    return summary


def options_of(seed: int) -> Options:
    """Most networks are planned with the default options, some with one of the others."""
    return Options(
        keep_inputs=seed % 7 == 3,
        external_io=seed % 7 == 5,
        reorder=seed % 5 != 2,
        time_limit=TIME_LIMIT if seed % 10 == 0 else SHORT_LIMIT,
    )


def _planned(seed: int, summary: LayoutSummary, in_turn: bool) -> list[Planned]:
    """The ways to run one network, each already run with tags."""
    options = options_of(seed)
    ways = []
    every = _ways(random_network(seed), options, random.Random(seed))
    for number, (label, module, sharing) in enumerate(every):
        if in_turn and label not in ALWAYS and (seed + number) % 2:
            continue
        scheduled = to_problem(extract(module), sharing=sharing)
        plan = plan_row_placement(scheduled, options) if "by rows" in label else None
        plan = plan or plan_memory(scheduled.problem, options)
        summary.counts["by rows"] += plan.rows is not None
        program = build_program(scheduled, plan)
        try:
            calls = run_with_tags(program)
        except AssertionError as error:
            raise AssertionError(f"{label}: {error}") from error
        for cascade in scheduled.network.cascades:
            schedule = scheduled.schedules[cascade.name]
            for index, op in enumerate(cascade.operations):
                if op.function is None:
                    rows = op.in_schedule().steps
                    assert calls[op.name] == schedule.calls[index] <= rows, f"{label}: {op.name}"
                    assert calls[op.name] == rows or op.result in schedule.rings
                    summary.counts["row kernels"] += calls[op.name]
                    summary.counts["rows left out"] += rows - calls[op.name]
                    summary.counts["completed tensors"] += index in schedule.incomplete
            summary.counts["cascades"] += len(cascade.operations) > 1
            summary.counts["descending"] += cascade.descending
            summary.counts["rings in place"] += len(schedule.in_place)
        ways.append(Planned(label, scheduled, plan, program))
        summary.counts["programs"] += 1
    sizes = {way.label: way.bytes for way in ways}
    summary.counts["streamed is not smallest"] += sizes["streamed"] > min(sizes.values())
    if sizes["whole"]:
        summary.shares.append(sizes["streamed"] / sizes["whole"])
    return ways


def _ways(
    module: tvm.IRModule, options: Options, chance: random.Random
) -> Iterator[tuple[str, tvm.IRModule, Sharing]]:
    kept = options.keep_inputs
    yield "whole", pipeline.analyze()(module), Sharing.NONE
    accumulated = pipeline.accumulate(keep_inputs=kept)(module)
    yield "accumulated", accumulated, Sharing.ROWS if chance.random() < 0.5 else Sharing.IN_PLACE

    def streamed(limit: int | None = None, module: tvm.IRModule = module) -> tvm.IRModule:
        passes = StreamRows(limit, kept, options.external_io)
        return passes(module)

    least = streamed()
    yield "streamed", least, Sharing.ROWS
    ascending = with_ascending_rows(least)
    if ascending is not None:
        yield "ascending", ascending, Sharing.ROWS
    yield "overlapped", streamed(NO_CASCADES), Sharing.ROWS
    for_rows = StreamRows(None, kept, options.external_io, row_placement=True)
    yield "by rows", for_rows(module), Sharing.ROWS
    joined = FuseJoins()(module)
    if is_fused(joined):
        yield "joined", streamed(module=joined), Sharing.ROWS
        yield "joined, by rows", for_rows(joined), Sharing.ROWS
    yield "streamed, by rows", least, Sharing.ROWS
    with (
        mock.patch.object(stream_rows, "segment", _random_segments(chance)),
        mock.patch.object(stream_rows, "_directions", _random_directions(chance)),
    ):
        drawn = streamed()
        yield "random", drawn, Sharing.ROWS
        yield "random, by rows", drawn, Sharing.ROWS


def _random_segments(chance: random.Random):
    """In place of the best segmentation any one that could run."""

    def segment(items, inputs, outputs, *, keep_inputs=False, limit=None):
        costs = segmentation.SegmentCosts(items, inputs, frozenset(outputs), keep_inputs).table()
        found, end = [], len(items)
        while end > 0:
            begins = sorted(costs[end])
            begin = chance.choice(begins) if chance.random() < 0.6 else begins[0]
            found.append((begin, end))
            end = begin
        return segmentation.Segmentation(tuple(reversed(found)), 0)

    return segment


def _random_directions(chance: random.Random):
    def directions(items, inputs, lasting, segments):
        return [
            items[end - 1].streamable
            and not any(item.operator.running_reduction for item in items[begin:end])
            and chance.random() < 0.5
            for begin, end in segments
        ]

    return directions


def _compare(seed: int, ways: Sequence[Planned], library: Library) -> None:
    rng = np.random.default_rng(seed)
    inputs = {}
    for parameter in random_network(seed)["main"].params:
        spec = spec_of(parameter.ty)
        if spec.dtype == "int8":
            inputs[parameter.name] = rng.integers(-128, 128, spec.shape).astype("int8")
        else:
            inputs[parameter.name] = rng.standard_normal(spec.shape).astype(spec.dtype)
    expected: dict[str, np.ndarray] = {}
    for number, way in enumerate(ways):
        outputs, calls = library.run(f"n{seed}_{number}", inputs)
        steps = way.program.steps
        assert calls == sum(
            count
            for cascade in way.scheduled.network.cascades
            for count in way.scheduled.schedules[cascade.name].calls
        ), f"{way.label}: {calls} kernel calls in {len(steps)} steps"
        expected = expected or outputs
        for name, array in expected.items():
            assert array.tobytes() == outputs[name].tobytes(), f"{way.label}: output {name} differs"


def _record(total: LayoutSummary, sanitize: bool) -> None:
    record(
        "random_networks_sanitized" if sanitize else "random_networks",
        claim="The C of networks, in all the layouts of the row above, does nothing undefined and"
        " leaves no block: AddressSanitizer and UndefinedBehaviorSanitizer, with every arena, input"
        " and output a heap block of exactly its size."
        if sanitize
        else "However a network is laid out in memory (whole tensors, accumulated, overlapped,"
        " streamed in one direction or two, in cascades drawn at random), its outputs have the"
        " same bits, and nothing outside an arena of exactly the planned size is written.",
        command=f"python -m tests.campaigns.random_runs {total.networks}"
        + " --sanitize" * sanitize,
        counts={
            "random networks": total.networks,
            "programs of them": total.counts["programs"],
            "rows computed": total.counts["row kernels"],
        },
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compile and run random networks.")
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    parser.add_argument("--sanitize", action="store_true", help="under ASan and UBSan")
    options = parser.parse_args()
    total = LayoutSummary()
    start = time.process_time()
    for seeds in batches(options.first, options.networks, BATCH):
        found = check_networks(seeds, options.sanitize)
        total.networks += found.networks
        total.counts += found.counts
        total.shares += found.shares
        total.failures += found.failures
        seconds = time.process_time() - start
        print(f"{total.networks} networks, {len(total.failures)} failures, {seconds:.0f} s")
    print(total.text())
    if options.record and not total.failures:
        _record(total, options.sanitize)
    raise SystemExit(bool(total.failures))


if __name__ == "__main__":
    main()
