"""Outboxes in memory: claimed or handed over, published, forgotten, and the accounts of relays."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from bson import ObjectId

from processor.core.relaying import Account, handed_of
from processor.ports.progress import OutboxClaim
from processor.testing.database import RelayHeld, View
from processor.testing.faults import effect
from processor.testing.writes import Document, claimable, forget, hand_to_any


class MemoryOutboxes(View):
    """The half of `ports.ProgressStore` that relays work with."""

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim outboxes; see `ports.ProgressStore.claim_events` (R1)."""
        self._mark_left(now)
        found = claimable(self._database.progresses.values(), "publish", "relayLease", now, limit)
        for document in found:
            async with effect(self._faults, "claim_events"):
                if claimable([document], "publish", "relayLease", now, 1):
                    processing = document["processing"]
                    processing |= {"relayKey": lock_key, "relayLease": until}
                    processing["relayHolder"] = {"worker": self._worker, "since": now}
                    processing.pop("publish", None)
        held = {it["_id"]: it for it in found if it["processing"].get("relayKey") == lock_key}.values()
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
        return self._database.is_in_hands(document)

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
