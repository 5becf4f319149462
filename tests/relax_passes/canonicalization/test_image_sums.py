"""Element sums of images as sums of channels."""

from __future__ import annotations

import pytest

from relax_passes.canonicalization import image_sums
from relax_passes.canonicalization.element_sums import ElementSum
from relax_passes.shortcuts.channel_sums import NotLinear


def test_windows_of_windows_are_refused_at_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has nine times as many terms as the one before, so none is looked at as a whole."""
    shape = (1, 2, 9, 6)
    image = ElementSum.of(0, shape)
    numberings = {"x": image_sums.Numbering("x", 0, shape)}
    once = image.windows([3, 3], [1, 1], [1, 1, 1, 1])
    (term,) = image_sums.channel_sum(once, numberings).terms
    assert term.window == ((3, 3), (1, 1), (1, 1, 1, 1))
    monkeypatch.delattr(image_sums, "_regular")
    with pytest.raises(NotLinear, match="fill no window"):
        image_sums.channel_sum(once.windows([3, 3], [1, 1], [1, 1, 1, 1]), numberings)
