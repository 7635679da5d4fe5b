"""Whether the loops of this process make progress, not only that the process runs, and whether they can (http.md).

A loop that waits for a server that is down is alive: it says so with each try, and a restart would not help it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from processor.errors import JourneyProgressError

Partition = tuple[str, int]

CHECK_SECONDS = 3.0
"""What a check may take; orchestrators do not wait for ever."""


class Standing(NamedTuple):
    """How far a consumer is in a partition, and where the partition ends."""

    position: int
    end: int


@dataclass(slots=True)
class Liveness:
    """Hears of each round of each loop and of the consumer's standing; `faults` judges. `seconds` is a steady clock."""

    deadline: float
    seconds: Callable[[], float]
    _rounds: dict[str, float] = field(default_factory=dict)
    _outages: dict[str, float] = field(default_factory=dict)
    _advances: dict[Partition, tuple[int, float]] = field(default_factory=dict)
    _observed: float = 0.0

    def came_round(self, loop: str) -> None:
        """Hear that a loop begins, or has finished a step. Called by the supervisor."""
        self._rounds[loop] = self.seconds()
        self._outages.pop(loop, None)

    def waits(self, loop: str) -> None:
        """Hear that a loop has tried again in an outage. Called by whoever waits an outage out."""
        if loop in self._rounds:  # what has not begun cannot stand still
            self._rounds[loop] = self._outages[loop] = self.seconds()

    def ended(self, loop: str) -> None:
        """Hear that a loop has ended as it was asked to."""
        self._rounds.pop(loop, None)

    def observe(self, standings: Mapping[Partition, Standing]) -> None:
        """Hear where the consumer stands in the partitions that are assigned and not paused. Called by the lag's loop.

        A partition advances when its position moves, and as long as there is nothing left to read. In an outage the
        records wait for a server, as they should: that is not held against it afterwards.
        """
        now = self._observed = self.seconds()
        self._advances = {
            partition: (position, now)
            if self._outages or position >= end or self._advances.get(partition, (None, now))[0] != position
            else self._advances[partition]
            for partition, (position, end) in standings.items()
        }

    def faults(self) -> list[str]:
        """Return a sentence for each loop, and each partition, that stands still for longer than the deadline.

        A partition is judged as of when it was last observed: where nobody looks, it need not stand still.
        """
        now = self.seconds()
        stuck = [
            f"loop {loop} has not come round for {now - since:.0f} s"
            for loop, since in self._rounds.items()
            if now - since > self.deadline
        ]
        if not self._outages:
            stuck += [
                f"{topic}-{number} is behind and has not advanced for {self._observed - since:.0f} s"
                for (topic, number), (_, since) in self._advances.items()
                if self._observed - since > self.deadline
            ]
        return stuck


Standings = Mapping[Partition, Standing]
Check = Callable[[], Awaitable[str | None]]
"""Looks at one thing; answers with a sentence if it is not as it should be. May raise one of our errors."""


class Vitals:
    """How this process is: `live` for whoever could restart it, `ready` for whoever could send it work."""

    def __init__(self, liveness: Liveness) -> None:
        self._liveness = liveness
        self._checks: list[Check] = []
        self._others: Callable[[], list[str]] = list
        self._has_begun = False

    @property
    def has_begun(self) -> bool:
        """Whether the start is over."""
        return self._has_begun

    def watch(self, check: Check) -> None:
        """Take a check up that has to pass for this process to be ready."""
        self._checks.append(check)

    def heed(self, others: Callable[[], list[str]]) -> None:
        """Take up what keeps the other processes under the same parent from being alive."""
        self._others = others

    def begin(self) -> None:
        """Hear that the start is over; until then this process is not ready."""
        self._has_begun = True

    async def live(self) -> list[str]:
        """Return what a restart would mend. Asks no server: orchestrators wait for a second, or restart the process."""
        return self._liveness.faults() + self._others()

    async def ready(self) -> list[str]:
        """Return what keeps this process from its work."""
        if not self._has_begun:
            return ["starting"]
        return [fault for fault in await asyncio.gather(*map(_asked, self._checks)) if fault]


async def _asked(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"a server does not answer within {CHECK_SECONDS:g} s"
    except JourneyProgressError as error:
        return str(error)
