"""What a campaign counts, and what failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Summary:
    """What a run of many networks showed."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def text(self) -> str:
        """A few lines for people."""
        counts = ", ".join(f"{name}: {count:,}" for name, count in sorted(self.counts.items()))
        return "\n".join([f"{len(self.failures)} failures; {counts}", *self.failures])
