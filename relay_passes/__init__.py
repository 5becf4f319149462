"""The name under which the first sketch of this project had its passes.

Relay was TVM's graph IR until TVM 0.19; its successor is Relax, and the passes are those of
`relax_passes`.  microTVM, the part of TVM that compiled for microcontrollers, and its `tvmc` went
with Relay; `dero_tvm` takes their place (docs/migration.md).

A script written for the old name runs: this package hands on the passes, as
``relay_passes.AccumulateResiduals``, and the sequences of `relax_passes.pipeline`, as
``relay_passes.pipeline.stream()``.  They take and give Relax modules.
"""

from __future__ import annotations

from relax_passes import pipeline
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
from relax_passes.canonicalization.note_weights import NoteWeights
from relax_passes.canonicalization.rows_along_time import RowsAlongTime
from relax_passes.canonicalization.select_operators import SelectOperators
from relax_passes.canonicalization.signed_quantization import SignQuantization
from relax_passes.canonicalization.spell_normalizations import SpellNormalizations
from relax_passes.canonicalization.spell_shortcuts import SpellShortcuts
from relax_passes.canonicalization.split_projections import SplitProjections
from relax_passes.pipeline import Canonicalize
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
from relax_passes.streaming.make_again import MakeAgain
from relax_passes.streaming.stream_ports import StreamPorts
from relax_passes.streaming.stream_rows import StreamRows
