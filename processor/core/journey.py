"""A journey as the matcher and the fold need it: compiled once, immutable (semantics.md, section 3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bson import ObjectId
from pydantic import ValidationError

from processor.core.conditions import Conditions, InvalidConditions, compile_conditions
from processor.core.conditions.regex import IN_JOURNEY, check_expressions
from schemas.journey import Journey, journey_from

EVENT_BYTES = 800_000
"""What an attempt may take of an event; Kafka's topics take a megabyte, if nobody has changed that."""

WAYPOINT_BYTES, STATEMENT_BYTES = 190, 78
"""What a waypoint, and a statement counted in it, take of an event."""


class InvalidJourney(ValueError):
    """A journey that cannot run; the message has the path of each fault in it."""


@dataclass(frozen=True, slots=True)
class WaypointRules:
    """One waypoint: when it is met, and in which order. A waypoint with empty conditions counts as inactive."""

    id: str
    order: int
    count: int
    is_active: bool
    conditions: Conditions


@dataclass(frozen=True)
class JourneyRules:
    """One journey, ready to be matched and folded under; `waypoints` has the waypoint id (hex) as key."""

    id: ObjectId
    organisation: ObjectId
    version: int
    description: str
    is_active: bool
    is_sequential: bool
    is_repeatable: bool
    track_by: str
    sources: frozenset[ObjectId]
    waypoints: Mapping[str, WaypointRules]

    @cached_property
    def active_waypoints(self) -> Mapping[str, WaypointRules]:
        """The waypoints that count; without one the journey never completes."""
        return {key: waypoint for key, waypoint in self.waypoints.items() if waypoint.is_active}

    @property
    def is_running(self) -> bool:
        """Whether evidence is folded at all; otherwise documents keep theirs and wait (section 4)."""
        return self.is_active and bool(self.active_waypoints)


def compile_journey(document: Mapping[str, Any]) -> JourneyRules:
    """Turn a journey document (as stored, or as written in a file) into its rules.

    Raises `InvalidJourney` naming every fault with its path, e.g. `waypoints[0].conditions.$where: …`.
    """
    try:
        journey = journey_from(document)
    except ValidationError as error:
        raise InvalidJourney("; ".join(_faults(error))) from None
    try:
        check_expressions([waypoint.conditions for waypoint in journey.waypoints], IN_JOURNEY, "waypoints")
    except InvalidConditions as error:
        raise InvalidJourney(str(error)) from None
    waypoints: dict[str, WaypointRules] = {}
    faults: list[str] = []
    for position, waypoint in enumerate(journey.waypoints):
        try:
            conditions = compile_conditions(waypoint.conditions)
        except InvalidConditions as error:
            faults.append(f"waypoints[{position}].conditions{error.path.removeprefix('$')}: {error.reason}")
            continue
        key = str(waypoint.id)
        waypoints[key] = WaypointRules(
            id=key,
            order=waypoint.order,
            count=waypoint.count,
            is_active=waypoint.isActive and not conditions.is_empty,
            conditions=conditions,
        )
    if fault := _size_fault(journey):
        faults.append(fault)
    if faults:
        raise InvalidJourney("; ".join(faults))
    return _rules(journey, waypoints)


def _rules(journey: Journey, waypoints: Mapping[str, WaypointRules]) -> JourneyRules:
    return JourneyRules(
        id=journey.id,
        organisation=journey.organisation,
        version=journey.version,
        description=journey.description or "",
        is_active=journey.isActive,
        is_sequential=journey.isSequential,
        is_repeatable=journey.isRepeatable,
        track_by=journey.trackBy,
        sources=frozenset(journey.sources),
        waypoints=waypoints,
    )


def _size_fault(journey: Journey) -> str | None:
    """Say so when an attempt could become too large: it is one part of a document, and of an event."""
    statements = sum(waypoint.count for waypoint in journey.waypoints)
    size = WAYPOINT_BYTES * len(journey.waypoints) + STATEMENT_BYTES * statements
    if size <= EVENT_BYTES:
        return None
    return (
        f"waypoints: an attempt of {len(journey.waypoints)} waypoints and {statements} statements could take {size} "
        f"bytes of an event, and {EVENT_BYTES} fit: lower the counts, or divide the journey"
    )


def _faults(error: ValidationError) -> Iterable[str]:
    for fault in error.errors():
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
        message = fault["msg"].removeprefix("Value error, ")
        yield f"{path}: {message}" if path else message
