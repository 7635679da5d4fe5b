"""The next promotions, of documents at rest: their evidence lands promoted, in one write after one look.

For a process that ingests and promotes. Of most documents all evidence is folded when the next comes; to append,
claim (a search, an update and a read), promote and apply would be five requests for what two can do.

Whether a write landed that failed in an outage is not known: the evidence comes again, and is appended if it did; its
event is left to any relay then (R1).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from bson import ObjectId

from processor.core.continuation import Continuation, go_on
from processor.core.evidence import Append
from processor.core.journey import JourneyRules
from processor.core.records import StatementRecord
from processor.services.promoting import Promotes


class Continuations(Promotes):
    """`ports.Evidence` of a process with a promoter: documents at rest are promoted, the others appended to.

    P1, P2: the one write lands only under the lock that was read; whose document has another by then, appends. I1: all
    of it is durable when `append` returns. P3: who appends meanwhile marks it due, and the mark stays.
    """

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        """Keep bare statements, then add the evidence; return how many documents wait for a promoter."""
        if statements:  # first, so that no reference dangles
            await self._store.append([], statements, now)
        documents = await self._store.at_rest({append.progress for append in appends}) if appends else {}
        # Not before: no promotion that was read may be later than what is decided on it.
        key, decided_at = self._leasing.new_key(), self._around.clock.now()
        continuations, others = self._decide(appends, documents, self._journeys.index.journeys, key, decided_at)
        if continuations:
            others += await self._go_on(continuations, key, self._around.clock.now())
        return await self._store.append(others, [], self._around.clock.now()) if others else 0

    def _decide(
        self,
        appends: Sequence[Append],
        documents: Mapping[ObjectId, Mapping[str, Any]],
        rules: Mapping[ObjectId, JourneyRules],
        key: str,
        now: datetime,
    ) -> tuple[list[Continuation], list[Append]]:
        """Promote those at rest, once each (pure); return them, and the appends that take the usual way."""
        continuations: list[Continuation] = []
        others: list[Append] = []
        left = dict(documents)
        for append in appends:
            document = left.pop(append.progress, None)
            found = self._continued(append, rules.get(append.journey), document, key, now) if document else None
            if found:
                continuations.append(found)
            else:
                others.append(append)
        return continuations, others

    def _continued(
        self, append: Append, rules: JourneyRules | None, document: Mapping[str, Any], key: str, now: datetime
    ) -> Continuation | None:
        try:
            return go_on(append, rules, document, self._policy_of(append.journey, now), key, now)
        except Exception:  # noqa: BLE001 - a document edited by hand can break in any way; its promoter tells of it
            return None

    async def _go_on(self, continuations: Sequence[Continuation], key: str, now: datetime) -> list[Append]:
        """Write; return the appends of documents that somebody else was at. The rest is handed to the relay."""
        with self._handover.lease(now) as lease:
            overtaken = await self._store.go_on(continuations, key, lease, now)
            landed = [it for it in continuations if it.progress not in overtaken]
            events = {it.progress: (it.promotion.event,) for it in landed if it.promotion.event and it.is_idle}
            if told := sum(it.promotion.event is not None for it in landed):
                self._handover.give(lease, events, is_all=len(events) == told)
        for it in landed:
            self._remember(it.rules, it.progress, it.ident, it.promotion.finished)
        self._count(len(landed), [it.promotion.dropped for it in landed])
        self._around.metrics.fenced.inc(len(overtaken))
        structlog.get_logger(__name__).info(
            "batch continued",
            lockKey=key,
            documents=len(landed),
            events=told,
            **({"fenced": len(overtaken)} if overtaken else {}),
        )
        return [it.append for it in continuations if it.progress in overtaken]
