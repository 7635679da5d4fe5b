"""First promotions by insert: evidence for documents that are not there yet lands promoted, in one write.

For a process that ingests and promotes. Most documents of a live stream are new when their first statement comes; to
append, claim, promote and apply would be four writes and two searches each.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from bson import ObjectId

from processor.core.beginning import Beginning
from processor.core.evidence import Append
from processor.core.fold import Outcome
from processor.core.journey import JourneyRules
from processor.core.mould import USES, Moulds
from processor.core.records import StatementRecord
from processor.ports.progress import Evidence
from processor.services.promoting import Promotes, Promoting

UNASKED = 500
"""New documents in a row that let the next count as new: what is guessed wrong is promoted and refused in vain."""


class Beginnings(Promotes):
    """`ports.Evidence` of a process with a promoter: new documents are inserted promoted, the rest is `rest`'s.

    P1, P2: the derived `_id` is the lock and the insert the one write; who finds the document there appends. I1: all
    of it is durable when `append` returns. After `UNASKED` documents in a row that were new, the next are inserted
    without asking whether they are there, until one is (DECISIONS 87).
    """

    def __init__(self, promoting: Promoting, rest: Evidence | None = None, uses: int = USES) -> None:
        super().__init__(promoting)
        self._rest = rest or promoting.store
        self._moulds = Moulds(promoting.policy, uses)
        self._new_in_a_row = 0

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        """Keep bare statements, then add the evidence; return how many documents wait for a promoter."""
        rules = self._journeys.index.journeys
        appends = self._needed(appends, rules, now)
        missing = await self._missing(appends)
        beginnings, others = self._decide(appends, missing, rules, now)
        waiting = 0
        if statements or others:  # statements first, so that no reference dangles
            waiting = await self._rest.append(others, statements, now)
        if beginnings:
            waiting += await self._begin(beginnings, self._around.clock.now())
            await self._wake_older(beginnings, rules)
        return waiting

    async def _missing(self, appends: Sequence[Append]) -> frozenset[ObjectId]:
        """Return which documents are to be begun: those that are not there, or all, if the last ones were new."""
        ids = frozenset(append.progress for append in appends)
        if self._new_in_a_row >= UNASKED:
            return ids
        missing = await self._store.missing(ids)
        self._new_in_a_row = self._new_in_a_row + len(missing) if missing == ids else 0
        return missing

    def _needed(
        self, appends: Sequence[Append], rules: Mapping[ObjectId, JourneyRules], now: datetime
    ) -> Sequence[Append]:
        """Leave out the evidence that can change nothing: the fold would drop it."""
        if self._finished is None:
            return appends
        needed = [it for it in appends if not self._finished.passes_over(it, rules.get(it.journey), now)]
        if len(needed) < len(appends):
            kept = sum(map(_size, needed))
            self._around.metrics.dropped.labels(Outcome.AFTER_COMPLETION).inc(sum(map(_size, appends)) - kept)
        return needed

    def _decide(
        self,
        appends: Sequence[Append],
        missing: frozenset[ObjectId],
        rules: Mapping[ObjectId, JourneyRules],
        now: datetime,
    ) -> tuple[list[Beginning], list[Append]]:
        """Promote the new ones (pure); return them, and the appends that take the usual way."""
        key = self._leasing.new_key()
        beginnings: list[Beginning] = []
        others: list[Append] = []
        for append in appends:
            is_new = append.progress in missing
            if is_new and (new := self._moulds.begin(append, rules.get(append.journey), key, now)):
                beginnings.append(new)
            else:
                others.append(append)
        return beginnings, others

    async def _begin(self, beginnings: Sequence[Beginning], now: datetime) -> int:
        """Insert, and hand over to the relay; append to what somebody else has inserted. Return how many of it wait."""
        with self._handover.lease(now) as lease:
            taken = await self._store.begin(beginnings, lease, now)
            landed = [it for it in beginnings if it.append.progress not in taken]
            self._handover.give(lease, {it.append.progress: (it.event,) for it in landed if it.event})
        if taken:
            self._new_in_a_row = 0
        for it in landed:
            self._remember(it.rules, it.append.progress, it.append.owner.ident, it.finished)
        self._count(len(landed), [it.dropped for it in landed])
        late = [it.append for it in beginnings if it.append.progress in taken]
        return await self._store.append(late, [], self._around.clock.now()) if late else 0

    async def _wake_older(self, beginnings: Sequence[Beginning], rules: Mapping[ObjectId, JourneyRules]) -> None:
        """Wake what was inserted under a journey that has changed meanwhile.

        The waking of that change could not find it. Whoever dies before this has not committed: the evidence comes
        again, and marks the document due, or is folded under the new version.
        """
        current = self._journeys.index.journeys
        changed = {
            journey: current[journey].version
            for journey in {it.append.journey for it in beginnings}
            if journey in current and current[journey] is not rules[journey]
        }
        if changed:
            await self._store.mark_due(changed, self._around.clock.now())


def _size(append: Append) -> int:
    return sum(map(len, append.items.values()))
