"""Broken processors: each breaks one guarantee the way somebody could by mistake. The harness has to catch them all."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from msgspec import structs

from processor.core.beginning import Beginning
from processor.core.completions import items_to
from processor.core.continuation import Continuation
from processor.core.evidence import Append, Key, ProgressEvent, Promotion
from processor.core.fold import Attempt, Evidence, Fold, Tell, fold, tell_nobody
from processor.core.journey import JourneyRules
from processor.core.matching import Matched, match
from processor.core.records import Batch, Record, Rejected, StatementRecord, batch_of
from processor.core.relaying import Account
from processor.ports.progress import Applied, Claim, Outbox, OutboxClaim, ProgressStore, RelayLease
from processor.services.beginnings import Beginnings
from processor.services.continuations import Continuations
from processor.services.ingest import Ingest
from processor.services.journeys import JourneyWatch
from processor.services.promoter import Found, Promoter
from processor.services.reading import Reading
from processor.services.relay import Relay
from processor.testing.broker import MemoryEventSink
from processor.testing.faults import effect
from processor.testing.group import MemoryRecordSource
from processor.testing.writes import Document
from tests.simulation.ledger import WatchedFinished, WatchedStore

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class _ReadsWhole(Ingest):
    def _matched(self, batch: Batch) -> tuple[Matched, list[Rejected]]:
        read = [self._reading._decode(record) for record in batch.records]
        statements = [statement for good, _ in read for statement in good]
        matched = match(statements, self._journeys.index, self._policy.identification)
        return matched, [rejected for _, bad in read for rejected in bad] + matched.rejected


class CommitsFirst(_ReadsWhole):
    """I1: the offsets are committed, then the evidence is appended."""

    async def step(self) -> int:
        async with self._source.batch() as batch:
            matched, rejected = self._matched(batch)
            await self._dead_letters.park(rejected)
            await self._source.commit(batch)
            await self._store.append(matched.appends, matched.kept, self._around.clock.now())
            return len(batch.records)


class ParksLast(_ReadsWhole):
    """I3: the offsets are committed, then the bad records are parked."""

    async def step(self) -> int:
        async with self._source.batch() as batch:
            matched, rejected = self._matched(batch)
            await self._store.append(matched.appends, matched.kept, self._around.clock.now())
            await self._source.commit(batch)
            await self._dead_letters.park(rejected)
            return len(batch.records)


class ForgetsToPark(Ingest):
    """I3: what cannot be used is passed over."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._reading = _PassesOver(self._policy, self._promoter.finished, self._around)


class _PassesOver(Reading):
    def _decode(self, record: Record) -> tuple[list[StatementRecord], list[Rejected]]:
        statements, _ = super()._decode(record)
        return statements, []


class GoesBackTooLittle(MemoryRecordSource):
    """I1: of a batch that has grown and failed, only what came last comes again."""

    def _rewind(self) -> None:
        if self._in_hand:
            generation, batch = self._in_hand
            self._in_hand = generation, batch_of(batch.records)
        super()._rewind()


class PushesWithoutLooking(WatchedStore):
    """I2: `$push` where `$addToSet` belongs."""

    def _append(self, append: Append, now: datetime) -> None:
        known = self._database.progresses.get(append.progress)
        before = {} if known is None else {key: list(it["statements"]) for key, it in known["pendingProgress"].items()}
        super()._append(append, now)
        document = self._database.progresses[append.progress]
        for waypoint, items in append.items.items():
            document["pendingProgress"][waypoint]["statements"] = [*before.get(waypoint, []), *items_to(items)]
        self.ledger.on_append(append, document)


class TrustsNobody(WatchedStore):
    """P1: the apply asks for the document and not for the lock."""

    def _is_held(self, document: Document, claim: Claim) -> bool:
        return True


class WritesOver(WatchedStore):
    """P1: a first promotion replaces what is there."""

    def _insert(self, beginning: Beginning, lease: RelayLease | None, now: datetime) -> bool:
        self._create(beginning, lease, now)
        return True


class PassesOverTooMuch(WatchedFinished):
    """I1: evidence of what is complete is passed over, however early it is."""

    def learn(self, rules: JourneyRules, progress: ObjectId, ident: Any, last: Key) -> None:
        super().learn(rules, progress, ident, structs.replace(last, timestamp=LONG_AGO))


class LosesTheRace(Beginnings):
    """I1: who finds the document there when it inserts leaves it at that."""

    async def _begin(self, beginnings: Sequence[Beginning], now: datetime) -> int:
        await self._store.begin(beginnings, None, now)
        return 0


class GoesOnAnyway(WatchedStore):
    """P1: what was decided on a document lands, whoever has it by then."""

    def _is_unchanged(self, document: Document, continuation: Continuation) -> bool:
        return True


class OpensBlindly(WatchedStore):
    """P3: what was decided on a document empties the waypoint, whoever has appended to it since."""

    def _decide(self, document: Document, continuation: Continuation, outbox: Outbox, now: datetime) -> None:
        super()._decide(document, continuation, outbox, now)
        for waypoint in continuation.append.items:
            document["pendingProgress"][waypoint]["statements"] = []


class LeavesTheOvertaken(Continuations):
    """I1: whose document somebody else was at, leaves it at that."""

    async def _go_on(self, continuations: Sequence[Continuation], key: str, now: datetime) -> list[Append]:
        await super()._go_on(continuations, key, now)
        return []


class ContinuesUnseen(Continuations):
    """R2: what was decided in passing is handed to the relay, whether it landed or not."""

    async def _go_on(self, continuations: Sequence[Continuation], key: str, now: datetime) -> list[Append]:
        with self._handover.lease(now) as lease:
            overtaken = await self._store.go_on(continuations, key, lease, now)
            events = {it.progress: (it.promotion.event,) for it in continuations if it.promotion.event}
            self._handover.give(lease, events)
        return [it.append for it in continuations if it.progress in overtaken]


class TellsTheLastLock(Continuations):
    """P2: the event of what is decided in passing tells the document under the lock that it was read with."""

    def _continued(
        self, append: Append, rules: JourneyRules | None, document: Mapping[str, Any], key: str, now: datetime
    ) -> Continuation | None:
        return super()._continued(append, rules, document, document.get("lockKey", key), now)


class HandsOverUnseen(Promoter):
    """R2: what was decided is handed to the relay, whether it landed or not."""

    async def step(self) -> int:
        now, leasing = self._around.clock.now(), self._leasing
        claim = await self._store.claim(leasing.new_key(), now, now + leasing.duration, leasing.batch)
        await self._catch_up(claim)
        promotions = [promotion for document in claim.documents if (promotion := self._promote(document, None))]
        with self._handover.lease(now) as lease:
            await self._store.apply(claim, promotions, now, lease)
            self._handover.give(lease, {it.progress: (it.event,) for it in promotions if it.event})
        return len(claim.documents)


class UsesALockTwice(WatchedStore):
    """P1, trap 3: the apply asks for the lockKey and not for the lease, so that a repeated one lands again."""

    def _is_held(self, document: Document, claim: Claim) -> bool:
        return bool(document.get("lockKey") == claim.lock_key)


class SpillsLast(WatchedStore):
    """P2: attempts leave the document, and then they are kept."""

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        applied = await super().apply(claim, [structs.replace(it, segments=()) for it in promotions], now, lease)
        for segment in (segment for promotion in promotions for segment in promotion.segments):
            async with effect(self._faults, "spill"):
                self._database.attempts[segment.id] = segment.attempts
        return applied


class BringsNothingBack(Promoter):
    """F1: what has left a document stays as it is, however late the evidence."""

    async def _recalled(self, claim: Claim) -> tuple[Found, Collection[ObjectId]]:
        return {}, ()


class WritesTheOutboxApart(WatchedStore):
    """P2: completions in one update, the outbox in the next."""

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        applied = await super().apply(claim, [structs.replace(it, event=None) for it in promotions], now)
        for event in [it.event for it in promotions if it.event]:
            async with effect(self._faults, "apply"):
                processing = self._database.progresses[event.progress]["processing"]
                processing["outbox"] = [*processing.get("outbox", ()), event]
                processing["revision"], processing["publish"] = event.revision, now
        return applied


class LeavesPending(WatchedStore):
    """P2: what was folded stays pending."""

    def _write(self, document: Document, promotion: Promotion, outbox: Outbox, now: datetime) -> None:
        super()._write(document, structs.replace(promotion, consumed={}), outbox, now)


class ResetsPending(WatchedStore):
    """P3, trap 1: pending is emptied, with what was appended since it was read."""

    def _write(self, document: Document, promotion: Promotion, outbox: Outbox, now: datetime) -> None:
        super()._write(document, promotion, outbox, now)
        for entry in document["pendingProgress"].values():
            entry["statements"] = []


class ClearsDueAfterReading(WatchedStore):
    """P3, trap 2: the due mark goes once pending was read."""

    def _take(self, document: Document, lock_key: str, now: datetime, until: datetime) -> None:
        due = document["processing"].get("due")
        super()._take(document, lock_key, now, until)
        if due:
            document["processing"]["due"] = due

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        claim = await super().claim(lock_key, now, until, limit)
        for read in claim.documents:
            async with effect(self._faults, "claim"):
                self._database.progresses[read["_id"]]["processing"].pop("due", None)
        return claim


class LeavesTheClaimedAsleep(WatchedStore):
    """P3: a changed journey wakes what waits or is older, and not what a promoter has in hand."""

    async def mark_due(self, versions: Mapping[ObjectId, int], now: datetime) -> int:
        documents = [it for it in self._database.progresses.values() if it["journey"] in versions]
        stale = [it["processing"] for it in documents if _is_stale(it["processing"], versions[it["journey"]])]
        for processing in stale:
            async with effect(self._faults, "mark_due"):
                processing.setdefault("due", now)
        return len(stale)


class TakesTheUsualWay(Beginnings):
    """No mutation: new documents are claimed as all others, so that more is in the hands of promoters."""

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        return await self._store.append(appends, statements, now)


class WakesOnce(JourneyWatch):
    """P3: what an older version folds after the waking stays as it is."""

    async def _wake_documents(self, store: ProgressStore) -> None:
        self._wakings.clear()
        await super()._wake_documents(store)


class HearsOnce(JourneyWatch):
    """P3: a change that was heard of is forgotten when the journeys cannot be read just then."""

    async def step(self) -> int:
        self._is_behind = False
        return await super().step()


class Falters(WatchedStore):
    """R1: a relay that could not publish all leaves no mark for the next one."""

    async def _forget(self, claim: OutboxClaim, published: Mapping[ObjectId, int]) -> None:
        await super()._forget(replace(claim, outboxes=dict.fromkeys(claim.outboxes, ())), published)


class TwoRelaysAtOnce(WatchedStore):
    """R2: relays take no lease, so that two publish the same events without anything having gone wrong."""

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        documents = map(self._database.without_published, self._database.progresses.values())
        waiting = [self._database.progresses[it["_id"]] for it in documents if it["processing"].get("outbox")]
        for document in waiting[:limit]:
            async with effect(self._faults, "claim_events"):
                document["processing"] |= {"relayKey": lock_key, "relayLease": until, "relayHolder": {}}
                document["processing"].pop("publish", None)
        return OutboxClaim(lock_key, until, {it["_id"]: tuple(it["processing"]["outbox"]) for it in waiting[:limit]})


class AccountsTooEarly(WatchedStore):
    """R1: what a relay is still at is written down as published."""

    async def keep_account(self, account: Account, now: datetime, until: datetime | None) -> None:
        await super().keep_account(structs.replace(account, open=frozenset()), now, until)


class NotesTooEarly(WatchedStore):
    """R1: what a relay is still at is told to be published within its process."""

    def note_account(self, account: Account) -> None:
        super().note_account(structs.replace(account, open=frozenset()))


class ForgetsWhatIsLeft(WatchedStore):
    """R1: what a relay has left to others is written down as published."""

    async def keep_account(self, account: Account, now: datetime, until: datetime | None) -> None:
        await super().keep_account(structs.replace(account, left=frozenset()), now, until)


class LooksForNoneLeft(WatchedStore):
    """R1: nobody looks for what relays have left, or had when they died."""

    def _mark_left(self, now: datetime) -> None:
        pass


class PublishesAnothers(WatchedStore):
    """R2: an outbox that another relay is publishing is published beside it, because more has come to it."""

    def _is_anothers(self, document: Document) -> bool:
        return False


class TakesThePlace(WatchedStore):
    """R1: an event takes the place of one that was handed over, whether that is published or not."""

    def _write(self, document: Document, promotion: Promotion, outbox: Outbox, now: datetime) -> None:
        is_idle = outbox.is_idle or "handed" in document["processing"]
        super()._write(document, promotion, outbox._replace(is_idle=is_idle), now)


class ForgetsFirst(Relay):
    """R1: the outbox is cleared, then its events are published."""

    async def step(self) -> int:
        now, leasing = self._around.clock.now(), self._leasing
        claim = await self._store.claim_events(leasing.new_key(), now, now + leasing.duration, leasing.batch)
        last = {progress: outbox[-1].revision for progress, outbox in claim.outboxes.items() if outbox}
        await self._store.forget([(claim, last)])
        await self._sink.publish(claim.outboxes)
        return len(claim.outboxes)


class HoldsTheEmpty(Relay):
    """R1: an outbox that an earlier claim had emptied stays leased."""

    async def step(self) -> int:
        now, leasing = self._around.clock.now(), self._leasing
        claim = await self._store.claim_events(leasing.new_key(), now, now + leasing.duration, leasing.batch)
        published = await self._sink.publish(claim.outboxes)
        await self._store.forget([(claim, published)])
        return len(claim.outboxes)


class Backwards(MemoryEventSink):
    """R2: the latest event first."""

    async def publish(self, outboxes: Mapping[ObjectId, Sequence[ProgressEvent]]) -> Mapping[ObjectId, int]:
        published = await super().publish({key: outbox[::-1] for key, outbox in outboxes.items()})
        return {key: outboxes[key][-1].revision for key in published}


class PublishesEarly(WatchedStore):
    """R1: an event is told before the update that it tells of has landed."""

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        early = {it.progress: [it.event] for it in promotions if it.event}
        await MemoryEventSink(self.ledger.broker, "progress", self._faults).publish(early)
        return await super().apply(claim, promotions, now, lease)


class SkipsRevisions(WatchedStore):
    """R2: a revision that does not grow by one."""

    def _write(self, document: Document, promotion: Promotion, outbox: Outbox, now: datetime) -> None:
        if promotion.event:
            event = structs.replace(promotion.event, revision=promotion.event.revision + 1)
            promotion = structs.replace(promotion, event=event)
        super()._write(document, promotion, outbox, now)


class StaysBehind(Promoter):
    """F1, trap 7: folds under the snapshot it has, however old."""

    async def _catch_up(self, claim: Claim) -> None:
        pass


def by_arrival(
    rules: JourneyRules,
    evidence: Iterable[Evidence],
    sealed: Sequence[Attempt] = (),
    tell: Tell = tell_nobody,
    away: Key | None = None,
) -> Fold:
    """F1: what came first completes an attempt, and it stays as it is, however early the later evidence was."""
    *known, pending = evidence
    first = fold(rules, known, sealed, tell, away)
    if not first.attempts or first.attempts[-1].completed_at is None:
        return fold(rules, [*known, pending], sealed, tell, away)
    return fold(rules, [first.surplus, pending], first.attempts, tell, away)


def _is_stale(processing: Document, version: int) -> bool:
    return bool(processing.get("waiting") or processing.get("folded", version) < version)
