"""Progress that later evidence cannot change: completed, of journeys that are not repeatable. It need not be written.

semantics.md, section 4: evidence later than the completion of such a journey can change nothing, while it is not
retracted. Only a recalculation retracts, and it reads nothing before two JOURNEYS_POLL are over; here nothing is passed
over when it is longer than one since the recalculations were looked at. So from its first reading on, to its end,
nothing of its journey is passed over, and what was before is among what it reads. I1: a commit covers what was passed
over, though nothing of it is durable; so only what can change nothing is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from processor.core.evidence import Append, Key
from processor.core.glance import LeaveOut, who_in
from processor.core.identity import Identification, Who, owner_again, progress_id, who_is
from processor.core.index import Match
from processor.core.journey import JourneyRules
from processor.core.shelves import Held
from processor.ports.recalculation import RunningRecalculations
from processor.services.surroundings import Surroundings

LOOP = "finished"

MOST = 50_000
"""Documents that are remembered; with more of them all are forgotten, and learnt again."""


MOMENT = timedelta(milliseconds=1)
"""What BSON and the total order of evidence tell apart."""

LATEST = datetime.max.replace(tzinfo=UTC) - MOMENT

AS_WRITTEN = Identification()


@dataclass(slots=True)
class _Completed:
    """Who has completed a journey under these very rules.

    `owners` has the last item that counted. `later` has the end of its millisecond, as what is glanced at is not
    rounded yet: what is after that comes after the item, too. None, an actor without an identifier, is in neither.
    """

    rules: JourneyRules
    owners: dict[Who, Key] = field(default_factory=dict)
    later: dict[Who | None, datetime] = field(default_factory=dict)


class Finished:
    """What this process has seen complete, each with the last item that counted, under the rules it was folded by.

    Rules are compared by identity: a journey that was saved again is another. `left_out` is how many statements were
    left out so far of which nothing more is known.
    """

    def __init__(self, trust: timedelta, identification: Identification = AS_WRITTEN) -> None:
        self.left_out = 0
        self._identification = identification
        self._trust = trust
        self._until: datetime | None = None
        self._recalculated: Collection[ObjectId] = frozenset()
        self._journeys: dict[int, _Completed] = {}
        self._owners = 0

    def look(self, recalculated: Collection[ObjectId], now: datetime) -> None:
        """Take note of the journeys that are recalculated, as asked for at `now`; forget what is known of them.

        After a gap all is forgotten: a recalculation may have come and gone in it.
        """
        if self._until is not None and now >= self._until:
            self._forget_all()
        self._recalculated = recalculated
        self._until = now + self._trust
        for completed in list(self._journeys.values()):
            if completed.rules.id in recalculated:
                self._forget(completed)

    def may_be_reread(self, journey: ObjectId, now: datetime) -> bool:
        """Tell whether the journey's history may be read again at this instant: it is, or nobody could look lately."""
        return journey in self._recalculated or not self._is_trusted(now)

    def learn(self, rules: JourneyRules, progress: ObjectId, ident: Any, last: Key) -> None:
        """Remember the owner of a document that is durably complete; `last` is the item that completed it.

        Only if the document is the one that the owner's next evidence goes to: `trackBy`, or how actors are told apart,
        may have been another when it was begun.
        """
        owner = owner_again(ident, rules.track_by, self._identification)
        who = who_is(owner) if owner else None
        if owner is None or who is None or progress != progress_id(rules.organisation, rules.id, owner):
            return
        if rules.id in self._recalculated or last.timestamp > LATEST:
            return
        if self._owners >= MOST:
            self._forget_all()
        completed = self._journeys.get(id(rules))
        if completed is None:
            for other in [it for it in self._journeys.values() if it.rules.id == rules.id]:
                self._forget(other)
            completed = self._journeys[id(rules)] = _Completed(rules)
        self._owners += who not in completed.owners
        completed.owners[who] = last
        completed.later[who] = last.timestamp + MOMENT

    def passes_over(self, append: Append, rules: JourneyRules | None, now: datetime) -> bool:
        """Tell whether all of the evidence comes after the completion, and can change nothing."""
        completed = self._journeys.get(id(rules))
        if completed is None or rules is None or append.version != rules.version or not self._is_trusted(now):
            return False
        who = who_is(append.owner)
        last = completed.owners.get(who) if who is not None else None
        return last is not None and all(
            Key(item.timestamp, rules.waypoints[waypoint].order, item.statement, waypoint) > last
            for waypoint, items in append.items.items()
            for item in items
        )

    def leaving_out(self, now: datetime) -> LeaveOut | None:
        """Return what leaves out statements that can change nothing, by actor and time; None when nothing is sure."""
        return self._leave_out if self._journeys and self._is_trusted(now) else None

    def _leave_out(self, held: Sequence[Held[Match]], seen: Sequence[Any]) -> Sequence[Held[Match]]:
        """Return who may still change something. In one loop: most of what a statement costs of who is through."""
        first = held[0][1] if held else None
        if all(things is first for _, things in held) and len(only := self._owners_of(first)) == 1:  # nearly always
            later = only[0].get
            left = [
                it for it in held if (after := later(who_in(found := seen[it[0]]))) is None or found.timestamp <= after
            ]
        else:
            places = {id(things): things for _, things in held}
            owners = {place: self._owners_of(things) for place, things in places.items()}
            left = [it for it in held if not _is_over(owners[id(it[1])], seen[it[0]])]
        self.left_out += len(held) - len(left)
        return left

    def _owners_of(self, matches: Sequence[Match] | None) -> Sequence[Mapping[Who | None, datetime]]:
        """Return for each thing that may be matched who is through with it, and after when evidence is later."""
        if matches is None:
            return ({},)
        completed = (self._journeys.get(id(journey)) for journey, _ in matches)
        return [it.later if it else {} for it in completed]

    def _is_trusted(self, now: datetime) -> bool:
        return self._until is not None and now < self._until

    def _forget_all(self) -> None:
        self._journeys.clear()
        self._owners = 0

    def _forget(self, completed: _Completed) -> None:
        del self._journeys[id(completed.rules)]
        self._owners -= len(completed.owners)


def _is_over(owners: Sequence[Mapping[Who | None, datetime]], seen: Any) -> bool:
    who = who_in(seen)
    return all((after := it.get(who)) is not None and seen.timestamp > after for it in owners)


class RecalculationWatch:
    """The loop that looks which journeys are recalculated, for all that promotes in the process."""

    def __init__(self, finished: Finished, running: RunningRecalculations, surroundings: Surroundings) -> None:
        self._finished = finished
        self._running = running
        self._around = surroundings

    async def step(self) -> int:
        """Look once; return 0, as there is nothing to go on with."""
        now = self._around.clock.now()
        self._finished.look(await self._running.running(), now)
        return 0
