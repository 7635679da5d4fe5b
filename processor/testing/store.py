"""Progress documents and journeys in memory: the same semantics as MongoDB's, without I/O, for the simulation.

Durable effects announce themselves to `faults` (see `processor.testing.faults`), with names such as
`append.progress.before`. A bulk write is not one effect, and a claim is a search, an update of each document and a
read: a crash, and another process, can come in between.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, Literal

from bson import ObjectId

from processor.core.beginning import Beginning, new_document
from processor.core.completions import items_to
from processor.core.continuation import Continuation
from processor.core.evidence import Append, ProgressEvent, Promotion, has_idle_outbox
from processor.core.records import StatementRecord
from processor.core.retraction import replay_entry
from processor.core.spilling import whole
from processor.ports import Applied, Backlog, Claim, Lock, OutboxClaim, RelayLease
from processor.testing.faults import Faults, effect, no_faults
from schemas.dots import encode_dots

Document = dict[str, Any]


class MemoryDatabase:
    """What is durable: it outlives the stores, as a database outlives its clients."""

    def __init__(self) -> None:
        self.progresses: dict[ObjectId, Document] = {}
        self.attempts: dict[ObjectId, Sequence[Mapping[str, Any]]] = {}
        self.statements: dict[ObjectId, Mapping[str, Any]] = {}
        self.journeys: dict[ObjectId, Mapping[str, Any]] = {}
        self.journey_changes = 0

    def whole(self, document: Document) -> Document:
        """Return a progress document with the attempts that have left it. Raises KeyError for a missing segment."""
        return whole(document, self.attempts) if document["processing"].get("spilled") else document


class MemoryProgressStore:
    """One process's view of a `MemoryDatabase`: `ports.ProgressStore` and `ports.ProgressReader`."""

    def __init__(self, database: MemoryDatabase, faults: Faults = no_faults, worker: str = "") -> None:
        self._database = database
        self._faults = faults
        self._worker = worker

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
        if beginning.promotion.event:
            document["processing"]["outbox"] = [beginning.promotion.event]
            self._mark_outbox(document["processing"], lease, now)
        self._database.progresses[beginning.append.progress] = document

    def _mark_outbox(self, processing: Document, lease: RelayLease | None, now: datetime) -> None:
        if lease is None:
            mark(processing, "publish", now)
        else:
            processing.pop("publish", None)
            processing |= {"relayKey": lease.lock_key, "relayLease": lease.until}
            processing["relayHolder"] = {"worker": self._worker, "since": now}

    async def at_rest(self, ids: Collection[ObjectId]) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Read documents that nobody is at; see `ports.ProgressStore.at_rest`."""
        async with effect(self._faults, "at_rest"):
            found = [self._database.progresses[progress] for progress in ids if progress in self._database.progresses]
            return {it["_id"]: _as_stored(it) for it in found if not _is_in_work(it["processing"])}

    async def go_on(
        self, continuations: Sequence[Continuation], lock_key: str, lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Write the next promotion of documents at rest; see `ports.ProgressStore.go_on` (P1, P2)."""
        for continuation in continuations:
            async with effect(self._faults, "go_on"):
                document = self._database.progresses.get(continuation.progress)
                if document and self._is_unchanged(document, continuation):
                    self._go_on(document, continuation, lock_key, lease, now)
        relay_key = lease.lock_key if lease else None
        found = [it.progress for it in continuations if it.progress in self._database.progresses]
        documents = [self._database.progresses[progress] for progress in found]
        landed = {
            it["_id"]
            for it in documents
            if it.get("lockKey") == lock_key or (relay_key and it["processing"].get("relayKey") == relay_key)
        }
        return frozenset(it.progress for it in continuations) - landed

    def _is_unchanged(self, document: Document, continuation: Continuation) -> bool:
        processing, version = document["processing"], continuation.append.version
        is_newer = processing.get("version", version + 1) > version
        return document.get("lockKey") == continuation.lock_key and not (is_newer or processing.get("replay"))

    def _go_on(
        self, document: Document, continuation: Continuation, lock_key: str, lease: RelayLease | None, now: datetime
    ) -> None:
        self._decide(document, continuation, now)
        document["lockKey"] = lock_key
        if lease and continuation.promotion.event and continuation.is_idle:
            self._mark_outbox(document["processing"], lease, now)

    def _decide(self, document: Document, continuation: Continuation, now: datetime) -> None:
        append, processing = continuation.append, document["processing"]
        for waypoint in append.items:
            document["pendingProgress"].setdefault(waypoint, {"statements": []})
        processing["version"] = append.version
        _decide(document, continuation.promotion, now)

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim due documents and those whose lease ran out; see `ports.ProgressStore.claim` (P1, P3)."""
        found = self._claimable(self._database.progresses.values(), "due", "lease", now)[:limit]
        for document in found:
            async with effect(self._faults, "claim"):
                if self._claimable([document], "due", "lease", now):
                    self._take(document, lock_key, now, until)
        # Pending is read after the due mark is gone (trap 2).
        documents = tuple(_as_stored(it) for it in found if it.get("lockKey") == lock_key)
        return Claim(lock_key, until, documents, has_more=len(found) == limit)

    def _take(self, document: Document, lock_key: str, now: datetime, until: datetime) -> None:
        document["lockKey"] = lock_key
        document["processing"] |= {"lease": until, "holder": {"worker": self._worker, "since": now}}
        document["processing"].pop("due", None)

    def _claimable(self, documents: Iterable[Document], mark: str, lease: str, now: datetime) -> list[Document]:
        """Return those that are marked and free, longest marked first, then those whose lease ran out."""
        documents = list(documents)
        marked = [it for it in documents if mark in it["processing"] and _is_free(it, lease, now)]
        marked.sort(key=lambda it: it["processing"][mark])
        expired = [it for it in documents if it not in marked and _is_expired(it, lease, now)]
        return marked + expired

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        """Write promotions under the claim's lock; see `ports.ProgressStore.apply` (P1, P2)."""
        idle = {document["_id"] for document in claim.documents if lease and has_idle_outbox(document)}
        landed = 0
        for segment in (segment for promotion in promotions for segment in promotion.segments):
            async with effect(self._faults, "spill"):
                self._database.attempts.setdefault(segment.id, deepcopy(segment.attempts))
        for promotion in promotions:
            async with effect(self._faults, "apply"):
                document = self._database.progresses[promotion.progress]
                if self._land(document, claim, promotion, now):
                    landed += 1
                    if lease and promotion.event and promotion.progress in idle:
                        self._mark_outbox(document["processing"], lease, now)
        held = self._outboxes(idle, lease.lock_key) if lease else {}
        return Applied(landed, len(promotions) - landed, held)

    async def attempts(self, segments: Collection[ObjectId]) -> Mapping[ObjectId, Sequence[Mapping[str, Any]]]:
        """Read segments; see `ports.ProgressStore.attempts`."""
        async with effect(self._faults, "attempts"):
            found = self._database.attempts
            return {segment: deepcopy(found[segment]) for segment in segments if segment in found}

    def _land(self, document: Document, claim: Claim, promotion: Promotion, now: datetime) -> bool:
        """Do the one conditional update; tell whether the document still carried the claim's lock."""
        if not self._is_held(document, claim):
            return False
        self._write(document, promotion, now)
        return True

    def _outboxes(self, ids: Collection[ObjectId], relay_key: str) -> dict[ObjectId, tuple[ProgressEvent, ...]]:
        found = (self._database.progresses[key] for key in ids)
        held = [document for document in found if document["processing"].get("relayKey") == relay_key]
        return {it["_id"]: tuple(it["processing"].get("outbox", ())) for it in held}

    def _is_held(self, document: Document, claim: Claim) -> bool:
        return document.get("lockKey") == claim.lock_key and document["processing"].get("lease") == claim.until

    def _write(self, document: Document, promotion: Promotion, now: datetime) -> None:
        apply_promotion(document, promotion, now)

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim outboxes; see `ports.ProgressStore.claim_events` (R1)."""
        found = self._claimable(self._database.progresses.values(), "publish", "relayLease", now)[:limit]
        for document in found:
            async with effect(self._faults, "claim_events"):
                if self._claimable([document], "publish", "relayLease", now):
                    processing = document["processing"]
                    processing |= {"relayKey": lock_key, "relayLease": until}
                    processing["relayHolder"] = {"worker": self._worker, "since": now}
                    processing.pop("publish", None)
        return OutboxClaim(lock_key, until, self._outboxes([it["_id"] for it in found], lock_key))

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
                    _forget(processing, revision, left)

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
            expired=sum(_is_expired(it, "lease", now) for it in documents),
            waiting=sum(bool(it.get("waiting")) for it in marks),
            outbox=sum("publish" in it or "relayLease" in it for it in marks),
            oldest_due=min((it["due"] for it in marks if "due" in it), default=None),
            oldest_outbox=min((it["publish"] for it in marks if "publish" in it), default=None),
            oldest_lease=min((it["lease"] for it in marks if "lease" in it), default=None),
        )

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return who holds what; see `ports.ProgressStore.locks`."""
        locks = []
        for progress, document in self._database.progresses.items():
            it = document["processing"]
            if "lease" in it:
                locks.append(_lock(progress, "promote", document["lockKey"], it["lease"], it["holder"]))
            if "relayLease" in it:
                locks.append(_lock(progress, "relay", it["relayKey"], it["relayLease"], it["relayHolder"]))
        return sorted(locks, key=lambda lock: lock.until)[:limit]

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


def _as_stored(document: Document) -> Document:
    """Return a copy with the outbox as it stands in MongoDB."""
    copy = deepcopy(document)
    if "outbox" in copy["processing"]:
        copy["processing"]["outbox"] = [
            {"revision": it.revision, "data": it.data} for it in copy["processing"]["outbox"]
        ]
    return copy


def _is_in_work(processing: Document) -> bool:
    marks = any(key in processing for key in ("due", "lease", "waiting"))
    return (
        marks or bool(processing.get("replay") or processing.get("spilled")) or len(processing.get("outbox", ())) > 20
    )


def mark(processing: Document, mark: str, now: datetime) -> None:
    """Set a mark, unless an earlier one stands: it tells since when there is something to do."""
    processing[mark] = min(processing.get(mark, now), now)


def ask(processing: Document, entry: Document) -> None:
    """Add what a recalculation asks, once."""
    if entry not in (asked := processing.setdefault("replay", [])):
        asked.append(entry)


def _lock(
    progress: ObjectId, loop: Literal["promote", "relay"], lock_key: str, until: datetime, holder: Document
) -> Lock:
    return Lock(progress, loop, lock_key, until, holder["worker"] or None, holder["since"])


def _forget(processing: Document, revision: int, left: Sequence[datetime]) -> None:
    """Remove the events up to a revision and give the lease back; `left` are the times of what was not published."""
    processing["outbox"] = [event for event in processing.get("outbox", ()) if event.revision > revision]
    if left:
        mark(processing, "publish", min(left))  # the claim has cleared their mark
    del processing["relayKey"], processing["relayLease"], processing["relayHolder"]


def _is_free(document: Document, lease: str, now: datetime) -> bool:
    return lease not in document["processing"] or _is_expired(document, lease, now)


def _is_expired(document: Document, lease: str, now: datetime) -> bool:
    return lease in document["processing"] and document["processing"][lease] < now


def apply_promotion(document: Document, promotion: Promotion, now: datetime) -> None:
    """Write all of a promotion into the document (P2); the lease goes, and uses the lock up."""
    processing = document["processing"]
    for waypoint, items in promotion.consumed.items():
        entry = document["pendingProgress"][waypoint]
        entry["statements"] = [it for it in entry["statements"] if it not in items_to(items)]
    if promotion.replayed:
        processing["replay"] = [it for it in processing["replay"] if it not in promotion.replayed]
    _decide(document, promotion, now)
    if promotion.is_partial:
        mark(processing, "due", now)
    processing.pop("lease", None)
    processing.pop("holder", None)


def _decide(document: Document, promotion: Promotion, now: datetime) -> None:
    """Write what a promotion decided; not what it consumed, nor anything about its lock."""
    processing = document["processing"]
    document.update(deepcopy(dict(promotion.changed)))
    for name in promotion.removed:
        document.pop(name, None)
    for name, value in promotion.processing.items():
        if value is None:
            processing.pop(name, None)
        else:
            processing[name] = deepcopy(value)
    if promotion.consumed or promotion.event:
        document["updatedAt"] = now
    if promotion.event:
        processing["outbox"] = [*processing.get("outbox", ()), promotion.event]
        processing["revision"] = promotion.event.revision
        mark(processing, "publish", now)


class MemoryJourneyCatalog:
    """One process's view of the journeys: `ports.JourneyCatalog`."""

    def __init__(self, database: MemoryDatabase, faults: Faults = no_faults) -> None:
        self._database = database
        self._faults = faults
        self._heard: int | None = None

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document. What changes from the first call on is heard by `changed`."""
        if self._heard is None:
            self._heard = self._database.journey_changes
        async with effect(self._faults, "journeys.load"):
            return deepcopy(list(self._database.journeys.values()))

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace by `_id`."""
        for journey in journeys:
            self._database.journeys[journey["_id"]] = deepcopy(journey)
        self._database.journey_changes += 1

    async def changed(self) -> bool:
        """Tell at once whether the journeys have changed; as a change stream does, it tells a change once."""
        heard, self._heard = self._heard, self._database.journey_changes
        return heard != self._heard
