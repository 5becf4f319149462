"""Making pieces, several at a time, with the share of the whole that is done and the time left."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from .pieces import Piece


@dataclass(frozen=True)
class Experiment:
    """Where results go and images are, and what all trainings have in common."""

    results: Path
    images: Path
    epochs: int


def run(pieces: Sequence[Piece], experiment: Experiment, processes: int) -> list[str]:
    """Make the pieces, each behind those that it needs; returns the names of those that failed.

    A piece that fails, and those that need it, are left out.
    """
    total, spent = sum(piece.cost(experiment.epochs) for piece in pieces), 0.0
    waiting, running, failed = list(pieces), dict[Future[None], Piece](), list[str]()
    began = time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        while waiting or running:
            for piece in ready(waiting, list(running.values()), processes):
                waiting.remove(piece)
                if any(needed.name in failed for needed in piece.needs):
                    failed.append(piece.name)
                    continue
                running[pool.submit(_make, piece, experiment)] = piece
            if not running:
                continue
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                piece, error = running.pop(future), future.exception()
                spent += piece.cost(experiment.epochs)
                left = (time.monotonic() - began) * (total - spent) / spent
                note = piece.name if error is None else f"{piece.name} failed: {error!r}"
                print(f"[{spent / total:4.0%}, {spelled(left)} left] {note}", flush=True)
                if error is not None:
                    failed.append(piece.name)
    return failed


def ready(waiting: Sequence[Piece], running: Collection[Piece], processes: int) -> list[Piece]:
    """The next pieces to begin: the first ones that need nothing that is still to be made."""
    missing = {piece.name for piece in (*waiting, *running)}
    free = [p for p in waiting if not any(needed.name in missing for needed in p.needs)]
    return free[: max(processes - len(running), 0)]


def spelled(seconds: float) -> str:
    """In hours and minutes."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _make(piece: Piece, experiment: Experiment) -> None:
    from .make import make  # PyTorch and TVM, which the process that waits has no use for

    make(piece, experiment.results, experiment.epochs, experiment.images)
