"""Progress documents in memory: the same semantics as MongoDB's, without I/O, for the simulation.

Durable effects announce themselves to `faults` (see `processor.testing.faults`), with names such as
`append.progress.before`. A bulk write is not one effect, and a claim is a search, an update of each document and a
read: a crash, and another process, can come in between.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId

from processor.core.beginning import Beginning, new_document
from processor.core.completions import items_to
from processor.core.continuation import Continuation
from processor.core.evidence import Append, Promotion, has_idle_outbox
from processor.core.records import StatementRecord
from processor.core.relaying import Account, handed_of, without_published
from processor.core.retraction import replay_entry
from processor.core.spilling import whole
from processor.ports.progress import Applied, Backlog, Claim, Lock, Outbox, OutboxClaim, RelayLease
from processor.testing.faults import Faults, effect, no_faults
from processor.testing.writes import (
    Document,
    apply_promotion,
    as_stored,
    ask,
    decide,
    forget,
    hand_to_any,
    is_expired,
    is_free,
    is_handed_under,
    is_in_work,
    lock_of,
    mark,
    mark_outbox,
)
from schemas.dots import encode_dots


class RelayHeld(NamedTuple):
    """A relay's account; `until` is the end of its lease, None when nothing more is to come from it."""

    account: Account
    worker: str
    since: datetime
    until: datetime | None


class MemoryDatabase:
    """What is durable: it outlives the stores, as a database outlives its clients."""

    def __init__(self) -> None:
        self.progresses: dict[ObjectId, Document] = {}
        self.attempts: dict[ObjectId, Sequence[Mapping[str, Any]]] = {}
        self.statements: dict[ObjectId, Mapping[str, Any]] = {}
        self.journeys: dict[ObjectId, Mapping[str, Any]] = {}
        self.journey_changes = 0
        self.relays: dict[ObjectId, RelayHeld] = {}

    def whole(self, document: Document) -> Document:
        """Return a progress document with the attempts that have left it. Raises KeyError for a missing segment."""
        return whole(document, self.attempts) if document["processing"].get("spilled") else document

    def is_published(self, document: Document) -> bool:
        """Tell whether what was handed over of a document is published; True where nothing was."""
        handed = handed_of(document)
        held = self.relays.get(handed.relay) if handed else None
        return handed is None or (held is not None and held.account.is_published(handed.number))

    def without_published(self, document: Document) -> Document:
        """Return a document without what was handed over and is published."""
        handed = handed_of(document)
        return without_published(document, handed) if handed and self.is_published(document) else document


class MemoryProgressStore:
    """One process's view of a `MemoryDatabase`: `ports.ProgressStore` and `ports.ProgressReader`."""

    def __init__(self, database: MemoryDatabase, faults: Faults = no_faults, worker: str = "") -> None:
        self._database = database
        self._faults = faults
        self._worker = worker
        self._noted: Account | None = None

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        """Keep statements, then evidence; see `ports.ProgressStore.append` (I1, I2)."""
        for record in statements:
            async with effect(self._faults, "append.statement"):
                document = {**record.document, "statement": encode_dots(record.document["statement"])}
                self._database.statements.setdefault(record.reference, document)
        for append in appends:
            async with effect(self._faults, "append.progress"):
                self._append(append, now)
        return len(appends)

    def _append(self, append: Append, now: datetime) -> None:
        document = self._database.progresses.setdefault(append.progress, new_document(append, now))
        for waypoint, items in append.items.items():
            pending = document["pendingProgress"].setdefault(waypoint, {"statements": []})["statements"]
            pending += [entry for entry in items_to(items) if entry not in pending]
        processing = document["processing"]
        document["updatedAt"] = now
        if append.replay is None:
            mark(processing, "due", now)
        else:
            ask(processing, replay_entry(append.replay, append.version))
        processing["version"] = max(processing.get("version", append.version), append.version)

    async def missing(self, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
        """Return the ids without a document."""
        async with effect(self._faults, "missing"):
            return frozenset(ids) - self._database.progresses.keys()

    async def begin(
        self, beginnings: Sequence[Beginning], lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Insert new documents, promoted; see `ports.ProgressStore.begin` (P1, P2)."""
        taken = set()
        for beginning in beginnings:
            async with effect(self._faults, "begin"):
                if not self._insert(beginning, lease, now):
                    taken.add(beginning.append.progress)
        return frozenset(taken)

    def _insert(self, beginning: Beginning, lease: RelayLease | None, now: datetime) -> bool:
        """Do the one insert; tell whether the id was free."""
        if beginning.append.progress in self._database.progresses:
            return False
        self._create(beginning, lease, now)
        return True

    def _create(self, beginning: Beginning, lease: RelayLease | None, now: datetime) -> None:
        document: Document = deepcopy(dict(beginning.document))
        if beginning.event:
            document["processing"]["outbox"] = [beginning.event]
            mark_outbox(document["processing"], beginning.event, lease, now)
        self._database.progresses[beginning.append.progress] = document

    async def at_rest(self, ids: Collection[ObjectId]) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Read documents that nobody is at; see `ports.ProgressStore.at_rest`."""
        async with effect(self._faults, "at_rest"):
            found = [self._database.progresses[progress] for progress in ids if progress in self._database.progresses]
            free = [self._without_published(it) for it in found if not is_in_work(it["processing"])]
            return {it["_id"]: as_stored(it) for it in free}

    async def go_on(
        self, continuations: Sequence[Continuation], lock_key: str, lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Write the next promotion of documents at rest; see `ports.ProgressStore.go_on` (P1, P2)."""
        for continuation in continuations:
            async with effect(self._faults, "go_on"):
                document = self._database.progresses.get(continuation.progress)
                if document and self._is_unchanged(document, continuation):
                    self._go_on(document, continuation, lock_key, lease, now)
        found = [it.progress for it in continuations if it.progress in self._database.progresses]
        documents = [self._database.progresses[progress] for progress in found]
        landed = {it["_id"] for it in documents if it.get("lockKey") == lock_key or is_handed_under(it, lease)}
        return frozenset(it.progress for it in continuations) - landed

    def _is_unchanged(self, document: Document, continuation: Continuation) -> bool:
        processing, version = document["processing"], continuation.append.version
        is_newer = processing.get("version", version + 1) > version
        return document.get("lockKey") == continuation.lock_key and not (is_newer or processing.get("replay"))

    def _go_on(
        self, document: Document, continuation: Continuation, lock_key: str, lease: RelayLease | None, now: datetime
    ) -> None:
        self._decide(document, continuation, Outbox(continuation.is_idle, lease), now)
        document["lockKey"] = lock_key

    def _decide(self, document: Document, continuation: Continuation, outbox: Outbox, now: datetime) -> None:
        append, processing = continuation.append, document["processing"]
        for waypoint in append.items:
            document["pendingProgress"].setdefault(waypoint, {"statements": []})
        processing["version"] = append.version
        decide(document, continuation.promotion, now, outbox)

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim due documents and those whose lease ran out; see `ports.ProgressStore.claim` (P1, P3)."""
        found = self._claimable(self._database.progresses.values(), "due", "lease", now)[:limit]
        for document in found:
            async with effect(self._faults, "claim"):
                if self._claimable([document], "due", "lease", now):
                    self._take(document, lock_key, now, until)
        # Pending is read after the due mark is gone (trap 2).
        held = [self._without_published(it) for it in found if it.get("lockKey") == lock_key]
        documents = tuple(map(as_stored, held))
        return Claim(lock_key, until, documents, has_more=len(found) == limit)

    def _take(self, document: Document, lock_key: str, now: datetime, until: datetime) -> None:
        document["lockKey"] = lock_key
        document["processing"] |= {"lease": until, "holder": {"worker": self._worker, "since": now}}
        document["processing"].pop("due", None)

    def _claimable(self, documents: Iterable[Document], mark: str, lease: str, now: datetime) -> list[Document]:
        """Return those that are marked and free, longest marked first, then those whose lease ran out."""
        documents = list(documents)
        marked = [it for it in documents if mark in it["processing"] and is_free(it, lease, now)]
        marked.sort(key=lambda it: it["processing"][mark])
        expired = [it for it in documents if it not in marked and is_expired(it, lease, now)]
        return marked + expired

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        """Write promotions under the claim's lock; see `ports.ProgressStore.apply` (P1, P2)."""
        idle = {document["_id"] for document in claim.documents if has_idle_outbox(document)}
        landed = 0
        for segment in (segment for promotion in promotions for segment in promotion.segments):
            async with effect(self._faults, "spill"):
                self._database.attempts.setdefault(segment.id, deepcopy(segment.attempts))
        for promotion in promotions:
            async with effect(self._faults, "apply"):
                document = self._database.progresses[promotion.progress]
                if self._land(document, claim, promotion, Outbox(promotion.progress in idle, lease), now):
                    landed += 1
        events = [it.event for it in promotions if it.event and it.progress in idle]
        held = {it.progress: (it,) for it in events if is_handed_under(self._database.progresses[it.progress], lease)}
        return Applied(landed, len(promotions) - landed, held)

    async def attempts(self, segments: Collection[ObjectId]) -> Mapping[ObjectId, Sequence[Mapping[str, Any]]]:
        """Read segments; see `ports.ProgressStore.attempts`."""
        async with effect(self._faults, "attempts"):
            found = self._database.attempts
            return {segment: deepcopy(found[segment]) for segment in segments if segment in found}

    def _land(self, document: Document, claim: Claim, promotion: Promotion, outbox: Outbox, now: datetime) -> bool:
        """Do the one conditional update; tell whether the document still carried the claim's lock."""
        if not self._is_held(document, claim):
            return False
        self._write(document, promotion, outbox, now)
        return True

    def _is_held(self, document: Document, claim: Claim) -> bool:
        return document.get("lockKey") == claim.lock_key and document["processing"].get("lease") == claim.until

    def _write(self, document: Document, promotion: Promotion, outbox: Outbox, now: datetime) -> None:
        apply_promotion(document, promotion, now, outbox)

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim outboxes; see `ports.ProgressStore.claim_events` (R1)."""
        self._mark_left(now)
        found = self._claimable(self._database.progresses.values(), "publish", "relayLease", now)[:limit]
        for document in found:
            async with effect(self._faults, "claim_events"):
                if self._claimable([document], "publish", "relayLease", now):
                    processing = document["processing"]
                    processing |= {"relayKey": lock_key, "relayLease": until}
                    processing["relayHolder"] = {"worker": self._worker, "since": now}
                    processing.pop("publish", None)
        held = [it for it in found if it["processing"].get("relayKey") == lock_key]
        outboxes = {}
        for document in map(self._without_published, held):
            if self._is_anothers(document):
                async with effect(self._faults, "claim_events"):
                    processing = self._database.progresses[document["_id"]]["processing"]
                    if processing.get("relayKey") == lock_key:
                        forget(processing, 0, [now])
            else:
                outboxes[document["_id"]] = tuple(document["processing"].get("outbox", ()))
        return OutboxClaim(lock_key, until, outboxes)

    def _mark_left(self, now: datetime) -> None:
        """Mark for any relay what relays have left, and what they had when their lease ran out (R1)."""
        for document in self._database.progresses.values():
            handed = handed_of(document)
            held = self._database.relays.get(handed.relay) if handed else None
            if handed is None or held is None or held.until is None or self._database.is_published(document):
                continue
            if held.until < now or handed.number in held.account.left:
                hand_to_any(document["processing"], now)

    def _is_anothers(self, document: Document) -> bool:
        handed = handed_of(document)
        held = self._database.relays.get(handed.relay) if handed else None
        return held is not None and held.until is not None

    async def leave(self, relay: ObjectId, number: int, ids: Collection[ObjectId], now: datetime) -> None:
        """Mark for any relay what of a number was not published; see `ports.ProgressStore.leave`."""
        for progress in ids:
            async with effect(self._faults, "leave"):
                document = self._database.progresses.get(progress)
                handed = handed_of(document) if document else None
                if document and handed and handed[:2] == (relay, number):
                    hand_to_any(document["processing"], now)

    async def audit(self, now: datetime) -> bool:
        """Look through all accounts; see `ports.ProgressStore.audit`."""
        handed = [(document, it) for document in self._database.progresses.values() if (it := handed_of(document))]
        for document, it in handed:
            held = self._database.relays.get(it.relay)
            if (held is None or held.until is None) and not self._database.is_published(document):
                hand_to_any(document["processing"], now)
        named = {it.relay for _, it in handed}
        for relay in [key for key, held in self._database.relays.items() if held.until is None and key not in named]:
            del self._database.relays[relay]
        return True

    def note_account(self, account: Account) -> None:
        """Hear what the relay of this process has published; see `ports.ProgressStore.note_account`."""
        self._noted = account

    def _without_published(self, document: Document) -> Document:
        handed, noted = handed_of(document), self._noted
        if handed and noted and handed.relay == noted.relay and noted.is_published(handed.number):
            return without_published(document, handed)
        return self._database.without_published(document)

    async def keep_account(self, account: Account, now: datetime, until: datetime | None) -> None:
        """Keep a relay's account; see `ports.ProgressStore.keep_account`."""
        async with effect(self._faults, "keep_account"):
            before = self._database.relays.get(account.relay)
            self._database.relays[account.relay] = RelayHeld(
                account, self._worker, before.since if before else now, until
            )
        if until is not None and until <= now:
            for document in self._database.progresses.values():
                handed = handed_of(document)
                if handed and handed.relay == account.relay and handed.number in account.left:
                    hand_to_any(document["processing"], now)

    async def forget(self, claims: Sequence[tuple[OutboxClaim, Mapping[ObjectId, int]]]) -> None:
        """Remove published events; see `ports.ProgressStore.forget`."""
        for claim, published in claims:
            await self._forget(claim, published)

    async def _forget(self, claim: OutboxClaim, published: Mapping[ObjectId, int]) -> None:
        for progress, revision in published.items():
            async with effect(self._faults, "forget"):
                processing = self._database.progresses[progress]["processing"]
                if processing.get("relayKey") == claim.lock_key:
                    left = [event.time for event in claim.outboxes[progress] if event.revision > revision]
                    forget(processing, revision, left)

    async def mark_due(self, versions: Mapping[ObjectId, int], now: datetime) -> int:
        """Mark due what waits, is older, or is claimed; see `ports.ProgressStore.mark_due`."""
        stale = [
            processing
            for document in self._database.progresses.values()
            if (version := versions.get(document["journey"])) is not None
            and "due" not in (processing := document["processing"])
            and ("lease" in processing or processing.get("waiting") or processing.get("folded", version) < version)
        ]
        for processing in stale:
            async with effect(self._faults, "mark_due"):
                mark(processing, "due", now)
        return len(stale)

    async def backlog(self, now: datetime) -> Backlog:
        """Count what waits."""
        documents = list(self._database.progresses.values())
        marks = [document["processing"] for document in documents]
        return Backlog(
            documents=len(documents),
            due=sum("due" in it for it in marks),
            claimed=sum("lease" in it for it in marks),
            expired=sum(is_expired(it, "lease", now) for it in documents),
            waiting=sum(bool(it.get("waiting")) for it in marks),
            outbox=sum(
                "publish" in it or "relayLease" in it or self._is_to_come(document)
                for it, document in zip(marks, documents, strict=True)
            ),
            oldest_due=min((it["due"] for it in marks if "due" in it), default=None),
            oldest_outbox=min(
                [
                    *(it["publish"] for it in marks if "publish" in it),
                    *(it["processing"]["outbox"][0].time for it in documents if self._is_to_come(it)),
                ],
                default=None,
            ),
            oldest_lease=min((it["lease"] for it in marks if "lease" in it), default=None),
        )

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return who holds what; see `ports.ProgressStore.locks`."""
        locks = []
        for progress, document in self._database.progresses.items():
            it = document["processing"]
            if "lease" in it:
                locks.append(lock_of(progress, "promote", document["lockKey"], it["lease"], it["holder"]))
            if "relayLease" in it:
                locks.append(lock_of(progress, "relay", it["relayKey"], it["relayLease"], it["relayHolder"]))
            if (handed := handed_of(document)) and self._is_to_come(document):
                relay = self._database.relays[handed.relay]
                holder, key = {"worker": relay.worker, "since": relay.since}, f"{handed.relay}/{handed.number}"
                locks.append(lock_of(progress, "relay", key, relay.until or relay.since, holder))
        return sorted(locks, key=lambda lock: lock.until)[:limit]

    def _is_to_come(self, document: Document) -> bool:
        """Tell whether a relay that is at work was handed the outbox and has not published it."""
        return self._is_anothers(document) and not self._database.is_published(document)

    async def find(
        self,
        *,
        organisation: ObjectId | None = None,
        journey: ObjectId | None = None,
        identity: ObjectId | None = None,
        limit: int = 20,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield documents, last updated first; see `ports.ProgressReader.find`."""
        wanted = {"organisation": organisation, "journey": journey, "_id": identity}
        documents = sorted(self._database.progresses.values(), key=lambda it: it["updatedAt"], reverse=True)
        found = [it for it in documents if all(value in (None, it[key]) for key, value in wanted.items())]
        for document in found[:limit]:
            yield deepcopy(self._database.whole(document))
