"""Builders of data: what a test does not say is of no consequence to it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from bson import ObjectId

from processor.core.conditions import compile_conditions
from processor.core.evidence import Append, Item, Owner, ProgressEvent, Promotion
from processor.core.identity import progress_id
from processor.core.journey import JourneyRules, WaypointRules
from processor.core.records import Record, StatementRecord

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
ORGANISATION = ObjectId("59198183d8ea540933227033")
JOURNEY = ObjectId("59c23527bdf9ac67b2ab5ee6")
WAYPOINTS = tuple(f"{number:024x}" for number in range(1, 10))


def at(seconds: float) -> datetime:
    """An instant, so many seconds after the start of all tests."""
    return START + timedelta(seconds=seconds)


def a_reference(number: int) -> ObjectId:
    """The reference of statement `number`."""
    return ObjectId(f"{number:024x}")


def an_item(number: int, seconds: float | None = None) -> Item:
    """Evidence by statement `number`, by default at second `number`."""
    return Item(a_reference(number), at(number if seconds is None else seconds))


def an_owner(name: str = "ana") -> Owner:
    mbox = f"mailto:{name}@example.org"
    return Owner("actor", {"mbox": mbox}, orjson.dumps(["actor", "mbox", mbox]))


def an_append(*items: Item, owner: str = "ana", waypoint: str = WAYPOINTS[0], version: int = 1) -> Append:
    who = an_owner(owner)
    return Append(
        progress=progress_id(ORGANISATION, JOURNEY, who),
        organisation=ORGANISATION,
        journey=JOURNEY,
        version=version,
        owner=who,
        items={waypoint: items or (an_item(1),)},
    )


def a_promotion(
    document: Mapping[str, Any],
    *consumed: Item,
    waypoint: str = WAYPOINTS[0],
    has_event: bool = True,
    processing: Mapping[str, Any] | None = None,
) -> Promotion:
    """A promotion that consumes items and, with an event, changes the public state, without a fold behind it."""
    revision = document["processing"]["revision"] + 1
    event = ProgressEvent(document["_id"], revision, at(revision), b'{"n":%d}' % revision) if has_event else None
    return Promotion(
        progress=document["_id"],
        consumed={waypoint: consumed} if consumed else {},
        changed={"startedAt": at(revision)} if has_event else {},
        removed=(),
        processing={"folded": 1} if processing is None else processing,
        event=event,
        dropped={},
    )


def a_record(
    value: bytes | None = b"{}",
    offset: int = 0,
    headers: Sequence[tuple[str, bytes]] = (),
    timestamp: int = 1_767_261_600_000,
) -> Record:
    return Record("statements", 0, offset, timestamp, value, None, tuple(headers))


def a_statement(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A bare xAPI statement."""
    return {
        "id": f"6690e6c9-3ef0-4ed3-8b37-{number:012x}",
        "actor": {"mbox": "mailto:ana@example.org"},
        "verb": {"id": "http://example.org/did"},
        "object": {"id": "http://example.org/it"},
        "timestamp": "2026-01-01T10:00:00.000Z",
        **changes,
    }


def a_statement_document(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A statement in Learning Locker's document shape, as JSON has it."""
    return {
        "_id": str(a_reference(number)),
        "organisation": str(ORGANISATION),
        "lrs_id": "59c236a0bdf9ac67b2ab5ee7",
        "client": "59c236a0bdf9ac67b2ab5ee8",
        "person": None,
        "active": True,
        "voided": False,
        "statement": a_statement(number),
        "timestamp": "2026-01-01T10:00:00.000Z",
        "stored": "2026-01-01T10:00:00.000Z",
        **changes,
    }


def a_statement_record(number: int = 1, **changes: Any) -> StatementRecord:
    """A bare statement as ingest decodes it."""
    reference = a_reference(number)
    document = {
        "_id": reference,
        "organisation": ORGANISATION,
        "lrs_id": None,
        "voided": False,
        "statement": a_statement(number, **changes),
        "timestamp": START,
        "stored": START,
    }
    return StatementRecord(document, reference, ORGANISATION, None, START, True, a_record())


def journey_rules(
    *waypoints: tuple[int, int],
    sequential: bool = False,
    repeatable: bool = False,
    version: int = 1,
    active: bool = True,
) -> JourneyRules:
    """A journey of waypoints given as (order, count), with ids in that order."""
    conditions = compile_conditions({"statement.verb.id": "http://example.org/did"})
    rules = {
        key: WaypointRules(key, order, count, True, conditions)
        for key, (order, count) in zip(WAYPOINTS, waypoints, strict=False)
    }
    return JourneyRules(
        id=JOURNEY,
        organisation=ORGANISATION,
        version=version,
        description="a journey",
        is_active=active,
        is_sequential=sequential,
        is_repeatable=repeatable,
        track_by="actor",
        sources=frozenset(),
        waypoints=rules,
    )


def a_journey(**changes: Any) -> dict[str, Any]:
    """A journey document of one waypoint, with an id of its own."""
    return {
        "_id": ObjectId(),
        "organisation": ORGANISATION,
        "description": "a journey",
        "isActive": True,
        "sources": [],
        "waypoints": [
            {
                "_id": ObjectId(WAYPOINTS[0]),
                "description": "a waypoint",
                "isActive": True,
                "conditions": {"statement.verb.id": "http://example.org/did"},
                "count": 1,
                "order": 0,
            }
        ],
        "isSequential": False,
        "isRepeatable": False,
        "trackBy": "actor",
        "version": 1,
        **changes,
    }
