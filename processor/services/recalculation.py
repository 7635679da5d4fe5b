"""Recalculation: the statements there have been, read again under the journey as it is now (core/recalculation.py).

One step does one chunk of one recalculation:

1. claim it under a fresh lockKey with a lease,
2. read the chunk behind its position and judge it (by the live matcher),
3. write: retractions, or evidence as the live stream appends it; at the end wake what was touched,
4. save the position and give the lock back.

A crash between 3 and 4 repeats a chunk, which is harmless: evidence is a set (I2), and so is what is taken back. The
promoters fold, with the live stream's evidence, under the same lockKey (P1 to P3); the relay publishes.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from msgspec.structs import replace

from processor.core.evidence import Append, Retraction
from processor.core.identity import Identification
from processor.core.index import JourneyIndex
from processor.core.journey import JourneyRules
from processor.core.matching import Matched, match
from processor.core.recalculation import Recalculation, Stage
from processor.core.rereading import BROKEN, Scope, Verdicts, holders_of, retraction_of, verdicts_on
from processor.metrics import Metrics
from processor.ports.recalculation import History, RecalculationWork, ReplayStore, Reread
from processor.services.journeys import Journeys
from processor.services.surroundings import Leasing, Surroundings

LOOP = "recalculation"


@dataclass(frozen=True, slots=True)
class RecalculatingPolicy:
    """How fast, and for how long.

    `rate`: statements a second. `known_after`: when every ingester knows a journey that was saved. `patience`: how
    long nobody may fold anything before more is due at once, or the recalculation is over without waiting for it.
    """

    identification: Identification = field(default_factory=Identification)
    rate: float = 10_000.0
    known_after: timedelta = timedelta(seconds=20)
    patience: timedelta = timedelta(minutes=3)


class Rereading:
    """Reads chunks of history and judges them; decides, and writes nothing."""

    def __init__(self, history: History, store: ReplayStore, identification: Identification, metrics: Metrics) -> None:
        self._history = history
        self._store = store
        self._identification = identification
        self._metrics = metrics

    async def retractions(self, scope: Scope, position: Any | None, key: str) -> tuple[Reread, list[Retraction]]:
        """Read a chunk of what may be held as evidence; return what has to be taken back."""
        read = await self._history.evidence(scope, position)
        verdicts = verdicts_on(read.statements, scope.rules, self._identification)
        retractions = [
            retraction
            async for document in self._holders(read, scope)
            if (retraction := self._retraction(document, verdicts, scope.rules, key))
        ]
        return read, retractions

    async def _holders(self, read: Reread, scope: Scope) -> AsyncIterator[Mapping[str, Any]]:
        if read.holders is not None:
            for document in read.holders:
                yield document
            return
        ids = holders_of(read.statements, scope.rules, self._identification)
        if wanted := ids if scope.only is None else ids & {scope.only}:
            async for document in self._store.holders(scope.rules.id, wanted):
                yield document

    def _retraction(
        self, document: Mapping[str, Any], verdicts: Verdicts, rules: JourneyRules, key: str
    ) -> Retraction | None:
        """One document that cannot be judged must not hold up the others; it keeps what it has."""
        try:
            return retraction_of(document, verdicts, rules, key)
        except BROKEN:
            self._metrics.failed_promotions.inc()
            structlog.get_logger(__name__).exception("recalculation failed", progress=str(document["_id"]))
            return None

    async def evidence(self, scope: Scope, position: Any | None, key: str) -> tuple[Reread, Matched]:
        """Read a chunk of all statements; return what matches, as the live stream finds it."""
        read = await self._history.statements(scope, position)
        matched = match(read.statements, JourneyIndex([scope.rules]), self._identification)
        appends: list[Append] = [replace(append, replay=key) for append in matched.appends]
        matched.appends = [it for it in appends if scope.only in (None, it.progress)]
        return read, matched


class Recalculator:
    """One worker of any number."""

    def __init__(
        self,
        work: RecalculationWork,
        store: ReplayStore,
        history: History,
        journeys: Journeys,
        policy: RecalculatingPolicy,
        surroundings: Surroundings,
        leasing: Leasing,
    ) -> None:
        self._work = work
        self._store = store
        self._history = history
        self._journeys = journeys
        self._policy = policy
        self._around = surroundings
        self._leasing = leasing
        self._rereading = Rereading(history, store, policy.identification, surroundings.metrics)

    async def step(self) -> int:
        """Do one chunk; return 0 when there was none, or there was nothing to do in it.

        Raises `Unavailable` when a server failed: the chunk is done again when the lease runs out.
        """
        now = self._around.clock.now()
        key = self._leasing.new_key()
        # 1. claim
        claimed = await self._work.claim(key, now, now + self._leasing.duration)
        if claimed is None:
            return 0
        # 2. and 3. read, judge, write
        after = await self._advance(claimed, key)
        # 4. save
        until = self._around.clock.now() + self._leasing.duration
        is_saved = await self._work.save(claimed, after, key, until)
        self._tell(claimed, after, is_saved=is_saved)
        is_early = claimed.stage is not Stage.WAKE and now < claimed.begin_at  # not claimed again for a while
        return int(after != claimed or is_early)

    async def _advance(self, claimed: Recalculation, key: str) -> Recalculation:
        """Return where the recalculation stands after the next chunk."""
        now = self._around.clock.now()
        if claimed.stage is Stage.WAKE:
            return await self._wake(claimed)
        if now < claimed.begin_at:
            return claimed
        if claimed.version is None:
            await self._journeys.refresh()
        rules = self._journeys.index.journeys.get(claimed.journey)
        if rules is None or not rules.is_running:
            is_gone = rules is None and claimed.journey not in self._journeys.index.broken
            return claimed.pushed() if is_gone and claimed.version is None else self._waiting(claimed, now)
        scope = Scope(rules, claimed.only)
        if claimed.version is None:
            return claimed.begun(rules.version, await self._history.size(scope))
        if claimed.version != rules.version:
            return claimed.put_off(now + self._policy.known_after)
        if claimed.stage is Stage.RETRACT:
            return await self._retract(claimed, scope, key, now)
        return await self._append(claimed, scope, key, now)

    async def _retract(self, claimed: Recalculation, scope: Scope, key: str, now: datetime) -> Recalculation:
        read, retractions = await self._rereading.retractions(scope, claimed.position, key)
        await self._store.retract(retractions)
        metrics = self._around.metrics
        metrics.retracted.inc(sum(len(held) for it in retractions for held in it.statements.values()))
        return self._paced(claimed.advanced(read.looked, read.position), read, now)

    async def _append(self, claimed: Recalculation, scope: Scope, key: str, now: datetime) -> Recalculation:
        read, matched = await self._rereading.evidence(scope, claimed.position, key)
        if matched.appends:
            await self._store.append(matched.appends, matched.kept, self._around.clock.now())
        self._around.metrics.replayed.inc(matched.matches)
        if read.position is None:
            await self._journeys.refresh()  # a journey that was saved just now is recalculated under that
            current = self._journeys.index.journeys.get(claimed.journey)
            if current is None or current.version != claimed.version:
                return claimed.put_off(now + self._policy.known_after)
        return self._paced(claimed.advanced(read.looked, read.position), read, now)

    def _waiting(self, claimed: Recalculation, now: datetime) -> Recalculation:
        """Let it wait for its journey, and begin again: ended now it would be half done, and look complete."""
        structlog.get_logger(__name__).warning(
            "a recalculation waits, as its journey is inactive, broken or unknown here: mend or activate it, or cancel",
            journey=str(claimed.journey),
        )
        return claimed.put_off(now + self._policy.known_after)

    def _paced(self, after: Recalculation, read: Reread, began: datetime) -> Recalculation:
        """Count the statements of a chunk, or their places; let the next wait for as long as this one should take."""
        number = max(read.looked, len(read.statements))
        self._around.metrics.reread.inc(number)
        return after.not_before(began + timedelta(seconds=number / self._policy.rate))

    async def _wake(self, claimed: Recalculation) -> Recalculation:
        """Let the promoters have what was touched, a batch at a time, so that the live stream is not held up.

        It never ends before all of that is due: nobody else would mark it, and evidence would lie there (P3).
        """
        now, limit = self._around.clock.now(), claimed.at_once(self._leasing.batch)
        woken = await self._store.wake(claimed.journey, limit, now)
        if not woken.waiting:
            return claimed.ended()
        after = claimed.waking(woken.waiting, woken.marked, now)
        if not after.is_stuck(now, self._policy.patience):
            return after
        structlog.get_logger(__name__).warning(
            "what a recalculation has touched is not folded yet: are promoters running?",
            journey=str(claimed.journey),
            waiting=woken.waiting,
        )
        return after.pressing(now) if woken.waiting == limit else claimed.ended()

    def _tell(self, before: Recalculation, after: Recalculation, *, is_saved: bool) -> None:
        log = structlog.get_logger(__name__)
        about = {"journey": str(before.journey), "stage": before.stage, "remaining": after.remaining}
        if not is_saved:
            log.info("recalculation was cancelled, started anew or taken over", **about)
        elif after.stage is None:
            log.info("recalculation ended", **about)
        elif after.stage is not before.stage or after.version != before.version:
            log.info("recalculation goes on", **about, next=after.stage, version=after.version)
