"""The nouns between matching and the fold (semantics.md, section 4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from msgspec import Struct


class Item(Struct, frozen=True, gc=False):
    """A statement that counts towards a waypoint: its reference and its event time (UTC, milliseconds)."""

    statement: ObjectId
    timestamp: datetime


def are_distinct(items: Sequence[Item]) -> bool:
    """Tell whether no statement is there twice."""
    return len({item.statement.binary for item in items}) == len(items)  # an ObjectId is hashed slowly


def each_once(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items without repeats, in their order."""
    return tuple(items if len(items) == 1 or are_distinct(items) else dict.fromkeys(items))


class Key(Struct, frozen=True, order=True, gc=False):
    """The total order of evidence: the time, then the waypoint's order, the statement, the waypoint."""

    timestamp: datetime
    order: int
    statement: ObjectId
    waypoint: str


class Owner(Struct, frozen=True):
    """Whose progress it is (semantics.md, section 2).

    `ident` is the full xAPI actor as first seen, or a persona's ObjectId; `identity` is what tells two owners
    apart, as bytes without ambiguity.
    """

    track_by: str
    ident: Any
    identity: bytes


CROWDED = 10_000
"""Pending items of a waypoint beyond which a document is folded at once, also when a recalculation has found them.

Else one that finds very many of one owner ends at what a document takes, and nobody would ever make room.
"""


class Append(Struct, frozen=True):
    """New evidence for one progress document, found under one version of its journey.

    `items` has the waypoint id (24 hex digits) as key. Appending it twice is harmless: evidence is a set (I2).
    `replay` is the key of the chunk of a recalculation that found it, None in the live stream.
    """

    progress: ObjectId
    organisation: ObjectId
    journey: ObjectId
    version: int
    owner: Owner
    items: Mapping[str, tuple[Item, ...]]
    replay: str | None = None


class Retraction(Struct, frozen=True):
    """Evidence of one progress document that was read again and does not match `version` of its journey any more.

    `statements` has the waypoint id as key. `replay` is the key of the chunk of a recalculation that found it.
    """

    progress: ObjectId
    version: int
    statements: Mapping[str, tuple[ObjectId, ...]]
    replay: str


class ProgressEvent(Struct, frozen=True):
    """One revision of a progress document, as it waits in the outbox (R1, R2).

    `data` is the event's data as JSON bytes: the public document after the change, and `changes`. Kept as bytes,
    so that a repeat is the same to the letter.
    """

    progress: ObjectId
    revision: int
    time: datetime
    data: bytes
    replay: bool = False


def has_idle_outbox(document: Mapping[str, Any]) -> bool:
    """Whether no relay has, had or is to have anything to do with the document: whoever holds its lock may claim it."""
    processing = document["processing"]
    return not (processing.get("outbox") or "publish" in processing or "relayLease" in processing)


class Segment(Struct, frozen=True):
    """Completed attempts that leave a progress document (`core/spilling.py`), as they stand in `completions`.

    `first` is the position of the first of them among all attempts. Written once, never changed.
    """

    id: ObjectId
    first: int
    attempts: Sequence[Mapping[str, Any]]


class Promotion(Struct, frozen=True):
    """What a promoter decided about one claimed document; a store writes it in one update (P2).

    - `consumed`: the pending items that were read, by waypoint; exactly these leave `pendingProgress` (trap 1).
    - `changed`: public fields to set: `completions`, `startedAt`, `isCompleted`, `completedAt`, `duration`,
      `updatedAt`; empty when the public state did not change.
    - `removed`: public fields to unset.
    - `processing`: fields under `processing` to set (surplus, sealed, newest, folded, waiting, …); None unsets one.
    - `replayed`: the entries of `processing.replay` that were read; exactly these leave it, as with `consumed`.
    - `event`: what the outbox receives, `None` when the public state did not change; its `revision` is the
      document's revision plus one.
    - `dropped`: how many evidence items left for good, by reason, for the metrics.
    - `finished`: where the last counted item of a completed journey that is not repeatable stands; evidence later than
      that can change nothing.
    - `is_partial`: more was pending than one promotion consumes; the document is due again.
    - `segments`: attempts that leave the document; they have to be durable before the update that names them.
    - `named`: the segments that the document names before or after, where any leave: what else there is of the
      document's is nobody's.
    """

    progress: ObjectId
    processing: Mapping[str, Any]
    consumed: Mapping[str, tuple[Item, ...]] = {}
    changed: Mapping[str, Any] = {}
    removed: tuple[str, ...] = ()
    event: ProgressEvent | None = None
    dropped: Mapping[str, int] = {}
    replayed: tuple[Mapping[str, Any], ...] = ()
    finished: Key | None = None
    is_partial: bool = False
    segments: tuple[Segment, ...] = ()
    named: tuple[ObjectId, ...] = ()
