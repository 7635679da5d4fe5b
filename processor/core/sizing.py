"""What a measurement of a cluster comes to: rate, cost, latency, what limits, and how many processes that means."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

BUSY = 0.85
"""Share of a core above which a process has no more of it to give."""

HEADROOM = 0.6
"""Share of the saturating rate to plan with: bursts, rebalances and restarts need the rest."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One process that always had work: `statements` in `seconds`, `cpu` of them on a core, and what MongoDB took.

    `mongo` is how long MongoDB says that writes took it, over all its connections and until a majority had them, and
    None where it does not say.
    `latencies` are seconds from produce to event, at `paced` statements a second.
    """

    statements: int
    matches: int
    documents: int
    seconds: float
    cpu: float
    mongo: float | None
    memory: int
    paced: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Statements per second."""
        return self.statements / self.seconds

    @property
    def limit(self) -> str:
        """What has to grow for more."""
        if self.cpu / self.seconds >= BUSY:
            return "this process's CPU: more processes do more, up to one for each partition"
        if self.mongo is not None and self.mongo / self.seconds >= 1 / 2:
            return (
                "MongoDB: most of the time a write waits for it, or for its majority; try a second process before you "
                "give it more"
            )
        return (
            "waiting, for the servers or for CPU that others take: more processes do more where there is some to spare"
        )

    def processes_for(self, rate: float) -> int:
        """Return how many processes (and at least as many partitions) so many statements a second take."""
        return max(ceil(rate / (HEADROOM * self.rate)), 1)

    def percentile(self, share: float) -> float | None:
        """Return a percentile of the latencies, None without any."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
