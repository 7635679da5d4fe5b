"""Outboxes in MongoDB: claimed or handed over, published, forgotten, and the accounts of relays."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from bson import ObjectId
from pymongo import UpdateMany

from processor.core.relaying import Account
from processor.ports.progress import OutboxClaim
from processor.store import outbox
from processor.store.documents import ProgressDocuments
from processor.store.failures import translated


class MongoOutboxes(ProgressDocuments):
    """The half of `ports.ProgressStore` that relays work with. The writes themselves stand in `outbox.py`."""

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
