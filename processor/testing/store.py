"""Progress documents in memory: the same semantics as MongoDB's, without I/O, for the simulation."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.evidence import Promotion, has_idle_outbox
from processor.ports.progress import Applied, Claim, Outbox, RelayLease
from processor.testing.evidence import MemoryEvidence
from processor.testing.faults import effect
from processor.testing.looking import MemoryReader
from processor.testing.outboxes import MemoryOutboxes
from processor.testing.writes import Document, apply_promotion, as_stored, claimable, is_handed_under, mark


class MemoryProgressStore(MemoryEvidence, MemoryOutboxes, MemoryReader):
    """One process's view of a `MemoryDatabase`: `ports.ProgressStore` and `ports.ProgressReader`."""

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim due documents and those whose lease ran out; see `ports.ProgressStore.claim` (P1, P3)."""
        found = claimable(self._database.progresses.values(), "due", "lease", now, limit)
        for document in found:
            async with effect(self._faults, "claim"):
                if claimable([document], "due", "lease", now, 1):
                    self._take(document, lock_key, now, until)
        # Pending is read after the due mark is gone (trap 2).
        held = {it["_id"]: it for it in found if it.get("lockKey") == lock_key}.values()
        documents = tuple(map(as_stored, map(self._without_published, held)))
        return Claim(lock_key, until, documents, has_more=len(found) == limit)

    def _take(self, document: Document, lock_key: str, now: datetime, until: datetime) -> None:
        document["lockKey"] = lock_key
        document["processing"] |= {"lease": until, "holder": {"worker": self._worker, "since": now}}
        document["processing"].pop("due", None)

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
