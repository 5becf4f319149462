"""All passes, in the order in which the compiler runs them.

    imported module
      canonicalize     the operators of docs/operators.md (`Canonicalize`), fewer shortcuts
      stream_ports     if inputs or outputs are row-streamed
        analyze        every tensor whole     }
        accumulate     residuals in place     } the candidates; all compute the same bits
        stream         blocks row by row      }
        plain          another function: the baseline of memory
        reorganize     another function: the DERO network

Each function gives a sequence of the phases that are written out in it, and each pass leaves a
module that TVM builds.  ``tvmc compile --dump-ir`` writes the module behind every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tvm

from .canonicalization.bound_indices import BoundIndices
from .canonicalization.channels_last import ChannelsLast
from .canonicalization.commute_quantization import CommuteQuantization
from .canonicalization.decompose import DecomposeComposites
from .canonicalization.dilate_convolutions import DilateConvolutions
from .canonicalization.fold_batch_norm import FoldAffine
from .canonicalization.fold_constants import FoldConstants
from .canonicalization.integer_arithmetic import IntegerArithmetic
from .canonicalization.integer_interface import IntegerInterface
from .canonicalization.last_steps import LastSteps
from .canonicalization.rows_along_time import RowsAlongTime
from .canonicalization.select_operators import SelectOperators
from .canonicalization.signed_quantization import SignQuantization
from .canonicalization.spell_normalizations import SpellNormalizations
from .canonicalization.spell_places import SpellPlaces
from .canonicalization.spell_shortcuts import SpellShortcuts
from .canonicalization.split_projections import SplitProjections
from .reorganization.description import Choices
from .reorganization.refine_operators import RefineOperators
from .reorganization.remove_residuals import RemoveResiduals
from .reorganization.reorganize_residuals import AS_THE_AUTHORS, ReorganizeResiduals
from .residuals.accumulate_residuals import AccumulateResiduals
from .residuals.classify_operators import ClassifyOperators
from .residuals.concat_in_place import ConcatInPlace
from .residuals.fold_padding import FoldPadding
from .residuals.fuse_joins import FuseJoins
from .residuals.identify_residuals import IdentifyResiduals
from .residuals.transpose_outputs import TransposeOutputs
from .shortcuts.fuse_shortcuts import FuseShortcuts
from .shortcuts.hoist_transposes import HoistTransposes
from .shortcuts.merge_means import MergeMeans
from .streaming.make_again import Again, MakeAgain
from .streaming.stream_ports import StreamPorts
from .streaming.stream_rows import StreamRows

CANONICALIZE = "Canonicalize"  # the name of the sequence


def Canonicalize(input_layout: str = "model") -> tvm.transform.Pass:
    """The sequence of passes that readies an imported network for planning.

    Each of them computes the same as before, and the operators keep the order in which the network
    wrote them.

    Parameters
    ----------
    input_layout
        ``"model"`` keeps the shapes of the model's inputs.  ``"nhwc"`` declares four-dimensional
        inputs channels-last where that saves a transpose; `main`'s attribute
        ``dero.input_layouts`` then holds each parameter's permutation of the model's axes.

    Reads `main`'s attribute ``dero.rounding`` (``double`` for LiteRT's arithmetic, the default;
    ``single`` for ONNX Runtime's).  Writes ``dero.notes``: one sentence for everything of an int8
    network that stays in floating point.  Raises ``ValueError`` for control flow, for shapes
    that are not known, and for a constant index that is outside of its tensor.
    """
    return tvm.transform.Sequential(
        [
            # One spelling for everything
            FoldConstants(),
            DilateConvolutions(),
            DecomposeComposites(),
            FoldConstants(),
            SpellNormalizations(),
            SpellShortcuts(),
            SpellPlaces(),
            FoldAffine(),
            SplitProjections(),
            # One layout
            ChannelsLast(input_layout),
            # Integers between dequantize and quantize
            SignQuantization(),
            CommuteQuantization(),
            IntegerArithmetic(),
            # No access outside of a tensor
            BoundIndices(),
            # Operators of the microcontroller
            SelectOperators(),
            # Of layers over sequences no more than is read
            LastSteps(),
        ],
        name=CANONICALIZE,
    )


def canonicalize(input_layout: str = "model", *, integer_io: bool = False) -> tvm.transform.Pass:
    """What every compilation begins with: `Canonicalize`, and what it makes possible.

    Shortcuts over one convolution become part of it; see `FuseShortcuts`.

    With `integer_io` a quantized network takes and gives integers; see `IntegerInterface`.
    """
    return tvm.transform.Sequential(
        [
            # The operator set
            Canonicalize(input_layout),
            # No conversions at the network's ends, where the user wants none
            *([IntegerInterface()] if integer_io else []),
            # Shortcuts of reorganized networks that need not exist
            HoistTransposes(),
            MergeMeans(),
            FuseShortcuts(),
        ],
        name="canonicalize",
    )


def stream_ports(inputs: Sequence[int] = (), outputs: Sequence[int] = ()) -> tvm.transform.Pass:
    """Mark inputs and outputs that are row-streamed, before `stream`; see `StreamPorts`."""
    return tvm.transform.Sequential(
        [
            # Rows, for networks along one axis
            RowsAlongTime(),
            # Marks
            StreamPorts(inputs, outputs),
        ],
        name="stream_ports",
    )


def analyze() -> tvm.transform.Pass:
    """Findings on a canonical module, nothing rewritten: every tensor stays whole."""
    return tvm.transform.Sequential(
        [
            # What joins what, and what each operator needs of memory
            IdentifyResiduals(),
            ClassifyOperators(),
        ],
        name="analyze",
    )


def accumulate(*, keep_inputs: bool = False) -> tvm.transform.Pass:
    """Residuals at no memory, with the same bits, on a canonical module."""
    return tvm.transform.Sequential(
        [
            # Tensors that need not exist
            FoldPadding(),
            TransposeOutputs(),
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
    *,
    limit: int | None = None,
    keep_inputs: bool = False,
    external_io: bool = False,
    row_placement: bool = False,
    apart: Mapping[str, str] | None = None,
    again: Sequence[Again] = (),
) -> tvm.transform.Pass:
    """Blocks run row by row, with the same bits, on a canonical module; see `StreamRows`.

    With `apart`, which may be empty, convolutions join their rows with residuals, except for those
    joins; see `FuseJoins`.  What `again` names is made a second time; see `MakeAgain`.
    """
    return tvm.transform.Sequential(
        [
            # Rows, for networks along one axis
            RowsAlongTime(),
            # Tensors that need not exist
            FoldPadding(),
            TransposeOutputs(),
            # What joins what, and what each operator needs of memory
            IdentifyResiduals(),
            ClassifyOperators(),
            # Residuals that are added where their convolutions make the other operand
            *([] if apart is None else [FuseJoins(apart), ClassifyOperators()]),
            # Tensors that are made a second time and need not wait
            *([MakeAgain(again), ClassifyOperators()] if again else []),
            # Cascades
            StreamRows(limit, keep_inputs, external_io, row_placement),
        ],
        name="stream",
    )


def plain(*, refine: bool = False) -> tvm.transform.Pass:
    """The plain baseline of a canonical module: another function."""
    return tvm.transform.Sequential(
        [
            # Which branch of each join is the shortcut
            IdentifyResiduals(),
            # The main branches alone
            RemoveResiduals(refine=refine),
        ],
        name="plain",
    )


def reorganize(choices: Choices = AS_THE_AUTHORS, name: str = "network") -> tvm.transform.Pass:
    """The DERO network of a canonical module: another function, to be trained."""
    return tvm.transform.Sequential(
        [
            # Shortcuts over single convolutions in place of those over blocks
            ReorganizeResiduals(choices, name),
            # Widths with which it has the parameters of the original
            RefineOperators(),
        ],
        name="reorganize",
    )
