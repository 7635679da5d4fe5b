"""The clock, and what Kafka does for the loops: records in, dead letters and events out. See `processor.ports`."""

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.core.records import Batch, Rejected


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

    async def more(self, batch: Batch, until: Awaitable[object]) -> Batch | None:
        """Poll once more, within the batch's context: return a batch that goes on from it and takes its place.

        None when `until` is done before anything has come. No poll is begun while a rebalance waits; one that fails
        lets the next `batch` fail, not this one.
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


DELIVERY_SHARE = 0.5
"""Share of a lease that a delivery may take: what a relay gave up must not be sent after its lease ran out (R2)."""


class EventSink(Protocol):
    """Topic `journey.progress-updated`."""

    async def publish(self, outboxes: Mapping[ObjectId, Sequence[ProgressEvent]]) -> Mapping[ObjectId, int]:
        """Publish each document's events in revision order (R2); key = progress id.

        Returns, within `DELIVERY_SHARE` of a lease, by document the last revision that the broker acknowledged with all
        before it; documents of which nothing was acknowledged are missing from the answer.
        """
