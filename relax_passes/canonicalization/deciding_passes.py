"""The phases of canonicalization that record decisions.

They are on operators as such, whether or not one is a join: what they say of a join is not what
became of its memory.
"""

from __future__ import annotations

from . import channels_last, commute_quantization, select_operators

DECIDING_PASSES = (channels_last.NAME, commute_quantization.NAME, select_operators.NAME)
