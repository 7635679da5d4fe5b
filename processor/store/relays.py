"""The accounts of the relays (`core/relaying.py`): collection `journeyrelays`, one document each.

`until` is the end of the relay's lease; it is unset when nothing more is to come from it, which takes it out of the
index, and out of what is looked at but in audits. An account stays while progress documents name its relay.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bson import ObjectId
from msgspec import ValidationError, convert

from processor.core.relaying import Account, Handed, handed_of, without_published
from processor.ports.progress import RelayLease
from processor.store.connect import PROGRESSES, RELAYS, Database, Document
from processor.store.outbox import BY_ID

BETWEEN = timedelta(seconds=1)
"""From one look for what relays have left to the next."""

AGAIN = timedelta(minutes=1)
"""After this the same is looked for once more: a write may land that its process does not wait for any more."""

KEPT = timedelta(hours=1)
"""How long after its lease a relay is looked at every second; after that, only by audits."""

RELAY, NUMBER = "processing.handed.relay", "processing.handed.number"

BY_NUMBER = [(RELAY, 1), (NUMBER, 1)]

FIRST = ObjectId(bytes(12))

PAGE = 1_000
"""Documents that are marked in one write."""

Filter = dict[str, Any]


class Marked(NamedTuple):
    """What was marked for any relay of what one was handed, and when."""

    conditions: Sequence[Filter]
    at: datetime


class Relays:
    """One process's view of the accounts. What it has seen published stays so, and is not read again."""

    def __init__(self, database: Database) -> None:
        self._relays = database[RELAYS]
        self._progresses = database[PROGRESSES]
        self._accounts: dict[ObjectId, Account] = {}
        self._own: ObjectId | None = None
        self._ended: set[ObjectId] = set()
        self._looked: datetime | None = None
        self._marked: dict[ObjectId, Marked] = {}

    async def keep(self, account: Account, worker: str, now: datetime, until: datetime | None) -> None:
        """Write an account, and the end of its relay's lease, None for no more."""
        numbers = {"last": account.last, "open": sorted(account.open), "left": sorted(account.left)}
        self._accounts[account.relay] = account  # at once: what is published is, whether this lands or not
        update: Document = {"$set": {"worker": worker, **numbers}, "$setOnInsert": {"since": now}}
        if until:
            update["$set"]["until"] = until
        else:
            update["$unset"] = {"until": ""}
        await self._relays.update_one({"_id": account.relay}, update, upsert=True)
        self._ends(account.relay, has_ended=until is None)

    def note(self, account: Account) -> None:
        """Take over what the relay of this process has published; it knows that before its account does."""
        self._own = account.relay
        self._accounts[account.relay] = account

    async def _look_up(self, handed: Iterable[Handed]) -> None:
        """Read the accounts of those relays of which something is not known to be published."""
        asked = {it.relay for it in handed if it.relay != self._own and not self._is_published(it)}
        if not asked:
            return
        found = {it["_id"]: it for it in await self._relays.find({"_id": {"$in": list(asked)}}).to_list()}
        for relay in asked - {self._own}:  # its relay may have told of itself meanwhile, and knows better
            if it := found.get(relay):
                self._accounts[relay] = _account(it)
                self._ends(relay, has_ended="until" not in it)
            else:
                self._accounts.pop(relay, None)

    def _ends(self, relay: ObjectId, *, has_ended: bool) -> None:
        if has_ended:
            self._ended.add(relay)
        else:
            self._ended.discard(relay)

    def _is_published(self, handed: Handed) -> bool:
        account = self._accounts.get(handed.relay)
        return account is not None and account.is_published(handed.number)

    async def without_published(self, documents: Iterable[Document]) -> list[Document]:
        """Return the documents without what was handed over and is published."""
        documents = list(documents)
        handed = [handed_of(document) for document in documents]
        if not any(handed):
            return documents
        await self._look_up(it for it in handed if it)
        return [
            without_published(document, it) if it and self._is_published(it) else document
            for document, it in zip(documents, handed, strict=True)
        ]

    def free_and_others(self, documents: Iterable[Document]) -> tuple[list[Document], list[Document]]:
        """Divide claimed documents, without what is published, into those that may be published and the others.

        The others are in the hands of a relay, or were. Where nobody keeps its account any more, or nobody has it, this
        is what finds them: they are published (R1).
        """
        free: list[Document] = []
        others: list[Document] = []
        for document in documents:
            handed = handed_of(document)
            is_held = handed and handed.relay in self._accounts and handed.relay not in self._ended
            (others if is_held else free).append(document)
        return free, others

    async def leave(self, relay: ObjectId, number: int, ids: Collection[ObjectId], now: datetime) -> None:
        """Mark for any relay those documents that were handed over under a number."""
        condition = {"_id": {"$in": list(ids)}, RELAY: relay, NUMBER: number}
        await self._progresses.update_many(condition, left_update(now), hint=BY_ID)

    async def mark_left(self, now: datetime) -> None:
        """Mark for any relay what relays have left, and what they had when their lease ran out (R1)."""
        if self._looked is not None and timedelta(0) <= now - self._looked < BETWEEN:
            return
        found = await self._relays.find({"_id": {"$gte": FIRST}, "until": {"$exists": True}}).to_list()
        marked: dict[ObjectId, Marked] = {}
        for it in found:
            relay, account = it["_id"], _account(it)
            is_over = not isinstance(it["until"], datetime) or it["until"] < now
            conditions = unpublished(account) if is_over else numbered(relay, account.left)
            before = self._marked.get(relay)
            if before and before.conditions == conditions and timedelta(0) <= now - before.at < AGAIN:
                marked[relay] = before
            elif await self._mark(conditions, now):
                marked[relay] = Marked(conditions, now)
                if is_over and not (isinstance(it["until"], datetime) and it["until"] >= now - KEPT):
                    await self._relays.update_one({"_id": relay, "until": it["until"]}, {"$unset": {"until": ""}})
        self._marked, self._looked = marked, now

    async def audit(self, now: datetime) -> bool:
        """Go through all relays that there are or were, and that documents name; return whether that was all.

        Who has ended may have left a write that landed late. Who is named, and has no account, may have published
        anything: somebody has removed it. An account that nobody names is no more.
        """
        named = {
            it for it in await self._progresses.distinct(RELAY, {RELAY: {"$gte": FIRST}}) if isinstance(it, ObjectId)
        }
        known = await self._relays.find({"_id": {"$gte": FIRST}}).to_list()
        unknown = [Account(relay) for relay in named - {it["_id"] for it in known}]
        ended = [_account(it) for it in known if "until" not in it]
        for account in (*unknown, *ended):
            if account.relay not in named:
                await self._relays.delete_one({"_id": account.relay, "until": {"$exists": False}})
            elif not await self._mark(unpublished(account), now):
                return False
        return True

    async def mark(self, account: Account, now: datetime) -> None:
        """Mark for any relay what one has left that ends now; a page, others look for more."""
        await self._mark(numbered(account.relay, account.left), now)

    async def _mark(self, conditions: Sequence[Filter], now: datetime) -> bool:
        """Mark a page of what is matched; return whether there was no more.

        To look first takes no wait for a majority, and nearly always there is nothing.
        """
        for condition in conditions:
            page = await self._progresses.find(condition, {"_id": 1}, hint=BY_NUMBER).limit(PAGE).to_list()
            if page:
                ids = {"_id": {"$in": [it["_id"] for it in page]}}
                await self._progresses.update_many(ids | condition, left_update(now), hint=BY_ID)
            if len(page) == PAGE:
                return False
        return True

    async def unpublished(self) -> Sequence[tuple[Document, Sequence[Filter]]]:
        """Return the documents of the relays from which something may be to come, and what matches it."""
        found = self._relays.find({"_id": {"$gte": FIRST}, "until": {"$exists": True}})
        return [(it, unpublished(_account(it))) async for it in found]


def unpublished(account: Account) -> Sequence[Filter]:
    """Match all that was handed to a relay and is not published. A filter each, as each is a range of the index."""
    return [
        {RELAY: account.relay, NUMBER: {"$gt": account.last}},
        *numbered(account.relay, account.open | account.left),
    ]


def handed_under(lease: RelayLease) -> Filter:
    """Match what was handed over under a lease."""
    return {RELAY: lease.relay, NUMBER: lease.number}


def left_update(now: datetime) -> Document:
    """Mark for any relay what is handed to none any more."""
    return {"$min": {"processing.publish": now}, "$unset": {"processing.handed": ""}}


def numbered(relay: ObjectId, numbers: Collection[int]) -> Sequence[Filter]:
    """Match what was handed to a relay under some numbers."""
    return [{RELAY: relay, NUMBER: {"$in": sorted(numbers)}}] if numbers else []


def _account(found: Mapping[str, Any]) -> Account:
    """Read an account; of one that was edited by hand nothing is published."""
    try:
        return convert({**found, "relay": found["_id"]}, Account)
    except ValidationError:
        return Account(found["_id"])
