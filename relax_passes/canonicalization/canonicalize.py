"""`Canonicalize`: from what frontends import to the operators of docs/operators.md.

The phases are passes of their own, in `canonicalization/`; each leaves a module that TVM builds
and that computes the same.  The operators keep the order in which the network wrote them.
"""

from __future__ import annotations

import tvm

from .bound_indices import BoundIndices
from .channels_last import ChannelsLast
from .commute_quantization import CommuteQuantization
from .decompose import DecomposeComposites
from .fold_batch_norm import FoldAffine
from .fold_constants import FoldConstants
from .integer_arithmetic import IntegerArithmetic
from .select_operators import SelectOperators
from .signed_quantization import SignQuantization
from .spell_shortcuts import SpellShortcuts


def Canonicalize(input_layout: str = "model") -> tvm.transform.Pass:
    """The sequence of passes that readies an imported network for planning.

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
            DecomposeComposites(),
            FoldConstants(),
            SpellShortcuts(),
            FoldAffine(),
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
        ],
        name="Canonicalize",
    )
