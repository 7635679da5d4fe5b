"""Completions as they stand in the document, and as the fold knows them (semantics.md, section 5)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal

from bson import ObjectId

from processor.core.evidence import Item
from processor.core.fold import Attempt

DurationUnit = Literal["microseconds", "milliseconds"]
TIMESTAMP: Final = attrgetter("timestamp")
_UNITS: Final = {"microseconds": timedelta(microseconds=1), "milliseconds": timedelta(milliseconds=1)}


def items_from(statements: Sequence[Mapping[str, Any]]) -> tuple[Item, ...]:
    """Read `[{statement, timestamp}, …]`."""
    return tuple(Item(entry["statement"], entry["timestamp"]) for entry in statements)


def items_to(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Write `[{statement, timestamp}, …]`, always in this field order: MongoDB compares documents field by field."""
    return [{"statement": item.statement, "timestamp": item.timestamp} for item in items]


def attempts_from(completions: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """Read the array `completions`."""
    attempts = []
    for entry in completions:
        waypoints = entry["waypoints"]
        attempts.append(
            Attempt(
                counted={key: list(items_from(waypoint["statements"])) for key, waypoint in waypoints.items()},
                orders={key: waypoint["order"] for key, waypoint in waypoints.items()},
                waypoints_completed={
                    key: waypoint["completedAt"] for key, waypoint in waypoints.items() if waypoint["isCompleted"]
                },
                completed_at=entry["completedAt"] if entry["isCompleted"] else None,
            )
        )
    return attempts


def attempt_to(attempt: Attempt) -> dict[str, Any]:
    """Write one entry of `completions`; an open attempt or waypoint has no `completedAt`."""
    waypoints: dict[str, Any] = {}
    for key, items in attempt.counted.items():
        waypoints[key] = entry = {
            "waypoint": _waypoint_id(key),
            "order": attempt.orders[key],
            "statements": items_to(items),
        }
        _complete(entry, attempt.waypoints_completed.get(key))
    completion: dict[str, Any] = {"waypoints": waypoints}
    _complete(completion, attempt.completed_at)
    return completion


def summary(attempts: Sequence[Attempt], unit: DurationUnit) -> dict[str, Any]:
    """Return the document's top-level dates: `startedAt`, `isCompleted`, `completedAt`, `duration`, where known.

    They are those of the first counted item and the first completed attempt (semantics.md, section 4). The unit is
    a setting, as the seed's table says microseconds and its example shows milliseconds.
    """
    times = [time for attempt in attempts[:1] for items in attempt.counted.values() for time in map(TIMESTAMP, items)]
    completed_at = attempts[0].completed_at if attempts else None
    fields: dict[str, Any] = {"isCompleted": completed_at is not None}
    if times:
        fields["startedAt"] = min(times)
    if completed_at is not None:
        fields["completedAt"] = completed_at
        fields["duration"] = (completed_at - min(times)) // _UNITS[unit]
    return fields


def _complete(entry: dict[str, Any], completed_at: datetime | None) -> None:
    entry["isCompleted"] = completed_at is not None
    if completed_at is not None:
        entry["completedAt"] = completed_at


_waypoint_id = lru_cache(maxsize=4096)(ObjectId)
"""Waypoints come again and again."""
