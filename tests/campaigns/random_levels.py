"""Compiles the C of random networks with every compiler and level there is, and compares.

    python -m tests.campaigns.random_levels 100               seeds 0 to 99
    python -m tests.campaigns.random_levels 20 --first 400
    python -m tests.campaigns.random_levels 100 --record      also writes a row of docs/trust.md

The other campaigns compile without optimization, or with sanitizers, which keep compilers from
much of it.  Here each network of `random_networks` is compiled once, in one of the modes, and its
C as users compile it: by gcc and clang, at the levels of `LEVELS`.  `SEPARATE_STEPS` has gcc treat
a small network as it treats a large one, whose steps it does not merge into the run function.  All
outputs have the bits of gcc's without optimization, NaNs aside, which may have any.
Exits with 1 if anything was found.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter

import numpy as np

import dero_tvm
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import run_host_c
from tests.campaigns.by_seed import run_by_seed
from tests.campaigns.compared_outputs import guarded_outputs
from tests.models.random_networks import random_network

SEPARATE_STEPS = ("--param=large-function-insns=30", "--param=large-function-growth=10")
LEVELS = {
    "gcc": (("-O1",), ("-O2",), ("-O2", *SEPARATE_STEPS), ("-O3", *SEPARATE_STEPS), ("-Os",)),
    "clang": (("-O2",), ("-O3",)),
}
MODES = ("stream", "overlap", "accumulate", "none")


def check_network(seed: int, counts: Counter[str]) -> None:
    """AssertionError or RunError at the first difference."""
    mode = MODES[seed % len(MODES)]
    archive = dero_tvm.compile(random_network(seed), dero=mode).archive
    inputs = random_inputs(archive.inputs, np.random.default_rng(seed))
    plain = run_host_c(archive, [inputs], compiler="gcc", flags=("-O0",))
    expected = guarded_outputs("gcc -O0", plain)
    for compiler, levels in LEVELS.items():
        if shutil.which(compiler) is None:
            continue
        for flags in levels:
            label = f"--dero {mode}, {compiler} {' '.join(flags)}"
            result = run_host_c(archive, [inputs], compiler=compiler, flags=flags)
            found = guarded_outputs(label, result)
            for name, array in expected.items():
                same = np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f")
                assert same, f"{label}: output {name} differs"
            counts["compilations"] += 1


def main() -> int:
    """The command line."""
    return run_by_seed(
        "random_levels",
        check_network,
        about=__doc__.splitlines()[0],
        claim="The C of a network gives the same bits from gcc and clang at every level of"
        " optimization.",
    )


if __name__ == "__main__":
    sys.exit(main())
