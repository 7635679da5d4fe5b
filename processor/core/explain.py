"""Why a statement counts towards a waypoint, or why not: clause by clause, and where it stands in the progress.

Nothing is decided here: verdicts come from the compiled conditions that the live matcher calls, obstacles from the
matcher's own tests, and what becomes of the evidence from the promotion, done on a copy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bson import ObjectId

from processor.core.completions import items_to
from processor.core.conditions import Finding, key_of
from processor.core.conditions.compiled import Clause
from processor.core.document import empty_document
from processor.core.evidence import Item, Owner
from processor.core.fold import Outcome
from processor.core.identity import Identification, Uncounted, owners_of, progress_id
from processor.core.index import is_voided, takes_store
from processor.core.journey import JourneyRules, WaypointRules
from processor.core.matching import fault_of
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.core.records import StatementRecord


class Obstacle(StrEnum):
    """Why a statement is no evidence for a waypoint; besides `Uncounted`, why it is nobody's."""

    JOURNEY_INACTIVE = "journey-inactive"
    OTHER_ORGANISATION = "other-organisation"
    OTHER_STORE = "other-store"
    VOIDED = "voided"
    WAYPOINT_INACTIVE = "waypoint-inactive"
    EMPTY_CONDITIONS = "empty-conditions"
    CONDITIONS_NOT_MET = "conditions-not-met"
    INVALID_STATEMENT = "invalid-statement"


class Place(StrEnum):
    """Where a progress document has a statement."""

    NOWHERE = "nowhere"
    PENDING = "pending"
    SURPLUS = "surplus"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class Standing:
    """A statement in one progress document: where it is now, and what a promotion makes of it.

    For evidence that is nowhere yet, what it would make of it. `is_new` tells that there is no such document yet;
    `attempt` is the position in `completions`; `outcome` is None while the journey is not running, and for what is
    nowhere and no evidence.
    """

    progress: ObjectId
    is_new: bool
    place: Place
    outcome: Outcome | None
    attempt: int | None


@dataclass(frozen=True, slots=True)
class WaypointExplanation:
    """One waypoint: the verdict of its conditions, and what else stands in the way."""

    waypoint: WaypointRules
    findings: tuple[Finding, ...]
    is_match: bool
    obstacles: tuple[str, ...]
    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A statement and a journey. `fault` is what the full xAPI model says against the statement."""

    rules: JourneyRules
    record: StatementRecord
    fault: str | None
    waypoints: tuple[WaypointExplanation, ...]


@dataclass(frozen=True, slots=True)
class Explaining:
    """What besides journey and statement decides: the settings, the time, and the progress documents there are."""

    now: datetime
    identification: Identification = field(default_factory=Identification)
    policy: FoldingPolicy = field(default_factory=FoldingPolicy)
    progresses: Mapping[ObjectId, Mapping[str, Any]] = field(default_factory=dict)


EFFORT: Final = 1_000_000
"""Comparisons that somebody else may ask for: a third of a second or so."""

LOOKED_UP: Final = frozenset({"$in", "$nin"})
"""Operators to which it is the same how many values they ask for, but for those that no look-up finds."""


def effort_of(rules: JourneyRules, record: StatementRecord, by: Explaining) -> int:
    """Return about how many comparisons an explanation takes at the worst: every clause may look at every value."""
    clauses = sum(_weight(waypoint.conditions.clause) for waypoint in rules.waypoints.values())
    attempts = sum(len(progress["completions"]) for progress in by.progresses.values())
    return clauses * _size(record.document) + len(rules.waypoints) * attempts


def _weight(clause: Clause) -> int:
    if clause.path is None:
        return sum(map(_weight, clause.parts))
    if clause.operator in LOOKED_UP:
        return 1 + sum(_size(value) for value in clause.asked if key_of(value) is None)
    return _size(clause.asked)


def _size(value: Any) -> int:
    """Count values at any depth; a long text is as many."""
    size, level = 0, [value]
    while level:
        size += sum(1 + len(it) // 100 if isinstance(it, str) else 1 for it in level)
        nested = [it.values() if isinstance(it, Mapping) else it for it in level if isinstance(it, Mapping | list)]
        level = [child for children in nested for child in children]
    return size


def progress_ids(rules: JourneyRules, record: StatementRecord, identification: Identification) -> list[ObjectId]:
    """Return the ids of the progress documents that the statement would be evidence in."""
    owners = owners_of(record.document, rules.track_by, identification)
    return [] if isinstance(owners, Uncounted) else [progress_id(rules.organisation, rules.id, it) for it in owners]


def explain(rules: JourneyRules, record: StatementRecord, by: Explaining) -> Explanation:
    """Explain a statement under a journey, waypoint by waypoint in their order."""
    rejected = fault_of(record)
    owners = owners_of(record.document, rules.track_by, by.identification)
    around = list(_obstacles(rules, record, owners, is_valid=rejected is None))
    matches = {key: waypoint.conditions(record.document) for key, waypoint in rules.waypoints.items()}
    obstacles = {
        key: (*around, *_waypoint_obstacles(waypoint, is_match=matches[key]))
        for key, waypoint in rules.waypoints.items()
    }
    evidence = [key for key, found in obstacles.items() if not found]
    standings = [
        _standings(rules, record, owner, evidence, by) for owner in (() if isinstance(owners, Uncounted) else owners)
    ]
    return Explanation(
        rules=rules,
        record=record,
        fault=rejected.message if rejected else None,
        waypoints=tuple(
            WaypointExplanation(
                waypoint=waypoint,
                findings=waypoint.conditions.explain(record.document),
                is_match=matches[waypoint.id],
                obstacles=obstacles[waypoint.id],
                standings=tuple(standing[waypoint.id] for standing in standings),
            )
            for waypoint in sorted(rules.waypoints.values(), key=lambda it: it.order)
        ),
    )


def _obstacles(
    rules: JourneyRules, record: StatementRecord, owners: tuple[Owner, ...] | Uncounted, *, is_valid: bool
) -> Iterator[str]:
    """Yield what stands in the way at every waypoint."""
    if not rules.is_active:
        yield Obstacle.JOURNEY_INACTIVE
    if record.organisation != rules.organisation:
        yield Obstacle.OTHER_ORGANISATION
    if not takes_store(rules, record.store):
        yield Obstacle.OTHER_STORE
    if is_voided(record):
        yield Obstacle.VOIDED
    if isinstance(owners, Uncounted):
        yield owners
    if not is_valid:
        yield Obstacle.INVALID_STATEMENT


def _waypoint_obstacles(waypoint: WaypointRules, *, is_match: bool) -> Iterator[str]:
    if waypoint.conditions.is_empty:
        yield Obstacle.EMPTY_CONDITIONS
    elif not waypoint.is_active:
        yield Obstacle.WAYPOINT_INACTIVE
    if not is_match:
        yield Obstacle.CONDITIONS_NOT_MET


def _standings(
    rules: JourneyRules, record: StatementRecord, owner: Owner, evidence: list[str], by: Explaining
) -> dict[str, Standing]:
    """Say, for each waypoint, where one owner's document has the statement and what a promotion makes of it."""
    key = progress_id(rules.organisation, rules.id, owner)
    is_new = key not in by.progresses
    document = empty_document(key, rules.id, rules.organisation, owner, by.now) if is_new else by.progresses[key]
    places = {waypoint: _place(document, waypoint, record.reference) for waypoint in rules.waypoints}
    arrived = [waypoint for waypoint in evidence if places[waypoint] is Place.NOWHERE]
    outcomes: dict[str, tuple[Outcome, int | None]] = {}

    def tell(waypoint: str, statement: ObjectId, outcome: Outcome, attempt: int | None) -> None:
        if statement == record.reference:
            outcomes[waypoint] = outcome, attempt

    item = Item(record.reference, record.timestamp)
    promote(_with_pending(document, arrived, item), rules, by.policy, by.now, tell)
    return {
        waypoint: Standing(key, is_new, place, *outcomes.get(waypoint, _as_it_is(document, waypoint, record.reference)))
        for waypoint, place in places.items()
    }


def _place(document: Mapping[str, Any], waypoint: str, statement: ObjectId) -> Place:
    if _attempt(document, waypoint, statement) is not None:
        return Place.COUNTED
    if _has(document["pendingProgress"].get(waypoint, {}), statement):
        return Place.PENDING
    if _has({"statements": document["processing"].get("surplus", {}).get(waypoint, ())}, statement):
        return Place.SURPLUS
    return Place.NOWHERE


def _as_it_is(document: Mapping[str, Any], waypoint: str, statement: ObjectId) -> tuple[Outcome | None, int | None]:
    """Return what a promotion that passes the statement over leaves: a sealed attempt, or a journey at rest."""
    attempt = _attempt(document, waypoint, statement)
    return (None if attempt is None else Outcome.COUNTED), attempt


def _attempt(document: Mapping[str, Any], waypoint: str, statement: ObjectId) -> int | None:
    for number, attempt in enumerate(document["completions"]):
        if _has(attempt["waypoints"].get(waypoint, {}), statement):
            return number
    return None


def _has(entry: Mapping[str, Any], statement: ObjectId) -> bool:
    return any(item["statement"] == statement for item in entry.get("statements", ()))


def _with_pending(document: Mapping[str, Any], waypoints: list[str], item: Item) -> dict[str, Any]:
    pending = document["pendingProgress"]
    arrived = {
        key: {"statements": [*pending.get(key, {}).get("statements", ()), *items_to([item])]} for key in waypoints
    }
    return {**document, "pendingProgress": {**pending, **arrived}}
