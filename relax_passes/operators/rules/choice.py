"""Choices between two tensors, element by element.

- spelling: by a sign, a PReLU; between zeros and a softmax, the softmax.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from .prelu import choice_by_sign
from .softmax import without_mask


@SPELLINGS.register("relax.where")
def _choice(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    found = choice_by_sign(rewriter, call)
    return without_mask(rewriter, call) if found is None else found
