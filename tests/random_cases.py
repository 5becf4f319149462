"""How many random cases a test tries.

    @given(...)
    @cases(25)
    def test_...

The suite tries the same cases every time, so that a change in it is a change of the project.
Multiplied by the environment's DERO_CASES, which `python -m tests.trust kernels` sets, they are
other ones at every run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("DERO_CASES", "1"))


def cases(count: int = 100, *, slow_to_draw: bool = False) -> settings:
    """Try `count` cases, without a limit on the time of one: the first ones compile."""
    return settings(
        deadline=None,
        derandomize=TIMES == 1,
        max_examples=count * TIMES,
        suppress_health_check=[HealthCheck.too_slow] if slow_to_draw or TIMES > 1 else [],
    )
