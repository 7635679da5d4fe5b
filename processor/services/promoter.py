"""Promotion: claimed documents to completions and outbox, one conditional update a document.

1. claim a batch of due documents under one fresh lockKey with a lease (clears the due mark, then reads pending),
2. promote each (pure),
3. apply all in one bulk write filtered by the lockKey; what matched nothing was fenced.

P1: a promotion lands only while the document carries this worker's lockKey. P2: completions, consumed pending and
outbox change in one update. P3: an append that lands in between marks the document due again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from bson import ObjectId

from processor.core.evidence import Promotion
from processor.core.journey import JourneyRules
from processor.core.promotion import is_held_back, needed_version, promote
from processor.core.spilling import is_late, segments_of, segments_to_look_at, whole
from processor.ports.progress import Applied, Claim
from processor.services.promoting import Promotes

LOOP = "promote"

Answer = TypeVar("Answer")
Found = Mapping[ObjectId, Sequence[Mapping[str, Any]]]
"""Attempts by their segment."""


class Promoter(Promotes):
    """One worker of any number."""

    async def step(self) -> int:
        """Claim, promote, apply; return how many documents were claimed, a whole batch when there is more to do.

        Raises `Unavailable` when the store failed: what was claimed is claimed again when its lease runs out.
        """
        now, leasing = self._around.clock.now(), self._leasing
        # 1. claim
        claim = await self._store.claim(leasing.new_key(), now, now + leasing.duration, leasing.batch)
        if not claim.documents:
            return leasing.batch if claim.has_more else 0
        with self._around.metrics.promote_seconds.time():
            await self._catch_up(claim)
            found, late = await self._recalled(claim)
            rules = self._journeys.index.journeys
            # 2. promote
            promotions = [
                promotion
                for document in claim.documents
                if (promotion := self._promote(document, found if document["_id"] in late else None))
            ]
            # 3. apply; repeatable, so an outage is waited out with the decisions at hand
            with self._handover.lease(self._around.clock.now()) as lease:
                applied = await self._around.outlast(
                    LOOP, lambda: self._store.apply(claim, promotions, self._around.clock.now(), lease)
                )
                if events := sum(promotion.event is not None for promotion in promotions):
                    self._handover.give(lease, applied.outboxes, is_all=len(applied.outboxes) == events)
        if not applied.fenced:
            self._learn(claim, promotions, rules)
        self._account(claim, promotions, applied)
        # What was left over comes next; not at once if this changed nothing, as it may have been edited by hand.
        has_more = claim.has_more or any(it.is_partial and it.event for it in promotions)
        return leasing.batch if has_more else len(claim.documents)

    def _learn(self, claim: Claim, promotions: Sequence[Promotion], rules: Mapping[ObjectId, JourneyRules]) -> None:
        """Let ingest know whose evidence need not be written any more."""
        documents = {document["_id"]: document for document in claim.documents}
        for promotion in promotions:
            if promotion.finished:
                document = documents[promotion.progress]
                owner = document.get("owner")  # one that was edited by hand may have none
                ident = owner.get("ident") if isinstance(owner, dict) else None
                self._remember(rules[document["journey"]], promotion.progress, ident, promotion.finished)

    async def _catch_up(self, claim: Claim) -> None:
        """Refresh the journeys if an ingester matched under a version that this snapshot does not know (trap 7)."""
        if any(map(self._is_behind, claim.documents)):
            await self._journeys.refresh()

    def _is_behind(self, document: Mapping[str, Any]) -> bool:
        try:
            rules = self._journeys.index.journeys.get(document["journey"])
            return rules is None or rules.version < needed_version(document)
        except Exception:  # noqa: BLE001 - a document edited by hand can break in any way
            return False  # `_promote` tells of it

    async def _recalled(self, claim: Claim) -> tuple[Found, Collection[ObjectId]]:
        """Read the attempts that have left those documents whose new evidence may change them: nearly always none.

        Returns them, and which documents they are to be brought back to. First only what tells redelivered evidence
        from late one is read (core/spilling.py).
        """
        asked = {it["_id"]: self._known(segments_to_look_at, it) or [] for it in claim.documents}
        looked = [segment for segments in asked.values() for segment in segments]
        if not looked:
            return {}, frozenset()
        found = dict(await self._store.attempts(looked))
        seen = [it for it in claim.documents if asked[it["_id"]]]
        late = [it for it in seen if self._known(is_late, it, found)]
        if missing := set(segments_of(late)) - found.keys():
            found |= await self._store.attempts(missing)
        return found, {document["_id"] for document in late}

    def _known(self, question: Callable[..., Answer], document: Mapping[str, Any], *more: Any) -> Answer | None:
        """Ask about a document and its journey; None when there is none, or the document was edited by hand."""
        try:
            rules = self._journeys.index.journeys.get(document["journey"])
            return question(document, rules, *more) if rules else None
        except Exception:  # noqa: BLE001 - as there
            return None  # `_promote` tells of it

    def _promote(self, document: Mapping[str, Any], found: Found | None) -> Promotion | None:
        """One document that cannot be promoted (now) must not hold up the others; it comes back after its lease.

        `found` are the attempts that have left it, when they have to come back.
        """
        try:
            rules = self._journeys.index.journeys.get(document["journey"])
            if is_held_back(document):
                self._around.metrics.held_back.inc()
                structlog.get_logger(__name__).warning(
                    "too many events wait for a relay", progress=str(document["_id"])
                )
                return None
            claimed = document if found is None else whole(document, found)
            now = self._around.clock.now()
            return promote(claimed, rules, self._policy_of(document["journey"], now), now)
        except Exception:  # noqa: BLE001 - a document edited by hand can break in any way
            self._around.metrics.failed_promotions.inc()
            structlog.get_logger(__name__).exception("promotion failed", progress=str(document["_id"]))
            return None

    def _account(self, claim: Claim, promotions: list[Promotion], applied: Applied) -> None:
        self._around.metrics.fenced.inc(applied.fenced)
        dropped = self._count(applied.landed, [it.dropped for it in promotions])
        structlog.get_logger(__name__).info(
            "batch promoted",
            lockKey=claim.lock_key,
            documents=len(claim.documents),
            events=sum(promotion.event is not None for promotion in promotions),
            **({"fenced": applied.fenced} if applied.fenced else {}),
            **({"dropped": dict(dropped)} if dropped else {}),
        )
