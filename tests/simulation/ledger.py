"""What really happened: written by the stores as effects happen, and judged at once where a guarantee can be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from bson import ObjectId

from processor.core.beginning import Beginning
from processor.core.completions import attempts_from
from processor.core.continuation import Continuation
from processor.core.evidence import Append, Item, Key, ProgressEvent, Promotion
from processor.core.fold import Attempt
from processor.core.glance import who_in
from processor.core.identity import Identification, Uncounted, owners_of, progress_id
from processor.core.index import Match
from processor.core.journey import JourneyRules
from processor.core.relaying import Account, handed_of
from processor.core.shelves import Held
from processor.ports.progress import Claim, Outbox, OutboxClaim, RelayLease
from processor.services.finished import Finished
from processor.testing.broker import MemoryBroker
from processor.testing.database import MemoryDatabase
from processor.testing.faults import Faults
from processor.testing.store import MemoryProgressStore
from processor.testing.writes import Document
from schemas.progress import render_progress

NEW = {"completions": [], "isCompleted": False}
"""The public state that a document has before its first promotion."""

PUBLIC = ("completions", "startedAt", "isCompleted", "completedAt", "duration")


class Violation(NamedTuple):
    """A guarantee that was broken, and how."""

    guarantee: str
    message: str

    def __str__(self) -> str:
        return f"{self.guarantee} is broken: {self.message}"


@dataclass
class Ledger:
    """One world's truth, beside what its stores hold."""

    broker: MemoryBroker
    violations: list[Violation] = field(default_factory=list)
    appended: dict[ObjectId, dict[str, set[Item]]] = field(default_factory=dict)
    over: set[tuple[ObjectId, str, datetime]] = field(default_factory=set)
    holders: dict[ObjectId, str | None] = field(default_factory=dict)
    landed: dict[tuple[str, int], bytes] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)

    def broken(self, guarantee: str, message: str) -> None:
        self.violations.append(Violation(guarantee, message))

    def not_appended(self, progress: ObjectId, waypoint: str, items: Collection[Item]) -> set[Item]:
        """Return what is missing of a document's evidence. What was over at a glance is as good as appended."""
        appended = self.appended.setdefault(progress, {}).setdefault(waypoint, set())
        appended.update(it for it in items if (progress, waypoint, it.timestamp) in self.over)
        return set(items) - appended

    def on_append(self, append: Append, document: Document) -> None:
        for waypoint, items in append.items.items():
            self.appended.setdefault(append.progress, {}).setdefault(waypoint, set()).update(items)
        for waypoint, entry in document["pendingProgress"].items():
            listed = [(it["statement"], it["timestamp"]) for it in entry["statements"]]
            if len(listed) != len(set(listed)):
                self.broken("I2", f"evidence of waypoint {waypoint} stands twice in pending of {append.progress}")

    def on_landed(self, before: "Before", document: Document, claim: Claim, promotion: Promotion) -> None:
        key = document["_id"]
        if self.holders.get(key) != claim.lock_key:
            holder = self.holders.get(key) or "nobody any more"
            self.broken("P1", f"a promotion of {key} landed under {claim.lock_key}, the lock was {holder}'s")
        self._judge_pending(before, document, promotion)
        self._on_promoted(before, document)

    def on_continued(self, before: "Before", document: Document, continuation: Continuation, lock: str | None) -> None:
        key = document["_id"]
        if lock != continuation.lock_key or self.holders.get(key):
            self.broken("P1", f"{key} was promoted in passing, while the lock was {self.holders.get(key) or lock}'s")
        for waypoint, items in before.pending.items():
            if lost := items - _listed(document["pendingProgress"][waypoint]):
                self.broken("P3", f"{len(lost)} items of {key} that were appended meanwhile left pending")
        self._on_promoted(before, document)

    def _on_promoted(self, before: "Before", document: Document) -> None:
        key = document["_id"]
        self.holders[key] = None
        self._judge_event(before, document)
        sealed = before.document_sealed
        if _public(document).get("completions", [])[:sealed] != before.public.get("completions", [])[:sealed]:
            self.broken("F1", f"a sealed attempt of {key} was changed")

    def on_begun(self, document: Document, before: Document | None) -> None:
        if before is not None:
            self.broken("P1", f"{document['_id']} was there, and a first promotion was written over it")
        self.holders[document["_id"]] = None
        empty = Before({}, 0, NEW, 0)
        self._judge_event(empty, document)

    def on_forget(self, forgotten: Mapping[ObjectId, int]) -> None:
        for key, revision in forgotten.items():
            if revision > self.published.get(str(key), 0):
                self.broken("R1", f"event {key}-{revision} is forgotten before it is published")

    def _judge_pending(self, before: "Before", document: Document, promotion: Promotion) -> None:
        for waypoint, items in before.pending.items():
            left = _listed(document["pendingProgress"].get(waypoint, {"statements": []}))
            read = set(promotion.consumed.get(waypoint, ()))
            if lost := items - read - left:
                self.broken("P3", f"{len(lost)} items of {document['_id']} that nobody had read left pending")
            if left & read:
                self.broken("P2", f"items of {document['_id']} were folded, and stayed pending")

    def _judge_event(self, before: "Before", document: Document) -> None:
        key, processing = document["_id"], document["processing"]
        revision, outbox = processing["revision"], processing.get("outbox", [])
        revisions = [event.revision for event in outbox]
        if revisions != sorted(set(revisions)):
            self.broken("P1", f"the outbox of {key} was filled twice: {revisions}")
        if _public(document) == before.public:
            if revision != before.revision:
                self.broken("R1", f"revision {revision} of {key} changed nothing")
            return
        if revision == before.revision or not outbox or outbox[-1].revision != revision:
            self.broken("P2", f"the public state of {key} changed without an event in the same update")
            return
        if revision != before.revision + 1:
            self.broken("R2", f"revision {revision} of {key} follows {before.revision}")
        if not tells_all(outbox[-1].data, document):
            self.broken("P2", f"event {revision} of {key} does not tell the state that was written with it")
        self._note(outbox[-1])

    def _note(self, event: ProgressEvent) -> None:
        self.landed[str(event.progress), event.revision] = event.data


@dataclass(frozen=True, slots=True)
class Before:
    """A document before a promotion."""

    pending: Mapping[str, set[Item]]
    revision: int
    public: Mapping[str, Any]
    document_sealed: int

    @classmethod
    def of(cls, document: Document) -> "Before":
        pending = {waypoint: _listed(entry) for waypoint, entry in document["pendingProgress"].items()}
        processing = document["processing"]
        return cls(pending, processing["revision"], _public(document), processing.get("sealed", 0))


class WatchedStore(MemoryProgressStore):
    """The store in memory, with the ledger at its side."""

    def __init__(self, database: MemoryDatabase, faults: Faults, ledger: Ledger) -> None:
        super().__init__(database, faults)
        self.ledger = ledger

    def _append(self, append: Append, now: datetime) -> None:
        super()._append(append, now)
        self.ledger.on_append(append, self._database.progresses[append.progress])

    def _create(self, beginning: Beginning, lease: RelayLease | None, now: datetime) -> None:
        before = self._database.progresses.get(beginning.append.progress)
        super()._create(beginning, lease, now)
        document = self._database.progresses[beginning.append.progress]
        self.ledger.on_append(beginning.append, document)
        self.ledger.on_begun(document, before)

    def _go_on(
        self, document: Document, continuation: Continuation, lock_key: str, lease: RelayLease | None, now: datetime
    ) -> None:
        before, lock = Before.of(document), document.get("lockKey")
        super()._go_on(document, continuation, lock_key, lease, now)
        self.ledger.on_append(continuation.append, document)
        self.ledger.on_continued(before, document, continuation, lock)

    def _take(self, document: Document, lock_key: str, now: datetime, until: datetime) -> None:
        super()._take(document, lock_key, now, until)
        self.ledger.holders[document["_id"]] = lock_key

    def _land(self, document: Document, claim: Claim, promotion: Promotion, outbox: Outbox, now: datetime) -> bool:
        before = Before.of(self._whole(document))
        is_landed = super()._land(document, claim, promotion, outbox, now)
        if is_landed:
            self.ledger.on_landed(before, self._whole(document), claim, promotion)
        return is_landed

    def _whole(self, document: Document) -> Document:
        try:
            return self._database.whole(document)
        except KeyError as error:
            self.ledger.broken("P2", f"{document['_id']} names the segment {error}, which is not there")
            return document

    def note_account(self, account: Account) -> None:
        self._on_published(account)
        super().note_account(account)

    async def keep_account(self, account: Account, now: datetime, until: datetime | None) -> None:
        self._on_published(account)
        await super().keep_account(account, now, until)

    def _on_published(self, account: Account) -> None:
        for document in self._database.progresses.values():
            handed = handed_of(document)
            if handed and handed.relay == account.relay and account.is_published(handed.number):
                self.ledger.on_forget({document["_id"]: handed.revision})

    async def _forget(self, claim: OutboxClaim, published: Mapping[ObjectId, int]) -> None:
        self.ledger.on_forget(published)
        await super()._forget(claim, published)


class WatchedFinished(Finished):
    """What a process passes over, held against what its documents hold at that moment."""

    def __init__(self, database: MemoryDatabase, ledger: Ledger) -> None:
        super().__init__(trust=timedelta(days=365))
        self._database = database
        self._ledger = ledger

    def passes_over(self, append: Append, rules: JourneyRules | None, now: datetime) -> bool:
        is_passed = super().passes_over(append, rules, now)
        if is_passed and rules:
            attempts = attempts_from(self._database.progresses[append.progress]["completions"])
            last = attempts[-1] if attempts else Attempt()
            for waypoint, items in append.items.items():
                keys = [Key(it.timestamp, rules.waypoints[waypoint].order, it.statement, waypoint) for it in items]
                if rules.is_repeatable or last.completed_at is None or min(keys) <= last.last:
                    self._ledger.broken("I1", f"evidence of {append.progress} was passed over that may count")
                # As good as appended: the fold drops it.
                self._ledger.appended.setdefault(append.progress, {}).setdefault(waypoint, set()).update(items)
        return is_passed

    def _leave_out(self, held: Sequence[Held[Match]], seen: Sequence[Any]) -> Sequence[Held[Match]]:
        left = super()._leave_out(held, seen)
        over = [it for it in held if it not in left]
        assert len(over) + len(left) == len(held)
        for number, matches in over:
            who, timestamp = who_in(seen[number]), seen[number].timestamp
            assert matches is not None
            for journey, waypoint in matches:
                assert isinstance(who, tuple)
                owners = owners_of({"statement": {"actor": {who[0]: who[1]}}}, "actor", Identification())
                assert not isinstance(owners, Uncounted)
                [owner] = owners
                progress = progress_id(journey.organisation, journey.id, owner)
                attempts = attempts_from(self._database.progresses[progress]["completions"])
                last = attempts[-1] if attempts else Attempt()
                if journey.is_repeatable or last.completed_at is None or timestamp <= last.last.timestamp:
                    self._ledger.broken("I1", f"a statement for {progress} was not read that may count")
                self._ledger.over.add((progress, waypoint.id, timestamp))
        return left


def tells(data: bytes, document: Mapping[str, Any]) -> bool:
    """Whether an event's data is the document's public state, but for what a claim or an append alone moves on."""
    told, stands = _compared(data, document)
    return all(told.get(name) == stands.get(name) for name in PUBLIC)


def tells_all(data: bytes, document: Mapping[str, Any]) -> bool:
    """Whether it is that as it was written with the event, lock and dates, too (semantics.md, section 7).

    Evidence that somebody has appended meanwhile may have moved `updatedAt` on.
    """
    told, stands = _compared(data, document)
    return bool(told.pop("updatedAt") <= stands.pop("updatedAt") and told == stands)


def _compared(data: bytes, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an event tells and what the document shows of it: an event may tell the last attempts only."""
    told, stands = orjson.loads(data), render_progress(document, with_pending=False)
    stands["completions"] = stands["completions"][told.pop("completionsBefore", 0) :]
    del told["changes"]
    return told, stands


def _public(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in PUBLIC if name in document}


def _listed(entry: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[Item]:
    return {Item(it["statement"], it["timestamp"]) for it in entry["statements"]}
