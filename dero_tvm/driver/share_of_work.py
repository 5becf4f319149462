"""Stages of long work, each shown with its share of the whole: ``planning: streamed (3 of 9)``."""

from __future__ import annotations

from collections.abc import Callable


class ShareOfWork:
    """A `progress` that adds to each stage which part of how many it belongs to."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._share = ""

    def begin(self, part: int, whole: int) -> None:
        """What is shown from now on belongs to this part, counted from 1, of `whole`."""
        self._share = f" ({part} of {whole})"

    def __call__(self, stage: str) -> None:
        self._progress(stage + self._share)
