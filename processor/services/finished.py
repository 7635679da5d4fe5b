"""Progress that later evidence cannot change: completed, of journeys that are not repeatable. It need not be written.

semantics.md, section 4: evidence later than the completion of such a journey can change nothing, while it is not
retracted. Only a recalculation retracts, and it reads nothing before two JOURNEYS_POLL are over; here nothing is passed
over when it is longer than one since the recalculations were looked at. So from its first reading on, to its end,
nothing of its journey is passed over, and what was before is among what it reads.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from bson import ObjectId

from processor.core.evidence import Append, Place
from processor.core.journey import JourneyRules
from processor.ports import RunningRecalculations
from processor.services.surroundings import Surroundings

LOOP = "finished"

MOST = 50_000
"""Documents that are remembered; with more of them all are forgotten, and learnt again."""


class Finished:
    """What this process has seen complete, each with the last item that counted, under the rules it was folded by.

    Rules are compared by identity: a journey that was saved again is another.
    """

    def __init__(self, trust: timedelta) -> None:
        self._trust = trust
        self._until: datetime | None = None
        self._recalculated: Collection[ObjectId] = frozenset()
        self._rules: dict[ObjectId, JourneyRules] = {}
        self._last: dict[ObjectId, dict[ObjectId, Place]] = {}
        self._number = 0

    def look(self, recalculated: Collection[ObjectId], now: datetime) -> None:
        """Take note of the journeys that are recalculated, as asked for at `now`; forget what is known of them."""
        self._recalculated = recalculated
        self._until = now + self._trust
        for journey in recalculated:
            self._forget(journey)

    def learn(self, rules: JourneyRules, progress: ObjectId, last: Place) -> None:
        """Remember a document that is durably so; `last` is the item that completed it."""
        if rules.id in self._recalculated:
            return
        if self._number >= MOST:
            for journey in list(self._last):
                self._forget(journey)
        if self._rules.get(rules.id) is not rules:
            self._forget(rules.id)
            self._rules[rules.id] = rules
        known = self._last.setdefault(rules.id, {})
        self._number += progress not in known
        known[progress] = last

    def passes_over(self, append: Append, rules: JourneyRules | None, now: datetime) -> bool:
        """Tell whether all of the evidence comes after the completion, and can change nothing."""
        last = self._last.get(append.journey, {}).get(append.progress)
        if last is None or rules is None or self._rules.get(append.journey) is not rules:
            return False
        if self._until is None or now >= self._until or append.version != rules.version:
            return False
        return all(
            (item.timestamp, rules.waypoints[waypoint].order, item.statement, waypoint) > last
            for waypoint, items in append.items.items()
            for item in items
        )

    def _forget(self, journey: ObjectId) -> None:
        self._rules.pop(journey, None)
        self._number -= len(self._last.pop(journey, {}))


class RecalculationWatch:
    """The loop that looks which journeys are recalculated."""

    def __init__(self, finished: Finished, running: RunningRecalculations, surroundings: Surroundings) -> None:
        self._finished = finished
        self._running = running
        self._around = surroundings

    async def step(self) -> int:
        """Look once; return 0, as there is nothing to go on with."""
        now = self._around.clock.now()
        self._finished.look(await self._running.running(), now)
        return 0
