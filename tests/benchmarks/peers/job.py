"""What the job is, whatever the framework: statements to writes and events. The frameworks read, write and commit.

Of ours it takes the compiled journeys, matching, fold and promotion: where the job is equal, the code is. Decoding is
what a good engineer writes: one `orjson.loads` (the framework's own), then the few checks.

The order in each program: read the documents that the batch concerns, write them in one bulk, publish and await the
acknowledgements, commit the offsets. A redelivered statement is found in the document's evidence: nothing is counted
twice, and an event that a crash may have swallowed is published again, with its id.

What it does without, and we do not:

- a fence: two programs that write one document (a zombie after a rebalance, a topic that is not keyed by learner)
  overwrite each other's evidence;
- an outbox: a repeated event is rendered from the document as it is by then, without its list of changes;
- journeys that change while it runs, recalculation, arrays, CloudEvents and bare statements, status and explanations.
"""

import gc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from bson import ObjectId
from pymongo import InsertOne, UpdateOne

from processor.core.completions import items_to
from processor.core.evidence import Append, Promotion
from processor.core.identity import Identification, inverse_functional_identifier
from processor.core.index import index_journeys
from processor.core.matching import match
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.core.records import Record, StatementRecord
from schemas.events import EVENT_SCHEMA, EVENT_SOURCE, EVENT_TYPE
from schemas.progress import render_progress

BATCH = 2_000
"""Records of one batch: with 8,000, as ours were, no peer is faster (DECISIONS.md, 110)."""

LINGER = 0.1
"""Seconds that a batch waits for more records, at most."""

Document = dict[str, Any]
Write = InsertOne[Document] | UpdateOne

known_id = lru_cache(10_000)(ObjectId)
"""Organisations and stores come again and again."""


class Event(NamedTuple):
    """A message of the progress topic: CloudEvents, binary binding."""

    key: bytes
    value: bytes
    headers: dict[str, str]


class Unusable(NamedTuple):
    """A value that goes to the dead letters, and why."""

    value: bytes
    reason: str


Read = StatementRecord | Unusable


@dataclass(frozen=True, slots=True)
class Matched:
    """What a batch comes to: evidence by progress document, and what cannot be used."""

    appends: Mapping[ObjectId, Append]
    unusable: Sequence[Unusable]


class Job:
    """The journeys, and what they make of statements."""

    def __init__(self, journeys: Iterable[Mapping[str, Any]]) -> None:
        self._index, _ = index_journeys(journeys, {})
        self._policy = FoldingPolicy()
        gc.freeze()  # what lives for ever is not looked through again

    def concerns(self, read: Read) -> bool:
        """Tell what has to go on from what matches nothing: for frameworks that take statements one by one."""
        return isinstance(read, Unusable) or bool(self._index.matches(read))

    def match(self, reads: Iterable[Read]) -> Matched:
        """Match a batch."""
        reads = list(reads)
        matched = match((it for it in reads if isinstance(it, StatementRecord)), self._index, Identification())
        unusable = [it for it in reads if isinstance(it, Unusable)]
        unusable += [Unusable(it.record.value or b"", it.message) for it in matched.rejected]
        return Matched({it.progress: it for it in matched.appends}, unusable)

    def decide(
        self, appends: Mapping[ObjectId, Append], documents: Iterable[Document], now: datetime
    ) -> tuple[list[Write], list[Event]]:
        """Fold the evidence into the documents found; return what to write and what to publish."""
        found = {document["_id"]: document for document in documents}
        writes: list[Write] = []
        events: list[Event] = []
        for progress, append in appends.items():
            before = found.get(progress)
            document = before or _skeleton(append, now)
            promotion = self._promoted(document, append, now)
            if before is None:
                writes.append(InsertOne(_after(document, promotion, now)))
            elif promotion.event or "surplus" in promotion.processing:
                writes.append(_update(promotion, now))
            if promotion.event:
                data = promotion.event.data
                events.append(_event(progress, promotion.event.revision, promotion.event.time, data))
            elif before and _knows(before, append):
                data = orjson.dumps({**render_progress(before, with_pending=False), "changes": []})
                events.append(_event(progress, before["processing"]["revision"], before["updatedAt"], data))
        return writes, events

    def _promoted(self, document: Document, append: Append, now: datetime) -> Promotion:
        pending = {key: {"statements": items_to(items)} for key, items in append.items.items()}
        rules = self._index.journeys[append.journey]
        return promote({**document, "pendingProgress": pending}, rules, self._policy, now)


def read(value: bytes) -> Read:
    """Decode and check one value."""
    try:
        return _statement(value, orjson.loads(value))
    except (KeyError, TypeError, ValueError) as error:  # InvalidId and JSONDecodeError are ValueErrors, too
        return Unusable(value, f"not a statement document: {error!r}")


def _statement(value: bytes, document: Any) -> StatementRecord:
    statement = document["statement"]
    if not inverse_functional_identifier(statement["actor"]) or not statement["verb"]["id"] or not statement["object"]:
        raise ValueError("no actor, verb or object")
    reference, timestamp = ObjectId(document["_id"]), datetime.fromisoformat(document["timestamp"])
    organisation, store = known_id(document["organisation"]), known_id(document["lrs_id"])
    typed = {**document, "_id": reference, "organisation": organisation, "lrs_id": store, "timestamp": timestamp}
    record = Record("", 0, 0, 0, value)
    return StatementRecord(typed, reference, organisation, store, timestamp, is_bare=False, record=record)


def _skeleton(append: Append, now: datetime) -> Document:
    return {
        "_id": append.progress,
        "journey": append.journey,
        "organisation": append.organisation,
        "owner": {"trackBy": append.owner.track_by, "ident": append.owner.ident},
        "createdAt": now,
        "updatedAt": now,
        "isCompleted": False,
        "completions": [],
        "pendingProgress": {},
        "processing": {"revision": 0, "version": append.version},
    }


def _after(document: Document, promotion: Promotion, now: datetime) -> Document:
    notes = {key: value for key, value in promotion.processing.items() if value is not None}
    revision = promotion.event.revision if promotion.event else 0
    processing = {**document["processing"], **notes, "revision": revision}
    return {**document, **promotion.changed, "updatedAt": now, "processing": processing}


def _update(promotion: Promotion, now: datetime) -> UpdateOne:
    notes = {f"processing.{key}": value for key, value in promotion.processing.items() if value is not None}
    sets: Document = {**promotion.changed, **notes, "updatedAt": now}
    if promotion.event:
        sets["processing.revision"] = promotion.event.revision
    update: Document = {"$set": sets}
    if promotion.removed:
        update["$unset"] = dict.fromkeys(promotion.removed, "")
    return UpdateOne({"_id": promotion.progress}, update)


def _knows(document: Document, append: Append) -> bool:
    """Tell a redelivered statement, of which an event may have been lost, from one that changes nothing."""
    new = {item.statement for items in append.items.values() for item in items}
    return any(
        entry["statement"] in new
        for attempt in document["completions"]
        for waypoint in attempt["waypoints"].values()
        for entry in waypoint["statements"]
    )


def _event(progress: ObjectId, revision: int, time: datetime, data: bytes) -> Event:
    key = str(progress)
    headers = {
        "ce_id": f"{key}-{revision}",
        "ce_source": EVENT_SOURCE,
        "ce_type": EVENT_TYPE,
        "ce_specversion": "1.0",
        "ce_subject": key,
        "ce_time": time.isoformat(),
        "ce_dataschema": EVENT_SCHEMA,
        "ce_sequence": str(revision),
        "content-type": "application/json",
    }
    return Event(key.encode(), data, headers)
