"""The fold: evidence to completions, one pure function (semantics.md, section 4).

F1: the same evidence gives the same completions, whatever its order, duplication or partitioning: the items are
put into one total order before anything is decided. Exactly so while no surplus was cut, lateness stays within
the horizon, and a statement keeps its timestamp.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bson import ObjectId
from msgspec import Struct

from processor.core.evidence import Item, Key
from processor.core.journey import JourneyRules

Evidence = Mapping[str, Sequence[Item]]
"""Items by waypoint id."""


class Outcome(StrEnum):
    """What becomes of one item of evidence; the last three leave for good, and all between them and the first stay."""

    COUNTED = "counted"
    INACTIVE = "waypoint-inactive"
    COMPLETED_LAST = "completed-the-last-attempt"
    FULL = "already-full"
    OUT_OF_SEQUENCE = "out-of-sequence"
    SEALED = "sealed"
    AFTER_COMPLETION = "after-completion"
    UNKNOWN_WAYPOINT = "unknown-waypoint"


Tell = Callable[[str, ObjectId, Outcome, int | None], None]
"""Told, if anyone asks, of each item: waypoint, statement, what became of it, in which attempt it counts."""


@dataclass(slots=True)
class Attempt:
    """One attempt: counted items by waypoint, ascending; `orders` keeps each waypoint's order at its time.

    `completed_at` is None while the attempt is open; `waypoints_completed` maps a complete waypoint to its date.
    """

    counted: dict[str, list[Item]] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)
    waypoints_completed: dict[str, datetime] = field(default_factory=dict)
    completed_at: datetime | None = None

    @property
    def last(self) -> Key:
        """The last counted item in the total order; the one that completed a completed attempt."""
        return max(
            Key(item.timestamp, self.orders[waypoint], item.statement, waypoint)
            for waypoint, items in self.counted.items()
            for item in items
        )


class Fold(Struct, frozen=True):
    """What the evidence amounts to.

    `attempts`: the sealed ones as they were given, then the folded ones; only the last can be open.
    `surplus`: kept for later, by waypoint, ascending. `dropped`: items that left for good, by reason:
    `sealed` (not later than a sealed attempt), `after-completion` (can change nothing), `unknown-waypoint`.
    """

    attempts: list[Attempt]
    surplus: dict[str, list[Item]]
    dropped: dict[str, int]


def tell_nobody(waypoint: str, statement: ObjectId, outcome: Outcome, attempt: int | None) -> None:
    """Nobody asks, as nearly always."""


def fold(
    rules: JourneyRules,
    evidence: Iterable[Evidence],
    sealed: Sequence[Attempt] = (),
    tell: Tell = tell_nobody,
    away: Key | None = None,
) -> Fold:
    """Fold evidence (counted, surplus and pending, in any order, with repeats) under a journey's rules.

    `sealed` attempts, oldest first, are never changed; evidence they counted is passed over, whatever time a copy
    tells, and other evidence not later than their last counted item is dropped. `away` is the last counted item of
    completed attempts before them that are not at hand; all evidence is later.
    """
    result = Fold(list(sealed), {}, {})
    items: list[Key] = []
    frontier = sealed[-1].last if sealed else away
    counted = _counted(sealed)
    for waypoint, times in _union(evidence).items():
        rule = rules.waypoints.get(waypoint)
        if rule is None:
            _count(result.dropped, Outcome.UNKNOWN_WAYPOINT, len(times))
            for statement in times:
                tell(waypoint, statement, Outcome.UNKNOWN_WAYPOINT, None)
            continue
        keys = [Key(timestamp, rule.order, statement, waypoint) for statement, timestamp in times.items()]
        items += keys if frontier is None else _later(keys, frontier, counted, result, tell)
    items.sort()
    _fold_items(rules, items, result, frontier, tell)
    return result


def _later(
    keys: Iterable[Key], frontier: Key, counted: Mapping[tuple[str, ObjectId], int], result: Fold, tell: Tell
) -> Iterator[Key]:
    """Yield the items that sealed attempts leave to be folded."""
    for key in keys:
        if (key.waypoint, key.statement) in counted:
            tell(key.waypoint, key.statement, Outcome.COUNTED, counted[key.waypoint, key.statement])
        elif key > frontier:
            yield key
        else:
            _count(result.dropped, Outcome.SEALED, 1)
            tell(key.waypoint, key.statement, Outcome.SEALED, None)


def _fold_items(rules: JourneyRules, items: Sequence[Key], result: Fold, frontier: Key | None, tell: Tell) -> None:
    """The loop of semantics.md, section 4: `attempts`, `surplus` and `dropped` of the result grow."""
    attempts = result.attempts
    is_open = False
    completing = frontier.statement if frontier else None
    place = 0
    while place < len(items):
        key = items[place]
        first, place = place, place + 1
        if not is_open and (attempts or frontier) and not rules.is_repeatable:
            _count(result.dropped, Outcome.AFTER_COMPLETION, 1)
            tell(key.waypoint, key.statement, Outcome.AFTER_COMPLETION, None)
            continue
        attempt = attempts[-1] if is_open else Attempt()
        obstacle = _obstacle(rules, attempt, key, None if is_open else completing)
        if obstacle:
            _keep(result.surplus, key)
            tell(key.waypoint, key.statement, obstacle, None)
            continue
        if not is_open:
            attempts.append(attempt)
        # Nothing stands in the way of the next items of the same waypoint either, until it is full.
        end = min(first + _room(rules, attempt, key), len(items))
        while place < end and items[place].waypoint == key.waypoint:
            place += 1
        _count_items(rules, attempt, items[first:place])
        for counted in items[first:place] if tell is not tell_nobody else ():
            tell(counted.waypoint, counted.statement, Outcome.COUNTED, len(attempts) - 1)
        is_open = attempt.completed_at is None
        completing = None if is_open else items[place - 1].statement


def _obstacle(rules: JourneyRules, attempt: Attempt, key: Key, completing: ObjectId | None) -> Outcome | None:
    """Return why an item is surplus; `completing` is the statement that may not open the next attempt."""
    waypoint = rules.active_waypoints.get(key.waypoint)
    if waypoint is None:
        return Outcome.INACTIVE
    if key.statement == completing:
        return Outcome.COMPLETED_LAST
    if _room(rules, attempt, key) <= 0:
        return Outcome.FULL
    return Outcome.OUT_OF_SEQUENCE if rules.is_sequential and _is_early(rules, attempt, key) else None


def _room(rules: JourneyRules, attempt: Attempt, key: Key) -> int:
    """Return how many items more the waypoint takes in this attempt."""
    return rules.waypoints[key.waypoint].count - len(attempt.counted.get(key.waypoint, ()))


def _count_items(rules: JourneyRules, attempt: Attempt, keys: Sequence[Key]) -> None:
    """Count items of one waypoint: one at least, and no more than there is room for."""
    waypoint, order = keys[0].waypoint, keys[0].order
    counted = attempt.counted.get(waypoint)
    if counted is None:
        counted = attempt.counted[waypoint] = []
        attempt.orders[waypoint] = order
    counted += [Item(key.statement, key.timestamp) for key in keys]
    if len(counted) == rules.waypoints[waypoint].count:
        attempt.waypoints_completed[waypoint] = keys[-1].timestamp
        if len(attempt.waypoints_completed) == len(rules.active_waypoints):
            attempt.completed_at = keys[-1].timestamp


def _is_early(rules: JourneyRules, attempt: Attempt, key: Key) -> bool:
    """In a sequential journey: a waypoint of lower order is not complete yet."""
    return any(
        waypoint.order < key.order and waypoint.id not in attempt.waypoints_completed
        for waypoint in rules.active_waypoints.values()
    )


def _union(evidence: Iterable[Evidence]) -> dict[str, dict[ObjectId, datetime]]:
    """One set of items: identity is (waypoint, statement), and of two copies the earlier counts."""
    union: dict[str, dict[ObjectId, datetime]] = {}
    for part in evidence:
        for waypoint, items in part.items():
            times = {item.statement: item.timestamp for item in items}
            if waypoint in union or len(times) < len(items):
                _add_copies(union.setdefault(waypoint, {}), items)
            else:
                union[waypoint] = times
    return union


def _add_copies(times: dict[ObjectId, datetime], items: Sequence[Item]) -> None:
    for item in items:
        known = times.get(item.statement)
        if known is None or item.timestamp < known:
            times[item.statement] = item.timestamp


def _counted(attempts: Sequence[Attempt]) -> dict[tuple[str, ObjectId], int]:
    """Return in which of the attempts each item counts, by its waypoint and statement."""
    return {
        (waypoint, item.statement): number
        for number, attempt in enumerate(attempts)
        for waypoint, items in attempt.counted.items()
        for item in items
    }


def _keep(surplus: dict[str, list[Item]], key: Key) -> None:
    surplus.setdefault(key.waypoint, []).append(Item(key.statement, key.timestamp))


def _count(dropped: dict[str, int], reason: str, number: int) -> None:
    dropped[reason] = dropped.get(reason, 0) + number
