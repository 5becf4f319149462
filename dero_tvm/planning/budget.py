"""How much searching a plan may cost, counted so that results do not depend on the clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Budget:
    """Seconds of searching, counted in what the searches do.

    A search says how much it has done and how much of that a present-day desktop core does at
    least in a second.  No clock is asked, so the same problem gives the same plan on every machine,
    however slow or busy it is.
    """

    seconds: float
    spent: float = 0.0

    def nodes(self, rate: int, share: float = 1.0) -> int:
        """How many nodes of a search that visits `rate` of them a second may be visited."""
        return max(int(self.seconds * share * rate), 0)

    def part(self, share: float) -> Budget:
        """A budget of its own, for one of several searches."""
        return Budget(self.seconds * share)

    def spend(self, count: float, rate: int) -> None:
        """Count something of which `rate` are done in a second."""
        self.spent += count / rate

    def expired(self) -> bool:
        """Whether all has been spent."""
        return self.spent >= self.seconds
