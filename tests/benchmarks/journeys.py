"""Journeys of a large LRS for the benchmarks: the conditions that people write, about many courses.

The first journeys concern the course of the real stream; all others look the same and concern other courses, so that
what a stream matches stays the same however many there are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from bson import ObjectId

from processor.core.decode import Tenancy, decode
from processor.core.records import Record, StatementRecord

STREAM = Path(__file__).parents[3] / "shared" / "data" / "video-course-statements.jsonl"
ORGANISATION = ObjectId("59198183d8ea540933227033")
STORE = ObjectId("59c23527bdf9ac67b2ab5e01")
PROGRESS = "statement.result.extensions.https://w3id&46;org/xapi/video/extensions/progress"
TEMPLATES = 10
"""Waypoints of one course; so the smallest index of the curve is that of the course of the stream."""


@dataclass(frozen=True, slots=True)
class Course:
    """What the conditions of one course's journeys name."""

    id: str
    kind: str
    activities: Sequence[str]
    verbs: Sequence[str]
    persona: ObjectId
    store: ObjectId


def read_stream() -> list[StatementRecord]:
    """Decode the real stream."""
    records = []
    for offset, line in enumerate(STREAM.read_bytes().splitlines()):
        record = Record("statements", 0, offset, 0, line)
        records += [it for it in decode(record, Tenancy(ORGANISATION, STORE)) if isinstance(it, StatementRecord)]
    return records


def course_of(records: Sequence[StatementRecord]) -> Course:
    """Return the course of the stream, with what occurs in it most."""
    statements = [record.document["statement"] for record in records]
    objects = Counter(statement["object"]["id"] for statement in statements)
    verbs = Counter(statement["verb"]["id"] for statement in statements)
    kinds = Counter(statement["object"].get("definition", {}).get("type") for statement in statements)
    parents = Counter(
        parent["id"]
        for statement in statements
        for parent in statement.get("context", {}).get("contextActivities", {}).get("parent", ())
    )
    names = ([name for name, _ in found.most_common(8)] for found in (parents, kinds, objects, verbs))
    (course, *_), (kind, *_), activities, usual = names
    return Course(course, kind, activities, usual, ObjectId(), STORE)


def courses(first: Course) -> Iterator[Course]:
    """Yield the course of the stream, and then others without end: their own activities, the same verbs."""
    yield first
    for number in count():
        activities = [f"https://lrs.example.org/courses/{number}/activities/{item}" for item in range(8)]
        course = f"https://lrs.example.org/courses/{number}"
        yield Course(course, f"{first.kind}/{number}", activities, first.verbs, ObjectId(), ObjectId())


def conditions_of(course: Course) -> list[dict[str, Any]]:
    """The conditions that journeys put on a course: Learning Locker's query builder's, and people's own."""
    one, two, three, four, *_ = course.activities
    verb, other, third, *_ = course.verbs
    parent = "statement.context.contextActivities.parent"
    return [
        {"$and": [{"$comment": '{"criterionLabel":"A"}', "statement.object.id": {"$in": [one]}}]},
        {"statement.verb.id": verb, "statement.object.id": two},
        {"statement.verb.id": other, "statement.object.id": three, "statement.result.score.scaled": {"$gte": 0.6}},
        {"$and": [{"statement.verb.id": {"$in": [verb, third]}}, {"statement.object.id": {"$in": [three, four]}}]},
        {"$or": [{"statement.object.id": one}, {"statement.object.id": four, "statement.verb.id": verb}]},
        {"statement.verb.id": third, f"{parent}.id": course.id, "statement.timestamp": {"$gte": "2021-11-01"}},
        {parent: {"$elemMatch": {"id": course.id}}, PROGRESS: {"$gte": 0.9}},
        {"person._id": {"$oid": str(course.persona)}, "statement.verb.id": verb},
        {"lrs_id": {"$oid": str(course.store)}, "statement.object.definition.type": course.kind},
        {"$or": [{"statement.object.id": two}, {"person._id": {"$oid": str(course.persona)}}]},
    ]


def journey_documents(first: Course, waypoints: int) -> Iterator[Mapping[str, Any]]:
    """Yield journeys of up to ten waypoints each, so many waypoints in all."""
    for course in courses(first):
        conditions = conditions_of(course)[:waypoints]
        waypoints -= len(conditions)
        yield {
            "_id": ObjectId(),
            "organisation": ORGANISATION,
            "description": f"Journey through {course.id}",
            "isActive": True,
            "waypoints": [
                {"_id": ObjectId(), "description": "New waypoint", "conditions": orjson.dumps(it).decode(), "count": 1}
                for it in conditions
            ],
        }
        if not waypoints:
            return
