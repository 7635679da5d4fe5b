"""Progress documents in MongoDB: `ports.ProgressStore`. The writes themselves stand in `updates.py`."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import structlog
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateMany, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from processor.core.beginning import Beginning
from processor.core.continuation import Continuation
from processor.core.evidence import Append, ProgressEvent, Promotion, has_idle_outbox
from processor.core.records import StatementRecord
from processor.core.relaying import Account, is_handy
from processor.errors import DocumentBroken, DocumentFull, StoreUnavailable
from processor.ports.progress import Applied, Backlog, Claim, Lock, Outbox, OutboxClaim, RelayLease
from processor.store import outbox, updates
from processor.store.connect import ATTEMPTS, PROGRESSES, STATEMENTS, Database, Document
from processor.store.failures import is_only_duplicates, is_passing_bulk, misshapen, refused, too_large, translated
from processor.store.locks import read_locks
from processor.store.plates import Plates
from processor.store.queues import EARLIEST, instants
from processor.store.relays import Relays, handed_under
from processor.store.waiting import Waiting
from schemas.dots import encode_dots

CHUNK = 1_000
"""Documents that `mark_due` touches in one write."""


class MongoProgressStore:
    """One database's progress documents. Any number of stores may work on the same database.

    `worker` is what `locks` calls the holder of this store's claims.
    """

    def __init__(self, database: Database, worker: str = "") -> None:
        self._worker = worker
        self._progresses = database[PROGRESSES]
        self._majority = self._progresses.with_options(read_concern=ReadConcern("majority"))
        self._statements = database[STATEMENTS]
        self._attempts = database[ATTEMPTS]
        self._due = Waiting(self._progresses, "processing.due", "processing.lease")
        self._outbox = Waiting(self._progresses, "processing.publish", "processing.relayLease")
        self._relays = Relays(database)
        self._plates = Plates()

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        """Keep bare statements, then add the evidence; see `ports.ProgressStore.append` (I1, I2)."""
        with translated():
            if statements:
                await self._keep(statements)
            if appends:
                with self._due.marking(now):
                    await self._upsert(appends, now)
        return len(appends)

    async def _keep(self, statements: Sequence[StatementRecord]) -> None:
        """Insert what is not there yet. Inserts, as updates do not take every key that a statement may have."""
        documents: list[Document] = [
            {**record.document, "statement": encode_dots(record.document["statement"])} for record in statements
        ]
        await _insert_new(self._statements, documents)

    async def _upsert(self, appends: Sequence[Append], now: datetime) -> None:
        writes = [updates.append_update(append, now) for append in appends]
        try:
            await self._progresses.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if full := too_large(error):
                raise DocumentFull(
                    f"{len(full)} progress documents hold as much evidence as MongoDB takes, {full[0]['_id']} is one: "
                    "promoters are behind; start more, or see what stops them (journey-progress status, locks list)"
                ) from error
            if broken := misshapen(error):
                raise DocumentBroken.of(frozenset(it["_id"] for it in broken)) from error
            if not is_passing_bulk(error):
                raise
            # Two writers inserted the same document at once: now it is there, and the append is repeatable.
            await self._progresses.bulk_write(writes, ordered=False)

    async def missing(self, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
        """Return the ids without a document, from the index alone; see `ports.ProgressStore.missing`."""
        if not ids:
            return frozenset()
        with translated():
            found = await self._progresses.find({"_id": {"$in": list(ids)}}, {"_id": 1}).to_list()
        return frozenset(ids) - {document["_id"] for document in found}

    async def begin(
        self, beginnings: Sequence[Beginning], lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Insert new documents, promoted; see `ports.ProgressStore.begin` (P1, P2)."""
        documents = self._plates.begun(beginnings, lease, now)
        with translated(), self._outbox.marking(now):
            return await _insert_new(self._progresses, documents)

    async def at_rest(self, ids: Collection[ObjectId]) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Read documents that nobody is at; see `ports.ProgressStore.at_rest`."""
        if not ids:
            return {}
        with translated():
            found = await self._progresses.find(
                {"_id": {"$in": list(ids)}} | updates.CONTINUABLE, hint=outbox.BY_ID
            ).to_list()
            documents = await self._relays.without_published(found)
        return {document["_id"]: document for document in documents}

    async def go_on(
        self, continuations: Sequence[Continuation], lock_key: str, lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Write the next promotion of documents at rest; see `ports.ProgressStore.go_on` (P1, P2)."""
        if not continuations:
            return frozenset()
        writes = [updates.continue_update(it, lock_key, now, lease) for it in continuations]
        with translated(), self._outbox.marking(now):
            if await self._apply(writes) == len(writes):
                return frozenset()
            keys: list[Document] = [{"lockKey": lock_key}]
            if lease:  # a promoter may have claimed it since, the outbox nobody
                keys.append(handed_under(lease))
            ids = [it.progress for it in continuations]
            found = self._progresses.find({"_id": {"$in": ids}, "$or": keys}, {"_id": 1}, hint=outbox.BY_ID)
            landed = await found.to_list()
        return frozenset(ids) - {document["_id"] for document in landed}

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim due documents and those whose lease ran out; see `ports.ProgressStore.claim` (P1, P3)."""
        update = updates.claim_update(lock_key, until, self._holder(now))
        with translated():
            ids = await self._due.claim(update, now, until, limit)
            found = self._progresses.find({"_id": {"$in": ids}, "lockKey": lock_key}) if ids else None
            documents = await self._relays.without_published(await found.to_list()) if found else []
        return Claim(lock_key, until, tuple(documents), has_more=len(ids) == limit)

    def _holder(self, now: datetime) -> Document:
        return {"worker": self._worker, "since": now}

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        """Write promotions under the claim's lock; see `ports.ProgressStore.apply` (P1, P2)."""
        if not promotions:
            return Applied(0, 0)
        idle = {document["_id"] for document in claim.documents if has_idle_outbox(document)}
        writes = [
            updates.apply_update(it, claim.lock_key, claim.until, now, Outbox(it.progress in idle, lease))
            for it in promotions
        ]
        spilled = [promotion for promotion in promotions if promotion.segments]
        with translated(), self._due.marking(now), self._outbox.marking(now):
            if spilled:
                await self._keep_segments(spilled, now)
            landed = await self._apply(writes)
            for promotion in spilled:
                await self._attempts.delete_many(updates.nobodys_segments(promotion, claim.until))
            outboxes: dict[ObjectId, tuple[ProgressEvent, ...]] = {
                it.progress: (it.event,) for it in promotions if it.event and it.progress in idle and is_handy(it.event)
            }
            if landed < len(writes) and outboxes and lease:  # which landed, only the documents can tell
                found = await self._outboxes({"_id": {"$in": list(outboxes)}} | handed_under(lease))
                outboxes = {document["_id"]: outboxes[document["_id"]] for document in found}
        return Applied(landed, len(writes) - landed, outboxes if lease else {})

    async def _apply(self, writes: Sequence[UpdateOne]) -> int:
        """Do the updates; return how many landed. A document that has no room, or no place, for it is left as it is."""
        try:
            return (await self._progresses.bulk_write(writes, ordered=False)).matched_count
        except BulkWriteError as error:
            full, broken = too_large(error), misshapen(error)
            if not (full or broken):
                raise
            if error.details.get("writeConcernErrors") or len(full) + len(broken) < len(error.details["writeErrors"]):
                raise StoreUnavailable("MongoDB: other updates failed, or no majority has acknowledged them") from error
            if full:
                structlog.get_logger(__name__).error("no room for a promotion", progress=str(full[0]["_id"]))
            if broken:
                structlog.get_logger(__name__).error("edited so that it takes none", progress=str(broken[0]["_id"]))
            return int(error.details["nMatched"])

    async def _keep_segments(self, promotions: Sequence[Promotion], now: datetime) -> None:
        """Insert what leaves the documents. Those of a call that is repeated are there already, and the same."""
        segments = [
            updates.segment_document(segment, promotion.progress, now)
            for promotion in promotions
            for segment in promotion.segments
        ]
        await _insert_new(self._attempts, segments)

    async def attempts(self, segments: Collection[ObjectId]) -> Mapping[ObjectId, Sequence[Mapping[str, Any]]]:
        """Read segments; see `ports.ProgressStore.attempts`."""
        with translated():
            found = await self._attempts.find({"_id": {"$in": list(segments)}}, {"attempts": 1}).to_list()
        return {document["_id"]: document["attempts"] for document in found}

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim outboxes; see `ports.ProgressStore.claim_events` (R1)."""
        update = outbox.claim_events_update(lock_key, until, self._holder(now))
        with translated():
            with self._outbox.marking(now):
                await self._relays.mark_left(now)
            ids = await self._outbox.claim(update, now, until, limit)
            found = await self._outboxes({"_id": {"$in": ids}, "processing.relayKey": lock_key}) if ids else []
            documents = await self._relays.without_published(found)
            free, others = self._relays.free_and_others(documents)
            if others:  # another relay may still publish what it was handed of these: to be looked at again
                held = {"_id": {"$in": [it["_id"] for it in others]}, "processing.relayKey": lock_key}
                with self._outbox.marking(now):
                    await self._progresses.update_many(held, outbox.give_back_update(now), hint=outbox.BY_ID)
        return OutboxClaim(lock_key, until, {it["_id"]: outbox.events_from(it) for it in free})

    async def leave(self, relay: ObjectId, number: int, ids: Collection[ObjectId], now: datetime) -> None:
        """Mark for any relay what of a number was not published; see `ports.ProgressStore.leave`."""
        with translated(), self._outbox.marking(now):
            await self._relays.leave(relay, number, ids, now)

    async def audit(self, now: datetime) -> bool:
        """Look through all accounts; see `ports.ProgressStore.audit`."""
        with translated(), self._outbox.marking(now):
            return await self._relays.audit(now)

    def note_account(self, account: Account) -> None:
        """Hear what the relay of this process has published; see `ports.ProgressStore.note_account`."""
        self._relays.note(account)

    async def keep_account(self, account: Account, now: datetime, until: datetime | None) -> None:
        """Keep a relay's account; see `ports.ProgressStore.keep_account`."""
        with translated(), self._outbox.marking(now):
            await self._relays.keep(account, self._worker, now, until)
            if until is not None and until <= now:
                await self._relays.mark(account, now)

    async def _outboxes(self, condition: updates.Filter) -> Sequence[Document]:
        """Read outboxes that a relay holds, as a majority has them.

        An event that is told must not be rolled back: another would come under its revision (R2). The claim has been
        acknowledged by a majority, so that it is there.
        """
        return await self._majority.find(condition, {"processing.outbox": 1, "processing.handed": 1}).to_list()

    async def forget(self, claims: Sequence[tuple[OutboxClaim, Mapping[ObjectId, int]]]) -> None:
        """Remove published events; see `ports.ProgressStore.forget`."""
        writes: list[UpdateMany] = []
        left: list[datetime] = []
        for claim, published in claims:
            forgets = outbox.forget_updates(claim.outboxes, published, claim.lock_key)
            writes += [it.write for it in forgets]
            left += [it.left_since for it in forgets if it.left_since]
        if writes:
            with translated(), self._outbox.marking(min(left, default=datetime.max.replace(tzinfo=UTC))):
                await self._progresses.bulk_write(writes, ordered=False)

    async def mark_due(self, versions: Mapping[ObjectId, int], now: datetime) -> int:
        """Mark due what is claimed, waits, or is older; see `ports.ProgressStore.mark_due`.

        One pass over each index, which the marking leaves alone, so that no document comes by twice.
        """
        marked = 0
        with translated():
            for condition in updates.stale(versions):
                async with self._progresses.find(condition, {"_id": 1}, batch_size=CHUNK) as found:
                    while documents := await found.to_list(CHUNK):
                        ids = [document["_id"] for document in documents]
                        with self._due.marking(now):
                            result = await self._progresses.update_many({"_id": {"$in": ids}}, updates.due_update(now))
                        marked += result.modified_count
        return marked

    def marking_due(self, now: datetime) -> AbstractContextManager[None]:
        """Let the next claim of this process find what somebody else marks due with this instant meanwhile."""
        return self._due.marking(now)

    async def backlog(self, now: datetime) -> Backlog:
        """Count what waits."""
        count = self._progresses.count_documents
        with translated():
            handed = [condition for _, conditions in await self._relays.unpublished() for condition in conditions]
            marked = [{mark: {"$exists": True}} for mark in ("processing.publish", "processing.relayLease")]
            events = [await self._oldest("processing.publish"), await self._oldest_handed(handed)]
            return Backlog(
                documents=await self._progresses.estimated_document_count(),
                due=await count({"processing.due": {"$exists": True}}),
                claimed=await count({"processing.lease": {"$exists": True}}),
                expired=await count({"processing.lease": {"$lt": now}}),
                waiting=await count({"processing.waiting": True}),
                outbox=await count({"$or": [*marked, *handed]}),
                oldest_due=await self._oldest("processing.due"),
                oldest_outbox=min((instant for instant in events if instant), default=None),
                oldest_lease=await self._oldest("processing.lease"),
            )

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return who holds what; see `ports.ProgressStore.locks`."""
        with translated():
            relays = await self._relays.unpublished()
        return await read_locks(self._progresses, relays, limit)

    async def _oldest_handed(self, handed: Sequence[updates.Filter]) -> datetime | None:
        if not handed:
            return None
        oldest = {"$group": {"_id": None, "oldest": {"$min": {"$min": "$processing.outbox.time"}}}}
        found = await (await self._progresses.aggregate([{"$match": {"$or": handed}}, oldest])).to_list()
        return found[0]["oldest"] if found and isinstance(found[0]["oldest"], datetime) else None

    async def _oldest(self, mark: str) -> datetime | None:
        found = await self._progresses.find_one({mark: {"$gte": EARLIEST}}, {mark: 1}, sort=[(mark, 1)])
        return next(iter(instants([found], mark)), None) if found else None


async def _insert_new(
    collection: AsyncCollection[Document], documents: Sequence[Document | RawBSONDocument]
) -> frozenset[ObjectId]:
    """Insert what is not there yet; return the ids that were. What else fails is raised (I1)."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if not is_only_duplicates(error):
            raise
        return frozenset(documents[number]["_id"] for number in refused(error))
    return frozenset()
