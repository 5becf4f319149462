"""How much searching a plan may cost, counted so that results do not depend on the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """Seconds of searching, spent mainly as counted nodes.

    Searches stop after `rate` nodes for each second asked for, a rate that a present-day desktop
    core exceeds, so that the same problem gives the same plan on any such machine.  The clock is
    the second line of defence, for slow machines and costly nodes.
    """

    seconds: float
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds

    def nodes(self, rate: int, share: float = 1.0) -> int:
        """How many nodes of a search that visits `rate` of them a second may be visited."""
        return max(int(self.seconds * share * rate), 0)

    def expired(self) -> bool:
        """Whether the clock has run out."""
        return time.monotonic() >= self.deadline

    def remaining(self) -> float:
        """Seconds left on the clock."""
        return max(self.deadline - time.monotonic(), 0.0)
