"""What the loops need from the world, as protocols; `store`, `transport` and `testing` provide it.

Every method may raise `Unavailable` (retriable): the operation may or may not have been done, and repeating it is
harmless. Real adapters and the fakes in `processor.testing` pass the same tests in `tests/contract`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from bson import ObjectId

from processor.core.evidence import Append, ProgressEvent, Promotion
from processor.core.records import Batch, Rejected, StatementRecord


class Clock(Protocol):
    """The time of day, UTC."""

    def now(self) -> datetime:
        """Return the current instant, aware, UTC, truncated to milliseconds (what BSON can hold)."""


class RecordSource(Protocol):
    """Statement records from a consumer group."""

    def batch(self) -> AbstractAsyncContextManager[Batch]:
        """Poll once; the batch may be empty.

        While the context is open a rebalance waits for it (up to the source's deadline), so that what was
        processed can still be committed. Leaving the context without a commit redelivers.
        """

    async def commit(self, batch: Batch) -> bool:
        """Commit the offsets of exactly this batch, the last step of ingest (I1).

        Partitions that are no longer assigned are left out. Returns False when the group has moved on and
        nothing was committed: another member gets the records again, which is harmless (I2).
        """


class DeadLetters(Protocol):
    """Where bad records are parked (I3)."""

    async def park(self, rejected: Sequence[Rejected]) -> None:
        """Return once every one is acknowledged by the broker: original value, key and headers, plus the reason."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Documents held under one fresh, single-use `lockKey` until `until` (P1)."""

    lock_key: str
    until: datetime
    documents: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """How a claim ended: `landed` promotions were written, `fenced` ones found the lock gone."""

    landed: int
    fenced: int


@dataclass(frozen=True, slots=True)
class OutboxClaim:
    """Outboxes held by one relay under a fresh key until `until`; events of a document in revision order (R2)."""

    lock_key: str
    until: datetime
    outboxes: Mapping[ObjectId, tuple[ProgressEvent, ...]]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the store: counts of documents, and when the oldest became due."""

    documents: int
    due: int
    claimed: int
    expired: int
    waiting: int
    outbox: int
    oldest_due: datetime | None
    oldest_outbox: datetime | None
    oldest_lease: datetime | None
    """When the first of the promoters' leases runs out, or ran out."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lease on a document, or on its outbox: whose it is, since when, and until when.

    `worker` and `since` are None on a document whose claim did not say.
    """

    progress: ObjectId
    loop: Literal["promote", "relay"]
    lock_key: str
    until: datetime
    worker: str | None
    since: datetime | None


class ProgressStore(Protocol):
    """Progress documents, their locks and their outboxes. All writes are acknowledged by a majority."""

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> None:
        """Keep matched bare `statements`, then add the evidence to `pendingProgress`, creating documents as needed.

        Statements first, so that no reference dangles. Durable when it returns (I1), a set union (I2), and it
        marks each touched document due and records the journey version it matched under (trap 7).
        """

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim up to `limit` due documents, longest due first, and those whose lease ran out before `now`.

        The due mark is cleared before pending is read, so that an append during the promotion marks the
        document again (P3, trap 2). `lock_key` must be fresh: it is used for one claim only.
        """

    async def apply(self, claim: Claim, promotions: Sequence[Promotion], now: datetime) -> Applied:
        """Write each promotion in one update that matches only under the claim's lock, and free the lock (P1, P2).

        Repeating the call writes nothing twice: the first one used the lock up (trap 3).
        """

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim the outboxes of up to `limit` documents that have something to publish (R1)."""

    async def forget(self, claim: OutboxClaim, published: Mapping[ObjectId, int]) -> None:
        """Remove published events: for each document those up to the given revision, and free the relay's lock.

        A document of the claim that is missing from `published` keeps its events and its lease, and is
        claimed again when the lease runs out.
        """

    async def mark_due(self, journey: ObjectId, version: int, now: datetime) -> int:
        """Mark due the journey's documents that wait, were last folded under an older version, or are claimed.

        What a promoter has in hand it may have decided under the older version already, to land it after this.
        Returns how many were marked. Done in bounded chunks; repeating is harmless.
        """

    async def backlog(self, now: datetime) -> Backlog:
        """Count what waits."""

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return up to `limit` leases, those that run out first (or ran out) before the others."""


class ProgressReader(Protocol):
    """Progress documents for people and interfaces, as stored; always confined to one organisation if given."""

    def find(
        self,
        *,
        organisation: ObjectId | None = None,
        journey: ObjectId | None = None,
        identity: ObjectId | None = None,
        limit: int = 20,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield documents, last updated first; `identity` is a progress id."""


class JourneyCatalog(Protocol):
    """Collection `journeys`."""

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document, as stored."""

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace journey documents by `_id`."""

    async def changed(self) -> bool:
        """Wait a moment (a second at most); tell whether the collection has changed, or it is time to look."""


class EventSink(Protocol):
    """Topic `journey.progress-updated`."""

    async def publish(self, outboxes: Mapping[ObjectId, Sequence[ProgressEvent]]) -> Mapping[ObjectId, int]:
        """Publish each document's events in revision order (R2); key = progress id.

        Returns, by document, the last revision that the broker acknowledged with all before it; documents of
        which nothing was acknowledged are missing from the answer.
        """
