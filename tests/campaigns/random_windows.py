"""Compiles random networks with random groups in windows of columns, and compares.

    python -m tests.campaigns.random_windows 2000       seeds 0 to 1999
    python -m tests.campaigns.random_windows 200 --sanitize
    python -m tests.campaigns.random_windows 100 --cores    with the kernels of Arm cores

Each network of `random_images` runs as C with every tensor whole, and in some ways with groups,
windows and passes drawn at random, and some tensors made again, in an arena of exactly the planned
size between guards.  Outputs are compared bit by bit, and the multiply-accumulates that the kernels
counted with those that the plan says.
"""

from __future__ import annotations

import argparse
import random
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import tvm

import dero_tvm
from dero_tvm.aot.kernels import makes_windows
from dero_tvm.aot.program import Program, build_program
from dero_tvm.boards.board import load_board
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.driver.options import CompileOptions
from dero_tvm.driver.prepare import prepare
from dero_tvm.driver.row_planner import plan_row_placement
from dero_tvm.planning import Options, plan_memory
from dero_tvm.planning.column_windows.grouping import Group, Grouping
from dero_tvm.planning.rows.problem import Call
from dero_tvm.runners import run_host_c
from dero_tvm.schedule.column_groups import in_column_windows
from dero_tvm.schedule.extract import extract
from dero_tvm.schedule.network import Network
from dero_tvm.schedule.to_problem import Sharing, to_problem
from relax_passes import pipeline
from relax_passes.ir.straight_line import read_function, variables
from relax_passes.operators import spec_of
from relax_passes.residuals.fuse_joins import FuseJoins
from relax_passes.streaming.make_again import Again, MakeAgain, made_again
from relax_passes.streaming.stream_rows import StreamRows
from tests.campaigns.batches import batches
from tests.campaigns.compared_outputs import assert_equal_outputs, guarded_outputs
from tests.campaigns.in_one_library import Library, check_in_one_library
from tests.campaigns.summary import Summary
from tests.compiled.c_batch import CLibrary
from tests.models.random_images import random_image_network

BATCH = 25  # networks a C file
CORES = ("mps2-an386", "mps3-an547")  # Cortex-M4 with DSP and FPU, Cortex-M55 with MVE
_CORE_CHANNELS = (3, 4, 8, 12)  # most kernels of cores want four or eight
_WAYS = 2  # to group each network
_ATTEMPTS = 12  # at a group
_TIME_LIMIT = 0.02  # seconds a plan: one that is not the best shows as much


def check_windows(seeds: Sequence[int], sanitize: bool = False) -> Summary:
    """Compile and run the networks of `seeds`; what fails is in the summary."""
    summary = Summary()
    summary.counts["networks"] = len(seeds)
    summary.failures += check_in_one_library(
        seeds,
        lambda seed: _programs(seed, summary),
        lambda way: way[1],
        _compare,
        sanitize=sanitize,
    )
    return summary


def random_grouping(network: Network, chance: random.Random) -> Grouping:
    """Groups that can be computed in windows, none of which meets another."""
    operations = network.operations
    found: list[Group] = []
    start = 0
    for _ in range(_ATTEMPTS):
        if start >= len(operations):
            break
        first = chance.randrange(start, len(operations))
        last = min(first + chance.choice((0, 1, 2, 2, 3, 4, 6)), len(operations) - 1)
        output = operations[last].signature.output
        width, rows = chance.randint(1, output.pixels), chance.randint(1, min(output.rows, 6))
        group = Group(first, last, width, rows, keeps_columns=chance.random() < 0.5)
        try:
            in_column_windows(network, (*found, group), makes_windows)
        except UserError:
            continue
        found.append(group)
        start = last + 1
    return tuple(found)


def random_copies(module: tvm.IRModule, chance: random.Random) -> list[Again]:
    """Some tensor made again for some of its readers, from as far before as one likes."""
    line = read_function(module)
    operands = {var.name: [each.name for each in variables(value)] for var, value in line.bindings}
    order = list(operands)
    tensor = chance.choice(order)
    readers = [name for name in order if tensor in operands[name]]
    readers = readers[chance.randrange(len(readers)) :] if readers else []
    chain = {tensor}
    for name in reversed(order):
        if name in chain:
            chain.update(x for x in operands[name] if x in operands and chance.random() < 0.5)
    return (
        [Again(tuple(name for name in order if name in chain), tuple(readers))] if readers else []
    )


def _with_copies(module: tvm.IRModule, copies: list[Again], seed: int) -> tvm.IRModule:
    """The module with whole copies, or half of the time with their first columns, if it can be."""
    chance = random.Random(f"columns of {seed}")  # so that nothing else is drawn otherwise
    shapes = {var.name: spec_of(var.ty).shape for var, _ in read_function(module).bindings}
    for again in copies:
        shape = shapes[again.tensor]
        if len(shape) == 4 and shape[2] > 1 and chance.random() < 0.5:
            columns = chance.randrange(1, shape[2])
            try:
                return MakeAgain([replace(again, columns=columns)])(module)
            except ValueError:
                continue
    return MakeAgain(copies)(module)


def _programs(seed: int, summary: Summary) -> Iterator[tuple[float, Program]]:
    """With tensors whole, then in windows; each with the multiply-accumulates that it makes."""
    chance = random.Random(seed)
    module = random_image_network(seed)
    options = Options(external_io=seed % 5 == 3, keep_inputs=seed % 5 == 4, time_limit=_TIME_LIMIT)
    whole = to_problem(extract(pipeline.analyze()(module)), sharing=Sharing.NONE)
    yield whole.network.macs, build_program(whole, plan_memory(whole.problem, options))
    joined = FuseJoins()(module) if chance.random() < 0.5 else module
    if chance.random() < 0.3:
        joined = _with_copies(joined, random_copies(joined, chance), seed)
        summary.counts["copies of operators"] += len(made_again(joined))
        summary.counts["copies of columns"] += any(
            var.name.endswith("_joined") for var, _ in read_function(joined).bindings
        )
    streamed = StreamRows(None, options.keep_inputs, options.external_io, row_placement=True)
    network = extract(streamed(joined))
    for _ in range(_WAYS):
        grouping = random_grouping(network, chance)
        windowed = in_column_windows(network, grouping, makes_windows)
        scheduled = to_problem(windowed, sharing=Sharing.ROWS)
        plan = plan_row_placement(scheduled, options)
        assert plan is not None and plan.rows is not None
        for op in windowed.operations:
            if op.group is not None:
                summary.counts["groups"] += 1
                summary.counts["windows"] += len(op.group.columns)
                summary.counts["groups that keep columns"] += bool(op.group.keeping)
                summary.counts["operations in groups"] += len(op.group.operations)
                for part in op.group.operations:
                    summary.counts[part.signature.short_name] += 1
        yield _macs(windowed, plan.rows.problem.calls), build_program(scheduled, plan)


def _macs(network: Network, calls: Sequence[Call]) -> float:
    """Multiply-accumulates of the calls of a plan, in which rows that nobody asks for are not."""
    total = Fraction(0)
    for call in calls:
        op = network.cascades[call.step].operations[call.operation]
        steps = max(op.in_schedule().steps, 1)
        total += Fraction(op.macs, steps) if op.group is None else op.group.macs_of(call.row)
    return float(total)


def _compare(seed: int, ways: Sequence[tuple[float, Program]], library: Library) -> None:
    rng = np.random.default_rng(seed)
    (parameter,) = random_image_network(seed)["main"].params
    spec = spec_of(parameter.ty)
    values = rng.integers(-128, 128, spec.shape) if spec.dtype == "int8" else None
    data = rng.standard_normal(spec.shape) if values is None else values
    inputs = {parameter.name: data.astype(spec.dtype)}
    expected: dict[str, np.ndarray] = {}
    for number, (macs, _) in enumerate(ways):
        outputs, _ = library.run(f"n{seed}_{number}", inputs)
        if isinstance(library, CLibrary):
            assert abs(library.macs - macs) < 1, f"{library.macs} are not {macs}"
        expected = expected or outputs
        for name, array in expected.items():
            assert array.tobytes() == outputs[name].tobytes(), f"way {number}: {name} differs"


def check_on_cores(seeds: Sequence[int], cores: Sequence[str] = CORES) -> Summary:
    """Compile the networks of `seeds` with the kernels of boards' cores, and run the C on the host.

    That is under sanitizers; plain C stands there for the instructions.
    """
    summary = Summary()
    for seed in seeds:
        summary.counts["networks"] += 1
        try:
            _check_on_cores(seed, cores, summary)
        except Exception:
            summary.failures.append(f"seed {seed}: {traceback.format_exc(limit=-3)}")
    return summary


def _check_on_cores(seed: int, cores: Sequence[str], summary: Summary) -> None:
    network = random_image_network(seed, _CORE_CHANNELS)
    portable = dero_tvm.compile(network, dero="none").archive
    inputs = random_inputs(portable.inputs, np.random.default_rng(seed))
    expected = guarded_outputs("portable", run_host_c(portable, [inputs]))
    for core in cores:
        host = replace(load_board("host"), features=load_board(core).features)
        options = CompileOptions(target=host, time_limit=_TIME_LIMIT)
        streamed = prepare(network, options).candidates().streamed_for_windows()
        grouping = random_grouping(streamed, random.Random(seed))
        if not grouping:
            continue
        model = dero_tvm.compile(network, options, windows=grouping)
        for op in model.network.operations:
            for part in op.parts if op.group is not None else ():
                summary.counts["operations in groups"] += 1
                summary.counts["with kernels of the core"] += part.native is not None
                if part.native is not None:
                    summary.counts[part.native.name] += 1
        result = run_host_c(model.archive, [inputs], sanitize=True)
        assert_equal_outputs(core, guarded_outputs(core, result), expected)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compile and run networks in windows of columns.")
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--sanitize", action="store_true", help="under ASan and UBSan")
    parser.add_argument("--cores", action="store_true", help="with kernels of boards' cores")
    options = parser.parse_args()
    total = Summary()
    for seeds in batches(options.first, options.networks, BATCH):
        if options.cores:
            found = check_on_cores(seeds)
        else:
            found = check_windows(seeds, options.sanitize)
        total.counts += found.counts
        total.failures += found.failures
        print(f"{total.counts['networks']} networks, {len(total.failures)} failures", flush=True)
    print(total.text())
    raise SystemExit(bool(total.failures))


if __name__ == "__main__":
    main()
