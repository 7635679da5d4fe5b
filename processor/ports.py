"""What the loops need from the world, as protocols; `store`, `transport` and `testing` provide it.

Every method may raise `Unavailable` (retriable): the operation may or may not have been done, and repeating it is
harmless. Real adapters and the fakes in `processor.testing` pass the same tests in `tests/contract`.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from bson import ObjectId

from processor.core.beginning import Beginning
from processor.core.continuation import Continuation
from processor.core.evidence import Append, ProgressEvent, Promotion, Retraction
from processor.core.queries import Found, Model, Projection, Query
from processor.core.recalculation import Recalculation
from processor.core.records import Batch, Rejected, StatementRecord
from processor.core.rereading import Scope


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

        The group may know of it only later, beside the next batches, and at the latest before a rebalance goes on.
        Returns False when the group has moved on and this batch, or one before it, was not committed: another member
        gets the records again, which is harmless (I2).
        """


class DeadLetters(Protocol):
    """Where bad records are parked (I3)."""

    async def park(self, rejected: Sequence[Rejected]) -> None:
        """Return once every one is acknowledged by the broker: original value, key and headers, plus the reason."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Documents held under one fresh, single-use `lockKey` until `until` (P1).

    `has_more` tells that as many were found as were asked for; others may have been quicker to claim some.
    """

    lock_key: str
    until: datetime
    documents: tuple[Mapping[str, Any], ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """How a claim ended: `landed` promotions were written, `fenced` ones found the lock gone.

    `outboxes` are those that were claimed for a relay by the same write.
    """

    landed: int
    fenced: int
    outboxes: Mapping[ObjectId, tuple[ProgressEvent, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RelayLease:
    """A fresh key and an end, under which a write may claim for a relay the outboxes that it fills."""

    lock_key: str
    until: datetime


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


class Evidence(Protocol):
    """Where ingest puts what it found: a `ProgressStore`, or what promotes in passing."""

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        """Add the evidence, durably, see `ProgressStore.append`; return how many documents wait for a promoter."""


class ProgressStore(Protocol):
    """Progress documents, their locks and their outboxes. All writes are acknowledged by a majority."""

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        """Keep matched bare `statements`, then add the evidence to `pendingProgress`, creating documents as needed.

        Statements first, so that no reference dangles. Durable when it returns (I1), a set union (I2), and it
        marks each touched document due and records the journey version it matched under (trap 7). Returns how many
        documents that are.
        """

    async def missing(self, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
        """Return those of `ids` that no document has, as far as one look can tell."""

    async def begin(
        self, beginnings: Sequence[Beginning], lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Insert new documents, promoted, each whole in one write (P2); return the ids that were taken already.

        A document that is there is never touched: the `_id` is the lock (P1). With a `lease` the outboxes are claimed
        under it, else they are marked for any relay (R1). Durable when it returns (I1).
        """

    async def at_rest(self, ids: Collection[ObjectId]) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Return those of `ids` that are there and that nobody is at, as stored: what `go_on` may be decided on.

        Not what is due, claimed, waiting, asked by a recalculation, left by attempts, or has a long outbox.
        """

    async def go_on(
        self, continuations: Sequence[Continuation], lock_key: str, lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Write the next promotions of documents at rest, each in one update (P2); return the ids of those not landed.

        One for each document. It lands only while that has the lock that it was read with, and leaves `lock_key`, which
        must be fresh: whoever claims or promotes changes the lock (P1, trap 3). Evidence that was appended since stays,
        with its due mark (P3); nothing lands where it was found under a newer version (trap 7), or a recalculation asks
        something. Of one that somebody claimed right after, it may be told that it did not land: its evidence can be
        appended all the same (I2). With a `lease` the outboxes that were idle are claimed under it, else they are
        marked for any relay (R1). Durable when it returns (I1).
        """

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim up to `limit` due documents, longest due first, and those whose lease ran out before `now`.

        The due mark is cleared before pending is read, so that an append during the promotion marks the
        document again (P3, trap 2). `lock_key` must be fresh: it is used for one claim only.
        """

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        """Write each promotion in one update that matches only under the claim's lock, and free the lock (P1, P2).

        Attempts that leave a document are durable before it. Repeating the call writes nothing twice: the first one
        used the lock up (trap 3). With a `lease` the same update claims under it, for a relay, each outbox that was
        idle when the document was claimed: under the lock nobody else can fill or claim it.
        """

    async def attempts(self, segments: Collection[ObjectId]) -> Mapping[ObjectId, Sequence[Mapping[str, Any]]]:
        """Return the attempts of segments that have left their documents; one that is gone is missing."""

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim the outboxes of up to `limit` documents that have something to publish (R1)."""

    async def forget(self, claims: Sequence[tuple[OutboxClaim, Mapping[ObjectId, int]]]) -> None:
        """Remove what was published of each claim: by document the events up to a revision; and free the relay's lock.

        A document of a claim of which nothing is told keeps its events and its lease, and is
        claimed again when the lease runs out.
        """

    async def mark_due(self, versions: Mapping[ObjectId, int], now: datetime) -> int:
        """Mark due the documents of each journey that wait, were last folded under an older version, or are claimed.

        What a promoter has in hand it may have decided under the older version already, to land it after this.
        Returns how many were marked. Done in bounded chunks; repeating is harmless.
        """

    async def backlog(self, now: datetime) -> Backlog:
        """Count what waits."""

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return up to `limit` leases, those that run out first (or ran out) before the others."""


class ProgressReader(Protocol):
    """Progress documents for people and interfaces, with all attempts; always confined to one organisation if given."""

    def find(
        self,
        *,
        organisation: ObjectId | None = None,
        journey: ObjectId | None = None,
        identity: ObjectId | None = None,
        limit: int = 20,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield documents, last updated first; `identity` is a progress id."""


class QueryReader(Protocol):
    """What the interfaces read: documents of one model, always confined to one organisation.

    Raises `InvalidInput` for what MongoDB does not take, `StoreUnavailable` for what it cannot do in time.
    """

    async def find(self, model: Model, organisation: ObjectId, query: Query) -> Sequence[Found]:
        """Return up to `limit` documents in the order of the sort."""

    async def one(
        self, model: Model, organisation: ObjectId, key: ObjectId, project: Projection | None = None
    ) -> Mapping[str, Any] | None:
        """Return the document with this `_id`, or None if the organisation has none."""

    async def count(self, model: Model, organisation: ObjectId, query: Query) -> int:
        """Count what the filter matches, after `skip`."""

    async def distinct(self, model: Model, organisation: ObjectId, path: str, query: Query) -> Sequence[Any]:
        """Return the different values at a path of what the filter matches."""

    async def reach(self) -> None:
        """Return if the store answers."""

    async def progresses(
        self, organisation: ObjectId, keys: Sequence[ObjectId]
    ) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Return progress documents by their ids, whole as stored: for explaining, not for showing."""

    async def statement(self, organisation: ObjectId, key: ObjectId | str) -> Mapping[str, Any] | None:
        """Return a statement document by its `_id`, or by its xAPI id, or None if the organisation has none."""


class JourneyWriter(Protocol):
    """Journeys, written one at a time and never over somebody else's change."""

    async def insert(self, journey: Mapping[str, Any]) -> None:
        """Insert a journey with a new `_id`."""

    async def change(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Write the fields in which `after` differs, if the journey is still as it was `before`; say whether it was.

        `version` and `updatedAt` tell; the fields that do not differ are left to whoever writes them.
        """

    async def remove(self, organisation: ObjectId, key: ObjectId) -> bool:
        """Remove a journey; say whether the organisation had it."""


class Clients(Protocol):
    """Collection `client`: who may call the interfaces, as Learning Locker has them."""

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the trusted client with this `api.basic_key`, or None."""

    async def replace_secret(self, client: ObjectId, before: str, after: str) -> None:
        """Store a secret's hash in the place of what was stored `before`; if that has changed, leave it."""

    async def insert(self, client: Mapping[str, Any]) -> None:
        """Insert a client."""

    async def all(self) -> Sequence[Mapping[str, Any]]:
        """Return every client, without secrets."""

    async def revoke(self, key: str, now: datetime) -> bool:
        """Trust the client no more; say whether there was one."""


class JourneyCatalog(Protocol):
    """Collection `journeys`."""

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document, as stored."""

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace journey documents by `_id`."""

    async def changed(self) -> bool:
        """Wait a moment (a second at most); tell whether the collection has changed, or it is time to look.

        A change may be told only once: who hears of it has to load, however often that takes.
        """


DELIVERY_SHARE = 0.5
"""Share of a lease that a delivery may take: what a relay gave up must not be sent after its lease ran out (R2)."""


class EventSink(Protocol):
    """Topic `journey.progress-updated`."""

    async def publish(self, outboxes: Mapping[ObjectId, Sequence[ProgressEvent]]) -> Mapping[ObjectId, int]:
        """Publish each document's events in revision order (R2); key = progress id.

        Returns, within `DELIVERY_SHARE` of a lease, by document the last revision that the broker acknowledged with all
        before it; documents of which nothing was acknowledged are missing from the answer.
        """


class Recalculations(Protocol):
    """Starts and cancels the recalculation of a journey. Raises `NotFound`, or `InvalidInput` when it cannot be."""

    async def start(self, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        """Start; `by` is the client. Return the journey document as stored, with its `recalculateStatus`."""

    async def cancel(self, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        """Cancel; harmless when there is none. Return the journey document as stored."""


class RunningRecalculations(Protocol):
    """Which recalculations run."""

    async def running(self) -> frozenset[ObjectId]:
        """Return the journeys that are recalculated, or are going to be: until all of it is folded."""


class RecalculationWork(Protocol):
    """Recalculations for those who do them: one chunk under one fresh key with a lease."""

    async def claim(self, lock_key: str, now: datetime, until: datetime) -> Recalculation | None:
        """Claim the recalculation that has waited longest, or whose worker's lease ran out."""

    async def save(self, was: Recalculation, now_is: Recalculation, lock_key: str, until: datetime) -> bool:
        """Write how far it has come and give the lock back; `inProgress` holds until `until`.

        False when it was cancelled, started anew or taken over meanwhile: nothing was written but the lock's return.
        """


@dataclass(frozen=True, slots=True)
class Reread:
    """A chunk of statements read again.

    `holders` are the documents that hold them as evidence, None when they have to be looked for by owner. `looked`
    counts what was looked at, as `History.size` counts it. `position` is where to go on, None at the end.
    """

    statements: tuple[StatementRecord, ...]
    holders: tuple[Mapping[str, Any], ...] | None
    looked: int
    position: Any | None


class History(Protocol):
    """The statements there have been: collection `statements`, or the topic from its start."""

    async def size(self, scope: Scope) -> int:
        """Count roughly what `evidence` and `statements` will look at."""

    async def evidence(self, scope: Scope, position: Any | None) -> Reread:
        """Read a chunk of the statements that the scope's documents may hold as evidence."""

    async def statements(self, scope: Scope, position: Any | None) -> Reread:
        """Read a chunk of all statements that could match the journey; which do, its conditions say."""


@dataclass(frozen=True, slots=True)
class Waking:
    """Documents that wait for a promoter or are in the hands of one, and how many of them were marked due just now."""

    waiting: int
    marked: int


class ReplayStore(Protocol):
    """What a recalculation writes to progress documents. Nearly none of it marks a document due but `wake`."""

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> None:
        """Add evidence; see `ProgressStore.append`. Due is what has more than `CROWDED` pending then."""

    async def retract(self, retractions: Sequence[Retraction]) -> None:
        """Take evidence back: from `pendingProgress` at once, from the rest at the document's next fold.

        Durable when it returns, and repeating is harmless. A document that is gone is passed over.
        """

    async def holders(self, journey: ObjectId, ids: Collection[ObjectId]) -> Sequence[Mapping[str, Any]]:
        """Return those documents of the journey that exist."""

    async def wake(self, journey: ObjectId, limit: int, now: datetime) -> Waking:
        """Mark due what was asked something that is not folded yet, so that at most `limit` wait at once.

        Not what waits for its journey to run: that is woken with it (`ProgressStore.mark_due`).
        """
