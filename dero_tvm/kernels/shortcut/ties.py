"""Whether a step of a shortcut ever rounds a tie: most do not, and save instructions for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relax_passes.operators.fixed_point import INT8_MAX, INT8_MIN
from relax_passes.operators.shortcut_steps import DATA, SCALAR, Affine, ShortcutStep, Term

_MOST_VALUES = 1 << 15  # of a term that are looked at


def may_tie(
    step: Affine, steps: Sequence[ShortcutStep], per_channel: np.ndarray, taps: int
) -> bool:
    """False if no values of the terms make a sum that lies halfway between two integers.

    `taps` is the largest number of elements of a channel that a window has; `per_channel` are the
    constants.  Steps with more than two terms, or with factors for each channel in several, are
    taken to have ties.
    """
    modulus = 1 << step.shift
    if step.offsets != SCALAR or any(term.factors != SCALAR for term in step.terms):
        return len(step.terms) > 1 or _may_tie_by_channel(step, steps, per_channel, taps)
    residues = []
    for term in step.terms:
        values = _values(term, steps, taps)
        if values is None:
            return True
        residues.append(values * term.factor % modulus)
    wanted = ((modulus >> 1) - step.offset) % modulus
    if len(residues) == 1:
        return bool((residues[0] == wanted).any())
    return len(residues) > 2 or bool(np.isin((wanted - residues[0]) % modulus, residues[1]).any())


def _may_tie_by_channel(
    step: Affine, steps: Sequence[ShortcutStep], per_channel: np.ndarray, taps: int
) -> bool:
    """The same of one term, of which every channel has a factor, an offset, or both of its own.

    Which channels a step has is not known here: those of the longer of its vectors that lie in the
    constants are looked at, whatever follows there.
    """
    (term,) = step.terms
    values = _values(term, steps, taps)
    if values is None:
        return True
    modulus = 1 << step.shift
    vectors = []
    for start, scalar, shift in (
        (term.factors, term.factor, 0),
        (step.offsets, step.offset, step.offsets_shift),
    ):
        constants = per_channel[start:].astype(np.int64) << shift
        vectors.append(np.array([scalar]) if start == SCALAR else constants)
    length = min(
        len(vector)
        for vector, start in zip(vectors, (term.factors, step.offsets), strict=True)
        if start != SCALAR
    )
    factors, offsets = (vector[:length] for vector in vectors)
    sums = values[None, :] * factors[:, None] + offsets[:, None]
    return bool((sums % modulus == modulus >> 1).any())


def _values(term: Term, steps: Sequence[ShortcutStep], taps: int) -> np.ndarray | None:
    """All values that a term's sum of channels can have; None if they are many."""
    low, high = INT8_MIN, INT8_MAX
    count = term.count * (taps if term.source == DATA else 1)
    source = steps[term.source] if term.source >= 0 else None
    if isinstance(source, Affine):
        low, high = source.minimum, source.maximum
    low, high = (bound - term.zero for bound in (low, high))
    low, high = count * min(low, 0), count * max(high, 0)  # windows at the border have less taps
    return None if high - low >= _MOST_VALUES else np.arange(low, high + 1, dtype=np.int64)
