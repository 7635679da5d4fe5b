"""Evidence in MongoDB: appended, or promoted in passing where a document is new or at rest."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import BulkWriteError

from processor.core.beginning import Beginning
from processor.core.continuation import Continuation
from processor.core.evidence import Append
from processor.core.records import StatementRecord
from processor.errors import DocumentBroken, DocumentFull
from processor.ports.progress import RelayLease
from processor.store import marks, outbox, updates
from processor.store.connect import Document
from processor.store.documents import ProgressDocuments, insert_new
from processor.store.failures import is_passing_bulk, misshapen, too_large, translated
from processor.store.relays import handed_under
from schemas.dots import encode_dots


class MongoEvidence(ProgressDocuments):
    """The half of `ports.ProgressStore` that ingest writes by."""

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
        await insert_new(self._statements, documents)

    async def _upsert(self, appends: Sequence[Append], now: datetime, *, is_again: bool = False) -> None:
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
            if is_again or not is_passing_bulk(error):
                raise
            # Two writers inserted the same document at once: now it is there, and the append is repeatable.
            await self._upsert(appends, now, is_again=True)

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
            return await insert_new(self._progresses, documents)

    async def at_rest(self, ids: Collection[ObjectId]) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Read documents that nobody is at; see `ports.ProgressStore.at_rest`."""
        if not ids:
            return {}
        with translated():
            found = await self._progresses.find(
                {"_id": {"$in": list(ids)}} | marks.CONTINUABLE, hint=outbox.BY_ID
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
