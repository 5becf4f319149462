"""Every pass alone, and every two of them one after the other, in both orders.

    python -m tests.campaigns.pass_pairs                  the bundled networks and 20 random ones
    python -m tests.campaigns.pass_pairs --random 100
    python -m tests.campaigns.pass_pairs --record         also writes a row of docs/trust.md

A pass must leave a module that TVM compiles for the host, and that gives the same outputs, bit by
bit; some do other sums of floating-point numbers (`FUSING`) or are there to change the function or
its interface (`CHANGING`).  Behind one of those, a pass must keep what it made; before it, it must
not change what it makes.  Whatever the module that it is given, a pass that is applied to its own
result leaves it as it is, names included.  What a pass refuses, it refuses with its own error.
Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from dero_tvm.frontends import load
from relax_passes import pipeline
from relax_passes.canonicalization import integer_interface
from relax_passes.canonicalization.bound_indices import BoundIndices
from relax_passes.canonicalization.channels_last import ChannelsLast
from relax_passes.canonicalization.commute_quantization import CommuteQuantization
from relax_passes.canonicalization.decompose import DecomposeComposites
from relax_passes.canonicalization.dilate_convolutions import DilateConvolutions
from relax_passes.canonicalization.fold_batch_norm import FoldAffine
from relax_passes.canonicalization.fold_constants import FoldConstants
from relax_passes.canonicalization.integer_arithmetic import IntegerArithmetic
from relax_passes.canonicalization.integer_interface import IntegerInterface
from relax_passes.canonicalization.last_steps import LastSteps
from relax_passes.canonicalization.rows_along_time import RowsAlongTime
from relax_passes.canonicalization.select_operators import SelectOperators
from relax_passes.canonicalization.signed_quantization import SignQuantization
from relax_passes.canonicalization.spell_normalizations import SpellNormalizations
from relax_passes.canonicalization.spell_places import SpellPlaces
from relax_passes.canonicalization.spell_shortcuts import SpellShortcuts
from relax_passes.canonicalization.split_projections import SplitProjections
from relax_passes.ir.straight_line import read_function
from relax_passes.pipeline import Canonicalize
from relax_passes.reorganization import refine_operators
from relax_passes.reorganization.cannot_reorganize import CannotReorganize
from relax_passes.reorganization.refine_operators import RefineOperators
from relax_passes.reorganization.remove_residuals import RemoveResiduals
from relax_passes.reorganization.reorganize_residuals import ReorganizeResiduals
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.classify_operators import ClassifyOperators
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.residuals.fold_padding import FoldPadding
from relax_passes.residuals.fuse_joins import FuseJoins
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.transpose_outputs import TransposeOutputs
from relax_passes.shortcuts.fuse_shortcuts import FuseShortcuts
from relax_passes.shortcuts.hoist_transposes import HoistTransposes
from relax_passes.shortcuts.merge_means import MergeMeans
from relax_passes.streaming.stream_ports import CannotStream, StreamPorts
from relax_passes.streaming.stream_rows import StreamRows
from tests.compiled.host_module import run_on_host
from tests.models.random_networks import random_network
from tests.trust import record

Passes = dict[str, Callable[[], tvm.transform.Pass]]


def by_name(*makers: Callable[[], tvm.transform.Pass]) -> Passes:
    """Passes by the names that they give themselves."""
    return {str(make().info.name): make for make in makers}


PASSES: Passes = by_name(
    # The phases of Canonicalize.
    LastSteps,
    RowsAlongTime,
    FoldConstants,
    DilateConvolutions,
    DecomposeComposites,
    SpellNormalizations,
    SpellShortcuts,
    SpellPlaces,
    FoldAffine,
    SplitProjections,
    ChannelsLast,
    SignQuantization,
    CommuteQuantization,
    IntegerArithmetic,
    BoundIndices,
    SelectOperators,
    # What follows it.
    Canonicalize,
    IntegerInterface,
    HoistTransposes,
    MergeMeans,
    FuseShortcuts,
    FoldPadding,
    TransposeOutputs,
    IdentifyResiduals,
    ClassifyOperators,
    AccumulateResiduals,
    ConcatInPlace,
    FuseJoins,
    ReorganizeResiduals,
    RefineOperators,
    RemoveResiduals,
    lambda: StreamPorts([0], []),
    StreamRows,
)
PIPELINES: Passes = {
    f"pipeline.{name}": make for name, make in by_name(pipeline.accumulate, pipeline.stream).items()
}
CHANGING = tuple(
    by_name(
        *(IntegerInterface, ReorganizeResiduals, RefineOperators, RemoveResiduals),
        IntegerArithmetic,  # which is rounded otherwise than the floating point it stands for
    )
)
FUSING = tuple(
    by_name(
        *(HoistTransposes, MergeMeans, FuseShortcuts),
        *(FoldConstants, DecomposeComposites, FoldAffine, ChannelsLast, SelectOperators),
        Canonicalize,
    )
)
ENABLING = tuple(  # the first lets the second find other shortcuts to change
    tuple(by_name(*pair))
    for pair in (
        (MergeMeans, RemoveResiduals),  # a sum of two means is a join of two branches behind it
        (FuseShortcuts, RemoveResiduals),  # a fused shortcut is no join any more
        (FuseJoins, RemoveResiduals),  # nor is a fused join
    )
)
_TOLERANCE = 1e-5  # of the largest output, for floating point behind FUSING

ROOT = Path(__file__).resolve().parents[2]
Outputs = list[np.ndarray]


class Pairs:
    """Passes on one module."""

    def __init__(self, module: tvm.IRModule, passes: Passes = PASSES | PIPELINES) -> None:
        self.passes = passes
        self.counts: Counter[str] = Counter()
        self._after: dict[tuple[str, ...], tvm.IRModule | None] = {(): module}
        self._results: dict[tuple[str, Hashable], tvm.IRModule | None] = {}
        self._outputs: dict[int, Outputs] = {}

    def check(self) -> Iterator[str]:
        """What is wrong, a line each."""
        for names in [(a,) for a in self.passes] + list(product(self.passes, repeat=2)):
            try:
                wrong = self._check(names)
            except Exception:
                wrong = traceback.format_exc(limit=-2)
            if wrong:
                yield f"{' then '.join(names)}: {wrong}"

    def _check(self, names: tuple[str, ...]) -> str | None:
        if self.after(names[:-1]) is None:
            return None
        module = self.after(names)
        if module is None:
            self.counts["refused"] += 1
            return None
        self.counts["applied"] += 1
        if changed := self._changed_again(names):
            return changed
        outputs = self.outputs(module)
        changing = tuple(name for name in names if name in CHANGING)
        if len(changing) > 1 and changing[0] != changing[1]:
            return self._check_commuted(names, outputs)
        reference = self.after(changing[:1])
        enabled = reference is None or tvm_ffi.structural_equal(reference, self.after(()))
        if changing and (enabled or names in ENABLING):
            return self._not_finite(outputs)
        return self._compared(outputs, self.outputs(reference), names)

    def _changed_again(self, names: tuple[str, ...]) -> str | None:
        """The last pass on its own result."""
        before, module = self.after(names), self._applied(names[-1], self.after(names))
        if module is None:
            return "refused for its own result"
        if mismatch := tvm_ffi.get_first_structural_mismatch(before, module):
            return f"changes its own result at {mismatch[0]}"
        if _tensors(before) != _tensors(module):
            return "gives other names to tensors of its own result"
        return None

    def _check_commuted(self, names: tuple[str, ...], outputs: Outputs) -> str | None:
        """Two passes that both change the function: the interface commutes with all others."""
        swapped = self.after(names[::-1])
        if integer_interface.NAME not in names or swapped is None:
            return self._not_finite(outputs)
        return self._compared(outputs, self.outputs(swapped), names)

    def _not_finite(self, outputs: Outputs) -> str | None:
        finite = all(np.isfinite(output).all() for output in outputs)
        return None if finite else "the outputs are not finite"

    def _compared(self, outputs: Outputs, expected: Outputs, names: tuple[str, ...]) -> str | None:
        exact = not set(FUSING) & set(names)
        for index, (one, other) in enumerate(zip(outputs, expected, strict=True)):
            if one.shape != other.shape or one.dtype != other.dtype:
                return f"output {index} is {one.dtype}{one.shape}, not {other.dtype}{other.shape}"
            worst = np.abs(one.astype("float64") - other).max(initial=0)
            rough = one.dtype.kind == "f" and not exact
            limit = _TOLERANCE * np.abs(other).max(initial=0) if rough else 0
            if not worst <= limit:  # NaN differs too
                return f"output {index} differs by {worst:g}"
        return None

    def after(self, names: tuple[str, ...]) -> tvm.IRModule | None:
        """The module behind these passes; None if the last one refuses it."""
        if names not in self._after:
            before = self.after(names[:-1])
            self._after[names] = None if before is None else self._applied(names[-1], before)
        return self._after[names]

    def _applied(self, name: str, module: tvm.IRModule) -> tvm.IRModule | None:
        """What a pass makes of a module; of equal ones, with equal names, once."""
        key = name, (tvm_ffi.structural_hash(module), *_tensors(module))
        if key not in self._results:
            self._results[key] = self._made(name, module)
        return self._results[key]

    def _made(self, name: str, module: tvm.IRModule) -> tvm.IRModule | None:
        try:
            return self.passes[name]()(module)
        except (CannotReorganize, CannotStream):
            return None
        except ValueError as error:
            needed = ("ReorganizeResiduals has not run on it", "passes after ReorganizeResiduals")
            if name == refine_operators.NAME and any(text in str(error) for text in needed):
                return None
            raise

    def outputs(self, module: tvm.IRModule) -> Outputs:
        """What the module computes from random inputs of its types; equal ones run once."""
        key = tvm_ffi.structural_hash(module)
        if key not in self._outputs:
            relax.analysis.well_formed(module)
            self._outputs[key] = run_on_host(module, _inputs(module))
            self.counts["modules run"] += 1
        return self._outputs[key]


def _tensors(module: tvm.IRModule) -> list[str]:
    line = read_function(module)
    return [var.name for var in (*line.parameters, *(var for var, _ in line.bindings))]


def _inputs(module: tvm.IRModule) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = []
    for parameter in module["main"].params:
        shape, dtype = [int(n) for n in parameter.ty.shape], str(parameter.ty.dtype)
        integers = rng.integers(-128, 128, shape)
        arrays.append((integers / 40 if "float" in dtype else integers).astype(dtype))
    return arrays


def networks(random: int) -> Iterator[tuple[str, tvm.IRModule]]:
    """Modules by name: bundled networks in all states, and `random` random ones."""
    for name in ("digits_float32", "digits_int8"):
        imported = load(ROOT / "examples" / "models" / f"{name}.onnx").module
        canonical = Canonicalize("nhwc")(imported)
        yield f"{name}, imported", imported
        yield name, canonical
        if name == "digits_float32":
            yield f"{name}, reorganized", ReorganizeResiduals()(canonical)
    for seed in range(random):
        yield f"random network {seed}", Canonicalize("nhwc")(random_network(seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=20, metavar="N", help="random networks")
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    modules = faults = 0
    for name, module in networks(options.random):
        pairs = Pairs(module)
        modules += 1
        for line in pairs.check():
            faults += 1
            print(f"{name}: {line}", flush=True)
        counts.update(pairs.counts)
        print(f"{name}: {dict(pairs.counts)}", flush=True)
    print(f"{modules} modules, {dict(counts)}, {faults} faults")
    if options.record and not faults:
        record(
            "pass_pairs",
            claim="Every pass alone, the phases of Canonicalize among them, and every two in both"
            " orders leave a module that TVM builds and that gives the same outputs, or refuse with"
            " their own error.",
            command=f"python -m tests.campaigns.pass_pairs --random {options.random}",
            counts={
                "modules": modules,
                "sequences applied": counts["applied"],
                "refused": counts["refused"],
                "different results run": counts["modules run"],
            },
            faults="RefineOperators behind StreamRows ended in an IndexError; behind cascades"
            " FoldPadding renamed tensors that findings name, so that IdentifyResiduals refused",
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
