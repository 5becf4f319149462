"""Takes the fastest kernel for each request, by figures from the cache or measured now."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dero_tvm.boards.board import Board
from dero_tvm.boundary.errors import UserError
from dero_tvm.kernels import CKernel, Request, requests_of
from dero_tvm.report.tuning import ReportedChoice, ReportedTuning
from dero_tvm.schedule.network import Network

from .cache import Entry, default_cache, read_cache, write_cache
from .measure import Meter, batches, measure, meter_of
from .trial import Trial, key_of, trial_of

_MARGIN = 0.01  # of the default's cost: what a kernel must save to be taken in its place
_TICKS = 100  # units that two figures may differ by without a difference: two ticks of a counter


class Tuner:
    """Measures kernels for one board.

    `cache` is the file of figures, None the user's own.  `measure` takes trials and where to run
    them, as `measure.measure` does.

    Raises UserError if the cache cannot be read or its folder does not exist.
    """

    def __init__(
        self,
        board: Board,
        cache: Path | None = None,
        *,
        progress: Callable[[str], None] = lambda stage: None,
        measure: Callable[[Sequence[Trial], Meter], list[tuple[int, ...]]] = measure,
    ) -> None:
        self.board = board
        self.measured = 0  # kernels
        self._meter: Meter | None = None
        self._progress = progress
        self._measure = measure
        self._path = default_cache() if cache is None else cache
        if cache is None:
            _make_folder(self._path.parent)
        _check_writable(self._path)
        self._entries = read_cache(self._path)
        self._used: set[str] = set()

    def choose(self, requests: Sequence[Request]) -> list[CKernel | None]:
        """The fastest kernel of each request; what no figure is known of is measured first."""
        trials = [trial_of(request) for request in requests]
        keys = [key_of(trial, self.board) if trial else "" for trial in trials]
        keyed = {key: trial for key, trial in zip(keys, trials) if trial}
        self._used |= keyed.keys()
        missing = {key: trial for key, trial in keyed.items() if not self._knows(key, trial)}
        if missing:
            self._fill(missing)
        return [
            trial.kernels[_best(self._entries[key])] if trial else None
            for key, trial in zip(keys, trials)
        ]

    @property
    def meter(self) -> Meter:
        """Where kernels and plans are measured; UserError if nowhere."""
        if self._meter is None:
            self._meter = meter_of(self.board)
        return self._meter

    def report(self, network: Network) -> ReportedTuning:
        """What was measured, and which operations of `network` got another kernel for it."""
        requests = requests_of(network, self.board.kernel_features)
        choices = []
        for name, request in requests.items():
            trial = trial_of(request)
            if trial is None:
                continue
            entry = self._entries[key_of(trial, self.board)]
            best = _best(entry)
            if best:
                choices.append(
                    ReportedChoice(
                        name,
                        entry.operation,
                        *(entry.kernels[0], entry.costs[0]),
                        *(entry.kernels[best], entry.costs[best]),
                    )
                )
        known = sum(len(self._entries[key].kernels) for key in self._used)
        units = {self._entries[key].unit for key in self._used}
        return ReportedTuning(
            measured=self.measured,
            known=known - self.measured,
            unit=" or ".join(sorted(units)),
            judge=self._meter.judge if self._meter else "",
            cache=str(self._path),
            choices=tuple(choices),
        )

    def _knows(self, key: str, trial: Trial) -> bool:
        return key in self._entries and self._entries[key].kernels == trial.names

    def _fill(self, missing: dict[str, Trial]) -> None:
        meter = self.meter
        count = sum(len(trial.kernels) for trial in missing.values())
        trials = list(missing.values())
        measured: list[tuple[int, ...]] = []
        for batch in batches(trials, meter):
            done = sum(map(len, measured))
            self._progress(f"measuring kernels on {meter.label} ({done} of {count} done)")
            measured += self._measure(batch, meter)
        found = {
            key: Entry(trial.described, self.board.core, meter.unit, trial.names, costs)
            for (key, trial), costs in zip(missing.items(), measured)
        }
        self.measured += count
        self._entries.update(found)
        write_cache(self._path, found)


def _best(entry: Entry) -> int:
    """Index of the kernel to take: the default, unless another one is faster beyond doubt."""
    least = min(entry.costs)
    default = entry.costs[0]
    if default - least <= max(_TICKS, _MARGIN * default):
        return 0
    return entry.costs.index(least)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror or error}); name a file with --tune-cache"
        ) from None


def _check_writable(path: Path) -> None:
    """Before minutes of measuring."""
    if path.is_dir():
        raise UserError(f"--tune-cache {path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise UserError(f"--tune-cache {path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"--tune-cache {path}: the folder {path.parent} cannot be written")
