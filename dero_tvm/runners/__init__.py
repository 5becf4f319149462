"""Runners compile a model's generated C, run it, and measure what it needs."""

from .dispatch import check_device, check_profile, run
from .errors import RunError
from .host_c import run_host_c
from .qemu import run_qemu
from .result import Profile, RunResult

__all__ = [
    "Profile",
    "RunError",
    "RunResult",
    "check_device",
    "check_profile",
    "run",
    "run_host_c",
    "run_qemu",
]
