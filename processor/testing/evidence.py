"""Evidence in memory: appended, or promoted in passing where a document is new or at rest."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.beginning import Beginning, new_document
from processor.core.completions import items_to
from processor.core.continuation import Continuation
from processor.core.evidence import Append
from processor.core.records import StatementRecord
from processor.core.retraction import replay_entry
from processor.ports.progress import Outbox, RelayLease
from processor.testing.database import View
from processor.testing.faults import effect
from processor.testing.writes import (
    Document,
    as_stored,
    ask,
    decide,
    is_handed_under,
    is_in_work,
    mark,
    mark_outbox,
)
from schemas.dots import encode_dots


class MemoryEvidence(View):
    """The half of `ports.ProgressStore` that ingest writes by."""

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
        document["updatedAt"] = max(document["updatedAt"], now)
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
