"""Signals for a child process, also where the tests run behind nohup or in the background."""

from __future__ import annotations

import signal


def default_signals() -> None:
    """For ``preexec_fn``: what the shell had the tests ignore acts on the child."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
