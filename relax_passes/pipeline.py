"""The passes in the order in which the compiler runs them."""

from __future__ import annotations

from collections.abc import Sequence

import tvm

from .canonicalization.canonicalize import Canonicalize
from .canonicalization.integer_interface import IntegerInterface
from .reorganization.description import Choices
from .reorganization.refine_operators import RefineOperators
from .reorganization.remove_residuals import RemoveResiduals
from .reorganization.reorganize_residuals import AS_THE_AUTHORS, ReorganizeResiduals
from .residuals.accumulate_residuals import AccumulateResiduals
from .residuals.classify_operators import ClassifyOperators
from .residuals.concat_in_place import ConcatInPlace
from .residuals.fold_padding import FoldPadding
from .residuals.identify_residuals import IdentifyResiduals
from .shortcuts.fuse_shortcuts import FuseShortcuts
from .shortcuts.hoist_transposes import HoistTransposes
from .shortcuts.merge_means import MergeMeans
from .streaming.stream_ports import StreamPorts
from .streaming.stream_rows import StreamRows


def canonicalize(input_layout: str = "model", *, integer_io: bool = False) -> tvm.transform.Pass:
    """From what a frontend imports to the operator set; see `Canonicalize`.

    Shortcuts over one convolution become part of it; see `FuseShortcuts`.

    With `integer_io` a quantized network takes and gives integers; see `IntegerInterface`.
    """
    passes = [Canonicalize(input_layout)]
    if integer_io:
        passes.append(IntegerInterface())
    # Shortcuts of reorganized networks that need not exist
    passes += [HoistTransposes(), MergeMeans(), FuseShortcuts()]
    return tvm.transform.Sequential(passes, name="canonicalize")


def analyze() -> tvm.transform.Pass:
    """Findings on a canonical module, nothing rewritten."""
    return tvm.transform.Sequential([IdentifyResiduals(), ClassifyOperators()], name="analyze")


def accumulate(*, keep_inputs: bool = False) -> tvm.transform.Pass:
    """Residuals at no memory, with the same bits, on a canonical module."""
    return tvm.transform.Sequential(
        [
            # Tensors that need not exist
            FoldPadding(),
            # What joins what, and what each operator needs of memory
            IdentifyResiduals(),
            ClassifyOperators(),
            # Additions into the residual's buffer
            AccumulateResiduals(keep_inputs=keep_inputs),
            # Concatenations whose operands are written where they belong
            ConcatInPlace(),
        ],
        name="accumulate",
    )


def stream(
    *, limit: int | None = None, keep_inputs: bool = False, external_io: bool = False
) -> tvm.transform.Pass:
    """Blocks run row by row, with the same bits, on a canonical module; see `StreamRows`."""
    return tvm.transform.Sequential(
        [
            # Tensors that need not exist
            FoldPadding(),
            # What joins what, and what each operator needs of memory
            IdentifyResiduals(),
            ClassifyOperators(),
            # Cascades
            StreamRows(limit, keep_inputs, external_io),
        ],
        name="stream",
    )


def stream_ports(inputs: Sequence[int] = (), outputs: Sequence[int] = ()) -> tvm.transform.Pass:
    """Mark inputs and outputs that are traded row by row, before `stream`; see `StreamPorts`."""
    return tvm.transform.Sequential([StreamPorts(inputs, outputs)], name="stream_ports")


def plain(*, refine: bool = False) -> tvm.transform.Pass:
    """The plain twin of a canonical module: another function, the yardstick of memory."""
    passes = [IdentifyResiduals(), RemoveResiduals(refine=refine)]
    return tvm.transform.Sequential(passes, name="plain")


def reorganize(choices: Choices = AS_THE_AUTHORS, name: str = "network") -> tvm.transform.Pass:
    """The DERO network of a canonical module: another function, to be trained."""
    passes = [ReorganizeResiduals(choices, name), RefineOperators()]
    return tvm.transform.Sequential(passes, name="reorganize")
