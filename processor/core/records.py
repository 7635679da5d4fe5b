"""The nouns of ingest: a Kafka record, and what becomes of it (semantics.md, section 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bson import ObjectId
from msgspec import Struct


class Record(Struct, frozen=True):
    """One Kafka record, as it lies in the topic; `timestamp` is in milliseconds since 1970.

    One that is not readable has a header whose name is not UTF-8: here it is escaped.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    is_readable: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records that were polled together, those of one partition in a row.

    `values` are the records' values. A member of `records` may be made when it is asked for: ask for what is needed.
    By (topic, partition), `starts` has the offset of the first record and `offsets` the one after the last, which is
    what a commit of exactly this batch writes. One that goes on from another covers that one, too.
    """

    values: Sequence[bytes | None]
    records: Sequence[Record]
    starts: Mapping[tuple[str, int], int]
    offsets: Mapping[tuple[str, int], int]

    @property
    def span(self) -> str:
        """The covered ranges for the logs, e.g. `xapi.statements-0[10..19]`."""
        return " ".join(
            f"{topic}-{partition}[{first}..{self.offsets[topic, partition] - 1}]"
            for (topic, partition), first in self.starts.items()
        )

    def then(self, more: "Batch") -> "Batch":
        """Return a batch that has the records of `more`, which come next, and covers both."""
        return Batch(more.values, more.records, {**more.starts, **self.starts}, {**self.offsets, **more.offsets})


def batch_of(records: Sequence[Record]) -> Batch:
    """Make a batch of records that are at hand."""
    starts: dict[tuple[str, int], int] = {}
    for record in records:
        starts.setdefault((record.topic, record.partition), record.offset)
    return Batch(
        values=[record.value for record in records],
        records=records,
        starts=starts,
        offsets={(record.topic, record.partition): record.offset + 1 for record in records},
    )


class Reason(StrEnum):
    """Why a record was parked: the closed list behind the header `dead-letter-reason`."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    NOT_JSON = "not-json"
    TOO_DEEP = "too-deep"
    WRONG_SHAPE = "wrong-shape"
    NO_TENANT = "no-tenant"
    INVALID_ID = "invalid-id"
    INVALID_TIMESTAMP = "invalid-timestamp"
    INVALID_ACTOR = "invalid-actor"
    INVALID_VERB = "invalid-verb"
    INVALID_OBJECT = "invalid-object"
    INVALID_STATEMENT = "invalid-statement"
    UNWRITABLE = "unwritable"


class Rejected(Struct, frozen=True):
    """A record, or one item of its array, that cannot be used: it goes to the dead letters (I3)."""

    record: Record
    reason: Reason
    message: str
    item: int | None = None


class StatementRecord(Struct, frozen=True):
    """A statement that passed the structural check, in Learning Locker's document shape.

    `document` holds ObjectIds under `_id`, `organisation`, `lrs_id`, `client`, `person._id`, UTC datetimes under
    `timestamp` and `stored`, and plain JSON under `statement`. `is_bare` tells that it came as a bare xAPI
    statement, so that it has to be kept in collection `statements` once it matches.
    """

    document: Mapping[str, Any]
    reference: ObjectId
    organisation: ObjectId
    store: ObjectId | None
    timestamp: datetime
    is_bare: bool
    record: Record
    item: int | None = None
