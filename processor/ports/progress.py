"""Progress documents: their evidence, locks and outboxes, and who only reads them. See `processor.ports`."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from bson import ObjectId

from processor.core.beginning import Beginning
from processor.core.continuation import Continuation
from processor.core.evidence import Append, ProgressEvent, Promotion
from processor.core.records import StatementRecord
from processor.core.relaying import Account


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

    `outboxes` are those that were handed to a relay by the same write.
    """

    landed: int
    fenced: int
    outboxes: Mapping[ObjectId, tuple[ProgressEvent, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RelayLease:
    """A relay, a fresh number of it, and the end of its lease: under these a write may hand it outboxes."""

    relay: ObjectId
    number: int
    until: datetime


class Outbox(NamedTuple):
    """Whether an outbox is idle, and the lease under which it may be handed over then."""

    is_idle: bool
    lease: RelayLease | None = None


BUSY = Outbox(is_idle=False)


@dataclass(frozen=True, slots=True)
class OutboxClaim:
    """Outboxes held by one relay under a fresh key until `until`; events of a document in revision order (R2).

    `number` is that of a `RelayLease` under which they were handed over, None where a relay has found and claimed them.
    """

    lock_key: str
    until: datetime
    outboxes: Mapping[ObjectId, tuple[ProgressEvent, ...]]
    number: int | None = None


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
        """Keep matched bare `statements`, then add the evidence to `pendingProgress`, creating documents as needed.

        Statements first, so that no reference dangles. Durable when it returns (I1), a set union (I2), and it
        marks each touched document due and records the journey version it matched under (trap 7). Returns how many
        documents wait for a promoter.
        """


class ProgressStore(Evidence, Protocol):
    """Progress documents, their locks and their outboxes. All writes are acknowledged by a majority."""

    async def missing(self, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
        """Return those of `ids` that no document has, as far as one look can tell."""

    async def begin(
        self, beginnings: Sequence[Beginning], lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Insert new documents, promoted, each whole in one write (P2); return the ids that were taken already.

        A document that is there is never touched: the `_id` is the lock (P1). With a `lease` the handy ones of the
        outboxes are handed over under it, else they are marked for any relay (R1). Durable when it returns (I1).
        """

    async def at_rest(self, ids: Collection[ObjectId]) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Return those of `ids` that are there and that nobody is at: what `go_on` may be decided on.

        As stored, but for what was handed over and is published. Not what is due, claimed, waiting, asked by a
        recalculation, left by attempts, or has a long outbox.
        """

    async def go_on(
        self, continuations: Sequence[Continuation], lock_key: str, lease: RelayLease | None, now: datetime
    ) -> frozenset[ObjectId]:
        """Write the next promotions of documents at rest, each in one update (P2); return the ids of those not landed.

        One for each document. It lands only while that has the lock that it was read with, and leaves `lock_key`, which
        must be fresh: whoever claims or promotes changes the lock (P1, trap 3). Evidence that was appended since stays,
        with its due mark (P3); nothing lands where it was found under a newer version (trap 7), or a recalculation asks
        something. Of one that somebody claimed right after, it may be told that it did not land: its evidence can be
        appended all the same (I2). With a `lease` the handy ones of the outboxes that were idle are handed over under
        it, else they are marked for any relay (R1). Durable when it returns (I1).
        """

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim up to `limit` due documents, longest due first, and those whose lease ran out before `now`.

        The due mark is cleared before pending is read, so that an append during the promotion marks the
        document again (P3, trap 2). `lock_key` must be fresh: it is used for one claim only. The documents are as
        stored, but for what was handed over and is published.
        """

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        """Write each promotion in one update that matches only under the claim's lock, and free the lock (P1, P2).

        Attempts that leave a document are durable before it. Repeating the call writes nothing twice: the first one
        used the lock up (trap 3). With a `lease` the same update hands over under it, to a relay, each outbox that was
        idle when the document was claimed, and is handy: under the lock nobody else can fill or claim it.
        """

    async def attempts(self, segments: Collection[ObjectId]) -> Mapping[ObjectId, Sequence[Mapping[str, Any]]]:
        """Return the attempts of segments that have left their documents; one that is gone is missing."""

    async def claim_events(self, lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        """Claim the outboxes of up to `limit` documents that have something to publish (R1).

        Among them what relays have left, and what was handed to one whose lease has run out. Not what another relay may
        still publish of what it was handed: what came to such an outbox since waits for that (R2).
        """

    def note_account(self, account: Account) -> None:
        """Hear from the relay of this process what it has published, before the account is kept.

        Here it is published from now on: the next event of such a document need not wait. Nothing of it is durable.
        """

    async def keep_account(self, account: Account, now: datetime, until: datetime | None) -> None:
        """Keep a relay's account, and its lease; `until` None when nothing more is to come from it.

        One that ends now, with numbers left, has what stands under these marked for any relay at once (R1).
        For one relay in the order of the calls: a later account has no number open or left that an earlier one had
        published.
        """

    async def leave(self, relay: ObjectId, number: int, ids: Collection[ObjectId], now: datetime) -> None:
        """Mark for any relay (R1) those documents that were handed over under a number and could not be published."""

    async def audit(self, now: datetime) -> bool:
        """Go through the accounts of all relays, also of those that have ended; to be done at a start, and seldom.

        Returns whether that was all; else it is to go on, in steps that take no long time.

        Finds what a write that landed very late has left, and what was handed to a relay whose account somebody has
        removed: it is marked for any relay (R1). Removes the accounts of ended relays that no document names.
        """

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
